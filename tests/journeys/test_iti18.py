"""ITI-18 from bytes to bytes: what the clinic may find of what the hospital submitted."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from apps.xds import models
from apps.xds.services import submit
from apps.xds.stored_queries import FIND_DOCUMENTS, GET_DOCUMENTS
from hie.values.documents import APPROVED, DocumentEntry, QueryResult
from hie.values.errors import ExchangeError, Reason
from hie.wire.ebxml import stored_query
from hie.wire.ebxml.fragments import read_fragment
from tests.apps.xds.samples import cx, find, get_documents, query
from tests.journeys.soap_region import CLINIC, HOSPITAL, Region, records

ACTION = "urn:ihe:iti:2007:RegistryStoredQuery"


def ask(region: Region, each: Any, node: str = "clinic") -> QueryResult:
    answer = region.client(node, "registry").call(ACTION, stored_query.write_request(each))
    return stored_query.read_response(answer)


def submitted(region: Region, **changes: Any) -> models.DocumentEntry:
    each = region.document(b"abc", **changes)
    submit(each, facility_code=HOSPITAL)
    return models.DocumentEntry.objects.get(unique_id=each.document_entries[0].unique_id)


def test_with_consent_the_document_is_found(region: Region) -> None:
    row = submitted(region, title="検体検査結果")
    region.consent()
    (fragment,) = ask(region, find(region.regional_id, leaf_class=True)).fragments
    found = read_fragment(fragment)
    assert isinstance(found, DocumentEntry)
    assert (found.title, found.entry_uuid, found.hash) == ("検体検査結果", row.entry_uuid, row.hash)
    (record,) = records("ITI-18")
    assert (record.event_id, record.action, record.outcome) == ("110112", "E", 0)
    assert (record.patient_regional_id, record.facility_code) == (region.regional_id, CLINIC)
    assert FIND_DOCUMENTS.encode() in bytes(record.message)
    assert b64encode(b"UTF-8") in bytes(record.message)


def test_a_chart_number_names_the_patient_as_well(region: Region) -> None:
    row = submitted(region)
    region.consent()
    by_chart = query(
        FIND_DOCUMENTS,
        leaf_class=False,
        XDSDocumentEntryPatientId=region.charts[CLINIC].xds_cx,
        XDSDocumentEntryStatus=APPROVED,
    )
    assert ask(region, by_chart).object_refs == (row.entry_uuid,)


def test_without_consent_there_is_nothing(region: Region) -> None:
    row = submitted(region)
    assert ask(region, find(region.regional_id)) == QueryResult()
    assert ask(region, get_documents(EntryUUID=row.entry_uuid)) == QueryResult()
    assert ask(region, find(region.regional_id), "hospital").object_refs == (row.entry_uuid,), "its own record"
    assert [each.outcome for each in records("ITI-18")] == [0, 0, 0]


def test_a_denial_withholds_one_kind(region: Region) -> None:
    from hie.values.codes import Code

    submitted(region, class_code=Code("psychiatry", "1.2.3"))
    visible = submitted(region)
    region.consent()
    region.consent(permits=False, kinds=["psychiatry"])
    assert ask(region, find(region.regional_id)).object_refs == (visible.entry_uuid,)


def test_an_unknown_patient_is_an_empty_success(region: Region) -> None:
    assert ask(region, find("nobody")) == QueryResult()
    (record,) = records("ITI-18")
    assert (record.outcome, record.patient_identifier) == (0, cx("nobody"))


def test_a_wrong_query_is_told_everything_at_once(region: Region) -> None:
    each = query(GET_DOCUMENTS, XDSDocumentEntryEntryUUID="urn:uuid:x", XDSDocumentEntryUniqueId="1.2.3")
    with pytest.raises(ExchangeError) as refusal:
        ask(region, each)
    assert refusal.value.reason is Reason.QUERY_PARAMETER_NUMBER
    (record,) = records("ITI-18")
    assert record.outcome == 8


def test_a_query_that_is_unknown(region: Region) -> None:
    with pytest.raises(ExchangeError) as refusal:
        ask(region, query("urn:uuid:00000000-0000-0000-0000-000000000000"))
    assert refusal.value.reason is Reason.UNKNOWN_QUERY
    assert [each.outcome for each in records("ITI-18")] == [8]


def test_a_broken_body(region: Region) -> None:
    answer = region.client("clinic", "registry").call(ACTION, b"<nothing xmlns='urn:x'/>")
    with pytest.raises(ExchangeError):
        stored_query.read_response(answer)
    assert [each.outcome for each in records("ITI-18")] == [8]
