"""FindDocuments, GetDocuments, GetAll: every parameter, both return types, the permit, the limit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.network.queries import home_community_id
from apps.xds import models, stored_queries
from apps.xds.models import ObjectType
from apps.xds.services import register
from apps.xds.stored_queries import answer, patient_parameter, patients_of
from hie.values.access import Rule
from hie.values.codes import Code
from hie.values.documents import APPROVED, DEPRECATED, ON_DEMAND, RPLC, STABLE, Author, DocumentEntry
from hie.values.errors import ExchangeError, Reason
from hie.values.identifiers import new_uuid_urn
from hie.wire.ebxml.fragments import read_fragment
from hie.wire.ebxml.queries import QUERIES
from tests.apps.xds.samples import (
    FACILITY,
    OTHER_FACILITY,
    cx,
    entry,
    find,
    folder,
    get_all,
    get_documents,
    known_patient,
    member,
    permit,
    query,
    relation,
    submission,
)

pytestmark = pytest.mark.django_db

A, B, C = (Code(each, "1.2.3") for each in "ABC")


def keep(patient: str, facility_code: str = FACILITY, **changes: Any) -> str:
    """Register one entry; its entry UUID."""
    each = entry(patient, entry_uuid=new_uuid_urn(), **changes)
    register(submission(patient, each), facility_code=facility_code)
    return each.entry_uuid


def found(patient: str, **parameters: Any) -> set[str]:
    return set(answer(find(patient, **parameters), permit(patient)).object_refs)


# parameter, attributes of the entry that has to be found, of the one that must not, values.
PARAMETERS: tuple[tuple[str, dict[str, Any], dict[str, Any], Any], ...] = (
    ("ClassCode", {"class_code": A}, {"class_code": B}, ["A^^1.2.3"]),
    ("ClassCode", {"class_code": A}, {"class_code": Code("A", "9.9")}, ["A^^1.2.3", "B^^1.2.3"]),
    ("TypeCode", {"type_code": A}, {"type_code": B}, ["A^^1.2.3", "C^^1.2.3"]),
    ("FormatCode", {"format_code": A}, {"format_code": B}, ["A^^1.2.3"]),
    ("PracticeSettingCode", {"practice_setting_code": A}, {"practice_setting_code": B}, ["A^^1.2.3"]),
    (
        "HealthcareFacilityTypeCode",
        {"healthcare_facility_type_code": A},
        {"healthcare_facility_type_code": B},
        ["A^^1.2.3"],
    ),
    ("EventCodeList", {"event_code_list": (A, C)}, {"event_code_list": (B,)}, ["A^^1.2.3"]),
    ("EventCodeList", {"event_code_list": (A,)}, {}, ["A^^1.2.3", "B^^1.2.3"]),
    ("EventCodeList", {"event_code_list": (A, B)}, {"event_code_list": (A, C)}, [["A^^1.2.3"], ["B^^1.2.3"]]),
    (
        "EventCodeList",
        {"event_code_list": (B, C)},
        {"event_code_list": (A, B)},
        [["A^^1.2.3", "B^^1.2.3"], ["C^^1.2.3"]],
    ),
    ("ConfidentialityCode", {"confidentiality_codes": (A,)}, {"confidentiality_codes": (B,)}, ["A^^1.2.3"]),
    (
        "ConfidentialityCode",
        {"confidentiality_codes": (A, B)},
        {"confidentiality_codes": (A,)},
        [["A^^1.2.3"], ["B^^1.2.3"]],
    ),
    ("AuthorPerson", {"authors": (Author("7^山田^太郎"),)}, {"authors": (Author("8^佐藤"),)}, ["%山田%"]),
    ("AuthorPerson", {"authors": (Author("7^Smith"),)}, {"authors": (Author("7^SMITH"),)}, ["_^Smith"]),
    ("AuthorPerson", {"authors": (Author("7^S*[x]"),)}, {"authors": (Author("7^S*x"),)}, ["7^S*[x]"]),
    ("AuthorPerson", {"authors": (Author("7^a\\b"),)}, {"authors": (Author("7^ab"),)}, ["%a\\b"]),
    ("AuthorPerson", {"authors": (Author("7^ガ"),)}, {"authors": (Author("7^カ"),)}, ["%ガ"]),
    ("AuthorPerson", {"authors": (Author("7^A"),)}, {"authors": (Author("8^C"),)}, ["%^B", "%^A"]),
    ("CreationTimeFrom", {"creation_time": "20260401"}, {"creation_time": "20260331235959"}, "20260401"),
    ("CreationTimeTo", {"creation_time": "20260331235959"}, {"creation_time": "20260401"}, "20260401"),
    ("ServiceStartTimeFrom", {"service_start_time": "2026"}, {"service_start_time": "2025"}, "202601"),
    ("ServiceStartTimeFrom", {}, {"service_start_time": "2025"}, "202601"),
    ("ServiceStartTimeTo", {"service_start_time": "2025"}, {"service_start_time": "2026"}, "2026"),
    ("ServiceStopTimeFrom", {"service_stop_time": "2026"}, {"service_stop_time": "2025"}, "2026"),
    ("ServiceStopTimeTo", {}, {"service_stop_time": "2027"}, "2026"),
)


@pytest.mark.parametrize(("name", "matching", "other", "values"), PARAMETERS)
def test_a_parameter_finds_what_matches_and_nothing_else(
    patient: str, name: str, matching: dict[str, Any], other: dict[str, Any], values: Any
) -> None:
    wanted = keep(patient, **matching)
    keep(patient, **other)
    assert found(patient, **{name: values}) == {wanted}


def test_status_and_unknown_statuses(patient: str) -> None:
    original = keep(patient)
    new = entry(patient, entry_uuid=new_uuid_urn())
    register(submission(patient, new, associations=(relation(RPLC, new.entry_uuid, original),)), facility_code=FACILITY)
    assert found(patient) == {new.entry_uuid}
    assert found(patient, status=DEPRECATED) == {original}
    assert found(patient, status=[APPROVED, "urn:unknown", DEPRECATED]) == {original, new.entry_uuid}
    with pytest.raises(ExchangeError) as refusal:
        found(patient, status="urn:unknown")
    assert refusal.value.reason is Reason.QUERY_PARAMETER_MISSING


def test_on_demand_entries_are_found_only_where_they_are_asked_for(patient: str) -> None:
    stable, on_demand = keep(patient), keep(patient)
    models.DocumentEntry.objects.filter(entry_uuid=on_demand).update(object_type=ObjectType.ON_DEMAND, creation_time="")
    assert found(patient) == {stable}
    assert found(patient, Type=ON_DEMAND) == {on_demand}
    assert found(patient, Type=[STABLE, ON_DEMAND], CreationTimeFrom="2026") == {stable, on_demand}


def test_other_patients_are_never_found(patient: str) -> None:
    keep(known_patient())
    assert found(patient) == set()


def test_an_unknown_patient_has_no_documents(db: None) -> None:
    assert answer(find("nobody"), permit()).object_refs == ()
    assert answer(get_all("nobody"), permit()).object_refs == ()


def test_leaf_class_answers_the_fragments(patient: str) -> None:
    uuid = keep(patient, title="所見")
    (fragment,) = answer(find(patient, leaf_class=True), permit(patient)).fragments
    kept = read_fragment(fragment)
    assert isinstance(kept, DocumentEntry)
    assert (kept.entry_uuid, kept.title) == (uuid, "所見")


def test_find_documents_is_one_statement(patient: str, django_assert_num_queries: Any) -> None:
    for _ in range(3):
        keep(patient, event_code_list=(A, B))
    with django_assert_num_queries(1):
        answer(find(patient, leaf_class=True, EventCodeList=["A^^1.2.3"]), permit(patient))


def test_one_index_range_finds_the_patient(patient: str) -> None:
    from django.db import connection

    keep(patient)
    with connection.execute_wrapper(_explained := _Explained()):
        answer(find(patient, EventCodeList=["A^^1.2.3"]), permit(patient))
    if connection.vendor == "sqlite":
        assert "xds_entry_patient" in _explained.plan
        assert "SCAN" not in _explained.plan


class _Explained:
    plan = ""

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("SELECT") and context["connection"].vendor == "sqlite":
            rows = context["connection"].connection.execute("EXPLAIN QUERY PLAN " + sql.replace("%s", "?"), params)
            self.plan = "\n".join(row[3] for row in rows)
        return execute(sql, params, many, context)


def test_more_than_the_limit_is_an_error(patient: str, settings: Any) -> None:
    for _ in range(3):
        keep(patient)
    settings.MAX_RESULTS = 3
    assert len(found(patient)) == 3
    settings.MAX_RESULTS = 2
    with pytest.raises(ExchangeError) as refusal:
        found(patient)
    assert refusal.value.reason is Reason.TOO_MANY_RESULTS
    narrow = permit(patient, rules=(Rule(permits=False),))
    assert answer(find(patient), narrow).object_refs == (), "what is withheld does not count"


RULES: tuple[tuple[Rule, dict[str, Any], dict[str, Any]], ...] = (
    (Rule(False, kinds=frozenset({"A"})), {"class_code": A}, {"class_code": B}),
    (Rule(False, kinds=frozenset({"A^^1.2.3"})), {"event_code_list": (A,)}, {"type_code": Code("A", "9.9")}),
    (Rule(False, confidentiality=frozenset({"R"})), {"confidentiality_codes": (Code("R", "1"),)}, {}),
    (
        Rule(False, first_date="20260401", last_date="20260401"),
        {"service_start_time": "202603311500"},
        {"service_start_time": "202604011500"},
    ),
    (Rule(False, facilities=frozenset({OTHER_FACILITY})), {"facility_code": OTHER_FACILITY}, {}),
)


@pytest.mark.parametrize(("rule", "withheld", "open_one"), RULES)
def test_what_the_permit_withholds_is_not_there(
    patient: str, rule: Rule, withheld: dict[str, Any], open_one: dict[str, Any]
) -> None:
    hidden, visible = keep(patient, **withheld), keep(patient, **open_one)
    narrow = permit(patient, rules=(rule,))
    assert answer(find(patient), narrow).object_refs == (visible,)
    assert answer(get_documents(EntryUUID=[hidden, visible], leaf_class=False), narrow).object_refs == (visible,)
    everything = answer(get_all(patient, leaf_class=True), narrow).fragments
    assert hidden.encode() not in b"".join(everything)
    assert len(everything) == 3, "the entry, its submission set and their association"


def test_a_closed_patient_shows_nothing(patient: str) -> None:
    keep(patient)
    register(submission(patient, folders=(folder(patient),)), facility_code=FACILITY)
    closed = permit(patient, default=False)
    assert answer(find(patient), closed).object_refs == ()
    assert answer(get_all(patient), closed).object_refs == ()


def test_get_documents_by_both_kinds_of_id(patient: str) -> None:
    uuid = keep(patient)
    row = models.DocumentEntry.objects.get()
    assert patients_of(get_documents(EntryUUID=uuid)) == (patient,)
    assert patients_of(get_documents(UniqueId=[row.unique_id, "9.9"])) == (patient,)
    for parameters in ({"EntryUUID": uuid}, {"UniqueId": row.unique_id}):
        assert answer(get_documents(leaf_class=False, **parameters), permit(patient)).object_refs == (uuid,)
    assert answer(get_documents(EntryUUID=new_uuid_urn()), permit()).fragments == ()


def test_documents_of_two_patients_are_not_answered_together(patient: str) -> None:
    other = known_patient()
    both = [keep(patient), keep(other)]
    with pytest.raises(ExchangeError) as refusal:
        answer(get_documents(EntryUUID=both), permit(patient, other))
    assert refusal.value.reason is Reason.NOT_ONE_PATIENT
    assert len(answer(get_documents(EntryUUID=both, leaf_class=False), permit(patient, other)).object_refs) == 2
    assert len(answer(get_documents(EntryUUID=both), permit(patient)).fragments) == 1


def test_get_all(patient: str, django_assert_num_queries: Any) -> None:
    document, its_folder = entry(patient), folder(patient)
    membership = member(its_folder.entry_uuid, document.entry_uuid)
    register(submission(patient, document, folders=(its_folder,), associations=(membership,)), facility_code=FACILITY)
    keep(known_patient())
    with django_assert_num_queries(5):
        everything = answer(get_all(patient, leaf_class=True), permit(patient)).fragments
    kinds = sorted(type(read_fragment(each)).__name__ for each in everything)
    assert kinds == ["Association"] * 3 + ["DocumentEntry", "Folder", "SubmissionSet"]


def test_get_all_narrows_documents_by_format(patient: str) -> None:
    keep(patient, format_code=A)
    keep(patient, format_code=B)
    refs = answer(get_all(patient, XDSDocumentEntryFormatCode=["A^^1.2.3"]), permit(patient)).object_refs
    assert len(refs) == 1 + 2 + 2, "the entry, both submission sets and what they hold"


def test_every_query_of_the_table_is_answered(patient: str) -> None:
    assert set(stored_queries._EXECUTED) == set(QUERIES)


def test_a_query_that_is_unknown_is_told_which_are_not(patient: str) -> None:
    with pytest.raises(ExchangeError) as refusal:
        answer(query("urn:uuid:00000000-0000-0000-0000-000000000000"), permit())
    assert refusal.value.reason is Reason.UNKNOWN_QUERY
    assert "FindDocuments, FindSubmissionSets" in refusal.value.detail


def test_the_patient_of_a_query(patient: str) -> None:
    assert patient_parameter(find(patient)) == cx(patient)
    assert patient_parameter(get_all(patient)) == cx(patient)
    assert patient_parameter(get_documents(EntryUUID=new_uuid_urn())) == ""


# What is registered is found by every query that should find it, and by none that should not.

_code = st.sampled_from([A, B, C])
_time = st.sampled_from(["2025", "202601", "20260401", "20260401123456"])
_entries = st.lists(
    st.fixed_dictionaries(
        {
            "class_code": _code,
            "event_code_list": st.lists(_code, unique=True, max_size=3).map(tuple),
            "confidentiality_codes": st.lists(_code, unique=True, min_size=1, max_size=2).map(tuple),
            "creation_time": _time,
            "service_start_time": st.one_of(st.just(""), _time),
        }
    ),
    min_size=1,
    max_size=5,
)
_slot = st.lists(_code, min_size=1, max_size=2)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kept=_entries,
    class_codes=st.one_of(st.none(), _slot),
    events=st.lists(_slot, max_size=2),
    confidentiality=st.lists(_slot, max_size=2),
    creation=st.tuples(st.one_of(st.none(), _time), st.one_of(st.none(), _time)),
    service_start_from=st.one_of(st.none(), _time),
)
def test_what_was_registered_is_found_as_it_should_be(
    db: None,
    kept: list[dict[str, Any]],
    class_codes: list[Code] | None,
    events: list[list[Code]],
    confidentiality: list[list[Code]],
    creation: tuple[str | None, str | None],
    service_start_from: str | None,
) -> None:
    patient = known_patient()
    entries = [entry(patient, entry_uuid=new_uuid_urn(), **each) for each in kept]
    register(submission(patient, *entries), facility_code=FACILITY)

    def written(codes: list[Code]) -> list[str]:
        return [f"{code.code}^^{code.scheme}" for code in codes]

    def first(time: str) -> str:
        return (time + "00000101000000"[len(time) :])[:14]

    def meets(each: DocumentEntry) -> bool:
        lower, upper = creation
        return (
            (class_codes is None or each.class_code in class_codes)
            and all(set(slot) & set(each.event_code_list) for slot in events)
            and all(set(slot) & set(each.confidentiality_codes) for slot in confidentiality)
            and (lower is None or first(each.creation_time) >= first(lower))
            and (upper is None or first(each.creation_time) < first(upper))
            and (
                service_start_from is None
                or not each.service_start_time
                or first(each.service_start_time) >= first(service_start_from)
            )
        )

    parameters: dict[str, Any] = {
        "ClassCode": written(class_codes) if class_codes else None,
        "EventCodeList": [written(slot) for slot in events] or None,
        "ConfidentialityCode": [written(slot) for slot in confidentiality] or None,
        "CreationTimeFrom": creation[0],
        "CreationTimeTo": creation[1],
        "ServiceStartTimeFrom": service_start_from,
    }
    parameters = {name: value for name, value in parameters.items() if value is not None}
    assert found(patient, **parameters) == {each.entry_uuid for each in entries if meets(each)}


def test_get_all_narrows_associations_by_status(patient: str) -> None:
    keep(patient)
    assert len(answer(get_all(patient, XDSAssociationStatus=[APPROVED]), permit(patient)).object_refs) == 3
    assert len(answer(get_all(patient, XDSAssociationStatus=[DEPRECATED]), permit(patient)).object_refs) == 2


def test_a_query_for_another_community(patient: str) -> None:
    """ITI TF-3 table 4.2.4.1-2: what is here is not answered under the name of somebody else."""
    keep(patient)
    assert answer(replace(find(patient), home=home_community_id()), permit(patient)).home == home_community_id()
    with pytest.raises(ExchangeError) as refusal:
        answer(replace(find(patient), home="urn:oid:1.2.3"), permit(patient))
    assert refusal.value.reason is Reason.UNKNOWN_COMMUNITY
