"""Storages on the command line, on schedule, in the admin, and behind the content store."""

from __future__ import annotations

import csv
import json
import os
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone, translation

from apps.atna.models import AuditRecord
from apps.network import queries as network
from apps.ssmix import repository
from apps.ssmix.admin import StorageRootAdmin
from apps.ssmix.models import QuarantineDecision, Scan, StorageRoot, StoredFile, Tally
from apps.ssmix.services import check_transactions, locking, scan
from apps.ssmix.tasks import scan_due_storages
from apps.xds.models import DocumentEntry
from apps.xds.repository import retrieve
from hie.values.documents import DocumentRequest, RetrieveRequest
from hie.values.errors import ExchangeError, Reason
from tests.apps.ssmix.storage import OLD, Storage, flagged, message
from tests.apps.xds import samples

P1 = "0000000001"

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out, stderr=out)
    return out.getvalue()


def test_the_way_from_the_command_line(storage: Storage, root: StorageRoot) -> None:
    storage.demographics(P1)
    storage.write(P1)
    assert f"Storage {root.pk}" in run("add_storage", "1319999998", str(storage.path))
    assert "2 files: current 2; lost 0" in run("scan_storage")
    assert "found 2" in run("scan_storage", "1319999998", "--full")
    with pytest.raises(CommandError):
        run("add_storage", "0000000000", str(storage.path))
    with pytest.raises(CommandError):
        run("scan_storage", "77777")


def test_a_check_reports_as_text_csv_and_json(storage: Storage) -> None:
    storage.write(P1, raw=message("0000000002"))
    assert "ID-01 E OMP-01" in run("check_storage", str(storage.path))
    assert run("check_storage", str(storage.path), "--format", "csv").splitlines()[1].startswith("ID-01,E,")
    told = json.loads(run("check_storage", str(storage.path), "--format", "json", "--language", "en"))
    assert (told["files"], told["states"]) == (1, {"quarantined": 1})
    assert told["findings"][0]["examples"].endswith("[PID-3]")
    assert not StoredFile.objects.exists()
    with pytest.raises(CommandError):
        run("check_storage", "/no/such/place")


def test_what_scans_found_wrong_is_reported_by_facility(storage: Storage, root: StorageRoot) -> None:
    storage.demographics(P1)
    storage.write(P1, raw=message("0000000002"))
    scan(root)
    text = run("report_storage", "--language", "en")
    assert "2 files: current 1, quarantined 1; lost 0" in text
    assert f"1319999998 {root.name} ID-01 E OMP-01  202405       1  " in text
    assert storage.path.name not in text.splitlines()[2], "examples are paths inside the storage"
    rows = list(csv.DictReader(run("report_storage", root.facility.code, "--format", "csv").splitlines()))
    assert [(row["rule"], row["files"], row["accepted"]) for row in rows] == [("ID-01", "1", "False")]
    assert rows[0]["examples"].startswith("000/000/0000000001/20240501/OMP-01/0000000001_")
    assert json.loads(run("report_storage", str(root.pk), "--format", "json"))[0]["severity"] == "E"
    with pytest.raises(CommandError):
        run("report_storage", "0000000000")


def test_what_is_due_is_scanned(storage: Storage, root: StorageRoot, settings: Any) -> None:
    settings.SCAN_SECONDS = 60
    storage.demographics(P1)
    assert scan_due_storages() == 1
    assert scan_due_storages() == 0
    StorageRoot.objects.update(scan_requested=True)
    assert scan_due_storages() == 1
    StorageRoot.objects.update(last_scan_at=timezone.now() - timedelta(seconds=61))
    assert scan_due_storages() == 1
    StorageRoot.objects.update(scan_requested=True, lock_until=timezone.now() + timedelta(seconds=60))
    assert scan_due_storages() == 0
    StorageRoot.objects.update(scan_requested=True, lock_until=None, enabled=False)
    assert scan_due_storages() == 0


def test_a_storage_that_fails_does_not_stop_the_others(
    storage: Storage, root: StorageRoot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from apps.ssmix import tasks
    from apps.ssmix.services import add_storage

    other = add_storage(facility_code="1319999998", path=str(Storage(tmp_path / "STD02").path), quiet_seconds=0)

    def fail(asked: StorageRoot) -> Any:
        if asked.pk == root.pk:
            raise RuntimeError
        return scan(asked)

    monkeypatch.setattr(tasks, "scan", fail)
    assert scan_due_storages() == 1
    other.refresh_from_db()
    assert other.last_scan_at is not None


@pytest.mark.parametrize("locator", ["ssmix:x/a", "ssmix:999999/a", "ssmix:{}/", "ssmix:{}/../secret", "ssmix:{}/a//b"])
def test_what_the_content_store_does_not_open(locator: str, storage: Storage, root: StorageRoot) -> None:
    (storage.path.parent / "secret").write_bytes(b"x")
    with pytest.raises(ExchangeError) as refused:
        repository.open_file(locator.format(root.pk))
    assert refused.value.reason is Reason.DOCUMENT_NOT_AVAILABLE


def test_links_are_not_followed(storage: Storage, root: StorageRoot) -> None:
    (storage.path.parent / "secret").write_bytes(b"x")
    (storage.path / "link").symlink_to(storage.path.parent / "secret")
    (storage.path / "folder").symlink_to(storage.path.parent)
    for place in ("link", "folder/secret"):
        with pytest.raises(ExchangeError):
            repository.open_file(f"ssmix:{root.pk}/{place}")


def test_a_file_is_found_under_its_other_flags(storage: Storage, root: StorageRoot) -> None:
    file = storage.write(P1)
    locator = f"ssmix:{root.pk}/{file.relative_to(storage.path)}"
    for flag in "201":
        file = flagged(file, flag)
        assert repository.open_file(locator) == file
    file.unlink()
    with pytest.raises(ExchangeError):
        repository.open_file(locator)


def test_the_log_is_compared_with_the_tree(storage: Storage, root: StorageRoot, tmp_path: Path) -> None:
    storage.demographics(P1)
    storage.write(P1)
    scan(root)
    log = tmp_path / "TR01" / "2024"
    log.mkdir(parents=True)
    header = f"#SSMIX,2.00,1319999998,{P1},20240501,OMP-01,000000000000{{}},{{}},01,20240501101500100\r"
    records = [
        header.format("101", "INS"),
        "MSH|^~\\&|\r",
        header.format("102", "INS"),
        "MSH|\r",
        "#SSMIX,2.00\rMSH|\r",
    ]
    (log / "TR_20240501101500100_00001.DAT").write_bytes("".join(records).encode())
    found = check_transactions(root, str(tmp_path / "TR01"))
    assert {rule: count for (rule, _, _), count in found.counts.items()} == {"TR-02": 1, "TR-01": 1}
    place = str(tmp_path / "TR01")
    assert "TR-02 OMP-01  202405       1" in run("check_transactions", str(root.pk), place)
    told = json.loads(run("check_transactions", str(root.pk), place, "--format", "json", "--language", "en"))
    assert (told["files"], [row["rule"] for row in told["findings"]]) == (1, ["TR-01", "TR-02"])
    for storage_id, folder in (("0", place), (str(root.pk), "/no/such/place")):
        with pytest.raises(CommandError):
            run("check_transactions", storage_id, folder)


def test_the_screens_of_storages(storage: Storage, root: StorageRoot) -> None:
    storage.demographics(P1)
    storage.write(P1, raw=message("0000000002"))
    scan(root)
    User.objects.create_superuser("admin", password="only-for-this-test")
    client = Client()
    client.login(username="admin", password="only-for-this-test")
    row, tally = StoredFile.objects.get(data_type="OMP-01"), Tally.objects.get()
    for page in (
        "storageroot/",
        f"storageroot/{root.pk}/change/",
        "storageroot/add/",
        "tally/",
        f"tally/{tally.pk}/change/",
        "tally/?severity=E",
        "storedfile/?state__exact=quarantined",
        f"storedfile/?root__id__exact={root.pk}&rule=ID-01&data_type=OMP-01",
        f"storedfile/{row.pk}/change/",
        "accepteddeviation/add/",
        "scan/",
    ):
        assert client.get(f"/admin/ssmix/{page}").status_code == 200, page
    for language, name in (("ja", "OMP-01 処方オーダ"), ("en", "OMP-01 Prescription")):
        page = client.get("/admin/ssmix/storedfile/", headers={"accept-language": language}).content.decode()
        assert page.count(name) > 1  # in the row and in the filter
    before = AuditRecord.objects.count()
    assert P1 in client.get("/admin/ssmix/storedfile/").content.decode()
    assert AuditRecord.objects.count() > before
    table = client.post("/admin/ssmix/tally/", {"action": "download", "_selected_action": [tally.pk]})
    assert "ID-01" in table.content.decode("utf-8-sig")
    client.post("/admin/ssmix/storageroot/", {"action": "scan_fully", "_selected_action": [root.pk]})
    root.refresh_from_db()
    assert (root.scan_requested, root.full_requested) == (True, True)


def test_a_document_is_retrieved_from_the_repository_of_its_facility(
    storage: Storage, root: StorageRoot, settings: Any
) -> None:
    storage.demographics(P1)
    file = storage.write(P1)
    scan(root)
    entry = DocumentEntry.objects.get()
    facility = network.facility(root.facility.code)
    assert facility is not None
    assert entry.repository_unique_id == facility.repository_oid != settings.REPOSITORY_OID
    permit = samples.permit(entry.patient_id)
    asked = DocumentRequest(entry.repository_unique_id, entry.unique_id)
    assert [each.path for each in retrieve(RetrieveRequest((asked,)), permit).documents] == [file]
    elsewhere = DocumentRequest(settings.REPOSITORY_OID, entry.unique_id)
    unknown = DocumentRequest(facility.repository_oid, "9.9.9")
    refused = retrieve(RetrieveRequest((elsewhere, unknown)), permit).findings
    assert [each.reason for each in refused] == [Reason.DOCUMENT_NOT_AVAILABLE] * 2


def test_what_is_decided_about_quarantined_files(storage: Storage, root: StorageRoot) -> None:
    storage.demographics(P1)
    file = storage.write(P1, raw=message("0000000002"))
    storage.write(P1, order="000000000000102", raw=b"x")
    scan(root)
    User.objects.create_superuser("admin", password="only-for-this-test")
    client = Client()
    client.login(username="admin", password="only-for-this-test")
    numbers = list(StoredFile.objects.filter(state="quarantined").values_list("pk", flat=True))

    def ask(action: str, reason: str = "") -> list[str]:
        before = AuditRecord.objects.filter(patient_identifier__startswith=P1).count()
        posted = {"action": action, "reason": reason, "_selected_action": numbers}
        client.post("/admin/ssmix/storedfile/", posted)
        if QuarantineDecision.objects.exists():
            assert AuditRecord.objects.filter(patient_identifier__startswith=P1).count() > before
        scan(StorageRoot.objects.get(pk=root.pk))
        return sorted(StoredFile.objects.filter(pk__in=numbers).values_list("state", flat=True))

    assert ask("reject_files") == ["quarantined", "quarantined"]
    assert not QuarantineDecision.objects.exists()
    assert ask("reject_files", "not ours") == ["rejected", "rejected"]
    assert ask("read_again") == ["quarantined", "quarantined"]
    assert ask("accept_files", "the number was changed") == ["current", "quarantined"]
    assert DocumentEntry.objects.count() == 1
    file.write_bytes(message("0000000003"))
    os.utime(file, (OLD, OLD + 1))
    scan(StorageRoot.objects.get(pk=root.pk), full=True)
    assert StoredFile.objects.get(name=file.name).state == "quarantined"


@pytest.mark.parametrize(
    ("token", "silent", "state", "progress"),
    [
        ("elsewhere:77:x", 0, "scanning", "25%, 40 files found, about 1 min left"),
        ("elsewhere:77:x", 100, "silent", "Process 77 on elsewhere gave its last sign 10"),
        (f"{locking.HERE}:999999999:x", 0, "interrupted", "The scan was interrupted"),
        ("", 0, "not yet scanned", "-"),
    ],
)
def test_the_admin_tells_how_far_a_scan_is_and_for_what_the_next_one_waits(
    root: StorageRoot, token: str, silent: int, state: str, progress: str
) -> None:
    ends = timezone.now() + locking.LOCK_TIME - timedelta(seconds=silent) if token else None
    StorageRoot.objects.filter(pk=root.pk).update(lock_token=token, lock_until=ends)
    root.refresh_from_db()
    Scan.objects.create(root=root, started_at=timezone.now(), counts={"found": 40}, share=0.25, seconds=20)
    shown = StorageRootAdmin(StorageRoot, admin.site)
    with translation.override("en"):
        assert str(shown.state(root)) == state
        assert str(shown.progress(root)).startswith(progress)
