"""What a clerk sees of two charts in question, and how the queue and the findings of insurances are doing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Min, OuterRef, Subquery
from django.utils import timezone

from apps.pix.models import CoverageFinding, LinkEvent, ReviewCase

PERIOD = timedelta(days=30)
LINKED_BY_CLERK, KEPT_APART = "linked by a clerk", "kept apart by a clerk"
APART_TAKEN_BACK, MERGE_TAKEN_BACK = "no longer kept apart by a clerk", "merge taken back"
# Rules of link events that are no finding of the machine: what facilities, clerks and the identity source stated.
_STATED = (
    *("merge", "one message", "clerk", "link", "unlink", "link change"),
    *(LINKED_BY_CLERK, KEPT_APART, APART_TAKEN_BACK, MERGE_TAKEN_BACK),
)


@dataclass(frozen=True, slots=True)
class ReviewFigures:
    """waiting: open and postponed cases. oldest: since when the oldest waits, None without one.

    linked, overturned: links of the machine, and those that clerks undid, within ``PERIOD``.
    """

    waiting: int
    oldest: datetime | None
    linked: int
    overturned: int


def review_figures(now: datetime | None = None) -> ReviewFigures:
    """The figures of the queue for the administrator: four counts over indexes."""
    since = (now or timezone.now()) - PERIOD
    waiting = ReviewCase.objects.filter(state__in=(ReviewCase.State.OPEN, ReviewCase.State.POSTPONED))
    events = LinkEvent.objects.filter(at__gte=since)
    kinds = (LinkEvent.Kind.LINKED, LinkEvent.Kind.JOINED)
    stood = LinkEvent.objects.filter(
        record=OuterRef("record"), person=OuterRef("previous_person"), pk__lt=OuterRef("pk")
    )
    undone = events.filter(kind=LinkEvent.Kind.UNLINKED, rule=KEPT_APART)
    undone = undone.annotate(stood_by=Subquery(stood.order_by("-pk").values("rule")[:1]))
    return ReviewFigures(
        waiting=waiting.count(),
        oldest=waiting.aggregate(oldest=Min("opened_at"))["oldest"],
        linked=events.filter(kind__in=kinds).exclude(rule__in=(*_STATED, "")).count(),
        overturned=undone.exclude(stood_by__in=_STATED).count(),
    )


def coverage_figures() -> dict[str, int]:
    """Kind of insurance finding -> how many of it nobody has settled; one count over an index."""
    waiting = CoverageFinding.objects.filter(gone_at=None, settled_at=None).order_by()
    counts = dict(waiting.values_list("kind").annotate(count=Count("id")))
    return {kind.value: counts.get(kind.value, 0) for kind in CoverageFinding.Kind}
