"""What a message left behind in the region: the records of it, and whether anything else changed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from tests.region import Region

# What looks at tables, not at what is in them: rows of these say nothing about a message.
_UNINTERESTING = re.compile(r"^(atna_|django_|auth_|sqlite_|ssmix_|xds_documentcheck)")


@dataclass(frozen=True, slots=True)
class Record:
    """One audit record: transaction, outcome, what it says, and who was behind it."""

    transaction: str
    outcome: int
    description: str
    caller: str
    message: bytes


class Watch:
    """Remembers the state of a region; asked later, it tells what came since."""

    def __init__(self, region: Region) -> None:
        self._region = region
        self._last = self._newest()
        self._state = self._counts()

    def records(self) -> list[Record]:
        """The audit records since, oldest first."""
        found = self._region.rows(
            'SELECT "transaction", outcome, description, caller_name, message FROM atna_auditrecord'
            " WHERE id > %s ORDER BY id",
            self._last,
        )
        return [Record(*row[:4], bytes(row[4])) for row in found]

    def changed(self) -> dict[str, tuple[int, int]]:
        """Tables with another number of rows: name -> before and now. Audit records do not count."""
        now = self._counts()
        return {table: (self._state[table], now[table]) for table in now if now[table] != self._state[table]}

    def _newest(self) -> str:
        """The key of the newest record: keys are ordered by time; the smallest there can be where there is none."""
        rows = self._region.rows("SELECT id FROM atna_auditrecord ORDER BY id DESC LIMIT 1")
        return str(rows[0][0]) if rows else "0" * 32

    def _counts(self) -> dict[str, int]:
        tables = [name for name in _tables(self._region) if not _UNINTERESTING.match(name)]
        sql = " UNION ALL ".join(f"SELECT '{table}', count(*) FROM {table}" for table in tables)
        return dict(self._region.rows(sql))


def _tables(region: Region) -> list[Any]:
    if region.database_url:
        rows = region.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    else:
        rows = region.rows("SELECT name FROM sqlite_master WHERE type = 'table'")
    return [name for (name,) in rows]


def looks_like_a_trace(answer: bytes) -> bool:
    """Whether an answer shows something of our inside: a stack trace, a path, the name of an exception's module."""
    return bool(re.search(rb'Traceback|File "|\.py\b|site-packages|/home/|/srv/|django\.|sqlite|psycopg', answer))
