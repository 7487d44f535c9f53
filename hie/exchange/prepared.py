"""Statements that a PostgreSQL connection has prepared, run by PostgreSQL's own library (libpq).

psycopg's cursor is a conversation between Python and a socket, and asks for rows as text, in which bytes are twice as
long and are turned back one by one. The library's own call is one step outside the interpreter lock, and takes rows in
binary where every column means the same so. psycopg decides what is prepared, and when that ends (a rollback ends it);
it adapts what goes in and comes out, as for its cursor. (Measured, processor time of the caller: one row 94 and 33
microseconds, ten rows of 5 KB 401 and 117.)
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from psycopg import Connection, Error, OperationalError
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.postgres import types
from psycopg.pq import ConnStatus, ExecStatus, Format, TransactionStatus
from psycopg.pq.abc import PGresult

MOST = 200  # statements that one connection keeps prepared; the one that rested longest makes room

# Columns whose values psycopg reads from binary as it does from text. Times and JSON are Django's to read, from text.
_SAME_IN_BINARY = frozenset(
    types[name].oid for name in ("bool", "bytea", "int2", "int4", "int8", "float8", "text", "varchar")
)


class Prepared:
    """The prepared statements of one connection, which is used by one thread at a time."""

    def __init__(self, connection: Connection[Any]) -> None:
        self.connection = connection
        connection.prepared_max = MOST
        self._names = connection._prepared._names  # psycopg's: (statement, types of parameters) -> name
        self._adapted = Transformer(connection)
        self._formats: dict[bytes, Format] = {}

    def run(self, sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]] | None:
        """The rows of a statement, none of one that has none; or None: nothing was run, a cursor has to.

        That is so until psycopg has prepared it, and for the first statement of a database transaction, with which
        psycopg begins it. Raises the exceptions of psycopg.
        """
        library = self.connection.pgconn
        if not self.connection.autocommit and library.transaction_status == TransactionStatus.IDLE:
            return None
        values = self._adapted
        given = values.dump_sequence(parameters, [PyFormat.AUTO] * len(parameters))
        key = (_numbered(sql), values.types or ())
        name = self._names.get(key)
        if name is None:
            return None
        self._names.move_to_end(key)
        result = library.exec_prepared(name, given, values.formats, self._format(name))  # type: ignore[arg-type]
        if result.status == ExecStatus.TUPLES_OK:
            values.set_pgresult(result)
            rows = values.load_rows(0, result.ntuples, tuple)
            values.set_pgresult(None)
            return rows
        if result.status == ExecStatus.COMMAND_OK:
            return []
        raise self._error(result)

    def _format(self, name: bytes) -> Format:
        """How the rows of a statement are asked for: asked of PostgreSQL once."""
        format_ = self._formats.get(name)
        if format_ is None:
            described = self.connection.pgconn.describe_prepared(name)
            if described.status != ExecStatus.COMMAND_OK:
                raise self._error(described)
            columns = {described.ftype(place) for place in range(described.nfields)}
            if len(self._formats) > 2 * MOST:
                self._formats = {}
            format_ = self._formats[name] = Format.BINARY if columns <= _SAME_IN_BINARY else Format.TEXT
        return format_

    def _error(self, result: PGresult) -> Error:
        if self.connection.pgconn.status == ConnStatus.BAD:
            return OperationalError(result.get_error_message())
        return error_from_result(result, self.connection.info.encoding)


@lru_cache(maxsize=1024)
def _numbered(sql: str) -> bytes:
    """``%s`` as PostgreSQL numbers its parameters: ``$1``."""
    first, *others = sql.split("%s")
    return (first + "".join(f"${number}{part}" for number, part in enumerate(others, 1))).encode()
