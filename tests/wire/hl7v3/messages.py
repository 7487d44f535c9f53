"""Samples of HL7 v3 as the messages that a codec gets, and what is written as the message that the other side gets."""

from functools import cache
from pathlib import Path

from lxml import etree

from hie.wire.hl7v3.datatypes import tag
from hie.wire.soap.envelope import SoapBody, SoapMessage
from hie.wire.xml import parse
from tests.conformance import CONFORMANCE

SAMPLES = Path(__file__).resolve().parent.parent.parent / "samples"
_SCHEMAS = CONFORMANCE / "schema/hl7v3/schema/HL7V3/NE2008/multicacheschemas"


def message_of(raw: bytes) -> SoapMessage:
    return SoapMessage(action="", message_id="", body=parse(raw))


def sample(name: str) -> SoapMessage:
    return message_of((SAMPLES / name).read_bytes())


def sent(body: SoapBody) -> SoapMessage:
    """What was written, as the other side reads it; it has to obey the published schema where that is at hand."""
    raw = b"".join(body.parts)
    message = message_of(raw)
    schema = schema_of(etree.QName(message.body).localname)
    if schema is not None:
        schema.assertValid(message.body)
    return message


@cache
def schema_of(interaction: str) -> etree.XMLSchema | None:
    place = _SCHEMAS / f"{interaction}.xsd"
    return etree.XMLSchema(file=str(place)) if place.is_file() else None


def details(message: SoapMessage) -> list[tuple[str, str, str]]:
    """(typeCode, code, location) of the acknowledgement details of an answer."""
    found = message.body.findall(f"{tag('acknowledgement')}/{tag('acknowledgementDetail')}")
    return [
        (
            detail.get("typeCode"),
            detail.find(tag("code")).get("code") if detail.find(tag("code")) is not None else "",
            detail.findtext(tag("location"), ""),
        )
        for detail in found
    ]


def code_at(message: SoapMessage, *path: str) -> str:
    """@code of the element at a path."""
    element = message.body.find("/".join(map(tag, path)))
    return "" if element is None else element.get("code", "")


def at_location(message: SoapMessage, location: str) -> list[etree._Element]:
    """What an XPath in an acknowledgementDetail finds in the message it is about."""
    steps = [step if step.startswith("@") else f"h:{step}" for step in location.strip("/").split("/")]
    return message.body.getroottree().xpath("/" + "/".join(steps), namespaces={"h": "urn:hl7-org:v3"})
