"""The segment structures of the data types, compiled: which segments must be there, and in which order."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache

from hie.wire.ssmix.data_types import DATA_TYPES, PASSED_OVER

_TOKEN = re.compile(r"\{\+|[{}\[\]]|[A-Z][A-Z0-9]{2}")


@dataclass(frozen=True, slots=True)
class Structure:
    """One structure: the segments that have to be there, and a pattern over ``"MSH PID … "``."""

    required: frozenset[str]
    pattern: re.Pattern[str]


@cache
def structure_of(data_type: str, trigger: str) -> Structure | None:
    """The structure of a trigger in a data type; of its valid trigger where the trigger does not belong to it."""
    row = DATA_TYPES.get(data_type)
    if row is None:
        return None
    text = row.valid.get(trigger) or row.cancel.get(trigger) or next(iter(row.valid.values()))
    return _compile(text)


@cache
def known_segments() -> frozenset[str]:
    """Every segment that some structure names or HL7 v2.5 allows beside them."""
    names = {
        token
        for row in DATA_TYPES.values()
        for text in (*row.valid.values(), *row.cancel.values())
        for token in _TOKEN.findall(text)
        if token.isalnum()
    }
    return frozenset(names) | PASSED_OVER


@lru_cache(maxsize=4096)
def judge(data_type: str, trigger: str, names: tuple[str, ...]) -> tuple[tuple[str, ...], bool, tuple[str, ...]]:
    """(required segments that are missing, whether the order holds, unknown segments) of a message's segment names."""
    structure = structure_of(data_type, trigger)
    unknown = tuple(dict.fromkeys(name for name in names if name not in known_segments()))
    if structure is None:
        return (), True, unknown
    missing = tuple(sorted(structure.required - set(names)))
    used = [name for name in names if name in known_segments() and name not in PASSED_OVER]
    ordered = bool(missing) or structure.pattern.fullmatch(" ".join(used) + " ") is not None
    return missing, ordered, unknown


def _compile(text: str) -> Structure:
    """``X`` once, ``[X]`` optional, ``{X}`` any number, ``{+X}`` at least one."""
    pattern: list[str] = []
    closing: list[str] = []
    required: set[str] = set()
    for token in _TOKEN.findall(text):
        if token in ("[", "{", "{+"):
            pattern.append("(?:")
            closing.append({"[": ")?", "{": ")*", "{+": ")+"}[token])
        elif token in ("]", "}"):
            pattern.append(closing.pop())
        else:
            pattern.append(f"(?:{token} )")
            if all(end == ")+" for end in closing):
                required.add(token)
    return Structure(frozenset(required), re.compile("".join(pattern)))
