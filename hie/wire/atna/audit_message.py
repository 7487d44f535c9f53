"""The DICOM AuditMessage, written and read (DICOM PS3.15 A.5.1; ITI TF-2: 3.20.4.1.2).

Written from text templates: an audit message is small, its shape is fixed, and one is written for every message
that the exchange answers. Every value passes ``_attribute`` or ``_text``; a character that XML cannot carry becomes
U+FFFD, so that no sender can make an audit record impossible to write.

Read leniently: RFC 3881 codes (``code`` instead of ``csd-code``), several audit sources (the first counts).
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as BadBase64
from binascii import b2a_base64
from datetime import UTC, datetime
from functools import lru_cache

from lxml import etree

from hie.values.audit import AuditMessage, AuditSource, Participant, ParticipantObject
from hie.values.codes import Code
from hie.values.errors import ExchangeError, Reason

_NEEDS_ESCAPE = re.compile('[&<>"\t\n\r]|[^\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]')
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
_MAX_BYTES = 64 * 1024 * 1024


def write_message(message: AuditMessage) -> bytes:
    """The message as UTF-8 XML with declaration and without white space between elements."""
    before, behind = _frame(
        message.event_id,
        message.action,
        message.outcome,
        message.types,
        message.description,
        message.purposes,
        message.participants,
        message.source,
    )
    objects = "".join(map(_object, message.objects))
    return f'{before}"{_moment(message.occurred_at)}"{behind}{objects}</AuditMessage>'.encode()


def read_message(raw: bytes) -> AuditMessage:
    """Read a DICOM or RFC 3881 audit message. Raises ExchangeError(UNREADABLE) where it is none."""
    root = _parse(raw)
    event = root.find("EventIdentification")
    source = root.find("AuditSourceIdentification")
    if root.tag != "AuditMessage" or event is None or source is None:
        raise ExchangeError(
            Reason.UNREADABLE,
            "An AuditMessage needs EventIdentification and AuditSourceIdentification.",
            "/AuditMessage",
        )
    return AuditMessage(
        event_id=_read_code(event.find("EventID")),
        action=event.get("EventActionCode", ""),
        occurred_at=_read_time(event.get("EventDateTime", "")),
        outcome=_read_number(event.get("EventOutcomeIndicator", "0"), "EventOutcomeIndicator"),
        source=AuditSource(
            source_id=source.get("AuditSourceID", ""),
            site_id=source.get("AuditEnterpriseSiteID", ""),
            types=tuple(_read_code(each).code for each in source.findall("AuditSourceTypeCode")),
        ),
        participants=tuple(map(_read_participant, root.findall("ActiveParticipant"))),
        types=tuple(map(_read_code, event.findall("EventTypeCode"))),
        description=event.findtext("EventOutcomeDescription", ""),
        purposes=tuple(map(_read_code, event.findall("PurposeOfUse"))),
        objects=tuple(map(_read_object, root.findall("ParticipantObjectIdentification"))),
    )


def _moment(moment: datetime) -> str:
    """``2026-11-28T03:04:05.678Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


@lru_cache(maxsize=1024)
def _frame(
    event_id: Code,
    action: str,
    outcome: int,
    types: tuple[Code, ...],
    description: str,
    purposes: tuple[Code, ...],
    participants: tuple[Participant, ...],
    source: AuditSource,
) -> tuple[str, str]:
    """What stands before the time and behind it, up to the objects: it is the same in thousands of messages."""
    described = f"<EventOutcomeDescription>{_escape(description)}</EventOutcomeDescription>" if description else ""
    before = (
        '<?xml version="1.0" encoding="UTF-8"?><AuditMessage>'
        f"<EventIdentification{_attribute('EventActionCode', action)} EventDateTime="
    )
    behind = (
        f' EventOutcomeIndicator="{outcome}">'
        f"{_code('EventID', event_id)}{_codes('EventTypeCode', types)}{described}{_codes('PurposeOfUse', purposes)}"
        f"</EventIdentification>{''.join(map(_participant, participants))}{_source(source)}"
    )
    return before, behind


def _participant(participant: Participant) -> str:
    access_point = (
        f"{_attribute('NetworkAccessPointID', participant.access_point)}"
        f' NetworkAccessPointTypeCode="{participant.access_point_type}"'
        if participant.access_point and participant.access_point_type
        else ""
    )
    return (
        f'<ActiveParticipant UserID="{_escape(participant.user_id)}"'
        f"{_attribute('AlternativeUserID', participant.alternative_user_id)}"
        f"{_attribute('UserName', participant.user_name)}"
        f' UserIsRequestor="{"true" if participant.requestor else "false"}"{access_point}>'
        f"{_codes('RoleIDCode', participant.roles)}</ActiveParticipant>"
    )


def _source(source: AuditSource) -> str:
    types = "".join(f'<AuditSourceTypeCode csd-code="{_escape(each)}"/>' for each in source.types)
    return (
        f"<AuditSourceIdentification{_attribute('AuditEnterpriseSiteID', source.site_id)}"
        f' AuditSourceID="{_escape(source.source_id)}">{types}</AuditSourceIdentification>'
    )


def _object(each: ParticipantObject) -> str:
    content = ""
    if each.query:
        content = f"<ParticipantObjectQuery>{_base64(each.query)}</ParticipantObjectQuery>"
    elif each.name:
        content = f"<ParticipantObjectName>{_escape(each.name)}</ParticipantObjectName>"
    for kind, value in each.details:
        content += f'<ParticipantObjectDetail type="{_escape(kind)}" value="{_base64(value)}"/>'
    return (
        f'<ParticipantObjectIdentification ParticipantObjectID="{_escape(each.object_id)}"'
        f"{_object_frame(each.id_type, each.type_code, each.role, each.life_cycle)}"
        f"{content}</ParticipantObjectIdentification>"
    )


@lru_cache(maxsize=256)
def _object_frame(id_type: Code, type_code: int, role: int, life_cycle: int) -> str:
    """What stands between the identifier of an object and its content."""
    in_life = f' ParticipantObjectDataLifeCycle="{life_cycle}"' if life_cycle else ""
    return (
        f' ParticipantObjectTypeCode="{type_code}" ParticipantObjectTypeCodeRole="{role}"{in_life}>'
        f"{_code('ParticipantObjectIDTypeCode', id_type)}"
    )


def _base64(value: bytes) -> str:
    return b2a_base64(value, newline=False).decode("ascii")


def _codes(name: str, codes: tuple[Code, ...]) -> str:
    return "".join(_code(name, code) for code in codes)


def _code(name: str, code: Code) -> str:
    """A coded value; originalText is required, so a code without a display is its own text."""
    return (
        f'<{name} csd-code="{_escape(code.code)}" codeSystemName="{_escape(code.scheme)}"'
        f' originalText="{_escape(code.display or code.code)}"/>'
    )


def _attribute(name: str, value: str) -> str:
    return f' {name}="{_escape(value)}"' if value else ""


def _escape(text: str) -> str:
    return text if text.isalnum() and text.isascii() else _NEEDS_ESCAPE.sub(_entity, text)


def _entity(match: re.Match[str]) -> str:
    return _ENTITIES.get(match.group(), "\ufffd")


def _parse(raw: bytes) -> etree._Element:
    if len(raw) > _MAX_BYTES or b"<!DOCTYPE" in raw:
        raise ExchangeError(Reason.UNREADABLE, "An audit message has no DTD and at most 64 MiB.")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(raw, parser)
    except etree.XMLSyntaxError as error:
        raise ExchangeError(
            Reason.UNREADABLE, "The audit message is no well-formed XML.", f"line {error.lineno}"
        ) from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise ExchangeError(Reason.UNREADABLE, "An audit message has no DTD.")
    return root


def _read_code(element: etree._Element | None) -> Code:
    if element is None:
        return Code("")
    return Code(
        code=element.get("csd-code") or element.get("code") or "",
        scheme=element.get("codeSystemName", ""),
        display=element.get("originalText") or element.get("displayName") or "",
    )


def _read_participant(element: etree._Element) -> Participant:
    return Participant(
        user_id=element.get("UserID", ""),
        requestor=element.get("UserIsRequestor", "true") in ("true", "1"),
        alternative_user_id=element.get("AlternativeUserID", ""),
        user_name=element.get("UserName", ""),
        roles=tuple(map(_read_code, element.findall("RoleIDCode"))),
        access_point=element.get("NetworkAccessPointID", ""),
        access_point_type=_read_number(element.get("NetworkAccessPointTypeCode", "0"), "NetworkAccessPointTypeCode"),
    )


def _read_object(element: etree._Element) -> ParticipantObject:
    return ParticipantObject(
        object_id=element.get("ParticipantObjectID", ""),
        id_type=_read_code(element.find("ParticipantObjectIDTypeCode")),
        type_code=_read_number(element.get("ParticipantObjectTypeCode", "0"), "ParticipantObjectTypeCode"),
        role=_read_number(element.get("ParticipantObjectTypeCodeRole", "0"), "ParticipantObjectTypeCodeRole"),
        life_cycle=_read_number(element.get("ParticipantObjectDataLifeCycle", "0"), "ParticipantObjectDataLifeCycle"),
        name=element.findtext("ParticipantObjectName", ""),
        query=_read_base64(element.findtext("ParticipantObjectQuery", "")),
        details=tuple(
            (each.get("type", ""), _read_base64(each.get("value", "")))
            for each in element.findall("ParticipantObjectDetail")
        ),
    )


def _read_number(text: str, name: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ExchangeError(Reason.UNREADABLE, f"{name} has to be a whole number.", name)
    return int(text)


def _read_time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ExchangeError(Reason.UNREADABLE, "EventDateTime has to be an xs:dateTime.", "EventDateTime") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _read_base64(text: str) -> bytes:
    try:
        return b64decode("".join(text.split()), validate=True)
    except (BadBase64, ValueError) as error:
        raise ExchangeError(Reason.UNREADABLE, "A query or detail has to be base64.", "ParticipantObject") from error
