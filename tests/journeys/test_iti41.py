"""ITI-41 from bytes to bytes: answered, refused, broken; one record of each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from apps.network.models import Node
from apps.network.queries import affinity_domain
from apps.xds import models
from hie.exchange.remembered import forget_all
from hie.transport.soap_client import FaultError
from hie.values.documents import DocumentEntry, RegistryResult, StoredQuery, Submission
from hie.values.errors import ExchangeError, Reason
from hie.values.identifiers import Identifier
from hie.wire.ebxml import provide, stored_query
from hie.wire.ebxml.fragments import read_fragment
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


def limited(region: Region) -> Submission:
    """A document of which its source knows little, and says so (ITI TF-3 table 4.3.1-3, XDR MS)."""
    little: dict[str, Any] = {
        "class_code": None, "type_code": None, "format_code": None, "confidentiality_codes": (), "creation_time": "",
        "healthcare_facility_type_code": None, "practice_setting_code": None, "language_code": "",
        "source_patient_id": "", "patient_id": "",
    }  # fmt: skip
    whole = region.document(b"abc", limited_metadata=True, **little)
    sets = tuple(
        replace(each, limited_metadata=True, content_type_code=None, authors=()) for each in whole.submission_sets
    )
    return replace(whole, submission_sets=sets)


def test_limited_metadata_is_taken_of_a_system_that_may_send_it(region: Region) -> None:
    each = limited(region)
    client = region.client("hospital", "repository")
    with pytest.raises(ExchangeError) as refusal:
        provide.read_response(client.call(ACTION, provide.write_request(each), mtom=True))
    assert [finding.location.rpartition(": ")[2] for finding in refusal.value.findings] == ["limitedMetadata"] * 2
    assert not models.DocumentEntry.objects.exists()
    Node.objects.filter(name="hospital").update(limited_metadata=True)
    forget_all()
    assert provide.read_response(client.call(ACTION, provide.write_request(each), mtom=True)) == RegistryResult()
    (found,) = documents_found(region)
    assert found.limited_metadata
    assert (found.class_code, found.creation_time, found.size) == (None, "", 3)
    assert Identifier.from_cx(found.patient_id).value == region.regional_id


def test_who_may_send_limited_metadata_has_to_say_so(region: Region) -> None:
    Node.objects.filter(name="hospital").update(limited_metadata=True)
    each = limited(region)
    unsaid = replace(each, document_entries=tuple(replace(e, limited_metadata=False) for e in each.document_entries))
    client = region.client("hospital", "repository")
    with pytest.raises(ExchangeError) as refusal:
        provide.read_response(client.call(ACTION, provide.write_request(unsaid), mtom=True))
    assert {"classCode", "creationTime"} <= {f.location.rpartition(": ")[2] for f in refusal.value.findings}


def documents_found(region: Region) -> list[DocumentEntry]:
    """What the hospital's ITI-18 answers of its patient."""
    patient = Identifier(region.regional_id, affinity_domain()).xds_cx
    approved = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"
    asked = {"$XDSDocumentEntryPatientId": ((patient,),), "$XDSDocumentEntryStatus": ((approved,),)}
    query = stored_query.write_request(StoredQuery("urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d", asked))
    answer = region.client("hospital", "registry").call("urn:ihe:iti:2007:RegistryStoredQuery", query)
    found = [read_fragment(each) for each in stored_query.read_response(answer).fragments]
    return [each for each in found if isinstance(each, DocumentEntry)]


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
