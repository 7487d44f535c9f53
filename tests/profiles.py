"""A checker of HL7 v2 messages against the profiles that IHE's test tools publish (HL7 2.5 chapter 2B), for tests."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from lxml import etree

from hie.wire.hl7v2.message import Message, Segment


def departures(message: Message, profile: Path) -> list[str]:
    """Where a message is not as its profile wants it; empty for a message that conforms.

    Checked are the segments in their order and number, and of each field and component whether it is required,
    forbidden (usage X), or repeated too often.
    """
    root = _profile(profile)
    reader = _Reader(message)
    found = list(_members(root, reader))
    if reader.rest:
        found.append(f"{reader.rest[0].name} is not expected here")
    return found


@cache
def _profile(path: Path) -> etree._Element:
    found = etree.parse(str(path)).find("HL7v2xStaticDef")
    assert found is not None
    return found


class _Reader:
    def __init__(self, message: Message) -> None:
        self.rest = list(message.segments)

    def take(self, name: str) -> Segment | None:
        return self.rest.pop(0) if self.rest and self.rest[0].name == name else None


def _members(group: etree._Element, reader: _Reader) -> Iterator[str]:
    for member in group:
        if member.tag == "Segment":
            yield from _segment(member, reader)
        elif member.tag == "SegGroup":
            first = member.find("Segment").get("Name")
            times = 0
            while reader.rest and reader.rest[0].name == first and _may(member, times):
                yield from _members(member, reader)
                times += 1
            if times < int(member.get("Min")):
                yield f"the group {member.get('Name')} is missing"


def _segment(row: etree._Element, reader: _Reader) -> Iterator[str]:
    times = 0
    while _may(row, times) and (segment := reader.take(row.get("Name"))) is not None:
        times += 1
        yield from _fields(row, segment)
    if times < int(row.get("Min")):
        yield f"the segment {row.get('Name')} is missing"


def _may(row: etree._Element, times: int) -> bool:
    return row.get("Max") == "*" or times < int(row.get("Max"))


def _fields(row: etree._Element, segment: Segment) -> Iterator[str]:
    for number, field in enumerate(row.findall("Field"), 1):
        place = f"{segment.name}-{number}"
        repetitions = segment.repetitions(number) if segment.name != "MSH" or number > 2 else [segment.field(number)]
        repetitions = repetitions if any(repetitions) else []
        if field.get("Usage") == "R" and len(repetitions) < max(1, int(field.get("Min"))):
            yield f"{place} has {len(repetitions)} repetitions, at least {field.get('Min')} are required"
        if field.get("Usage") == "X" and repetitions:
            yield f"{place} is not supported"
        if field.get("Max") != "*" and len(repetitions) > int(field.get("Max")):
            yield f"{place} repeats too often"
        if segment.name == "MSH" and number <= 2:
            continue
        for repetition in repetitions:
            for component, part in enumerate(field.findall("Component"), 1):
                text = segment.component_of(repetition, component)
                if repetition and part.get("Usage") == "R" and not text:
                    yield f"{place}.{component} is required"
                if part.get("Usage") == "X" and text:
                    yield f"{place}.{component} is not supported"
