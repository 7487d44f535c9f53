"""ITI-47 Patient Demographics Query HL7 v3 (ITI TF-2: 3.47): the query, its further pages, and their cancellation."""

from __future__ import annotations

from apps.pix import services
from apps.pix.transactions.iti21_patient_demographics_query import entries_of_search, nobody
from hie.exchange.audit import EXECUTE, QUERY, AuditEvent
from hie.exchange.transaction import Soap, Transaction
from hie.values.access import Access
from hie.wire.hl7v3 import cancel_query, continue_query, demographics_query

_NAME = "Patient Demographics Query HL7 V3"
_AUDITED = "Patient Demographics Query"  # 3.47.5.1
_AUDIT = AuditEvent(QUERY, EXECUTE, entries_of_search("ITI-47", _AUDITED, detail=""), name=_AUDITED)

ITI_47 = Transaction(
    number="ITI-47",
    name=_NAME,
    door=Soap("pdq", demographics_query.ACTION, demographics_query.RESPONSE_ACTION),
    codec=demographics_query,
    find=services.search,
    subject=services.subjects_of_search,
    access=Access.IDENTIFY,
    execute=services.find_patients,
    audit=_AUDIT,
)

ITI_47_CONTINUE = Transaction(
    number="ITI-47",
    name=_NAME,
    door=Soap("pdq", continue_query.ACTION, continue_query.RESPONSE_ACTION),
    codec=continue_query,
    subject=services.subjects_of_continuation,
    access=Access.IDENTIFY,
    execute=services.continue_search,
    audit=_AUDIT,
)

ITI_47_CANCEL = Transaction(
    number="ITI-47",
    name=_NAME,
    door=Soap("pdq", cancel_query.ACTION, cancel_query.RESPONSE_ACTION),
    codec=cancel_query,
    subject=nobody,
    access=Access.IDENTIFY,
    execute=services.cancel_search,
    audit=_AUDIT,
)
