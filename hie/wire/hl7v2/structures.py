"""What a message has to look like: structures, required fields, shapes of values (HL7 2.3.1 and 2.5; ITI TF-2).

The tables come from hl7apy and are compiled once for each structure into flat rows; a message is then checked against
the rows. ``validate`` finds what a receiver may refuse. It overlooks what a receiver has to tolerate (ITI TF-2:
Appendix C.1): unknown segments and fields, surplus repetitions, optional things that are absent, and the ways of
Japanese systems that ``demographics`` can read. ``conformance`` adds those for who wants to know.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import import_module
from typing import Any

from hie.values.errors import Finding, Reason
from hie.values.times import read_ts
from hie.wire.hl7v2.message import NULL, Message, Segment

VERSIONS = ("2.3.1", "2.5")
STRUCTURES = ("ADT_A01", "ADT_A05", "ADT_A24", "ADT_A30", "ADT_A37", "ADT_A39", "QBP_Q21")

_IHE_REQUIRED = {  # beyond HL7: (structure, segment, field); ITI TF-2: 3.9.4.1.2
    ("QBP_Q21", "QPD", 2),
    ("QBP_Q21", "QPD", 3),
}
_IHE_OPTIONAL = {  # required by HL7 alone: merges, links and changes of identifier never carry demographics
    ("ADT_A24", "PID", 5),
    ("ADT_A30", "PID", 5),
    ("ADT_A37", "PID", 5),
    ("ADT_A39", "PID", 5),
}
_TABLES = {("PID", 8): ("HL70001", ("A", "F", "M", "N", "O", "U"))}  # user-defined in HL7, fixed by IHE
_WITHOUT_SHAPES = frozenset({"PV1"})  # has to be there, is not read


@dataclass(frozen=True, slots=True)
class Field:
    """One row of a segment: kind is ``date``, ``number`` or "" (not checked); values is a fixed table or empty."""

    number: int
    required: bool
    kind: str
    table: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """A segment that a structure requires. times: so often. exactly: one more is an error. single: fields that do not
    repeat."""

    name: str
    times: int
    exactly: bool
    fields: tuple[Field, ...]
    single: tuple[int, ...]


def validate(message: Message, structure: str) -> list[Finding]:
    """What is wrong with a message of this structure, in the order of its segments; locations in ERR-2 notation.

    The version has to be one of ``VERSIONS``.
    """
    parts = _compiled(message.version, structure)
    findings = list(_check_segments(message, parts))
    for part in parts:
        for occurrence, segment in enumerate(message.all(part.name)[: part.times], 1):
            findings += _check_fields(segment, part, occurrence)
    return findings


def conformance(message: Message, structure: str) -> list[Finding]:
    """As ``validate``, and what a receiver has to overlook: surplus repetitions, segments that HL7 does not expect."""
    findings = validate(message, structure)
    for part in _compiled(message.version, structure):
        segment = message.first(part.name)
        for number in part.single if segment is not None else ():
            if segment is not None and len(segment.repetitions(number)) > 1:
                place = f"{part.name}-{number}"
                findings.append(
                    Finding(Reason.WRONG_DATA_TYPE, f"{place} does not repeat.", f"{part.name}^1^{number}^2")
                )
    expected = _expected(message.version, structure)
    for name in dict.fromkeys(segment.name for segment in message.segments):
        if name not in expected and not name.startswith("Z"):
            findings.append(Finding(Reason.SEGMENT_SEQUENCE, f"{structure} has no segment {name}.", f"{name}^1"))
    return findings


# Checks -------------------------------------------------------------------------------------------------------------


def _check_segments(message: Message, parts: tuple[Part, ...]) -> Iterator[Finding]:
    names = [segment.name for segment in message.segments]
    position = -1
    for part in parts:
        found = names.count(part.name)
        if found < part.times:
            detail = f"The segment {part.name} is required and absent."
            yield Finding(Reason.SEGMENT_SEQUENCE, detail, f"{part.name}^{found + 1}")
            if not found:
                continue
        place = names.index(part.name)
        if place < position:
            yield Finding(Reason.SEGMENT_SEQUENCE, f"The segment {part.name} comes too late.", f"{part.name}^1")
        position = max(position, place)
        if part.exactly and found > part.times:
            often = "once" if part.times == 1 else f"{part.times} times"
            detail = f"The segment {part.name} may come {often}: one event a message."
            yield Finding(Reason.SEGMENT_SEQUENCE, detail, f"{part.name}^{part.times + 1}")


def _check_fields(segment: Segment, part: Part, occurrence: int) -> Iterator[Finding]:
    fields = segment.fields
    for row in part.fields:
        text = fields[row.number] if row.number < len(fields) else ""
        if not text:
            if row.required:
                place = f"{part.name}-{row.number}"
                yield Finding(
                    Reason.REQUIRED_MISSING, f"{place} is required.", f"{part.name}^{occurrence}^{row.number}"
                )
        elif text != NULL and (row.kind or row.values):
            yield from _check_value(segment, row, occurrence)


def _check_value(segment: Segment, row: Field, occurrence: int) -> Iterator[Finding]:
    value = segment.component(row.number, 1).strip()
    place, location = f"{segment.name}-{row.number}", f"{segment.name}^{occurrence}^{row.number}"
    if not value or _is_exchanged(segment, row.number):
        return
    if row.kind == "date" and not is_date(value):
        yield Finding(Reason.WRONG_DATA_TYPE, f"{place} has to be a date or time, YYYY[MM[DD[HH[MM[SS]]]]].", location)
    elif row.kind == "number" and not _NUMBER.fullmatch(value):
        yield Finding(Reason.WRONG_DATA_TYPE, f"{place} has to be a number.", location)
    elif row.values and value.upper() not in row.values:
        yield Finding(
            Reason.NOT_IN_TABLE, f"{place} has to be one of {' '.join(row.values)} (table {row.table}).", location
        )


_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?|\.\d+")
_DATE = re.compile(r"(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\.\d{1,4})?([+-]\d{4})?")
_UNKNOWN = re.compile(r"0+|9+|99991231\d*")


@lru_cache(maxsize=4096)
def is_date(text: str) -> bool:
    """Whether the text is an HL7 time, of any precision. Also: 0000… and 9999… for unknown, ward hours 24 to 47,
    fractions without a dot behind the seconds."""
    if _UNKNOWN.fullmatch(text):
        return True
    fraction_without_dot = re.fullmatch(r"(\d{14})\d{1,4}", text)
    text = fraction_without_dot.group(1) if fraction_without_dot else text
    match = _DATE.fullmatch(text)
    if match is None:
        return False
    hour = match.group(4)
    if hour and 24 <= int(hour) <= 47:
        text = f"{text[:8]}{int(hour) - 24:02d}{text[10:]}"
    return read_ts(text) is not None


def _is_exchanged(segment: Segment, number: int) -> bool:
    """Sex in PID-7 with the birth date in PID-8: ``demographics`` reads it."""
    return (
        segment.name == "PID"
        and number in (7, 8)
        and segment.component(7, 1).strip().upper() in _TABLES["PID", 8][1]
        and is_date(segment.component(8, 1).strip())
    )


# Compilation --------------------------------------------------------------------------------------------------------


@cache
def _library(version: str) -> Any:
    return import_module("hl7apy.v" + version.replace(".", "_"))


@cache
def _compiled(version: str, structure: str) -> tuple[Part, ...]:
    """The required segments of a structure in their order, with their rows."""
    required = [(name, maximum) for name, minimum, maximum in _members(version, structure) if minimum]
    times = Counter(name for name, _ in required)
    return tuple(
        Part(name, times[name], maximum == 1, _rows(version, structure, name), _single(version, name))
        for name, maximum in dict(required).items()
    )


@cache
def _expected(version: str, structure: str) -> frozenset[str]:
    return frozenset(name for name, _, _ in _members(version, structure))


def _members(version: str, structure: str) -> Iterator[tuple[str, int, int]]:
    """(segment, minimum, maximum) of a structure, its groups laid flat. A group that IHE allows once is once."""
    library = _library(version)
    reference = library.MESSAGES.get(structure) or library.MESSAGES["ADT_A01"]  # 2.3.1 has no ADT_A05
    yield from _flat(library, reference, 1)


def _flat(library: Any, reference: Any, group_minimum: int) -> Iterator[tuple[str, int, int]]:
    for name, content, (minimum, maximum), kind in reference[1]:
        if kind == "GRP":
            yield from _flat(library, content, min(group_minimum, minimum))
        else:
            yield name, min(group_minimum, minimum), maximum


def _rows(version: str, structure: str, segment: str) -> tuple[Field, ...]:
    library = _library(version)
    rows = []
    for name, content, (minimum, _), _ in library.SEGMENTS[segment][1]:
        number = int(name.rsplit("_", 1)[1])
        data_type, table = content[2], content[4]
        key = (structure, segment, number)
        row = Field(
            number=number,
            required=(minimum > 0 or key in _IHE_REQUIRED) and key not in _IHE_OPTIONAL,
            kind="" if segment in _WITHOUT_SHAPES else _KINDS.get(data_type, ""),
            table=_TABLES.get((segment, number), (table or "", ()))[0],
            values=_fixed_values(library, segment, number, data_type, table),
        )
        if row.required or row.kind or row.values:
            rows.append(row)
    return tuple(rows)


def _single(version: str, segment: str) -> tuple[int, ...]:
    rows = _library(version).SEGMENTS[segment][1]
    return tuple(int(name.rsplit("_", 1)[1]) for name, _, (_, maximum), _ in rows if maximum == 1)


_KINDS = {"TS": "date", "DT": "date", "DTM": "date", "NM": "number", "SI": "number"}
_FIXED = frozenset({"HL70136"})  # yes or no; the other tables of type ID are extended by vendors and later versions


def _fixed_values(library: Any, segment: str, number: int, data_type: str, table: str | None) -> tuple[str, ...]:
    if (segment, number) in _TABLES:
        return _TABLES[segment, number][1]
    if data_type != "ID" or table not in _FIXED:
        return ()
    return tuple(library.TABLES[table][1])
