"""Keys are rotated and documents written anew while they are read; old and new copies, kills and missing keys."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from apps.xds import models, stores
from apps.xds.services import rewriting, submit
from tests.apps.xds.samples import FACILITY, known_patient
from tests.apps.xds.stores.conftest import sealing
from tests.apps.xds.stores.test_forms import kept, lying, provided, retrieved
from tests.s3 import Bucket

pytestmark = pytest.mark.django_db


def documents(patient: str, directory: Path, count: int = 3) -> dict[bytes, models.DocumentEntry]:
    return {data: kept(patient, directory, data) for data in (b"document %d" % number for number in range(count))}


def all_there(rows: dict[bytes, models.DocumentEntry]) -> bool:
    return all(retrieved(row) == data for data, row in rows.items())


def test_rotation_leaves_the_documents_as_they_lie(settings: Any, patient: str, tmp_path: Path, capsys: Any) -> None:
    sealing(settings, "old")
    rows = documents(patient, tmp_path)
    before = lying(settings.DOCUMENT_STORE)
    call_command("document_keys", "--make", "new")
    assert "HIE_DOCUMENT_KEY=new" in capsys.readouterr().out
    settings.DOCUMENT_KEY = "new"
    rows[b"after"] = kept(patient, tmp_path, b"after")
    assert all_there(rows), "old and new key side by side"
    assert rewriting.keys_in_use() == {"old": 3, "new": 1}
    call_command("document_keys", "--rotate")
    assert "old                                       0 documents  is needed by backups only" in capsys.readouterr().out
    (tmp_path / "keys" / "old.key").unlink()
    assert all_there(rows)
    after = lying(settings.DOCUMENT_STORE)
    assert before.items() <= after.items(), "no document was written"


def test_rotation_goes_on_where_it_was(
    settings: Any, patient: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rewriting, "_AT_ONCE", 2)
    sealing(settings, "old")
    rows = documents(patient, tmp_path, 5)
    sealing(settings, "new")
    next(rewriting.rotate_keys())  # and is killed
    assert rewriting.keys_in_use() == {"old": 3, "new": 2}
    assert all_there(rows)
    assert [each.done for each in rewriting.rotate_keys()] == [2, 3]
    assert rewriting.keys_in_use() == {"old": 0, "new": 5}


def test_rotation_with_a_missing_key_says_which(settings: Any, patient: str, tmp_path: Path, capsys: Any) -> None:
    sealing(settings, "lost")
    documents(patient, tmp_path, 2)
    sealing(settings, "old")
    rows = {b"readable": kept(patient, tmp_path, b"readable")}
    sealing(settings, "new")
    (tmp_path / "keys" / "lost.key").unlink()
    with pytest.raises(CommandError, match=r"2 could not be opened.*lost\.key back there"):
        call_command("document_keys", "--rotate")
    assert rewriting.keys_in_use() == {"lost": 2, "old": 0, "new": 1}
    assert all_there(rows)
    call_command("document_keys")
    assert "IS MISSING" in capsys.readouterr().out
    settings.DOCUMENT_KEY = ""
    with pytest.raises(CommandError, match="HIE_DOCUMENT_KEY"):
        call_command("document_keys", "--rotate")
    with pytest.raises(CommandError, match="a key of this name"):
        call_command("document_keys", "--make", "new")


def schemes() -> set[str]:
    return {locator.partition(":")[0] for locator in models.Content.objects.values_list("locator", flat=True)}


def test_from_each_form_to_each(bucket: Bucket, settings: Any, patient: str, tmp_path: Path) -> None:
    rows = documents(patient, tmp_path)
    local = settings.DOCUMENT_STORAGE
    for storage, key, scheme in (
        (local, "one", "sealed"),
        ("s3", "one", "sealedobject"),
        ("s3", "", "object"),
        (local, "", "blob"),
        ("s3", "", "object"),
        (local, "one", "sealed"),
        (local, "", "blob"),
    ):
        bucket.choose(settings)
        settings.DOCUMENT_STORAGE, settings.DOCUMENT_KEY = storage, ""
        if key:
            sealing(settings, key)
        call_command("rewrite_documents", "--grace", "0")
        assert schemes() == {scheme}
        assert all_there(rows)
        settings.DOCUMENT_STORAGE = "s3"
        places = {place for _, place, _ in stores.walk()}
        assert len(places) == len(rows), f"old copies went: {places}"
    assert models.SealingKey.objects.count() == 0


def test_fresh_keys_for_all(settings: Any, patient: str, tmp_path: Path) -> None:
    sealing(settings)
    rows = documents(patient, tmp_path)
    before = lying(settings.DOCUMENT_STORE)
    call_command("rewrite_documents", "--grace", "0")
    assert lying(settings.DOCUMENT_STORE) == before, "they have the form"
    call_command("rewrite_documents", "--all", "--grace", "0")
    assert not set(before) & set(lying(settings.DOCUMENT_STORE))
    assert not set(before.values()) & set(lying(settings.DOCUMENT_STORE).values())
    assert all_there(rows)


def test_equal_bytes_of_two_forms_come_together(settings: Any, patient: str, tmp_path: Path) -> None:
    rows = [kept(patient, tmp_path, b"same")]
    sealing(settings)
    rows.append(kept(patient, tmp_path, b"same"))
    assert models.Content.objects.count() == 2
    call_command("rewrite_documents", "--grace", "0")
    assert models.Content.objects.count() == 1
    assert len(lying(settings.DOCUMENT_STORE)) == 1
    assert [retrieved(row) for row in rows] == [b"same", b"same"]
    settings.DOCUMENT_KEY = ""
    rows.append(kept(patient, tmp_path, b"same"))
    call_command("rewrite_documents", "--grace", "0")
    assert schemes() == {"blob"}
    assert [retrieved(row) for row in rows] == [b"same"] * 3


def test_an_old_copy_stays_for_answers_under_way(settings: Any, patient: str, tmp_path: Path) -> None:
    (row,) = documents(patient, tmp_path, 1).values()
    assert row.content is not None
    sealing(settings)
    for _ in rewriting.rewrite_documents(grace=0.2):
        assert schemes() == {"sealed"}
        assert stores.exists(row.content.locator)
    assert not stores.exists(row.content.locator)


def test_a_lost_document_stops_nobody(settings: Any, patient: str, tmp_path: Path) -> None:
    lost = kept(patient, tmp_path, b"lost")
    rows = documents(patient, tmp_path)
    assert lost.content is not None
    stores.remove(lost.content.locator)
    sealing(settings)
    with pytest.raises(CommandError, match="1 could not be written anew"):
        call_command("rewrite_documents", "--grace", "0")
    assert all_there(rows)
    assert schemes() == {"blob", "sealed"}


@pytest.mark.django_db(transaction=True)
def test_documents_are_read_while_they_are_written_anew(settings: Any, tmp_path: Path) -> None:
    """Until nothing changes any more, a reader never misses one, and a document that comes meanwhile is there too."""
    patient = known_patient()
    rows = documents(patient, tmp_path, 12)
    sealing(settings)
    stop, problems = threading.Event(), []

    def read() -> None:
        while not stop.is_set():
            problems.extend(data for data, row in rows.items() if retrieved(row) != data)
        connection.close()

    # The tests' SQLite lies in memory, where a reader locks a writer out: there the reading is done between the steps.
    reader = threading.Thread(target=read) if connection.vendor == "postgresql" else None
    if reader:
        reader.start()
    try:
        for number, _ in enumerate(rewriting.rewrite_documents(grace=0.5)):
            if number == 3:
                submit(provided(patient, tmp_path, b"meanwhile"), facility_code=FACILITY)
            problems.extend(data for data, row in rows.items() if retrieved(row) != data)
        for name in ("second", "third"):
            sealing(settings, name)
            list(rewriting.rotate_keys())
            problems.extend(data for data, row in rows.items() if retrieved(row) != data)
    finally:
        stop.set()
        if reader:
            reader.join()
    assert problems == []
    assert schemes() == {"sealed"}
    assert rewriting.keys_in_use() == {"first": 0, "second": 0, "third": 13}
