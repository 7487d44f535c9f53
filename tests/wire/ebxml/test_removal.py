"""ITI-62 and ITI-86: what shall go, and what cannot."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hie.values.documents import DocumentRequest, RegistryResult, RemovalResult, RemoveDocuments, RemoveObjects
from hie.values.errors import ExchangeError, Finding, Reason
from hie.wire.ebxml import remove_documents, remove_metadata
from hie.wire.ebxml.names import FAILURE, LCM, PARTIAL_SUCCESS, RMD, SUCCESS, XDSB
from hie.wire.soap.envelope import SoapBody
from hie.wire.xml import parse
from tests.conformance import CONFORMANCE, needs_conformance
from tests.wire.ebxml import objects
from tests.wire.ebxml.messages import message_of, sample, sent, violations

ENTRY, OTHER = (f"urn:uuid:5b1f5a2e-3a1c-4b38-8f4f-0a5e2a9d7c0{n}" for n in (1, 2))
REPOSITORY = "1.2.392.200119.9.6.1"


def test_objects_are_named_once() -> None:
    assert remove_metadata.read_request(sample("ITI-62/remove.xml")) == RemoveObjects((ENTRY, OTHER))


def test_the_refused_sample_says_everything() -> None:
    found = remove_metadata.read_request(sample("ITI-62/refused-query.xml"))
    assert [(each.reason, each.location) for each in found.findings] == [
        (Reason.REGISTRY_ERROR, "AdhocQuery"),
        (Reason.REGISTRY_ERROR, "deletionScope"),
        (Reason.UNRESOLVED_REFERENCE, "entry-1: ObjectRef"),
    ]


@pytest.mark.parametrize("inside", ["", '<rim:ObjectRefList xmlns:rim="urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"/>'])
def test_nothing_named(inside: str) -> None:
    body = parse(f'<lcm:RemoveObjectsRequest xmlns:lcm="{LCM}">{inside}</lcm:RemoveObjectsRequest>'.encode())
    found = remove_metadata.read_request(message_of(body))
    assert [each.location for each in found.findings] == ["ObjectRefList"]
    codes = [each.reason.value.registry for each in found.findings]
    assert codes == ["XDSRegistryError"]


@needs_conformance
def test_the_public_case_of_nothing_named() -> None:
    listed = json.loads((CONFORMANCE / "cases" / "xds-submission-negative.json").read_text(encoding="utf-8"))["cases"]
    of_removal = [(each["id"], each["errorCode"]) for each in listed if each["id"].startswith("iti62-")]
    assert of_removal == [("iti62-empty", "XDSRegistryError")]


@given(st.lists(st.uuids().map("urn:uuid:{}".format), min_size=1, unique=True).map(tuple))
def test_any_removal_comes_through(object_ids: tuple[str, ...]) -> None:
    asked = RemoveObjects(object_ids)
    assert remove_metadata.read_request(sent(remove_metadata.write_request(asked))) == asked


def test_documents() -> None:
    found = remove_documents.read_request(sample("ITI-86/remove.xml"))
    assert found.documents == (
        DocumentRequest(REPOSITORY, "1.2.392.200119.9.5.20250401.1"),
        DocumentRequest(REPOSITORY, "1.2.392.200119.9.5.20250401.2", "urn:oid:1.2.392.200119.9.7"),
    )
    assert remove_documents.read_request(sent(remove_documents.write_request(found))) == found


requests = st.builds(DocumentRequest, objects.texts, objects.texts, st.just("") | objects.texts)


@given(st.lists(requests, min_size=1, max_size=4).map(tuple))
def test_any_removal_of_documents_comes_through(documents: tuple[DocumentRequest, ...]) -> None:
    asked = RemoveDocuments(documents)
    assert remove_documents.read_request(sent(remove_documents.write_request(asked))) == asked


@pytest.mark.parametrize(
    "body",
    [
        f'<r:RemoveDocumentsRequest xmlns:r="{RMD}"/>',
        f'<r:RemoveDocumentsRequest xmlns:r="{RMD}"><DocumentRequest xmlns="{XDSB}"/></r:RemoveDocumentsRequest>',
        "<other/>",
    ],
)
def test_what_names_no_document_is_refused(body: str) -> None:
    with pytest.raises(ExchangeError):
        remove_documents.read_request(message_of(parse(body.encode())))
    with pytest.raises(ExchangeError):
        remove_metadata.read_request(message_of(parse(body.encode())))


GONE = DocumentRequest(REPOSITORY, "1.2.3")
KEPT = Finding(Reason.DOCUMENT_NOT_REMOVED, "The document 1.2.4 is still in use.", "1.2.4")
UNKNOWN = Finding(Reason.DOCUMENT_NOT_AVAILABLE, "There is no document 1.2.5.", "1.2.5")


@pytest.mark.parametrize(
    ("result", "status"),
    [
        (RemovalResult((GONE,)), SUCCESS),
        (RemovalResult((GONE,), (KEPT, UNKNOWN)), PARTIAL_SUCCESS),
        (RemovalResult((), (KEPT,)), FAILURE),
    ],
)
def test_each_document_has_its_answer(result: RemovalResult, status: str) -> None:
    body = remove_documents.write_response(sample("ITI-86/remove.xml"), result)
    assert sent(body).body.get("status") == status
    if status == FAILURE:
        with pytest.raises(ExchangeError) as raised:
            remove_documents.read_response(sent(body))
        assert raised.value.findings == result.findings
    else:
        assert remove_documents.read_response(sent(body)) == RemovalResult(findings=result.findings)


def test_refusals_reach_the_client() -> None:
    error = ExchangeError.of(
        [
            Finding(Reason.REFERENCES_EXIST, "Name the association too.", ENTRY),
            Finding(Reason.UNREFERENCED_OBJECT, "Name the entry too.", OTHER),
        ]
    )
    message = sample("ITI-62/remove.xml")
    with pytest.raises(ExchangeError) as raised:
        remove_metadata.read_response(sent(remove_metadata.write_error(message, error)))
    assert raised.value.findings == error.findings
    answer = remove_metadata.write_response(message, RegistryResult())
    assert remove_metadata.read_response(sent(answer)) == RegistryResult()
    with pytest.raises(ExchangeError):
        remove_documents.read_response(message)


@needs_conformance
def test_everything_written_is_valid() -> None:
    message = sample("ITI-62/remove.xml")
    assert violations(message.body) == []
    assert violations(remove_metadata.write_request(RemoveObjects((ENTRY,)))) == []
    assert violations(remove_metadata.write_error(message, ExchangeError(Reason.REFERENCES_EXIST, "a", "b"))) == []
    result = RemovalResult((GONE,), (KEPT,))
    assert violations(remove_documents.write_response(sample("ITI-86/remove.xml"), result)) == []


@needs_conformance
def test_a_removal_of_documents_is_shaped_like_a_retrieval() -> None:
    """The schema of RMD gives it the type of ITI-43's request; no XSD of its namespace is public but that sentence."""
    written = remove_documents.write_request(RemoveDocuments((GONE,))).parts[0]
    renamed = written.replace(b"rmd:RemoveDocumentsRequest", b"xdsb:RetrieveDocumentSetRequest")
    assert violations(SoapBody((renamed,))) == []
