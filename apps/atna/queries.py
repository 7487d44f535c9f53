"""Finding audit records, and what they tell of today."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import BooleanField, Count, OuterRef, Q, QuerySet, Subquery
from django.db.models.expressions import RawSQL
from django.db.models.functions import Left

from apps.atna.models import FAILED, FED, INDEXED_CHARACTERS, AuditRecord, Outcome
from apps.network.models import Facility
from apps.network.queries import authorities
from hie.values.times import JST

# No message is under way for longer than this.
LONGEST_MESSAGE = timedelta(days=1)
MOST_OF_A_UUID = (1 << 128) - 1

_FAILED, _FED = (RawSQL(condition, (), BooleanField()) for condition in (FAILED, FED))  # noqa: S611 - our own text
_FAILURES = [outcome.value for outcome in Outcome if outcome != Outcome.SUCCESS]


def search(
    *,
    patient: str = "",
    facility: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    transaction: str = "",
    event_id: str = "",
    outcome: int | None = None,
) -> QuerySet[AuditRecord]:
    """The records that match all that is given, newest first; each condition is one range of an index.

    patient: a chart number, an identifier as sent, or a regional ID; finds what was recorded of the person under any
    of their numbers. since is included, until is not; both aware. transaction: ``ITI-18``. event_id: DICOM code.
    outcome: 0, 4, 8, 12.
    """
    conditions: dict[str, Any] = {
        "facility_code": facility or None,
        "occurred_at__gte": since,
        "occurred_at__lt": until,
        "transaction": transaction or None,
        "event_id": event_id or None,
        "outcome": outcome,
    }
    records = AuditRecord.objects.filter(**{name: value for name, value in conditions.items() if value is not None})
    if outcome:
        records = records.filter(_FAILED)
    return records.filter(of_patient(patient)) if patient else records


def of_patient(text: str) -> Q:
    """The condition for the records of the person whom this number names, however they were named in each message."""
    beginnings = [written[:INDEXED_CHARACTERS] for written in _written(text)]
    as_sent = AuditRecord.objects.annotate(beginning=Left("patient_identifier", INDEXED_CHARACTERS)).filter(
        beginning__in=beginnings
    )
    known_as = {text, *as_sent.exclude(patient_regional_id="").order_by().values_list("patient_regional_id", flat=True)}
    return Q(patient_regional_id__in=known_as) | Q(pk__in=as_sent.order_by().values("pk"))


def of_message(number: UUID) -> Q:
    """The condition for all records of one message, by its number (``trail_uuid``), or for one record by its own.

    Both numbers begin with their time (``new_ordered_uuid``): a record is made when its message is answered, within
    ``LONGEST_MESSAGE``, so that this is a range of the primary key.
    """
    last = UUID(int=min(number.int + (LONGEST_MESSAGE // timedelta(milliseconds=1) << 80), MOST_OF_A_UUID))
    return Q(trail_uuid=number, pk__gte=number, pk__lte=last) | Q(pk=number)


def _written(text: str) -> list[str]:
    """How a message may have written the identifier: the text itself, and a chart number with each authority."""
    written = [text]
    for authority in authorities():
        written += [
            f"{text}^^^{authority.hd}",
            f"{text}^^^&{authority.oid}&ISO",
            f"{text}^^^{authority.namespace}",
        ]
    return written


@dataclass(frozen=True, slots=True)
class FacilityDay:
    """One facility today: messages refused (outcome 4 and 8), failed (12), and its last successful feed, ever."""

    facility_code: str
    refused: int = 0
    failed: int = 0
    last_feed: datetime | None = None


def overview(now: datetime) -> tuple[FacilityDay, ...]:
    """Today, in Japan, by facility; the first row, without a code, counts callers that were not recognised.

    Two queries: the failures of one day, and one index look-up for each facility.
    """
    midnight = now.astimezone(JST).replace(hour=0, minute=0, second=0, microsecond=0)
    failures = {
        row["facility_code"]: row
        for row in AuditRecord.objects.filter(_FAILED, outcome__in=_FAILURES, occurred_at__gte=midnight)
        .order_by()
        .values("facility_code")
        .annotate(
            refused=Count("pk", filter=~Q(outcome=Outcome.MAJOR_FAILURE)),
            failed=Count("pk", filter=Q(outcome=Outcome.MAJOR_FAILURE)),
        )
    }
    last_feeds = _last_feeds()
    codes = ["", *sorted(set(last_feeds) | set(failures) - {""})]
    none = {"refused": 0, "failed": 0}
    return tuple(
        FacilityDay(
            code,
            refused=failures.get(code, none)["refused"],
            failed=failures.get(code, none)["failed"],
            last_feed=last_feeds.get(code),
        )
        for code in codes
    )


def _last_feeds() -> dict[str, datetime | None]:
    """Facility code -> when it last fed."""
    feeds = AuditRecord.objects.filter(_FED, facility_code=OuterRef("code")).order_by("-occurred_at")
    last_feed = Subquery(feeds.values("occurred_at")[:1])
    return dict(Facility.objects.order_by().annotate(last_feed=last_feed).values_list("code", "last_feed"))
