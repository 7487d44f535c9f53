"""ITI-44 Patient Identity Feed HL7 v3 (ITI TF-2: 3.44): ITI-8 in another dialect; add, revise, duplicates resolved."""

from __future__ import annotations

from apps.pix.transactions.iti08_patient_identity_feed import entries_of_feed, subject_of_feed, take
from hie.exchange.audit import CREATE, PATIENT_RECORD, UPDATE, AuditEvent
from hie.exchange.transaction import Soap, Transaction
from hie.values.access import Access
from hie.wire.hl7v3 import patient_feed

_ANSWER = "urn:hl7-org:v3:MCCI_IN000002UV01"


def _feed(interaction: str, action: str) -> Transaction:
    return Transaction(
        number="ITI-44",
        name="Patient Identity Feed HL7 V3",
        door=Soap("pix", f"urn:hl7-org:v3:{interaction}", _ANSWER),
        codec=patient_feed,
        subject=subject_of_feed,
        access=Access.FEED,
        execute=take,
        audit=AuditEvent(PATIENT_RECORD, action, entries_of_feed, name="Patient Identity Feed"),  # 3.44.5.1
        changes=True,
    )


ITI_44_ADD = _feed("PRPA_IN201301UV02", CREATE)
ITI_44_REVISE = _feed("PRPA_IN201302UV02", UPDATE)
ITI_44_MERGE = _feed("PRPA_IN201304UV02", UPDATE)
