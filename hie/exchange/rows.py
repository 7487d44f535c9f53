"""One statement on the driver's own cursor, for the few that every message runs.

Django wraps a cursor for each statement and copies its parameters, which takes longer than SQLite takes to answer from
an index. Here the same connection, the same database transaction and Django's own exceptions remain; only that is left
out. Statements have ``%s`` for a parameter and no other ``%``. Who logs, counts or wraps statements gets Django's cursor.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections


def fetch(sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    """All rows that a SELECT answers. Raises the exceptions of ``django.db``."""
    return _run(sql, parameters, fetching=True)


def execute(sql: str, parameters: Sequence[Any]) -> None:
    """Run a statement that answers nothing; outside a database transaction it is durable when this returns."""
    _run(sql, parameters, fetching=False)


def _run(sql: str, parameters: Sequence[Any], *, fetching: bool) -> list[tuple[Any, ...]]:
    connection = connections[DEFAULT_DB_ALIAS]
    if connection.queries_logged or connection.execute_wrappers or connection.needs_rollback:
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return cursor.fetchall() if fetching else []
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    with connection.wrap_database_errors:
        cursor = connection.connection.execute(_of_driver(sql, connection.vendor), parameters)
        return cursor.fetchall() if fetching else []


@lru_cache(maxsize=256)
def _of_driver(sql: str, vendor: str) -> str:
    return sql.replace("%s", "?") if vendor == "sqlite" else sql
