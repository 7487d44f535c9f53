"""What every test starts from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hie.exchange.remembered import forget_all


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    """Small tables are remembered in the process for seconds, longer than the rows of one test live."""
    forget_all()
    yield
    forget_all()
