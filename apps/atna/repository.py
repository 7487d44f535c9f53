"""Where audit records are kept: one INSERT for all records of a message, in the caller's database transaction."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from django.db import connection, transaction

from hie.values.audit import AuditMessage
from hie.wire.atna.audit_message import write_message

_COLUMNS = (
    "record_uuid",
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
    rows = [_row(record) for record in records]
    if len(rows) <= _ROWS_PER_STATEMENT:
        _insert(rows)
        return
    with transaction.atomic():
        remaining = iter(rows)
        while batch := list(islice(remaining, _ROWS_PER_STATEMENT)):
            _insert(batch)


def _insert(rows: list[tuple[Any, ...]]) -> None:
    if not rows:
        return
    with connection.cursor() as cursor:
        cursor.execute(_INSERT + ", ".join([_ROW] * len(rows)), [value for row in rows for value in row])


def _row(record: NewRecord) -> tuple[Any, ...]:
    message = record.message
    return (
        uuid.uuid4().hex,
        uuid.UUID(record.trail_id).hex,
        _moment(message.occurred_at),
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


def _moment(moment: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(moment)


def _shown(text: str) -> str:
    return text if text.isprintable() else text.translate(_UNSHOWN)
