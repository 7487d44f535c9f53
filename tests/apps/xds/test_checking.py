"""check_documents: each kind of fault is found and said, and only what nobody needs is removed."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from apps.xds import models, repository
from apps.xds.services import submit
from apps.xds.services.checking import Checked, Fault, check_documents
from apps.xds.stores import keep
from hie.values.errors import ExchangeError, Reason
from tests.apps.xds.samples import FACILITY, entry, path_of, spooled, submission

pytestmark = pytest.mark.django_db


def kept(patient: str, directory: Path, data: bytes, **changes: Any) -> Path:
    each = entry(patient, hash="", size=None, repository_unique_id="", **changes)
    sent = replace(submission(patient, each), contents={each.entry_uuid: spooled(directory, data)})
    submit(sent, facility_code=FACILITY)
    content = models.DocumentEntry.objects.latest("id").content
    assert content is not None
    return path_of(content.locator)


def faults(**options: Any) -> list[tuple[str, int]]:
    found = list(check_documents(older_than=-60, **options))
    assert isinstance(found[-1], Checked)
    return [(each.kind, each.entries) for each in found if isinstance(each, Fault)]


def test_nothing_is_wrong(patient: str, tmp_path: Path) -> None:
    kept(patient, tmp_path, b"abc")
    assert faults() == []


def test_each_kind_is_found(patient: str, tmp_path: Path) -> None:
    lost, altered, longer = (kept(patient, tmp_path, data) for data in (b"lost", b"altered", b"longer"))
    lost.unlink()
    altered.write_bytes(b"ALTERED")
    longer.write_bytes(b"longer than before")
    orphan = path_of(keep(spooled(tmp_path, b"orphan")).locator)
    (orphan.parent / ".half").write_bytes(b"ha")
    assert sorted(faults()) == [("altered", 1), ("altered", 1), ("half", 0), ("lost", 1), ("orphan", 0)]
    assert sorted(faults(read=False)) == [("altered", 1), ("half", 0), ("lost", 1), ("orphan", 0)]


def test_on_the_command_line(
    patient: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    path = kept(patient, tmp_path, b"abc")
    orphan = path_of(keep(spooled(tmp_path, b"orphan")).locator)
    call_command("check_documents")
    assert "1 contents checked: no faults" in capsys.readouterr().out, "a young file may be in use"
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 2 * 24 * 60 * 60)
    with pytest.raises(SystemExit) as exit_code:
        call_command("check_documents", "--quick")
    assert exit_code.value.code == 1
    assert "orphan  sha256/" in capsys.readouterr().out
    assert orphan.exists()
    call_command("check_documents", "--clean")
    assert not orphan.exists()
    assert path.exists()


def test_a_document_of_a_storage_that_is_gone_is_lost(patient: str, tmp_path: Path) -> None:
    kept(patient, tmp_path, b"abc")
    models.Content.objects.update(locator="ssmix:1/000/gone")
    assert ("lost", 1) in faults()


def test_what_was_found_is_kept_for_each_repository(patient: str, tmp_path: Path, settings: Any) -> None:
    for data in (b"whole", b"lost"):
        path = kept(patient, tmp_path, data)
    path.unlink()
    for _ in range(2):
        faults()
    row = models.RepositoryCheck.objects.get()
    assert (row.repository_unique_id, row.documents, row.size) == (settings.REPOSITORY_OID, 2, 9)
    assert (row.lost, row.altered, row.closed, row.read) == (1, 0, 0, True)


@pytest.mark.parametrize("hours", ["0", "0.5"])
def test_a_young_orphan_is_never_asked_for(hours: str) -> None:
    with pytest.raises(CommandError, match="not safe"):
        call_command("check_documents", "--clean", f"--older-than={hours}")


SEEN: list[bytes] = []


def scanner(path: Path) -> bool:
    SEEN.append(path.read_bytes())
    return b"EICAR" not in SEEN[-1]


def test_every_document_is_scanned_before_it_is_kept(patient: str, tmp_path: Path, settings: Any) -> None:
    settings.DOCUMENT_SCANNER = f"{__name__}.scanner"
    kept(patient, tmp_path, b"clean")
    with pytest.raises(ExchangeError) as refusal:
        kept(patient, tmp_path, b"EICAR", unique_id="1.2.392.99.999")
    assert refusal.value.reason is Reason.INVALID_DOCUMENT_CONTENT
    assert "1.2.392.99.999" in refusal.value.detail, "codeContext names it (ITI TF-3 table 4.2.4.1-2)"
    assert SEEN == [b"clean", b"EICAR"]
    assert len([each for each in os.walk(settings.DOCUMENT_STORE) if each[2]]) == 1, "nothing of it is kept"


def test_what_lies_in_a_storage_is_scanned_when_it_leaves(patient: str, tmp_path: Path, settings: Any) -> None:
    settings.CONTENT_STORES = settings.CONTENT_STORES | {"elsewhere": f"{__name__}.in_place"}
    settings.DOCUMENT_SCANNER = f"{__name__}.scanner"
    repository._store.cache_clear()
    SEEN.clear()
    for data in (b"in place", b"EICAR in place"):
        path = tmp_path / "in-place"
        path.write_bytes(data)
        asked = (f"elsewhere:{path}", len(data), hashlib.sha256(data).hexdigest())
        if b"EICAR" in data:
            for _ in range(2):
                with pytest.raises(ExchangeError) as refusal:
                    repository.open_content(*asked)
                assert refusal.value.reason is Reason.REPOSITORY_ERROR
        else:
            assert repository.open_content(*asked) == repository.open_content(*asked) == path
    assert SEEN == [b"in place", b"EICAR in place", b"EICAR in place"], "clean bytes are asked about once"


def in_place(locator: str) -> Path:
    return Path(locator.partition(":")[2])


@pytest.mark.parametrize("name", ["endpoint", "subscription", "outgoing"])
def test_lists_in_the_admin(client: Client, name: str) -> None:
    from django.contrib.auth.models import User
    from django.urls import reverse

    client.force_login(User.objects.create_superuser("admin"))
    assert client.get(reverse(f"admin:xds_{name}_changelist")).status_code == 200
