"""A facility's whole list of patients comes into the index: what a hospital hands over when it joins.

Each entry is told as if the facility had fed it (``batches``): persons, keys, decisions, cases and the history end as
after single feeds. A portion of entries is one database transaction, together with how far the list has come and its
audit record: whatever stops the load, the next one goes on behind the last portion, and nothing is done twice. What is
refused is told by its place and stops nothing else. Reading and normalising runs in processes of its own.
"""

from __future__ import annotations

import contextlib
import csv
import gc
import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from apps.atna.services import record_own_work
from apps.network import queries as network
from apps.pix import matching
from apps.pix.models import PatientLoad
from apps.pix.services import batches, versions
from apps.pix.services.ahead import Beside, Listed, Plain, Prepared, prepare
from apps.pix.services.batches import Told
from apps.pix.services.checking import check
from hie.exchange.audit import PATIENT_RECORD, UPDATE
from hie.values.errors import ExchangeError, Finding, Reason
from hie.values.patients import FeedEvent, FeedOutcome, PatientFeed
from hie.values.people import Demographics
from hie.wire import patient_list
from hie.wire.hl7v2 import patient_feed
from hie.wire.hl7v2.message import Message

# Entries in one database transaction: nobody else works on the index meanwhile, so it has to be short.
PORTION = 2000
_ATTEMPTS = 5


class UnreadableListError(Exception):
    """The list cannot be read at all; the text says why."""


@dataclass(slots=True)
class Progress:
    """How a load is doing. done, total: entries, those of an earlier run included. seconds: of this run."""

    done: int
    total: int
    begun_at: int
    seconds: float = 0.0
    entered: int = 0
    updated: int = 0
    unchanged: int = 0
    refused: int = 0

    @property
    def rate(self) -> float:
        """Entries a second in this run."""
        return (self.done - self.begun_at) / self.seconds if self.seconds else 0.0

    @property
    def remaining_seconds(self) -> float | None:
        return (self.total - self.done) / self.rate if self.rate else None


@dataclass(frozen=True, slots=True)
class Remark:
    """What is to be said of one entry: its place in the list, from 1, and a sentence without patient data.

    refused: nothing of the entry was done.
    """

    place: int
    text: str
    refused: bool


def load(
    path: Path,
    facility_code: str,
    *,
    progress: Callable[[Progress], None] = lambda _progress: None,
    remark: Callable[[Remark], None] = lambda _remark: None,
    processes: int = 0,
    encoding: str = "",
) -> Progress:
    """Load a list of a facility's patients, or go on with it. A list that is done already changes nothing.

    path: a CSV file (``hie.wire.patient_list``) or a folder of HL7 v2 ADT messages, one or several in a file.
    processes: how many prepare beside this one, 0 for none. encoding: of a CSV file; UTF-8 or Shift_JIS where empty.
    Raises UnreadableListError, and ExchangeError(CALLER_NOT_ENTITLED) where the facility is unknown.
    """
    if network.facility(facility_code) is None:
        raise ExchangeError(Reason.CALLER_NOT_ENTITLED, "The facility does not belong to this network.")
    source = _folder(path) if path.is_dir() else _csv(path, encoding)
    row, _ = PatientLoad.objects.get_or_create(facility_code=facility_code, source=source.digest)
    now = Progress(row.position, source.total, row.position)
    now.entered, now.updated, now.unchanged, now.refused = row.entered, row.updated, row.unchanged, row.refused
    begun = time.monotonic()
    kinds, sender = versions.in_force().version.kinds, f"list:{source.digest[:16]}"
    listed = Listed(source.entries, source.read, facility_code, row.position, kinds, sender)
    with _rarely_collected(), _beside(listed, processes) as beside:
        for place, told in _prepared(listed, beside):
            _carry_out(row.pk, place, told, listed, now, remark, beside)
            now.seconds = time.monotonic() - begun
            progress(now)
    PatientLoad.objects.filter(pk=row.pk, finished_at=None).update(finished_at=timezone.now())
    now.total = now.done
    return now


def _beside(listed: Listed, processes: int) -> AbstractContextManager[Beside | None]:
    """The processes that work ahead. On PostgreSQL they compare, too; they see only what is committed."""
    if not processes:
        return contextlib.nullcontext()
    deciding = connection.vendor == "postgresql" and not connection.in_atomic_block
    return Beside(listed, processes, PORTION, deciding=deciding)


@contextlib.contextmanager
def _rarely_collected() -> Iterator[None]:
    """Rows come and go in great numbers, and none of them in circles: the collector looks at them less often."""
    before = gc.get_threshold()
    gc.set_threshold(100_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)


# --- one portion


def _carry_out(
    load_id: int,
    place: int,
    told: Sequence[Told],
    listed: Listed,
    now: Progress,
    remark: Callable[[Remark], None],
    beside: Beside | None,
) -> None:
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with transaction.atomic():
                done = _carry_out_once(load_id, place, told, listed, beside)
            break
        except OperationalError:  # busy, or a deadlock: as a sender would, once more
            if attempt == _ATTEMPTS:
                raise
            time.sleep(0.2 * attempt)
    refused = 0
    for number, outcome in enumerate(done.outcomes, place + 1):
        if isinstance(outcome, FeedOutcome):
            for text in outcome.warnings:
                remark(Remark(number, text, refused=False))
        else:
            refused += 1
            remark(Remark(number, "; ".join(each.detail for each in outcome.findings), refused=True))
    now.done += len(told)
    now.entered += done.entered
    now.updated += done.updated
    now.unchanged += done.unchanged
    now.refused += refused


def _carry_out_once(
    load_id: int, place: int, told: Sequence[Told], listed: Listed, beside: Beside | None
) -> batches.Done:
    row = PatientLoad.objects.select_for_update().get(pk=load_id)
    if row.position != place:
        raise UnreadableListError("Another process is loading the same list.")
    ahead = beside if beside and beside.deciding else None
    done = batches.carry_out_all(told, listed.facility_code, listed.sender, ahead)
    refused = sum(not isinstance(each, FeedOutcome) for each in done.outcomes)
    row.position += len(told)
    row.entered += done.entered
    row.updated += done.updated
    row.unchanged += done.unchanged
    row.refused += refused
    row.save(update_fields=["position", "entered", "updated", "unchanged", "refused"])
    record_own_work(
        PATIENT_RECORD,
        UPDATE,
        f"List of patients, entries {place + 1} to {row.position}: {done.entered} new charts, {done.updated} changed,"
        f" {done.unchanged} unchanged, {refused} refused",
        facility_code=listed.facility_code,
    )
    return done


# --- preparing


@dataclass(frozen=True, slots=True)
class _Source:
    """A list to be loaded. entries: raw, in their order; read: one raw entry -> the feed."""

    digest: str
    total: int
    entries: Callable[[], Iterator[Any]]
    read: Callable[[Any], PatientFeed]


def _prepared(listed: Listed, beside: Beside | None) -> Iterator[tuple[int, list[Told]]]:
    """(entries before it, the portion) of everything behind a position, in order."""
    place = listed.position
    for entries in _portions(islice(listed.entries(), listed.position, None)):
        ready = beside.prepared(place, entries) if beside else prepare(listed, entries)
        yield place, [_told(each, entry, listed) for each, entry in zip(ready, entries, strict=True)]
        place += len(entries)


def _told(ready: Prepared, entry: Any, listed: Listed) -> Told:
    """An entry as it is carried out. What it tells of a chart is read again where the chart turns out to be known."""
    if ready.refused:
        return Told(_error(ready.refused))
    if ready.chart is None:
        return Told(check(listed.read(entry), listed.facility_code))
    feed = PatientFeed(
        FeedEvent.REGISTER,
        patient_list.TRIGGER,
        ready.message_id,
        (ready.chart.identifier,),
        Demographics(),
        warnings=ready.warnings,
    )
    return Told(feed, ready.chart, lambda: check(listed.read(entry), listed.facility_code), ready.key)


def _error(findings: tuple[Plain, ...]) -> ExchangeError:
    return ExchangeError.of([Finding(Reason[name], detail, location) for name, detail, location in findings])


def _portions(entries: Iterable[Any]) -> Iterator[list[Any]]:
    rest = iter(entries)
    while portion := list(islice(rest, PORTION)):
        yield portion


# --- what is read


@dataclass(frozen=True, slots=True)
class _Line:
    """Reads a line of a CSV file."""

    columns: tuple[str, ...] = field(default=())

    def __call__(self, line: list[str]) -> PatientFeed:
        return patient_list.read_line(line, self.columns, matching.birth_date)


def _csv(path: Path, encoding: str) -> _Source:
    try:
        digest, lines, first = _looked_through(path)
        encoding = encoding or _encoding(path)
        with path.open(encoding=encoding, newline="") as file:
            columns = patient_list.read_heading(next(csv.reader(file), []))
    except (OSError, UnicodeDecodeError, csv.Error, LookupError) as error:
        raise UnreadableListError(f"{path.name}: {error}") from error
    except ExchangeError as error:
        raise UnreadableListError(f"{path.name}: {error.detail}") from error

    def entries() -> Iterator[list[str]]:
        with path.open("rb") as raw, TextIOWrapper(raw, encoding, "replace", newline="") as file:
            rows = csv.reader(file)
            next(rows, None)
            yield from (row for row in rows if row)

    return _Source(digest, max(lines - 1 + (not first), 0), entries, _Line(columns))


def _looked_through(path: Path) -> tuple[str, int, bool]:
    """SHA-256 of a file, its lines, and whether the last one ends."""
    digest, lines, last = hashlib.sha256(), 0, b"\n"
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
            lines += piece.count(b"\n")
            last = piece[-1:]
    return digest.hexdigest(), lines, last == b"\n"


def _encoding(path: Path) -> str:
    """UTF-8 where the whole file is, else the Shift_JIS of Windows."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            while file.read(1 << 20):
                pass
    except UnicodeDecodeError:
        return "cp932"
    return "utf-8-sig"


def _folder(path: Path) -> _Source:
    """Every file below a folder, by name; a file may hold several messages."""
    files = sorted(each for each in path.rglob("*") if each.is_file())
    if not files:
        raise UnreadableListError(f"{path.name} has no files.")
    digest, total = hashlib.sha256(), 0
    for each in files:
        content = each.read_bytes()
        total += max(len(_messages(content)), 1)
        digest.update(
            f"{each.relative_to(path)}|{hashlib.sha256(content).hexdigest()}\n".encode(errors="surrogateescape")
        )

    def entries() -> Iterator[bytes]:
        for each in files:
            yield from _messages(each.read_bytes()) or [b""]

    return _Source(digest.hexdigest(), total, entries, _read_message)


def _messages(content: bytes) -> list[bytes]:
    """The messages of a file, one after the other, with MLLP's framing or without."""
    plain = content.replace(b"\x0b", b"").replace(b"\x1c", b"\r").replace(b"\r\n", b"\r").replace(b"\n", b"\r")
    parts = (b"\r" + plain).split(b"\rMSH")
    return [b"MSH" + part for part in parts[1:]]


def _read_message(raw: bytes) -> PatientFeed:
    return patient_feed.read_request(Message.read(raw, settings.MAX_MESSAGE_BYTES))


def default_processes() -> int:
    """How many processes may prepare: one less than the machine has processors, at most two."""
    return max(0, min(2, (os.cpu_count() or 1) - 1))
