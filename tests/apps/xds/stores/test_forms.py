"""Each form of keeping documents, through the verbs: submit, retrieve, remove, and what goes wrong with the bytes."""

from __future__ import annotations

import hashlib
import logging
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection

from apps.xds import models, repository, stores
from apps.xds.services import prepare_provided, register_prepared, remove_documents, remove_objects, submit
from apps.xds.stores import keys
from apps.xds.stores.shelves import LocalShelf, ObjectShelf
from hie.values.access import Access
from hie.values.documents import DocumentRequest, RemoveDocuments, RemoveObjects, RetrieveRequest, Submission
from hie.values.errors import ExchangeError, Reason
from tests.apps.xds.samples import FACILITY, entry, known_patient, permit, spooled, submission
from tests.apps.xds.stores.conftest import sealing
from tests.s3 import Bucket

pytestmark = pytest.mark.django_db
CHUNK = 64 * 1024


def provided(patient: str, directory: Path, data: bytes) -> Submission:
    each = entry(patient, hash="", size=None, repository_unique_id="")
    return replace(submission(patient, each), contents={each.entry_uuid: spooled(directory, data)})


def kept(patient: str, directory: Path, data: bytes) -> models.DocumentEntry:
    submit(provided(patient, directory, data), facility_code=FACILITY)
    return models.DocumentEntry.objects.select_related("content").latest("id")


def retrieved(row: models.DocumentEntry) -> bytes | list[Reason]:
    request = RetrieveRequest((DocumentRequest(django_settings.REPOSITORY_OID, row.unique_id),))
    result = repository.retrieve(request, permit(row.patient_id, access=Access.RETRIEVE))
    if result.findings:
        return [each.reason for each in result.findings]
    (document,) = result.documents
    with document.path.open("rb") as file:
        return file.read()


def lying(bucket_or_store: Any) -> dict[str, bytes]:
    if isinstance(bucket_or_store, Bucket):
        return bucket_or_store.objects()
    found = (path for path in Path(bucket_or_store).rglob("*") if path.is_file())
    return {path.name: path.read_bytes() for path in found}


@pytest.fixture
def place(form: str, request: pytest.FixtureRequest, settings: Any) -> Any:
    """Where the form keeps its bytes."""
    return request.getfixturevalue("bucket") if form.endswith("object") else settings.DOCUMENT_STORE


@pytest.mark.parametrize("size", [0, 3, CHUNK, 9 * 1024 * 1024 + 5, 20 * 1024 * 1024])
def test_what_was_provided_is_retrieved(form: str, place: Any, patient: str, tmp_path: Path, size: int) -> None:
    before = set(lying(place))
    data = hashlib.shake_128(f"{form} {size}".encode()).digest(size)
    row = kept(patient, tmp_path, data)
    assert row.content is not None
    assert row.content.locator.partition(":")[0] == form
    assert (row.hash, row.size) == (hashlib.sha1(data).hexdigest(), size)
    assert (row.content.sha1, row.content.sha256) == (row.hash, hashlib.sha256(data).hexdigest())
    assert retrieved(row) == data
    (name,) = set(lying(place)) - before
    assert (lying(place)[name] == data) is not form.startswith("sealed"), "sealed bytes are not the plain ones"
    assert not list((Path(django_settings.DOCUMENT_STORE) / "incoming").glob("*")), "nothing fetched stays"


def test_equal_bytes_are_kept_once(form: str, place: Any, patient: str, tmp_path: Path) -> None:
    data = hashlib.shake_128(form.encode()).digest(1000)
    before = set(lying(place))
    rows = [kept(patient, tmp_path, data) for _ in range(2)]
    two = replace(provided(patient, tmp_path, data))
    submit(two, facility_code=FACILITY)
    assert models.Content.objects.count() == 1
    assert len(set(lying(place)) - before) == 1
    assert [retrieved(row) for row in rows] == [data, data]


def test_bytes_taken_in_twice_at_once_are_kept_once(
    form: str, place: Any, patient: str, tmp_path: Path, django_capture_on_commit_callbacks: Any
) -> None:
    before = set(lying(place))
    both = [prepare_provided(provided(patient, tmp_path, b"at once " + form.encode())) for _ in range(2)]
    with django_capture_on_commit_callbacks(execute=True):
        for each in both:
            register_prepared(each, facility_code=FACILITY)
    assert models.Content.objects.count() == 1
    assert len(set(lying(place)) - before) == 1
    assert retrieved(models.DocumentEntry.objects.latest("id")) == b"at once " + form.encode()


def test_bytes_that_are_lost_come_back_with_the_next_submission(form: str, patient: str, tmp_path: Path) -> None:
    data = b"lost " + form.encode()
    row = kept(patient, tmp_path, data)
    assert row.content is not None
    stores.remove(row.content.locator)
    assert retrieved(row) == [Reason.REPOSITORY_ERROR]
    assert retrieved(kept(patient, tmp_path, data)) == data


def test_altered_bytes_never_leave(form: str, patient: str, tmp_path: Path) -> None:
    row = kept(patient, tmp_path, b"some bytes " + form.encode())
    assert row.content is not None
    scheme, name = row.content.locator.split(":")
    with stores.source(row.content.locator).open("rb") as file:
        lies = bytearray(file.read())
    lies[5] ^= 1
    stores.FORMS[scheme].shelf.put(name, iter((bytes(lies),)))
    assert retrieved(row) == [Reason.REPOSITORY_ERROR]


def test_a_document_goes_after_its_metadata(
    form: str, patient: str, tmp_path: Path, django_capture_on_commit_callbacks: Any
) -> None:
    row = kept(patient, tmp_path, b"to go " + form.encode())
    assert row.content is not None
    member = models.Association.objects.get(target_uuid=row.entry_uuid)
    uuids = (row.entry_uuid, member.entry_uuid, member.source_uuid)
    remove_objects(RemoveObjects(uuids), facility_code=FACILITY)
    prepared = prepare_provided(provided(patient, tmp_path, b"to go " + form.encode()))
    asked = RemoveDocuments((DocumentRequest(django_settings.REPOSITORY_OID, row.unique_id),))
    with django_capture_on_commit_callbacks(execute=True):
        assert remove_documents(asked, facility_code=FACILITY).removed == asked.documents
    assert not stores.is_there(row.content.locator, row.content.size)
    assert not models.SealingKey.objects.exists()
    with pytest.raises(ExchangeError) as refusal:
        register_prepared(prepared, facility_code=FACILITY)
    assert refusal.value.reason is Reason.BUSY, "what it counted on went meanwhile"


@pytest.mark.django_db(transaction=True)
def test_no_transaction_is_open_while_a_bucket_is_asked(
    bucket: Bucket, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.choose(settings)
    asked: list[tuple[str, bool]] = []
    for name in ("put", "get", "size", "remove"):
        does = getattr(ObjectShelf, name)

        def noted(self: Any, *args: Any, name: str = name, does: Any = does) -> Any:
            asked.append((name, connection.in_atomic_block))
            return does(self, *args)

        monkeypatch.setattr(ObjectShelf, name, noted)
    patient = known_patient()
    row = kept(patient, tmp_path, b"free")
    assert retrieved(kept(patient, tmp_path, b"free")) == b"free"
    both = [prepare_provided(provided(patient, tmp_path, b"both")) for _ in range(2)]
    for each in both:
        register_prepared(each, facility_code=FACILITY)
    last = models.DocumentEntry.objects.latest("id")
    for each in (row, last):
        member = models.Association.objects.get(target_uuid=each.entry_uuid)
        remove_objects(RemoveObjects((each.entry_uuid, member.entry_uuid, member.source_uuid)), facility_code=FACILITY)
        asking = RemoveDocuments((DocumentRequest(settings.REPOSITORY_OID, each.unique_id),))
        remove_documents(asking, facility_code=FACILITY)
    assert {name for name, _ in asked} == {"put", "get", "size", "remove"}
    assert not any(inside for _, inside in asked), asked


@pytest.fixture
def silent(settings: Any) -> Iterator[Bucket]:
    """A storage that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held: list[socket.socket] = []
        threading.Thread(target=lambda: _hold(server, held), daemon=True).start()
        yield Bucket(f"http://127.0.0.1:{server.getsockname()[1]}", "b", "k", "s")
        for each in held:
            each.close()


def _hold(server: socket.socket, held: list[socket.socket]) -> None:
    try:
        while True:
            held.append(server.accept()[0])
    except OSError:
        return


def test_a_silent_storage_is_busy(bucket: Bucket, silent: Bucket, settings: Any, patient: str, tmp_path: Path) -> None:
    bucket.choose(settings)
    row = kept(patient, tmp_path, b"there before")
    from tests.s3 import forget_storage

    forget_storage()
    silent.choose(settings, seconds=1)
    with pytest.raises(ExchangeError) as refusal:
        submit(provided(patient, tmp_path, b"into silence"), facility_code=FACILITY)
    assert refusal.value.reason is Reason.BUSY
    assert models.DocumentEntry.objects.count() == 1, "nothing is registered"
    assert retrieved(row) == [Reason.BUSY]
    forget_storage()
    bucket.choose(settings)
    submit(provided(patient, tmp_path, b"into silence"), facility_code=FACILITY)
    assert retrieved(row) == b"there before"


def test_forms_live_side_by_side(bucket: Bucket, settings: Any, patient: str, tmp_path: Path) -> None:
    rows = {"blob": kept(patient, tmp_path, b"side by side")}
    sealing(settings)
    rows["sealed"] = kept(patient, tmp_path, b"side by side")
    bucket.choose(settings)
    rows["sealedobject"] = kept(patient, tmp_path, b"side by side")
    settings.DOCUMENT_KEY = ""
    rows["object"] = kept(patient, tmp_path, b"side by side")
    for scheme, row in rows.items():
        assert row.content is not None
        assert row.content.locator.startswith(f"{scheme}:")
        assert retrieved(row) == b"side by side"


def test_a_missing_or_wrong_key_is_said_to_the_operator(
    settings: Any, patient: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sealing(settings)
    row = kept(patient, tmp_path, b"closed")
    path = tmp_path / "keys" / "first.key"
    right = path.read_bytes()
    path.unlink()
    with caplog.at_level(logging.ERROR):
        assert retrieved(row) == [Reason.REPOSITORY_ERROR]
        with pytest.raises(ExchangeError) as refusal:
            submit(provided(patient, tmp_path, b"more"), facility_code=FACILITY)
    assert refusal.value.reason is Reason.BUSY
    assert caplog.text.count("Put the file first.key back there") == 2
    caplog.clear()
    keys.make_key("first")
    with caplog.at_level(logging.ERROR):
        assert retrieved(row) == [Reason.REPOSITORY_ERROR]
    assert "does not open a document" in caplog.text
    path.write_bytes(right)
    assert retrieved(row) == b"closed"


def test_a_local_shelf_writes_nothing_under_a_name_before_it_is_whole(settings: Any) -> None:
    shelf = LocalShelf("sealed")

    def pieces() -> Iterator[bytes]:
        yield b"half"
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        shelf.put("ab" * 40, pieces())
    assert [path for path in Path(settings.DOCUMENT_STORE).rglob("*") if path.is_file()] == []
