"""A facility with one small storage, and what the exchange knows of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from apps.network.services import add_facility
from apps.ssmix import queries
from apps.ssmix.models import Scan, StorageRoot, StoredFile
from apps.ssmix.services import add_storage, scan
from tests.apps.ssmix.storage import Storage

FACILITY = "1319999998"


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(tmp_path / "STD01")


@pytest.fixture
def root(db: None, storage: Storage) -> StorageRoot:
    add_facility(code=FACILITY, name="架空病院", kind="hospital")
    return add_storage(facility_code=FACILITY, path=str(storage.path), quiet_seconds=0)


@pytest.fixture
def scanned(root: StorageRoot) -> Callable[..., Scan]:
    """Scan, and account for every file each time."""

    def run(*, full: bool = False) -> Scan:
        done = scan(StorageRoot.objects.get(pk=root.pk), full=full)
        assert done.problem == ""
        assert queries.report(root).lost == 0
        return done

    return run


@pytest.fixture
def states(root: StorageRoot) -> Callable[[], dict[str, str]]:
    """``order_time_flag`` of every file -> its state."""

    def of() -> dict[str, str]:
        return {
            f"{row.order_number[-3:]}_{row.written_at[8:12]}_{row.flag}": row.state
            for row in StoredFile.objects.filter(root=root).exclude(data_type="ADT-00")
        }

    return of
