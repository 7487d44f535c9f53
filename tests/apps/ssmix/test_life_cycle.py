"""The life of a document in a storage: what each thing that a hospital does comes to in the exchange."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from apps.pix.models import LocalIdentifier, Person
from apps.ssmix import queries, repository
from apps.ssmix.models import Scan, StorageRoot, StoredFile, Tally
from apps.ssmix.services import (
    ScanRefusedError,
    committing,
    discovering,
    locking,
    scan,
    scanning,
    settling,
    telling,
)
from apps.xds.models import Association, DocumentEntry, Status
from hie.values.documents import RPLC
from tests.apps.ssmix.storage import OLD, Storage, flagged, message

P1, P2 = "0000000001", "0000000002"

pytestmark = pytest.mark.django_db
Scanned = Callable[..., Scan]
States = Callable[[], dict[str, str]]


def approved() -> int:
    return DocumentEntry.objects.filter(status=Status.APPROVED).count()


def deprecated() -> int:
    return DocumentEntry.objects.filter(status=Status.DEPRECATED).count()


def replacements() -> int:
    return Association.objects.filter(association_type=RPLC).count()


def test_a_patient_and_a_document_become_known(storage: Storage, scanned: Scanned, states: States) -> None:
    storage.demographics(P1)
    file = storage.write(P1)
    done = scanned()
    assert (done.counts["fed"], done.counts["registered"]) == (1, 1)
    assert states() == {"101_1015_1": "current"}
    entry = DocumentEntry.objects.get()
    row = StoredFile.objects.get(data_type="OMP-01")
    assert entry.entry_uuid == row.entry_uuid
    assert entry.patient_id.startswith(Person.objects.get().regional_id)
    assert repository.open_file(entry.content.locator) == file


def test_nothing_changed_means_nothing_done(storage: Storage, scanned: Scanned) -> None:
    storage.demographics(P1)
    storage.write(P1)
    scanned()
    for full in (False, True):
        done = scanned(full=full)
        assert {name: number for name, number in done.counts.items() if number} == {"found": 2}
    assert (approved(), LocalIdentifier.objects.count()) == (1, 1)


def test_an_update_replaces(storage: Storage, scanned: Scanned, states: States) -> None:
    storage.demographics(P1)
    first = storage.write(P1)
    scanned()
    flagged(first, "2")
    storage.write(P1, time_="20240501113000100")
    done = scanned()
    assert states() == {"101_1015_2": "history", "101_1130_1": "current"}
    assert (done.counts["renamed"], done.counts["replaced"]) == (1, 1)
    assert (approved(), deprecated(), replacements()) == (1, 1, 1)


def test_an_update_that_marks_the_old_version_deleted_replaces_too(storage: Storage, scanned: Scanned) -> None:
    storage.demographics(P1)
    first = storage.write(P1)
    scanned()
    flagged(first, "0")
    storage.write(P1, time_="20240501113000100")
    scanned()
    assert (approved(), deprecated(), replacements()) == (1, 1, 1)


def test_a_deletion_deprecates_and_its_message_is_no_document(
    storage: Storage, scanned: Scanned, states: States
) -> None:
    storage.demographics(P1)
    first = storage.write(P1)
    scanned()
    flagged(first, "0")
    storage.write(P1, time_="20240501113000100", flag="0")
    scanned()
    assert set(states().values()) == {"deleted"}
    assert (approved(), deprecated(), replacements()) == (0, 1, 0)


def test_a_deletion_that_is_taken_back(storage: Storage, scanned: Scanned) -> None:
    storage.demographics(P1)
    gone = flagged(storage.write(P1), "1")
    scanned()
    gone = flagged(gone, "0")
    scanned()
    flagged(gone, "1")
    scanned()
    assert (approved(), deprecated()) == (1, 1)
    assert StoredFile.objects.get(data_type="OMP-01").generation == 1


def test_a_change_of_date_is_a_deletion_and_a_new_document(storage: Storage, scanned: Scanned) -> None:
    storage.demographics(P1)
    flagged(storage.write(P1, date="20240502"), "0")
    storage.write(P1, date="20240503", time_="20240501115000100")
    scanned()
    assert (approved(), replacements()) == (1, 0)


def test_a_rename_alone_never_registers_again(storage: Storage, scanned: Scanned) -> None:
    storage.demographics(P1)
    first = storage.write(P1)
    scanned()
    entry = DocumentEntry.objects.get()
    renamed = flagged(first, "2")
    done = scanned()
    assert "new" not in done.counts
    assert DocumentEntry.objects.count() == 1
    assert repository.open_file(entry.content.locator) == renamed


def test_a_vanished_file_is_missing_and_stays_registered(storage: Storage, scanned: Scanned, states: States) -> None:
    storage.demographics(P1)
    first = storage.write(P1)
    scanned()
    raw = first.read_bytes()
    first.unlink()
    assert scanned().counts["missing"] == 1
    assert states() == {"101_1015_1": "missing"}
    assert approved() == 1
    first.write_bytes(raw)
    os.utime(first, (OLD, OLD))
    assert scanned().counts["restored"] == 1
    assert states() == {"101_1015_1": "current"}
    assert DocumentEntry.objects.count() == 1


def test_a_vanished_patient_folder_is_missing(storage: Storage, scanned: Scanned) -> None:
    storage.demographics(P1)
    storage.write(P1)
    scanned()
    shutil.rmtree(storage.path / P1[:3])
    storage.demographics("9990000001")
    assert scanned().counts["missing"] == 2
    assert approved() == 1


def test_an_empty_storage_changes_nothing(storage: Storage, scanned: Scanned, root: StorageRoot) -> None:
    storage.demographics(P1)
    storage.write(P1)
    scanned()
    shutil.rmtree(storage.path / P1[:3])
    assert scan(root).problem
    assert not StoredFile.objects.filter(state="missing").exists()
    storage.path.rmdir()
    assert scan(root).problem


def test_a_moved_folder_is_found_again(storage: Storage, scanned: Scanned) -> None:
    storage.demographics(P1)
    storage.write(P1)
    scanned()
    target = storage.path / "volume" / "two" / P1
    target.parent.mkdir(parents=True)
    (storage.path / P1[:3] / P1[3:6] / P1).rename(target)
    scanned()
    entry = DocumentEntry.objects.get()
    assert (approved(), DocumentEntry.objects.count()) == (1, 1)
    assert repository.open_file(entry.content.locator).is_relative_to(target)


def test_a_late_file_in_an_old_folder_is_found(storage: Storage, scanned: Scanned) -> None:
    storage.demographics(P1)
    storage.write(P1)
    scanned()
    storage.write(P1, order="000000000000102", date="20140101")
    assert scanned().counts["registered"] == 1


def test_a_late_older_version_does_not_replace_the_newer(storage: Storage, scanned: Scanned, states: States) -> None:
    storage.demographics(P1)
    storage.write(P1, time_="20240501113000100")
    scanned()
    storage.write(P1, time_="20240501101500100")
    scanned()
    assert states() == {"101_1130_1": "current", "101_1015_1": "history"}
    assert (approved(), DocumentEntry.objects.count()) == (1, 1)


def test_an_empty_file_is_waited_for_and_then_reported(storage: Storage, scanned: Scanned, states: States) -> None:
    storage.demographics(P1)
    file = storage.write(P1, raw=b"")
    scanned()
    assert states() == {"101_1015_1": "unsettled"}
    scanned()
    assert states() == {"101_1015_1": "quarantined"}
    assert StoredFile.objects.get(data_type="OMP-01").rules == "MSH-01"
    file.write_bytes(message(P1))
    os.utime(file, (OLD, OLD))
    scanned()
    assert states() == {"101_1015_1": "current"}
    assert not Tally.objects.filter(rule="MSH-01", count__gt=0).exists()


def test_a_fresh_file_rests_before_it_is_read(
    storage: Storage, scanned: Scanned, states: States, root: StorageRoot
) -> None:
    StorageRoot.objects.filter(pk=root.pk).update(quiet_seconds=60)
    storage.demographics(P1)
    file = storage.write(P1)
    os.utime(file)
    scanned()
    assert states() == {"101_1015_1": "unsettled"}
    os.utime(file, (OLD, OLD))
    scanned()
    assert states() == {"101_1015_1": "current"}


def test_between_rename_and_write_nothing_is_taken_back(storage: Storage, scanned: Scanned, root: StorageRoot) -> None:
    storage.demographics(P1)
    first = storage.write(P1)
    scanned()
    StorageRoot.objects.filter(pk=root.pk).update(quiet_seconds=60)
    renamed = flagged(first, "2")
    scanned()
    assert approved() == 1
    old = time.time() - 600
    os.utime(renamed.parent, (old, old))
    scanned()
    assert (approved(), deprecated()) == (0, 1)


def test_bytes_that_change_in_place_are_found_by_a_full_scan(storage: Storage, scanned: Scanned) -> None:
    storage.demographics(P1)
    file = storage.write(P1)
    scanned()
    file.write_bytes(message(P1, more="二"))
    os.utime(file, (OLD + 5, OLD + 5))
    assert scanned(full=True).counts["changed"] == 1
    assert (approved(), deprecated(), replacements()) == (1, 1, 1)


def test_another_patient_in_the_message_is_quarantined(storage: Storage, scanned: Scanned, root: StorageRoot) -> None:
    storage.demographics(P1)
    storage.write(P1, raw=message(P2))
    scanned()
    row = StoredFile.objects.get(data_type="OMP-01")
    assert (row.state, row.rules) == ("quarantined", "ID-01")
    assert approved() == 0
    StorageRoot.objects.filter(pk=root.pk).update(trust_folder=True)
    row.recheck = True
    row.save()
    scanned()
    assert approved() == 1


def test_documents_wait_for_their_patient(
    storage: Storage, scanned: Scanned, states: States, root: StorageRoot
) -> None:
    storage.write(P1)
    scanned()
    assert states() == {"101_1015_1": "pending"}
    assert queries.waiting_counts(root) == (1, 1)
    storage.demographics(P1)
    scanned()
    assert states() == {"101_1015_1": "current"}
    assert StoredFile.objects.get(data_type="OMP-01").rules == ""
    assert queries.waiting_counts(root) == (0, 0)


def test_newer_demographics_are_fed_and_older_are_not(storage: Storage, scanned: Scanned) -> None:
    first = storage.demographics(P1)
    scanned()
    flagged(first, "2")
    storage.demographics(P1, time_="20240601090000123")
    assert scanned().counts["fed"] == 1
    storage.demographics(P1, time_="20240401090000123")
    assert scanned().counts.get("fed", 0) == 0


def test_two_roots_of_a_facility_are_one_family(storage: Storage, scanned: Scanned, tmp_path: Path) -> None:
    from apps.ssmix.services import add_storage

    storage.demographics(P1)
    first = storage.write(P1)
    scanned()
    second = Storage(tmp_path / "STD02")
    root = add_storage(facility_code="1319999998", path=str(second.path), quiet_seconds=0)
    flagged(first, "2")
    second.write(P1, time_="20240501113000100")
    scan(root)
    assert (approved(), deprecated(), replacements()) == (1, 1, 1)


STEPS = [
    (discovering, "discover"),
    (discovering, "insert_new"),
    (committing, "store_directories"),
    (telling, "tell"),
    (telling, "register"),
    (telling, "feed_patients"),
    (scanning.stored, "write"),
    (committing, "store_parts"),
    (scanning.Tallies, "count"),
    (scanning._Run, "_pending"),
    (scanning._Run, "_end"),
    (settling, "_plan_document"),
]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("place", "name"), STEPS, ids=[name for _, name in STEPS])
def test_interrupted_anywhere_the_next_scan_ends_the_same(
    storage: Storage,
    root: StorageRoot,
    scanned: Scanned,
    monkeypatch: pytest.MonkeyPatch,
    place: Any,
    name: str,
    after: bool,
) -> None:
    monkeypatch.setattr(scanning, "BATCH_FILES", 2)
    for name_of_limit, limit in (("FIND_FROM", 2), ("FOUND_AT_ONCE", 2), ("SLICE_FILES", 5)):
        monkeypatch.setattr(scanning, name_of_limit, limit)
    for patient in (P1, P2, "1110000003"):
        storage.demographics(patient)
        storage.write(patient)
        flagged(storage.write(patient, order="000000000000102"), "2")
        storage.write(patient, order="000000000000102", time_="20240501113000100")
    step, calls = getattr(place, name), []

    def interrupted(*args: Any, **kwargs: Any) -> Any:
        calls.append(name)
        if len(calls) == 2 or name in ("_pending", "_end"):
            if after:
                step(*args, **kwargs)
            raise KeyboardInterrupt
        return step(*args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(place, name, interrupted)
        with pytest.raises(KeyboardInterrupt):
            scan(root)
    scanned()
    scanned(full=True)
    assert (approved(), deprecated()) == (6, 0)
    assert LocalIdentifier.objects.count() == 3
    assert StoredFile.objects.count() == 12
    assert DocumentEntry.objects.values("unique_id").distinct().count() == 6


def test_one_root_is_scanned_once_at_a_time_and_a_dead_scan_gives_way(storage: Storage, root: StorageRoot) -> None:
    storage.demographics(P1)
    locking.acquire(root)
    with pytest.raises(ScanRefusedError, match=f"process {os.getpid()}.* last sign 0 s ago.* its lock ends at .* in "):
        scan(root)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE ssmix_storageroot SET lock_until = '2020-01-01 00:00:00+00:00'")
    assert scan(root).counts["fed"] == 1


def test_the_lock_of_a_killed_process_is_taken_over_at_once(storage: Storage, root: StorageRoot) -> None:
    storage.demographics(P1)
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    StorageRoot.objects.filter(pk=root.pk).update(
        lock_token=f"{locking.HERE}:{child.pid}:x", lock_until=timezone.now() + timedelta(minutes=3)
    )
    assert scan(root).counts["fed"] == 1


def test_a_scan_that_lost_its_lock_commits_nothing(
    storage: Storage, root: StorageRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.demographics(P1)
    settle = scanning.settle

    def lose(*args: Any, **kwargs: Any) -> None:
        settle(*args, **kwargs)
        StorageRoot.objects.filter(pk=root.pk).update(lock_token="another")

    monkeypatch.setattr(scanning, "settle", lose)
    with pytest.raises(ScanRefusedError):
        scan(root)
    assert not StoredFile.objects.exists()
    assert not LocalIdentifier.objects.exists()


def test_files_that_cannot_be_read_stop_nothing(storage: Storage, scanned: Scanned) -> None:
    storage.demographics(P1)
    folder = storage.folder(P1, "20240501", "OMP-01")
    storage.write(P1)
    (folder / "Thumbs.db").write_bytes(b"x")
    (folder / f"{P1}_broken").write_bytes(b"x")
    (folder / "link").symlink_to("/etc/passwd")
    os.mkfifo(folder / f"{P1}_20240501_OMP-01_000000000000109_20240501101500100_01_1")
    os.close(os.open(os.fsencode(folder) + b"/\xff\xfe_x", os.O_CREAT | os.O_WRONLY))
    storage.write(P1, order="000000000000104", raw=b"\x00\xff" * 10)
    (folder / f"{P1}_20240501_OMP-01_000000000000103_20240501101500100_01_1").symlink_to("/etc/passwd")
    scanned()
    by_state = {row.name[-12:]: (row.state, row.rules) for row in StoredFile.objects.all()}
    assert approved() == 1
    assert [state for state, _ in by_state.values()].count("foreign") == 3
    assert StoredFile.objects.get(order_number="000000000000103").rules == "OWN-02"
    assert StoredFile.objects.get(order_number="000000000000109").state == "quarantined"
    assert StoredFile.objects.get(order_number="000000000000104").state == "quarantined"
