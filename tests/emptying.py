"""How a test that commits is undone: what it left is deleted, and the rows of a new installation are put back.

Django empties every table there is and lets every application make its rows anew, which takes longer than most of
these tests. Few tables have rows at all, so only those are touched.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.db import connection, transaction

append_only: Any = import_module("apps.atna.migrations.0002_append_only")


class Emptying:
    """Remembers what the tables hold when it is made; ``__call__`` brings them back there."""

    def __init__(self) -> None:
        self._tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
        self._of_a_new_installation = {table: _read(table) for table in self._filled()}

    def __call__(self) -> None:
        append_only.drop(connection)  # docs/decisions/0020
        try:
            with transaction.atomic(), connection.cursor() as cursor:  # references are looked at when it is committed
                filled = self._filled()
                for table in filled:
                    cursor.execute(f"DELETE FROM {_name(table)}")
                for table, (columns, rows) in self._of_a_new_installation.items():
                    into = f"{_name(table)} ({', '.join(map(_name, columns))})"
                    cursor.executemany(f"INSERT INTO {into} VALUES ({', '.join(['%s'] * len(columns))})", rows)
        finally:
            append_only.create(connection)
        ContentType.objects.clear_cache()

    def _filled(self) -> list[str]:
        has_rows = ", ".join(f"EXISTS (SELECT 1 FROM {_name(table)})" for table in self._tables)
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {has_rows}")
            return [table for table, found in zip(self._tables, cursor.fetchone(), strict=True) if found]


def _read(table: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {_name(table)}")
        return [column[0] for column in cursor.description], cursor.fetchall()


def _name(name: str) -> str:
    return connection.ops.quote_name(name)
