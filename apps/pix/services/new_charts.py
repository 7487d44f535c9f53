"""A chart on its way into the index: what was told of it, normalised, and what was decided of it with others.

Preparing one and comparing it with the charts that are there is the same work wherever it is done: by the process that
writes, or by one that works ahead of it (``ahead``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from django.conf import settings

from apps.pix import matching
from apps.pix.matching import Chart, Decision, Kind, Named, Outcome, Scorer, Search
from apps.pix.services import versions
from apps.pix.services.charts import SearchKeys, content_of, read_chart_of, search_keys_of, told_by
from apps.pix.services.linking import Cause
from hie.values.identifiers import Identifier
from hie.values.people import Demographics


@dataclass(slots=True)
class NewChart:
    """A chart that is to come into the index, normalised. id, person: once it has been taken.

    content: the columns ``charts.CONTENT``. keys: candidate keys, of the kinds of one rule version. cause: who told of
    it. explained: of decisions that another process made, what each field said. read: what matching compares of it;
    made of the content when somebody asks. is_written: its rows of keys are written by who decided it.
    """

    identifier: Identifier
    facility_code: str
    content: tuple[str, ...]
    keys: dict[int, Kind]
    kinds: frozenset[Kind]
    cause: Cause
    id: int = 0
    person: int = 0
    decided: dict[int, Decision] = field(default_factory=dict)
    explained: dict[int, list[list[object]]] = field(default_factory=dict)
    read: Chart | None = None
    searched: SearchKeys | None = None
    is_written: bool = False

    @property
    def is_fed(self) -> bool:
        """Whether it is a regional id of the identity source (decision 0046): it brings its person along."""
        return self.identifier.oid == settings.AFFINITY_DOMAIN_OID

    @property
    def chart(self) -> Chart:
        """What matching compares."""
        if self.read is None or self.read.id != self.id:
            self.read = read_chart_of(self.id, self.facility_code, self.content)
        return self.read

    @property
    def search(self) -> SearchKeys:
        """By what the chart is found (PDQ)."""
        if self.searched is None:
            self.searched = search_keys_of(told_by(self.content))
        return self.searched


def prepare(identifier: Identifier, told: Demographics, cause: Cause, kinds: frozenset[Kind]) -> NewChart:
    """Normalise what is told of a chart that is not in the index. It needs no database."""
    chart = matching.read_chart(0, told, facility=cause.facility_code)
    return NewChart(
        identifier=identifier,
        facility_code=cause.facility_code,
        content=content_of(told),
        keys=matching.keys(chart, kinds),
        kinds=kinds,
        cause=cause,
        read=chart,
        searched=search_keys_of(told),
    )


def worth_comparing(scorer: Scorer, chart: Named, search: Search, seen: Mapping[int, Named]) -> list[int]:
    """Of the charts that a search has found those that a first look does not tell apart; seen: what it saw."""
    return sorted(
        each
        for each in search.charts
        if each in seen and not matching.plainly_two(scorer, chart, seen[each], insured=each in search.insured)
    )


def decide(scorer: Scorer, chart: Chart, other: Chart | None) -> Decision | None:
    """What becomes of a new chart and another one; None where they are separate or the other is not there."""
    if other is None:
        return None
    verdict = matching.decide(scorer, chart, other)
    if verdict.outcome is Outcome.SEPARATE:
        return None
    first, second = (chart.id, other.id) if chart.id < other.id else (other.id, chart.id)
    decision = Decision(first, second, verdict, scorer.version.name)
    return versions.with_name_and_birth(decision, chart, other)
