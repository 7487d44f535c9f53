"""The SOAP 1.2 envelope with WS-Addressing 1.0 (SOAP 1.2 part 1 section 5; SOAP binding; ITI TF-2 Appendix V).

Reading: the root is parsed by the hardened parser; the body has exactly one child, which is what a codec gets.
Writing: strings around bytes that the codec has serialised. Stored fragments are joined, never parsed again, so that an
answer of many kilobytes costs no more than copying it. A codec declares the namespaces of its body on its own root.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field

from lxml import etree

from hie.values.documents import Content, Readable
from hie.values.errors import ExchangeError, Reason
from hie.values.identifiers import new_uuid_urn
from hie.wire.soap.faults import SOAP, SOAP_1_1, WSA, WSSE, SoapFault, write_fault_1_1
from hie.wire.soap.spool import Spool
from hie.wire.xml import MAX_BYTES, escape, parse

SAML = "urn:oasis:names:tc:SAML:2.0:assertion"

ANONYMOUS = f"{WSA}/anonymous"
NO_REPLY = f"{WSA}/none"

_ENVELOPE, _HEADER, _BODY = f"{{{SOAP}}}Envelope", f"{{{SOAP}}}Header", f"{{{SOAP}}}Body"
_MUST_UNDERSTAND, _ROLE = f"{{{SOAP}}}mustUnderstand", f"{{{SOAP}}}role"
_SECURITY, _ASSERTION = f"{{{WSSE}}}Security", f"{{{SAML}}}Assertion"
_ADDRESSES = {f"{{{WSA}}}{name}": name for name in ("ReplyTo", "FaultTo", "From")}
_TEXTS = {f"{{{WSA}}}{name}": name for name in ("Action", "MessageID", "To", "RelatesTo")}
_REPLY_TO, _PARAMETERS = f"{{{WSA}}}ReplyTo", f"{{{WSA}}}ReferenceParameters"
_IS_PARAMETER = f"{{{WSA}}}IsReferenceParameter"
_NOT_PARAMETERS = frozenset((SOAP, SOAP_1_1, WSA, WSSE))
_MOST_PARAMETERS, _MOST_PARAMETER_BYTES = 16, 8192
_UNDERSTOOD = frozenset((*_ADDRESSES, *_TEXTS, _SECURITY))

# Roles that are ours (SOAP 1.2 part 1 section 2.2); a header for another node is not ours to judge.
_OUR_ROLES = frozenset(("", f"{SOAP}/role/next", f"{SOAP}/role/ultimateReceiver"))
_TRUE = frozenset(("1", "true"))
_ADDRESS = re.compile(r"\S{1,1000}")


@dataclass(frozen=True, slots=True)
class SoapMessage:
    """A SOAP message as read: what a codec's ``read_request`` gets, and what a client gets back as the answer.

    action, message_id, to, reply_to, relates_to: the WS-Addressing headers as text, "" where absent (reply_to and
    fault_to: the Address). reply_parameters: what the ReplyTo wants to find in the header of the answer. body: the one
    child of the SOAP body. assertion: the bytes of the saml:Assertion in wsse:Security, or b"". attachments: Content-ID
    without angle brackets -> the spooled content. mtom: it came as multipart/related. spool: owns the files of the
    message, those of content that stands inline as base64 too (a codec reads both with ``mtom.content_of``); they are
    removed when the message has been answered, so whoever wants to keep one
    moves or links it.
    """

    action: str
    message_id: str
    body: etree._Element
    to: str = ""
    reply_to: str = ""
    fault_to: str = ""
    relates_to: str = ""
    assertion: bytes = b""
    attachments: Mapping[str, Content] = field(default_factory=dict)
    mtom: bool = False
    spool: Spool | None = None
    reply_parameters: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file, or what opens like one, that leaves as an MTOM part.

    content_id has no angle brackets; the body names it by ``mtom.include``.
    """

    content_id: str
    path: Readable
    size: int
    mime_type: str = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class SoapBody:
    """What a codec's ``write_response`` and ``write_error`` return: the child of the SOAP body, serialised.

    parts: joined they are one element in UTF-8 without an XML declaration, whose root declares every namespace
    it uses. attachments: only of a transaction that is defined as MTOM; the body refers to each by ``mtom.include``.
    """

    parts: tuple[bytes, ...]
    attachments: tuple[Attachment, ...] = ()


def read_envelope(
    raw: bytes,
    max_bytes: int = MAX_BYTES,
    *,
    attachments: Mapping[str, Content] | None = None,
    spool: Spool | None = None,
) -> SoapMessage:
    """The message in an envelope. attachments: the other parts of a multipart message, None where it is not one.

    Raises SoapFault where SOAP or WS-Addressing are violated, ExchangeError where the bytes are no acceptable XML.
    """
    root = parse(raw, max_bytes)
    if root.tag != _ENVELOPE:
        raise _no_envelope(root)
    header, body = _children_of(root)
    fields, assertion, parameters = _read_header(header)
    return SoapMessage(
        action=fields.get("Action", ""),
        message_id=fields.get("MessageID", ""),
        body=_only_child(body),
        to=fields.get("To", ""),
        reply_to=fields.get("ReplyTo", ""),
        fault_to=fields.get("FaultTo", ""),
        relates_to=fields.get("RelatesTo", ""),
        assertion=assertion,
        attachments=attachments or {},
        mtom=attachments is not None,
        spool=spool,
        reply_parameters=parameters,
    )


def write_answer(
    action: str, relates_to: str, body: SoapBody, *, to: str = "", parameters: tuple[bytes, ...] = ()
) -> bytes:
    """The envelope of an answer: Action with mustUnderstand, and RelatesTo where the request had a MessageID.

    to, parameters: of an answer that is sent to a ReplyTo of its own: its Address and ``reply_parameters``.
    """
    addressed = f"<wsa:To>{escape(to)}</wsa:To>" if to else ""
    return _envelope(action, _answer_headers(relates_to) + addressed + _joined(parameters), body.parts)


def write_request(
    action: str,
    to: str,
    body: SoapBody,
    assertion: bytes = b"",
    *,
    reply_to: str = ANONYMOUS,
    parameters: tuple[bytes, ...] = (),
) -> tuple[bytes, str]:
    """The envelope of a request, and its MessageID.

    reply_to: where the answer shall go, "" for a message that has none; by default it comes on the same connection.
    parameters: what the endpoint's reference wants to find in the header (``read_parameters``).
    """
    message_id = new_uuid_urn()
    reply = f"<wsa:ReplyTo><wsa:Address>{escape(reply_to)}</wsa:Address></wsa:ReplyTo>" if reply_to else ""
    headers = f"<wsa:MessageID>{message_id}</wsa:MessageID><wsa:To>{escape(to)}</wsa:To>{reply}{_joined(parameters)}"
    return _envelope(action, headers, body.parts, _security(assertion)), message_id


def read_parameters(reference: etree._Element) -> tuple[bytes, ...]:
    """The wsa:ReferenceParameters of an endpoint reference, as whoever writes to it has to repeat them in the header.

    Each is serialised with its namespaces and marked as what it is (SOAP binding section 2.2). Raises SoapFault where
    they would speak as a header of SOAP, addressing or security, or are more than an address needs.
    """
    found = []
    for each in reference.iterfind(f"{_PARAMETERS}/*"):
        if etree.QName(each).namespace in _NOT_PARAMETERS:
            detail = "wsa:ReferenceParameters must not be headers of SOAP, WS-Addressing or WS-Security."
            raise invalid_header("ReplyTo", detail, "wsa:InvalidAddress")
        copy = deepcopy(each)
        copy.set(_IS_PARAMETER, "true")
        found.append(etree.tostring(copy, with_tail=False))
    if len(found) > _MOST_PARAMETERS or sum(map(len, found)) > _MOST_PARAMETER_BYTES:
        detail = f"wsa:ReferenceParameters have to be at most {_MOST_PARAMETERS}, of {_MOST_PARAMETER_BYTES} bytes."
        raise invalid_header("ReplyTo", detail, "wsa:InvalidAddress")
    return tuple(found)


def write_fault(fault: SoapFault, relates_to: str = "") -> bytes:
    """The envelope of a fault, in the SOAP version of the message it answers."""
    if fault.soap_1_1:
        return write_fault_1_1(fault)
    return _envelope(fault.action, _answer_headers(relates_to) + fault.headers().decode(), (fault.body(),))


def _answer_headers(relates_to: str) -> str:
    related = f"<wsa:RelatesTo>{escape(relates_to)}</wsa:RelatesTo>" if relates_to else ""
    return f"<wsa:MessageID>{new_uuid_urn()}</wsa:MessageID>{related}"


def _joined(parameters: tuple[bytes, ...]) -> str:
    return b"".join(parameters).decode("ascii")


def _no_envelope(root: etree._Element) -> SoapFault | ExchangeError:
    name = etree.QName(root)
    if name.localname == "Envelope":
        detail = f"The Envelope has to be SOAP 1.2, in the namespace {SOAP}."
        return SoapFault("VersionMismatch", detail, soap_1_1=name.namespace == SOAP_1_1)
    return ExchangeError(Reason.UNREADABLE, f"The root of the message has to be the Envelope of {SOAP}.")


def _children_of(root: etree._Element) -> tuple[etree._Element | None, etree._Element]:
    children = list(root)
    header = children.pop(0) if children and children[0].tag == _HEADER else None
    if len(children) != 1 or children[0].tag != _BODY:
        raise ExchangeError(Reason.UNREADABLE, "The Envelope has to have one Header and one Body, in this order.")
    return header, children[0]


def _read_header(header: etree._Element | None) -> tuple[dict[str, str], bytes, tuple[bytes, ...]]:
    fields: dict[str, str] = {}
    parameters: tuple[bytes, ...] = ()
    unknown: list[str] = []
    assertion = b""
    for block in header if header is not None else ():
        if block.get(_ROLE, "") not in _OUR_ROLES:
            continue
        tag = str(block.tag)
        if tag in _TEXTS:
            _read_field(fields, _TEXTS[tag], block, block.text)
        elif tag in _ADDRESSES:
            _read_field(fields, _ADDRESSES[tag], block, block.findtext(f"{{{WSA}}}Address"))
            if tag == _REPLY_TO and len(block) > 1:
                parameters = read_parameters(block)
        elif tag == _SECURITY:
            assertion = _only_assertion(block, assertion)
        elif block.get(_MUST_UNDERSTAND, "").strip() in _TRUE:
            unknown.append(tag)
    if unknown:
        detail = "A header with mustUnderstand is not understood here; NotUnderstood names it."
        raise SoapFault("MustUnderstand", detail, not_understood=tuple(unknown))
    return fields, assertion, parameters


def _read_field(fields: dict[str, str], name: str, block: etree._Element, text: str | None) -> None:
    """One WS-Addressing header. RelatesTo may be repeated with other relationship types: the reply's is kept."""
    value = (text or "").strip()
    if name == "RelatesTo":
        if block.get("RelationshipType", f"{WSA}/reply") == f"{WSA}/reply":
            fields.setdefault(name, value)
        return
    if name in fields:
        raise invalid_header(name, f"wsa:{name} is given twice.", "wsa:InvalidCardinality")
    if text is None and len(block):
        raise invalid_header(name, f"wsa:{name} has to have a wsa:Address.", "wsa:MissingAddressInEPR")
    if not _ADDRESS.fullmatch(value):
        raise invalid_header(name, f"wsa:{name} has to hold an absolute URI.", "wsa:InvalidAddress")
    fields[name] = value


def invalid_header(name: str, detail: str, subcode: str) -> SoapFault:
    """The fault for an addressing header that is there but cannot be taken (SOAP binding section 6.4.1)."""
    return SoapFault("Sender", detail, "wsa:InvalidAddressingHeader", subcode, problem_header=name)


def missing_header(name: str) -> SoapFault:
    """The fault for an addressing header that has to be there (SOAP binding section 6.4.2)."""
    detail = f"wsa:{name} is required."
    return SoapFault("Sender", detail, "wsa:MessageAddressingHeaderRequired", problem_header=name)


def _only_assertion(security: etree._Element, before: bytes) -> bytes:
    """The assertion, with the namespace declarations that it inherits; of two, it would be open which one counts."""
    found = list(security.iter(_ASSERTION))
    if len(found) > 1 or (found and before):
        detail = "wsse:Security has to hold exactly one saml:Assertion."
        raise SoapFault("Sender", detail, "wsse:InvalidSecurity", reason=Reason.SECURITY)
    return etree.tostring(found[0], with_tail=False) if found else before


def _only_child(body: etree._Element) -> etree._Element:
    if len(body) != 1:
        raise ExchangeError(Reason.UNREADABLE, f"The SOAP Body has to have exactly one child, not {len(body)}.")
    return body[0]


def _security(assertion: bytes) -> str:
    if not assertion:
        return ""
    return f'<wsse:Security xmlns:wsse="{WSSE}" soap:mustUnderstand="1">{assertion.decode("utf-8")}</wsse:Security>'


def _envelope(action: str, headers: str, body: tuple[bytes, ...], security: str = "") -> bytes:
    head = (
        f'<soap:Envelope xmlns:soap="{SOAP}" xmlns:wsa="{WSA}"><soap:Header>'
        f'<wsa:Action soap:mustUnderstand="1">{escape(action)}</wsa:Action>{headers}{security}'
        "</soap:Header><soap:Body>"
    )
    return b"".join((head.encode("utf-8"), *body, b"</soap:Body></soap:Envelope>"))
