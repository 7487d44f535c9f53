"""The index while new charts wait to be written: what is asked of it is answered as if they stood in its tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping

from apps.pix.matching import Chart, Decision, Named, Outcome, Statement
from apps.pix.services.charts import read_charts
from apps.pix.services.new_charts import NewChart
from apps.pix.services.pairs import DatabaseStore
from hie.exchange.rows import fetch, listed, numbers


class UnwrittenStore(DatabaseStore):
    """The index as it will be once everything that waits to be written is written."""

    def __init__(self) -> None:
        super().__init__()
        self.person_of: dict[int, int] = {}
        self.regional: dict[int, str] = {}
        self._under: dict[int, set[int]] = {}
        self._new: dict[int, NewChart] = {}
        self._decided: dict[int, list[Decision]] = defaultdict(list)
        self._stated: dict[int, list[Statement]] = defaultdict(list)
        self._known: set[int] = set()

    def add(self, new: NewChart) -> None:
        """A chart is there from now on, with its decisions; its person follows (``stands``)."""
        self._new[new.id] = new
        self._known.add(new.id)
        for other, decision in new.decided.items():
            for each in (new.id, other):
                self._decided[each].append(decision)
                if decision.verdict.rule == "twins":
                    self._stated[each].append(Statement(decision.first, decision.second, one_human=False))

    def stands(self, new: NewChart, person: int) -> None:
        new.person = self.person_of[new.id] = person
        self._under.setdefault(person, set()).add(new.id)

    def charts(self, ids: Collection[int]) -> Mapping[int, Chart]:
        """The charts with these ids, which are all there; read when one of them is looked at."""
        return _Charts(self, tuple(ids))

    def read(self, ids: Collection[int]) -> dict[int, Chart]:
        """The charts with these ids. One statement for those that were not read before."""
        found = {each: self._new[each].chart for each in ids if each in self._new}
        self._charts.update(read_charts([each for each in ids if each not in found and each not in self._charts]))
        return found | {each: self._charts[each] for each in ids if each in self._charts}

    def glances(self, ids: Collection[int]) -> dict[int, Named]:
        found: dict[int, Named] = {each: self._new[each].chart for each in ids if each in self._new}
        return found | super().glances([each for each in ids if each not in found])

    def decisions(self, ids: Collection[int]) -> list[Decision]:
        self.read_ties(ids)
        return [each for chart in ids for each in self._decided.get(chart, ())]

    def statements(self, ids: Collection[int]) -> list[Statement]:
        self.read_ties(ids)
        return [each for chart in ids for each in self._stated.get(chart, ())]

    def read_ties(self, ids: Collection[int]) -> None:
        """Read decisions and statements of charts whose are not known yet."""
        unknown = [each for each in ids if each not in self._known]
        if not unknown:
            return
        self._known.update(unknown)
        asked = set(unknown)
        for decision in super().decisions(unknown):
            for chart in asked & {decision.first, decision.second}:
                self._decided[chart].append(decision)
        for statement in super().statements(unknown):
            for chart in asked & {statement.first, statement.second}:
                self._stated[chart].append(statement)

    def tied_to(self, charts: Collection[int]) -> set[int]:
        """These charts and those that a link ties to them, as far as read."""
        return {
            each
            for chart in charts
            for tie in self._decided.get(chart, ())
            if tie.verdict.outcome is Outcome.LINK
            for each in (tie.first, tie.second)
        } | set(charts)

    def all_linked(self, charts: Collection[int]) -> bool:
        """Whether every two of these charts are linked."""
        wanted = set(charts)
        links = {
            (tie.first, tie.second)
            for chart in charts
            for tie in self._decided.get(chart, ())
            if tie.verdict.outcome is Outcome.LINK and tie.first in wanted and tie.second in wanted
        }
        return len(links) == len(wanted) * (len(wanted) - 1) // 2

    def read_persons(self, ids: Collection[int]) -> None:
        """Read whole persons: those under whom these charts stand, with every chart of theirs."""
        unknown = [each for each in ids if each not in self.person_of]
        if unknown:
            sql = _PERSONS.format(f"SELECT person_id FROM pix_localidentifier WHERE {listed('id')}")  # noqa: S608
            self._keep(fetch(sql, [numbers(unknown)]))

    def under(self, person: int) -> set[int]:
        """The charts under a person."""
        if person not in self._under:
            self._keep(fetch(_PERSONS.format("%s"), [person]))
        return self._under[person]

    def _keep(self, found: Iterable[tuple[int, int, str]]) -> None:
        for chart, person, regional in found:
            self.person_of[chart] = person
            self.regional[person] = regional
            self._under.setdefault(person, set()).add(chart)

    def forget(self, charts: Iterable[int], persons: Iterable[int]) -> None:
        """These charts and persons are not what they were."""
        for person in persons:
            for chart in self._under.pop(person, ()):
                self.person_of.pop(chart, None)
        for chart in charts:
            self.person_of.pop(chart, None)


class _Charts(Mapping[int, Chart]):
    """Charts of a store. Most persons are told without comparing anything again: then nothing is read."""

    def __init__(self, store: UnwrittenStore, ids: tuple[int, ...]) -> None:
        self._store = store
        self._ids = ids

    def __getitem__(self, chart: int) -> Chart:
        return self._store.read(self._ids)[chart]

    def __iter__(self) -> Iterator[int]:
        return iter(self._ids)

    def __len__(self) -> int:
        return len(self._ids)


_PERSONS = (
    "SELECT l.id, l.person_id, p.regional_id FROM pix_localidentifier l JOIN pix_person p ON p.id = l.person_id"
    " WHERE l.person_id IN ({})"
)
