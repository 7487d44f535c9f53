"""ITI-62 and ITI-86: what goes, what has to stay, and that bytes go only when nothing names them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db.models import Q

from apps.xds import models
from apps.xds.services import (
    patients_of_documents,
    patients_of_objects,
    prepare_provided,
    register,
    register_prepared,
    remove_documents,
    remove_objects,
    removing,
    submit,
    update,
)
from apps.xds.services.moving import move_patient
from apps.xds.stored_queries import answer, patients_of
from hie.values.documents import DocumentRequest, RemoveDocuments, RemoveObjects, Submission
from hie.values.errors import ExchangeError, Finding, Reason
from hie.values.identifiers import new_uuid_urn
from tests.apps.xds.samples import (
    FACILITY,
    OTHER_FACILITY,
    entry,
    folder,
    known_patient,
    path_of,
    permit,
    spooled,
    submission,
)
from tests.apps.xds.test_all_stored_queries import keep, named
from tests.apps.xds.test_updating import asked, read, version

pytestmark = pytest.mark.django_db(transaction=True)


def refused(uuids: Any, facility_code: str = FACILITY) -> set[Reason]:
    with pytest.raises(ExchangeError) as refusal:
        remove_objects(RemoveObjects(tuple(uuids)), facility_code=facility_code)
    return {finding.reason for finding in refusal.value.findings}


def test_everything_of_a_submission(patient: str) -> None:
    kept, other = keep(patient), keep(patient)
    removal = RemoveObjects(tuple(kept.everything))
    assert patients_of_objects(removal) == (patient,)
    remove_objects(removal, facility_code=FACILITY)
    left = [model._default_manager.count() for model in (models.DocumentEntry, models.SubmissionSet, models.Folder)]
    assert left == [2, 1, 1]
    assert models.DocumentEntry.objects.filter(entry_uuid=other.first).exists()
    assert not models.AuthorPerson.objects.exclude(entry__in=models.DocumentEntry.objects.all()).exists()


def test_one_document_with_all_that_names_it(patient: str) -> None:
    kept = keep(patient)
    touching = models.Association.objects.filter(source_uuid=kept.second) | models.Association.objects.filter(
        target_uuid=kept.second
    )
    uuids = {kept.second, *touching.values_list("entry_uuid", flat=True)}
    remove_objects(RemoveObjects(tuple(uuids)), facility_code=FACILITY)
    assert not models.DocumentEntry.objects.filter(entry_uuid=kept.second).exists()
    assert models.SubmissionSet.objects.filter(entry_uuid=kept.set).exists()


def test_all_names_are_held_at_once(patient: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who takes the locks in two goes waits in a circle with somebody who takes them in one."""
    kept, held = keep(patient), []
    monkeypatch.setattr(removing, "hold", lambda names: held.append(set(names)))
    remove_objects(RemoveObjects(tuple(kept.everything)), facility_code=FACILITY)
    assert held == [{*kept.everything, patient}]


def test_an_object_that_goes_to_another_patient_meanwhile(patient: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, other = keep(patient), known_patient()
    monkeypatch.setattr(removing, "hold", lambda _: move_patient(subsumed=patient, surviving=other))
    assert refused(kept.everything) == {Reason.BUSY}


def test_the_first_version_goes_and_the_others_stay_known_by_its_logical_id(patient: str) -> None:
    kept = keep(patient)
    update(asked(patient, version(read(kept.first)), version(read(kept.folder))), facility_code=FACILITY)
    ends = Q(source_uuid__in=[kept.first, kept.folder]) | Q(target_uuid__in=[kept.first, kept.folder])
    naming = set(models.Association.objects.filter(ends).values_list("entry_uuid", flat=True))
    naming |= set(models.Association.objects.filter(target_uuid__in=naming).values_list("entry_uuid", flat=True))
    remove_objects(RemoveObjects((kept.first, kept.folder, *naming)), facility_code=FACILITY)
    shelf, row = models.Folder.objects.get(), models.DocumentEntry.objects.get(version=2)
    for name, parameters, found in (
        ("GetDocuments", {"XDSDocumentEntryLogicalID": [kept.first]}, row),
        ("GetFolders", {"XDSFolderLogicalID": [kept.folder]}, shelf),
        ("GetFolders", {"XDSFolderUniqueId": [shelf.unique_id]}, shelf),
    ):
        wanted = named(name, **parameters)
        assert patients_of(wanted) == (patient,), name
        assert answer(wanted, permit(patient)).object_refs == (found.entry_uuid,), name
    update(asked(patient, version(read(row.entry_uuid), 2), version(read(shelf.entry_uuid), 2)), facility_code=FACILITY)
    assert models.DocumentEntry.objects.filter(logical_id=kept.first, version=3).exists()
    again = folder(patient, unique_id=shelf.unique_id)
    with pytest.raises(ExchangeError) as refusal:
        register(submission(patient, folders=(again,)), facility_code=FACILITY)
    assert refusal.value.reason is Reason.DUPLICATE_ID_IN_REGISTRY


def test_what_is_refused(patient: str) -> None:
    kept = keep(patient)
    cases: tuple[tuple[set[str], set[Reason]], ...] = (
        ({new_uuid_urn()}, {Reason.UNRESOLVED_REFERENCE}),
        ({kept.first}, {Reason.REFERENCES_EXIST}),
        ({kept.addendum}, set()),
        (kept.everything - {kept.first}, {Reason.UNREFERENCED_OBJECT}),
        (kept.everything - {kept.in_folder}, {Reason.REFERENCES_EXIST, Reason.UNREFERENCED_OBJECT}),
    )
    for uuids, reasons in cases:
        if reasons:
            assert refused(uuids) == reasons
    assert refused(kept.everything, OTHER_FACILITY) == {Reason.CALLER_NOT_ENTITLED}
    wrong = RemoveObjects(tuple(kept.everything), (Finding(Reason.REGISTRY_ERROR, "wrong"),))
    with pytest.raises(ExchangeError):
        remove_objects(wrong, facility_code=FACILITY)
    assert models.DocumentEntry.objects.count() == 2


def provided(patient: str, directory: Path, data: bytes) -> Submission:
    each = entry(patient, hash="", size=None, repository_unique_id="")
    return replace(submission(patient, each), contents={each.entry_uuid: spooled(directory, data)})


def withdrawn(patient: str, directory: Path, data: bytes) -> tuple[DocumentRequest, Path]:
    """A document that was submitted and whose metadata are removed."""
    sent = provided(patient, directory, data)
    submit(sent, facility_code=FACILITY)
    row = models.DocumentEntry.objects.latest("id")
    assert row.content is not None
    request = DocumentRequest(django_settings.REPOSITORY_OID, row.unique_id)
    kept = remove_documents(RemoveDocuments((request,)), facility_code=FACILITY)
    assert [each.reason for each in kept.findings] == [Reason.DOCUMENT_NOT_REMOVED], "metadata first"
    assert row.unique_id in kept.findings[0].detail, "codeContext names it"
    member = models.Association.objects.get(target_uuid=row.entry_uuid)
    uuids = (row.entry_uuid, member.entry_uuid, member.source_uuid)
    remove_objects(RemoveObjects(uuids), facility_code=FACILITY)
    return request, path_of(row.content.locator)


def test_a_document_goes_after_its_metadata(patient: str, tmp_path: Path) -> None:
    request, path = withdrawn(patient, tmp_path, b"abc")
    assert path.exists()
    assert patients_of_documents(RemoveDocuments((request,))) == {request: patient}
    foreign = remove_documents(RemoveDocuments((request,)), facility_code=OTHER_FACILITY)
    assert [each.reason for each in foreign.findings] == [Reason.DOCUMENT_NOT_AVAILABLE]
    unknown = DocumentRequest("1.2.3", request.document_unique_id)
    result = remove_documents(RemoveDocuments((request, unknown, request)), facility_code=FACILITY)
    assert result.removed == (request,)
    assert [each.reason for each in result.findings] == [Reason.UNKNOWN_REPOSITORY]
    assert not path.exists()
    assert not models.Content.objects.exists()
    again = remove_documents(RemoveDocuments((request,)), facility_code=FACILITY)
    assert [each.reason for each in again.findings] == [Reason.DOCUMENT_NOT_AVAILABLE]


def test_bytes_stay_while_another_document_has_them(patient: str, tmp_path: Path) -> None:
    request, path = withdrawn(patient, tmp_path, b"same")
    submit(provided(patient, tmp_path, b"same"), facility_code=FACILITY)
    assert remove_documents(RemoveDocuments((request,)), facility_code=FACILITY).removed == (request,)
    assert path.exists()


def test_bytes_that_went_between_two_steps_are_asked_for_again(patient: str, tmp_path: Path) -> None:
    request, _ = withdrawn(patient, tmp_path, b"same")
    prepared = prepare_provided(provided(patient, tmp_path, b"same"))
    remove_documents(RemoveDocuments((request,)), facility_code=FACILITY)
    with pytest.raises(ExchangeError) as refusal:
        register_prepared(prepared, facility_code=FACILITY)
    assert refusal.value.reason is Reason.BUSY
