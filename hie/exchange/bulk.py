"""Rows into one table at once, past the object layer: COPY on PostgreSQL, one prepared statement on SQLite.

On PostgreSQL a few rows are one INSERT, so that they cost one round. Names of tables and columns are the program's own,
never input. Runs in the caller's database transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import connection
from django.db.models import Model

from hie.exchange.rows import execute, execute_each

COPY_FROM = 20  # rows; below, COPY costs more than it saves


def insert_rows(table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Insert rows, each a value for each column in their order, as the database takes them (times adapted)."""
    if not rows:
        return
    names = ", ".join(columns)
    line = f"({', '.join(['%s'] * len(columns))})"
    insert = f"INSERT INTO {table} ({names}) VALUES "  # noqa: S608 - the program's names
    if connection.vendor != "postgresql":
        execute_each(insert + line, rows)
    elif len(rows) < COPY_FROM:
        execute(insert + ", ".join([line] * len(rows)), [value for row in rows for value in row])
    else:
        with connection.cursor() as cursor, cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)


def update_rows(model: type[Model], columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Set columns of rows, each given by a value for each column in their order and its primary key at the end."""
    if not rows:
        return
    table = model._meta.db_table
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql" and len(rows) >= COPY_FROM:
            types = [_type_of(model, column) for column in (*columns, "id")]
            arrays = ", ".join(f"%s::{each}[]" for each in types)
            names = ", ".join(f"{column} = new.{column}" for column in columns)
            cursor.execute(
                f"UPDATE {table} SET {names} FROM unnest({arrays}) AS new({', '.join(columns)}, id)"  # noqa: S608
                f" WHERE {table}.id = new.id",
                [list(values) for values in zip(*rows, strict=True)],
            )
            return
        marks = ", ".join(f"{column} = %s" for column in columns)
        cursor.executemany(f"UPDATE {table} SET {marks} WHERE id = %s", rows)  # noqa: S608 - the program's names


def _type_of(model: type[Model], column: str) -> str:
    """The type of a column without its length, as an array of it is cast."""
    field = next(each for each in model._meta.concrete_fields if each.column == column)
    return (field.rel_db_type(connection) or "").partition("(")[0]


def keys_of(table: str, column: str, values: Iterable[str], within: Mapping[str, Any] | None = None) -> dict[str, int]:
    """The primary keys of rows by the value of a column, in a statement for every few hundred.

    The values are unique in the table, or among the rows whose columns are ``within``: a value, or a tuple of some.
    """
    wanted = list(values)
    limits = {name: limit if isinstance(limit, tuple) else (limit,) for name, limit in (within or {}).items()}
    more = "".join(f" AND {name} IN ({', '.join(['%s'] * len(limit))})" for name, limit in limits.items())
    limited = [value for limit in limits.values() for value in limit]
    found: dict[str, int] = {}
    with connection.cursor() as cursor:
        for start in range(0, len(wanted), 500):
            part = wanted[start : start + 500]
            marks = ", ".join(["%s"] * len(part))
            cursor.execute(
                f"SELECT {column}, id FROM {table} WHERE {column} IN ({marks}){more}",  # noqa: S608
                [*part, *limited],
            )
            found.update(cursor.fetchall())
    return found
