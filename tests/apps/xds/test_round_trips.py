"""What is registered is found by every stored query that should find it, and by none that should not.

Generated submissions of two patients go through the codec and the registry. Beside them stands a model: the same
objects as plain values, and of each stored query what the framework says that it returns, written as a comprehension
over all of them (ITI TF-2: 3.18.4.1.2.3.7). The registry's answers have to be those of the model.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.xds import models
from apps.xds.services import register
from apps.xds.stored_queries import answer, patient_parameters, patients_of
from hie.values.codes import Code
from hie.values.documents import (
    APND,
    APPROVED,
    DEPRECATED,
    HAS_MEMBER,
    RPLC,
    SIGNS,
    XFRM,
    XFRM_RPLC,
    Association,
    Author,
    DocumentEntry,
    Folder,
    RegistryObject,
    Submission,
    SubmissionSet,
)
from hie.values.errors import ExchangeError, Reason
from hie.values.identifiers import Identifier, new_uuid_urn
from hie.wire.ebxml import register as register_codec
from hie.wire.ebxml import stored_query
from hie.wire.ebxml.fragments import read_fragment
from hie.wire.ebxml.queries import QUERY_NAMED
from tests.apps.xds.samples import FACILITY, cx, entry, folder, known_patient, permit, query, submission_set
from tests.wire.ebxml.messages import sent

pytestmark = pytest.mark.django_db

GENERATED = settings(
    derandomize=True,
    deadline=None,
    max_examples=20,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)

# Values that are easily confused: by case, by scheme, by normalization form, by quotes, and by what SQL, LIKE and GLOB
# give a meaning to.
CODES = [
    Code(code, scheme)
    for code, scheme in (
        ("A", "1.2.3"),
        ("a", "1.2.3"),
        ("A", "1.2.4"),
        ("o'neil", "1.2.3"),
        ("_", "1.2.3"),
        ("が", "1.2.3"),
        ("か\u3099", "1.2.4"),
    )
]
PERSONS = [
    "7^山田^太郎^^^^^^&1.2.392.77&ISO",
    "^Smith^John",
    "^smith^john",
    "^O'Neil^[x]",
    "^a*b?^50%",
    "^back\\slash^_",
    "^か\u3099^花子",
]
REFERENCES = [
    f"{number}^^^&1.2.392.9&ISO^urn:ihe:iti:xds:2013:{kind}"
    for number, kind in (("A1", "accession"), ("a1", "accession"), ("A1", "order"), ("A_1", "order"))
]
PATTERNS = [
    "%",
    "%山田%",
    "_^山田%",
    "^Smith^%",
    "^_mith^john",
    "%'%",
    "%[x]",
    "%*%",
    "%\\%",
    "^が^%",
    "^smith",
    "%50_",
]
TIMES = ["2025", "202603", "20260331", "20260331235959", "2026", "20260401", "202604010930", "20260401093000"]
OIDS = ["1.2.3", "1.2.30", "1.2.4"]
RELATIONS = [RPLC, XFRM_RPLC, APND, XFRM, SIGNS]

codes, times = st.sampled_from(CODES), st.sampled_from(TIMES)
some_codes = st.lists(codes, max_size=3, unique=True).map(tuple)
authors = st.lists(st.sampled_from(PERSONS), max_size=2, unique=True).map(
    lambda persons: tuple(Author(person=each) for each in persons)
)
ENTRY_VALUES = {
    "class_code": codes,
    "type_code": codes,
    "format_code": codes,
    "practice_setting_code": codes,
    "healthcare_facility_type_code": codes,
    "event_code_list": some_codes,
    "confidentiality_codes": st.lists(codes, min_size=1, max_size=3, unique=True).map(tuple),
    "creation_time": times,
    "service_start_time": st.just("") | times,
    "service_stop_time": st.just("") | times,
    "authors": authors,
    "reference_id_list": st.lists(st.sampled_from(REFERENCES), max_size=3, unique=True).map(tuple),
    "title": st.sampled_from(["検体検査結果", "<b>&amp;\"'", ""]),
}
SET_VALUES = {
    "source_id": st.sampled_from(OIDS),
    "content_type_code": codes,
    "submission_time": times,
    "authors": authors,
}
FOLDER_VALUES = {"code_list": st.lists(codes, min_size=1, max_size=3, unique=True).map(tuple)}


# The model.


@dataclass
class World:
    """Everything that was registered, by UUID, as the registry has to show it; whose it is; and the kinds of it."""

    objects: dict[str, RegistryObject] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)

    def of(self, kind: type, patient: str = "") -> dict[str, Any]:
        return {
            uuid: each
            for uuid, each in self.objects.items()
            if isinstance(each, kind) and patient in ("", self.owners[uuid])
        }

    @property
    def associations(self) -> dict[str, Association]:
        return self.of(Association)

    def approved(self, kind: type, patient: str = "") -> list[str]:
        return [uuid for uuid, each in self.of(kind, patient).items() if each.availability_status == APPROVED]

    def add(self, patient: str, objects: Iterable[RegistryObject]) -> None:
        for each in objects:
            if isinstance(each, DocumentEntry | Folder):
                each = replace(each, logical_id=each.entry_uuid)
            self.objects[each.entry_uuid] = each
            self.owners[each.entry_uuid] = patient

    def held_in(self, holder: str) -> set[str]:
        return {a.target_object for a in self.associations.values() if _holds(a) and a.source_object == holder}

    def holding(self, held: Iterable[str]) -> set[str]:
        named = set(held)
        return {a.source_object for a in self.associations.values() if _holds(a) and a.target_object in named}

    def touching(self, uuids: Iterable[str]) -> set[str]:
        named = set(uuids)
        return {uuid for uuid, a in self.associations.items() if named & {a.source_object, a.target_object}}

    def between(self, uuids: Iterable[str], types: Iterable[str] = (HAS_MEMBER,)) -> set[str]:
        named, of = set(uuids), set(types)
        return {
            uuid
            for uuid, a in self.associations.items()
            if a.association_type in of and {a.source_object, a.target_object} <= named
        }


def _holds(association: Association) -> bool:
    return association.association_type == HAS_MEMBER


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _key(code: Code) -> str:
    return f"{code.code}^^{code.scheme}"


def _first_moment(time: str) -> str:
    return time + "00000101000000"[len(time) :]


def _like(pattern: str, text: str) -> bool:
    parts = {"%": ".*", "_": "."}
    written = "".join(parts.get(each, re.escape(each)) for each in _nfc(pattern))
    return re.fullmatch(written, _nfc(text), re.DOTALL) is not None


Test = Callable[[Any, list[str]], bool]


def _is_one_of(attribute: str) -> Test:
    return lambda each, values: getattr(each, attribute) in values


def _has_code(attribute: str) -> Test:
    return lambda each, values: _nfc(_key(getattr(each, attribute))) in map(_nfc, values)


def _has_one_of_codes(attribute: str) -> Test:
    return lambda each, values: any(_nfc(_key(code)) in map(_nfc, values) for code in getattr(each, attribute))


def _is_from(attribute: str) -> Test:
    """An object without the time meets every bound."""
    return lambda each, values: (
        not getattr(each, attribute) or _first_moment(getattr(each, attribute)) >= _first_moment(values[0])
    )


def _is_before(attribute: str) -> Test:
    return lambda each, values: (
        not getattr(each, attribute) or _first_moment(getattr(each, attribute)) < _first_moment(values[0])
    )


def _has_author(each: Any, patterns: list[str]) -> bool:
    return any(_like(pattern, author.person) for author in each.authors for pattern in patterns)


def _has_reference(each: Any, patterns: list[str]) -> bool:
    return any(_like(pattern, reference) for reference in each.reference_id_list for pattern in patterns)


keys = codes.map(_key)
several_keys = st.lists(keys, min_size=1, max_size=4, unique=True)
one_list = several_keys.map(lambda values: [values])
lists = st.lists(several_keys, min_size=1, max_size=2)  # several Slots: all of them have to be met
patterns = st.lists(st.sampled_from([*PERSONS, *PATTERNS]), min_size=1, max_size=2, unique=True).map(lambda v: [v])
one_time = times.map(lambda value: [[value]])
references = st.lists(
    st.lists(st.sampled_from([*REFERENCES, "A1^^^%", "%order", "A_1^%"]), min_size=1, max_size=2, unique=True),
    min_size=1,
    max_size=2,
)

# parameter without its prefix -> what is asked, and when an object meets one Slot of it
Asking = dict[str, tuple[st.SearchStrategy[Any], Test]]
ENTRY_ASKED: Asking = {
    "ClassCode": (one_list, _has_code("class_code")),
    "TypeCode": (one_list, _has_code("type_code")),
    "FormatCode": (one_list, _has_code("format_code")),
    "PracticeSettingCode": (one_list, _has_code("practice_setting_code")),
    "HealthcareFacilityTypeCode": (one_list, _has_code("healthcare_facility_type_code")),
    "EventCodeList": (lists, _has_one_of_codes("event_code_list")),
    "ConfidentialityCode": (lists, _has_one_of_codes("confidentiality_codes")),
    "CreationTimeFrom": (one_time, _is_from("creation_time")),
    "CreationTimeTo": (one_time, _is_before("creation_time")),
    "ServiceStartTimeFrom": (one_time, _is_from("service_start_time")),
    "ServiceStartTimeTo": (one_time, _is_before("service_start_time")),
    "ServiceStopTimeFrom": (one_time, _is_from("service_stop_time")),
    "ServiceStopTimeTo": (one_time, _is_before("service_stop_time")),
    "AuthorPerson": (patterns, _has_author),
}
SET_ASKED: Asking = {
    "SourceId": (
        st.lists(st.sampled_from(OIDS), min_size=1, max_size=2, unique=True).map(lambda values: [values]),
        _is_one_of("source_id"),
    ),
    "ContentType": (one_list, _has_code("content_type_code")),
    "SubmissionTimeFrom": (one_time, _is_from("submission_time")),
    "SubmissionTimeTo": (one_time, _is_before("submission_time")),
    "AuthorPerson": (patterns.map(lambda slots: [slots[0][:1]]), _has_author),
}
FOLDER_ASKED: Asking = {"CodeList": (lists, _has_one_of_codes("code_list"))}
CONTENTS_ASKED = {name: ENTRY_ASKED[name] for name in ("FormatCode", "ConfidentialityCode")}
REFERENCES_ASKED: Asking = {"ReferenceIdList": (references, _has_reference)}
statuses = st.sampled_from([[APPROVED], [APPROVED], [DEPRECATED], [APPROVED, DEPRECATED]])


def _meets(each: Any, asked: dict[str, list[list[str]]], asking: Asking) -> bool:
    return all(asking[name][1](each, slot) for name, slots in asked.items() for slot in slots)


def _drawn(data: st.DataObject, asking: Asking, most: int = 3, always: Iterable[str] = ()) -> dict[str, Any]:
    names = data.draw(st.lists(st.sampled_from(sorted(asking)), max_size=most, unique=True))
    return {name: data.draw(asking[name][0], label=name) for name in dict.fromkeys((*always, *names))}


# Submissions.


def _submit(world: World, patient: str, data: st.DataObject) -> None:
    """Register one generated submission, and let the model follow."""

    def draw(make: Callable[..., Any], values: dict[str, st.SearchStrategy[Any]]) -> Any:
        drawn = {name: data.draw(strategy) for name, strategy in values.items()}
        return make(patient, entry_uuid=new_uuid_urn(), **drawn)

    def some(values: list[str], least: int = 0) -> list[str]:
        drawn = st.lists(st.sampled_from(values), min_size=least, max_size=2, unique=True) if values else st.just([])
        return data.draw(drawn)

    its_set = draw(submission_set, SET_VALUES)
    entries = [_in_order(draw(entry, ENTRY_VALUES)) for _ in range(data.draw(st.integers(0, 3), label="entries"))]
    folders = [draw(folder, FOLDER_VALUES) for _ in range(data.draw(st.integers(0, 1), label="folders"))]
    associations = [_member(its_set, each.entry_uuid, "Original") for each in entries]
    associations += [_member(its_set, each.entry_uuid) for each in folders]
    old, own = world.approved(DocumentEntry, patient), [each.entry_uuid for each in entries]
    for uuid in some([each for each in world.approved(DocumentEntry) if each not in own]):
        associations.append(_member(its_set, uuid, "Reference"))
    for holder in some([*world.approved(Folder, patient), *(each.entry_uuid for each in folders)], 1):
        for held in some([*old, *own], 1):
            association = Association(new_uuid_urn(), HAS_MEMBER, holder, held)
            associations += [association, _member(its_set, association.entry_uuid)]
    in_folders = {a.target_object for a in associations if _holds(a) and a.target_object in old}
    for target in some([each for each in old if each not in in_folders and not _is_dependent(world, each)], 1):
        if own:
            kind = data.draw(st.sampled_from([RPLC, *RELATIONS]))
            associations.append(Association(new_uuid_urn(), kind, data.draw(st.sampled_from(own)), target))
    asked = Submission((its_set,), tuple(entries), tuple(folders), tuple(associations))
    register(register_codec.read_request(sent(register_codec.write_request(asked))), facility_code=FACILITY)
    _follow(world, patient, asked)


def _member(its_set: SubmissionSet, held: str, status: str = "") -> Association:
    return Association(new_uuid_urn(), HAS_MEMBER, its_set.entry_uuid, held, submission_set_status=status)


def _in_order(drawn: DocumentEntry) -> DocumentEntry:
    """A care that ends before it begins is refused."""
    start, stop = drawn.service_start_time, drawn.service_stop_time
    if start and stop and _first_moment(start) > _first_moment(stop):
        return replace(drawn, service_start_time=stop, service_stop_time=start)
    return drawn


def _is_dependent(world: World, uuid: str) -> bool:
    return any(a.source_object == uuid and a.association_type in (APND, XFRM) for a in world.associations.values())


def _follow(world: World, patient: str, asked: Submission) -> None:
    """What 3.42.4.1.3.3 says of a submission: replacing deprecates, with addenda and transformations, and inherits."""
    deprecated: set[str] = set()
    inherited: dict[tuple[str, str], None] = {}
    said = {(a.source_object, a.target_object) for a in asked.associations if _holds(a)}
    for each in asked.associations:
        if each.association_type in (RPLC, XFRM_RPLC):
            replaced = each.target_object
            deprecated |= {replaced} | {
                a.source_object
                for a in world.associations.values()
                if a.target_object == replaced and a.association_type in (APND, XFRM)
            }
            for holder in sorted(world.holding([replaced]) & set(world.of(Folder))):
                inherited[holder, each.source_object] = None
    world.add(
        patient,
        [*asked.submission_sets, *asked.document_entries, *asked.folders, *asked.associations],
    )
    for holder, held in inherited:
        if (holder, held) not in said:
            membership = _made(world, holder, held)
            world.add(patient, [membership])
            world.add(patient, [_made(world, asked.submission_sets[0].entry_uuid, membership.entry_uuid)])
    for uuid in deprecated:
        world.objects[uuid] = replace(world.objects[uuid], availability_status=DEPRECATED)  # type: ignore[type-var]


def _made(world: World, source: str, target: str) -> Association:
    """A membership that the registry has to have made; its id is the registry's."""
    rows = models.Association.objects.filter(source_uuid=source, target_uuid=target, association_type=HAS_MEMBER)
    (made,) = rows.exclude(entry_uuid__in=world.associations).values_list("entry_uuid", flat=True)
    return Association(made, HAS_MEMBER, source, target)


def _world(data: st.DataObject, patients: list[str]) -> World:
    world = World()
    for _ in range(data.draw(st.integers(2, 5), label="submissions")):
        _submit(world, data.draw(st.sampled_from([patients[0], *patients])), data)
    everywhere = set(models.Association.objects.values_list("entry_uuid", flat=True))
    assert everywhere == set(world.associations), "the registry makes nothing of its own but what is inherited"
    return world


# What is compared.


def _asked(world: World, name: str, patients: list[str], expected: set[str], **parameters: Any) -> None:
    """Ask for references and for objects; both have to be what the model says."""
    objects = {uuid for uuid in expected if uuid not in world.associations}
    of_several = len({world.owners[uuid] for uuid in objects}) > 1
    for leaf_class in (False, True):
        written = stored_query.write_request(query(QUERY_NAMED[name].query_id, leaf_class=leaf_class, **parameters))
        asked = stored_query.read_request(sent(written))
        assert asked.findings == (), parameters
        if not patient_parameters(asked):
            assert {world.owners[each] for each in expected} <= set(patients_of(asked)), (name, parameters)
        if leaf_class and of_several and name != "GetAssociations":
            with pytest.raises(ExchangeError) as refusal:
                answer(asked, permit(*patients))
            assert refusal.value.reason is Reason.NOT_ONE_PATIENT
            continue
        result = answer(asked, permit(*patients))
        if not leaf_class:
            assert len(set(result.object_refs)) == len(result.object_refs), "nothing is answered twice"
            assert set(result.object_refs) == expected, (name, parameters)
            continue
        found = [read_fragment(each) for each in result.fragments]
        assert sorted(each.entry_uuid for each in found) == sorted(expected), (name, parameters)
        for each in found:
            assert _without_moment(each) == _without_moment(world.objects[each.entry_uuid])


def _without_moment(each: RegistryObject) -> RegistryObject:
    return replace(each, last_update_time="") if isinstance(each, Folder) else each


def _prefixed(prefix: str, asked: dict[str, Any]) -> dict[str, Any]:
    return {f"{prefix}{name}": values for name, values in asked.items()}


@pytest.fixture
def patients(db: None) -> list[str]:
    return [known_patient(), known_patient()]


FINDS: tuple[tuple[str, str, type, Asking, tuple[str, ...]], ...] = (
    ("FindDocuments", "XDSDocumentEntry", DocumentEntry, ENTRY_ASKED, ()),
    (
        "FindDocumentsByReferenceId",
        "XDSDocumentEntry",
        DocumentEntry,
        ENTRY_ASKED | REFERENCES_ASKED,
        ("ReferenceIdList",),
    ),
    ("FindSubmissionSets", "XDSSubmissionSet", SubmissionSet, SET_ASKED, ()),
    ("FindFolders", "XDSFolder", Folder, FOLDER_ASKED, ()),
)


@GENERATED
@given(data=st.data())
def test_what_is_found_by_what_it_is(patients: list[str], data: st.DataObject) -> None:
    with undone():
        world = _world(data, patients)
        for name, prefix, kind, asking, always in FINDS:
            for _ in range(4):
                patient, wanted = data.draw(st.sampled_from(patients)), data.draw(statuses)
                asked = _drawn(data, asking, always=always)
                expected = {
                    uuid
                    for uuid, each in world.of(kind, patient).items()
                    if each.availability_status in wanted and _meets(each, asked, asking)
                }
                parameters = _prefixed(prefix, asked | {"PatientId": cx(patient), "Status": wanted})
                _asked(world, name, [patient, *patients], expected, **parameters)


@GENERATED
@given(data=st.data())
def test_what_is_got_by_its_id(patients: list[str], data: st.DataObject) -> None:
    with undone():
        world = _world(data, patients)
        entries, folders = world.of(DocumentEntry), world.of(Folder)
        for kind, name, prefix in (
            (DocumentEntry, "GetDocuments", "XDSDocumentEntry"),
            (Folder, "GetFolders", "XDSFolder"),
        ):
            chosen = _some_of(data, world.of(kind))
            for column, suffix in (("entry_uuid", "EntryUUID"), ("unique_id", "UniqueId"), ("logical_id", "LogicalID")):
                if chosen:
                    ids = [getattr(world.objects[each], column) for each in chosen]
                    _asked(world, name, patients, set(chosen), **{f"{prefix}{suffix}": ids})
        for uuid, each in entries.items():
            by = data.draw(st.sampled_from(["EntryUUID", "UniqueId"]))
            named = {f"XDSDocumentEntry{by}": uuid if by == "EntryUUID" else each.unique_id}
            _asked(world, "GetFoldersForDocument", patients, world.holding([uuid]) & set(folders), **named)
            types = data.draw(st.lists(st.sampled_from([*RELATIONS, HAS_MEMBER]), min_size=2, max_size=5, unique=True))
            related = world.between(entries, types) & world.touching([uuid])
            ends = {end for a in related for end in _ends(world, a)}
            _asked(world, "GetRelatedDocuments", patients, related | ends, AssociationTypes=types, **named)


@GENERATED
@given(data=st.data())
def test_what_is_around_an_object(patients: list[str], data: st.DataObject) -> None:
    with undone():
        world = _world(data, patients)
        sets = set(world.of(SubmissionSet))
        if chosen := _some_of(data, world.of(DocumentEntry)):
            expected = set(chosen) | world.touching(chosen)
            _asked(world, "GetDocumentsAndAssociations", patients, expected, XDSDocumentEntryEntryUUID=chosen)
        for candidates in (world.of(DocumentEntry), world.of(Folder), world.of(SubmissionSet), world.associations):
            if chosen := _some_of(data, candidates):
                _asked(world, "GetAssociations", patients, world.touching(chosen), uuid=chosen)
        for candidates in (world.of(DocumentEntry), world.of(Folder)):
            if chosen := _some_of(data, candidates):
                holding = {uuid for uuid in world.between(sets | set(chosen)) if _ends(world, uuid)[1] in chosen}
                expected = holding | {_ends(world, uuid)[0] for uuid in holding}
                _asked(world, "GetSubmissionSets", patients, expected, uuid=chosen)


@GENERATED
@given(data=st.data())
def test_what_a_package_holds(patients: list[str], data: st.DataObject) -> None:
    with undone():
        world = _world(data, patients)
        for uuid, each in (*world.of(SubmissionSet).items(), *world.of(Folder).items()):
            asked = _drawn(data, CONTENTS_ASKED, most=2)
            held = world.held_in(uuid)
            objects = {uuid} | {
                one
                for one in held
                if isinstance(world.objects[one], Folder)
                or (isinstance(world.objects[one], DocumentEntry) and _meets(world.objects[one], asked, CONTENTS_ASKED))
            }
            # Of the associations those whose two ends are answered, be it as members of the set or as memberships.
            inside = {one for one in held & set(world.associations) if set(_ends(world, one)) <= objects}
            answered = objects | inside
            members = {one for one in world.between(answered) if _ends(world, one)[0] == uuid}
            prefix, name = ("XDSFolder", "GetFolderAndContents")
            if isinstance(each, SubmissionSet):
                prefix, name = ("XDSSubmissionSet", "GetSubmissionSetAndContents")
            by = data.draw(st.sampled_from(["EntryUUID", "UniqueId"]))
            named = {f"{prefix}{by}": uuid if by == "EntryUUID" else each.unique_id}
            parameters = named | _prefixed("XDSDocumentEntry", asked)
            _asked(world, name, patients, answered | members, **parameters)


@GENERATED
@given(data=st.data())
def test_everything_of_a_patient(patients: list[str], data: st.DataObject) -> None:
    with undone():
        world = _world(data, patients)
        for patient in patients:
            of_kinds = {kind: data.draw(statuses) for kind in (DocumentEntry, SubmissionSet, Folder)}
            asked = _drawn(data, CONTENTS_ASKED, most=1)
            objects = {
                uuid
                for kind, wanted in of_kinds.items()
                for uuid, each in world.of(kind, patient).items()
                if each.availability_status in wanted
                and (kind is not DocumentEntry or _meets(each, asked, CONTENTS_ASKED))
            }
            parameters = {f"XDS{kind.__name__}Status": wanted for kind, wanted in of_kinds.items()}
            parameters |= {"patientId": cx(patient)} | _prefixed("XDSDocumentEntry", asked)
            expected = objects | world.touching(objects)
            written = query(QUERY_NAMED["GetAll"].query_id, leaf_class=False, **parameters)
            permitted = permit(patient, *patients)
            assert set(answer(written, permitted).object_refs) == expected, parameters
            found = [read_fragment(each) for each in answer(replace(written, leaf_class=True), permitted).fragments]
            assert sorted(each.entry_uuid for each in found) == sorted(expected)
            whose = {Identifier.from_cx(each.patient_id).value for each in found if not isinstance(each, Association)}
            assert whose <= {patient}


def _ends(world: World, uuid: str) -> tuple[str, str]:
    association = world.associations[uuid]
    return association.source_object, association.target_object


def _some_of(data: st.DataObject, candidates: Iterable[str]) -> list[str]:
    listed = list(candidates)
    return data.draw(st.lists(st.sampled_from(listed), min_size=1, max_size=2, unique=True)) if listed else []


class undone(transaction.Atomic):  # noqa: N801 - used as a word, as ``atomic`` is
    """What one generated example registers is not there for the next one."""

    def __init__(self) -> None:
        super().__init__(using=None, savepoint=True, durable=False)

    def __exit__(self, *raised: Any) -> None:
        transaction.set_rollback(True)
        super().__exit__(*raised)
