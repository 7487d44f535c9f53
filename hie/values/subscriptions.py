"""Subscriptions to document metadata and what is sent to subscribers (DSUB; ITI TF-2: 3.52, 3.53, 3.54)."""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import datetime, timedelta

from hie.values.documents import StoredQuery, Submission
from hie.values.errors import Finding

FULL_DOCUMENT_ENTRY = "ihe:FullDocumentEntry"
MINIMAL_DOCUMENT_ENTRY = "ihe:MinimalDocumentEntry"
SUBMISSION_SET_METADATA = "ihe:SubmissionSetMetadata"
FOLDER_METADATA = "ihe:FolderMetadata"


@dataclass(frozen=True, slots=True)
class Duration:
    """A duration of XML Schema: months (years are twelve) and an exact time, which only a date makes comparable."""

    months: int = 0
    exact: timedelta = timedelta()

    def after(self, moment: datetime) -> datetime:
        """The moment this long after another, in its time zone; a day that a month lacks becomes its last.

        Raises OverflowError beyond the year 9999.
        """
        month = moment.month - 1 + self.months
        year, month = moment.year + month // 12, month % 12 + 1
        if not 1 <= year <= 9999:
            raise OverflowError("beyond the calendar")
        day = min(moment.day, calendar.monthrange(year, month)[1])
        return moment.replace(year=year, month=month, day=day) + self.exact


@dataclass(frozen=True, slots=True)
class Subscription:
    """ITI-52: what a subscriber asks to be told, where to, and until when.

    consumer: the URL to which notifications are sent. consumer_parameters: the wsa:ReferenceParameters of the consumer,
    each a serialised element, which every notification has to carry in its header. topic: one of the constants above.
    query: the filter, a StoredQuery by its id and parameters. until: a moment with time zone, a duration from now on,
    or None where the subscriber leaves it to us. findings: what is wrong with the filter; the verb refuses it.
    """

    consumer: str
    topic: str
    query: StoredQuery
    until: datetime | Duration | None = None
    consumer_parameters: tuple[bytes, ...] = ()
    findings: tuple[Finding, ...] = ()

    def ends(self, now: datetime) -> datetime | None:
        """When it ends, if it begins now (aware, UTC); None where the subscriber has not said."""
        return self.until.after(now) if isinstance(self.until, Duration) else self.until


@dataclass(frozen=True, slots=True)
class SubscriptionAnswer:
    """The answer to ITI-52. reference: the URL of this one subscription, to which its end is asked. Times are UTC."""

    reference: str
    current_time: datetime
    termination_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Unsubscription:
    """ITI-52, the end of a subscription. reference: the URL that the broker gave for it."""

    reference: str


@dataclass(frozen=True, slots=True)
class UnsubscriptionAnswer:
    """The subscription is no more."""


@dataclass(frozen=True, slots=True)
class Notification:
    """ITI-53: what one subscriber is told of one event.

    fragments: DocumentEntries, Folders or one SubmissionSet in canonical ebRIM (``hie.wire.ebxml.fragments``).
    object_refs: entryUUIDs, all that the topic ihe:MinimalDocumentEntry tells. subscription, producer: URLs or "".
    """

    topic: str
    fragments: tuple[bytes, ...] = ()
    object_refs: tuple[str, ...] = ()
    subscription: str = ""
    producer: str = ""


@dataclass(frozen=True, slots=True)
class Publication:
    """ITI-54: an event that a publisher tells the broker: a submission as ITI-42 would register it."""

    submission: Submission
    topic: str = ""
    producer: str = ""


@dataclass(frozen=True, slots=True)
class Received:
    """The answer to a message that is sent one way: none but that it has come (HTTP 202)."""
