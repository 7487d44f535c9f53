"""A checker of the HL7 v2 messages that we write against the structures of HL7 itself, read from hl7apy, for tests.

Checked are the segments in their order and number, and of each segment that required fields are there, that fields
which do not repeat do not, and that there is no field beyond the last one. It shares nothing with the checker that
judges what others send (``hie/wire/hl7v2/structures.py``) but the table of hl7apy that both read.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Any

from hie.wire.hl7v2.message import Message, Segment

# ITI TF-2: 3.22.4.2.2: RSP^K22 with the visit of each patient; HL7 has no table for the Z event's structure.
_ZV2 = ("MSH", "MSA", "ERR*", "QAK", "QPD", ["PID", "PD1?", "NK1*", "PV1", "PV2?", "QRI?"], "DSC?")
# What IHE asks for less of than HL7: merges and links tell no demographics (ITI TF-2: 3.30.4).
_NOT_ASKED = {(f"ADT_A{number}", "PID-5") for number in (24, 30, 37, 39, 43)}
_OF_THE_QUERY = "QPD"  # its fields from the third on are those of the query (HL7 2.5 5.5.4)
_REPEATED = "ERR"  # once for each finding, in the answers of queries too (ITI TF-2: 3.21.4.2.2.2 case 3)


def departures(message: Message) -> list[str]:
    """Where a message is not as HL7 has its structure; empty for one that is."""
    version = message.version
    structure = _structure(message)
    rest = [segment for segment in message.segments if not segment.name.startswith("Z")]
    found = list(_members(_grammar(version, structure), rest))
    found += [f"{segment.name} is not expected here" for segment in rest[:1]]
    for segment in message.segments:
        found += (each for each in _fields(version, segment) if (structure, each.split(" ")[0]) not in _NOT_ASKED)
    return found


def _structure(message: Message) -> str:
    named = message.header.component(9, 3)
    return named or ("ACK" if message.header.component(9, 1) == "ACK" else message.trigger.replace("^", "_"))


@cache
def _grammar(version: str, structure: str) -> tuple[Any, ...]:
    """Rows (name, least, most, members): members is empty for a segment; most -1 is any number."""
    if structure == "RSP_ZV2":
        return tuple(_row(each) for each in _ZV2)
    messages = import_module(f"hl7apy.v{version.replace('.', '_')}").MESSAGES
    return _rows(messages[structure])


def _rows(reference: Any) -> tuple[Any, ...]:
    return tuple(
        (name, times[0], -1 if name == _REPEATED else times[1], _rows(content) if kind == "GRP" else ())
        for name, content, times, kind in reference[1]
    )


def _row(written: Any) -> tuple[Any, ...]:
    if isinstance(written, list):
        return ("QUERY_RESPONSE", 0, -1, tuple(_row(each) for each in written))
    least, most = {"?": (0, 1), "*": (0, -1)}.get(written[-1], (1, 1))
    return (written.rstrip("?*"), least, most, ())


def _members(rows: tuple[Any, ...], rest: list[Segment]) -> Iterator[str]:
    for name, least, most, members in rows:
        times = 0
        while rest and rest[0].name in _first(name, members) and (most < 0 or times < most):
            times += 1
            if members:
                yield from _members(members, rest)
            else:
                rest.pop(0)
        if times < least:
            yield f"{name} is missing"


def _first(name: str, members: tuple[Any, ...]) -> set[str]:
    """The segments that a row may begin with."""
    if not members:
        return {name}
    found: set[str] = set()
    for each, least, _most, inner in members:
        found |= _first(each, inner)
        if least:
            break
    return found


@cache
def _segment(version: str, name: str) -> tuple[Any, ...]:
    segments = import_module(f"hl7apy.v{version.replace('.', '_')}").SEGMENTS
    return tuple(segments[name][1]) if name in segments else ()


def _fields(version: str, segment: Segment) -> Iterator[str]:
    rows = _segment(version, segment.name)
    if not rows:
        return
    if segment.name == _OF_THE_QUERY:
        rows = rows[:2]
    first = 3 if segment.name == "MSH" else 1
    for number, (_name, _content, (least, most), _kind) in enumerate(rows, 1):
        if number < first:
            continue
        place, text = f"{segment.name}-{number}", segment.field(number)
        if least and not text:
            yield f"{place} is required"
        if 0 < most < len(segment.repetitions(number)):
            yield f"{place} repeats too often"
    last = len(rows)
    if segment.name != _OF_THE_QUERY and any(
        segment.field(number) for number in range(last + 1, len(segment.fields) + 1)
    ):
        yield f"{segment.name} has more than {last} fields"
