"""A backup of a region while members submit to it, restored elsewhere and started: what its registry knows is there."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from hie.values.documents import DocumentRequest
from tests import region as regions
from tests.region import Region, prepared_region
from tests.robustness.clients import Feeding, Providing, feed_message, submission
from tests.s3 import s3_server

REPOSITORY = "1.2.392.99.6.1"


@dataclass
class Restored:
    """The region that was backed up, the one made of its backup, and what was told to the first."""

    old: Region
    new: Region
    backup: Path
    providing: Providing
    answered_before: set[str]
    audit_records_before: int
    audit_records_after: int


# Where the documents lie: what is copied of them has nothing to do with what is copied of the database.
DOCUMENTS = "sealed in a bucket" if os.environ.get("HIE_DATABASE_URL") else "plain"


@pytest.fixture(scope="module", params=[DOCUMENTS])
def restored(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Restored]:
    choices = {"HIE_DOCUMENT_KEY": "first"} if request.param.startswith("sealed") else {}
    elsewhere = dict(choices)
    with ExitStack() as stack:
        if request.param.endswith("bucket"):
            choices |= stack.enter_context(s3_server()).environment()
            elsewhere |= stack.enter_context(s3_server()).environment()
        old = stack.enter_context(prepared_region(**choices))
        old.run("manage.py", "document_keys", "--make", "first")
        (old.directory / "environment").write_text(
            f"HIE_NETWORK_NAME=a name\nHIE_DATABASE_URL={old.database_url}\nHIE_S3_BUCKET=of-the-old-one\n"
        )
        old.start()
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hie-restored-")))
        yield _restored(old, place, elsewhere, tmp_path_factory.mktemp("sent"), stack)


def _restored(old: Region, place: Path, choices: dict[str, str], sent: Path, stack: ExitStack) -> Restored:
    member = old.member("hospital")
    Feeding.of(member, "2.5", "B")._send(feed_message(member, "B1", control_id="B1"))
    providing = Providing(member=member, patient=member.regional_id("B1"), directory=sent)
    stopping = threading.Event()
    thread = threading.Thread(target=providing.run, args=(stopping,), daemon=True)
    thread.start()
    while len(providing.sent) < 10 and thread.is_alive():
        threading.Event().wait(0.05)
    answered = {each.name for each in providing.sent if each.answers}
    records = old.one("SELECT count(*) FROM atna_auditrecord")
    backup = place / "backup"
    old.run("manage.py", "backup", str(backup))
    records_after = old.one("SELECT count(*) FROM atna_auditrecord")
    stopping.set()
    thread.join(30)
    old.stop()
    directory = place / "data"
    directory.mkdir()
    url = stack.enter_context(regions._database(f"restored_{os.getpid()}_{len(choices)}", "template0"))
    new = Region(directory, url, choices)
    stack.callback(new.kill)
    new.run("manage.py", "restore", str(backup))
    new.run("manage.py", "migrate", "--check")
    new.start()
    return Restored(old, new, backup, providing, answered, records, records_after)


def test_what_was_answered_before_is_there_and_more(restored: Restored) -> None:
    assert not restored.providing.problems
    there = {name for (name,) in restored.new.rows("SELECT unique_id FROM xds_submissionset")}
    assert restored.answered_before <= there
    assert len(restored.answered_before) >= 9
    assert len(restored.providing.sent) > len(there), "members went on submitting"


def test_every_document_that_the_registry_knows_is_retrieved(restored: Restored) -> None:
    known = [name for (name,) in restored.new.rows("SELECT unique_id FROM xds_documententry")]
    member = restored.new.member("hospital")
    for unique_id in known:
        with member.retrieve(DocumentRequest(REPOSITORY, unique_id)) as result:
            (document,) = result.documents
            with document.path.open("rb") as file:
                assert file.read() == restored.providing.documents[unique_id][1]


def test_nothing_is_wrong_with_its_documents(restored: Restored) -> None:
    assert "no faults" in restored.new.run("manage.py", "check_documents").stdout


def test_audit_records_are_there_and_stay_as_they_are(restored: Restored) -> None:
    records = restored.new.one("SELECT count(*) FROM atna_auditrecord WHERE \"transaction\" = 'ITI-41'")
    assert records >= len(restored.answered_before)
    total = restored.new.one("SELECT count(*) FROM atna_auditrecord")
    assert total >= restored.audit_records_before
    for statement in ("UPDATE atna_auditrecord SET outcome = 0", "DELETE FROM atna_auditrecord"):
        with pytest.raises((sqlite3.DatabaseError, psycopg.Error), match="append-only"):
            restored.new.rows(statement)
    assert restored.new.one("SELECT count(*) FROM atna_auditrecord") >= total


def test_it_goes_on(restored: Restored, tmp_path: Path) -> None:
    member = restored.new.member("hospital")
    patient = member.regional_id("B1")
    assert patient is not None
    each = submission(member, patient, b"after", tmp_path)
    member.provide(each)
    with member.retrieve(DocumentRequest(REPOSITORY, each.document_entries[0].unique_id)) as result:
        assert result.documents
    backups = restored.new.rows("SELECT ended_at FROM xds_backuprun")
    assert all(ended is not None for (ended,) in backups), "its own backup is over"


def test_it_does_not_reach_for_the_old_one(restored: Restored) -> None:
    kept = (restored.new.directory / "environment").read_text()
    assert "HIE_NETWORK_NAME=a name\n" in kept
    assert "# not taken over by the restore: HIE_DATABASE_URL" in kept
    assert "# not taken over by the restore: HIE_S3_BUCKET" in kept
    assert (restored.new.directory / "secret_key").read_text() == (restored.old.directory / "secret_key").read_text()


def test_others_cannot_read_a_backup(restored: Restored) -> None:
    for path in [restored.backup, *restored.backup.rglob("*")]:
        if path.is_dir():
            assert path.stat().st_mode & 0o077 == 0, path


def test_neither_a_used_place_nor_half_a_backup_is_restored(restored: Restored, tmp_path: Path) -> None:
    again = restored.new.run("manage.py", "restore", str(restored.backup), check=False)
    assert again.returncode
    assert "is not empty" in again.stderr
    half = tmp_path / "half"
    shutil.copytree(restored.backup, half, ignore=shutil.ignore_patterns("manifest.json"))
    refused = restored.new.run("manage.py", "restore", str(half), check=False)
    assert refused.returncode
    assert "no complete backup" in refused.stderr


def test_the_next_backup_links_what_it_has(restored: Restored, tmp_path: Path) -> None:
    second = restored.backup.parent / "second"
    restored.new.run("manage.py", "backup", str(second), "--previous", str(restored.backup))
    shared = [path for path in (second / "content").rglob("*") if path.is_file() and path.stat().st_nlink > 1]
    assert len(shared) >= 9
    taken = restored.new.run("manage.py", "backup", str(second), check=False)
    assert "is not empty" in taken.stderr
    assert taken.returncode
