"""ITI-92, Restricted Update Document Set: a few attributes of documents that are registered (RMU: 3.92)"""

from __future__ import annotations

from apps.xds.services import update
from apps.xds.transactions.iti42_register_document_set import audit_entries_of, subjects_of
from hie.exchange.audit import IMPORT, UPDATE, AuditEvent
from hie.exchange.transaction import Soap, Transaction
from hie.values.access import Access, Permit, Subject
from hie.values.documents import MetadataUpdate, RegistryResult
from hie.wire.ebxml import restricted_update


def patients_of(request: MetadataUpdate) -> tuple[Subject, ...]:
    """The patient of the submission set."""
    return subjects_of(request.submission)


def execute(request: MetadataUpdate, permit: Permit) -> RegistryResult:
    """Update what the caller's facility has registered."""
    return update(request, facility_code=permit.caller.node.facility_code)


ITI_92 = Transaction(
    number="ITI-92",
    name="Restricted Update Document Set",
    door=Soap(
        "registry",
        "urn:ihe:iti:2018:RestrictedUpdateDocumentSet",
        "urn:ihe:iti:2018:RestrictedUpdateDocumentSetResponse",
    ),
    codec=restricted_update,
    subject=patients_of,
    access=Access.SUBMIT,
    execute=execute,
    audit=AuditEvent(
        IMPORT, UPDATE, lambda request, result, subjects: audit_entries_of(UPDATE, request.submission, subjects)
    ),
    changes=True,
)
