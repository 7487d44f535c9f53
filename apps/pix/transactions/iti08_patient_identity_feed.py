"""ITI-8 Patient Identity Feed over MLLP (ITI TF-2: 3.8): a facility tells of its patients by visit events."""

from __future__ import annotations

from typing import Any

from apps.pix import queries, services
from hie.exchange.audit import CREATE, DELETE, PATIENT_RECORD, UPDATE, AuditEntry, AuditEvent
from hie.exchange.transaction import Mllp, Transaction
from hie.values.access import Access, Permit, Subject
from hie.values.identifiers import Identifier
from hie.values.patients import FeedEvent, FeedOutcome, PatientFeed
from hie.wire.hl7v2 import patient_feed


def subject_of_feed(feed: PatientFeed) -> tuple[Subject, ...]:
    """The patients of a feed: the one that is told of, then those that are subsumed, renamed, linked or unlinked."""
    return queries.subjects_of((*feed.identifiers[:1], *feed.prior_identifiers, *feed.other_identifiers[:1]))


def take(feed: PatientFeed, permit: Permit) -> FeedOutcome:
    """Carry out a feed for the caller's own facility."""
    node = permit.caller.node
    return services.feed(feed, node.facility_code, sender=node.name)


# EventActionCode of a feed about one patient (ITI TF-2: 3.8.5.1, 3.30.5). A merge has two records.
_ACTIONS = {
    FeedEvent.REGISTER: CREATE,
    FeedEvent.UPDATE: UPDATE,
    FeedEvent.CHANGE_IDENTIFIER: UPDATE,
    FeedEvent.MERGE: UPDATE,
    FeedEvent.LINK: UPDATE,
    FeedEvent.UNLINK: UPDATE,
}


def entries_of_feed(feed: PatientFeed, outcome: Any, subjects: tuple[Subject, ...]) -> tuple[AuditEntry, ...]:
    """One record of the patient; of a merge one that the subsumed is deleted and one that the survivor is updated, of a
    link or unlink one of each patient.

    outcome: FeedOutcome, or None where the feed was refused. subjects: as ``subject_of_feed`` gave them before the
    feed was carried out, so the subsumed patient still stands under the regional id it had.
    """
    about, prior = subjects[:1], subjects[1:]
    if isinstance(outcome, FeedOutcome):
        regional_id = outcome.regional_id
        about = tuple(Subject(each, regional_id) for each in outcome.identifiers[:1])
        prior = tuple(map(_completed, prior, outcome.prior_identifiers + outcome.other_identifiers))
    details = (("II" if feed.trigger.startswith("PRPA_") else "MSH-10", feed.message_id),)
    both = prior if feed.event in (FeedEvent.LINK, FeedEvent.UNLINK) else ()
    entry = AuditEntry(action=_ACTIONS[feed.event], subjects=about + both, patient_details=details)
    if feed.event is not FeedEvent.MERGE:
        return (entry,)
    return (AuditEntry(action=DELETE, subjects=prior, patient_details=details), entry)


def _completed(subject: Subject, identifier: Identifier) -> Subject:
    """The subject under its complete identifier, authority filled in."""
    return Subject(identifier, subject.regional_id)


ITI_8 = Transaction(
    number="ITI-8",
    name="Patient Identity Feed",
    door=Mllp(("ADT^A01", "ADT^A04", "ADT^A05", "ADT^A08", "ADT^A40")),
    codec=patient_feed,
    subject=subject_of_feed,
    access=Access.FEED,
    execute=take,
    audit=AuditEvent(PATIENT_RECORD, CREATE, entries_of_feed),
    changes=True,
)
