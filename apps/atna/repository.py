"""Where audit records are kept: one INSERT for all records of a message, in the caller's database transaction.

On SQLite, which commits one after the other, messages that are answered at the same moment share one INSERT and one
commit outside a database transaction: while a thread waits for the disk, the others put their rows down, and the next
one takes them all along. PostgreSQL lets its own connections share a flush. Nobody returns before their own rows are
durable.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from threading import Lock
from typing import Any

from django.db import DatabaseError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from hie.exchange.rows import execute, here
from hie.values.audit import AuditMessage
from hie.values.identifiers import new_ordered_hex
from hie.wire.atna.audit_message import write_message

_COLUMNS = (
    "id",
    "trail_uuid",
    "occurred_at",
    "transaction",
    "event_id",
    "action",
    "outcome",
    "caller_name",
    "facility_code",
    "person_user_id",
    "patient_regional_id",
    "patient_identifier",
    "remote_address",
    "purpose",
    "description",
    "message",
)
_ROW = f"({', '.join(['%s'] * len(_COLUMNS))})"
_INSERT = "INSERT INTO atna_auditrecord ({}) VALUES ".format(", ".join(f'"{name}"' for name in _COLUMNS))  # noqa: S608
# SQLite built with its older default takes 999 parameters in one statement.
_ROWS_PER_STATEMENT = 999 // len(_COLUMNS)

# What a database or a terminal cannot show as text: C0 and C1 controls, and the marks that turn the direction of
# writing, with which a sender could make a record read differently from what it says.
_UNSHOWN = dict.fromkeys(
    [*range(0x20), *range(0x7F, 0xA0), 0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
    + list(range(0xD800, 0xE000)),
    "\ufffd",
)


@dataclass(frozen=True, slots=True)
class NewRecord:
    """One record to be kept: the message, and the columns that the message itself does not name.

    purpose: code of the purpose of use, "" where none was given.
    """

    message: AuditMessage
    trail_id: str
    transaction: str = ""
    caller_name: str = ""
    facility_code: str = ""
    person_user_id: str = ""
    patient_regional_id: str = ""
    patient_identifier: str = ""
    remote_address: str = ""
    purpose: str = ""


def keep(records: list[NewRecord]) -> None:
    """Keep these records, all or none: one statement for up to 62 of them. Database errors propagate.

    Inside a database transaction they are committed with it; outside they are durable when this returns.
    """
    connection = here()
    rows = [_row(record, connection) for record in records]
    if connection.in_atomic_block or connection.vendor != "sqlite":
        _insert_all(rows)
    else:
        _insert_in_turn(_Waiting(rows))


@dataclass(slots=True, eq=False)
class _Waiting:
    """The rows of one message that wait for a commit. kept and error are set by the thread whose turn it was."""

    rows: list[tuple[Any, ...]]
    kept: bool = False
    error: DatabaseError | None = None


_waiting: deque[_Waiting] = deque()
_turn = Lock()


def _insert_in_turn(mine: _Waiting) -> None:
    """Wait for our turn, then insert our rows and those of everybody who waits, unless somebody did it for us."""
    _waiting.append(mine)
    with _turn:
        if not mine.kept and mine.error is None:
            together = {mine: None}
            while _waiting:
                together[_waiting.popleft()] = None
            _insert_together(list(together))
    if mine.error is not None:
        raise mine.error


def _insert_together(together: list[_Waiting]) -> None:
    """One commit for all. Where that fails each tries alone, so that no message fails for another's record."""
    try:
        _insert_all([row for each in together for row in each.rows])
    except DatabaseError as error:
        if len(together) == 1:
            together[0].error = error
            return
        for each in together:
            _insert_together([each])
    for each in together:
        each.kept = each.error is None


def _insert_all(rows: list[tuple[Any, ...]]) -> None:
    if len(rows) <= _ROWS_PER_STATEMENT:
        _insert(rows)
        return
    with transaction.atomic():
        remaining = iter(rows)
        while batch := list(islice(remaining, _ROWS_PER_STATEMENT)):
            _insert(batch)


def _insert(rows: list[tuple[Any, ...]]) -> None:
    if rows:
        execute(_statement(len(rows)), [value for row in rows for value in row])


@cache
def _statement(rows: int) -> str:
    return _INSERT + ", ".join([_ROW] * rows)


def _row(record: NewRecord, connection: BaseDatabaseWrapper) -> tuple[Any, ...]:
    message = record.message
    return (
        new_ordered_hex(),
        record.trail_id.replace("-", ""),
        _moment(message.occurred_at, connection),
        record.transaction,
        message.event_id.code,
        message.action,
        message.outcome,
        _shown(record.caller_name),
        record.facility_code,
        _shown(record.person_user_id),
        record.patient_regional_id,
        _shown(record.patient_identifier),
        _shown(record.remote_address),
        record.purpose,
        _shown(message.description),
        write_message(message),
    )


def _moment(moment: datetime, connection: BaseDatabaseWrapper) -> Any:
    """As Django keeps it: on SQLite as text in UTC without a zone."""
    if connection.vendor == "sqlite":
        return moment.astimezone(UTC).replace(tzinfo=None).isoformat(" ")
    return connection.ops.adapt_datetimefield_value(moment)


def _shown(text: str) -> str:
    return text if text.isprintable() else text.translate(_UNSHOWN)
