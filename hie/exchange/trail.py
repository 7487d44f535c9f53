"""The audit record in the making: while a message is answered the pipeline fills the trail, of which the recorder
makes one kept record for each entry and patient (DICOM PS3.15 A.5; ITI TF-2: 3.20).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from hie.exchange.connection import Connection
from hie.exchange.transaction import Transaction
from hie.values.access import Caller, Subject
from hie.values.identifiers import new_ordered_hex


@dataclass(slots=True)
class Trail:
    """Who asked what of whom, as far as the message has come. record_id: a UUID as 32 hexadecimal digits."""

    transaction: Transaction | None
    connection: Connection
    record_id: str = field(default_factory=new_ordered_hex)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    caller: Caller | None = None
    request: Any = None
    subjects: tuple[Subject, ...] = ()

    @property
    def number(self) -> str:
        """The number of the message as people read and type it: a UUID with its hyphens."""
        return str(UUID(self.record_id))
