"""A visit as a row keeps it: from the value to JSON and back."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from hie.values.demographics_queries import Location, Practitioner, Visit
from hie.values.identifiers import AssigningAuthority, Identifier

_IDENTIFIERS = ("preadmit_number", "visit_number")
_LOCATIONS = ("location", "prior_location", "temporary_location", "pending_location")
ROLES = ("attending", "referring", "consulting", "admitting")


def write_visit(visit: Visit) -> dict[str, Any]:
    """The visit as JSON can hold it; what is not told is left out."""
    told = {name: value for name, value in asdict(visit).items() if value and value != asdict(Location())}
    told.pop("cleared", None)  # said once, of what was known then
    return told


def read_visit(kept: dict[str, Any]) -> Visit:
    """The visit that ``write_visit`` wrote."""
    values = dict(kept)
    for name in _IDENTIFIERS:
        if values.get(name):
            values[name] = _identifier(values[name])
    for name in _LOCATIONS:
        if name in values:
            values[name] = Location(**values[name])
    for name in ROLES:
        values[name] = tuple(_practitioner(each) for each in values.get(name, ()))
    return Visit(**values)


def _identifier(kept: dict[str, Any]) -> Identifier:
    return Identifier(kept["value"], AssigningAuthority(**kept["assigning_authority"]), kept["type_code"])


def _practitioner(kept: dict[str, Any]) -> Practitioner:
    return Practitioner(**{**kept, "assigning_authority": AssigningAuthority(**kept["assigning_authority"])})
