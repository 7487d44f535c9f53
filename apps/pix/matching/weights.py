"""What agreement is worth: Fellegi-Sunter weights, as data, and how they are learned from a population.

Three kinds of pairs are told apart, each with a probability of every level of every field (``comparison.FIELDS``):

    same         one human (m)
    household    two humans of one family: surname, address, telephone and insurance agree, given name and birth do not
    strangers    any two charts of the population (u)

Given the kind, fields are taken as independent. The household is a kind of its own because four of the fields agree
together in it: without it, twins and couples would look like one human. The score of a pair is the logarithm (base 2)
of the odds that it is one human: ``log2(p(same) m / (p(household) h + p(strangers) u))``. 10 is about 1000 : 1.

u comes from random pairs, m and the share of each kind from expectation-maximisation over the pairs that candidate
search finds; pairs it does not find count as strangers. An equal name is worth what its frequency in the population
says. h stays as shipped: siblings are much alike everywhere, and a learned household could swallow poor matches.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from math import log2
from typing import Any

from apps.pix.matching.candidates import Kind, kinds_for
from apps.pix.matching.charts import Chart
from apps.pix.matching.comparison import (
    ALIKE,
    DIFFERENT_NAME,
    FAMILY,
    FIELDS,
    GIVEN,
    MISSING,
    SAME_CHARACTERS,
    SWAPPED,
    SWAPPED_SLIP,
    Vector,
    compare,
)

Table = tuple[tuple[float, ...], ...]  # [field][level] -> probability


@dataclass(frozen=True, slots=True)
class RuleVersion:
    """One set of weights, thresholds and switches. It decides every pair by itself, so it is kept as it is for good.

    same, household, strangers: [field][level] -> probability, in the order of ``comparison.FIELDS``.
    share_same, share_household: share of all pairs of the population. population: charts it was made for.
    frequencies: "kanji given" … -> name -> share of the charts; rarer names count as ``rarest``.
    link, review: least score of a link and of a case for review. apart: a score so low that two charts may not meet
    over a third one. support: least bits of residence, telephone or insurance behind a link. hard_rules: names of the
    rules that are on (``decisions.HARD_RULES``). trained_on: pairs learned from, 0 as shipped. created_at: ISO 8601
    with offset, or "".
    """

    name: str
    same: Table
    household: Table
    strangers: Table
    share_same: float
    share_household: float
    population: int
    frequencies: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    rarest: float = 1e-4
    link: float = 3.0
    review: float = 0.0
    apart: float = -15.0
    support: float = 6.0
    hard_rules: frozenset[str] = frozenset(("insurance", "twins", "newborn", "namesake"))
    trained_on: int = 0
    created_at: str = ""

    @property
    def kinds(self) -> frozenset[Kind]:
        """The kinds of candidate keys that charts have under this version."""
        return kinds_for(self.population)

    def as_json(self) -> dict[str, Any]:
        """For a JSON column; ``from_json`` reads it back to an equal version."""
        return asdict(self) | {"hard_rules": sorted(self.hard_rules)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RuleVersion:
        tables = {name: tuple(tuple(row) for row in data[name]) for name in ("same", "household", "strangers")}
        return cls(**{**data, **tables, "hard_rules": frozenset(data["hard_rules"])})


# --- scoring


@dataclass(frozen=True, slots=True)
class Weight:
    """What one field said: its level (``FIELDS[field][level]``) and how many bits it moved the score."""

    field: str
    level: str
    bits: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a pair scores as it does. against: "household" or "strangers", whichever else the pair could rather be.

    prior: bits before anything was compared. prior and all weights add up to the score, within a bit.
    """

    against: str
    prior: float
    weights: tuple[Weight, ...]


class Scorer:
    """A rule version made ready to score many pairs."""

    __slots__ = ("_frequencies", "_household", "_prior", "_same", "_strangers", "nothing_known", "version")

    def __init__(self, version: RuleVersion) -> None:
        self.version = version
        # A missing field has level -1, so the last place of each row is what it weighs: nothing.
        self._same, self._household, self._strangers = (
            tuple((*(log2(p) for p in row), 0.0) for row in table)
            for table in (version.same, version.household, version.strangers)
        )
        strangers = 1 - version.share_same - version.share_household
        self._prior = log2(version.share_same), log2(version.share_household), log2(strangers)
        # The score of two charts of which nothing can be compared.
        self.nothing_known = self._prior[0] - _log2_sum(self._prior[1], self._prior[2])
        self._frequencies = {
            part: {name: log2(share) for name, share in shares.items()} | {"": log2(version.rarest)}
            for part, shares in version.frequencies.items()
        }

    def score(self, one: Chart, other: Chart, vector: Vector) -> float:
        """log2 of the odds that both charts are of one human."""
        same, household, strangers = self._prior
        for level, m, h, u in zip(vector, self._same, self._household, self._strangers, strict=True):
            same += m[level]
            household += h[level]
            strangers += u[level]
        strangers += self.rarity(one, other, vector)
        return same - _log2_sum(household, strangers)

    def rarity(self, one: Chart, other: Chart, vector: Vector) -> float:
        """Bits by which two strangers share these very names more often than they share any (below 0: less often)."""
        return self._rarity(one, other, vector, GIVEN) + self._rarity(one, other, vector, FAMILY)

    def _rarity(self, one: Chart, other: Chart, vector: Vector, part: int) -> float:
        level = vector[part]
        if not self._frequencies or not (0 <= level <= SAME_CHARACTERS or level == SWAPPED):
            return 0.0
        logs = [bits for script in SCRIPTS if (bits := self._share(one, other, script, part, level))]
        return min(logs) - self._strangers[part][level] if logs else 0.0

    def _share(self, one: Chart, other: Chart, script: str, part: int, level: int) -> float:
        """log2 of the share of charts with the name that both have; of both names where they changed places."""
        if level == SWAPPED:
            names = [name for each in PARTS if (name := _part_of(one, script, each))]
            return sum(max(self._log(script, each, name) for each in PARTS) for name in names)
        name = _part_of(one, script, part)
        return self._log(script, part, name) if name and name == _part_of(other, script, part) else 0.0

    def _log(self, script: str, part: int, name: str) -> float:
        shares = self._frequencies[f"{script} {PARTS[part]}"]
        return shares.get(name, shares[""])

    def bits(self, vector: Vector, number: int) -> float:
        """What one field says for one human against two strangers; 0 where it is missing."""
        level = vector[number]
        return self._same[number][level] - self._strangers[number][level]

    def explain(self, one: Chart, other: Chart, vector: Vector) -> Explanation:
        """Field by field what moved the score, against the likelier of household and strangers."""
        household, strangers = self._prior[1], self._prior[2] + self.rarity(one, other, vector)
        for level, h, u in zip(vector, self._household, self._strangers, strict=True):
            household += h[level]
            strangers += u[level]
        family = household > strangers
        against = self._household if family else self._strangers
        found = []
        for number, (name, level) in enumerate(zip(FIELDS, vector, strict=True)):
            if level == MISSING:
                continue
            bits = self._same[number][level] - against[number][level]
            if not family and number in PARTS:
                bits -= self._rarity(one, other, vector, number)
            found.append(Weight(name, FIELDS[name][level], round(bits, 2)))
        prior = self._prior[0] - self._prior[1 if family else 2]
        return Explanation("household" if family else "strangers", round(prior, 2), tuple(found))


SCRIPTS = ("kanji", "kana", "latin")
PARTS = {GIVEN: "given", FAMILY: "family"}


def _part_of(chart: Chart, script: str, part: int) -> str:
    name = chart.names_kanji if script == "kanji" else chart.names_kana if script == "kana" else chart.names_latin
    return name.given if part == GIVEN else name.family


def _log2_sum(one: float, other: float) -> float:
    """log2(2**one + 2**other)."""
    high, low = (one, other) if one > other else (other, one)
    return high + log2(1 + 2.0 ** (low - high)) if high - low < 60 else high


# --- learning

_ROUNDS = 30
_RANDOM_PAIRS = 60_000
_RARE_COUNT = 5  # a name that fewer charts have counts as rare: it is not kept, and it would identify somebody
_MOST_NAMES = 20_000
_RELIABLE = 0.03  # the most often that given names of one human may differ for the twins rule to hold
_FAITH = 25.0  # how many pairs the shipped m is worth


def learn(
    version: RuleVersion,
    charts: Sequence[Chart],
    pairs: Iterable[tuple[Chart, Chart]],
    *,
    name: str,
    created_at: str = "",
    population: int = 0,
    fraction: float = 1.0,
) -> RuleVersion:
    """A version learned from a population, beginning with another one.

    charts: all of it, or a fair sample. pairs: those that candidate search finds, each once; of a large population a
    fair share of them will do, then ``fraction`` says which. population: charts there are, by default those given.
    The same input gives the same version.
    """
    population = max(population or len(charts), 2)
    version = replace(
        version,
        name=name,
        created_at=created_at,
        population=population,
        strangers=_strangers(version, charts),
        frequencies=_frequencies(charts),
        rarest=1 / max(len(charts), 2),
        share_same=1 / population,
        share_household=0.5 / population,
    )
    learned = _maximise(
        version, *_patterns(Scorer(version), pairs), every_pair=fraction * population * (population - 1) / 2
    )
    if 2 * sum(bool(chart.places or chart.telephones or chart.coverages) for chart in charts) > len(charts):
        # Where most charts have more than a name and a birth date, one that has not is not enough for a link.
        learned = replace(learned, hard_rules=learned.hard_rules | {"bare name"})
    if learned.same[GIVEN][DIFFERENT_NAME] > _RELIABLE:
        # Where given names are this often wrong, a differing one does not tell twins; the weights have to.
        learned = replace(learned, hard_rules=learned.hard_rules - {"twins"})
    return learned


def _walk(count: int) -> Iterable[tuple[int, int]]:
    """Pairs of places spread evenly, the same every time: strides of primes."""
    if count < 2:
        return
    for number in range(min(_RANDOM_PAIRS, 20 * count)):
        one = number * 7919 % count
        other = (one + 1 + (number * 104_729 + number // count * 31) % (count - 1)) % count
        yield one, other


def _strangers(version: RuleVersion, charts: Sequence[Chart]) -> Table:
    counts: list[Counter[int]] = [Counter() for _ in FIELDS]
    for one, other in _walk(len(charts)):
        for counter, level in zip(counts, compare(charts[one], charts[other]), strict=True):
            counter[level] += 1
    table = [_observed(counter, shipped) for counter, shipped in zip(counts, version.strangers, strict=True)]
    # Two strangers whose names are each other's reversed are too rare to be counted, yet as likely as namesakes.
    namesakes = sum(table[GIVEN][:ALIKE]) * sum(table[FAMILY][:ALIKE])
    given = list(table[GIVEN])
    given[SWAPPED], given[SWAPPED_SLIP] = namesakes, max(given[SWAPPED_SLIP], 4 * namesakes)
    given[DIFFERENT_NAME] += 1 - sum(given)
    table[GIVEN] = tuple(given)
    return tuple(table)


def _observed(counts: Mapping[int, int], shipped: Sequence[float]) -> tuple[float, ...]:
    """Shares of levels among strangers. One that never occurred has half an occurrence at most, or what is shipped."""
    total = sum(count for level, count in counts.items() if level != MISSING)
    if not total:
        return tuple(shipped)
    shares = [counts[level] / total if counts[level] else min(0.5 / total, p) for level, p in enumerate(shipped)]
    return tuple(share / sum(shares) for share in shares)


def _shares(counts: Mapping[int, float], shipped: Sequence[float], faith: float) -> tuple[float, ...]:
    """Counts of levels as probabilities, with the shipped ones for ``faith`` pairs more."""
    total = sum(count for level, count in counts.items() if level != MISSING) + faith
    return tuple((counts.get(level, 0.0) + faith * p) / total for level, p in enumerate(shipped))


def _frequencies(charts: Sequence[Chart]) -> dict[str, dict[str, float]]:
    tables = {}
    for script in SCRIPTS:
        for number, part in PARTS.items():
            counts = Counter(name for chart in charts if (name := _part_of(chart, script, number)))
            total = sum(counts.values())
            tables[f"{script} {part}"] = {
                name: count / total for name, count in counts.most_common(_MOST_NAMES) if count >= _RARE_COUNT
            }
    return tables


_Pattern = tuple[Vector, float]


def _patterns(scorer: Scorer, pairs: Iterable[tuple[Chart, Chart]]) -> tuple[Counter[_Pattern], int]:
    """How often each vector occurs, with the rarity of its names to the bit; and how many pairs there were."""
    patterns: Counter[_Pattern] = Counter()
    for one, other in pairs:
        vector = compare(one, other)
        patterns[vector, float(round(scorer.rarity(one, other, vector)))] += 1
    return patterns, patterns.total()


def _maximise(version: RuleVersion, patterns: Counter[_Pattern], count: int, *, every_pair: float) -> RuleVersion:
    """Expectation-maximisation of m and of the shares of the kinds; u and h stand still."""
    shipped = version.same
    for _ in range(_ROUNDS):
        prior, tables = _logs(version)
        levels: list[dict[int, float]] = [defaultdict(float) for _ in FIELDS]
        same_total = household_total = 0.0
        for (vector, rarity), times in patterns.items():
            same, household, strangers = (
                p + sum(row[level] for row, level in zip(table, vector, strict=True))
                for p, table in zip(prior, tables, strict=True)
            )
            rest = _log2_sum(household, strangers + rarity)
            whole = _log2_sum(same, rest)
            same_share = times * 2.0 ** (same - whole)
            household_total += times * 2.0 ** (household - whole)
            same_total += same_share
            for counts, level in zip(levels, vector, strict=True):
                counts[level] += same_share
        version = replace(
            version,
            same=tuple(_shares(counts, row, _FAITH) for counts, row in zip(levels, shipped, strict=True)),
            share_same=max(same_total, 1.0) / max(every_pair, 1.0),
            share_household=max(household_total, 1.0) / max(every_pair, 1.0),
            trained_on=count,
        )
    return version


def _logs(version: RuleVersion) -> tuple[tuple[float, float, float], tuple[Table, Table, Table]]:
    same, household, strangers = (
        tuple((*(log2(p) for p in row), 0.0) for row in table)
        for table in (version.same, version.household, version.strangers)
    )
    rest = 1 - version.share_same - version.share_household
    return (log2(version.share_same), log2(version.share_household), log2(rest)), (same, household, strangers)
