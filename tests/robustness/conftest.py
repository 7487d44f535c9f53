"""The regions of these tests, and what they were copied from, removed at the end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import region as regions


@pytest.fixture(scope="session", autouse=True)
def _copies_removed() -> Iterator[None]:
    yield
    regions.remove_prepared()


@pytest.fixture(scope="module")
def region() -> Iterator[regions.Region]:
    """One running region for all tests of a module; each finds the rows of those before."""
    with regions.running_region() as running:
        yield running
