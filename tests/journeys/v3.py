"""A member's system that speaks HL7 v3 to the running region."""

from __future__ import annotations

from typing import Any

from hie.values.errors import ExchangeError
from hie.wire.hl7v3.wrapper import Devices
from hie.wire.soap.envelope import SoapBody, SoapMessage
from tests.journeys.soap_region import Region

DEVICES = Devices("1.2.3.1", "1.2.3.2")


def call(region: Region, node: str, service: str, action: str, body: SoapBody) -> SoapMessage:
    return region.client(node, service).call(action, body)


def refusal(codec: Any, answer: SoapMessage) -> list[tuple[str, str]]:
    """(reason, detail place) of what the other side found wrong."""
    try:
        codec.read_response(answer)
    except ExchangeError as error:
        return [(each.reason.value.hl7, each.location) for each in error.findings]
    raise AssertionError("it was accepted")
