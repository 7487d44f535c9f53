"""ITI-57 and ITI-92 in the registry: versions, statuses, associations, and everything that is refused."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection

from apps.xds import models
from apps.xds.models import Status
from apps.xds.services import register, update, updating
from apps.xds.stored_queries import answer, patients_of
from hie.values.codes import Code
from hie.values.documents import (
    APND,
    APPROVED,
    DEPRECATED,
    HAS_MEMBER,
    IS_SNAPSHOT_OF,
    OFFLINE,
    ONLINE,
    XFRM,
    Association,
    DocumentEntry,
    Folder,
    MetadataUpdate,
    StoredQuery,
    UpdateOperation,
)
from hie.values.errors import ExchangeError, Reason
from hie.values.identifiers import new_uuid_urn
from hie.wire.ebxml import restricted_update
from hie.wire.ebxml import update as codec
from hie.wire.ebxml.fragments import read_fragment
from tests.apps.xds.samples import (
    FACILITY,
    OTHER_FACILITY,
    cx,
    entry,
    find,
    folder,
    get_all,
    known_patient,
    permit,
    submission,
    submission_set,
)
from tests.apps.xds.test_all_stored_queries import Kept, keep, named
from tests.wire.ebxml.messages import sent

pytestmark = pytest.mark.django_db


def read(uuid: str) -> Any:
    for model in (models.DocumentEntry, models.Folder, models.Association):
        row = model._default_manager.filter(entry_uuid=uuid).first()
        if row is not None:
            return read_fragment(bytes(row.fragment))
    raise AssertionError("not there")


def asked(patient: str, *operations: Any, restricted: bool = False, **of_set: Any) -> MetadataUpdate:
    """An update as it is read from the wire. operations: functions of the submission set."""
    its_set = submission_set(patient, entry_uuid=new_uuid_urn(), **of_set)
    made: list[UpdateOperation] = [each(its_set) for each in operations]
    composed = codec.compose(its_set, *made, restricted=restricted)
    return (restricted_update if restricted else codec).read_request(sent(codec.write_request(composed)))


def version(before: Any, previous: int = 1, *, propagate: bool = True, **changes: Any) -> Any:
    changed = replace(before, entry_uuid=new_uuid_urn(), **changes)
    return lambda its_set: codec.new_version(its_set, changed, previous, propagate=propagate)


def status(uuid: str, original: str = APPROVED, new: str = DEPRECATED) -> Any:
    return lambda its_set: codec.new_status(its_set, uuid, original, new)


def association(kind: str, source: str, target: str) -> Any:
    return lambda its_set: codec.new_association(its_set, Association(new_uuid_urn(), kind, source, target))


def refused(each: MetadataUpdate, facility_code: str = FACILITY) -> set[Reason]:
    before = models.SubmissionSet.objects.count(), models.DocumentEntry.objects.count()
    with pytest.raises(ExchangeError) as refusal:
        update(each, facility_code=facility_code)
    assert (models.SubmissionSet.objects.count(), models.DocumentEntry.objects.count()) == before
    return {finding.reason for finding in refusal.value.findings}


def test_a_new_version(patient: str) -> None:
    kept = keep(patient)
    update(asked(patient, version(read(kept.first), title="訂正")), facility_code=FACILITY)
    row = models.DocumentEntry.objects.get(logical_id=kept.first, version=2)
    before = models.DocumentEntry.objects.get(entry_uuid=kept.first)
    assert (row.title, row.status, row.unique_id) == ("訂正", Status.APPROVED, before.unique_id)
    assert (before.status, read(kept.first).availability_status) == (Status.DEPRECATED, DEPRECATED)
    new = read(row.entry_uuid)
    assert (new.version, new.logical_id, new.availability_status) == (2, kept.first, APPROVED)
    assert set(answer(find(patient), permit(patient)).object_refs) == {row.entry_uuid, kept.second}
    propagated = models.Association.objects.filter(target_uuid=row.entry_uuid)
    assert set(propagated.values_list("source_uuid", "association_type")) == {
        (kept.second, APND),
        (kept.folder, HAS_MEMBER),
        (models.SubmissionSet.objects.latest("id").entry_uuid, HAS_MEMBER),
    }
    update(asked(patient, version(new, 2, title="再訂正")), facility_code=FACILITY)
    assert models.DocumentEntry.objects.get(logical_id=kept.first, version=3).title == "再訂正"


def test_without_propagation_only_the_submission_holds_it(patient: str) -> None:
    kept = keep(patient)
    update(asked(patient, version(read(kept.first), propagate=False)), facility_code=FACILITY)
    row = models.DocumentEntry.objects.get(version=2)
    assert models.Association.objects.filter(target_uuid=row.entry_uuid).count() == 1


def test_a_new_version_of_a_folder(patient: str) -> None:
    kept = keep(patient)
    changed = version(read(kept.folder), code_list=(Code("X", "1.2.3", "X"),))
    update(asked(patient, changed), facility_code=FACILITY)
    row = models.Folder.objects.get(version=2)
    assert models.FolderCode.objects.get(folder=row).value == "X^^1.2.3"
    assert models.Folder.objects.get(version=1).status == Status.DEPRECATED
    assert models.Association.objects.filter(source_uuid=row.entry_uuid, target_uuid=kept.first).exists()


def test_a_document_goes_to_the_patient_it_belongs_to(patient: str) -> None:
    kept, other = keep(patient), known_patient()
    wrong = version(read(kept.first), patient_id=cx(other))
    assert refused(asked(other, wrong)) == {Reason.PATIENT_RECONCILIATION}, "a folder of the first patient holds it"
    assert Reason.PATIENT_RECONCILIATION in refused(asked(patient, wrong))
    update(asked(other, version(read(kept.first), propagate=False, patient_id=cx(other))), facility_code=FACILITY)
    assert len(answer(find(other), permit(other)).object_refs) == 1
    assert answer(find(patient), permit(patient)).object_refs == (kept.second,)


def test_the_patient_that_a_document_comes_from_is_held_too(patient: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, other, held = keep(patient), known_patient(), []
    monkeypatch.setattr(updating, "hold", lambda names: held.append(set(names)))
    update(asked(other, version(read(kept.first), propagate=False, patient_id=cx(other))), facility_code=FACILITY)
    assert len(held) == 1
    assert {patient, other, kept.first} <= held[0]


def test_statuses(patient: str) -> None:
    kept = keep(patient)
    update(asked(patient, status(kept.first), status(kept.addendum)), facility_code=FACILITY)
    assert read(kept.first).availability_status == DEPRECATED
    assert read(kept.addendum).availability_status == DEPRECATED
    assert refused(asked(patient, status(kept.first))) == {Reason.METADATA_UPDATE}
    update(asked(patient, status(kept.first, DEPRECATED, APPROVED)), facility_code=FACILITY)
    assert models.DocumentEntry.objects.get(entry_uuid=kept.first).status == Status.APPROVED


def test_an_association(patient: str) -> None:
    kept = keep(patient)
    update(asked(patient, association(HAS_MEMBER, kept.folder, kept.second)), facility_code=FACILITY)
    row = models.Association.objects.get(source_uuid=kept.folder, target_uuid=kept.second)
    assert models.Association.objects.filter(target_uuid=row.entry_uuid).count() == 1
    update(asked(patient, association(XFRM, kept.second, kept.first)), facility_code=FACILITY)
    assert models.Association.objects.filter(association_type=XFRM).count() == 1


def test_an_update_sent_again_is_recognised(patient: str) -> None:
    kept = keep(patient)
    each = asked(patient, version(read(kept.first)))
    for _ in range(2):
        update(each, facility_code=FACILITY)
    assert models.DocumentEntry.objects.filter(logical_id=kept.first).count() == 2


def _cases(kept: Kept, patient: str) -> dict[str, tuple[MetadataUpdate, set[Reason]]]:
    first: DocumentEntry = read(kept.first)
    its_folder: Folder = read(kept.folder)
    return {
        "another version": (asked(patient, version(first, 2)), {Reason.VERSION_CONFLICT}),
        "unknown lid": (asked(patient, version(first, logical_id=new_uuid_urn())), {Reason.METADATA_UPDATE}),
        "lid of a folder": (asked(patient, version(first, logical_id=kept.folder)), {Reason.METADATA_UPDATE}),
        "other bytes": (asked(patient, version(first, hash="0" * 40)), {Reason.METADATA_UPDATE}),
        "other unique id": (asked(patient, version(its_folder, unique_id="1.2.3.4")), {Reason.METADATA_UPDATE}),
        "unknown target": (asked(patient, status(new_uuid_urn())), {Reason.UNRESOLVED_REFERENCE}),
        "status of a set": (asked(patient, status(kept.set)), {Reason.METADATA_UPDATE}),
        "wrong status": (asked(patient, status(kept.first, DEPRECATED, APPROVED)), {Reason.METADATA_UPDATE}),
        "unknown end": (
            asked(patient, association(APND, kept.first, new_uuid_urn())),
            {Reason.UNRESOLVED_REFERENCE},
        ),
        "no snapshot": (
            asked(patient, association(IS_SNAPSHOT_OF, kept.second, kept.first)),
            {Reason.METADATA_UPDATE},
        ),
        "joined already": (asked(patient, association(APND, kept.second, kept.first)), {Reason.METADATA_UPDATE}),
        "in the folder already": (
            asked(patient, association(HAS_MEMBER, kept.folder, kept.first)),
            {Reason.METADATA_UPDATE},
        ),
        "wrong ends": (asked(patient, association(APND, kept.folder, kept.first)), {Reason.METADATA_UPDATE}),
        "two at once": (
            asked(patient, version(first, 2), status(kept.set)),
            {Reason.VERSION_CONFLICT, Reason.METADATA_UPDATE},
        ),
        "unknown patient": (asked("NOBODY", status(kept.first)), {Reason.UNKNOWN_PATIENT}),
        "restricted, unknown lid": (
            asked(patient, version(first, logical_id=new_uuid_urn()), restricted=True, home_community_id=HOME()),
            {Reason.IDENTIFIER_CONFLICT},
        ),
        "restricted, too much": (
            asked(patient, version(first, uri="x.txt"), restricted=True, home_community_id=HOME()),
            {Reason.UNMODIFIABLE},
        ),
        "restricted, elsewhere": (
            asked(patient, version(first, title="x"), restricted=True, home_community_id="urn:oid:1.2.3"),
            {Reason.UNKNOWN_COMMUNITY},
        ),
    }


def HOME() -> str:  # noqa: N802
    from django.conf import settings

    return f"urn:oid:{settings.HOME_COMMUNITY_OID}"


def test_what_is_refused(patient: str) -> None:
    kept = keep(patient)
    for name, (each, reasons) in _cases(kept, patient).items():
        assert refused(each) == reasons, name


def test_a_facility_updates_its_own(patient: str) -> None:
    kept = keep(patient)
    mine = asked(patient, version(read(kept.first), title="x"))
    assert refused(mine, OTHER_FACILITY) == {Reason.CALLER_NOT_ENTITLED}
    restricted = asked(patient, version(read(kept.first), title="x"), restricted=True, home_community_id=HOME())
    assert refused(restricted, OTHER_FACILITY) == {Reason.LOCAL_POLICY}
    update(restricted, facility_code=FACILITY)
    assert models.DocumentEntry.objects.get(version=2).title == "x"


def test_nothing_is_updated_that_is_deprecated(patient: str) -> None:
    kept = keep(patient)
    models.DocumentEntry.objects.filter(entry_uuid=kept.first).update(status=Status.DEPRECATED)
    assert refused(asked(patient, version(read(kept.first)))) == {Reason.METADATA_UPDATE}


def test_folders_that_are_registered_keep_their_unique_id(patient: str) -> None:
    kept = keep(patient)
    taken = models.Folder.objects.get(entry_uuid=kept.folder).unique_id
    with pytest.raises(ExchangeError) as refusal:
        register(submission(patient, folders=(folder(patient, unique_id=taken),)), facility_code=FACILITY)
    assert refusal.value.reason is Reason.DUPLICATE_ID_IN_REGISTRY


BOTH = [APPROVED, DEPRECATED]


def with_level(query: StoredQuery, level: dict[str, str]) -> StoredQuery:
    return replace(query, parameters={**query.parameters, **{f"${name}": ((each,),) for name, each in level.items()}})


def test_a_consumer_of_level_1_sees_the_latest_versions(patient: str) -> None:
    """XDS Metadata Update: 3.18.4.1.2.3.5.1.1; level 1 is what a query asks that does not name one."""
    kept = keep(patient)
    update(asked(patient, version(read(kept.first)), version(read(kept.folder))), facility_code=FACILITY)
    row, shelf = (each.objects.get(version=2) for each in (models.DocumentEntry, models.Folder))
    allowed = permit(patient)
    for level, entries, folders in (
        ({}, {row.entry_uuid, kept.second}, {shelf.entry_uuid}),
        ({"MetadataLevel": "1"}, {row.entry_uuid, kept.second}, {shelf.entry_uuid}),
        (
            {"MetadataLevel": "2"},
            {row.entry_uuid, kept.second, kept.first},
            {shelf.entry_uuid, kept.folder},
        ),
    ):
        assert set(answer(with_level(find(patient, status=BOTH), level), allowed).object_refs) == entries
        of_folders = {"XDSFolderPatientId": cx(patient), "XDSFolderStatus": BOTH, **level}
        assert set(answer(named("FindFolders", **of_folders), allowed).object_refs) == folders
        every = answer(get_all(patient, status=BOTH, **level), allowed).object_refs
        assert {kept.first, kept.folder} & set(every) == (entries | folders) & {kept.first, kept.folder}
        old = answer(named("GetDocuments", XDSDocumentEntryEntryUUID=[kept.first], **level), allowed)
        assert set(old.object_refs) == entries & {kept.first}


def test_every_version_has_the_logical_id(patient: str) -> None:
    kept = keep(patient)
    update(asked(patient, version(read(kept.first)), version(read(kept.folder))), facility_code=FACILITY)
    for name, kind, first, model in (
        ("GetDocuments", "DocumentEntry", kept.first, models.DocumentEntry),
        ("GetFolders", "Folder", kept.folder, models.Folder),
    ):
        wanted = named(name, MetadataLevel="2", **{f"XDS{kind}LogicalID": [first]})
        latest = model._default_manager.get(version=2).entry_uuid
        assert patients_of(wanted) == (patient,)
        assert set(answer(wanted, permit(patient)).object_refs) == {first, latest}
        of_one = replace(wanted, parameters={**wanted.parameters, "$MetadataLevel": (("1",),)})
        assert answer(of_one, permit(patient)).object_refs == (latest,)


def test_associations_that_are_deprecated_are_answered_to_whom_asks_for_them(patient: str) -> None:
    kept = keep(patient)
    update(asked(patient, status(kept.addendum)), facility_code=FACILITY)
    for level, status_asked, there in (("2", BOTH, True), ("2", [APPROVED], False), ("1", BOTH, False)):
        asked_for = {"uuid": [kept.second], "XDSAssociationStatus": status_asked, "MetadataLevel": level}
        found = answer(named("GetAssociations", **asked_for), permit(patient)).object_refs
        assert (kept.addendum in found) is there, (level, status_asked)
    assert kept.addendum not in answer(named("GetAssociations", uuid=[kept.second]), permit(patient)).object_refs
    for level, status_asked, there in (("2", {"XDSAssociationStatus": BOTH}, True), ("2", {}, False), ("1", {}, False)):
        every = answer(get_all(patient, MetadataLevel=level, **status_asked), permit(patient)).object_refs
        assert (kept.addendum in every) is there, (level, status_asked)


def test_a_document_taken_out_of_a_folder(patient: str) -> None:
    """The membership is deprecated; who does not know of metadata update finds the document in it no more."""
    kept = keep(patient)
    update(asked(patient, status(kept.in_folder)), facility_code=FACILITY)
    for name, parameters, held in (
        ("GetFolderAndContents", {"XDSFolderEntryUUID": kept.folder}, kept.first),
        ("GetFoldersForDocument", {"XDSDocumentEntryEntryUUID": kept.first}, kept.folder),
    ):
        assert held not in answer(named(name, **parameters), permit(patient)).object_refs, name
    at_level_2 = {"XDSFolderEntryUUID": kept.folder, "MetadataLevel": "2"}
    assert kept.first in answer(named("GetFolderAndContents", **at_level_2), permit(patient)).object_refs
    of_document = {"XDSDocumentEntryEntryUUID": kept.first, "MetadataLevel": "2"}
    assert answer(named("GetFoldersForDocument", **of_document), permit(patient)).object_refs == ()
    every = named("GetFoldersForDocument", **of_document, XDSAssociationStatus=BOTH)
    assert answer(every, permit(patient)).object_refs == (kept.folder,)


def test_a_consumer_of_level_1_is_not_told_of_what_is_offline_or_put_away(patient: str) -> None:
    kept = keep(patient)
    away = version(read(kept.first), document_availability=OFFLINE)
    update(asked(patient, away, status(kept.folder)), facility_code=FACILITY)
    row = models.DocumentEntry.objects.get(version=2)
    in_folders = {"XDSFolderPatientId": cx(patient), "XDSFolderStatus": BOTH}
    for level, entries, folders in (("1", {kept.second}, set()), ("2", {kept.second, row.entry_uuid}, {kept.folder})):
        found = answer(with_level(find(patient), {"MetadataLevel": level}), permit(patient)).object_refs
        assert set(found) == entries, level
        of_folders = named("FindFolders", **in_folders, MetadataLevel=level)
        assert set(answer(of_folders, permit(patient)).object_refs) == folders, level
        every = answer(get_all(patient, status=BOTH, MetadataLevel=level), permit(patient)).object_refs
        assert {row.entry_uuid, kept.folder} & set(every) == (entries | folders) - {kept.second}, level
        by_id = named("GetDocuments", XDSDocumentEntryEntryUUID=[row.entry_uuid], MetadataLevel=level)
        assert set(answer(by_id, permit(patient)).object_refs) == entries - {kept.second}, level
    back = version(read(row.entry_uuid), 2, document_availability=ONLINE)
    update(asked(patient, back), facility_code=FACILITY)
    assert len(answer(find(patient), permit(patient)).object_refs) == 2


@pytest.mark.parametrize("named_by", ["its own id", "the version before"])
def test_a_new_version_with_a_status_of_its_own(patient: str, named_by: str) -> None:
    """XDS Metadata Update: 3.57.4.1.3.1: the version is made, then given the status."""
    kept = keep(patient)
    changed = replace(read(kept.first), entry_uuid="version-2", title="訂正")
    target = changed.entry_uuid if named_by == "its own id" else kept.first
    both = asked(patient, lambda its_set: codec.new_version(its_set, changed, 1), status(target))
    update(both, facility_code=FACILITY)
    row = models.DocumentEntry.objects.get(version=2)
    assert (row.status, read(row.entry_uuid).availability_status) == (Status.DEPRECATED, DEPRECATED)
    assert models.DocumentEntry.objects.get(entry_uuid=kept.first).status == Status.DEPRECATED
    wrong = asked(patient, lambda its_set: codec.new_version(its_set, changed, 2), status(row.entry_uuid))
    assert refused(wrong) == {Reason.METADATA_UPDATE}


def test_a_new_version_is_given_one_status(patient: str) -> None:
    kept = keep(patient)
    changed = replace(read(kept.first), entry_uuid="version-2")

    def new(its_set: Any) -> Any:
        return codec.new_version(its_set, changed, 1)

    assert refused(asked(patient, new, status("version-2", DEPRECATED, APPROVED))) == {Reason.METADATA_UPDATE}
    assert refused(asked(patient, new, status("version-2"), status(kept.first))) == {Reason.METADATA_UPDATE}


def test_two_ends_of_an_association_get_new_versions_at_once(patient: str) -> None:
    kept = keep(patient)
    every = (kept.first, kept.second, kept.folder)
    update(asked(patient, *(version(read(uuid)) for uuid in every)), facility_code=FACILITY)
    first, second, shelf = (
        model._default_manager.get(logical_id=uuid, version=2).entry_uuid
        for model, uuid in zip((models.DocumentEntry, models.DocumentEntry, models.Folder), every, strict=True)
    )
    joined = models.Association.objects.exclude(source_uuid__in=models.SubmissionSet.objects.values("entry_uuid"))
    assert set(joined.values_list("source_uuid", "association_type", "target_uuid")) == {
        (kept.second, APND, kept.first),
        (kept.folder, HAS_MEMBER, kept.first),
        (second, APND, first),
        (shelf, HAS_MEMBER, first),
    }
    found = answer(named("GetFolderAndContents", XDSFolderEntryUUID=shelf), permit(patient)).object_refs
    assert first in found


def test_a_place_in_a_folder_is_handed_on_between_what_is_approved(patient: str) -> None:
    """A folder that has a later version stays as it was, and so does a document."""
    kept = keep(patient)
    update(asked(patient, version(read(kept.folder))), facility_code=FACILITY)
    shelf = models.Folder.objects.get(version=2)
    models.Folder.objects.filter(pk=shelf.pk).update(last_update_time="20200101000000")
    update(asked(patient, version(read(kept.first))), facility_code=FACILITY)
    row = models.DocumentEntry.objects.get(version=2)
    holding = models.Association.objects.filter(target_uuid=row.entry_uuid, association_type=HAS_MEMBER)
    of_sets = models.SubmissionSet.objects.values("entry_uuid")
    assert set(holding.exclude(source_uuid__in=of_sets).values_list("source_uuid", flat=True)) == {shelf.entry_uuid}
    shelf.refresh_from_db()
    assert shelf.last_update_time > "20260101000000", "the folder holds another version (ITI TF-2: 3.42.4.1.3.6)"
    assert read(shelf.entry_uuid).last_update_time == shelf.last_update_time
    update(asked(patient, version(read(shelf.entry_uuid), 2)), facility_code=FACILITY)
    latest = models.Folder.objects.get(version=3)
    held = models.Association.objects.filter(source_uuid=latest.entry_uuid)
    assert set(held.values_list("target_uuid", flat=True)) == {row.entry_uuid}


def test_what_a_submission_set_holds_it_holds_for_ever(patient: str) -> None:
    kept = keep(patient)
    (membership,) = models.Association.objects.filter(source_uuid=kept.set, target_uuid=kept.first)
    assert refused(asked(patient, status(membership.entry_uuid))) == {Reason.METADATA_UPDATE}


def test_what_was_offline_before_is_marked(patient: str) -> None:
    """The migration reads it in the fragments that are there, which nobody had packed before it."""
    offline, online = (
        entry(patient, entry_uuid=new_uuid_urn(), document_availability=each) for each in (OFFLINE, ONLINE)
    )
    register(submission(patient, offline, online, entry(patient)), facility_code=FACILITY)
    assert set(models.DocumentEntry.objects.filter(offline=True)) == {
        models.DocumentEntry.objects.get(entry_uuid=offline.entry_uuid)
    }
    with connection.cursor() as cursor:
        for row in models.DocumentEntry.objects.all():
            cursor.execute(
                "UPDATE xds_documententry SET fragment = %s, offline = %s WHERE id = %s", [row.fragment, False, row.pk]
            )
    import_module("apps.xds.migrations.0006_offline_documents").mark(None, SimpleNamespace(connection=connection))
    assert models.DocumentEntry.objects.get(offline=True).entry_uuid == offline.entry_uuid
