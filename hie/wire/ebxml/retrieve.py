"""The codec of ITI-43, Retrieve Document Set (ITI TF-2: 3.43), and of ITI-39. MTOM in both directions."""

from __future__ import annotations

from lxml import etree

from hie.values.documents import (
    DocumentRequest,
    RetrievedDocument,
    RetrieveRequest,
    RetrieveResult,
)
from hie.values.errors import ExchangeError, Finding, Reason
from hie.wire.ebxml.names import FAILURE, RS, XDSB
from hie.wire.ebxml.registry_response import (
    REGISTRY_RESPONSE,
    Answering,
    failure,
    read_response_findings,
    status_of,
    write_errors,
)
from hie.wire.ebxml.structure import findings_of
from hie.wire.soap.envelope import Attachment, SoapBody, SoapMessage
from hie.wire.soap.mtom import content_of, include, new_content_id
from hie.wire.xml import MAX_BYTES, escape


def _xdsb(name: str) -> str:
    return f"{{{XDSB}}}{name}"


# Field of ``DocumentRequest`` -> element, in the order of the schema; whether it has to be there.
_FIELDS = {
    "home_community_id": (_xdsb("HomeCommunityId"), False),
    "repository_unique_id": (_xdsb("RepositoryUniqueId"), True),
    "document_unique_id": (_xdsb("DocumentUniqueId"), True),
}

# Field of ``RetrievedDocument`` -> element, which the answer has of an on-demand document (ITI TF-2: 3.43.5).
_NEW_IDS = {"new_repository_unique_id": "NewRepositoryUniqueId", "new_document_unique_id": "NewDocumentUniqueId"}


def read_request(message: SoapMessage) -> RetrieveRequest:
    """The documents asked for. Raises ExchangeError with a finding for each request that lacks an id."""
    if message.body.tag != _xdsb("RetrieveDocumentSetRequest"):
        raise ExchangeError(Reason.UNREADABLE, "The body has to be xdsb:RetrieveDocumentSetRequest.")
    return RetrieveRequest(read_document_requests(message.body))


def write_response(message: SoapMessage, result: RetrieveResult) -> SoapBody:
    """What could be retrieved, as attachments, beside one RegistryError for each that could not.

    Success, PartialSuccess or Failure by whether there are errors and documents (ITI TF-3 table 4.2.4.2-3).
    """
    attachments = tuple(Attachment(new_content_id(), each.path, each.size, each.mime_type) for each in result.documents)
    status = status_of(result.findings, has_results=bool(result.documents))
    parts = [_head(status, result.findings)]
    for document, attachment in zip(result.documents, attachments, strict=True):
        parts.append(_write_document(document, attachment))
    return SoapBody((*parts, _TAIL), attachments)


def write_error(message: SoapMessage, error: ExchangeError) -> SoapBody:
    """Failure without documents, with one RegistryError for each finding, under the names of a repository."""
    return SoapBody((_head(FAILURE, error.findings), _TAIL))


def write_request(request: RetrieveRequest) -> SoapBody:
    """The request of a client."""
    inside = write_document_requests(request.documents)
    root = "xdsb:RetrieveDocumentSetRequest"
    return SoapBody((f'<{root} xmlns:xdsb="{XDSB}">{inside}</{root}>'.encode(),))


def read_response(message: SoapMessage) -> RetrieveResult:
    """The answer as a client reads it: the documents with the files they were spooled to, and what is missing.

    A Failure is raised as ExchangeError with its findings.
    """
    response = message.body.find(REGISTRY_RESPONSE)
    if message.body.tag != _xdsb("RetrieveDocumentSetResponse") or response is None:
        detail = "The answer has to be xdsb:RetrieveDocumentSetResponse with a rs:RegistryResponse."
        raise ExchangeError(Reason.UNREADABLE, detail)
    status, findings = read_response_findings(response)
    if status == FAILURE:
        raise failure(findings)
    documents = tuple(_read_document(each, message) for each in message.body.iterchildren(_xdsb("DocumentResponse")))
    return RetrieveResult(documents, findings)


def read_document_requests(request: etree._Element) -> tuple[DocumentRequest, ...]:
    """The DocumentRequests of ITI-43, ITI-39 and ITI-86, one at least.

    Raises ExchangeError with a finding for each that lacks an id, else for all that is built otherwise than the schema.
    """
    elements = list(request.iterchildren(_xdsb("DocumentRequest")))
    if not elements:
        raise ExchangeError(Reason.UNREADABLE, "The request has to have at least one xdsb:DocumentRequest.")
    findings: list[Finding] = []
    documents = tuple(_read_document_request(each, number, findings) for number, each in enumerate(elements, 1))
    if findings := findings or findings_of(request):
        raise ExchangeError.of(findings)
    return documents


def write_document_requests(documents: tuple[DocumentRequest, ...]) -> str:
    """The DocumentRequests with the prefix ``xdsb``."""
    return "".join(
        f"<xdsb:DocumentRequest>{_write_document_request(each)}</xdsb:DocumentRequest>" for each in documents
    )


_TAIL = b"</xdsb:RetrieveDocumentSetResponse>"


def _head(status: str, findings: tuple[Finding, ...]) -> bytes:
    errors = write_errors(findings, Answering.RETRIEVAL)
    return (
        f'<xdsb:RetrieveDocumentSetResponse xmlns:xdsb="{XDSB}" xmlns:rs="{RS}">'
        f'<rs:RegistryResponse status="{status}">{errors}</rs:RegistryResponse>'
    ).encode()


def _read_document_request(element: etree._Element, number: int, findings: list[Finding]) -> DocumentRequest:
    fields = {}
    for field, (tag, required) in _FIELDS.items():
        fields[field] = (element.findtext(tag) or "").strip()
        if required and not fields[field]:
            name = etree.QName(tag).localname
            detail = f"{name} is missing in DocumentRequest {number}; it has to say which document is asked for."
            findings.append(Finding(Reason.REPOSITORY_ERROR, detail, f"DocumentRequest[{number}]/{name}"))
    return DocumentRequest(**fields)


def _write_document_request(request: DocumentRequest) -> str:
    written = []
    for field, (tag, _required) in _FIELDS.items():
        if value := getattr(request, field):
            name = f"xdsb:{etree.QName(tag).localname}"
            written.append(f"<{name}>{escape(value)}</{name}>")
    return "".join(written)


def _write_document(document: RetrievedDocument, attachment: Attachment) -> bytes:
    new = "".join(
        f"<xdsb:{name}>{escape(value)}</xdsb:{name}>"
        for field, name in _NEW_IDS.items()
        if (value := getattr(document, field))
    )
    head = (
        f"<xdsb:DocumentResponse>{_write_document_request(document.request)}{new}"
        f"<xdsb:mimeType>{escape(document.mime_type)}</xdsb:mimeType><xdsb:Document>"
    )
    return head.encode() + include(attachment.content_id) + b"</xdsb:Document></xdsb:DocumentResponse>"


def _read_document(element: etree._Element, message: SoapMessage) -> RetrievedDocument:
    document = element.find(_xdsb("Document"))
    findings: list[Finding] = []
    request = _read_document_request(element, 1, findings)
    if findings or document is None:
        raise ExchangeError(Reason.UNREADABLE, "A DocumentResponse lacks its ids or its Document.")
    content = content_of(document, message, MAX_BYTES)
    mime_type = (element.findtext(_xdsb("mimeType")) or "").strip()
    new = {field: (element.findtext(_xdsb(name)) or "").strip() for field, name in _NEW_IDS.items()}
    return RetrievedDocument(request, mime_type, content.path, content.size, **new)
