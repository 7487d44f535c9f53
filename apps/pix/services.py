"""The verbs of the patient index: take what a facility says of its patients (ITI-8, ITI-30, SS-MIX2 ADT-00)."""

from __future__ import annotations

from hie.values.patients import FeedOutcome, PatientFeed


def feed(feed: PatientFeed, facility_code: str) -> FeedOutcome:
    """Carry out one event that a facility tells of its patients."""
    raise NotImplementedError
