"""New charts of one database transaction: decided one after the other in memory, written together.

One feed and a list of a million patients take the same way; only how many charts are taken at once differs. What the
charts could meet is read in a few statements for all of them. Then each is decided as if those before it had been
saved already, and stands under its person. Where that is the person it agrees with, or a new one, rows are all there
is to write. Where persons join or part, everything so far is written and ``linking.settle_charts`` does what it does
for any chart that changed, so the history is the one that single feeds would have left.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from django.conf import settings
from django.db import connection

from apps.ids import services as ids
from apps.pix import matching
from apps.pix.matching import LARGEST_BLOCK, Named, Outcome, Scorer, Search
from apps.pix.models import LinkEvent, links_changed
from apps.pix.services import linking, new_charts
from apps.pix.services.charts import CONTENT, adapted, read_rows
from apps.pix.services.linking import Cause
from apps.pix.services.new_charts import NewChart
from apps.pix.services.pairs import DECISIONS, KEYS, decision_row, fed_among
from apps.pix.services.unwritten import UnwrittenStore
from hie.exchange import many

# Charts with one key that are no large block even together with as many others.
FEW = LARGEST_BLOCK // 2


class Ahead(Protocol):
    """Processes that compare new charts with what is committed (``services.ahead``)."""

    def decide(self, charts: Sequence[NewChart], scorer: Scorer) -> Iterator[DecidedAhead]:
        """The same charts in their order, part by part, numbered ones with what was decided of each."""


@dataclass(frozen=True, slots=True)
class DecidedAhead:
    """charts: with their decisions. left: ids of those that have to be decided here; all keys of the others are shared
    by less than ``FEW`` charts of the index. rows: of the tables of keys, as ``many.lines``."""

    charts: Sequence[NewChart]
    left: frozenset[int] = frozenset()
    rows: tuple[tuple[many.Table, bytes], ...] = ()


def take(charts: Sequence[NewChart], scorer: Scorer, *, alone: bool, ahead: Ahead | None = None) -> dict[int, str]:
    """Save new charts in their order, in the caller's database transaction; the regional id of each one's person by its
    id. Each chart knows its id and person afterwards.

    alone: nobody else works on the index until the transaction ends (``linking.lock_all``); else the caller has locked
    the keys of the charts. ahead: who compares them with the index, which is as it was committed.
    """
    if not charts:
        return {}
    intake = _Intake(scorer, alone=alone)
    intake.number(charts)
    unaided = DecidedAhead(charts, frozenset(each.id for each in charts))
    for part in ahead.decide(charts, scorer) if ahead else (unaided,):
        intake.decide(part)
        intake.place(part.charts)
    intake.write()
    return {new.id: intake.store.regional[new.person] for new in charts}


_Event = tuple[Any, ...]
_EVENT = (
    "record_id",
    "kind",
    "authority_oid",
    "value",
    "person_id",
    "previous_person_id",
    "rule",
    "evidence",
    "facility_code",
    "message_id",
    "at",
)


class _Intake:
    """The charts of one database transaction on their way into the index."""

    def __init__(self, scorer: Scorer, *, alone: bool) -> None:
        self.store = UnwrittenStore()
        self._scorer = scorer
        self._alone = alone
        self._unwritten: list[NewChart] = []
        self._events: list[_Event] = []
        self._cases: list[tuple[Any, ...]] = []
        self._persons: dict[int, Cause] = {}  # new ones, not written yet
        self._numbers: Iterator[int] = iter(())
        self._left = 0
        self._locked = set[int]()
        self._before: dict[int, NewChart] = {}  # those decided already, by id
        self._holders: dict[int, list[int]] = defaultdict(list)  # key -> those of them that have it
        self._rows: tuple[tuple[many.Table, bytes], ...] = ()  # of keys, ready to be written

    # --- decide

    def number(self, charts: Sequence[NewChart]) -> None:
        """Give each chart its number. Nothing is decided of it yet."""
        for new, number in zip(charts, many.reserve("pix_localidentifier", len(charts)), strict=True):
            new.id, new.decided, new.explained, new.is_written = number, {}, {}, False
            if new.read is not None:
                new.read = replace(new.read, id=number)
        self._left = len(charts)

    def decide(self, part: DecidedAhead) -> None:
        """Decide each chart with everything that is worth comparing: in the index, and before it among the others."""
        self._rows += part.rows
        charts = part.charts
        here = {new.id: new for new in charts}
        self._before.update(here)
        all_here = self._before
        searches = self._search(charts, part.left)
        candidates = {each for found in searches.values() for each in found.charts}
        seen: dict[int, Named] = {**self.store.glances(candidates - all_here.keys())}
        seen.update((each, all_here[each].chart) for each in candidates & all_here.keys())
        worth = {
            chart: new_charts.worth_comparing(self._scorer, here[chart].chart, found, seen)
            for chart, found in searches.items()
        }
        read = self.store.read({each for found in worth.values() for each in found} - all_here.keys())
        fed = {new.id for new in charts if new.is_fed}
        fed |= fed_among(read.keys()) if fed else set()
        for chart, others in worth.items():
            new = here[chart]
            for other in others:
                if chart in fed and other in fed:
                    continue  # whether two of them are one human their source alone says
                before = all_here.get(other)
                decision = new_charts.decide(self._scorer, new.chart, before.chart if before else read.get(other))
                if decision is not None:
                    new.decided[other] = decision

    def _search(self, charts: Sequence[NewChart], left: frozenset[int]) -> dict[int, Search]:
        """What each chart shares a key with, where that is anything: in the index those alone that are left to decide,
        and before them among the others all of them."""
        wanted = {key for new in charts if new.id in left for key in new.keys}
        holders = dict(self.store.holders(list(wanted), LARGEST_BLOCK))
        before = self._holders
        searches = {}
        for new in charts:
            found: dict[int, Sequence[int]] = {key: before[key] for key in new.keys if key in before}
            here_alone = new.id not in left
            if here_alone and any(len(each) >= FEW for each in found.values()):
                holders.update(self.store.holders(list(new.keys), LARGEST_BLOCK))
                new.decided, here_alone = {}, False
            if not here_alone:
                found = {key: [*holders.get(key, ()), *found.get(key, ())] for key in new.keys}
            if found:
                searches[new.id] = matching.gather(new.id, new.keys, found)
            for key in new.keys:
                before[key].append(new.id)
        return searches

    # --- place

    def place(self, charts: Sequence[NewChart]) -> None:
        """Put each chart under its person, in their order."""
        self._read_ahead(charts)
        for new in charts:
            self.store.add(new)
            self._unwritten.append(new)
            linked = [other for other, each in new.decided.items() if each.verdict.outcome is Outcome.LINK]
            if new.is_fed:
                self._settle(new, linked)
            elif not linked:
                self._alone_under(new)
            elif not self._joins(new, linked):
                self._settle(new, linked)
            self._left -= 1

    def _read_ahead(self, charts: Sequence[NewChart]) -> None:
        """Read, for all charts at once, the persons of whom they met, and all that is tied to those they agree with."""
        here = {new.id for new in charts}
        linked, met = set(), set()
        for new in charts:
            for other, each in new.decided.items():
                met.add(other)
                if each.verdict.outcome is Outcome.LINK:
                    linked.add(other)
        if not self._alone:
            self._locked = linking.lock_persons_of(linked - here)
        self.store.read_persons(met - here)
        fresh = linked - here
        known = set(fresh)
        while fresh:
            ties = self.store.decisions(fresh)
            tied = {each for tie in ties if tie.verdict.outcome is Outcome.LINK for each in (tie.first, tie.second)}
            tied |= {
                each for said in self.store.statements(fresh) if said.one_human for each in (said.first, said.second)
            }
            fresh = tied - known
            known |= fresh
        self.store.read_persons(known)
        self.store.read(self._to_be_compared(charts) - here)

    def _to_be_compared(self, charts: Sequence[NewChart]) -> set[int]:
        """The charts that a look at the persons will compare with each other once more: those of persons of whom not
        every two are linked."""
        found: set[int] = set()
        for new in charts:
            linked = {other for other, each in new.decided.items() if each.verdict.outcome is Outcome.LINK}
            tied = self.store.tied_to(linked)
            if len(tied) > 1 and not (tied <= linked and self.store.all_linked(tied)):
                found |= tied
        return found

    def _alone_under(self, new: NewChart) -> None:
        """A person of its own, and a question for each other person that it may be."""
        person = self._new_person(new.cause)
        self.store.stands(new, person)
        self._event(new, LinkEvent.Kind.REGISTERED, new.cause.rule, {"by": new.cause.by} if new.cause.by else {})
        self.store.read_persons(new.decided)
        best: dict[int, tuple[float, int, int, str]] = {}
        for other, each in new.decided.items():
            of = self.store.person_of[other]
            rival = (-each.verdict.score, each.first, each.second, each.verdict.rule)
            if of not in best or rival[:3] < best[of][:3]:
                best[of] = rival
        at = adapted(new.cause.at)
        self._cases += [
            (first, second, "open", -score, rule, "", at, "") for score, first, second, rule in best.values()
        ]

    def _joins(self, new: NewChart, linked: list[int]) -> bool:
        """Whether the chart has been put under the one person whom it agrees with, and nothing else changes by it."""
        store = self.store
        found = matching.regroup({new.id, *linked}, store, self._scorer)
        others = found.charts.keys() - {new.id}
        store.read_persons(others)
        persons: dict[int, set[int]] = defaultdict(set)
        for chart in others:
            persons[store.person_of[chart]].add(chart)
        if any(store.under(person) - {new.id} != charts for person, charts in persons.items()):
            return False
        if not self._alone and connection.vendor == "postgresql" and not persons.keys() <= self._locked:
            return False
        groups = {frozenset(group.charts) - {new.id} for group in found.grouping.groups} - {frozenset()}
        if groups != set(map(frozenset, persons.values())):
            return False
        own = next(group for group in found.grouping.groups if new.id in group.charts)
        if len(own.charts) == 1:
            self._alone_under(new)
            return True
        if not new.decided.keys() <= set(own.charts):
            return False
        store.stands(new, next(store.person_of[chart] for chart in own.charts if chart != new.id))
        tie = linking.tie_of(own, new.id)
        rule, evidence = linking.reasons(store, found, new.id, tie, new.cause, self._scorer, new.explained)
        self._event(new, LinkEvent.Kind.LINKED, rule, evidence)
        return True

    def _settle(self, new: NewChart, linked: list[int]) -> None:
        """Persons join or part, or a regional id was fed: write all there is so far and let the tables be asked."""
        self.write()
        (row,) = read_rows([new.id])
        charts, persons = linking.settle_charts({new.id, *linked}, row, new.cause)
        self.store.forget(charts, persons)
        self.store.read_persons([new.id])
        new.person = self.store.person_of[new.id]

    def _new_person(self, cause: Cause) -> int:
        person = next(self._numbers, None)
        if person is None:
            self._numbers = iter(many.reserve("pix_person", max(self._left, 1)))
            person = next(self._numbers)
        self._persons[person] = cause
        self.store.regional[person] = ids.new_provisional_id() if settings.IDENTITY_SOURCE else ids.new_regional_id()
        return person

    def _event(self, new: NewChart, kind: str, rule: str, evidence: dict[str, object]) -> None:
        identifier, cause = new.identifier, new.cause
        self._events.append(
            (
                new.id,
                str(kind),
                identifier.oid,
                identifier.value,
                new.person,
                None,
                rule,
                json.dumps(evidence, ensure_ascii=False),
                cause.facility_code,
                cause.message_id,
                adapted(cause.at),
            )
        )

    # --- write

    def write(self) -> None:
        """Write what waits to be written."""
        charts: list[tuple[Any, ...]] = []
        for table, written in self._rows:
            many.copy_lines(table, written)
        own = [new for new in self._unwritten if not new.is_written]
        searched = [new.search.rows(new.id) for new in own]
        for new in self._unwritten:
            at = adapted(new.cause.at)
            identifier = new.identifier
            charts.append(
                (
                    new.id,
                    identifier.oid,
                    identifier.value,
                    identifier.type_code[:5],
                    new.facility_code,
                    new.person,
                    "active",
                    *new.content,
                    at,
                    at,
                )
            )
        regional = [(self.store.regional[person], cause) for person, cause in self._persons.items()]
        many.insert(
            (ids.ISSUED, [(value, "active", adapted(cause.at)) for value, cause in regional]),
            (
                _PERSON,
                [
                    (person, self.store.regional[person], "active", adapted(cause.at))
                    for person, cause in self._persons.items()
                ],
            ),
            (_CHART, charts),
            (KEYS, [(new.id, key) for new in own for key in new.keys]),
            *((tables[0][0], [row for _, rows in tables for row in rows]) for tables in zip(*searched, strict=True)),
            (
                DECISIONS,
                [decision_row(new.id, other, each) for new in self._unwritten for other, each in new.decided.items()],
            ),
            (_LINK_EVENT, self._events),
            (_CASE, self._cases),
        )
        if self._events:
            links_changed.send(sender=LinkEvent, events=_Told(self._events))
        self._unwritten, self._events, self._cases, self._persons, self._rows = [], [], [], {}, ()


_PERSON = many.Table(
    "pix_person", (("id", "bigint"), ("regional_id", "text"), ("status", "text"), ("created_at", "timestamptz"))
)
_CHART = many.Table(
    "pix_localidentifier",
    (
        ("id", "bigint"),
        *((name, "text") for name in ("authority_oid", "value", "type_code", "facility_code")),
        ("person_id", "bigint"),
        ("status", "text"),
        *((name, "jsonb" if name in ("addresses", "telephones", "insurances") else "text") for name in CONTENT),
        ("first_seen", "timestamptz"),
        ("last_seen", "timestamptz"),
    ),
)
_TYPES = {"record_id": "bigint", "person_id": "bigint", "previous_person_id": "bigint", "evidence": "jsonb"}
_LINK_EVENT = many.Table(
    "pix_linkevent", tuple((name, "timestamptz" if name == "at" else _TYPES.get(name, "text")) for name in _EVENT)
)
_CASE = many.Table(
    "pix_reviewcase",
    (
        ("first_id", "bigint"),
        ("second_id", "bigint"),
        ("state", "text"),
        ("score", "float8"),
        ("rule", "text"),
        ("note", "text"),
        ("opened_at", "timestamptz"),
        ("decided_by", "text"),
    ),
)


class _Told(Sequence[LinkEvent]):
    """Events as those who listen see them, made only where somebody looks."""

    def __init__(self, rows: list[_Event]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        given = dict(zip(_EVENT, self._rows[place], strict=True))
        return LinkEvent(**given | {"evidence": json.loads(given["evidence"])})
