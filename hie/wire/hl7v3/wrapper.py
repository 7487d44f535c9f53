"""What is around every HL7 v3 message: transmission, acknowledgement, control act, query acknowledgement (ITI TF-2:
Appendix O).

An accept acknowledgement (MCCI_IN000002UV01: CA, CE, CR) answers feeds, notifications and cancellations; a query is
answered by an application acknowledgement (AA, AE, AR) in its own response. Every finding is an acknowledgementDetail:
code, words, and the XPath of the place. Names of elements in an XPath are those of ``urn:hl7-org:v3``, without prefix.

Verbs raise with the dialect-free names of ``hie.wire.hl7v2.acknowledgement``; each codec gives its table of
``Places``.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from lxml import etree

from hie.values.errors import HL7_TABLE_0357, ExchangeError, Finding, Reason
from hie.values.times import write_ts
from hie.wire.hl7v3.datatypes import HL7, all_at, at, attribute, id_text, text_of, value_at, write_id, write_root
from hie.wire.soap.envelope import SoapBody, SoapMessage
from hie.wire.xml import escape

INTERACTIONS = "2.16.840.1.113883.1.6"
ACCEPT = "MCCI_IN000002UV01"
PROCESSING_CODES = ("P", "T", "D")
MOST_FINDINGS = 200

Places = Mapping[str, str | tuple[str, ...]]
"""Dialect-free name of a place -> XPath below the root with ``{n}`` for the repetition, or the XPath of each."""


@dataclass(frozen=True, slots=True)
class Devices:
    """Who writes to whom: OIDs of the devices and, where known, of the organizations behind them."""

    sender: str
    receiver: str
    sending_organization: str = ""
    receiving_organization: str = ""


# Reading ------------------------------------------------------------------------------------------------------------


def check_interaction(message: SoapMessage, *names: str) -> str:
    """The interaction of a message; it has to be one of these, with an id and a processing code.

    Raises ExchangeError UNSUPPORTED_MESSAGE, REQUIRED_MISSING, UNSUPPORTED_PROCESSING_ID or NOT_IN_TABLE.
    """
    root = message.body
    name = etree.QName(root)
    if name.namespace != HL7 or name.localname not in names:
        raise ExchangeError(
            Reason.UNSUPPORTED_MESSAGE, f"The body has to be {' or '.join(names)} in {HL7}.", f"/{name.localname}"
        )
    interaction = name.localname
    if not id_text(at(root, "id")):
        raise ExchangeError(Reason.REQUIRED_MISSING, "The id of the message is required.", f"/{interaction}/id")
    if value_at(root, "processingCode", "code") not in PROCESSING_CODES:
        detail = f"processingCode has to be one of {' '.join(PROCESSING_CODES)}."
        raise ExchangeError(Reason.UNSUPPORTED_PROCESSING_ID, detail, f"/{interaction}/processingCode")
    if value_at(root, "interactionId", "extension") not in ("", interaction):
        detail = "The extension of interactionId has to be the name of the root element."
        raise ExchangeError(Reason.NOT_IN_TABLE, detail, f"/{interaction}/interactionId")
    return interaction


def message_id(message: SoapMessage) -> str:
    """The id of a message, ``root^extension`` or the root alone."""
    return id_text(at(message.body, "id"))


def read_acknowledgement(message: SoapMessage, *names: str) -> None:
    """Read the acknowledgement of an answer of these interactions. Raises ExchangeError unless it is AA or CA."""
    name = etree.QName(message.body)
    if name.namespace != HL7 or name.localname not in names:
        raise ExchangeError(Reason.UNREADABLE, f"The answer is not {' or '.join(names)}.")
    acknowledged = at(message.body, "acknowledgement")
    kind = value_at(acknowledged, "typeCode", "code")
    if kind in ("AA", "CA"):
        return
    findings = [_read_detail(detail) for detail in all_at(acknowledged, "acknowledgementDetail")[:MOST_FINDINGS]]
    unexplained = Finding(Reason.INTERNAL, f"The other side answered {kind or 'nothing'} and gave no reason.")
    raise ExchangeError.of(findings or [unexplained])


def read_warnings(message: SoapMessage) -> tuple[str, ...]:
    """The sentences of details of an answer that are no errors."""
    details = all_at(message.body, "acknowledgement/acknowledgementDetail")
    return tuple(text_of(at(each, "text")) for each in details if attribute(each, "typeCode") in ("W", "I"))


# Answers ------------------------------------------------------------------------------------------------------------


def write_acknowledgement(
    message: SoapMessage, error: ExchangeError | None = None, places: Places | None = None
) -> SoapBody:
    """The accept acknowledgement of a message: CA, or CE or CR with all findings."""
    kind = "CA" if error is None else error.reason.value.acknowledgement.replace("A", "C", 1)
    findings = () if error is None else error.findings
    acknowledged = acknowledgement(message, kind, findings, places or {})
    return _body(ACCEPT, answer_transmission(message, ACCEPT) + acknowledged)


def acknowledgement(
    message: SoapMessage,
    kind: str,
    findings: tuple[Finding, ...] = (),
    places: Places | None = None,
    warnings: tuple[tuple[str, str], ...] = (),
) -> str:
    """The acknowledgement element. warnings: (sentence, location) of what accompanies a success."""
    root = etree.QName(message.body).localname
    details = [_write_detail(each, locate(each.location, places or {}, root)) for each in findings[:MOST_FINDINGS]]
    if len(findings) > MOST_FINDINGS:
        details.append(_write_warning(f"{len(findings) - MOST_FINDINGS} more of these are not listed.", ""))
    details += [_write_warning(sentence, locate(place, places or {}, root)) for sentence, place in warnings]
    return (
        f'<acknowledgement><typeCode code="{kind}"/><targetMessage>{write_id(message_id(message))}</targetMessage>'
        f"{''.join(details)}</acknowledgement>"
    )


def answer_transmission(message: SoapMessage, interaction: str) -> str:
    """The transmission wrapper of an answer: parties exchanged, no acknowledgement of it wanted."""
    root = message.body
    asked_by, asked = at(root, "sender/device"), next(iter(all_at(root, "receiver/device")), None)
    code = value_at(root, "processingCode", "code")
    return _transmission(
        interaction,
        receiver=write_id(id_text(at(asked_by, "id"))),
        sender=write_id(id_text(at(asked, "id"))),
        processing_code=code if code in PROCESSING_CODES else "P",
        accept="NE",
    )


def own_oid(message: SoapMessage) -> str:
    """The OID under which the sender knows us: the root of its receiver."""
    return value_at(message.body, "receiver/device/id", "root")


def query_response(
    message: SoapMessage, interaction: str, acknowledged: str, subjects: str, ack: str, echo: bytes, issues: str = ""
) -> SoapBody:
    """The answer to a query. ack: queryAck, echo: the queryByParameter as it came."""
    trigger = interaction.replace("_IN", "_TE")
    head = (
        f"{answer_transmission(message, interaction)}{acknowledged}"
        f'<controlActProcess classCode="CACT" moodCode="EVN"><code code="{trigger}" codeSystem="{INTERACTIONS}"/>'
        f"{subjects}{issues}{ack}"
    )
    return SoapBody(
        (_open(interaction).encode(), head.encode(), echo, f"</controlActProcess></{interaction}>".encode())
    )


def query_ack(query_id: str, status: str, response: str, counts: tuple[int, int, int] | None = None) -> str:
    """queryAck. status: QueryStatusCode; response: OK, NF, AE or QE; counts: total, in this answer, remaining."""
    quantities = ""
    if counts is not None:
        names = ("resultTotalQuantity", "resultCurrentQuantity", "resultRemainingQuantity")
        quantities = "".join(f'<{name} value="{count}"/>' for name, count in zip(names, counts, strict=True))
    return (
        f'<queryAck>{write_id(query_id, "queryId")}<statusCode code="{status}"/>'
        f'<queryResponseCode code="{response}"/>{quantities}</queryAck>'
    )


def detected_issues(error: ExchangeError) -> str:
    """reasonOf with a detected issue for each code that ActCode has one of (unknown or duplicate keys)."""
    codes = dict.fromkeys(_ISSUES[each.reason.value.hl7] for each in error.findings if each.reason.value.hl7 in _ISSUES)
    return "".join(
        '<reasonOf typeCode="RSON"><detectedIssueEvent classCode="ALRT" moodCode="EVN">'
        f'<code code="{code}" codeSystem="2.16.840.1.113883.5.4"/></detectedIssueEvent></reasonOf>'
        for code in codes
    )


def element_bytes(element: etree._Element | None) -> bytes:
    """An element as it came, with the namespaces it uses; b"" where there is none."""
    return b"" if element is None else etree.tostring(element, encoding="UTF-8", with_tail=False)


# Requests -----------------------------------------------------------------------------------------------------------


def request(
    interaction: str, devices: Devices, content: str, *, message_id: str = "", acknowledged: str = ""
) -> SoapBody:
    """A message of our own with this control act content. message_id: a fresh UUID where none is given."""
    wrapped = _transmission(
        interaction,
        receiver=write_root(devices.receiver),
        sender=write_root(devices.sender),
        processing_code="P",
        accept="AL",
        message_id=message_id,
        organizations=(devices.receiving_organization, devices.sending_organization),
    )
    trigger = interaction.replace("_IN", "_TE")
    return _body(
        interaction,
        f'{wrapped}{acknowledged}<controlActProcess classCode="CACT" moodCode="EVN">'
        f'<code code="{trigger}" codeSystem="{INTERACTIONS}"/>{content}</controlActProcess>',
    )


def new_id() -> str:
    """A fresh id of a message or a query: a UUID."""
    return str(uuid.uuid4())


def _open(interaction: str) -> str:
    return f'<{interaction} xmlns="{HL7}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" ITSVersion="XML_1.0">'


def _body(interaction: str, content: str) -> SoapBody:
    return SoapBody((f"{_open(interaction)}{content}</{interaction}>".encode(),))


def _transmission(
    interaction: str,
    *,
    receiver: str,
    sender: str,
    processing_code: str,
    accept: str,
    message_id: str = "",
    organizations: tuple[str, str] = ("", ""),
) -> str:
    return (
        f"{write_id(message_id or new_id())}"
        f'<creationTime value="{write_ts(datetime.now(UTC))}"/>'
        f'<interactionId root="{INTERACTIONS}" extension="{interaction}"/>'
        f'<processingCode code="{processing_code}"/><processingModeCode code="T"/><acceptAckCode code="{accept}"/>'
        f'<receiver typeCode="RCV">{_device(receiver, organizations[0])}</receiver>'
        f'<sender typeCode="SND">{_device(sender, organizations[1])}</sender>'
    )


def _device(written_id: str, organization: str) -> str:
    agent = ""
    if organization:
        agent = (
            '<asAgent classCode="AGNT"><representedOrganization classCode="ORG" determinerCode="INSTANCE">'
            f"{write_root(organization)}</representedOrganization></asAgent>"
        )
    return f'<device classCode="DEV" determinerCode="INSTANCE">{written_id}{agent}</device>'


# Details ------------------------------------------------------------------------------------------------------------

TABLE_0357 = "2.16.840.1.113883.12.357"
DETAIL_CODES = "2.16.840.1.113883.5.1100"

# AcknowledgementDetailCode has names of its own for the codes of form and of kind; the rest keep table 0357.
_DETAILS = {
    "100": "SYN",
    "101": "SYN105",
    "102": "SYN102",
    "103": "SYN103",
    "200": "NS200",
    "201": "NS200",
    "202": "NS202",
    "203": "NS203",
}
_ISSUES = {"204": "KEY204", "205": "KEY205"}
_REASONS = {
    "SYN": Reason.SEGMENT_SEQUENCE,
    "SYN105": Reason.REQUIRED_MISSING,
    "101": Reason.REQUIRED_MISSING,
    "SYN102": Reason.WRONG_DATA_TYPE,
    "102": Reason.WRONG_DATA_TYPE,
    "SYN103": Reason.NOT_IN_TABLE,
    "103": Reason.NOT_IN_TABLE,
    "NS200": Reason.UNSUPPORTED_MESSAGE,
    "200": Reason.UNSUPPORTED_MESSAGE,
    "201": Reason.UNSUPPORTED_EVENT,
    "NS202": Reason.UNSUPPORTED_PROCESSING_ID,
    "202": Reason.UNSUPPORTED_PROCESSING_ID,
    "NS203": Reason.UNSUPPORTED_VERSION,
    "203": Reason.UNSUPPORTED_VERSION,
    "204": Reason.UNKNOWN_KEY,
    "205": Reason.DUPLICATE_KEY,
    "206": Reason.BUSY,
}
_PLACE = re.compile(r"([a-z_ ]+)(?:\[(\d+)\])?(\.[a-z]+)?")


def locate(location: str, places: Places, root: str) -> str:
    """The XPath of a location that is one already, or the name of a place; "" where it is none of this message."""
    if location.startswith("/"):
        return location
    match = _PLACE.fullmatch(location)
    if match is None:
        return ""
    number = int(match[2] or 1)
    place = places.get(f"{match[1]}{match[3] or ''}", "")
    if isinstance(place, tuple):
        return place[number - 1] if number <= len(place) else ""
    return f"/{root}/{place.format(n=number)}" if place else ""


def _write_detail(finding: Finding, location: str) -> str:
    code = finding.reason.value.hl7
    name = _DETAILS.get(code, code)
    system = DETAIL_CODES if code in _DETAILS else TABLE_0357
    kind = "W" if finding.reason.value.acknowledgement == "AA" else "E"
    display = escape(HL7_TABLE_0357[code])
    return (
        f'<acknowledgementDetail typeCode="{kind}"><code code="{name}" codeSystem="{system}" displayName="{display}"/>'
        f"<text>{escape(finding.detail)}</text>{_location(location)}</acknowledgementDetail>"
    )


def _write_warning(sentence: str, location: str) -> str:
    return (
        f'<acknowledgementDetail typeCode="W"><text>{escape(sentence)}</text>{_location(location)}'
        "</acknowledgementDetail>"
    )


def _location(location: str) -> str:
    return f"<location>{escape(location)}</location>" if location else ""


def _read_detail(detail: etree._Element) -> Finding:
    code = value_at(detail, "code", "code")
    text = text_of(at(detail, "text")) or value_at(detail, "code", "displayName")
    return Finding(_REASONS.get(code, Reason.INTERNAL), text or "Not accepted.", text_of(at(detail, "location")))
