"""Messages for the tests of the ebXML codecs: samples as files, values as strategies, the public schemas."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from lxml import etree

from hie.wire.soap.envelope import SoapBody, SoapMessage, read_envelope
from hie.wire.soap.mtom import Limits, read_multipart
from hie.wire.soap.spool import Spool
from hie.wire.xml import parse
from tests.conformance import CONFORMANCE

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
MESSAGES = CONFORMANCE / "messages"


def sample(name: str, spool: Spool | None = None) -> SoapMessage:
    """A sample of ours as a codec gets it: ``ITI-18/find-documents.xml``."""
    message = read_envelope((SAMPLES / name).read_bytes())
    return message_of(message.body, spool)


def multipart_sample(name: str, spool: Spool) -> SoapMessage:
    """A sample in multipart/related, whose boundary is its first line."""
    raw = (SAMPLES / name).read_bytes()
    boundary = raw.split(b"\r\n", 1)[0].decode()[2:]
    limits = Limits(root=1_000_000, document=1_000_000, documents=1_000_000)
    parts = read_multipart(f'multipart/related; boundary="{boundary}"', [raw], spool, limits)
    return SoapMessage("", "", read_envelope(parts.root).body, attachments=parts.attachments, mtom=True, spool=spool)


def message_of(body: etree._Element, spool: Spool | None = None) -> SoapMessage:
    return SoapMessage("", "", body, spool=spool)


def sent(body: SoapBody, spool: Spool | None = None) -> SoapMessage:
    """What the other side reads of a body: attachments are spooled again."""
    attachments = {}
    for each in body.attachments:
        assert spool is not None
        file = spool.new_file(each.size)
        file.write(each.path.read_bytes())
        attachments[each.content_id] = file.finish(each.mime_type)
    element = parse(b"".join(body.parts))
    return SoapMessage("", "", element, attachments=attachments, mtom=bool(attachments), spool=spool)


@cache
def schema() -> etree.XMLSchema:
    """The public XSDs of ebRS 3.0 and XDS.b."""
    return etree.XMLSchema(etree.parse(CONFORMANCE / "schema" / "xds" / "schema" / "xds-all-lxml.xsd"))


def violations(body: etree._Element | SoapBody) -> list[str]:
    """What the schema says against a body. An xop:Include counts as the base64 that it stands for."""
    raw = b"".join(body.parts) if isinstance(body, SoapBody) else etree.tostring(body)
    element = etree.fromstring(re.sub(rb"<xop:Include[^>]*/>", b"AAAA", raw))
    schema().validate(element)
    return [error.message for error in schema().error_log]
