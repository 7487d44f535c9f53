"""The table of stored queries and their parameters (ITI TF-2: 3.18.4.1.2.3.7)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """How the values of a parameter are written and compared."""

    TEXT = "equal"
    CODE = "code^^scheme"
    PATTERN = "LIKE, % and _"
    TIME_FROM = "at or after"
    TIME_TO = "before"
    PATIENT_ID = "CX"
    STATUS = "availabilityStatus"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: its slot name, the field of ``hie.values.documents`` it restricts, and how.

    repeatable: several Slots of the name are ANDed (the values inside each are ORed).
    """

    name: str
    field: str
    kind: Kind
    repeatable: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """One stored query. many: parameters that take several values. one_of: exactly one of each group has to come."""

    query_id: str
    name: str
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    many: frozenset[str] = frozenset()
    one_of: tuple[tuple[str, ...], ...] = ()
    at_least_one_of: tuple[str, ...] = ()


QUERIES: dict[str, Query] = {}  # query id -> row
PARAMETERS: dict[str, Parameter] = {}  # slot name -> row
