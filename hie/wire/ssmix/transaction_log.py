"""Transaction storages (TR): the append-only log beside a tree, from which it can be rebuilt.

A file ``TR_YYYYMMDDHHMMSSFFF_nnnnn.DAT`` holds records one after another: a header line of ten items
(``#SSMIX,2.00,facility,patient,date,type,order,INS|DEL,department,time``) and the bytes of the message, up to the next
header. It is optional and often out of date: it never outweighs the tree, it is compared with it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import pairwise

from hie.wire.ssmix.names import Key
from hie.wire.ssmix.rules import Deviation

FILE_NAME = re.compile(r"TR_\d{17}_\d{1,10}\.DAT", re.IGNORECASE)

_HEADER = re.compile(rb"(?:^|(?<=[\r\n]))#SSMIX(?=,)")
_ITEMS = 10


@dataclass(frozen=True, slots=True)
class Record:
    """One record. deleted: DEL. offset and size locate the message in its file."""

    facility_code: str
    key: Key
    deleted: bool
    department: str
    written_at: str
    offset: int
    size: int
    deviations: tuple[Deviation, ...] = ()


def read_records(data: bytes) -> Iterator[Record]:
    """The records of one file, in order. An unreadable header is a record with TR-01 and an empty key."""
    starts = [match.start() for match in _HEADER.finditer(data)]
    if data[: starts[0] if starts else len(data)].strip():
        yield Record("", ("", "", "", ""), False, "", "", 0, starts[0] if starts else len(data), (_unreadable(),))
    for start, end in pairwise([*starts, len(data)]):
        yield _read_record(data, start, end)


def compare(records: Collection[Record], alive: Collection[Key]) -> Iterator[tuple[Key, Deviation]]:
    """TR-02: keys whose last word in the log is not what the tree shows. alive: keys with a current file."""
    last: dict[Key, Record] = {}
    for record in records:
        if not record.deviations:
            last[record.key] = record
    living = frozenset(alive)
    for key, record in last.items():
        if record.deleted is (key in living):
            yield key, Deviation("TR-02", "DEL" if record.deleted else "INS")


def _read_record(data: bytes, start: int, end: int) -> Record:
    line_end = min((at for at in (data.find(b"\r", start, end), data.find(b"\n", start, end)) if at >= 0), default=end)
    items = data[start:line_end].decode("ascii", "replace").split(",")
    body = line_end
    while body < end and data[body] in b"\r\n":
        body += 1
    if len(items) != _ITEMS or items[7] not in ("INS", "DEL"):
        return Record("", ("", "", "", ""), False, "", "", body, end - body, (_unreadable(),))
    _, _, facility_code, patient, date, data_type, order, kind, department, written_at = items
    key = (patient, date, data_type, order.rjust(15, "0"))
    return Record(facility_code, key, kind == "DEL", department, written_at, body, end - body)


def _unreadable() -> Deviation:
    return Deviation("TR-01", "header")
