"""ITI-9 PIX Query over MLLP (ITI TF-2: 3.9): under which other identifiers is this person known?"""

from __future__ import annotations

from typing import Any

from apps.pix import queries
from hie.exchange.audit import EXECUTE, QUERY, AuditEntry, AuditEvent, AuditObject
from hie.exchange.transaction import Mllp, Transaction
from hie.values.access import Access, Subject
from hie.values.codes import Code
from hie.values.patients import CrossReferenceQuery
from hie.wire.hl7v2 import pix_query


def entries_of_query(number: str, name: str, detail: str = "MSH-10") -> Any:
    """How a PIX query is recorded: the patient and the query as received (ITI TF-2: 3.9.5.1, 3.45.5.1)."""

    def entries(query: CrossReferenceQuery, _result: Any, subjects: tuple[Subject, ...]) -> tuple[AuditEntry, ...]:
        asked = AuditObject(
            object_id=query.query_tag or query.message_id,
            id_type=Code(number, "IHE Transactions", name),
            query=query.raw,
            details=((detail, query.message_id),) if detail else (),
        )
        return (AuditEntry(action=EXECUTE, subjects=subjects, objects=(asked,)),)

    return entries


ITI_9 = Transaction(
    number="ITI-9",
    name="PIX Query",
    door=Mllp(("QBP^Q23",)),
    codec=pix_query,
    find=queries.with_person,
    subject=queries.subject_of_query,
    access=Access.IDENTIFY,
    execute=queries.cross_references,
    audit=AuditEvent(QUERY, EXECUTE, entries_of_query("ITI-9", "PIX Query")),
)
