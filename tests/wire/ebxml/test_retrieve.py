"""ITI-43: documents as attachments, and an error for each that is not there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hie.values.documents import DocumentRequest, RetrievedDocument, RetrieveRequest, RetrieveResult
from hie.values.errors import ExchangeError, Finding, Reason
from hie.wire.ebxml import retrieve
from hie.wire.ebxml.names import FAILURE, PARTIAL_SUCCESS, RS, SUCCESS
from hie.wire.soap.spool import Spool
from hie.wire.xml import parse
from tests.conformance import needs_conformance
from tests.wire.ebxml.messages import message_of, sample, sent, violations

REPOSITORY = "1.2.392.200119.9.6.1"
REQUEST = RetrieveRequest(
    (
        DocumentRequest(REPOSITORY, "1.2.392.200119.9.7.20250401.1"),
        DocumentRequest(REPOSITORY, "1.2.392.200119.9.7.20250401.2", "urn:oid:1.2.392.200119.9.7"),
    )
)
MISSING = Finding(Reason.DOCUMENT_NOT_AVAILABLE, "The document is not available.", "1.2.3")


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(tmp_path / "spool")
    yield spool
    spool.discard()


@pytest.fixture
def documents(tmp_path: Path) -> tuple[RetrievedDocument, ...]:
    files = []
    for number, request in enumerate(REQUEST.documents):
        path = tmp_path / str(number)
        path.write_bytes(b"document %d" % number)
        files.append(RetrievedDocument(request, "text/plain", path, 10))
    return tuple(files)


def test_a_sample_is_read_and_written_and_read_again() -> None:
    found = retrieve.read_request(sample("ITI-43/two-documents.xml"))
    assert found == REQUEST
    assert retrieve.read_request(sent(retrieve.write_request(found))) == REQUEST


def test_the_refused_sample_says_everything() -> None:
    message = sample("ITI-43/refused-without-ids.xml")
    with pytest.raises(ExchangeError) as raised:
        retrieve.read_request(message)
    assert [each.location for each in raised.value.findings] == [
        "DocumentRequest[1]/DocumentUniqueId",
        "DocumentRequest[2]/RepositoryUniqueId",
    ]
    answer = sent(retrieve.write_error(message, raised.value)).body
    assert [each.get("errorCode") for each in answer.iter("{*}RegistryError")] == ["XDSRepositoryError"] * 2


@pytest.mark.parametrize("body", [b"<x/>", b'<x:RetrieveDocumentSetRequest xmlns:x="urn:ihe:iti:xds-b:2007"/>'])
def test_another_body_is_refused(body: bytes) -> None:
    with pytest.raises(ExchangeError) as raised:
        retrieve.read_request(message_of(parse(body)))
    assert raised.value.reason is Reason.UNREADABLE


@pytest.mark.parametrize(
    ("count", "findings", "status"),
    [(2, (), SUCCESS), (1, (MISSING,), PARTIAL_SUCCESS), (0, (MISSING,), FAILURE)],
)
def test_the_status(
    documents: tuple[RetrievedDocument, ...], count: int, findings: tuple[Finding, ...], status: str
) -> None:
    body = retrieve.write_response(message_of(parse(b"<x/>")), RetrieveResult(documents[:count], findings))
    assert parse(b"".join(body.parts)).find(f"{{{RS}}}RegistryResponse").get("status") == status
    assert len(body.attachments) == count


def test_what_is_written_is_read(documents: tuple[RetrievedDocument, ...], spool: Spool) -> None:
    body = retrieve.write_response(message_of(parse(b"<x/>")), RetrieveResult(documents, (MISSING,)))
    read = retrieve.read_response(sent(body, spool))
    assert read.findings == (MISSING,)
    assert [(each.request, each.mime_type, each.size) for each in read.documents] == [
        (each.request, each.mime_type, each.size) for each in documents
    ]
    assert [each.path.read_bytes() for each in read.documents] == [b"document 0", b"document 1"]


def test_a_failure_is_raised_at_the_client() -> None:
    body = retrieve.write_response(message_of(parse(b"<x/>")), RetrieveResult(findings=(MISSING,)))
    with pytest.raises(ExchangeError) as raised:
        retrieve.read_response(sent(body))
    assert raised.value.findings == (MISSING,)


@needs_conformance
def test_everything_written_is_valid(documents: tuple[RetrievedDocument, ...]) -> None:
    message = sample("ITI-43/two-documents.xml")
    assert violations(message.body) == []
    assert violations(retrieve.write_request(REQUEST)) == []
    for result in (
        RetrieveResult(documents, (MISSING,)),
        RetrieveResult(findings=(MISSING,)),
        RetrieveResult(documents),
    ):
        assert violations(retrieve.write_response(message, result)) == []
    assert violations(retrieve.write_error(message, ExchangeError.of((MISSING,)))) == []
