"""The four forms of keeping, chosen as an operator chooses them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from apps.xds.stores import keys
from tests.s3 import Bucket, forget_storage, s3_server


@pytest.fixture(scope="session")
def server() -> Iterator[Bucket]:
    with s3_server() as made:
        yield made


@pytest.fixture
def bucket(server: Bucket) -> Bucket:
    """A bucket of the test's own."""
    return server.another()


@pytest.fixture(autouse=True)
def _keys(settings: Any, tmp_path: Path) -> Iterator[None]:
    settings.DOCUMENT_KEYS = str(tmp_path / "keys")
    forget_storage()
    yield
    forget_storage()


def sealing(settings: Any, name: str = "first") -> None:
    """New documents are sealed, by a key of this name."""
    if name not in keys.key_names():
        keys.make_key(name)
    settings.DOCUMENT_KEY = name


@pytest.fixture(params=["blob", "sealed", "object", "sealedobject"])
def form(request: pytest.FixtureRequest, settings: Any) -> str:
    """One of the forms; its scheme."""
    scheme: str = request.param
    if scheme.endswith("object"):
        request.getfixturevalue("bucket").choose(settings)
    if scheme.startswith("sealed"):
        sealing(settings)
    return scheme
