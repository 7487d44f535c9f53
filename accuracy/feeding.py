"""Feed a population to the engine that the services use, one record at a time, and measure what comes out."""

from __future__ import annotations

import time
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from accuracy.measures import Quality, by_clusters, by_pairs, overmerged
from apps.pix.matching import Chart, MemoryStore, RuleVersion, Scorer, learn, pairs
from apps.pix.matching.candidates import kinds_for
from apps.pix.matching.defaults import SHIPPED


@dataclass(frozen=True, slots=True)
class Result:
    """pairs, clusters: of automatic links. settled: pairs once a clerk has settled every case for review rightly.

    review: cases waiting, as a share of the records. overmerged: records under somebody else's person. rate: records a
    second, searching, deciding and regrouping included.
    """

    records: int
    pairs: Quality
    clusters: Quality
    settled: Quality
    review: float
    overmerged: int
    rate: float


_SAMPLE = 40_000  # charts that are enough to learn from


def train(charts: Sequence[Chart], name: str = "learned") -> RuleVersion:
    """The version that this population teaches, truth unknown; of a large one the first charts will do."""
    sample, population = charts[:_SAMPLE], len(charts)
    fraction = (len(sample) / population) ** 2
    found = pairs(sample, kinds_for(population))
    return learn(SHIPPED, sample, found, name=name, population=population, fraction=fraction)


def feed(charts: Sequence[Chart], version: RuleVersion) -> tuple[MemoryStore, float]:
    """Everything fed one by one; the store and the seconds it took."""
    store = MemoryStore(Scorer(version))
    start = time.perf_counter()
    for chart in charts:
        store.feed(chart)
    return store, time.perf_counter() - start


def measure(charts: Sequence[Chart], truth: Mapping[int, Hashable], version: RuleVersion) -> Result:
    """Feed and compare with the truth (chart id -> person)."""
    store, seconds = feed(charts, version)
    found = dict(store.person_of)
    waiting = review_cases(store)
    quality, clusters, wrong = by_pairs(found, truth), by_clusters(found, truth), overmerged(found, truth)
    for one, other in waiting:
        store.state(one, other, one_human=truth[one] == truth[other])
    return Result(
        len(charts),
        quality,
        clusters,
        by_pairs(store.person_of, truth),
        len(waiting) / len(charts),
        wrong,
        len(charts) / seconds,
    )


def review_cases(store: MemoryStore) -> list[tuple[int, int]]:
    """One case for each two persons that may be one: what waits for a clerk. Chart ids, first < second."""
    cases: dict[tuple[int, int], tuple[int, int]] = {}
    for decision in store.all_decisions():
        persons = sorted((store.person_of[decision.first], store.person_of[decision.second]))
        if persons[0] != persons[1]:
            cases.setdefault((persons[0], persons[1]), (decision.first, decision.second))
    return sorted(cases.values())
