"""ACK and ERR: how HL7 v2 says that a message was taken, and what was wrong with it (ITI TF-2: Appendix C.2.3).

Original acknowledgement mode: ``AA`` accepted, ``AE`` wrong content, ``AR`` wrong kind of message or unable. In the
transactions that know the enhanced mode (ITI-30, 31, 64) a sender that asks for an accept acknowledgement (MSH-15) and
wants no other (``NE`` in MSH-16) gets ``CA``, ``CE`` or ``CR``. Many fill MSH-15 alone and mean nothing by it: they are
answered in the original mode. Every finding is reported. HL7 2.5 has an ERR segment for each:
ERR-2 where, ERR-3 code of table 0357, ERR-4 severity, ERR-7 and ERR-8 the reason in words; 2.3.1 has one ERR segment
whose ERR-1 repeats. MSA-3 and MSA-6 are not used. The answer is written in the character set of the request, its
parties exchanged.

Verbs know nothing of segments. They raise with one of these names as the location, and each codec gives its table of
``Places``; ``[n]`` counts from 1 and means 1 where it is left out:

    identifier[n]                  the id of the patient the message is about
    identifier[n].authority        its assigning authority
    prior identifier[n]            the id that is merged away or changed
    prior identifier[n].authority  its assigning authority
    domain[n]                      a domain that a query asks for
    name, birth_date, sex, death_time, address[n], telephone[n], insurance[n]
                                   what is said of the person
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from hie.values.errors import HL7_TABLE_0357, ExchangeError, Finding, Reason
from hie.wire.hl7v2 import charset, writer
from hie.wire.hl7v2.message import DEFAULT_DELIMITERS, Message, Segment

Places = Mapping[str, str]
"""Dialect-free name of a place -> ERR-2 with ``{n}`` for the repetition."""


def accept(message: Message, *, enhanced: bool = False) -> bytes:
    """``AA``: the message was taken and stored. enhanced: the transaction knows the enhanced mode."""
    return answer(message, _ack_type(message), [_msa(message, "AA", enhanced)])


def refuse(message: Message, error: ExchangeError, places: Places | None = None, *, enhanced: bool = False) -> bytes:
    """``AE`` or ``AR`` with all findings; their locations are ERR-2 or names of ``places``."""
    acknowledged = _msa(message, error.reason.value.acknowledgement, enhanced)
    return answer(message, _ack_type(message), [acknowledged, *errors(message, error, places or {})])


def refusal(received: Message | bytes, error: ExchangeError) -> bytes:
    """Refuse what no transaction took, as far as its header can be made out: even bytes that are no message."""
    message = received if isinstance(received, Message) else _salvaged(received)
    return refuse(message, error)


def read_acknowledgement(message: Message) -> None:
    """Read the answer to a message of ours. Raises ExchangeError with what the other side found wrong."""
    acknowledged = message.first("MSA")
    if acknowledged is None:
        raise ExchangeError(Reason.UNREADABLE, "The answer has no MSA segment.", "MSA^1")
    if acknowledged.component(1, 1) not in ("AA", "CA"):
        raise ExchangeError.of(_read_errors(message) or _unexplained(acknowledged))


# Parts that the answers of queries share ----------------------------------------------------------------------------


def answer(message: Message, message_type: str, segments: Iterable[str]) -> bytes:
    """An answer: MSH with the parties exchanged, then these written segments, in the request's character set."""
    body = list(segments)
    application, facility, our_application, our_facility, processing_id = (
        writer.copied(message, message.header.field(number)) for number in (3, 4, 5, 6, 11)
    )
    name, declared, scheme = answer_charset(
        message, "".join((application, facility, our_application, our_facility, *body))
    )
    header = writer.header(
        message_type=message_type,
        version=_version(message),
        sender=(our_application or writer.APPLICATION, our_facility),
        receiver=(application, facility),
        processing_id=processing_id or "P",
        character_set=declared,
        scheme=scheme,
    )
    return writer.join([header, *body], name)


def answer_charset(message: Message, text: str) -> tuple[str, str, str]:
    """(character set, MSH-18, MSH-20) of an answer that holds this text: what the request was written in.

    The label is the request's own where it was right. Text in ASCII needs none; other text in answer to a request in
    ASCII is written in the set that the request declares, or else in UTF-8.
    """
    asked, scheme = (writer.copied(message, message.header.field(number)) for number in (18, 20))
    declared = charset.name_of(asked)
    name = message.charset
    if name == charset.ASCII:
        name = declared or charset.ASCII
    if name == charset.ASCII and not text.isascii():
        name = charset.UTF_8
    if declared == name:
        return name, asked, scheme
    if text.isascii():
        return charset.ASCII, "", ""
    if name == charset.JIS:
        return name, "~ISO IR87", "ISO 2022-1994"
    return name, name, ""


def msa(message: Message, error: ExchangeError) -> str:
    """MSA of a refusal."""
    return _msa(message, error.reason.value.acknowledgement, enhanced=False)


def _msa(message: Message, code: str, enhanced: bool) -> str:
    asked, also = (message.header.component(number, 1).strip().upper() for number in (15, 16))
    if enhanced and asked in ("AL", "ER", "SU") and also == "NE":
        code = code.replace("A", "C", 1)
    return f"MSA|{code}|{_control_id(message)}"


def errors(message: Message, error: ExchangeError, places: Places) -> list[str]:
    """The ERR segments of a refusal in the form of the message's version."""
    located = [(finding, locate(finding.location, places)) for finding in error.findings]
    if _is_before_2_5(_version(message)):
        return [writer.segment("ERR", {1: writer.repetitions(_eld(*each) for each in located)})]
    return [_err(*each) for each in located]


def locate(location: str, places: Places) -> str:
    """ERR-2 of a location that is one already, or the name of a place; "" where the place is none of this message."""
    if _ERL.fullmatch(location):
        return location
    match = _PLACE.fullmatch(location)
    if match is None:
        return ""
    return places.get(f"{match.group(1)}{match.group(3) or ''}", "").format(n=match.group(2) or 1)


_ERL = re.compile(r"[A-Z][A-Z0-9]{2}(\^\d+){0,5}")
_PLACE = re.compile(r"([a-z_ ]+)(?:\[(\d+)\])?(\.[a-z]+)?")


def _err(finding: Finding, location: str) -> str:
    code = finding.reason.value.hl7
    fields = {
        2: location,
        3: writer.components(code, HL7_TABLE_0357[code], "HL70357"),
        4: "W" if finding.reason.value.acknowledgement == "AA" else "E",
        7: writer.escape(f"{finding.reason.name}: {finding.detail}"),
        8: writer.escape(finding.detail),
    }
    return writer.segment("ERR", fields)


def _eld(finding: Finding, location: str) -> str:
    """ERR-1 of 2.3.1: segment, sequence, field, and a coded error whose alternate text holds the words."""
    code = finding.reason.value.hl7
    coded = "&".join((code, HL7_TABLE_0357[code], "HL70357", "", writer.escape(finding.detail)))
    return "^".join([*(location.split("^") + ["", "", ""])[:3], coded])


# Headers ------------------------------------------------------------------------------------------------------------

_VERSIONS = ("2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.7.1", "2.8", "2.8.1", "2.8.2")


def _version(message: Message) -> str:
    """The version to answer in: the asked one if it exists."""
    return message.version if message.version in _VERSIONS else "2.5"


def _is_before_2_5(version: str) -> bool:
    return _VERSIONS.index(version) < _VERSIONS.index("2.5")


def _ack_type(message: Message) -> str:
    event = writer.escape(message.header.component(9, 2))
    if _is_before_2_5(_version(message)):
        return f"ACK^{event}".rstrip("^")
    return f"ACK^{event}^ACK"


def _control_id(message: Message) -> str:
    return writer.copied(message, message.header.field(10))


def _salvaged(raw: bytes) -> Message:
    """What can be made out of the first line of bytes that are no message."""
    line = re.split(rb"[\r\n]", raw[:4096].lstrip(b"\x0b\r\n \t"), maxsplit=1)[0]
    try:
        return Message.read(line)
    except ExchangeError:
        pass  # its header is broken as well: guess
    decoded = charset.decode(line)
    fields = decoded.text.split("|") if decoded.text.startswith("MSH|") else []
    header = Segment(["MSH", "|", *fields[1:]], DEFAULT_DELIMITERS)
    return Message(raw, decoded.text, decoded.charset, (), (header,), DEFAULT_DELIMITERS)


# Answers to messages of ours ----------------------------------------------------------------------------------------

_REASONS = {
    "100": Reason.SEGMENT_SEQUENCE,
    "101": Reason.REQUIRED_MISSING,
    "102": Reason.WRONG_DATA_TYPE,
    "103": Reason.NOT_IN_TABLE,
    "200": Reason.UNSUPPORTED_MESSAGE,
    "201": Reason.UNSUPPORTED_EVENT,
    "202": Reason.UNSUPPORTED_PROCESSING_ID,
    "203": Reason.UNSUPPORTED_VERSION,
    "204": Reason.UNKNOWN_KEY,
    "205": Reason.DUPLICATE_KEY,
    "206": Reason.BUSY,
}


def _read_errors(message: Message) -> list[Finding]:
    findings = []
    for segment in message.all("ERR"):
        if segment.field(3):
            code, text = segment.component(3, 1), segment.component(8, 1) or segment.component(7, 1)
            findings.append(_finding(code, text or segment.component(3, 2), segment.field(2)))
        for repetition in segment.repetitions(1):
            code, text, alternate = (segment.component_of(repetition, 4, sub) for sub in (1, 2, 5))
            location = "^".join(filter(None, (segment.component_of(repetition, place) for place in (1, 2, 3))))
            findings.append(_finding(code, alternate or text, location))
    return findings


def _finding(code: str, text: str, location: str) -> Finding:
    return Finding(_REASONS.get(code, Reason.INTERNAL), text or HL7_TABLE_0357.get(code, "Not accepted."), location)


def _unexplained(acknowledged: Segment) -> list[Finding]:
    kind = acknowledged.component(1, 1)
    return [Finding(Reason.INTERNAL, f"The other side answered {kind or 'nothing'} in MSA-1 and gave no reason.")]
