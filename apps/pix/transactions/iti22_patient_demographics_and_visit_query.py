"""ITI-22 Patient Demographics and Visit Query over MLLP (ITI TF-2: 3.22): ITI-21, and of their visits."""

from __future__ import annotations

from apps.pix import services
from apps.pix.transactions.iti21_patient_demographics_query import entries_of_search
from hie.exchange.audit import EXECUTE, QUERY, AuditEvent
from hie.exchange.transaction import Mllp, Transaction
from hie.values.access import Access
from hie.wire.hl7v2 import visit_query

ITI_22 = Transaction(
    number="ITI-22",
    name="Patient Demographics and Visit Query",
    door=Mllp(("QBP^ZV1",)),
    codec=visit_query,
    find=services.search,
    subject=services.subjects_of_search,
    access=Access.IDENTIFY,
    execute=services.find_patients,
    audit=AuditEvent(QUERY, EXECUTE, entries_of_search("ITI-22", "Patient Demographics and Visit Query")),
)
