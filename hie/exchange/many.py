"""Many rows of several tables in one round to the database, and the numbers they will have.

PostgreSQL takes one statement for all of it: every table's rows as arrays, the tables joined by WITH, so that its text,
and with it the prepared plan, is the same for one row and for a hundred; beyond that each table is copied (COPY).
SQLite takes one statement a table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections

from hie.exchange import rows


@dataclass(frozen=True, slots=True)
class Table:
    """A table to be written to. columns: name -> type in PostgreSQL, as (name, type); JSON is given as text."""

    name: str
    columns: tuple[tuple[str, str], ...]


def insert(*written: tuple[Table, Sequence[Sequence[Any]]]) -> None:
    """Add rows to each of these tables, in the caller's database transaction.

    Times are given as ``connection.ops.adapt_datetimefield_value`` has them. Raises the exceptions of ``django.db``.
    """
    filled = [(table, listed) for table, listed in written if listed]
    if not filled:
        return
    if connections[DEFAULT_DB_ALIAS].vendor == "postgresql":
        if max(len(listed) for _, listed in filled) > _COPY_FROM:
            for table, listed in filled:
                _copy(table, listed)
            return
        columns: list[list[Any]] = []
        for _, listed in filled:
            columns += [list(column) for column in zip(*listed, strict=True)]
        rows.execute(_of_arrays(tuple(table for table, _ in filled)), columns)
        return
    for table, listed in filled:
        rows.execute_each(_of_values(table), listed)


_COPY_FROM = 100


def _copy(table: Table, listed: Sequence[Sequence[Any]]) -> None:
    names = ", ".join(name for name, _ in table.columns)
    connection = connections[DEFAULT_DB_ALIAS]
    with connection.cursor() as cursor, cursor.copy(f"COPY {table.name} ({names}) FROM STDIN") as copy:
        for row in listed:
            copy.write_row(row)


def lines(listed: Iterable[Sequence[str | int]]) -> bytes:
    """Rows of texts and numbers as PostgreSQL's COPY takes them (its text format); nothing is NULL."""
    return "".join(["\t".join([_escaped(each) for each in row]) + "\n" for row in listed]).encode()


def _escaped(value: str | int) -> str:
    if not isinstance(value, str):
        return str(value)
    return value.translate(_COPIED) if _TO_ESCAPE.search(value) else value


_TO_ESCAPE = re.compile(r"[\\\t\n\r]")
_COPIED = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def copy_lines(table: Table, written: bytes) -> None:
    """Add rows that are written as ``lines`` to a table of PostgreSQL, in the caller's database transaction."""
    names = ", ".join(name for name, _ in table.columns)
    connection = connections[DEFAULT_DB_ALIAS]
    with connection.cursor() as cursor, cursor.copy(f"COPY {table.name} ({names}) FROM STDIN") as copy:
        copy.write(written)


def reserve(name: str, count: int) -> range | list[int]:
    """So many row numbers of a table, ascending, that nobody else will get."""
    if connections[DEFAULT_DB_ALIAS].vendor == "postgresql":
        sql = "SELECT nextval(%s::regclass) FROM generate_series(1, %s)"
        return [number for (number,) in rows.fetch(sql, [f"{name}_id_seq", count])]
    found = rows.fetch("SELECT seq FROM sqlite_sequence WHERE name = %s", [name])
    last = found[0][0] if found else 0
    sql = "UPDATE sqlite_sequence SET seq = %s WHERE name = %s"
    rows.execute(sql if found else "INSERT INTO sqlite_sequence (seq, name) VALUES (%s, %s)", [last + count, name])
    return range(last + 1, last + count + 1)


@lru_cache(256)
def _of_arrays(tables: tuple[Table, ...]) -> str:
    parts = []
    for table in tables:
        names = ", ".join(name for name, _ in table.columns)
        arrays = ", ".join(f"%s::{_ARRAY.get(kind, kind)}[]" for _, kind in table.columns)
        values = ", ".join(name if kind not in _ARRAY else f"{name}::{kind}" for name, kind in table.columns)
        parts.append(f"INSERT INTO {table.name} ({names}) SELECT {values} FROM unnest({arrays}) AS given ({names})")  # noqa: S608 - constants
    *first, last = parts
    return (f"WITH {', '.join(f'w{place} AS ({part})' for place, part in enumerate(first))} " if first else "") + last


# What is given as text and cast row by row.
_ARRAY = {"jsonb": "text"}


@lru_cache(256)
def _of_values(table: Table) -> str:
    names = ", ".join(name for name, _ in table.columns)
    return f"INSERT INTO {table.name} ({names}) VALUES ({', '.join(['%s'] * len(table.columns))})"  # noqa: S608 - constants
