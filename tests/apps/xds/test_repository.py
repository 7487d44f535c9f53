"""ITI-41 and ITI-43: content that is stored, verified and given out."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from apps.network import queries
from apps.network.models import Facility
from apps.xds import models, repository, stores
from apps.xds.services import register, registration, remove_documents, submit
from apps.xds.services.checking import check_documents
from apps.xds.stores import shelves
from apps.xds.stores.shelves import LocalShelf
from hie.values.access import Access, Rule
from hie.values.documents import DocumentRequest, RemoveDocuments, RetrieveRequest, RetrieveResult, Submission
from hie.values.errors import ExchangeError, Reason
from tests.apps.xds.samples import FACILITY, OTHER_FACILITY, entry, known_patient, permit, spooled, submission

pytestmark = pytest.mark.django_db


def provided(patient: str, directory: Path, data: bytes, **changes: Any) -> Submission:
    """A submission of one document, hash, size and repository left to the repository."""
    nothing: dict[str, Any] = {"hash": "", "size": None, "repository_unique_id": ""}
    each = entry(patient, **(nothing | changes))
    return replace(submission(patient, each), contents={each.entry_uuid: spooled(directory, data)})


def asked(*unique_ids: str, repository_id: str) -> RetrieveRequest:
    return RetrieveRequest(tuple(DocumentRequest(repository_id, each) for each in unique_ids))


def retrieved(request: RetrieveRequest, *patients: str, **changes: Any) -> RetrieveResult:
    return repository.retrieve(request, permit(*patients, access=Access.RETRIEVE, **changes))


def test_what_was_provided_is_retrieved(patient: str, tmp_path: Path, settings: Any) -> None:
    each = provided(patient, tmp_path, b"abc")
    submit(each, facility_code=FACILITY)
    row = models.DocumentEntry.objects.get()
    assert (row.hash, row.size) == ("a9993e364706816aba3e25717850c26c9cd0d89d", 3)
    assert row.repository_unique_id == settings.REPOSITORY_OID
    request = asked(row.unique_id, repository_id=settings.REPOSITORY_OID)
    assert repository.patients_of(request) == {request.documents[0]: (patient,)}
    (document,) = retrieved(request, patient).documents
    assert isinstance(document.path, Path)
    assert document.path.read_bytes() == b"abc"
    assert (document.size, document.mime_type) == (3, "text/plain")


@pytest.mark.parametrize("change", [{"hash": "0" * 40}, {"size": 4}])
def test_metadata_has_to_describe_the_document(patient: str, tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(ExchangeError) as refusal:
        submit(provided(patient, tmp_path, b"abc", **change), facility_code=FACILITY)
    assert refusal.value.reason is Reason.REPOSITORY_METADATA
    assert not models.DocumentEntry.objects.exists()
    assert not (tmp_path / "documents").exists(), "nothing is stored of what is refused"


def test_a_document_is_missing(patient: str, tmp_path: Path) -> None:
    each = replace(provided(patient, tmp_path, b"abc"), contents={})
    with pytest.raises(ExchangeError) as refusal:
        submit(each, facility_code=FACILITY)
    assert refusal.value.reason is Reason.MISSING_DOCUMENT


def test_the_same_submission_sent_again_stores_nothing(patient: str, tmp_path: Path) -> None:
    each = provided(patient, tmp_path, b"abc")
    submit(each, facility_code=FACILITY)
    again = replace(each, contents={name: spooled(tmp_path, b"abc") for name in each.contents})
    submit(again, facility_code=FACILITY)
    assert models.DocumentEntry.objects.count() == 1
    other = replace(each, contents={name: spooled(tmp_path, b"abd") for name in each.contents})
    with pytest.raises(ExchangeError) as refusal:
        submit(other, facility_code=FACILITY)
    assert {each.reason for each in refusal.value.findings} == {
        Reason.DUPLICATE_ID_IN_REGISTRY,
        Reason.NON_IDENTICAL_HASH,
    }


def test_equal_bytes_are_stored_once(patient: str, tmp_path: Path) -> None:
    for _ in range(2):
        submit(provided(patient, tmp_path, b"abc"), facility_code=FACILITY)
    assert models.Content.objects.count() == 1
    assert len([path for path in (tmp_path / "documents").rglob("*") if path.is_file()]) == 1


def test_content_is_durable_before_it_is_registered(
    patient: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    sync, store = os.fsync, repository.Path.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: (steps.append("sync"), sync(descriptor))[1])
    monkeypatch.setattr(Path, "replace", lambda self, target: (steps.append("rename"), store(self, target))[1])
    from apps.xds.services import registration

    stored = registration._store
    monkeypatch.setattr(registration, "_store", lambda *args: (steps.append("register"), stored(*args))[1])
    submit(provided(patient, tmp_path, b"abc"), facility_code=FACILITY)
    assert steps[:3] == ["sync", "rename", "sync"]
    assert steps[-1] == "register"


def test_what_is_synced_for_a_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file and its directory each time; the directories above once, and again where they were made anew."""
    content, synced = spooled(tmp_path, b"abc"), []
    sync, shelf = shelves._sync, LocalShelf("sha256")
    monkeypatch.setattr(shelves, "_sync", lambda path: (synced.append(path), sync(path)))
    shelf.put(content.sha256, content.path)
    place = shelf.path(content.sha256)
    first, above = synced.copy(), [place.parents[1], place.parents[2], place.parents[3]]
    assert first[1:] == [place.parent, *above]
    synced.clear()
    shelf.put(content.sha256, content.path)
    assert synced[1:] == [place.parent]
    shutil.rmtree(place.parents[1])
    synced.clear()
    shelf.put(content.sha256, content.path)
    assert synced[1:] == [place.parent, *above[:2]]


def test_a_document_of_another_community(patient: str, tmp_path: Path, settings: Any) -> None:
    """ITI TF-3 table 4.2.4.1-2; our own homeCommunityId is repeated in the answer (ITI TF-2: 3.43.4.2.2)."""
    submit(provided(patient, tmp_path, b"abc"), facility_code=FACILITY)
    unique_id = models.DocumentEntry.objects.get().unique_id
    own, other = (
        DocumentRequest(settings.REPOSITORY_OID, unique_id, home)
        for home in (queries.home_community_id(), "urn:oid:1.2.3")
    )
    result = retrieved(RetrieveRequest((own, other)), patient)
    assert [each.request for each in result.documents] == [own]
    assert [(each.reason, each.location) for each in result.findings] == [(Reason.UNKNOWN_COMMUNITY, unique_id)]


def test_unknown_and_withheld_documents_are_answered_alike(patient: str, tmp_path: Path, settings: Any) -> None:
    submit(provided(patient, tmp_path, b"abc", unique_id="1.2.3"), facility_code=FACILITY)
    request = asked("1.2.3", "9.9.9", repository_id=settings.REPOSITORY_OID)
    result = retrieved(request, patient, rules=(Rule(permits=False),))
    assert result.documents == ()
    assert [(each.reason, each.location) for each in result.findings] == [
        (Reason.DOCUMENT_NOT_AVAILABLE, "1.2.3"),
        (Reason.DOCUMENT_NOT_AVAILABLE, "9.9.9"),
    ]
    assert len({each.detail for each in result.findings}) == 1


def test_a_member_that_keeps_its_own_repository_answers_for_it(patient: str, tmp_path: Path, settings: Any) -> None:
    its_own = f"{settings.OID_ROOT}.6.77"
    elsewhere = entry(patient, unique_id="1.2.3", repository_unique_id=its_own)
    register(submission(patient, elsewhere), facility_code=FACILITY)
    submit(provided(patient, tmp_path, b"abc", unique_id="1.2.4"), facility_code=FACILITY)
    here = DocumentRequest(settings.REPOSITORY_OID, "1.2.4")
    wanted = tuple(DocumentRequest(*each) for each in ((its_own, "1.2.3"), (its_own, "9.9.9"), ("8.8", "1.2.3")))
    found = retrieved(RetrieveRequest((*wanted, here)), patient)
    assert [each.request for each in found.documents] == [here]
    assert [(each.location, each.reason) for each in found.findings] == [
        (name, Reason.UNKNOWN_REPOSITORY) for name in ("1.2.3", "9.9.9", "1.2.3")
    ]
    refused = remove_documents(RemoveDocuments(documents=wanted[1:2]), facility_code=FACILITY)
    assert {each.reason for each in refused.findings} == {Reason.UNKNOWN_REPOSITORY}


def test_some_of_the_documents(patient: str, tmp_path: Path, settings: Any) -> None:
    submit(provided(patient, tmp_path, b"abc", unique_id="1.2.3"), facility_code=FACILITY)
    request = RetrieveRequest((DocumentRequest(settings.REPOSITORY_OID, "1.2.3"), DocumentRequest("9.9", "1.2.3")))
    result = retrieved(request, patient)
    assert len(result.documents) == 1
    assert [each.reason for each in result.findings] == [Reason.UNKNOWN_REPOSITORY]


@pytest.mark.parametrize("damage", ["altered", "longer", "lost"])
def test_damaged_content_never_leaves(patient: str, tmp_path: Path, settings: Any, damage: str) -> None:
    submit(provided(patient, tmp_path, b"abc", unique_id="1.2.3"), facility_code=FACILITY)
    (blob,) = (path for path in (tmp_path / "documents").rglob("*") if path.is_file())
    if damage == "lost":
        blob.unlink()
    else:
        blob.write_bytes(b"abd" if damage == "altered" else b"abcd")
    result = retrieved(asked("1.2.3", repository_id=settings.REPOSITORY_OID), patient)
    assert [each.reason for each in result.findings] == [Reason.REPOSITORY_ERROR]


def test_a_large_document_is_hashed_again_when_it_changed(
    patient: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository, "ALWAYS_HASHED", 2)
    content = spooled(tmp_path, b"abc")
    locator = stores.keep(content).locator
    path = repository.open_content(locator, 3, content.sha256)
    assert repository.open_content(locator, 3, content.sha256) == path
    assert isinstance(path, Path)
    path.write_bytes(b"abd")
    with pytest.raises(ExchangeError):
        repository.open_content(locator, 3, content.sha256)


@pytest.mark.parametrize(
    "locator",
    [
        "blob:../../etc/passwd",
        "blob:" + "0" * 63 + "/",
        "blob:" + "A" * 64,
        "blob:",
        "other:x",
        "",
        "blob:/" + "0" * 63,
    ],
)
def test_no_locator_leads_out_of_the_store(locator: str, tmp_path: Path) -> None:
    with pytest.raises(ExchangeError) as refusal:
        repository.open_content(locator, 3, "0" * 64)
    assert refusal.value.reason is Reason.REPOSITORY_ERROR


def test_nobody_opens_another_facilitys_document_by_registering_it(patient: str, tmp_path: Path, settings: Any) -> None:
    submit(provided(patient, tmp_path, b"abc", unique_id="1.2.3"), facility_code=FACILITY)
    row = models.DocumentEntry.objects.get()
    same = {"unique_id": "1.2.3", "hash": row.hash, "size": 3, "repository_unique_id": settings.REPOSITORY_OID}
    other = known_patient()
    with pytest.raises(ExchangeError):
        register(submission(other, entry(other, **same)), facility_code=OTHER_FACILITY)
    register(submission(patient, entry(patient, **same)), facility_code=FACILITY)
    assert models.DocumentEntry.objects.filter(content=row.content).count() == 2


@pytest.fixture
def hosted(monkeypatch: pytest.MonkeyPatch) -> str:
    """A clinic whose repository the network keeps; its repositoryUniqueId."""
    row = Facility.objects.create(code=FACILITY, name="駅前診療所", hosted_repository=True)
    queries._facilities.forget()
    known = repository.repositories() | {row.repository_oid}
    monkeypatch.setattr(repository, "repositories", lambda: known)
    monkeypatch.setattr(registration, "repositories", lambda: known)
    return row.repository_oid


def test_a_clinic_without_a_repository_has_one_here(patient: str, tmp_path: Path, settings: Any, hosted: str) -> None:
    each = provided(patient, tmp_path, b"abc", unique_id="1.2.3")
    submit(each, facility_code=FACILITY)
    row = models.DocumentEntry.objects.get()
    assert row.repository_unique_id == hosted != settings.REPOSITORY_OID
    assert hosted.encode() in bytes(row.fragment)
    (document,) = retrieved(asked("1.2.3", repository_id=hosted), patient).documents
    with document.path.open("rb") as file:
        assert file.read() == b"abc"
    elsewhere = retrieved(asked("1.2.3", repository_id=settings.REPOSITORY_OID), patient)
    assert [finding.reason for finding in elsewhere.findings] == [Reason.DOCUMENT_NOT_AVAILABLE]
    again = replace(each, contents={name: spooled(tmp_path, b"abc") for name in each.contents})
    submit(again, facility_code=FACILITY)
    assert models.DocumentEntry.objects.count() == 1, "the same submission is recognised"


def test_what_was_submitted_before_stays_where_it_was(patient: str, tmp_path: Path, settings: Any, hosted: str) -> None:
    Facility.objects.update(hosted_repository=False)
    queries._facilities.forget()
    submit(provided(patient, tmp_path, b"before", unique_id="1.2.3"), facility_code=FACILITY)
    Facility.objects.update(hosted_repository=True)
    queries._facilities.forget()
    submit(provided(patient, tmp_path, b"after", unique_id="1.2.4"), facility_code=FACILITY)
    for unique_id, oid in (("1.2.3", settings.REPOSITORY_OID), ("1.2.4", hosted)):
        assert len(retrieved(asked(unique_id, repository_id=oid), patient).documents) == 1


def test_metadata_alone_name_no_document_that_a_hosted_repository_lacks(
    patient: str, tmp_path: Path, hosted: str
) -> None:
    with pytest.raises(ExchangeError) as refusal:
        register(submission(patient, entry(patient, repository_unique_id=hosted)), facility_code=FACILITY)
    assert refusal.value.reason is Reason.METADATA
    submit(provided(patient, tmp_path, b"abc", unique_id="1.2.3"), facility_code=FACILITY)
    row = models.DocumentEntry.objects.get()
    same = {"unique_id": "1.2.3", "hash": row.hash, "size": 3, "repository_unique_id": hosted}
    register(submission(patient, entry(patient, **same)), facility_code=FACILITY)
    assert models.DocumentEntry.objects.filter(content=row.content).count() == 2


def test_repositories_and_their_health_in_the_admin(client: Client, patient: str, tmp_path: Path, hosted: str) -> None:
    submit(provided(patient, tmp_path, b"abc"), facility_code=FACILITY)
    list(check_documents())
    client.force_login(User.objects.create_superuser("admin"))
    page = client.get(reverse("admin:xds_repositorycheck_changelist"))
    assert page.status_code == 200
    assert "駅前診療所" in page.content.decode()
    row = models.RepositoryCheck.objects.get()
    assert client.get(reverse("admin:xds_repositorycheck_change", args=[row.pk])).status_code == 200
