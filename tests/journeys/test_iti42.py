"""ITI-42 from bytes to bytes: a hospital with its own repository registers what it holds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from apps.network.queries import facility
from apps.xds import models
from hie.values.documents import RPLC, Association, DocumentEntry, RegistryResult, Submission, SubmissionSet
from hie.values.errors import ExchangeError, Reason
from hie.values.identifiers import is_uuid_urn, new_uuid_urn
from hie.wire.ebxml import register, stored_query
from hie.wire.ebxml.fragments import read_fragment
from tests.apps.xds.samples import entry, get_all, member, relation, submission
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


def test_a_submission_sent_again_is_answered_alike_and_doubles_nothing(region: Region) -> None:
    each = metadata(region)
    tables = (models.DocumentEntry, models.SubmissionSet, models.Association)
    for _ in range(2):
        assert call(region, each) == RegistryResult()
        assert [table._default_manager.count() for table in tables] == [1, 1, 1]
    assert [record.outcome for record in records("ITI-42")] == [0, 0]


def test_the_same_unique_id_with_another_hash_is_refused(region: Region) -> None:
    first = metadata(region)
    call(region, first)
    (known,), second = first.document_entries, metadata(region)
    other = replace(second.document_entries[0], unique_id=known.unique_id, hash="0" * 40)
    with pytest.raises(ExchangeError) as refusal:
        call(region, replace(second, document_entries=(other,)))
    (finding,) = refusal.value.findings
    assert (finding.reason, finding.reason.value.registry) == (Reason.NON_IDENTICAL_HASH, "XDSNonIdenticalHash")
    assert list(models.DocumentEntry.objects.values_list("hash", flat=True)) == [known.hash]


def test_extra_slots_and_resolved_ids_come_back_in_the_query(region: Region) -> None:
    """Symbolic ids are UUIDs in the answer, and the same ones at both ends of an association."""
    each = metadata(region)
    slots = (("urn:example:ward", ("3東", "<4西>")),)
    sent = replace(each.document_entries[0], entry_uuid="document01", extra_slots=slots)
    associations = (member("set", "document01", "Original"),)
    call(region, replace(each, document_entries=(sent,), associations=associations))
    asked = stored_query.write_request(get_all(region.regional_id, leaf_class=True))
    answer = region.client("hospital", "registry").call("urn:ihe:iti:2007:RegistryStoredQuery", asked)
    found = [read_fragment(fragment) for fragment in stored_query.read_response(answer).fragments]
    (entry_found,) = (one for one in found if isinstance(one, DocumentEntry))
    (its_set,) = (one for one in found if isinstance(one, SubmissionSet))
    (membership,) = (one for one in found if isinstance(one, Association))
    assert entry_found.extra_slots == slots
    assert all(is_uuid_urn(one.entry_uuid) for one in found)
    assert (membership.source_object, membership.target_object) == (its_set.entry_uuid, entry_found.entry_uuid)
    resolved = {"entry_uuid": entry_found.entry_uuid, "logical_id": entry_found.entry_uuid}
    assert entry_found == replace(sent, **resolved)


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
