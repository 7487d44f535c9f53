"""ITI-57 and ITI-92 in the registry: versions, statuses, associations, and everything that is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from apps.xds import models
from apps.xds.models import Status
from apps.xds.services import register, update
from apps.xds.stored_queries import answer, patients_of
from hie.values.codes import Code
from hie.values.documents import (
    APND,
    APPROVED,
    DEPRECATED,
    HAS_MEMBER,
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
    every = named("GetAssociations", uuid=[kept.second], XDSAssociationStatus=BOTH)
    assert kept.addendum in answer(every, permit(patient)).object_refs
    assert kept.addendum not in answer(named("GetAssociations", uuid=[kept.second]), permit(patient)).object_refs
