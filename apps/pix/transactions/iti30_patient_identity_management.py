"""ITI-30 Patient Identity Management over MLLP (ITI TF-2: 3.30): demographics without a visit, HL7 2.5.

A40 in HL7 2.5 obeys the merge rules of PAM; in 2.3.1 it is ITI-8's.
"""

from __future__ import annotations

from dataclasses import replace

from apps.pix.transactions.iti08_patient_identity_feed import entries_of_feed, subject_of_feed, take
from hie.exchange.audit import CREATE, PATIENT_RECORD, UPDATE, AuditEvent
from hie.exchange.transaction import Mllp, Transaction
from hie.values.access import Access, Permit
from hie.values.patients import FeedOutcome, PatientFeed
from hie.wire.hl7v2 import patient_feed


def take_by_pam(feed: PatientFeed, permit: Permit) -> FeedOutcome:
    """Carry out a feed by the rules of PAM, whatever the version of the message said."""
    return take(replace(feed, pam=True), permit)


ITI_30 = Transaction(
    number="ITI-30",
    name="Patient Identity Management",
    door=Mllp(("ADT^A28", "ADT^A31", "ADT^A47")),
    codec=patient_feed,
    subject=subject_of_feed,
    access=Access.FEED,
    execute=take_by_pam,
    audit=AuditEvent(PATIENT_RECORD, CREATE, entries_of_feed),
    changes=True,
)

ITI_30_MERGE = Transaction(
    number="ITI-30",
    name="Patient Identity Management",
    door=Mllp(("ADT^A40",), version="2.5"),
    codec=patient_feed,
    subject=subject_of_feed,
    access=Access.FEED,
    execute=take_by_pam,
    audit=AuditEvent(PATIENT_RECORD, UPDATE, entries_of_feed),
    changes=True,
)

ITI_30_LINK = Transaction(
    number="ITI-30",
    name="Patient Identity Management",
    door=Mllp(("ADT^A24", "ADT^A37")),
    codec=patient_feed,
    subject=subject_of_feed,
    access=Access.FEED,
    execute=take_by_pam,
    audit=AuditEvent(PATIENT_RECORD, UPDATE, entries_of_feed),
    changes=True,
)
