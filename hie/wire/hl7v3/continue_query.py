"""The next page of ITI-47: QUQI_IN000003UV01 with the action ``…_Continue`` (ITI TF-2: 3.47.4.3).

queryContinuation names the query by the id of its queryId; the answer has the form of ``demographics_query``'s.
"""

from __future__ import annotations

from lxml import etree

from hie.values.demographics_queries import ContinuationRequest, DemographicsResult
from hie.values.errors import ExchangeError, Finding, Reason
from hie.wire.hl7v3 import demographics_query, wrapper
from hie.wire.hl7v3.datatypes import at, attribute, id_text, value_at, write_id
from hie.wire.hl7v3.demographics_query import RESPONSE_ACTION, read_response, whole_number
from hie.wire.hl7v3.structure import findings_of
from hie.wire.hl7v3.wrapper import Devices
from hie.wire.soap.envelope import SoapBody, SoapMessage

__all__ = [
    "ACTION",
    "RESPONSE_ACTION",
    "read_request",
    "read_response",
    "write_error",
    "write_request",
    "write_response",
]

INTERACTION = "QUQI_IN000003UV01"
ACTION = f"urn:hl7-org:v3:{INTERACTION}_Continue"
CONTINUE, CANCEL = "waitContinuedQueryResponse", "aborted"
CONTINUATION = "controlActProcess/queryContinuation"
PLACES = {
    "pointer": f"{CONTINUATION}/queryId",
    "query": f"{CONTINUATION}/queryId",
    "page_size": f"{CONTINUATION}/continuationQuantity",
    "first": f"{CONTINUATION}/startResultNumber",
}


def read_request(message: SoapMessage) -> ContinuationRequest:
    """Read a request for a page. Raises ExchangeError with everything that is wrong with it."""
    query_id, findings = read_continuation(message, CONTINUE)
    first = _count(message.body, "startResultNumber", findings)
    page_size = _count(message.body, "continuationQuantity", findings)
    if findings := findings or findings_of(message.body):
        raise ExchangeError.of(findings)
    return ContinuationRequest(
        message_id=wrapper.message_id(message),
        query_id=query_id,
        first=first,
        page_size=page_size,
        raw=wrapper.element_bytes(at(message.body, CONTINUATION)),
    )


def write_response(message: SoapMessage, result: DemographicsResult) -> SoapBody:
    """The page; ``result.query_raw`` is the queryByParameter of the query that it continues."""
    return demographics_query.write_matches(message, result, _query_id(message), result.query_raw)


def write_error(message: SoapMessage, error: ExchangeError) -> SoapBody:
    """``AE`` or ``AR`` with an acknowledgementDetail for each finding, and no subject."""
    return demographics_query.write_refusal(message, error, _query_id(message), b"", PLACES)


def write_request(request: ContinuationRequest, devices: Devices, *, answered: str = "") -> SoapBody:
    """Write a request for a page. answered: id of the answer before (``root^extension``), which it acknowledges."""
    counts = "".join(
        f'<{name} value="{number}"/>'
        for name, number in (("startResultNumber", request.first), ("continuationQuantity", request.page_size))
        if number
    )
    return write_continuation(request.message_id, request.query_id, devices, counts, CONTINUE, answered)


def read_continuation(message: SoapMessage, status: str) -> tuple[str, list[Finding]]:
    """The queryId of a continuation or a cancellation, and what is wrong with its id and its status."""
    wrapper.check_interaction(message, INTERACTION)
    findings = []
    query_id = _query_id(message)
    if not query_id:
        place = f"/{INTERACTION}/{CONTINUATION}/queryId"
        findings.append(Finding(Reason.REQUIRED_MISSING, "queryId has to name the query.", place))
    if value_at(message.body, f"{CONTINUATION}/statusCode", "code") != status:
        place = f"/{INTERACTION}/{CONTINUATION}/statusCode"
        findings.append(Finding(Reason.NOT_IN_TABLE, f"statusCode has to be {status} here.", place))
    return query_id, findings


def write_continuation(
    message_id: str, query_id: str, devices: Devices, counts: str, status: str, answered: str
) -> SoapBody:
    """QUQI_IN000003UV01 of our own with this status."""
    content = (
        f'<queryContinuation>{write_id(query_id, "queryId")}{counts}<statusCode code="{status}"/></queryContinuation>'
    )
    acknowledged = (
        f'<acknowledgement><typeCode code="AA"/><targetMessage>{write_id(answered)}</targetMessage></acknowledgement>'
    )
    return wrapper.request(INTERACTION, devices, content, message_id=message_id, acknowledged=acknowledged)


def _query_id(message: SoapMessage) -> str:
    return id_text(at(message.body, f"{CONTINUATION}/queryId"))


def _count(root: etree._Element, name: str, findings: list[Finding]) -> int:
    """A number from 1, 0 where it did not come."""
    element = at(root, f"{CONTINUATION}/{name}")
    if element is None or attribute(element, "nullFlavor"):
        return 0
    number = whole_number(attribute(element, "value"))
    if not number:
        place = f"/{INTERACTION}/{CONTINUATION}/{name}"
        findings.append(Finding(Reason.WRONG_DATA_TYPE, f"{name} has to be a whole number greater than 0.", place))
    return number or 0
