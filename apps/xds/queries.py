"""What the registry asks of its own small tables, remembered for five seconds; and where its large ones lie."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import connection

from apps.terminology.queries import codes
from apps.xds.models import PARTITIONS, SHARDS, AcceptedCode, shard_key_of
from hie.exchange.remembered import remembered
from hie.exchange.rows import fetch

SECONDS = 5.0

# CodeType of codes.xml -> the kind under which apps.terminology maps the network's own documents to it.
_KINDS = {
    "classCode": "class",
    "typeCode": "type",
    "formatCode": "format",
    "eventCodeList": "event",
    "contentTypeCode": "content-type",
    "healthcareFacilityTypeCode": "facility-type",
    "practiceSettingCode": "practice-setting",
    "confidentialityCode": "confidentiality",
}


@remembered(SECONDS)
def accepted_codes() -> dict[str, frozenset[tuple[str, str]]]:
    """Attribute -> (code, scheme) accepted for it: those listed, and those that the network gives its own documents.

    An attribute for which none is listed is left out: it takes any code.
    """
    found: dict[str, set[tuple[str, str]]] = {}
    for attribute, code, scheme in AcceptedCode.objects.filter(enabled=True).values_list("attribute", "code", "scheme"):
        found.setdefault(attribute, set()).add((code, scheme))
    for attribute, listed in found.items():
        if attribute in _KINDS:
            listed.update((each.code, each.scheme) for each in codes(_KINDS[attribute]))
    return {attribute: frozenset(listed) for attribute, listed in found.items()}


_NAMES_AT_ONCE = 1000


def marks(values: Iterable[Any]) -> str:
    """A placeholder for each value."""
    return ", ".join("%s" for _ in values)


def partition_of(table: str, shard_key: int) -> str:
    """The table in which a shard's rows of a patient table lie: on PostgreSQL its partition, by its own name.

    Naming the partition, instead of having PostgreSQL find it, lets one plan serve every message (decision 0042).
    """
    if connection.vendor != "postgresql":
        return table
    return f"{table}_p{shard_key * PARTITIONS // SHARDS:02d}"


def shards_of(names: Iterable[str]) -> list[int]:
    """The shards in which something lies that bears or touches one of these ids; none where nothing does."""
    listed = list(dict.fromkeys(names))
    found: set[int] = set()
    for start in range(0, len(listed), _NAMES_AT_ONCE):
        part = listed[start : start + _NAMES_AT_ONCE]
        found.update(
            shard
            for (shard,) in fetch(f"SELECT shard_key FROM xds_mappedid WHERE name IN ({marks(part)})", part)  # noqa: S608
        )
    return sorted(found)


def shards_of_patients(patient_ids: Iterable[str]) -> list[int]:
    """The shards of some patients."""
    return sorted({shard_key_of(each) for each in patient_ids})


def in_shards(column: str, shards: list[int]) -> tuple[str, list[Any]]:
    """The condition that rows lie in one of the shards; it holds for none where there is no shard."""
    if not shards:
        return "1 = 0", []
    if len(shards) == 1:
        return f"{column} = %s", shards
    return f"{column} IN ({marks(shards)})", shards
