"""Every test of the index has the same three facilities."""

from __future__ import annotations

import pytest

from tests.apps.pix.told import open_facilities


@pytest.fixture
def facilities(db: None) -> None:
    open_facilities()
