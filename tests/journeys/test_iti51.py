"""ITI-51 from bytes to bytes: several patients, and all of whom there is something."""

from __future__ import annotations

from typing import Any

import pytest

from apps.xds import models
from apps.xds.services import submit
from hie.values.codes import Code
from hie.values.documents import APPROVED, QueryResult, StoredQuery
from hie.values.errors import ExchangeError, Reason
from hie.wire.ebxml import multi_patient_query
from hie.wire.ebxml.queries import QUERY_NAMED
from tests.apps.xds.samples import cx, find, query
from tests.journeys.soap_region import HOSPITAL, Region, records

ACTION = "urn:ihe:iti:2009:MultiPatientStoredQuery"


def ask(region: Region, each: StoredQuery, node: str = "clinic") -> QueryResult:
    answer = region.client(node, "registry").call(ACTION, multi_patient_query.write_request(each))
    return multi_patient_query.read_response(answer)


def find_many(**parameters: Any) -> StoredQuery:
    named = {f"XDSDocumentEntry{name}": value for name, value in ({"Status": APPROVED} | parameters).items()}
    return query(QUERY_NAMED["FindDocumentsForMultiplePatients"].query_id, leaf_class=False, **named)


def submitted(region: Region, **changes: Any) -> str:
    each = region.document(b"abc", **changes)
    submit(each, facility_code=HOSPITAL)
    return models.DocumentEntry.objects.get(unique_id=each.document_entries[0].unique_id).entry_uuid


def test_several_patients_one_record_for_each(region: Region) -> None:
    uuid = submitted(region)
    region.consent()
    found = ask(region, find_many(PatientId=[cx(region.regional_id), cx("NOBODY")]))
    assert found.object_refs == (uuid,)
    kept = records("ITI-51")
    assert [(each.event_id, each.action, each.outcome) for each in kept] == [("110112", "E", 0)] * 2
    assert {each.patient_regional_id for each in kept} == {region.regional_id, ""}


def test_all_patients_whom_the_caller_may_see(region: Region) -> None:
    uuid = submitted(region, class_code=Code("rare", "1.2.3"))
    asked = find_many(ClassCode=["rare^^1.2.3"])
    assert ask(region, asked) == QueryResult(), "without consent there is nothing"
    assert [each.patient_regional_id for each in records("ITI-51")] == [""], "and nobody was seen"
    region.consent()
    assert ask(region, asked).object_refs == (uuid,)
    assert [each.patient_regional_id for each in records("ITI-51")] == ["", region.regional_id]


def test_a_query_about_one_patient_belongs_elsewhere(region: Region) -> None:
    with pytest.raises(ExchangeError) as refusal:
        ask(region, find(region.regional_id))
    assert refusal.value.reason is Reason.UNKNOWN_QUERY
    assert [each.outcome for each in records("ITI-51")] == [8]
