"""Precision, recall and F1 of a matching result against the truth, by pairs and by clusters."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quality:
    """right: found and true. found: what was found. true: what there is to find."""

    right: int
    found: int
    true: int

    @property
    def precision(self) -> float:
        return self.right / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        return self.right / self.true if self.true else 1.0

    @property
    def f1(self) -> float:
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0

    def __str__(self) -> str:
        return f"{self.precision:.5f} {self.recall:.5f} {self.f1:.5f}"


def by_pairs(found: Mapping[int, Hashable], truth: Mapping[int, Hashable]) -> Quality:
    """Pairs of records under one person. found, truth: record -> person. Both have the same records."""
    right = _pairs(Counter((found[record], truth[record]) for record in truth))
    return Quality(right, _pairs(Counter(found.values())), _pairs(Counter(truth.values())))


def by_clusters(found: Mapping[int, Hashable], truth: Mapping[int, Hashable]) -> Quality:
    """Whole persons: a cluster is right where it has exactly the records of one person."""
    found_sets, true_sets = _clusters(found), _clusters(truth)
    return Quality(len(found_sets & true_sets), len(found_sets), len(true_sets))


def overmerged(found: Mapping[int, Hashable], truth: Mapping[int, Hashable]) -> int:
    """Records that stand under a person with records of somebody else, the largest part of each person not counted."""
    parts: dict[Hashable, Counter[Hashable]] = defaultdict(Counter)
    for record, person in found.items():
        parts[person][truth[record]] += 1
    return sum(sum(of.values()) - max(of.values()) for of in parts.values())


def _pairs(counts: Counter[Hashable]) -> int:
    return sum(count * (count - 1) // 2 for count in counts.values())


def _clusters(persons: Mapping[int, Hashable]) -> set[frozenset[int]]:
    members: dict[Hashable, list[int]] = defaultdict(list)
    for record, person in persons.items():
        members[person].append(record)
    return {frozenset(records) for records in members.values()}
