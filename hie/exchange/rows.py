"""One statement on the driver's own cursor, for the few that every message runs.

Django looks its connection up by thread, wraps a cursor for each statement and copies its parameters, which takes
longer than SQLite takes to answer from an index. Here the same connection, the same database transaction and Django's
own exceptions remain; only that is left out. Statements have ``%s`` for a parameter and no other ``%``. Where
statements are logged, counted or wrapped, it is Django's cursor after all.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, close_old_connections, connections

from hie.exchange import prepared

# A connection that answered so shortly ago is not asked again whether it is alive.
ALIVE_SECONDS = 2.0
_AT_A_TIME = 500  # rows

_thread = threading.local()


def here() -> Any:
    """Django's database connection of this thread (a ``BaseDatabaseWrapper``), looked up once in its life."""
    try:
        return _thread.connection
    except AttributeError:
        _thread.connection = connections[DEFAULT_DB_ALIAS]
        _thread.is_logged = settings.DEBUG
        return _thread.connection


def fetch(sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    """All rows that a statement answers; none where it answers none. Raises the exceptions of ``django.db``.

    Outside a database transaction what it changed is durable when this returns.
    """
    connection = here()
    try:
        if connection.vendor == "postgresql" and _is_bare(connection):
            return prepared.run(connection.connection, sql, parameters)
        cursor = _run(connection, sql, parameters)
        found: list[tuple[Any, ...]] = cursor.fetchall() if cursor.description else []
    except connection.Database.Error:
        with connection.wrap_database_errors:
            raise
    return found


def each(sql: str, parameters: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    """The rows that a SELECT answers, one after the other: of many, SQLite holds some hundred at a time in memory.

    PostgreSQL sends them all at once.
    """
    if here().vendor == "postgresql":
        yield from fetch(sql, parameters)
        return
    with closing(cursor(sql, parameters)) as found:
        while some := found.fetchmany(_AT_A_TIME):
            yield from some


def execute(sql: str, parameters: Sequence[Any]) -> None:
    """Run a statement whose rows nobody wants; outside a database transaction it is durable when this returns."""
    fetch(sql, parameters)


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
    connection = here()
    try:
        return _run(connection, sql, parameters)
    except connection.Database.Error:
        with connection.wrap_database_errors:
            raise


def _run(connection: Any, sql: str, parameters: Sequence[Any]) -> Any:
    if _is_bare(connection):
        return connection.connection.execute(_of_driver(sql, connection.vendor), parameters)
    wrapped = connection.cursor()
    wrapped.execute(sql, parameters)
    return wrapped


def _is_bare(connection: Any) -> bool:
    """Whether the driver may be used itself, which is then connected: nobody counts, logs or forbids statements."""
    if connection.force_debug_cursor or connection.execute_wrappers or connection.needs_rollback or _thread.is_logged:
        return False
    connection.close_if_health_check_failed()
    if connection.connection is None:
        connection.ensure_connection()
    return True


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
    connection = here()
    if rested or connection.errors_occurred or connection.close_at is not None:
        close_old_connections()
    if not rested:
        connection.health_check_done = True
