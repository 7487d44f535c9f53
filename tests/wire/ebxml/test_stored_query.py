"""ITI-18: how values are written, what each query takes, and what the answer looks like."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hie.values.documents import APPROVED, DEPRECATED, QueryResult, StoredQuery
from hie.values.errors import ExchangeError, Finding, Reason
from hie.wire.ebxml import multi_patient_query, stored_query
from hie.wire.ebxml.fragments import read_fragment, write_fragment
from hie.wire.ebxml.names import FAILURE, PARTIAL_SUCCESS, QUERY, RIM, SUCCESS
from hie.wire.ebxml.queries import PARAMETERS, QUERIES, QUERY_NAMED, Query
from hie.wire.ebxml.registry_response import Answering
from hie.wire.xml import escape, parse
from tests.conformance import CONFORMANCE, needs_conformance
from tests.wire.ebxml import objects
from tests.wire.ebxml.messages import MESSAGES, message_of, sample, sent, violations

PATIENT = "R7K2M9QX^^^&1.2.392.200119.9.1&ISO"
FIND, GET = QUERY_NAMED["FindDocuments"].query_id, QUERY_NAMED["GetDocuments"].query_id
ENTRY = "$XDSDocumentEntry"
Slots = list[tuple[str, list[str]]]

GOOD: Slots = [(f"{ENTRY}PatientId", [f"'{PATIENT}'"]), (f"{ENTRY}Status", [f"('{APPROVED}')"])]


def query(slots: Slots, query_id: str = FIND, return_type: str = "LeafClass", home: str = "") -> StoredQuery:
    """A query as it is read, with slots written as they stand in XML."""
    written = "".join(
        f'<rim:Slot name="{name}"><rim:ValueList>'
        + "".join(f"<rim:Value>{escape(value)}</rim:Value>" for value in values)
        + "</rim:ValueList></rim:Slot>"
        for name, values in slots
    )
    at = f' home="{home}"' if home else ""
    root = parse(
        f'<query:AdhocQueryRequest xmlns:query="{QUERY}" xmlns:rim="{RIM}">'
        f'<query:ResponseOption returnComposedObjects="true" returnType="{return_type}"/>'
        f'<rim:AdhocQuery id="{query_id}"{at}>{written}</rim:AdhocQuery></query:AdhocQueryRequest>'.encode()
    )
    row = QUERIES.get(query_id)
    codec = multi_patient_query if row and row.multi_patient else stored_query
    return codec.read_request(message_of(root))


def codes_of(found: StoredQuery) -> list[str]:
    return [Answering.QUERY.code(each.reason) for each in found.findings]


def test_a_sample_with_everything() -> None:
    found = stored_query.read_request(sample("ITI-18/find-documents-all-parameters.xml"))
    assert found.findings == ()
    assert found.query_id == FIND
    assert found.leaf_class
    assert found.parameters == {
        f"{ENTRY}PatientId": ((PATIENT,),),
        f"{ENTRY}Status": ((APPROVED, DEPRECATED),),
        f"{ENTRY}ClassCode": (("18842-5^^2.16.840.1.113883.6.1", "11502-2^^2.16.840.1.113883.6.1"),),
        f"{ENTRY}EventCodeList": (
            ("INP^^1.2.392.200119.9.9.1", "OUT^^1.2.392.200119.9.9.1"),
            ("SURG^^1.2.392.200119.9.9.1",),
        ),
        f"{ENTRY}CreationTimeFrom": (("20250101",),),
        f"{ENTRY}CreationTimeTo": (("20260101",),),
        f"{ENTRY}AuthorPerson": (("%O'Hara%", "%青葉%"),),
        f"{ENTRY}Type": (("urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1",),),
        "$MetadataLevel": (("1",),),
    }
    assert parse(found.raw).tag == f"{{{QUERY}}}AdhocQueryRequest"


@pytest.mark.parametrize(
    "name", ["find-documents", "find-documents-all-parameters", "get-documents-object-refs", "get-all"]
)
def test_a_sample_is_read_and_written_and_read_again(name: str) -> None:
    found = stored_query.read_request(sample(f"ITI-18/{name}.xml"))
    assert found.findings == ()
    again = stored_query.read_request(sent(stored_query.write_request(found)))
    assert (again.query_id, again.parameters, again.leaf_class, again.home, again.findings) == (
        (found.query_id, found.parameters, found.leaf_class, found.home, ())
    )


def test_the_refused_samples_say_everything() -> None:
    found = stored_query.read_request(sample("ITI-18/refused-many-findings.xml"))
    assert [(each.reason, each.location) for each in found.findings] == [
        (Reason.REGISTRY_ERROR, f"{ENTRY}PatientId"),
        (Reason.QUERY_PARAMETER_MISSING, f"{ENTRY}Status"),
        (Reason.REGISTRY_ERROR, f"{ENTRY}ClassCode"),
        (Reason.REGISTRY_ERROR, f"{ENTRY}ClassCodeScheme"),
        (Reason.REGISTRY_ERROR, f"{ENTRY}CreationTimeFrom"),
    ]
    unknown = stored_query.read_request(sample("ITI-18/refused-unknown-query.xml"))
    assert codes_of(unknown) == ["XDSUnknownStoredQuery"]


@pytest.mark.parametrize(
    ("written", "values"),
    [
        (["('a^^s','b^^s')"], ("a^^s", "b^^s")),
        (["('a^^s')", "('b^^s')"], ("a^^s", "b^^s")),
        (["( 'a^^s' ,\n 'b^^s' )"], ("a^^s", "b^^s")),
        (["('a,b^^s')"], ("a,b^^s",)),
        (["('O''Hara^^s')"], ("O'Hara^^s",)),
        (["('(x)^^s')"], ("(x)^^s",)),
        (["'a^^s'"], ("a^^s",)),
    ],
)
def test_lists_of_values(written: list[str], values: tuple[str, ...]) -> None:
    found = query([*GOOD, (f"{ENTRY}ClassCode", written)])
    assert found.parameters[f"{ENTRY}ClassCode"] == (values,)
    assert found.findings == ()


@pytest.mark.parametrize(
    "written", ["'a^^s' OR 'b^^s'", "('a^^s',)", "('a^^s' 'b^^s')", "('a^^s", "'a^^s','b^^s'", "''a^^s'", "(a^^s)", "'"]
)
def test_what_is_no_list_is_one_value_and_a_finding(written: str) -> None:
    found = query([*GOOD, (f"{ENTRY}ClassCode", [written])])
    assert "XDSRegistryError" in codes_of(found)
    assert len(found.parameters[f"{ENTRY}ClassCode"][0]) == 1
    assert len(written) < 2 or all(written not in each.detail for each in found.findings)


@given(st.lists(objects.texts, min_size=1, max_size=30))
@settings(deadline=None, max_examples=100)
def test_any_text_comes_through(values: list[str]) -> None:
    name = f"{ENTRY}AuthorPerson"
    asked = StoredQuery(FIND, {name: (tuple(values),)})
    assert stored_query.read_request(sent(stored_query.write_request(asked))).parameters == asked.parameters


def test_long_lists_stay_within_the_schema() -> None:
    uuids = tuple(f"urn:uuid:0b9e3a52-6f0f-4c35-9d3c-{number:012d}" for number in range(100))
    body = stored_query.write_request(StoredQuery(GET, {f"{ENTRY}EntryUUID": (uuids,)}))
    values = [each.text for each in parse(b"".join(body.parts)).iter(f"{{{RIM}}}Value")]
    assert max(map(len, values)) <= 256
    assert len(values) < 25
    assert stored_query.read_request(sent(body)).parameters[f"{ENTRY}EntryUUID"] == (uuids,)


@pytest.mark.parametrize("name", QUERY_NAMED)
def test_every_query_says_what_is_missing(name: str) -> None:
    row = QUERY_NAMED[name]
    found = query([], row.query_id)
    locations = {each.location for each in found.findings}
    assert {*row.required, *row.one_of[:1], *row.at_least_one_of[:1]} == locations
    assert set(codes_of(found)) == {"XDSStoredQueryMissingParam"}


def test_the_table_knows_its_parameters() -> None:
    assert len(QUERIES) == 17
    for row in QUERIES.values():
        assert row.names <= PARAMETERS.keys()
        assert row.many <= row.names


# The public cases. id -> (slots, query id, return type, home)
CODE = (f"{ENTRY}ClassCode", ["('c^^s')"])
STATUS_ONLY: Slots = GOOD[1:]
UNIQUE_ID = (f"{ENTRY}UniqueId", ["('1.2.3')"])
UUID = (f"{ENTRY}EntryUUID", ["('urn:uuid:0b9e3a52-6f0f-4c35-9d3c-6a3f6f0e2a11')"])
MANY, MANY_FOLDERS = QUERY_NAMED["FindDocumentsForMultiplePatients"], QUERY_NAMED["FindFoldersForMultiplePatients"]
FOLDER_STATUS: Slots = [("$XDSFolderStatus", [f"('{APPROVED}')"])]

CASES: dict[str, StoredQuery] = {
    "good-FindDocuments": query(GOOD),
    "unknown-returnType": query(GOOD, return_type="lol"),
    "no-patientId": query(STATUS_ONLY),
    "two-patientIds": query([(f"{ENTRY}PatientId", [f"'{PATIENT}'", f"'{PATIENT}'"]), *STATUS_ONLY]),
    "unquoted-patientId": query([(f"{ENTRY}PatientId", [PATIENT]), *STATUS_ONLY]),
    "unquoted-list": query([*GOOD, (f"{ENTRY}ClassCode", ["lol"])]),
    "code-without-scheme": query([*GOOD, (f"{ENTRY}ClassCode", ["('code^^')"])]),
    "old-style-scheme-slot": query(
        [*GOOD, (f"{ENTRY}ClassCode", ["('c1'),('c2')"]), (f"{ENTRY}ClassCodeScheme", ["('s1')"])]
    ),
    "status-none": query([GOOD[0], (f"{ENTRY}Status", [])]),
    "status-only-unknown": query([GOOD[0], (f"{ENTRY}Status", ["('lol')", "('foo')"])]),
    "status-one-known": query([GOOD[0], (f"{ENTRY}Status", ["('bar')", "('Approved')"])]),
    "format-no-code": query([*GOOD, (f"{ENTRY}FormatCode", ["('^^gablorg')"])]),
    "format-empty": query([*GOOD, (f"{ENTRY}FormatCode", ["('')"])]),
    "uuid-and-uniqueId": query([UUID, UNIQUE_ID], GET),
    "neither-uuid-nor-uniqueId": query([], GET),
    "mpq-good": query([(f"{ENTRY}PatientId", [f"('{PATIENT}','2^^^&1.2&ISO')"]), *STATUS_ONLY], MANY.query_id),
    "mpq-no-patients": query([CODE, *STATUS_ONLY], MANY.query_id),
    "mpq-bad-patient": query([(f"{ENTRY}PatientId", ["('Invalid ISO Patient ID')"]), *STATUS_ONLY], MANY.query_id),
    "mpq-nothing": query(STATUS_ONLY, MANY.query_id),
    "folders-no-patient": query(FOLDER_STATUS, QUERY_NAMED["FindFolders"].query_id),
    "mpq-folders-codes-only": query([("$XDSFolderCodeList", ["('c^^s')"]), *FOLDER_STATUS], MANY_FOLDERS.query_id),
    "mpq-folders-nothing": query(FOLDER_STATUS, MANY_FOLDERS.query_id),
    "unknown-query": query(GOOD, "lol"),
    "home-no-prefix": query(GOOD, home="1.2.3"),
    "home-bad": query(GOOD, home="urn:oid:foo"),
    "xca-get-home": query([UUID], GET, home="urn:oid:1.2.3"),
    "xca-find-no-home": query(GOOD),
    "dup-slot": query([*GOOD, CODE, CODE]),
    "dup-slot-and": query([*GOOD, *[(f"{ENTRY}EventCodeList", ["('c^^s')"])] * 2]),
    "dup-uuid-slot": query([UUID, UUID], GET),
    "home-and-targetCommunityIdList": query(
        [*GOOD, ("$targetCommunityIdList", ["('urn:oid:1.2.3')"])], home="urn:oid:1.2.3"
    ),
}

# Said differently here, and why.
DIFFERENCES = {
    # Values nobody knows are ignored, and an error comes because the parameter is required (3.18.4.1.2.3.6).
    "status-only-unknown": "XDSStoredQueryMissingParam",
}

# Not judged by this codec: what the gateways add, and an option that the final text does not have.
NOT_YET = {"xca-get-no-home", "exclude-over-xca", "exclude-both"}
FROM_FILES = {"sql-injection", "timestamp-quoted", "list-with-newlines"}


@cache
def cases() -> dict[str, str]:
    listed = json.loads((CONFORMANCE / "cases" / "xds-query-negative.json").read_text(encoding="utf-8"))["cases"]
    return {each["id"]: each["expected"].split(" ")[0] for each in listed}


@needs_conformance
@pytest.mark.parametrize("case", CASES)
def test_public_cases(case: str) -> None:
    expected = DIFFERENCES.get(case, cases()[case])
    assert set(codes_of(CASES[case])) == (set() if expected == "OK" else {expected})


@needs_conformance
def test_no_public_case_is_forgotten() -> None:
    assert cases().keys() == CASES.keys() | NOT_YET | FROM_FILES


@needs_conformance
def test_public_messages() -> None:
    one = stored_query.read_request(message_of(parse((MESSAGES / "xds" / "iti18request.xml").read_bytes())))
    assert [len(values) for values in one.parameters[f"{ENTRY}PatientId"]] == [1]
    assert one.parameters[f"{ENTRY}CreationTimeFrom"] == (("20221015151515",),)
    assert one.parameters[f"{ENTRY}CreationTimeTo"] == (("20221016161616",),)
    assert {each.location for each in one.findings} == {f"{ENTRY}PatientId"}
    assert set(codes_of(one)) == {"XDSRegistryError"}
    two = multi_patient_query.read_request(message_of(parse((MESSAGES / "xds" / "iti51request.xml").read_bytes())))
    assert two.parameters[f"{ENTRY}PatientId"] == (("1^^^&1.2.3.4&ISO", "2^^^&1.2.3.4&ISO"),)
    assert two.findings == ()


def test_several_patients() -> None:
    found = multi_patient_query.read_request(sample("ITI-51/find-documents.xml"))
    assert found.findings == ()
    assert found.query_id == MANY.query_id
    assert found.parameters[f"{ENTRY}PatientId"] == ((PATIENT, "P3D8N2WC^^^&1.2.392.200119.9.1&ISO"),)
    again = multi_patient_query.read_request(sent(multi_patient_query.write_request(found)))
    assert (again.query_id, again.parameters) == (found.query_id, found.parameters)


@pytest.mark.parametrize("row", QUERIES.values(), ids=lambda row: row.name)
def test_a_query_is_asked_by_its_own_transaction(row: Query) -> None:
    """ITI-18 asks for one patient, ITI-51 for several; each says where the other kind is asked."""
    request = stored_query.write_request(StoredQuery(row.query_id, {}))
    for codec, own in ((stored_query, not row.multi_patient), (multi_patient_query, row.multi_patient)):
        findings = codec.read_request(sent(request)).findings
        assert (Reason.UNKNOWN_QUERY in {each.reason for each in findings}) is not own


def test_a_query_of_one_patient_is_refused_by_iti_51() -> None:
    found = multi_patient_query.read_request(sample("ITI-51/refused-one-patient-query.xml"))
    assert codes_of(found) == ["XDSUnknownStoredQuery", "XDSStoredQueryParamNumber"]
    assert "ITI-18" in found.findings[0].detail


FRAGMENTS = tuple(map(write_fragment, (objects.SUBMISSION_SET, objects.DOCUMENT_ENTRY, objects.FOLDER)))
ERROR = Finding(Reason.NOT_ONE_PATIENT, 'Several patients, "<&>"; ask for one.', "place")
WARNING = Finding(Reason.EXTRA_METADATA_NOT_SAVED, "not kept", "")


@pytest.mark.parametrize(
    ("result", "status"),
    [
        (QueryResult(), SUCCESS),
        (QueryResult(FRAGMENTS), SUCCESS),
        (QueryResult(object_refs=("urn:uuid:1", "urn:uuid:2")), SUCCESS),
        (QueryResult(FRAGMENTS, findings=(WARNING,)), SUCCESS),
        (QueryResult(FRAGMENTS, findings=(ERROR, WARNING)), PARTIAL_SUCCESS),
    ],
)
def test_an_answer_is_written_and_read(result: QueryResult, status: str) -> None:
    body = stored_query.write_response(sample("ITI-18/find-documents.xml"), result)
    assert sent(body).body.get("status") == status
    assert stored_query.read_response(sent(body)) == result


def test_home_stands_on_every_object() -> None:
    result = QueryResult(FRAGMENTS, ("urn:uuid:1",), home="urn:oid:1.2.3")
    body = stored_query.write_response(sample("ITI-18/find-documents.xml"), result)
    read = stored_query.read_response(sent(body))
    assert {read_fragment(each).home_community_id for each in read.fragments} == {"urn:oid:1.2.3"}
    assert b'<rim:ObjectRef id="urn:uuid:1" home="urn:oid:1.2.3"/>' in b"".join(body.parts)


def test_an_error_is_written_and_raised_at_the_client() -> None:
    error = ExchangeError.of((ERROR, Finding(Reason.REQUIRED_MISSING, "missing", "x")))
    body = stored_query.write_error(sample("ITI-18/find-documents.xml"), error)
    root = sent(body).body
    assert root.get("status") == FAILURE
    assert [each.get("errorCode") for each in root.iter("{*}RegistryError")] == [
        "XDSResultNotSinglePatient",
        "XDSRegistryError",
    ]
    with pytest.raises(ExchangeError) as raised:
        stored_query.read_response(sent(body))
    assert raised.value.findings[0] == ERROR


@pytest.mark.parametrize("body", [b"<x/>", f'<q:AdhocQueryRequest xmlns:q="{QUERY}"/>'.encode()])
def test_another_body_is_refused(body: bytes) -> None:
    with pytest.raises(ExchangeError) as raised:
        stored_query.read_request(message_of(parse(body)))
    assert raised.value.reason is Reason.UNREADABLE


@needs_conformance
def test_everything_written_is_valid() -> None:
    request = sample("ITI-18/find-documents-all-parameters.xml")
    assert violations(request.body) == []
    assert violations(stored_query.write_request(stored_query.read_request(request))) == []
    for result in (QueryResult(FRAGMENTS, ("urn:uuid:1",), "urn:oid:1.2.3", (ERROR, WARNING)), QueryResult()):
        assert violations(stored_query.write_response(request, result)) == []
    assert violations(stored_query.write_error(request, ExchangeError.of((ERROR,)))) == []


@pytest.mark.parametrize(("level", "fine"), [("1", True), ("2", True), ("3", False), ("two", False)])
def test_the_metadata_level_is_one_or_two(level: str, fine: bool) -> None:
    asked = StoredQuery(QUERY_NAMED["GetDocuments"].query_id, {f"{ENTRY}LogicalID": (("urn:uuid:1",),)})
    asked = replace(asked, parameters={**asked.parameters, "$MetadataLevel": ((level,),)})
    found = stored_query.read_request(sent(stored_query.write_request(asked)))
    assert (not found.findings) is fine
    assert all(each.location == "$MetadataLevel" for each in found.findings)
