"""The end of ITI-47 before its last page: QUQI_IN000003UV01 with the action ``…_Cancel`` (ITI TF-2: 3.47.4.3).

The answer is an accept acknowledgement, whether or not the query is still known.
"""

from __future__ import annotations

from hie.values.demographics_queries import CancelRequest
from hie.values.errors import ExchangeError
from hie.wire.hl7v3 import wrapper
from hie.wire.hl7v3.continue_query import (
    CANCEL,
    CONTINUATION,
    INTERACTION,
    PLACES,
    read_continuation,
    write_continuation,
)
from hie.wire.hl7v3.datatypes import at
from hie.wire.hl7v3.structure import findings_of
from hie.wire.hl7v3.wrapper import Devices
from hie.wire.soap.envelope import SoapBody, SoapMessage

ACTION = f"urn:hl7-org:v3:{INTERACTION}_Cancel"
RESPONSE_ACTION = f"urn:hl7-org:v3:{wrapper.ACCEPT}"


def read_request(message: SoapMessage) -> CancelRequest:
    """Read a cancellation. Raises ExchangeError with everything that is wrong with it."""
    query_id, findings = read_continuation(message, CANCEL)
    if findings := findings or findings_of(message.body):
        raise ExchangeError.of(findings)
    raw = wrapper.element_bytes(at(message.body, CONTINUATION))
    return CancelRequest(message_id=wrapper.message_id(message), query_id=query_id, raw=raw)


def write_response(message: SoapMessage, result: object = None) -> SoapBody:
    """``CA``."""
    return wrapper.write_acknowledgement(message)


def write_error(message: SoapMessage, error: ExchangeError) -> SoapBody:
    """``CE`` or ``CR`` with an acknowledgementDetail for each finding."""
    return wrapper.write_acknowledgement(message, error, PLACES)


def write_request(cancel: CancelRequest, devices: Devices, *, answered: str = "") -> SoapBody:
    """Write a cancellation. answered: id of the answer before (``root^extension``), which it acknowledges."""
    return write_continuation(cancel.message_id, cancel.query_id, devices, "", CANCEL, answered)


def read_response(message: SoapMessage) -> None:
    """Read the acknowledgement. Raises ExchangeError if the other side did not take it."""
    wrapper.read_acknowledgement(message, wrapper.ACCEPT)
