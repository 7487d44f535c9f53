"""From what was read to what is to be done: one batch of a scan, decided in memory before its transaction begins.

A folder of the standard storage holds all versions of its keys in one root; other roots of the family are asked only
where there are some. What is decided here is carried out by ``scanning``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from apps.ssmix import rules
from apps.ssmix.models import State
from apps.ssmix.rules import DECIDED_RULES, Verdict, Version
from apps.ssmix.services import rows as stored
from apps.ssmix.services.reading import Options, Reading
from apps.ssmix.services.registering import ToRegister
from apps.ssmix.services.rows import Row
from hie.values.people import Demographics
from hie.wire.ssmix.content_folders import Part
from hie.wire.ssmix.documents import identify
from hie.wire.ssmix.names import CURRENT, Key

_JUDGED = frozenset(
    (State.FOUND, State.QUARANTINED, State.REJECTED, State.UNSETTLED)
)  # the states that reading alone decides


@dataclass(slots=True)
class Batch:
    """What is to be stored and told. readings: of the rows that were read in this batch, by identity."""

    rows: list[Row] = field(default_factory=list)
    readings: dict[int, Reading] = field(default_factory=dict)
    feeds: list[tuple[Row, Demographics, bool]] = field(default_factory=list)
    documents: list[ToRegister] = field(default_factory=list)
    replaced: dict[int, list[Row]] = field(default_factory=dict)  # id(row that replaces) -> rows that it replaces
    ended: list[Row] = field(default_factory=list)
    overwritten: dict[int, str] = field(default_factory=dict)  # id(row) -> entry UUID of its former bytes
    moved: list[tuple[Row, Row]] = field(default_factory=list)  # (found again, where it lay before)
    parts: list[tuple[Row, Part, str, bool]] = field(default_factory=list)

    def touch(self, row: Row) -> None:
        """Have a row written, once."""
        if not row.changed:
            row.changed = True
            self.rows.append(row)


@dataclass(frozen=True, slots=True)
class Look:
    """What a decision may ask of the disk.

    rested: whether a row's folder has been quiet, so that a disappearance counts. again: reads a file that becomes
    current without having been read in this batch. exists: whether a file is still where its row says.
    """

    rested: Callable[[Row], bool]
    again: Callable[[Row], Reading]
    exists: Callable[[Row], bool]


def settle(
    batch: Batch,
    keys: Iterable[Key],
    rows: Sequence[Row],
    family: Sequence[int],
    options: Options,
    look: Look,
) -> None:
    """Decide the keys that something happened to. rows: all files of their folders; family: ids of the other roots."""
    wanted = set(keys)
    by_key: dict[Key, list[Row]] = defaultdict(list)
    for row in rows:
        if row.patient_id and row.key in wanted:
            by_key[row.key].append(row)
    if family:
        for row in stored.of_patients(family, sorted({key[0] for key in wanted})):
            if row.key in wanted:
                by_key[row.key].append(row)
    for key in sorted(by_key):
        _settle_key(batch, by_key[key], options, look)
    _take_over(batch, look)


def _settle_key(batch: Batch, rows: list[Row], options: Options, look: Look) -> None:
    there = [row for row in rows if row.state != State.MISSING]
    usable = {id(row): row.state not in _JUDGED for row in there}
    several = rules.keeps_several(rows[0].data_type, rows[0].order_number)
    verdicts = rules.judge([_version(row, usable[id(row)]) for row in there], several=several)
    if any(row.live for row in there) and _has_to_wait(there, usable, verdicts, look):
        _wait(batch, there)
        return
    for row in there:
        verdict = verdicts.get(_name(row))
        if verdict is not None and usable[id(row)]:
            _set(batch, row, verdict.state, verdict.rules)
        elif not usable[id(row)]:
            _set(batch, row, State(row.state), ())
    _plan(batch, rows, options, several, look)


def _has_to_wait(there: list[Row], usable: Mapping[int, bool], verdicts: Mapping[str, Verdict], look: Look) -> bool:
    """Whether what is live would end only because its successor is still being written, or its folder not at rest."""
    if any(usable[id(row)] and verdicts[_name(row)].state is State.CURRENT for row in there):
        return False
    being_written = any(row.flag == CURRENT and row.state in (State.FOUND, State.UNSETTLED) for row in there)
    return being_written or not all(map(look.rested, there))


def _name(row: Row) -> str:
    return f"{row.root_id}/{row.path}/{row.name}"


def _version(row: Row, usable: bool) -> Version:
    return Version(_name(row), row.flag, row.written_at, row.department, row.mtime_ns, row.cancels, usable)


def _wait(batch: Batch, rows: list[Row]) -> None:
    """A version was renamed and its successor is not there yet: nothing is taken back before the folder has rested."""
    for row in rows:
        if row.live and not row.recheck:
            row.recheck = True
            batch.touch(row)


def _set(batch: Batch, row: Row, state: State, decided: tuple[str, ...]) -> None:
    kept = [rule for rule in row.rule_ids if rule not in DECIDED_RULES]
    text = " ".join([*kept, *decided])
    recheck = row.recheck and state in _JUDGED
    if (row.state, row.rules, row.recheck) != (state, text, recheck):
        row.state, row.rules, row.recheck = state.value, text, recheck
        batch.touch(row)


def _plan(batch: Batch, rows: list[Row], options: Options, several: bool, look: Look) -> None:
    """What follows from the states: feeds, documents, replacements, ends."""
    current = [row for row in rows if row.state == State.CURRENT]
    if rows[0].data_type == "ADT-00":
        _plan_feed(batch, rows, current, look)
        return
    fresh = []
    for row in current:
        if row.live:
            continue
        if not options.wants(row.data_type):
            row.state = State.EXCLUDED.value
            batch.touch(row)
            continue
        fresh.append(row)
    over = sorted((row for row in rows if row.live and row.state not in (State.CURRENT, State.MISSING)), key=_age)
    if fresh and not several:
        over = sorted(over + [row for row in rows if row.live and row.state == State.MISSING], key=_age)
    taken: set[int] = set()
    for row in fresh:
        before = [each for each in over if id(each) not in taken and (not several or each.department == row.department)]
        replaced = before if not several else before[-1:]
        taken.update(id(each) for each in replaced)
        _plan_document(batch, row, replaced, options, look)
    for row in over:
        if id(row) not in taken:
            batch.ended.append(row)
            batch.touch(row)


def _age(row: Row) -> tuple[str, int, str]:
    return (row.written_at, row.mtime_ns, row.name)


def _plan_feed(batch: Batch, rows: list[Row], current: list[Row], look: Look) -> None:
    """The newest demographics are fed once; what was fed before makes it an update."""
    known = any(row.live for row in rows)
    for row in rows:
        if row.live and row not in current:
            row.live = False
            batch.touch(row)
    for row in current:
        if row.live:
            continue
        reading = batch.readings.get(id(row)) or look.again(row)
        if reading.demographics is not None:
            batch.feeds.append((row, reading.demographics, known))
            batch.touch(row)


def _plan_document(batch: Batch, row: Row, replaced: list[Row], options: Options, look: Look) -> None:
    reading = batch.readings.get(id(row))
    if reading is None or (reading.facts is None and not reading.parts):
        reading = look.again(row)
    batch.touch(row)
    if not reading.settled or reading.fatal or reading.sha256 != row.sha256:
        row.state, row.recheck = State.UNSETTLED.value, True  # it changed since it was listed: the next scan reads it
        return
    if row.entry_uuid:
        row.generation += 1
    row.entry_uuid, row.unique_id = identify(
        options.facility.code, row.key, row.written_at, row.sha256, generation=row.generation
    )
    batch.replaced[id(row)] = replaced
    last = batch.overwritten.pop(id(row), "") or (replaced[-1].entry_uuid if replaced else "")
    batch.documents.append(ToRegister(row, reading.facts, reading.parts, last))
    for each in replaced:
        batch.touch(each)


def _take_over(batch: Batch, look: Look) -> None:
    """A document that is registered already, from another place: found again where it lies now, or a copy of it."""
    if not batch.documents:
        return
    own = {id(row) for row in batch.rows}
    others = {
        row.unique_id: row
        for row in stored.by_unique_ids([each.row.unique_id for each in batch.documents])
        if row.live and id(row) not in own
    }
    seen: dict[str, Row] = {}
    kept = []
    for each in batch.documents:
        row = each.row
        other = others.get(row.unique_id)
        if (
            other is not None
            and other.id != row.id
            and (other.directory_id, other.name) != (row.directory_id, row.name)
        ):
            _take_over_one(batch, row, other, look)
        elif row.unique_id in seen:
            _set(batch, row, State.HISTORY, ("LIFE-01",))
            row.entry_uuid, row.unique_id = "", ""
        else:
            seen[row.unique_id] = row
            kept.append(each)
    batch.documents = kept


def _take_over_one(batch: Batch, row: Row, other: Row, look: Look) -> None:
    if other.state == State.MISSING or not look.exists(other):
        row.entry_uuid, row.generation, row.live = other.entry_uuid, other.generation, True
        other.live, other.state = False, State.MISSING.value
        batch.touch(other)
        batch.moved.append((row, other))
    else:
        _set(batch, row, State.HISTORY, ("LIFE-01",))
        row.entry_uuid, row.unique_id = "", ""
