"""ITI-31 Patient Encounter Management over MLLP (ITI TF-2: 3.31), HL7 2.5, with all its options.

A01, A04, A05 and A08 in HL7 2.5 are ITI-31's; in 2.3.1 they are ITI-8's. A40 in 2.5 is ITI-30's, whose merge takes the
stays along (Maintain Demographics option). An event without a row in the codec's table has no door: AR.
"""

from __future__ import annotations

from apps.pix import queries, services
from hie.exchange.audit import CREATE, DELETE, PATIENT_RECORD, UPDATE, AuditEntry, AuditEvent
from hie.exchange.transaction import Mllp, Transaction
from hie.values.access import Access, Permit, Subject
from hie.values.demographics_queries import EncounterEvent, EncounterKind, MovementAction
from hie.values.patients import FeedOutcome
from hie.wire.hl7v2 import encounter_feed

_BEGINS = (EncounterKind.ADMIT, EncounterKind.REGISTER, EncounterKind.PREADMIT, EncounterKind.PENDING_ADMIT)


def subject_of_event(event: EncounterEvent) -> tuple[Subject, ...]:
    """The patients of an event: the one it is about, then the one whose account moves."""
    return queries.subjects_of((*event.identifiers[:1], *event.prior_identifiers[:1]))


def take(event: EncounterEvent, permit: Permit) -> FeedOutcome:
    """Carry out an event for the caller's own facility."""
    node = permit.caller.node
    return services.tell_encounter(event, node.facility_code, sender=node.name)


def entries_of_event(
    event: EncounterEvent, outcome: FeedOutcome | None, subjects: tuple[Subject, ...]
) -> tuple[AuditEntry, ...]:
    """One record: C for what begins a stay, D for a cancellation, else U."""
    if event.action is MovementAction.CANCEL:
        action = DELETE
    else:
        action = CREATE if event.kind in _BEGINS and event.action is MovementAction.INSERT else UPDATE
    if outcome is not None and outcome.regional_id and outcome.identifiers:
        subjects = (Subject(outcome.identifiers[0], outcome.regional_id), *subjects[1:])
    return (AuditEntry(action=action, subjects=subjects, patient_details=(("MSH-10", event.message_id),)),)


ITI_31 = Transaction(
    number="ITI-31",
    name="Patient Encounter Management",
    door=Mllp(tuple(sorted(set(encounter_feed.TRIGGERS) - {"ADT^A40"})), version="2.5"),
    codec=encounter_feed,
    subject=subject_of_event,
    access=Access.FEED,
    execute=take,
    audit=AuditEvent(PATIENT_RECORD, UPDATE, entries_of_event),
    changes=True,
)
