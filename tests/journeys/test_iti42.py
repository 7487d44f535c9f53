"""ITI-42 from bytes to bytes: a hospital with its own repository registers what it holds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from apps.network.queries import facility
from apps.xds import models
from hie.values.documents import RPLC, RegistryResult, Submission
from hie.values.errors import ExchangeError
from hie.values.identifiers import new_uuid_urn
from hie.wire.ebxml import register
from tests.apps.xds.samples import entry, relation, submission
from tests.journeys.soap_region import CLINIC, HOSPITAL, Region, records

ACTION = "urn:ihe:iti:2007:RegisterDocumentSet-b"


def metadata(region: Region, *, replaces: str = "", regional_id: str = "") -> Submission:
    hospital = facility(HOSPITAL)
    assert hospital is not None
    patient = regional_id or region.regional_id
    each = entry(
        patient,
        entry_uuid=new_uuid_urn(),
        repository_unique_id=hospital.repository_oid,
        source_patient_id=region.charts[HOSPITAL].xds_cx,
    )
    relations = (relation(RPLC, each.entry_uuid, replaces),) if replaces else ()
    return submission(patient, each, associations=relations)


def call(region: Region, each: Submission, node: str = "hospital") -> RegistryResult:
    return register.read_response(region.client(node, "registry").call(ACTION, register.write_request(each)))


def test_metadata_are_registered_and_replaced(region: Region) -> None:
    first = metadata(region)
    assert call(region, first) == RegistryResult()
    assert call(region, metadata(region, replaces=first.document_entries[0].entry_uuid)) == RegistryResult()
    assert sorted(models.DocumentEntry.objects.values_list("status", flat=True)) == [0, 1]
    assert [(each.event_id, each.action, each.outcome) for each in records("ITI-42")] == [("110107", "C", 0)] * 2


def test_another_facility_does_not_speak_of_the_hospitals_patients(region: Region) -> None:
    with pytest.raises(ExchangeError) as refusal:
        call(region, metadata(region), "clinic")
    assert "another facility" in refusal.value.detail
    assert [each.facility_code for each in records("ITI-42")] == [CLINIC]
    assert not models.DocumentEntry.objects.exists()


def test_every_error_is_told_at_once(region: Region) -> None:
    each = metadata(region, replaces=new_uuid_urn(), regional_id="nobody")
    each = replace(each, document_entries=(replace(each.document_entries[0], hash="not hexadecimal"),))
    with pytest.raises(ExchangeError) as refusal:
        call(region, each)
    codes = {each.reason.value.registry for each in refusal.value.findings}
    assert {"XDSUnknownPatientId", "UnresolvedReferenceException", "XDSRegistryMetadataError"} <= codes
    assert len(refusal.value.findings) >= 3
    assert [each.outcome for each in records("ITI-42")] == [refusal.value.reason.value.outcome]


def test_a_system_that_may_only_find(region: Region) -> None:
    with pytest.raises(ExchangeError) as refusal:
        call(region, metadata(region), "reader")
    assert "not entitled" in refusal.value.detail
    assert [each.outcome for each in records("ITI-42")] == [8]


def test_a_broken_body(region: Region) -> None:
    answer = region.client("hospital", "registry").call(ACTION, b"<nothing xmlns='urn:x'/>")
    with pytest.raises(ExchangeError):
        register.read_response(answer)
    assert [each.outcome for each in records("ITI-42")] == [8]
