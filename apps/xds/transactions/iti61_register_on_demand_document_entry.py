"""ITI-61, Register On-Demand Document Entry: documents that are made when they are asked for (ITI TF-2: 3.61)"""

from __future__ import annotations

from apps.xds.services import register_within
from apps.xds.transactions.iti42_register_document_set import audit_entries, subjects_of
from hie.exchange.audit import CREATE, IMPORT, AuditEvent
from hie.exchange.transaction import Soap, Transaction
from hie.values.access import Access, Permit
from hie.values.documents import RegistryResult, Submission
from hie.wire.ebxml import on_demand


def execute(submission: Submission, permit: Permit) -> RegistryResult:
    """Register what the caller submits as the record of its own facility; the codec has judged it."""
    return register_within(submission, facility_code=permit.caller.node.facility_code)


ITI_61 = Transaction(
    number="ITI-61",
    name="Register On-Demand Document Entry",
    door=Soap(
        "registry",
        "urn:ihe:iti:2010:RegisterOnDemandDocumentEntry",
        "urn:ihe:iti:2010:RegisterOnDemandDocumentResponse",
    ),
    codec=on_demand,
    subject=subjects_of,
    access=Access.SUBMIT,
    execute=execute,
    audit=AuditEvent(IMPORT, CREATE, audit_entries),
    changes=True,
)
