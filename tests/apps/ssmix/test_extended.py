"""Extended storages: the content folder is the unit, its main document leads, a rename is all a deletion is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from apps.network.services import add_facility
from apps.pix.services import feed
from apps.ssmix import queries, repository
from apps.ssmix.models import Part, StorageRoot, StoredFile
from apps.ssmix.services import add_storage, scan
from apps.xds.models import DocumentEntry, Status
from hie.values.identifiers import Identifier
from hie.values.patients import FeedEvent, PatientFeed
from tests.apps.ssmix.storage import OLD

FACILITY, P = "1319999998", "0123456789"
KIND = "^経過記録^^11506-3^経過記録^LN"

pytestmark = pytest.mark.django_db


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "ANX01"


@pytest.fixture
def root(place: Path) -> StorageRoot:
    place.mkdir()
    add_facility(code=FACILITY, name="架空病院", kind="hospital")
    feed(PatientFeed(FeedEvent.REGISTER, "ADT^A08", "1", (Identifier(P),)), FACILITY)
    return add_storage(facility_code=FACILITY, path=str(place), kind="extended", quiet_seconds=0)


def write(place: Path, files: dict[str, bytes], *, time: str = "20160101150032123", flag: str = "1") -> Path:
    folder = place / P[:3] / P[3:6] / P / "20160101" / KIND / f"{P}_20160101_{KIND}_K1_{time}_01_{flag}"
    folder.mkdir(parents=True)
    for name, content in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        os.utime(file, (OLD, OLD))
    return folder


def rescan(root: StorageRoot) -> None:
    scan(StorageRoot.objects.get(pk=root.pk))
    assert queries.report(root).lost == 0


def test_a_content_folder_becomes_documents(root: StorageRoot, place: Path) -> None:
    folder = write(place, {"main_document.xml": b"<ClinicalDocument/>", "images/図.png": b"\x89PNG"})
    rescan(root)
    main = DocumentEntry.objects.get(mime_type="text/xml")
    assert DocumentEntry.objects.count() == 2
    assert StoredFile.objects.get().entry_uuid == main.entry_uuid
    assert Part.objects.filter(main=True).count() == 1
    assert repository.open_file(main.content.locator) == folder / "main_document.xml"


def test_a_renamed_folder_is_deleted_with_its_companions(root: StorageRoot, place: Path) -> None:
    folder = write(place, {"main_document.xml": b"<a/>", "b.png": b"\x89PNG"})
    rescan(root)
    entry = DocumentEntry.objects.get(mime_type="text/xml")
    gone = folder.rename(folder.with_name(folder.name[:-1] + "0"))
    assert repository.open_file(entry.content.locator) == gone / "main_document.xml"
    rescan(root)
    assert not DocumentEntry.objects.filter(status=Status.APPROVED).exists()
    assert StoredFile.objects.get().state == "deleted"


def test_a_new_folder_replaces_the_old_one(root: StorageRoot, place: Path) -> None:
    folder = write(place, {"main_document.xml": b"<a/>", "b.png": b"\x89PNG"})
    rescan(root)
    folder.rename(folder.with_name(folder.name[:-1] + "2"))
    write(place, {"main_document.xml": b"<b/>"}, time="20160102150032123")
    rescan(root)
    assert DocumentEntry.objects.filter(status=Status.APPROVED).count() == 1
    assert DocumentEntry.objects.filter(status=Status.DEPRECATED).count() == 2


def test_what_is_no_content_folder_is_reported(root: StorageRoot, place: Path) -> None:
    write(place, {"a.png": b"1", "b.png": b"2"})
    odd = place / P[:3] / P[3:6] / P / "20160101" / KIND / "odd"
    odd.mkdir()
    (odd / "x.pdf").write_bytes(b"%PDF-")
    write(place, {}, time="20160103150032123")
    (place / "readme.txt").write_bytes(b"x")
    rescan(root)
    rescan(root)
    found = {row.rules: row.state for row in StoredFile.objects.all()}
    assert found["EXT-01"] == "quarantined"
    assert found["PATH-10"] == "foreign"
    assert found["EXT-03"] == "unsettled"
    assert "EXT-02" in " ".join(found)
