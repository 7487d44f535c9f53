"""The stored queries beside FindDocuments, GetDocuments and GetAll: every parameter, the permit, the cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from apps.xds import models
from apps.xds.services import register
from apps.xds.stored_queries import answer, patient_parameters, patients_of
from hie.values.access import Rule
from hie.values.codes import Code
from hie.values.documents import (
    APND,
    APPROVED,
    DEPRECATED,
    HAS_MEMBER,
    RPLC,
    XFRM,
    Author,
    DocumentEntry,
    Folder,
    QueryResult,
    StoredQuery,
)
from hie.values.errors import ExchangeError, Reason
from hie.values.identifiers import new_uuid_urn
from hie.wire.ebxml.fragments import read_fragment
from hie.wire.ebxml.queries import QUERY_NAMED
from tests.apps.xds.samples import (
    FACILITY,
    OTHER_FACILITY,
    cx,
    entry,
    folder,
    known_patient,
    member,
    permit,
    query,
    relation,
    submission,
)

pytestmark = pytest.mark.django_db

A, B = (Code(each, "1.2.3") for each in "AB")


def named(name: str, *, leaf_class: bool = False, **parameters: Any) -> StoredQuery:
    return query(QUERY_NAMED[name].query_id, leaf_class=leaf_class, **parameters)


def refs(name: str, *patients: str, rules: tuple[Rule, ...] = (), **parameters: Any) -> set[str]:
    answered = answer(named(name, **parameters), permit(*patients, rules=rules)).object_refs
    assert len(set(answered)) == len(answered), "nothing is answered twice"
    return set(answered)


@dataclass
class Kept:
    """A submission with two documents and a folder that holds the first; the second is an addendum to the first."""

    patient: str
    set: str
    first: str
    second: str
    folder: str
    in_folder: str
    addendum: str
    associations: set[str]

    @property
    def everything(self) -> set[str]:
        return {self.set, self.first, self.second, self.folder} | self.associations


def keep(patient: str, facility_code: str = FACILITY, **of_set: Any) -> Kept:
    first, second = (entry(patient, entry_uuid=new_uuid_urn(), format_code=code) for code in (A, B))
    its_folder = folder(patient, entry_uuid=new_uuid_urn())
    held = member(its_folder.entry_uuid, first.entry_uuid)
    addendum = relation(APND, second.entry_uuid, first.entry_uuid)
    holding = member("set", held.entry_uuid)
    known = set(models.Association.objects.values_list("entry_uuid", flat=True))
    sent = submission(patient, first, second, folders=(its_folder,), associations=(held, addendum, holding), **of_set)
    register(sent, facility_code=facility_code)
    rows = {row.entry_uuid: row for row in models.Association.objects.exclude(entry_uuid__in=known)}
    (set_uuid,) = models.SubmissionSet.objects.filter(unique_id=sent.submission_sets[0].unique_id).values_list(
        "entry_uuid", flat=True
    )
    (in_folder,) = (uuid for uuid, row in rows.items() if row.source_uuid == its_folder.entry_uuid)
    (appended,) = (uuid for uuid, row in rows.items() if row.association_type == APND)
    return Kept(
        patient, set_uuid, first.entry_uuid, second.entry_uuid, its_folder.entry_uuid, in_folder, appended, set(rows)
    )


SETS: tuple[tuple[str, dict[str, Any], dict[str, Any], Any], ...] = (
    ("SourceId", {"source_id": "1.2.3"}, {"source_id": "1.2.4"}, ["1.2.3", "1.2.5"]),
    ("ContentType", {"content_type_code": A}, {"content_type_code": B}, ["A^^1.2.3"]),
    ("AuthorPerson", {"authors": (Author("7^山田"),)}, {"authors": (Author("8^佐藤"),)}, "%山田"),
    ("SubmissionTimeFrom", {"submission_time": "20260401"}, {"submission_time": "20260331235959"}, "20260401"),
    ("SubmissionTimeTo", {"submission_time": "20260331235959"}, {"submission_time": "20260401"}, "20260401"),
)


@pytest.mark.parametrize(("name", "matching", "other", "values"), SETS)
def test_find_submission_sets(
    patient: str, name: str, matching: dict[str, Any], other: dict[str, Any], values: Any
) -> None:
    wanted = keep(patient, **matching)
    keep(patient, **other)
    keep(known_patient(), **matching)
    of_patient = {"XDSSubmissionSetPatientId": cx(patient), "XDSSubmissionSetStatus": APPROVED}
    found = refs("FindSubmissionSets", patient, **of_patient, **{f"XDSSubmissionSet{name}": values})
    assert found == {wanted.set}
    assert refs("FindSubmissionSets", patient, **of_patient | {"XDSSubmissionSetStatus": DEPRECATED}) == set()


def test_find_folders(patient: str) -> None:
    both = folder(patient, entry_uuid=new_uuid_urn(), code_list=(A, B))
    one = folder(patient, entry_uuid=new_uuid_urn(), code_list=(A,))
    register(submission(patient, folders=(both, one)), facility_code=FACILITY)
    models.Folder.objects.filter(entry_uuid=one.entry_uuid).update(last_update_time="20250101000000")
    of_patient = {"XDSFolderPatientId": cx(patient), "XDSFolderStatus": APPROVED}
    everything = {both.entry_uuid, one.entry_uuid}
    cases: tuple[tuple[dict[str, Any], set[str]], ...] = (
        ({}, everything),
        ({"XDSFolderCodeList": ["A^^1.2.3"]}, everything),
        ({"XDSFolderCodeList": [["A^^1.2.3"], ["B^^1.2.3"]]}, {both.entry_uuid}),
        ({"XDSFolderLastUpdateTimeTo": "2026"}, {one.entry_uuid}),
        ({"XDSFolderLastUpdateTimeFrom": "2026"}, {both.entry_uuid}),
        ({"XDSFolderStatus": DEPRECATED}, set()),
    )
    for parameters, expected in cases:
        assert refs("FindFolders", patient, **of_patient | parameters) == expected, parameters


def test_find_documents_by_reference_id(patient: str) -> None:
    accession = "A1^^^&1.2.392.9&ISO^urn:ihe:iti:xds:2013:accession"
    order = "O1^^^&1.2.392.9&ISO^urn:ihe:iti:xds:2013:order"
    both, one = (
        entry(patient, entry_uuid=new_uuid_urn(), reference_id_list=ids) for ids in ((accession, order), (accession,))
    )
    register(submission(patient, both, one), facility_code=FACILITY)
    of_patient = {"XDSDocumentEntryPatientId": cx(patient), "XDSDocumentEntryStatus": APPROVED}
    cases: tuple[tuple[Any, set[str]], ...] = (
        ([accession], {both.entry_uuid, one.entry_uuid}),
        ([order], {both.entry_uuid}),
        ([[accession], [order]], {both.entry_uuid}),
        (["O1^^^%"], {both.entry_uuid}),
        (["O2^^^%", accession], {both.entry_uuid, one.entry_uuid}),
    )
    for values, expected in cases:
        found = refs("FindDocumentsByReferenceId", patient, **of_patient, XDSDocumentEntryReferenceIdList=values)
        assert found == expected, values


def test_get_folders(patient: str) -> None:
    kept, other = keep(patient), keep(patient)
    unique_id = models.Folder.objects.get(entry_uuid=kept.folder).unique_id
    assert refs("GetFolders", patient, XDSFolderEntryUUID=[kept.folder, other.folder]) == {kept.folder, other.folder}
    assert refs("GetFolders", patient, XDSFolderUniqueId=[unique_id]) == {kept.folder}


def test_get_associations(patient: str) -> None:
    kept = keep(patient)
    keep(patient)
    touching = set(
        models.Association.objects.filter(source_uuid=kept.first).values_list("entry_uuid", flat=True)
    ) | set(models.Association.objects.filter(target_uuid=kept.first).values_list("entry_uuid", flat=True))
    assert len(touching) == 3, "in the set, in the folder, and the addendum"
    assert refs("GetAssociations", patient, uuid=[kept.first]) == touching
    assert refs("GetAssociations", patient, uuid=[kept.set]) == set(
        models.Association.objects.filter(source_uuid=kept.set).values_list("entry_uuid", flat=True)
    )
    assert refs("GetAssociations", patient, uuid=[kept.first], XDSAssociationStatus=[DEPRECATED]) == set()
    found = refs("GetDocumentsAndAssociations", patient, XDSDocumentEntryEntryUUID=[kept.first])
    assert found == touching | {kept.first}


def test_get_associations_of_an_association(patient: str) -> None:
    """The submission set holds the membership of the document in the folder: that is an end as any other."""
    kept = keep(patient)
    asked = named("GetAssociations", uuid=[kept.in_folder])
    assert patients_of(asked) == (patient,)
    (holding,) = refs("GetAssociations", *patients_of(asked), uuid=[kept.in_folder])
    row = models.Association.objects.get(entry_uuid=holding)
    assert (row.source_uuid, row.target_uuid) == (kept.set, kept.in_folder)


def test_get_submission_sets(patient: str) -> None:
    kept, other = keep(patient), keep(patient)
    membership = {
        row.target_uuid: row.entry_uuid for row in models.Association.objects.filter(association_type=HAS_MEMBER)
    }
    assert refs("GetSubmissionSets", patient, uuid=[kept.second]) == {kept.set, membership[kept.second]}
    found = refs("GetSubmissionSets", patient, uuid=[kept.second, other.folder])
    assert found == {kept.set, other.set, membership[kept.second], membership[other.folder]}


def test_get_submission_set_and_contents(patient: str) -> None:
    kept = keep(patient)
    keep(patient)
    unique_id = models.SubmissionSet.objects.get(entry_uuid=kept.set).unique_id
    found = refs("GetSubmissionSetAndContents", patient, XDSSubmissionSetUniqueId=unique_id)
    assert found == kept.everything - {kept.addendum}, "the addendum is no member of the submission set"
    narrow = refs(
        "GetSubmissionSetAndContents",
        patient,
        XDSSubmissionSetEntryUUID=kept.set,
        XDSDocumentEntryFormatCode=["B^^1.2.3"],
    )
    assert {kept.set, kept.second, kept.folder} <= narrow
    assert kept.first not in narrow
    assert kept.in_folder not in narrow, "an association of which one end is not answered"
    assert len(narrow) == 5


def test_get_folder_and_contents(patient: str) -> None:
    kept = keep(patient)
    found = refs("GetFolderAndContents", patient, XDSFolderEntryUUID=kept.folder)
    assert found == {kept.folder, kept.first, kept.in_folder}
    parameters = {"XDSFolderEntryUUID": kept.folder, "XDSDocumentEntryFormatCode": ["B^^1.2.3"]}
    assert refs("GetFolderAndContents", patient, **parameters) == {kept.folder}


def test_get_folders_for_document(patient: str) -> None:
    kept = keep(patient)
    assert refs("GetFoldersForDocument", patient, XDSDocumentEntryEntryUUID=kept.first) == {kept.folder}
    assert refs("GetFoldersForDocument", patient, XDSDocumentEntryEntryUUID=kept.second) == set()


def test_get_related_documents(patient: str) -> None:
    kept = keep(patient)
    new = entry(patient, entry_uuid=new_uuid_urn())
    replacement = relation(RPLC, new.entry_uuid, kept.first)
    register(submission(patient, new, associations=(replacement,)), facility_code=FACILITY)
    cases: tuple[tuple[str, list[str], set[str]], ...] = (
        (kept.first, [APND], {kept.first, kept.second, kept.addendum}),
        (kept.second, [APND, XFRM], {kept.first, kept.second, kept.addendum}),
        (kept.first, [XFRM], set()),
        (kept.first, ["APND"], {kept.first, kept.second, kept.addendum}),
        (kept.first, [HAS_MEMBER], set()),
    )
    for uuid, types, expected in cases:
        found = refs("GetRelatedDocuments", patient, XDSDocumentEntryEntryUUID=uuid, AssociationTypes=types)
        assert found == expected, (types, uuid)
    found = refs("GetRelatedDocuments", patient, XDSDocumentEntryEntryUUID=kept.first, AssociationTypes=[RPLC, APND])
    assert {kept.first, kept.second, new.entry_uuid, kept.addendum} < found


GETS: tuple[tuple[str, str], ...] = (
    ("GetAssociations", "uuid"),
    ("GetDocumentsAndAssociations", "XDSDocumentEntryEntryUUID"),
    ("GetSubmissionSets", "uuid"),
    ("GetRelatedDocuments", "XDSDocumentEntryEntryUUID"),
    ("GetFoldersForDocument", "XDSDocumentEntryEntryUUID"),
)


@pytest.mark.parametrize(("name", "parameter"), GETS)
def test_what_is_withheld_leaves_no_trace(patient: str, name: str, parameter: str) -> None:
    """The first document is withheld; nothing that names it is answered, nor what holds nothing else."""
    kept = keep(patient)
    rules = (Rule(False, entries=frozenset({kept.first})),)
    types = {"AssociationTypes": [APND]} if name == "GetRelatedDocuments" else {}
    shown = answer(named(name, leaf_class=True, **{parameter: [kept.first]}, **types), permit(patient, rules=rules))
    assert shown == QueryResult(), name


def test_packages_are_shown_with_one_of_their_documents(patient: str) -> None:
    kept = keep(patient)
    rules = (Rule(False, entries=frozenset({kept.first})),)
    fragments = answer(
        named("GetSubmissionSetAndContents", leaf_class=True, XDSSubmissionSetEntryUUID=kept.set),
        permit(patient, rules=rules),
    ).fragments
    assert kept.first.encode() not in b"".join(fragments)
    assert kept.folder.encode() not in b"".join(fragments), "the folder holds nothing else"
    assert len(fragments) == 3
    both = (*rules, Rule(False, entries=frozenset({kept.second})))
    assert refs("GetSubmissionSetAndContents", patient, rules=both, XDSSubmissionSetEntryUUID=kept.set) == set()
    of_patient = {"XDSSubmissionSetPatientId": cx(patient), "XDSSubmissionSetStatus": APPROVED}
    assert refs("FindSubmissionSets", patient, rules=rules, **of_patient) == {kept.set}
    assert refs("FindSubmissionSets", patient, rules=both, **of_patient) == set()
    folders = {"XDSFolderPatientId": cx(patient), "XDSFolderStatus": APPROVED}
    assert refs("FindFolders", patient, rules=rules, **folders) == set()


def test_a_submission_of_another_patient_is_not_shown_through_a_reference(patient: str) -> None:
    kept, other = keep(patient), known_patient()
    reference = member("set", kept.first, "Reference")
    register(submission(other, associations=(reference,)), facility_code=FACILITY)
    asked = named("GetSubmissionSets", uuid=[kept.first])
    assert set(patients_of(asked)) == {patient, other}
    shown = refs("GetSubmissionSets", patient, uuid=[kept.first])
    assert kept.set in shown
    assert len(shown) == 2, "the other patient is closed"
    assert len(refs("GetSubmissionSets", patient, other, uuid=[kept.first])) == 4
    with pytest.raises(ExchangeError) as refusal:
        answer(named("GetSubmissionSets", leaf_class=True, uuid=[kept.first]), permit(patient, other))
    assert refusal.value.reason is Reason.NOT_ONE_PATIENT


SINGLE: tuple[tuple[str, str, str], ...] = (
    ("GetFolders", "XDSFolderEntryUUID", "folder"),
    ("GetDocumentsAndAssociations", "XDSDocumentEntryEntryUUID", "first"),
    ("GetSubmissionSets", "uuid", "first"),
)


@pytest.mark.parametrize(("name", "parameter", "of"), SINGLE)
def test_full_metadata_are_of_one_patient(patient: str, name: str, parameter: str, of: str) -> None:
    other = known_patient()
    uuids = [getattr(keep(each), of) for each in (patient, other)]
    with pytest.raises(ExchangeError) as refusal:
        answer(named(name, leaf_class=True, **{parameter: uuids}), permit(patient, other))
    assert refusal.value.reason is Reason.NOT_ONE_PATIENT
    assert refs(name, patient, other, **{parameter: uuids})


def multi(name: str, *, leaf_class: bool = False, **parameters: Any) -> StoredQuery:
    kind = "XDSFolder" if "Folders" in name else "XDSDocumentEntry"
    asked = {f"{kind}{each}": value for each, value in ({"Status": APPROVED} | parameters).items()}
    return named(name, leaf_class=leaf_class, **asked)


def test_several_patients(patient: str) -> None:
    other, closed = known_patient(), known_patient()
    mine, theirs = keep(patient), keep(other, OTHER_FACILITY)
    keep(closed)
    ids = [cx(each) for each in (patient, other, closed)]
    asked = multi("FindDocumentsForMultiplePatients", PatientId=ids, FormatCode=["A^^1.2.3"], leaf_class=True)
    assert patient_parameters(asked) == tuple(ids)
    answered = answer(asked, permit(patient, other))
    entries = [read_fragment(each) for each in answered.fragments]
    assert {each.entry_uuid for each in entries if isinstance(each, DocumentEntry)} == {mine.first, theirs.first}
    assert set(answered.patients) == {patient, other}
    folders = answer(multi("FindFoldersForMultiplePatients", PatientId=ids, leaf_class=True), permit(patient, other))
    found = [read_fragment(each) for each in folders.fragments]
    assert {each.entry_uuid for each in found if isinstance(each, Folder)} == {mine.folder, theirs.folder}


def test_all_patients(patient: str) -> None:
    """A query that names no patient is about all whom it finds; the gate decides of each."""
    other = known_patient()
    mine, theirs = keep(patient), keep(other)
    keep_one = entry(known_patient(), entry_uuid=new_uuid_urn(), class_code=A)
    register(submission(keep_one.patient_id.partition("^")[0], keep_one), facility_code=FACILITY)
    asked = multi("FindDocumentsForMultiplePatients", ClassCode=["11502-2^^2.16.840.1.113883.6.1"])
    assert set(patients_of(asked)) == {patient, other}
    assert set(answer(asked, permit(patient, other)).object_refs) == {
        mine.first,
        mine.second,
        theirs.first,
        theirs.second,
    }
    assert set(answer(asked, permit(other)).object_refs) == {theirs.first, theirs.second}
    by_code = multi("FindFoldersForMultiplePatients", CodeList=["E11^^1.2.392.91"])
    assert set(patients_of(by_code)) == {patient, other}


def test_a_reference_of_several_patients(patient: str) -> None:
    study = "1.2.3^^^^urn:ihe:iti:xds:2016:studyInstanceUID"
    each = entry(patient, entry_uuid=new_uuid_urn(), reference_id_list=(study,))
    register(submission(patient, each), facility_code=FACILITY)
    asked = multi("FindDocumentsByReferenceIdForMultiplePatients", ReferenceIdList=[study])
    assert patients_of(asked) == (patient,)
    assert answer(asked, permit(patient)).object_refs == (each.entry_uuid,)


COSTS: tuple[tuple[str, dict[str, str], int, int], ...] = (
    ("GetFolders", {"XDSFolderEntryUUID": "folder"}, 2, 2),
    ("GetAssociations", {"uuid": "first"}, 4, 4),
    ("GetDocumentsAndAssociations", {"XDSDocumentEntryEntryUUID": "first"}, 4, 5),
    ("GetSubmissionSets", {"uuid": "first"}, 4, 6),
    ("GetSubmissionSetAndContents", {"XDSSubmissionSetEntryUUID": "set"}, 4, 16),
    ("GetFolderAndContents", {"XDSFolderEntryUUID": "folder"}, 2, 7),
    ("GetFoldersForDocument", {"XDSDocumentEntryEntryUUID": "first"}, 2, 7),
    ("GetRelatedDocuments", {"XDSDocumentEntryEntryUUID": "first"}, 2, 5),
)


@pytest.mark.parametrize(("name", "parameters", "owners", "answering"), COSTS)
def test_the_number_of_statements_does_not_grow(
    patient: str, django_assert_max_num_queries: Any, name: str, parameters: dict[str, str], owners: int, answering: int
) -> None:
    kept = keep(patient)
    for _ in range(3):
        keep(patient)
    values = {each: getattr(kept, of) for each, of in parameters.items()}
    asked = named(name, leaf_class=True, **values, **({"AssociationTypes": [APND]} if "Related" in name else {}))
    with django_assert_max_num_queries(owners):
        assert patients_of(asked) == (patient,)
    with django_assert_max_num_queries(answering):
        assert answer(asked, permit(patient)).fragments


def test_find_submission_sets_and_folders_cost_two_statements(patient: str, django_assert_num_queries: Any) -> None:
    for _ in range(3):
        keep(patient)
    for name, kind in (("FindSubmissionSets", "XDSSubmissionSet"), ("FindFolders", "XDSFolder")):
        parameters = {f"{kind}PatientId": cx(patient), f"{kind}Status": APPROVED}
        with django_assert_num_queries(2):
            assert len(answer(named(name, **parameters), permit(patient)).object_refs) == 3


def test_the_limit_holds_for_every_query(patient: str, settings: Any) -> None:
    kept = keep(patient)
    settings.MAX_RESULTS = 1
    for asked in (
        named("GetSubmissionSetAndContents", XDSSubmissionSetEntryUUID=kept.set),
        named("GetSubmissionSets", uuid=[kept.first]),
        named("GetAssociations", uuid=[kept.first]),
        multi("FindDocumentsForMultiplePatients", PatientId=[cx(patient)]),
    ):
        with pytest.raises(ExchangeError) as refusal:
            answer(asked, permit(patient))
        assert refusal.value.reason is Reason.TOO_MANY_RESULTS
