"""The running region of the SOAP journeys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.journeys import soap_region


@pytest.fixture
def region(transactional_db: None, tmp_path: Path, settings: Any) -> Iterator[soap_region.Region]:
    with soap_region.running(tmp_path, settings) as running:
        yield running
