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


def subject_of_query(query: CrossReferenceQuery) -> tuple[Subject, ...]:
    """The patient behind the identifier that is asked with."""
    return (queries.subject_of(query.identifier),)


def entries_of_query(query: CrossReferenceQuery, _result: Any, subjects: tuple[Subject, ...]) -> tuple[AuditEntry, ...]:
    """One record with the patient and the whole query message (ITI TF-2: 3.9.5.1)."""
    asked = AuditObject(
        object_id=query.query_tag or query.message_id,
        id_type=Code("ITI-9", "IHE Transactions", "PIX Query"),
        query=query.raw,
        details=(("MSH-10", query.message_id),),
    )
    return (AuditEntry(action=EXECUTE, subjects=subjects, objects=(asked,)),)


ITI_9 = Transaction(
    number="ITI-9",
    name="PIX Query",
    door=Mllp(("QBP^Q23",)),
    codec=pix_query,
    subject=subject_of_query,
    access=Access.IDENTIFY,
    execute=queries.cross_references,
    audit=AuditEvent(QUERY, EXECUTE, entries_of_query),
)
