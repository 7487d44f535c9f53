"""The audit record in the making: while a message is answered the pipeline fills the trail, of which the recorder
makes one kept record for each entry and patient (DICOM PS3.15 A.5; ITI TF-2: 3.20).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from hie.exchange.connection import Connection
from hie.exchange.transaction import Transaction
from hie.values.access import Caller, Subject
from hie.values.identifiers import new_ordered_uuid


@dataclass(slots=True)
class Trail:
    """Who asked what of whom, as far as the message has come."""

    transaction: Transaction | None
    connection: Connection
    record_id: str = field(default_factory=lambda: str(new_ordered_uuid()))
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    caller: Caller | None = None
    request: Any = None
    subjects: tuple[Subject, ...] = ()
