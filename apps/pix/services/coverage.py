"""Insurances that cannot both be right: found over night, for an administrator to look at (japan.md S-039, S-040).

two cards   one person has different health insurances, both valid today by their own periods, whoever tells of them
one card    charts of two persons tell one insured person's number

Nothing is decided here. Charts whose insurance has no last day are not taken for two cards: most are only stale. Nor is
public expense (welfare, designated diseases), which stands beside an insurance rightly.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime

from django.db.models import QuerySet
from django.utils import timezone

from apps.pix.matching.normalisation import insurance_key, insurance_parts
from apps.pix.models import CoverageFinding, LocalIdentifier
from hie.values.people import Insurance

Kind = CoverageFinding.Kind


@dataclass(frozen=True, slots=True)
class _Stated:
    """One health insurance of one chart.

    card: insurer, symbol and number, as on the card. key: the insured person's number, "" where its branch is unknown.
    valid: by its own period, which has an end.
    """

    chart: int
    person: int
    card: tuple[str, ...]
    key: str
    valid: bool


def look(now: datetime | None = None) -> int:
    """Look at everybody and bring the findings up to date; how many there are that nobody has settled.

    Two charts are a finding once; settled ones stay settled, and one that comes back after it was gone is open again.
    """
    now = now or timezone.now()
    found = set(_found(timezone.localdate(now)))
    known = {(each.kind, each.first_id, each.second_id): each for each in CoverageFinding.objects.all().iterator()}
    CoverageFinding.objects.bulk_create(
        (
            CoverageFinding(kind=kind, first_id=one, second_id=other, found_at=now)
            for kind, one, other in found - set(known)
        ),
        batch_size=500,
    )
    for key, row in known.items():
        if (key in found) == (row.gone_at is not None):
            again = {"found_at": now, "settled_at": None, "settled_by": ""} if key in found else {}
            CoverageFinding.objects.filter(pk=row.pk).update(gone_at=None if key in found else now, **again)
    return unsettled().count()


def unsettled() -> QuerySet[CoverageFinding]:
    """The findings that wait for somebody to look at them."""
    return CoverageFinding.objects.filter(gone_at=None, settled_at=None)


def settle(ids: list[int], *, by: str) -> int:
    """Take findings off the list: somebody looked at them; how many."""
    return unsettled().filter(pk__in=ids).update(settled_at=timezone.now(), settled_by=by)


def _found(today: date) -> Iterator[tuple[str, int, int]]:
    by_person: dict[int, list[_Stated]] = defaultdict(list)
    by_key: dict[str, list[_Stated]] = defaultdict(list)
    for each in _stated(today):
        if each.key:
            by_key[each.key].append(each)
        if each.valid:
            by_person[each.person].append(each)
    for stated in by_person.values():
        yield from _pairs(Kind.TWO_CARDS, stated, _two_cards)
    for stated in by_key.values():
        yield from _pairs(Kind.ONE_CARD, stated, lambda one, other: one.person != other.person)


def _two_cards(one: _Stated, other: _Stated) -> bool:
    """Another card, or another branch of the household's."""
    return one.card != other.card or bool(one.key and other.key and one.key != other.key)


def _pairs(
    kind: str, stated: list[_Stated], differ: Callable[[_Stated, _Stated], bool]
) -> Iterator[tuple[str, int, int]]:
    """The first of them beside the first that differs from it: one finding says it all."""
    for other in stated[1:]:
        if differ(stated[0], other):
            yield kind, min(stated[0].chart, other.chart), max(stated[0].chart, other.chart)
            return


def _stated(today: date) -> Iterator[_Stated]:
    rows = LocalIdentifier.objects.filter(status=LocalIdentifier.Status.ACTIVE).order_by("pk")
    for chart, person, insurances in rows.values_list("pk", "person_id", "insurances").iterator(chunk_size=2000):
        for each in insurances:
            insurance = Insurance(**each)
            parts = insurance_parts(insurance)
            if parts is not None and parts[0][:2] in _SCHEMES:
                valid = _valid(insurance, f"{today:%Y%m%d}")
                yield _Stated(chart, person, parts[:3], insurance_key(insurance), valid)


# How the eight digits of a health insurer's number begin, by its scheme; other beginnings are those of public expense.
_SCHEMES = ("00", "01", "02", "03", "04", "06", "07", "31", "32", "33", "34", "39", "63", "67", "72", "73", "74", "75")


def _valid(insurance: Insurance, today: str) -> bool:
    begins, ends = insurance.valid_from[:8], insurance.valid_to[:8]
    return bool(ends) and begins <= today <= ends
