"""What every test starts from."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from django.db.backends.base.operations import BaseDatabaseOperations

from hie.exchange.remembered import forget_all


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    """Small tables are remembered in the process for seconds, longer than the rows of one test live."""
    forget_all()
    yield
    forget_all()


@pytest.fixture(autouse=True, scope="session")
def _audit_records_may_be_flushed() -> Iterator[None]:
    """Let a transactional test empty its own database, audit records included (docs/decisions/0020)."""
    append_only = import_module("apps.atna.migrations.0002_append_only")
    flush = BaseDatabaseOperations.execute_sql_flush

    def flush_without_triggers(self: Any, sql_list: list[str]) -> None:
        append_only.drop(self.connection)
        try:
            flush(self, sql_list)
        finally:
            append_only.create(self.connection)

    BaseDatabaseOperations.execute_sql_flush = flush_without_triggers  # type: ignore[method-assign]
    yield
    BaseDatabaseOperations.execute_sql_flush = flush  # type: ignore[method-assign]
