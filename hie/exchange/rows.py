"""One statement on the driver's own cursor, for the few that every message runs.

Django wraps a cursor for each statement and copies its parameters, which takes longer than SQLite takes to answer from
an index. Here the same connection, the same database transaction and Django's own exceptions remain; only that is left
out. Statements have ``%s`` for a parameter and no other ``%``. Where statements are logged, counted or wrapped, it is
Django's cursor after all.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from functools import lru_cache
from typing import Any

from django.db import DEFAULT_DB_ALIAS, close_old_connections, connections

# A connection that answered so shortly ago is not asked again whether it is alive.
ALIVE_SECONDS = 2.0

_thread = threading.local()


def fetch(sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    """All rows that a SELECT answers. Raises the exceptions of ``django.db``."""
    with connections[DEFAULT_DB_ALIAS].wrap_database_errors:
        found: list[tuple[Any, ...]] = cursor(sql, parameters).fetchall()
    return found


def execute(sql: str, parameters: Sequence[Any]) -> None:
    """Run a statement that answers nothing; outside a database transaction it is durable when this returns."""
    cursor(sql, parameters)


def execute_each(sql: str, many: Sequence[Sequence[Any]]) -> None:
    """Run a statement once for each of these parameters."""
    connection = connections[DEFAULT_DB_ALIAS]
    if connection.queries_logged or connection.execute_wrappers or connection.needs_rollback:
        with connection.cursor() as wrapped:
            wrapped.executemany(sql, many)
        return
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    with connection.wrap_database_errors, closing(connection.connection.cursor()) as driver:
        driver.executemany(_of_driver(sql, connection.vendor), many)


def listed(column: str) -> str:
    """SQL that a column has one of the numbers that ``numbers`` makes a parameter of. One text for however many."""
    if connections[DEFAULT_DB_ALIAS].vendor == "postgresql":
        return f"{column} = ANY(%s::bigint[])"
    return f"{column} IN (SELECT value FROM json_each(%s))"  # noqa: S608 - the name of a column


def numbers(values: Iterable[int]) -> Any:
    """Numbers as the one parameter of ``listed``."""
    return list(values) if connections[DEFAULT_DB_ALIAS].vendor == "postgresql" else f"[{','.join(map(str, values))}]"


def cursor(sql: str, parameters: Sequence[Any]) -> Any:
    """A cursor (PEP 249) on which the statement was run. Who does not read it to its end has to close it."""
    connection = connections[DEFAULT_DB_ALIAS]
    if connection.queries_logged or connection.execute_wrappers or connection.needs_rollback:
        wrapped = connection.cursor()
        wrapped.execute(sql, parameters)
        return wrapped
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    with connection.wrap_database_errors:
        return connection.connection.execute(_of_driver(sql, connection.vendor), parameters)


@lru_cache(maxsize=256)
def _of_driver(sql: str, vendor: str) -> str:
    return sql.replace("%s", "?") if vendor == "sqlite" else sql


def between_messages() -> None:
    """What Django does between two requests: a connection that failed or is too old is closed, one that rested is
    asked whether it is alive before it is used again. Under load nothing rests, and no message pays for the question.
    """
    now = time.monotonic()
    rested = now - getattr(_thread, "last", 0.0) > ALIVE_SECONDS
    _thread.last = now
    close_old_connections()
    if not rested:
        connections[DEFAULT_DB_ALIAS].health_check_done = True  # type: ignore[attr-defined]
