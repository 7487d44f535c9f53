"""The codec of ITI-41, Provide and Register Document Set-b (ITI TF-2: 3.41). MTOM in both directions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from lxml import etree

from hie.values.documents import Content, RegistryResult, Submission
from hie.values.errors import ExchangeError, Finding, Reason
from hie.wire.ebxml.names import XDSB
from hie.wire.ebxml.registry_response import (
    Answering,
    read_registry_response,
    with_patient_ids,
    write_registry_response,
)
from hie.wire.ebxml.submission import SUBMIT_OBJECTS_REQUEST, read_submission, write_submission
from hie.wire.soap.envelope import Attachment, SoapBody, SoapMessage
from hie.wire.soap.mtom import content_of, include, new_content_id
from hie.wire.xml import MAX_BYTES, escape

_REQUEST, _DOCUMENT = (f"{{{XDSB}}}{name}" for name in ("ProvideAndRegisterDocumentSetRequest", "Document"))

_OF_SCHEMAS = "{http://www.w3.org/"  # xsi:schemaLocation and what XML itself has: on any element


def read_request(message: SoapMessage) -> Submission:
    """The submission with its ``contents``: id of the Document element -> content, attached or inline.

    What is wrong stands in its ``findings`` and is the verb's to refuse. Raises ExchangeError where the body is no
    ProvideAndRegisterDocumentSetRequest, or a Document can not be read.
    """
    request = message.body.find(SUBMIT_OBJECTS_REQUEST) if message.body.tag == _REQUEST else None
    if request is None:
        detail = "The body has to be xdsb:ProvideAndRegisterDocumentSetRequest with a lcm:SubmitObjectsRequest."
        raise ExchangeError(Reason.UNREADABLE, detail)
    submission = read_submission(request)
    contents, findings = _read_documents(message)
    return replace(submission, contents=contents, findings=(*submission.findings, *_wrapped(message.body), *findings))


def write_response(message: SoapMessage, result: RegistryResult) -> SoapBody:
    """Success, with the warnings of the registration (ITI TF-3: 4.2.4.2)."""
    return SoapBody((write_registry_response(result.warnings, Answering.PROVISION),))


def write_error(message: SoapMessage, error: ExchangeError) -> SoapBody:
    """Failure, with one RegistryError for each finding, under the names of a repository. Nothing was stored."""
    findings = with_patient_ids(error.findings, message.body)
    return SoapBody((write_registry_response(findings, Answering.PROVISION),))


def write_request(submission: Submission) -> SoapBody:
    """The request of a client: the metadata, and each of ``contents`` as an attachment."""
    attachments = {
        object_id: Attachment(new_content_id(), each.path, each.size, each.mime_type or "application/octet-stream")
        for object_id, each in submission.contents.items()
    }
    documents = b"".join(
        b'<xdsb:Document id="%s">%s</xdsb:Document>' % (escape(object_id).encode(), include(each.content_id))
        for object_id, each in attachments.items()
    )
    root = f'<xdsb:ProvideAndRegisterDocumentSetRequest xmlns:xdsb="{XDSB}">'.encode()
    end = b"</xdsb:ProvideAndRegisterDocumentSetRequest>"
    return SoapBody((root, write_submission(submission), documents, end), tuple(attachments.values()))


def read_response(message: SoapMessage) -> RegistryResult:
    """The answer as a client reads it. A Failure is raised as ExchangeError with its findings."""
    return read_registry_response(message.body)


def _wrapped(body: etree._Element) -> Iterator[Finding]:
    """What is around the submission otherwise than XDS.b has it: one lcm:SubmitObjectsRequest, then its Documents.

    The schema of the wrapper is these few lines; what is in the submission is judged by ``structure``.
    """
    name = etree.QName(body).localname
    for attribute in (each for each in body.attrib if not str(each).startswith(_OF_SCHEMAS)):
        yield Finding(Reason.REPOSITORY_ERROR, f"{name} has no attribute {etree.QName(attribute).localname}.", name)
    for number, child in enumerate(body.iterchildren(etree.Element)):
        inside = etree.QName(child).localname
        if child.tag not in (SUBMIT_OBJECTS_REQUEST, _DOCUMENT):
            yield Finding(Reason.REPOSITORY_ERROR, f"{name} has no {inside} in it; take it out.", inside)
        elif number and child.tag == SUBMIT_OBJECTS_REQUEST:
            said = "stands first and once; its Documents follow it"
            yield Finding(Reason.REPOSITORY_ERROR, f"In {name} the {inside} {said}.", inside)
        elif child.tag == _DOCUMENT and (extra := _beside_id(child)):
            said = ", ".join(str(etree.QName(each).localname) for each in extra)
            yield Finding(Reason.REPOSITORY_ERROR, f"A Document has the attribute id and no other: {said}.", "Document")


def _beside_id(document: etree._Element) -> list[str]:
    return [each for each in map(str, document.attrib) if each != "id" and not each.startswith(_OF_SCHEMAS)]


def _read_documents(message: SoapMessage) -> tuple[dict[str, Content], list[Finding]]:
    contents: dict[str, Content] = {}
    findings = []
    for document in message.body.iterchildren(_DOCUMENT):
        object_id = (document.get("id") or "").strip()
        if not object_id or object_id in contents:
            findings.append(_unclear(document, object_id))
        contents[object_id] = content_of(document, message, MAX_BYTES)
    used = {content.path for content in contents.values()}
    for content_id, content in message.attachments.items():
        if content.path not in used:
            detail = f"The part {content_id[:128]} belongs to no Document of the message."
            findings.append(Finding(Reason.MISSING_DOCUMENT_METADATA, detail, f"cid:{content_id[:128]}"))
    return contents, findings


def _unclear(document: etree._Element, object_id: str) -> Finding:
    said = f"The Document {object_id} is there twice; each needs the id of its own DocumentEntry."
    detail = said if object_id else "A Document has no id; it has to have the id of its DocumentEntry."
    return Finding(Reason.MISSING_DOCUMENT_METADATA, detail, f"{object_id}: Document")
