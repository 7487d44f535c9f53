"""Another version of the matching rules: learned from the live population, tried without changing anything, adopted.

All three go over the whole population, so they are commands (``manage.py train_matching``, ``what_if``,
``adopt_matching``) and not pages. Learning holds a sample in memory, trying holds every chart (about 5 kB each).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

from django.db import OperationalError, transaction
from django.utils import timezone

from apps.pix import matching
from apps.pix.matching import Chart, Considered, MemoryStore, Statement
from apps.pix.models import Assertion, LocalIdentifier, MatchRules, ReviewCase
from apps.pix.services import linking, versions
from apps.pix.services.charts import chart_of
from apps.pix.services.linking import Cause

SAMPLE = 40_000  # charts that are enough to learn from
_AT_ONCE = 500
_ATTEMPTS = 5
# Feeds that began before an adoption may end after it, at most so much later.
_LONGEST_FEED = timedelta(minutes=5)

Progress = Callable[[int], None]


class TooFewChartsError(Exception):
    """There is nobody to learn from yet."""


def train(*, by: str, name: str = "") -> MatchRules:
    """Learn a version from the live population by expectation-maximisation; it is kept and not in force.

    by: account of who asked. name: by default the moment. Of a large population charts spread evenly will do. Raises
    TooFewChartsError.
    """
    now = timezone.now()
    ids = list(LocalIdentifier.objects.order_by("pk").values_list("pk", flat=True))
    if len(ids) < 2:
        raise TooFewChartsError("Learning needs at least two charts.")
    sample = list(_charts(ids[:: -(-len(ids) // SAMPLE)]))
    learned = matching.learn(
        versions.DEFAULT,
        sample,
        matching.pairs(sample, matching.kinds_for(len(ids))),
        name=name or f"learned-{now:%Y%m%d-%H%M%S}",
        created_at=now.isoformat(),
        population=len(ids),
        fraction=(len(sample) / len(ids)) ** 2,
    )
    note = f"{len(sample)} of {len(ids)} charts"
    return MatchRules.objects.create(name=learned.name, rules=learned.as_json(), created_by=by, note=note)


def sized(population: int, *, by: str) -> MatchRules:
    """The shipped weights for a population of so many charts, kept and not in force: for a network that begins with
    whole lists of patients (``loading``), before there is anybody to learn from.

    The size says which candidate keys charts have and how rare it is that two of them are one human.
    """
    version = replace(
        versions.DEFAULT,
        name=f"{versions.DEFAULT.name}-{population}",
        population=population,
        share_same=1 / max(population, 2),
        share_household=1 / max(population, 2),
    )
    rules, _ = MatchRules.objects.get_or_create(
        name=version.name,
        defaults={"rules": version.as_json(), "created_by": by, "note": f"shipped, for {population} charts"},
    )
    return rules


@dataclass(frozen=True, slots=True)
class Difference:
    """What another version would change. joined, parted: chart rows (ids) of each person that would come of several,
    and of each that would become several. review: cases that would wait, review_now: cases that wait."""

    charts: int
    persons_now: int
    persons: int
    joined: tuple[tuple[int, ...], ...]
    parted: tuple[tuple[int, ...], ...]
    review_now: int
    review: int


def what_if(name: str, progress: Progress = lambda _done: None) -> Difference:
    """Run a version over the live population without changing anything. Raises MatchRules.DoesNotExist."""
    trial = _Trial(versions.scorer_of(name))
    now: dict[int, int] = dict(LocalIdentifier.objects.order_by("pk").values_list("pk", "person_id"))
    for done, chart in enumerate(_charts(list(now)), 1):
        trial.feed(chart)
        if not done % _AT_ONCE:
            progress(done)
    for first, second, one_human in Assertion.objects.filter(ended_at=None).values_list(
        "first_id", "second_id", "one_human"
    ):
        trial.state(first, second, one_human=one_human)
    present: dict[int, list[int]] = defaultdict(list)
    for chart_id, person in now.items():
        present[person].append(chart_id)
    waiting = ReviewCase.objects.filter(state__in=(ReviewCase.State.OPEN, ReviewCase.State.POSTPONED))
    return Difference(
        charts=len(now),
        persons_now=len(present),
        persons=len(trial.members),
        joined=tuple(sorted(each for each in trial.members.values() if len({now[chart] for chart in each}) > 1)),
        parted=tuple(
            sorted(tuple(each) for each in present.values() if len({trial.person_of[chart] for chart in each}) > 1)
        ),
        review_now=waiting.count(),
        review=trial.questions(),
    )


def adopt(name: str, *, by: str, progress: Progress = lambda _done: None) -> int:
    """Put a version in force and decide every chart anew by it; returns how many charts.

    Each chart is a transaction of its own, and the exchange goes on meanwhile. Stopped halfway, it may be begun again:
    what was decided already stays as it is. Raises MatchRules.DoesNotExist.
    """
    started = timezone.now()
    with transaction.atomic():
        rules = MatchRules.objects.select_for_update().get(name=name)
        if not rules.in_force:
            MatchRules.objects.filter(in_force=True).update(in_force=False)
            MatchRules.objects.filter(pk=rules.pk).update(in_force=True, adopted_at=started, adopted_by=by)
    done = 0
    everybody = LocalIdentifier.objects.order_by("pk")
    for rows in (everybody, everybody.filter(last_seen__gte=started - _LONGEST_FEED)):
        for chart_id in list(rows.values_list("pk", flat=True)):
            _decide_anew(chart_id, by)
            if rows is everybody:
                done += 1
                if not done % _AT_ONCE:
                    progress(done)
    return done


def _decide_anew(chart_id: int, by: str) -> None:
    """Decide one chart by the version in force. What stands in the way of a feed for a moment may be in its way too."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with transaction.atomic():
                row = LocalIdentifier.objects.get(pk=chart_id)
                linking.lock([f"{row.authority_oid}|{row.value}"])
                row.refresh_from_db()
                linking.reconsider(row, Cause("", "", timezone.now(), by))
        except OperationalError:
            if attempt == _ATTEMPTS:
                raise
        else:
            return


def _charts(ids: list[int]) -> Iterator[Chart]:
    for start in range(0, len(ids), _AT_ONCE):
        for row in LocalIdentifier.objects.filter(pk__in=ids[start : start + _AT_ONCE]).order_by("pk"):
            yield chart_of(row)


class _Trial(MemoryStore):
    """The population in memory, decided as the services decide: see ``versions`` and ``pairs.DatabaseStore``."""

    def statements(self, ids: Collection[int]) -> list[Statement]:
        """What was stated, and possible twins held apart where nothing was."""
        stated = super().statements(ids)
        known = {(each.first, each.second) for each in stated}
        twins = [
            Statement(each.first, each.second, one_human=False)
            for each in self.decisions(ids)
            if each.verdict.rule == "twins" and (each.first, each.second) not in known
        ]
        return stated + twins

    def questions(self) -> int:
        """How many pairs of persons would wait for a clerk."""
        apart = set()
        for each in super().statements(list(self.person_of)):
            if not each.one_human:
                apart.add(frozenset((self.person_of[each.first], self.person_of[each.second])))
        doubtful = {
            frozenset((self.person_of[each.first], self.person_of[each.second])) for each in self.all_decisions()
        }
        return sum(len(persons) == 2 for persons in doubtful - apart)

    def _keep(self, chart: Chart, considered: Considered) -> None:
        others = self.charts([each.other(chart.id) for each in considered.decisions])
        decided = tuple(
            versions.with_name_and_birth(each, chart, others[each.other(chart.id)]) for each in considered.decisions
        )
        super()._keep(chart, replace(considered, decisions=decided))
