"""ITI-41 from bytes to bytes: answered, refused, broken; one record of each."""

from __future__ import annotations

from dataclasses import replace

import pytest

from apps.xds import models
from hie.transport.soap_client import FaultError
from hie.values.documents import RegistryResult
from hie.values.errors import ExchangeError, Reason
from hie.wire.ebxml import provide
from tests.journeys.soap_region import HOSPITAL, Region, records

ACTION = "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b"


def test_a_document_is_kept_and_recorded(region: Region) -> None:
    each = region.document(b"abc")
    client = region.client("hospital", "repository")
    answer = client.call(ACTION, provide.write_request(each), mtom=True)
    assert provide.read_response(answer) == RegistryResult()
    assert answer.action == ACTION + "Response"
    row = models.DocumentEntry.objects.get()
    assert (row.patient_id, row.facility_code, row.size) == (region.regional_id, HOSPITAL, 3)
    (record,) = records("ITI-41")
    assert (record.event_id, record.action, record.outcome) == ("110107", "C", 0)
    assert record.patient_regional_id == region.regional_id
    assert each.submission_sets[0].unique_id.encode() in bytes(record.message)


def test_a_message_sent_again_is_answered_alike(region: Region) -> None:
    each = region.document(b"abc")
    client = region.client("hospital", "repository")
    for _ in range(2):
        assert provide.read_response(client.call(ACTION, provide.write_request(each), mtom=True)) == RegistryResult()
    assert models.DocumentEntry.objects.count() == 1
    assert [record.outcome for record in records("ITI-41")] == [0, 0]


def test_what_is_wrong_is_told_and_nothing_is_kept(region: Region) -> None:
    each = region.document(b"abc", hash="0" * 40, title="x" * 200)
    client = region.client("hospital", "repository")
    answer = client.call(ACTION, provide.write_request(each), mtom=True)
    with pytest.raises(ExchangeError) as refusal:
        provide.read_response(answer)
    assert len(refusal.value.findings) == 2
    assert not models.DocumentEntry.objects.exists()
    (record,) = records("ITI-41")
    assert record.outcome == 8
    assert record.patient_regional_id == region.regional_id


def test_a_document_left_out(region: Region) -> None:
    each = replace(region.document(b"abc"), contents={})
    answer = region.client("hospital", "repository").call(ACTION, provide.write_request(each), mtom=True)
    with pytest.raises(ExchangeError) as refusal:
        provide.read_response(answer)
    assert refusal.value.reason is Reason.MISSING_DOCUMENT


def test_a_system_that_was_switched_off(region: Region) -> None:
    client = region.client("stranger", "repository")
    with pytest.raises(FaultError):
        client.call(ACTION, provide.write_request(region.document(b"abc")), mtom=True)
    assert not models.DocumentEntry.objects.exists()
    assert [record.outcome for record in records("ITI-41")] == [8]


def test_a_broken_body(region: Region) -> None:
    client = region.client("hospital", "repository")
    answer = client.call(ACTION, b"<nothing xmlns='urn:x'/>", mtom=True)
    with pytest.raises(ExchangeError):
        provide.read_response(answer)
    assert [record.outcome for record in records("ITI-41")] == [8]
