"""The fast lane, which finds, and the processes that read ahead: they change how soon, never what comes of it."""

from __future__ import annotations

import hashlib
import os
import signal
from concurrent.futures import Future
from typing import Any

import pytest

from apps.ssmix import queries
from apps.ssmix.models import Directory, Scan, StorageRoot, StoredFile
from apps.ssmix.services import Progress, ahead, scan, scanning
from apps.xds.models import Association, DocumentEntry, MappedId, SubmissionSet
from tests.apps.ssmix.storage import Storage, message

PATIENTS = [f"00000{number}0001" for number in range(1, 7)]

pytestmark = pytest.mark.django_db
Outcome = set[tuple[Any, ...]]


@pytest.fixture
def full_storage(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> Storage:
    monkeypatch.setattr(scanning, "FIND_FROM", 1)
    monkeypatch.setattr(scanning, "BATCH_FILES", 4)
    for patient in PATIENTS:
        storage.demographics(patient)
        storage.write(patient)
        storage.write(patient, order="000000000000102", raw=message("0000000099"))
        storage.write(patient, order="000000000000103", raw=b"")
        (storage.folder(patient, "20240501", "OMP-01") / "Thumbs.db").write_bytes(b"x")
    return storage


def outcome() -> Outcome:
    return set(StoredFile.objects.values_list("name", "state", "rules", "sha256", "sha1", "unique_id", "live"))


def stop_in(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def stop(*args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(scanning._Run, name, stop)


def test_what_is_found_is_in_the_index_before_it_is_judged(
    full_storage: Storage, root: StorageRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        stop_in(patched, "_batch")
        with pytest.raises(KeyboardInterrupt):
            scan(root)
    report = queries.report(root)
    assert (report.found, report.unread, report.lost) == (30, 30, 0)
    assert not Directory.objects.exclude(mtime_ns=0).exists()
    file = full_storage.demographics(PATIENTS[0])
    assert StoredFile.objects.get(name=file.name).sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    again = scan(root)
    assert (again.counts["new"], again.counts["found"], again.counts["fed"]) == (30, 30, 6)
    assert queries.report(root).unread == 0


def test_the_figures_of_an_interrupted_full_scan_go_on(
    full_storage: Storage, root: StorageRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        stop_in(patched, "_pending")
        with pytest.raises(KeyboardInterrupt):
            scan(root, full=True)
    assert Scan.objects.get().counts["registered"] == 6
    done = scan(root, full=True)
    assert Scan.objects.count() == 1
    assert [done.counts.get(name, 0) for name in ("found", "new", "fed", "registered", "changed")] == [30, 30, 6, 6, 0]


def test_helpers_change_nothing(full_storage: Storage, root: StorageRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Progress] = []
    scan(root, told.append)
    alone = outcome()
    assert (told[-1].discovered, told[-1].settled) == (30, 30)
    for model in (StoredFile, Directory, Association, SubmissionSet, DocumentEntry, MappedId):
        model._default_manager.all().delete()
    monkeypatch.setattr(ahead, "FILES_FROM", 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(Future, "cancel", lambda self: False)
    patiently(monkeypatch)
    read: list[int] = []
    take = ahead.ReadAhead.take
    monkeypatch.setattr(
        ahead.ReadAhead, "take", lambda self, *args: (found := take(self, *args), read.append(len(found)))[0]
    )
    scan(root)
    assert outcome() == alone
    assert sum(read) == 24, "every file with a name of the storage was read by a helper"


def test_a_scan_that_loses_its_helpers_reads_on(
    full_storage: Storage, root: StorageRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "FILES_FROM", 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    patiently(monkeypatch)
    start, killed = ahead.Helpers.start, []

    def kill(self: ahead.Helpers, files: int) -> None:
        start(self, files)
        assert self._first is not None
        if not killed:
            killed.append(self._first.result())
            os.kill(killed[0], signal.SIGKILL)

    monkeypatch.setattr(ahead.Helpers, "start", kill)
    scan(root)
    assert killed
    assert queries.report(root).registered == 12


def test_nobody_waits_for_a_helper_to_start(
    full_storage: Storage, root: StorageRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "FILES_FROM", 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(ahead, "_prepare", stuck)
    monkeypatch.setattr(ahead.Helpers, "stop", lambda self: [each.kill() for each in self._pool._processes.values()])
    scan(root)
    assert queries.report(root).registered == 12


def stuck() -> None:
    signal.pause()


def patiently(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a scan wait until its helpers are up, which it never does by itself."""
    start = ahead.Helpers.start

    def wait(self: ahead.Helpers, files: int) -> None:
        start(self, files)
        if self._first is not None:
            self._first.result()

    monkeypatch.setattr(ahead.Helpers, "start", wait)
