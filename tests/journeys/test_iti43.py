"""ITI-43 from bytes to bytes: documents that may be read, and those that may not or are not there."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from apps.xds.services import submit
from hie.transport.soap_client import FaultError
from hie.values.documents import DocumentRequest, RetrieveRequest, RetrieveResult
from hie.values.errors import ExchangeError, Reason
from hie.wire.ebxml import retrieve
from tests.journeys.soap_region import CLINIC, HOSPITAL, Region, records

ACTION = "urn:ihe:iti:2007:RetrieveDocumentSet"


@pytest.fixture
def repository(settings: Any) -> str:
    return str(settings.REPOSITORY_OID)


def submitted(region: Region, unique_id: str, data: bytes = b"abc", **changes: Any) -> None:
    submit(region.document(data, unique_id=unique_id, **changes), facility_code=HOSPITAL)


def ask(region: Region, *documents: tuple[str, str], node: str = "clinic") -> RetrieveResult:
    request = RetrieveRequest(tuple(DocumentRequest(*each) for each in documents))
    answer = region.client(node, "repository").call(ACTION, retrieve.write_request(request), mtom=True)
    assert answer.mtom
    return retrieve.read_response(answer)


@pytest.mark.parametrize("size", [0, 2048, 9 * 1024 * 1024])
def test_a_document_comes_as_it_was_submitted(region: Region, repository: str, size: int) -> None:
    data = hashlib.shake_128(b"seed").digest(size)
    submitted(region, "1.2.3", data)
    region.consent()
    (document,) = ask(region, (repository, "1.2.3")).documents
    assert document.path.read_bytes() == data
    (record,) = records("ITI-43")
    assert (record.event_id, record.action, record.outcome) == ("110106", "R", 0)
    assert (record.patient_regional_id, record.facility_code) == (region.regional_id, CLINIC)
    assert b"Repository Unique ID" in bytes(record.message)


def test_some_of_the_documents_leave_two_records(region: Region, repository: str) -> None:
    submitted(region, "1.2.3")
    region.consent()
    result = ask(region, (repository, "1.2.3"), (repository, "9.9.9"), ("9.9", "1.2.3"))
    assert [each.request.document_unique_id for each in result.documents] == ["1.2.3"]
    assert {each.reason for each in result.findings} == {Reason.DOCUMENT_NOT_AVAILABLE, Reason.UNKNOWN_REPOSITORY}
    outcomes = {each.outcome: bytes(each.message) for each in records("ITI-43")}
    assert b"1.2.3" in outcomes[0]
    assert b"9.9.9" not in outcomes[0]
    assert b"9.9.9" in outcomes[4]


def test_without_consent_the_document_is_unknown(region: Region, repository: str) -> None:
    submitted(region, "1.2.3")
    answers = []
    for unique_id in ("1.2.3", "9.9.9"):
        with pytest.raises(ExchangeError) as refusal:
            ask(region, (repository, unique_id))
        answers.append((refusal.value.reason, refusal.value.detail.replace(unique_id, "")))
    assert answers[0] == answers[1]
    assert answers[0][0] is Reason.DOCUMENT_NOT_AVAILABLE
    assert [each.outcome for each in records("ITI-43")] == [4, 4]
    assert [each.patient_regional_id for each in records("ITI-43")] == [region.regional_id, ""]


def test_content_that_was_altered_never_leaves(region: Region, repository: str, tmp_path: Path) -> None:
    submitted(region, "1.2.3")
    region.consent()
    (blob,) = (path for path in (tmp_path / "documents" / "sha256").rglob("*") if path.is_file())
    blob.write_bytes(b"abd")
    with pytest.raises(ExchangeError) as refusal:
        ask(region, (repository, "1.2.3"))
    assert refusal.value.reason is Reason.REPOSITORY_ERROR


def test_a_system_that_was_switched_off(region: Region, repository: str) -> None:
    with pytest.raises(FaultError):
        ask(region, (repository, "1.2.3"), node="stranger")
    assert [each.outcome for each in records("ITI-43")] == [8]


def test_a_broken_body(region: Region) -> None:
    answer = region.client("clinic", "repository").call(ACTION, b"<nothing xmlns='urn:x'/>", mtom=True)
    with pytest.raises(ExchangeError):
        retrieve.read_response(answer)
    assert [each.outcome for each in records("ITI-43")] == [8]
