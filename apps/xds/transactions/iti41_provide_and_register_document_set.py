"""ITI-41, Provide and Register Document Set-b: documents and their metadata (ITI TF-2: 3.41)."""

from __future__ import annotations

from apps.xds.services import prepare_provided, refuse_limited, register_within
from apps.xds.transactions.iti42_register_document_set import audit_entries, subjects_of
from hie.exchange.audit import CREATE, IMPORT, AuditEvent
from hie.exchange.transaction import Soap, Transaction
from hie.values.access import Access, Permit
from hie.values.documents import RegistryResult, Submission
from hie.wire.ebxml import provide


def execute(submission: Submission, permit: Permit) -> RegistryResult:
    """Store and register what the caller submits as the record of its own facility.

    Limited metadata (ITI TF-3 table 4.3.1-3, XDR MS) is taken of nodes that may send it.
    """
    node = permit.caller.node
    submission = submission if node.limited_metadata else refuse_limited(submission)
    return register_within(submission, facility_code=node.facility_code)


ITI_41 = Transaction(
    number="ITI-41",
    name="Provide and Register Document Set-b",
    door=Soap(
        "repository",
        "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b",
        "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-bResponse",
        mtom=True,
    ),
    codec=provide,
    subject=subjects_of,
    access=Access.SUBMIT,
    execute=execute,
    audit=AuditEvent(IMPORT, CREATE, audit_entries),
    changes=True,
    prepare=prepare_provided,
)
