"""Which charts are worth comparing: several keys of each chart, kept in an index by whoever stores the charts.

Two charts are candidates of each other where they share one key. A kind of key is used up to the population in which
its blocks stay small (``SERVES``): among ten thousand persons a birth date alone will do, among a million it is joined
to an initial. So the wide kinds are narrowed by compound ones as the population grows, by the rule version
(``kinds_for``) and not by what happens to be stored at the moment, so that the order of arrival does not matter.

A value that far too many charts share all the same (a ward's telephone number, a stand-in for a date) would still make
a block that costs time with every feed. It is not cut short: it is left out whole and named in ``Search.oversized``,
and its pairs are found by the other kinds where they have anything else in common.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from hashlib import blake2b
from itertools import combinations

from apps.pix.matching.charts import Chart, Name


class Kind(Enum):
    """What a key is made of. The value is what an administrator reads where a block is too large."""

    BIRTH = "birth date"
    BIRTH_GIVEN = "birth date and initial of the given name"
    BIRTH_FAMILY = "birth date and initial of the family name"
    NAME = "name"
    NAME_YEAR = "name and year of birth"
    NAME_DAY = "name and day of the year"
    PART = "family or given name and initial of the other"
    TELEPHONE = "telephone and initial of the given name"
    INSURANCE = "insurance number of the household"
    POSTAL_GIVEN = "postal code and given name"
    POSTAL_MONTH = "postal code and month of birth"
    POSTAL_FAMILY = "postal code and family name"
    HOUSE = "postal code and house number"


# The populations that a kind serves: more charts than the first number, at most the second.
SMALL, MIDDLE, LARGE = 30_000, 60_000, 10**9
SERVES = {
    Kind.BIRTH: (0, MIDDLE),
    Kind.BIRTH_GIVEN: (MIDDLE, LARGE),
    Kind.BIRTH_FAMILY: (MIDDLE, LARGE),
    Kind.NAME: (SMALL, MIDDLE),
    Kind.NAME_YEAR: (MIDDLE, LARGE),
    Kind.NAME_DAY: (MIDDLE, LARGE),
    Kind.PART: (0, SMALL),
    Kind.TELEPHONE: (0, LARGE),
    Kind.INSURANCE: (0, LARGE),
    Kind.POSTAL_GIVEN: (0, LARGE),
    Kind.POSTAL_MONTH: (0, MIDDLE),
    Kind.POSTAL_FAMILY: (0, SMALL),
    Kind.HOUSE: (0, SMALL),
}


@lru_cache(64)
def kinds_for(population: int) -> frozenset[Kind]:
    """The kinds of keys for a population of so many charts."""
    return frozenset(kind for kind, (above, most) in SERVES.items() if above < max(population, 1) <= most)


LARGEST_BLOCK = 256

# (keys, limit) -> for each key the charts that have it; one more than the limit where there are more.
Lookup = Callable[[Sequence[int], int], Mapping[int, Sequence[int]]]


@dataclass(frozen=True, slots=True)
class Search:
    """charts: ids of all charts worth comparing. oversized: kinds of keys that too many charts share.

    insured: those of the charts that share an insurance number, as far as a block says; all of them where it says
    nothing.
    """

    charts: frozenset[int]
    oversized: tuple[Kind, ...] = ()
    insured: frozenset[int] = frozenset()


def keys(chart: Chart, kinds: frozenset[Kind]) -> dict[int, Kind]:
    """The keys of one chart, signed 64-bit numbers, with the kind of each. A digest: it shows nothing of the chart."""
    parts = _Parts.of(chart)
    return {_number(begin + text): kind for kind, begin, texts in _makers(kinds) for text in texts(parts)}


def candidates(chart: Chart, kinds: frozenset[Kind], lookup: Lookup) -> Search:
    """The charts worth comparing with this one: at most ``LARGEST_BLOCK`` for each of its keys (about a dozen)."""
    kind_of = keys(chart, kinds)
    return gather(chart.id, kind_of, lookup(list(kind_of), LARGEST_BLOCK), insured=Kind.INSURANCE in kinds)


def gather(
    chart_id: int, kind_of: Mapping[int, Kind], holders_of: Mapping[int, Sequence[int]], *, insured: bool = True
) -> Search:
    """What a look-up of a chart's keys found. insured: whether insurance numbers are among the keys."""
    found: set[int] = set()
    sharing: set[int] = set()
    oversized = set()
    for key, holders in holders_of.items():
        kind = kind_of[key]
        if len(holders) > LARGEST_BLOCK:
            oversized.add(kind)
        else:
            found.update(holders)
            if kind is Kind.INSURANCE:
                sharing.update(holders)
    found.discard(chart_id)
    all_of = frozenset(found)
    said = insured and Kind.INSURANCE not in oversized
    return Search(all_of, tuple(sorted(oversized, key=lambda kind: kind.name)), all_of & sharing if said else all_of)


def pairs(charts: Iterable[Chart], kinds: frozenset[Kind]) -> Iterator[tuple[Chart, Chart]]:
    """Every pair that candidate search finds among these charts, each once: what weights are learned from."""
    blocks: dict[int, list[Chart]] = defaultdict(list)
    for chart in charts:
        for key in keys(chart, kinds):
            blocks[key].append(chart)
    met: set[tuple[int, int]] = set()
    for block in blocks.values():
        if len(block) <= LARGEST_BLOCK:
            for one, other in combinations(block, 2):
                pair = (one.id, other.id) if one.id < other.id else (other.id, one.id)
                if pair not in met:
                    met.add(pair)
                    yield one, other


def _number(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big", signed=True)


@dataclass(frozen=True, slots=True)
class _Parts:
    """What keys are made of, read off a chart once. scripts: (script, name). given, family: initials of all scripts."""

    chart: Chart
    scripts: list[tuple[str, Name]]
    given: set[str]
    family: set[str]

    @classmethod
    def of(cls, chart: Chart) -> _Parts:
        named = (("kanji", chart.names_kanji), ("kana", chart.names_sound), ("latin", chart.names_latin))
        scripts = [(script, name) for script, name in named if name.family or name.given]
        return cls(
            chart,
            scripts,
            {name.given[0] for _, name in scripts if name.given},
            {name.family[0] for _, name in scripts if name.family},
        )


def _birth(parts: _Parts) -> Iterator[str]:
    if len(parts.chart.born) == 8:
        yield parts.chart.born


def _birth_given(parts: _Parts) -> Iterator[str]:
    for born in _birth(parts):
        for initial in parts.given:
            yield f"{born}|{initial}"


def _birth_family(parts: _Parts) -> Iterator[str]:
    for born in _birth(parts):
        for initial in parts.family:
            yield f"{born}|{initial}"


def _name(parts: _Parts) -> Iterator[str]:
    for script, name in parts.scripts:
        letters = _letters(script, name.family, name.given)
        if (name.family and name.given) or len(letters) > 3:
            yield f"{script}|{letters}"


@lru_cache(1 << 14)
def _letters(script: str, family: str, given: str) -> str:
    """The letters in one order whatever is family and what is given, wherever the name was split."""
    return "".join(sorted(_bones(script, family) + _bones(script, given)))


def _name_year(parts: _Parts) -> Iterator[str]:
    if len(parts.chart.born) >= 4:
        for name in _name(parts):
            yield f"{name}|{parts.chart.born[:4]}"


def _name_day(parts: _Parts) -> Iterator[str]:
    for born in _birth(parts):
        for name in _name(parts):
            yield f"{name}|{born[4:]}"


def _part(parts: _Parts) -> Iterator[str]:
    for script, name in parts.scripts:
        for one, other in ((name.family, name.given), (name.given, name.family)):
            if one and other and len(one) > 1:
                yield f"{script}|{_bones(script, one)}|{other[0]}"


def _telephone(parts: _Parts) -> Iterator[str]:
    for initial in parts.given or {""}:
        for telephone in parts.chart.telephones:
            yield f"{telephone}|{initial}"


def _insurance(parts: _Parts) -> Iterator[str]:
    for coverage in parts.chart.coverages:
        yield f"{coverage.insurer}|{coverage.number}"


def _postal_given(parts: _Parts) -> Iterator[str]:
    for postal in _postal_codes(parts):
        for script, name in parts.scripts:
            if name.given:
                yield f"{postal}|{script}|{_bones(script, name.given)}"


def _postal_month(parts: _Parts) -> Iterator[str]:
    if len(parts.chart.born) >= 6:
        for postal in _postal_codes(parts):
            yield f"{postal}|{parts.chart.born[:6]}"


def _postal_family(parts: _Parts) -> Iterator[str]:
    for postal in _postal_codes(parts):
        for script, name in parts.scripts:
            if name.family:
                yield f"{postal}|{script}|{_bones(script, name.family)}"


def _postal_codes(parts: _Parts) -> set[str]:
    return {place.postal for place in parts.chart.places if place.postal}


def _house(parts: _Parts) -> Iterator[str]:
    for place in parts.chart.places:
        if place.postal and place.numbers:
            # The digits in one order, because neighbours change places when they are typed.
            yield f"{''.join(sorted(place.postal))}|{place.numbers[0]}|{place.prefecture}"


_TEXTS: dict[Kind, Callable[[_Parts], Iterable[str]]] = {
    Kind.BIRTH: _birth,
    Kind.BIRTH_GIVEN: _birth_given,
    Kind.BIRTH_FAMILY: _birth_family,
    Kind.NAME: _name,
    Kind.NAME_YEAR: _name_year,
    Kind.NAME_DAY: _name_day,
    Kind.PART: _part,
    Kind.TELEPHONE: _telephone,
    Kind.INSURANCE: _insurance,
    Kind.POSTAL_GIVEN: _postal_given,
    Kind.POSTAL_MONTH: _postal_month,
    Kind.POSTAL_FAMILY: _postal_family,
    Kind.HOUSE: _house,
}


@lru_cache(64)
def _makers(kinds: frozenset[Kind]) -> tuple[tuple[Kind, str, Callable[[_Parts], Iterable[str]]], ...]:
    return tuple((kind, f"{kind.name}|", _TEXTS[kind]) for kind in Kind if kind in kinds)


_VOWELS = str.maketrans("", "", "AEIOUYHW ")


def _bones(script: str, name: str) -> str:
    """A name without what typists and ears drop: of Latin letters the first and the consonants, doubled ones once."""
    if script != "latin" or not name:
        return name
    consonants = name[1:].translate(_VOWELS)
    return name[0] + "".join(sign for before, sign in zip(" " + consonants, consonants, strict=False) if sign != before)
