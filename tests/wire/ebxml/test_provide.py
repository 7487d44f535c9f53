"""ITI-41: documents attached or inline, and what happens where they do not fit their metadata."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest

from hie.values.documents import RegistryResult
from hie.values.errors import ExchangeError, Finding, Reason
from hie.wire.ebxml import provide
from hie.wire.ebxml.names import LCM, RIM, RS
from hie.wire.ebxml.registry_response import Answering
from hie.wire.ebxml.validation import validate
from hie.wire.soap.envelope import SoapMessage
from hie.wire.soap.spool import Spool
from hie.wire.xml import parse
from tests.conformance import needs_conformance
from tests.wire.ebxml.messages import MESSAGES, message_of, multipart_sample, sample, sent, violations

SHA1 = hashlib.sha1(b"test").hexdigest()


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(tmp_path)
    yield spool
    spool.discard()


def judged(message: SoapMessage) -> list[tuple[str, str]]:
    found = provide.read_request(message)
    findings = (*found.findings, *validate(found, provided=True))
    return [(Answering.PROVISION.code(each.reason), each.location) for each in findings]


def test_a_document_comes_inline_or_attached(spool: Spool) -> None:
    inline = provide.read_request(sample("ITI-41/inline.xml", spool))
    attached = provide.read_request(multipart_sample("ITI-41/attached.mime", spool))
    for each in (inline, attached):
        assert [*each.findings, *validate(each, provided=True)] == []
        assert each.contents.keys() == {"entry-1"}
        content = each.contents["entry-1"]
        assert (content.size, content.sha1, content.path.read_bytes()) == (4, SHA1, b"test")
    assert attached.contents["entry-1"].mime_type == "text/plain"
    assert replace(inline, contents={}) == replace(attached, contents={})


def test_what_a_client_writes_is_read(spool: Spool) -> None:
    found = provide.read_request(sample("ITI-41/inline.xml", spool))
    again = provide.read_request(sent(provide.write_request(found), spool))
    assert replace(again, contents={}) == replace(found, contents={})
    assert again.contents["entry-1"].sha1 == SHA1


def test_a_document_without_entry_and_an_entry_without_document(spool: Spool) -> None:
    assert judged(sample("ITI-41/refused-other-document.xml", spool)) == [
        ("XDSMissingDocument", "entry-1: Document"),
        ("XDSMissingDocumentMetadata", "entry-2: Document"),
    ]


def test_a_part_that_no_document_names(spool: Spool) -> None:
    message = multipart_sample("ITI-41/attached.mime", spool)
    file = spool.new_file(10)
    file.write(b"stray")
    more = replace(message, attachments={**message.attachments, "stray@x": file.finish()})
    assert judged(more) == [("XDSMissingDocumentMetadata", "cid:stray@x")]


def test_the_same_document_twice(spool: Spool) -> None:
    message = sample("ITI-41/inline.xml", spool)
    message.body.append(parse(b'<x:Document xmlns:x="urn:ihe:iti:xds-b:2007" id="entry-1">dGVzdA==</x:Document>'))
    assert judged(message) == [("XDSMissingDocumentMetadata", "entry-1: Document")]


def test_a_wrong_target_community(spool: Spool) -> None:
    message = sample("ITI-41/inline.xml", spool)
    slots = (
        f'<rs:RequestSlotList xmlns:rs="{RS}" xmlns:rim="{RIM}"><rim:Slot name="homeCommunityId"><rim:ValueList>'
        "<rim:Value>urn:oid:1.2.3.foobar</rim:Value></rim:ValueList></rim:Slot></rs:RequestSlotList>"
    )
    message.body.find(f"{{{LCM}}}SubmitObjectsRequest").insert(0, parse(slots.encode()))
    assert judged(message) == [("XDSRepositoryMetadataError", "RequestSlotList: homeCommunityId")]


def _wrapper(message: SoapMessage, change: str) -> None:
    """Build the wrapper otherwise than XDS.b has it."""
    body, submission = message.body, message.body.find(f"{{{LCM}}}SubmitObjectsRequest")
    document = body.find("{urn:ihe:iti:xds-b:2007}Document")
    if change == "order":
        body.append(submission)
    elif change == "unknown":
        body.append(parse(b"<x:Extra xmlns:x='urn:ihe:iti:xds-b:2007'/>"))
    elif change == "twice":
        body.append(deepcopy(submission))
    elif change == "attribute":
        body.set("version", "2")
    else:
        document.set("mimeType", "text/plain")


@pytest.mark.parametrize(
    ("change", "place", "said"),
    [
        ("order", "SubmitObjectsRequest", "stands first"),
        ("unknown", "Extra", "has no Extra in it"),
        ("twice", "SubmitObjectsRequest", "stands first and once"),
        ("attribute", "ProvideAndRegisterDocumentSetRequest", "no attribute version"),
        ("document", "Document", "mimeType"),
    ],
)
def test_what_is_around_the_submission(spool: Spool, change: str, place: str, said: str) -> None:
    message = sample("ITI-41/inline.xml", spool)
    _wrapper(message, change)
    assert judged(message) == [("XDSRepositoryError", place)]
    assert said in provide.read_request(message).findings[0].detail
    if MESSAGES.is_dir():
        assert violations(message.body) != []


@pytest.mark.parametrize(
    "document", [b"not base64!", b'<x:Include xmlns:x="http://www.w3.org/2004/08/xop/include" href="cid:nowhere"/>']
)
def test_a_document_that_cannot_be_read(spool: Spool, document: bytes) -> None:
    message = sample("ITI-41/inline.xml", spool)
    written = b'<x:Document xmlns:x="urn:ihe:iti:xds-b:2007" id="entry-9">' + document + b"</x:Document>"
    message.body.append(parse(written))
    with pytest.raises(ExchangeError) as raised:
        provide.read_request(message)
    assert raised.value.reason is Reason.UNREADABLE


def test_another_body_is_refused() -> None:
    with pytest.raises(ExchangeError):
        provide.read_request(message_of(parse(b"<x/>")))


def test_errors_carry_the_names_of_a_repository(spool: Spool) -> None:
    reasons = (
        Reason.METADATA,
        Reason.DUPLICATE_ID_IN_MESSAGE,
        Reason.INTERNAL,
        Reason.BUSY,
        Reason.TOO_LARGE,
        Reason.UNKNOWN_PATIENT,
    )
    error = ExchangeError.of([Finding(each, "detail", "") for each in reasons])
    body = provide.write_error(sample("ITI-41/inline.xml", spool), error)
    assert [each.get("errorCode") for each in sent(body).body.iter("{*}RegistryError")] == [
        "XDSRepositoryMetadataError",
        "XDSRepositoryDuplicateUniqueIdInMessage",
        "XDSRepositoryError",
        "XDSRepositoryBusy",
        "XDSRepositoryOutOfResources",
        "XDSUnknownPatientId",
    ]
    with pytest.raises(ExchangeError) as raised:
        provide.read_response(sent(body))
    assert raised.value.findings[0].reason in (Reason.METADATA, Reason.REPOSITORY_METADATA)


def test_the_answer(spool: Spool) -> None:
    message = sample("ITI-41/inline.xml", spool)
    assert provide.read_response(sent(provide.write_response(message, RegistryResult()))) == RegistryResult()


@needs_conformance
def test_a_public_message(spool: Spool) -> None:
    root = parse((MESSAGES / "continua" / "ProvideAndRegisterDocumentSet.xml").read_bytes())
    request = next(root.iter("{urn:ihe:iti:xds-b:2007}ProvideAndRegisterDocumentSetRequest"))
    found = provide.read_request(message_of(request, spool))
    assert found.contents.keys() == {each.entry_uuid for each in found.document_entries}
    assert found.findings == ()


@needs_conformance
def test_everything_written_is_valid(spool: Spool) -> None:
    for message in (sample("ITI-41/inline.xml", spool), multipart_sample("ITI-41/attached.mime", spool)):
        assert violations(message.body) == []
        assert violations(provide.write_request(provide.read_request(message))) == []
