"""What is done for a list of patients ahead of the one process that writes: read, normalise, compare with the index.

Processes of their own go through the list beside the one that loads it. They take its entries by slices in turn. A
slice is read and normalised as soon as it is asked for. Once the process that writes has locked the index and numbered
the charts that are new, the same process compares them with what is committed, which nobody changes now, and answers
what it decided and the rows of all keys as COPY takes them. What the charts of one database transaction have to do
with each other, and where they come to stand, is decided by the one that writes (``intake``).

Commands are a few numbers and answers are plain tuples (``marshal``), because handing charts from process to process
as objects costs more than comparing them. An answer that nobody waits for any more is passed over.
"""

from __future__ import annotations

import contextlib
import gc
import marshal
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from django.db import connections
from django.utils import timezone

from apps.pix.matching import LARGEST_BLOCK, Chart, Decision, Kind, Outcome, Scorer, Verdict, gather
from apps.pix.services import feeding, linking, new_charts, versions
from apps.pix.services.charts import SEARCHED, read_charts
from apps.pix.services.checking import check
from apps.pix.services.intake import FEW, DecidedAhead
from apps.pix.services.linking import Cause
from apps.pix.services.new_charts import NewChart
from apps.pix.services.pairs import KEYS, DatabaseStore
from hie.exchange import many
from hie.values.errors import ExchangeError
from hie.values.identifiers import AssigningAuthority, Identifier
from hie.values.patients import FeedEvent, PatientFeed

SLICE = 250  # entries that one process takes at a time
_KINDS = tuple(Kind)
_KIND_PLACE = {kind: place for place, kind in enumerate(_KINDS)}
_OUTCOMES = {each.value: each for each in Outcome}


@dataclass(frozen=True, slots=True)
class Listed:
    """A list to go through. entries: raw, in their order; read: one raw entry -> the feed. position: entries to pass
    over. kinds: of the keys. sender: under whose name message ids are unique."""

    entries: Callable[[], Iterator[Any]]
    read: Callable[[Any], PatientFeed]
    facility_code: str
    position: int
    kinds: frozenset[Kind]
    sender: str


# (name of the reason, detail, location) of an entry that is refused.
Plain = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Prepared:
    """One entry: refused, or a chart, or (neither) an event that has to be read where it is carried out.

    message_id, key: of the message that it came in, and by what that is known again (``feeding.message_key``).
    """

    refused: tuple[Plain, ...] = ()
    chart: NewChart | None = None
    warnings: tuple[str, ...] = ()
    message_id: str = ""
    key: str = ""


def prepare(listed: Listed, entries: Sequence[Any]) -> list[Prepared]:
    """Read and normalise some entries. It needs no look into the index."""
    cause = Cause(listed.facility_code, "", timezone.now())
    found = []
    for entry in entries:
        try:
            feed = check(listed.read(entry), listed.facility_code)
        except ExchangeError as error:
            found.append(Prepared(tuple((each.reason.name, each.detail, each.location) for each in error.findings)))
            continue
        if feed.event in (FeedEvent.REGISTER, FeedEvent.UPDATE) and len(feed.identifiers) == 1:
            chart = new_charts.prepare(feed.identifiers[0], feed.demographics, cause, listed.kinds)
            key = feeding.key_of(feed, listed.sender)
            found.append(Prepared((), chart, feed.warnings, feed.message_id, key))
        else:
            found.append(Prepared())
    return found


# --- beside the process that writes


class Beside:
    """So many processes that go through a list; used as a context, ended with it.

    deciding: whether they compare with the index too; they see it only as it is committed.
    """

    def __init__(self, listed: Listed, processes: int, portion: int, *, deciding: bool) -> None:
        self._listed = listed
        self._portion = portion
        self._cause = Cause(listed.facility_code, "", timezone.now())
        self.deciding = deciding
        self._workers: list[tuple[BaseProcess, Connection]] = []
        self._asked = listed.position  # entries before it were asked for
        self._serial = 0
        self._kept: dict[tuple[Any, ...], Any] = {}
        self._slice_of: dict[int, tuple[int, int]] = {}  # id of a chart (of Python) -> first entry of its slice, place
        self._start(processes)

    def __enter__(self) -> Beside:
        return self

    def __exit__(self, *_raised: object) -> None:
        for _, each in self._workers:
            each.close()
        for process, _ in self._workers:
            process.join(1)
            process.kill()
            process.join()

    def _start(self, processes: int) -> None:
        connections.close_all()  # a connection is not shared with a process that is split off
        context = get_context("fork")
        for _ in range(processes):
            ours, theirs = context.Pipe()
            others = [pipe for _, pipe in self._workers] + [ours]
            process = context.Process(target=_work, args=(theirs, others, self._listed), daemon=True)
            process.start()
            theirs.close()
            self._workers.append((process, ours))

    def prepared(self, position: int, entries: Sequence[Any]) -> list[Prepared]:
        """These entries, prepared: those from a position on, which is where the last ones ended."""
        end = position + len(entries)
        self._ask_up_to(end)
        self._slice_of.clear()
        own = {
            start: prepare(self._listed, entries[start - position : start - position + SLICE])
            for start in range(position, end, SLICE)
            if self._is_own(start)
        }
        found = []
        for start in range(position, end, SLICE):
            some = own[start] if start in own else [self._read(each) for each in self._receive(("prepared", start))]
            for place, ready in enumerate(some):
                if ready.chart is not None:
                    self._slice_of[id(ready.chart)] = start, place
                found.append(ready)
        return found

    def decide(self, charts: Sequence[NewChart], scorer: Scorer) -> Iterator[DecidedAhead]:
        """The same charts, slice by slice, numbered ones with what was decided of each (``intake.Ahead``).

        All slices are asked for at once, and behind them the next portion of the list is to be prepared.
        """
        self._serial += 1
        slices: dict[int, list[tuple[int, NewChart]]] = {}
        for chart in charts:
            start, place = self._slice_of[id(chart)]
            slices.setdefault(start, []).append((place, chart))
        for start, some in slices.items():
            if self._is_own(start):
                continue
            numbers = [(place, chart.id) for place, chart in some]
            self._send(start, ("decide", self._serial, start, scorer.version.name, numbers))
        self._ask_up_to(self._asked + self._portion)
        for start, some in slices.items():
            if self._is_own(start):
                yield DecidedAhead([chart for _, chart in some], frozenset(chart.id for _, chart in some))
                continue
            decided, rows = self._receive(("decided", self._serial, start))
            left = set()
            for (_, chart), found in zip(some, decided, strict=True):
                if found is None:
                    left.add(chart.id)
                else:
                    _write_decisions(chart, found, scorer.version.name)
                chart.is_written = True
            written = tuple((table, text) for table, text in zip((KEYS, *SEARCHED), rows, strict=True) if text)
            yield DecidedAhead([chart for _, chart in some], frozenset(left), written)

    def _ask_up_to(self, end: int) -> None:
        """Let everything up to an entry be prepared, whole slices of this portion."""
        while self._asked < end:
            length = min(SLICE, end - self._asked)
            if not self._is_own(self._asked):
                self._send(self._asked, ("prepare", self._asked, length))
            self._asked += length

    def _is_own(self, start: int) -> bool:
        """Whether the process that writes does a slice itself: every fourth, where it has only one other beside it,
        because one chart is more work to prepare and compare than to write."""
        return len(self._workers) == 1 and start // SLICE % 4 == 3

    def _send(self, start: int, command: tuple[Any, ...]) -> None:
        self._worker(start).send_bytes(marshal.dumps(command))

    def _worker(self, start: int) -> Connection:
        return self._workers[start // SLICE % len(self._workers)][1]

    def _receive(self, wanted: tuple[Any, ...]) -> Any:
        if wanted in self._kept:
            return self._kept.pop(wanted)
        pipe = self._worker(wanted[1] if wanted[0] == "prepared" else wanted[2])
        while True:
            name, answer = marshal.loads(pipe.recv_bytes())  # noqa: S302 - from a process of our own
            if name == wanted:
                return answer
            if name[0] == "failed":
                raise RuntimeError(f"A process that prepares has failed: {answer}")
            if name[0] == "prepared":
                self._kept[name] = answer

    def _read(self, plain: Any) -> Prepared:
        if plain is None:
            return Prepared()
        refused, number, content, keys, *rest = plain
        return Prepared(refused) if refused else Prepared((), self._chart(number, content, keys), *rest)

    def _chart(self, number: tuple[str, str, str, str], content: tuple[str, ...], keys: Any) -> NewChart:
        value, oid, namespace, type_code = number
        numbers, kinds = keys
        return NewChart(
            identifier=_identifier(value, oid, namespace, type_code),
            facility_code=self._listed.facility_code,
            content=content,
            keys={number: _KINDS[kind] for number, kind in zip(numbers, kinds, strict=True)},
            kinds=self._listed.kinds,
            cause=self._cause,
        )


def _identifier(value: str, oid: str, namespace: str, type_code: str) -> Identifier:
    return Identifier(value, _authority(oid, namespace), type_code)


@lru_cache(64)
def _authority(oid: str, namespace: str) -> AssigningAuthority:
    return AssigningAuthority(oid, namespace)


def _write_decisions(chart: NewChart, found: Any, version: str) -> None:
    """Give a numbered chart what was decided of it. Charts of the index have the smaller numbers."""
    for other, outcome, score, rule, vector, is_apart, fields in found:
        verdict = Verdict(_OUTCOMES[outcome], score, rule, vector, is_apart)
        chart.decided[other] = Decision(other, chart.id, verdict, version)
        if fields:
            chart.explained[other] = fields


# --- in such a process


def _work(pipe: Connection, others: list[Connection], listed: Listed) -> None:
    """Answer commands until the pipe is closed, which it is where the other process ends."""
    for each in others:
        each.close()
    gc.set_threshold(100_000, 20, 100)
    with contextlib.suppress(EOFError, OSError, KeyboardInterrupt):
        _Worker(listed).answer(pipe)
    os._exit(0)


class _Worker:
    """One process: the slices that it has prepared and that may still have to be decided."""

    def __init__(self, listed: Listed) -> None:
        self._listed = listed
        self._entries = islice(listed.entries(), listed.position, None)
        self._position = listed.position
        self._slices: dict[int, list[Prepared]] = {}

    def answer(self, pipe: Connection) -> None:
        while True:
            name, *asked = marshal.loads(pipe.recv_bytes())  # noqa: S302 - from a process of our own
            try:
                answer = self._prepare(*asked) if name == "prepare" else self._decide(*asked)
            except Exception as failure:
                answer = (("failed",), type(failure).__name__)
            pipe.send_bytes(marshal.dumps(answer, 2))  # without references, which here are rare

    def _prepare(self, start: int, length: int) -> tuple[Any, ...]:
        entries = list(islice(self._entries, start - self._position, start - self._position + length))
        self._position = start + length
        self._slices = {each: kept for each, kept in self._slices.items() if start - each <= _KEPT}
        self._slices[start] = prepare(self._listed, entries)
        return ("prepared", start), [_plain(each) for each in self._slices[start]]

    def _decide(self, serial: int, start: int, version: str, numbers: list[tuple[int, int]]) -> tuple[Any, ...]:
        charts = []
        for place, number in numbers:
            chart = self._slices[start][place].chart
            assert chart is not None
            assert chart.read is not None
            chart.id, chart.read = number, replace(chart.read, id=number)
            charts.append(chart)
        return ("decided", serial, start), (_compared(charts, versions.scorer_of(version)), _rows(charts))


_KEPT = 50_000  # entries back from the last one for which a slice may still have to be decided


def _plain(each: Prepared) -> Any:
    chart = each.chart
    if chart is None:
        return (each.refused, None, None, None) if each.refused else None
    authority = chart.identifier.assigning_authority
    number = chart.identifier.value, authority.oid, authority.namespace, chart.identifier.type_code
    keys = tuple(chart.keys), bytes([_KIND_PLACE[kind] for kind in chart.keys.values()])
    return (), number, chart.content, keys, each.warnings, each.message_id, each.key


def _compared(charts: Sequence[NewChart], scorer: Scorer) -> list[Any]:
    """What was decided of each chart with those of the index; None of one with a key that many have."""
    store = DatabaseStore()
    holders = store.holders(list({key for chart in charts for key in chart.keys}), LARGEST_BLOCK)
    searches = {}
    for chart in charts:
        found = {key: holders[key] for key in chart.keys if key in holders}
        if all(len(each) < FEW for each in found.values()):
            searches[chart.id] = gather(chart.id, chart.keys, found)
    seen = store.glances({each for found in searches.values() for each in found.charts})
    worth = {
        chart.id: new_charts.worth_comparing(scorer, chart.chart, searches[chart.id], seen)
        for chart in charts
        if chart.id in searches
    }
    read = read_charts({each for some in worth.values() for each in some})
    return [
        [
            _plain_decision(scorer, chart, other, decision)
            for other in map(read.get, worth[chart.id])
            if other is not None and (decision := new_charts.decide(scorer, chart.chart, other)) is not None
        ]
        if chart.id in worth
        else None
        for chart in charts
    ]


def _plain_decision(scorer: Scorer, chart: NewChart, other: Chart, decision: Decision) -> tuple[Any, ...]:
    said = decision.verdict
    is_link = said.outcome is Outcome.LINK
    fields = linking.fields_of(scorer, other, chart.chart, said) if is_link else None
    return other.id, said.outcome.value, said.score, said.rule, said.vector, said.apart, fields


def _rows(charts: Sequence[NewChart]) -> tuple[bytes, ...]:
    """The rows of the tables of keys, for COPY."""
    searched = [chart.search.rows(chart.id) for chart in charts]
    return (
        many.lines((chart.id, key) for chart in charts for key in chart.keys),
        *(many.lines(row for _, rows in tables for row in rows) for tables in zip(*searched, strict=True)),
    )
