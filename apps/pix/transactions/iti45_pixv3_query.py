"""ITI-45 PIXv3 Query (ITI TF-2: 3.45): ITI-9 in another dialect."""

from __future__ import annotations

from apps.pix import queries
from apps.pix.transactions.iti09_pix_query import entries_of_query
from hie.exchange.audit import EXECUTE, QUERY, AuditEvent
from hie.exchange.transaction import Soap, Transaction
from hie.values.access import Access
from hie.wire.hl7v3 import pix_query

_AUDITED = "PIX Query"  # 3.45.5.1

ITI_45 = Transaction(
    number="ITI-45",
    name="PIXV3 Query",
    door=Soap("pix", pix_query.ACTION, pix_query.RESPONSE_ACTION),
    codec=pix_query,
    find=queries.with_person,
    subject=queries.subject_of_query,
    access=Access.IDENTIFY,
    execute=queries.cross_references,
    audit=AuditEvent(QUERY, EXECUTE, entries_of_query("ITI-45", _AUDITED, detail=""), name=_AUDITED),
)
