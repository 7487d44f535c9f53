"""Where the rows of a patient, or of an id, lie (decision 0042). Everything that reads tables of patients asks here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import connection

from apps.xds.models import PARTITIONS, SHARDS, shard_key_of
from hie.exchange.rows import fetch

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
    return sorted({shard for shards in shards_by_name(names).values() for shard in shards})


def shards_by_name(names: Iterable[str]) -> dict[str, set[int]]:
    """The same of each id; those are left out that nothing bears or touches."""
    listed = list(dict.fromkeys(names))
    found: dict[str, set[int]] = {}
    for start in range(0, len(listed), _NAMES_AT_ONCE):
        part = listed[start : start + _NAMES_AT_ONCE]
        rows = fetch(f"SELECT name, shard_key FROM xds_mappedid WHERE name IN ({marks(part)})", part)  # noqa: S608
        for name, shard in rows:
            found.setdefault(name, set()).add(shard)
    return found


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
