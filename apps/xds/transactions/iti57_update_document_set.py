"""ITI-57, Update Document Set: versions, statuses and associations of what is there (XDS Metadata Update: 3.57)"""

from __future__ import annotations

from apps.xds.services import update
from apps.xds.transactions.iti42_register_document_set import audit_entries_of, subjects_of
from hie.exchange.audit import IMPORT, UPDATE, AuditEvent
from hie.exchange.transaction import Soap, Transaction
from hie.values.access import Access, Permit, Subject
from hie.values.documents import MetadataUpdate, RegistryResult
from hie.wire.ebxml import update as codec


def patients_of(request: MetadataUpdate) -> tuple[Subject, ...]:
    """The patient of the submission set."""
    return subjects_of(request.submission)


def execute(request: MetadataUpdate, permit: Permit) -> RegistryResult:
    """Update what the caller's facility has registered."""
    return update(request, facility_code=permit.caller.node.facility_code)


ITI_57 = Transaction(
    number="ITI-57",
    name="Update Document Set",
    door=Soap("registry", "urn:ihe:iti:2010:UpdateDocumentSet", "urn:ihe:iti:2010:UpdateDocumentSetResponse"),
    codec=codec,
    subject=patients_of,
    access=Access.SUBMIT,
    execute=execute,
    audit=AuditEvent(
        IMPORT, UPDATE, lambda request, result, subjects: audit_entries_of(UPDATE, request.submission, subjects)
    ),
    changes=True,
)
