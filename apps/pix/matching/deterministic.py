"""Two rules that need no weights: equal keys make one person (decision 0030).

Charts are the points of a graph. A rule joins two charts when what their facilities say agrees so far that they can
only be one human; a statement of a facility (a merge) joins them too. The clusters of the graph are the persons.
``clusters`` is a function of the *set* of charts, so the order in which they arrived cannot change the result.

    name and birth     kanji name (variants folded), kana name, birth date and sex are all present and equal
    insurance          insurer number, symbol, number and branch are all present and equal, the birth date too, and
                       neither given name nor sex contradicts (twins share everything but these)

Everything less stays apart. A chart that the insurance rule would join to two charts that contradict each other
proves nothing and is joined to neither.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import combinations

from apps.pix.matching.charts import Chart

# --- rules


def contradict(one: Chart, other: Chart) -> bool:
    """Whether two charts that share an insurance cannot be one human: their sex or their given names differ.

    Given names differ where no representation that both have agrees. A name that came in one piece agrees with a
    given name that it ends with; a surname changes, so it never contradicts.
    """
    if one.sex and other.sex and one.sex != other.sex:
        return True
    agreements = [
        _given_names_agree(*pair)
        for pair in (
            (one.kanji, one.kanji_given, other.kanji, other.kanji_given),
            (one.kana, one.kana_given, other.kana, other.kana_given),
        )
        if pair[0] and pair[2]
    ]
    return bool(agreements) and not any(agreements)


def _given_names_agree(name: str, given: str, other_name: str, other_given: str) -> bool:
    if given and other_given:
        return given == other_given
    if given or other_given:
        return (other_name if given else name).endswith(given or other_given)
    return name == other_name


def _never(_one: Chart, _other: Chart) -> bool:
    return False


def _name_and_birth(chart: Chart) -> tuple[str, ...]:
    parts = (chart.kanji, chart.kana, chart.birth_date, chart.sex)
    return ("|".join(parts),) if all(parts) else ()


def _insurance(chart: Chart) -> tuple[str, ...]:
    return tuple(f"{key}|{chart.birth_date}" for key in sorted(chart.insurances)) if chart.birth_date else ()


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: charts with an equal key are one person, unless ``forbids`` says that they contradict each other.

    fields: what agreed when it holds, for the evidence of a link.
    """

    name: str
    version: int
    fields: tuple[str, ...]
    keys: Callable[[Chart], tuple[str, ...]]
    forbids: Callable[[Chart, Chart], bool]

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


NAME_AND_BIRTH = Rule("name and birth", 1, ("kanji name", "kana name", "birth date", "sex"), _name_and_birth, _never)
INSURANCE = Rule("insurance", 1, ("insurer number", "symbol", "number", "branch", "birth date"), _insurance, contradict)
RULES = (NAME_AND_BIRTH, INSURANCE)


def match_keys(chart: Chart) -> frozenset[tuple[str, str]]:
    """(name of the rule, key) of every rule that can speak about this chart.

    The key is a digest (BLAKE2b, 128 bits, hex) of what is compared, so its length is fixed and it shows nothing.
    """
    return frozenset((rule.name, _digest(rule, key)) for rule in RULES for key in rule.keys(chart))


def _digest(rule: Rule, key: str) -> str:
    return hashlib.blake2b(f"{rule}|{key}".encode(), digest_size=16).hexdigest()


# --- clusters


@dataclass(frozen=True, slots=True)
class Link:
    """Why two charts are one person: a rule (``insurance@1``) or a statement (``merge``); the fields that agreed."""

    first: int
    second: int
    rule: str
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cluster:
    """The charts of one person, ids ascending, and the links that hold them together."""

    charts: tuple[int, ...]
    links: tuple[Link, ...] = ()

    def link_of(self, chart_id: int) -> Link | None:
        """The first link that ties this chart to another; None where it stands alone."""
        return next((link for link in self.links if chart_id in (link.first, link.second)), None)


@dataclass(slots=True)
class _Forest:
    """Union-find: each chart's root is the smallest id it is joined with."""

    root: dict[int, int] = field(default_factory=dict)

    def find(self, chart: int) -> int:
        while self.root.setdefault(chart, chart) != chart:
            self.root[chart] = self.root[self.root[chart]]
            chart = self.root[chart]
        return chart

    def join(self, links: Iterable[Link]) -> _Forest:
        for link in links:
            one, other = self.find(link.first), self.find(link.second)
            self.root[max(one, other)] = min(one, other)
        return self


def clusters(charts: Iterable[Chart], stated: Iterable[Link] = ()) -> tuple[Cluster, ...]:
    """The persons behind these charts, ordered by their smallest chart id.

    stated: links that a facility stated; they hold whatever the rules say. The same set of charts and statements
    gives the same clusters in whatever order they come.
    """
    by_id = {chart.id: chart for chart in sorted(charts, key=lambda chart: chart.id)}
    stated = sorted((link for link in stated if link.first in by_id and link.second in by_id), key=_link_order)
    certain = stated + _rule_links(NAME_AND_BIRTH, by_id)
    base = _Forest().join(certain)
    trusted = _trustworthy(_rule_links(INSURANCE, by_id), by_id, base)
    links = certain + trusted
    forest = _Forest().join(links)
    members: dict[int, list[int]] = defaultdict(list)
    for chart_id in by_id:
        members[forest.find(chart_id)].append(chart_id)
    links_of: dict[int, list[Link]] = defaultdict(list)
    for link in links:
        links_of[forest.find(link.first)].append(link)
    return tuple(Cluster(tuple(ids), tuple(links_of[root])) for root, ids in sorted(members.items()))


def _link_order(link: Link) -> tuple[int, int, str]:
    return (link.first, link.second, link.rule)


def _rule_links(rule: Rule, by_id: dict[int, Chart]) -> list[Link]:
    """Every pair that the rule joins; of a rule that forbids nothing, each chart with the first of its key."""
    groups: dict[str, list[Chart]] = defaultdict(list)
    for chart in by_id.values():
        for key in rule.keys(chart):
            groups[key].append(chart)
    links = []
    for _, group in sorted(groups.items()):
        pairs = ((group[0], each) for each in group[1:]) if rule.forbids is _never else combinations(group, 2)
        links += [Link(a.id, b.id, str(rule), rule.fields) for a, b in pairs if not rule.forbids(a, b)]
    return links


def _trustworthy(links: list[Link], by_id: dict[int, Chart], base: _Forest) -> list[Link]:
    """The links of the insurance rule that tie no two charts together that contradict each other.

    base: what is joined for certain; charts inside one certain person do not contradict each other. First the links
    of a chart that stands between contradicting neighbours fall; should a longer chain still tie
    contradicting charts together, all links of the rule in that chain fall.
    """
    neighbours: dict[int, set[int]] = defaultdict(set)
    for link in links:
        neighbours[link.first].add(link.second)
        neighbours[link.second].add(link.first)
    doubtful = {chart for chart, others in neighbours.items() if _torn(others, by_id, base)}
    links = [link for link in links if link.first not in doubtful and link.second not in doubtful]
    forest = _Forest(dict(base.root)).join(links)
    members: dict[int, set[int]] = defaultdict(set)
    for chart_id in by_id:
        members[forest.find(chart_id)].add(chart_id)
    torn = {root for root, charts in members.items() if len(charts) > 2 and _torn(charts, by_id, base)}
    return [link for link in links if forest.find(link.first) not in torn]


def _torn(chart_ids: Iterable[int], by_id: dict[int, Chart], base: _Forest) -> bool:
    """Whether two of these charts contradict each other and are not one person for certain."""
    current = [by_id[chart_id] for chart_id in sorted(chart_ids) if by_id[chart_id].current]
    return any(
        base.find(one.id) != base.find(other.id) and contradict(one, other) for one, other in combinations(current, 2)
    )
