"""How many documents were registered: by facility, by type and by day in Japan.

Counted from an index that begins with the facility, of each facility the range of the period: what is read grows with
the documents of the period, not with the registry.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Count, QuerySet
from django.db.models.functions import TruncDate

from apps.xds.models import DocumentEntry
from apps.xds.queries.wording import Worded, worded_code, worded_facility
from hie.exchange.rows import fetch
from hie.values.times import JST

LONGEST = 366  # days
_JAPAN = ZoneInfo("Asia/Tokyo")  # by its name, which databases know


@dataclass(frozen=True, slots=True)
class Bar:
    """One number. code: what the name stands for, where it does. share: percent of the largest of its table."""

    name: str
    code: str
    count: int
    share: int = 0


@dataclass(frozen=True, slots=True)
class Figures:
    """Documents registered from the first to the last day, both included."""

    first: date
    last: date
    by_facility: tuple[Bar, ...]
    by_type: tuple[Bar, ...]
    by_day: tuple[Bar, ...]

    @property
    def total(self) -> int:
        return sum(each.count for each in self.by_facility)

    def lines(self) -> Iterator[tuple[str, str, str, int]]:
        """Rows of a table: what is counted, its name, its code, how many."""
        for what in ("facility", "type", "day"):
            yield from ((what, each.name, each.code, each.count) for each in getattr(self, f"by_{what}"))


def figures(first: date, last: date) -> Figures:
    """The figures of a period of at most ``LONGEST`` days; a longer one begins later."""
    first = max(first, last - timedelta(days=LONGEST - 1))
    begin = datetime.combine(first, datetime.min.time(), JST)
    end = datetime.combine(last + timedelta(days=1), datetime.min.time(), JST)
    of_period = {"registered_at__gte": begin, "registered_at__lt": end}
    rows = DocumentEntry.objects.filter(facility_code__in=_facility_codes(), **of_period)
    counted = dict(_counted(rows.annotate(day=TruncDate("registered_at", tzinfo=_JAPAN)), "day"))
    days = (first + timedelta(days=number) for number in range((last - first).days + 1))
    return Figures(
        first,
        last,
        _bars((worded_facility(code), count) for code, count in _counted(rows, "facility_code")),
        _bars((worded_code(code), count) for code, count in _counted(rows, "type_code")),
        _bars((Worded(day.isoformat()), counted.get(day, 0)) for day in days),
    )


# From one code to the next by the index, however many documents each has.
_CODES = (
    "WITH RECURSIVE codes(code) AS (SELECT min(facility_code) FROM xds_documententry UNION ALL"
    " SELECT (SELECT min(e.facility_code) FROM xds_documententry e WHERE e.facility_code > codes.code)"
    " FROM codes WHERE codes.code IS NOT NULL) SELECT code FROM codes WHERE code IS NOT NULL"
)


def _facility_codes() -> list[str]:
    """The codes of all facilities that have a document, "" for the network's own."""
    return [code for (code,) in fetch(_CODES, [])]


def _counted(rows: QuerySet[DocumentEntry], column: str) -> list[tuple[Any, int]]:
    """(value, how many), the most first."""
    return list(rows.order_by().values_list(column).annotate(count=Count("*")).order_by("-count", column))


def _bars(counted: Iterator[tuple[Worded, int]]) -> tuple[Bar, ...]:
    pairs = list(counted)
    most = max((count for _, count in pairs), default=0)
    return tuple(
        Bar(worded.name, worded.code, count, round(100 * count / most) if most else 0) for worded, count in pairs
    )
