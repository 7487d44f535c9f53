"""From pairs to persons: which charts stand together, whatever the order in which they came.

Links are taken from the strongest to the weakest. A link joins two clusters unless a member of one may not be with a
member of the other: a clerk keeps them apart, or the two contradict each other (twins). Links of equal strength are
taken together, so that nothing depends on the order of ids; where they would tie contradicting charts, none holds.
A chart that would fit two charts that contradict each other about equally well is joined to neither.

What is stated outweighs all of it: facilities' merges and clerks' links join first, unasked. A clerk's "apart" comes
before every link of the machine. A statement of a facility and a clerk's "apart" about the same two charts cannot both
hold; the service that writes the later one ends the earlier one.

The clusters are those of the connected components of the links. So after a change it is enough to do this anew for the
components that changed; the result is the one of doing it for all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby

# A chart between two that contradict each other joins the better one only if it is better by this many bits.
MARGIN = 8.0


@dataclass(frozen=True, slots=True)
class Tie:
    """A link between two charts. strength: bits; stated ties are stronger than any."""

    first: int
    second: int
    strength: float
    stated: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """The charts of one person, ids ascending; the ties that hold; the ties that were refused by a contradiction."""

    charts: tuple[int, ...]
    ties: tuple[Tie, ...] = ()


@dataclass(frozen=True, slots=True)
class Grouping:
    """groups: every chart in exactly one. refused: ties that may not hold, each a case for review."""

    groups: tuple[Group, ...]
    refused: tuple[Tie, ...] = ()


def group(charts: Iterable[int], ties: Iterable[Tie], may_not_meet: Callable[[int, int], bool]) -> Grouping:
    """Put charts into groups. Every tie is between charts given.

    may_not_meet: whether two charts may not stand together; symmetric. The result depends on the sets alone.
    """
    forest = {chart: {chart} for chart in charts}
    ties = sorted(ties, key=lambda tie: (not tie.stated, -tie.strength, tie.first, tie.second))
    stated = [tie for tie in ties if tie.stated]
    for tie in stated:
        _join(forest, (forest[tie.first], forest[tie.second]))
    torn = _torn([tie for tie in ties if not tie.stated], may_not_meet)
    held, refused = list(stated), [tie for tie in ties if tie in torn]
    open_ties = [tie for tie in ties if not tie.stated and tie not in torn]
    for _, equals in groupby(open_ties, key=lambda tie: tie.strength):
        for component in _components(list(equals), forest):
            clusters = {
                id(cluster): cluster for tie in component for cluster in (forest[tie.first], forest[tie.second])
            }
            if _contradicted(list(clusters.values()), may_not_meet):
                refused += component
            else:
                _join(forest, clusters.values())
                held += component
    return _grouping(forest, held, refused)


def _torn(ties: Sequence[Tie], may_not_meet: Callable[[int, int], bool]) -> frozenset[Tie]:
    """Ties of a chart to two charts that may not meet, neither being clearly the better one."""
    of_chart: dict[int, list[tuple[int, Tie]]] = defaultdict(list)
    for tie in ties:
        of_chart[tie.first].append((tie.second, tie))
        of_chart[tie.second].append((tie.first, tie))
    torn = set()
    for neighbours in of_chart.values():
        for (one, tie), (other, rival) in combinations(neighbours, 2):
            if abs(tie.strength - rival.strength) < MARGIN and may_not_meet(one, other):
                torn |= {tie, rival}
    return frozenset(torn)


def _components(ties: list[Tie], forest: dict[int, set[int]]) -> list[list[Tie]]:
    """Ties of equal strength that touch the same clusters, together; ties inside a cluster each alone."""
    if len(ties) == 1:
        return [ties]
    root: dict[int, int] = {}

    def find(cluster: int) -> int:
        while root.setdefault(cluster, cluster) != cluster:
            cluster = root[cluster]
        return cluster

    for tie in ties:
        root[find(id(forest[tie.first]))] = find(id(forest[tie.second]))
    found: dict[int, list[Tie]] = defaultdict(list)
    for tie in ties:
        found[find(id(forest[tie.first]))].append(tie)
    return list(found.values())


def _contradicted(clusters: Sequence[set[int]], may_not_meet: Callable[[int, int], bool]) -> bool:
    return any(
        may_not_meet(one, other) for cluster, rest in combinations(clusters, 2) for one in cluster for other in rest
    )


def _join(forest: dict[int, set[int]], clusters: Iterable[set[int]]) -> None:
    whole: set[int] = set().union(*clusters)
    for chart in whole:
        forest[chart] = whole


def _grouping(forest: dict[int, set[int]], held: list[Tie], refused: list[Tie]) -> Grouping:
    ties_of: dict[int, list[Tie]] = defaultdict(list)
    for tie in held:
        ties_of[id(forest[tie.first])].append(tie)
    clusters = {id(cluster): cluster for cluster in forest.values()}
    groups = [Group(tuple(sorted(cluster)), tuple(ties_of[key])) for key, cluster in clusters.items()]
    # A refused tie inside one group was overruled by a better way: nothing is left to review.
    open_ties = tuple(tie for tie in refused if forest[tie.first] is not forest[tie.second])
    return Grouping(tuple(sorted(groups, key=lambda each: each.charts)), open_ties)
