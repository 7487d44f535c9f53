"""One chart after another: find candidates, decide the pairs, regroup what changed.

The engine keeps nothing. It asks a ``Store``, and tells what has to be kept; the services put a database behind it,
tests and measurements a dictionary (``MemoryStore``), so that both do the same. After every feed the store holds

    for each chart     its keys (signed 64-bit numbers)
    for each pair      the decision, where it is a link or a case for review; pairs without one are separate
    statements         what facilities and clerks said about pairs: one human, or apart

and the persons are a function of these. A chart that changes loses its decisions and gets new ones.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from apps.pix.matching.candidates import Kind, Search, candidates, keys
from apps.pix.matching.charts import Chart, Named
from apps.pix.matching.clusters import Grouping, Tie, group
from apps.pix.matching.decisions import Outcome, Verdict, decide, plainly_two
from apps.pix.matching.weights import Scorer


@dataclass(frozen=True, slots=True)
class Decision:
    """What the machine decided of two charts, first < second. version: name of the rule version that did."""

    first: int
    second: int
    verdict: Verdict
    version: str

    def other(self, chart: int) -> int:
        """The chart beside this one."""
        return self.second if self.first == chart else self.first


@dataclass(frozen=True, slots=True)
class Statement:
    """What somebody who knows said of two charts, first < second: one human, or two. It is never overwritten here."""

    first: int
    second: int
    one_human: bool


class Store(Protocol):
    """What the engine asks of whoever keeps the charts. Answers hold what is there, in any order."""

    def holders(self, wanted: Sequence[int], limit: int) -> Mapping[int, Sequence[int]]:
        """For each key the charts that have it, at most ``limit`` + 1 of each: more of them are not needed."""

    def glances(self, ids: Collection[int]) -> Mapping[int, Named]:
        """Names and birth of the charts with these ids: enough to tell most candidates apart."""

    def charts(self, ids: Collection[int]) -> Mapping[int, Chart]:
        """The charts with these ids."""

    def decisions(self, ids: Collection[int]) -> Iterable[Decision]:
        """The links and cases for review that have one of these charts on either side."""

    def statements(self, ids: Collection[int]) -> Iterable[Statement]:
        """The statements that have one of these charts on either side."""


@dataclass(frozen=True, slots=True)
class Considered:
    """decisions: links and cases for review of one chart. oversized: kinds of keys whose block was left out."""

    decisions: tuple[Decision, ...]
    oversized: tuple[Kind, ...] = ()


def consider(chart: Chart, store: Store, scorer: Scorer) -> Considered:
    """Decide a chart with everything that is worth comparing. Nothing is changed.

    The chart need not be stored yet. Its decisions replace all that the store has of it.
    """
    return consider_found(chart, candidates(chart, scorer.version.kinds, store.holders), store, scorer)


def consider_found(chart: Chart, search: Search, store: Store, scorer: Scorer) -> Considered:
    """Decide a chart with the candidates that a search has found."""
    seen = store.glances(search.charts)
    worth = [
        each for each, other in seen.items() if not plainly_two(scorer, chart, other, insured=each in search.insured)
    ]
    decided = []
    for other in store.charts(worth).values():
        verdict = decide(scorer, chart, other)
        if verdict.outcome is not Outcome.SEPARATE:
            first, second = sorted((chart.id, other.id))
            decided.append(Decision(first, second, verdict, scorer.version.name))
    return Considered(tuple(decided), search.oversized)


@dataclass(frozen=True, slots=True)
class Regrouped:
    """charts: all that any link or statement ties to the charts asked for. grouping: the persons they make."""

    charts: Mapping[int, Chart]
    grouping: Grouping
    decisions: Mapping[tuple[int, int], Decision] = field(default_factory=dict)


def regroup(ids: Collection[int], store: Store, scorer: Scorer) -> Regrouped:
    """The persons behind these charts and behind everything that is tied to them. The store holds the new decisions.

    After a chart changed, ``ids`` are the chart itself and the charts it was linked with before and is now.
    """
    decisions, statements, known = _component(ids, store)
    charts = store.charts(known)
    apart = {(each.first, each.second) for each in statements if not each.one_human}
    remembered: dict[tuple[int, int], bool] = {}

    def may_not_meet(one: int, other: int) -> bool:
        pair = (one, other) if one < other else (other, one)
        if pair not in remembered:
            remembered[pair] = pair in apart or (
                pair not in decisions and decide(scorer, charts[one], charts[other]).apart
            )
        return remembered[pair]

    ties = [Tie(each.first, each.second, _STATED, stated=True) for each in statements if each.one_human]
    ties += [Tie(*pair, _strength(each.verdict)) for pair, each in decisions.items() if pair not in apart]
    return Regrouped(charts, group(charts, ties, may_not_meet), decisions)


_STATED = 1e6
_BY_RULE = 1e3  # a hard rule's link is stronger than any score's


def _strength(verdict: Verdict) -> float:
    # Rounded, so that two ways of adding the same bits are equally strong.
    return round(verdict.score, 6) + (_BY_RULE if verdict.rule != "score" else 0.0)


def _component(ids: Collection[int], store: Store) -> tuple[dict[tuple[int, int], Decision], set[Statement], set[int]]:
    """The links and statements of everything that links and "one human" statements tie to these charts."""
    links: dict[tuple[int, int], Decision] = {}
    statements: set[Statement] = set()
    known, fresh = set(ids), set(ids)
    while fresh:
        found: set[int] = set()
        for decision in store.decisions(fresh):
            if decision.verdict.outcome is Outcome.LINK:
                links[decision.first, decision.second] = decision
                found |= {decision.first, decision.second}
        for statement in store.statements(fresh):
            statements.add(statement)
            if statement.one_human:
                found |= {statement.first, statement.second}
        fresh = found - known
        known |= fresh
    return links, {each for each in statements if each.first in known and each.second in known}, known


# --- a store in memory


class MemoryStore:
    """Charts, keys and decisions in dictionaries: for tests, for measurements, for trying a rule version."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer
        self.oversized: dict[Kind, int] = defaultdict(int)
        self.person_of: dict[int, int] = {}  # chart -> the smallest chart of its person
        self.members: dict[int, tuple[int, ...]] = {}
        self._charts: dict[int, Chart] = {}
        self._keys: dict[int, list[int]] = {}
        self._holders: dict[int, list[int]] = defaultdict(list)
        self._decisions: dict[int, dict[int, Decision]] = defaultdict(dict)
        self._statements: dict[int, set[Statement]] = defaultdict(set)

    def feed(self, chart: Chart) -> Considered:
        """Take a chart that is new or has changed, and make the persons follow."""
        before = self._forget(chart.id)
        considered = consider(chart, self, self.scorer)
        self._keep(chart, considered)
        self._follow({chart.id, *before, *self._linked(chart.id)})
        return considered

    def state(self, one: int, other: int, *, one_human: bool) -> None:
        """Take what a facility or a clerk says of two charts; it replaces what was said of them before."""
        first, second = sorted((one, other))
        statement = Statement(first, second, one_human)
        for chart in (first, second):
            said = {each for each in self._statements[chart] if (each.first, each.second) != (first, second)}
            self._statements[chart] = said | {statement}
        self._follow({first, second})

    def holders(self, wanted: Sequence[int], limit: int) -> dict[int, list[int]]:
        return {key: found[: limit + 1] for key in wanted if (found := self._holders.get(key))}

    def glances(self, ids: Collection[int]) -> dict[int, Chart]:
        return self.charts(ids)

    def charts(self, ids: Collection[int]) -> dict[int, Chart]:
        return {each: self._charts[each] for each in ids if each in self._charts}

    def decisions(self, ids: Collection[int]) -> list[Decision]:
        return [each for chart in ids for each in self._decisions.get(chart, {}).values()]

    def statements(self, ids: Collection[int]) -> list[Statement]:
        return [each for chart in ids for each in self._statements.get(chart, ())]

    def all_decisions(self) -> list[Decision]:
        """Every decision once."""
        return [each for chart, of in self._decisions.items() for each in of.values() if each.first == chart]

    def _forget(self, chart: int) -> set[int]:
        """Drop keys and decisions of a chart; returns the charts that stood with it."""
        for key in self._keys.pop(chart, ()):
            self._holders[key].remove(chart)
        for other in self._decisions.pop(chart, {}):
            del self._decisions[other][chart]
        return set(self.members.get(self.person_of.get(chart, 0), ())) - {chart}

    def _keep(self, chart: Chart, considered: Considered) -> None:
        self._charts[chart.id] = chart
        self._keys[chart.id] = list(keys(chart, self.scorer.version.kinds))
        for key in self._keys[chart.id]:
            self._holders[key].append(chart.id)
        for decision in considered.decisions:
            self._decisions[chart.id][decision.other(chart.id)] = decision
            self._decisions[decision.other(chart.id)][chart.id] = decision
        for kind in considered.oversized:
            self.oversized[kind] += 1

    def _linked(self, chart: int) -> set[int]:
        of_chart = self._decisions.get(chart, {}).items()
        return {other for other, each in of_chart if each.verdict.outcome is Outcome.LINK}

    def _follow(self, ids: Collection[int]) -> None:
        regrouped = regroup(ids, self, self.scorer)
        for chart in regrouped.charts:
            self.members.pop(self.person_of.get(chart, 0), None)
        for found in regrouped.grouping.groups:
            self.members[found.charts[0]] = found.charts
            self.person_of.update(dict.fromkeys(found.charts, found.charts[0]))
