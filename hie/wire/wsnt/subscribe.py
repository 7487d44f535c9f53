"""The codec of ITI-52, Document Metadata Subscribe (ITI TF-2: 3.52.4.1, 3.52.4.2); its end is ``unsubscribe.py``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import urlsplit

from lxml import etree

from hie.values.documents import StoredQuery
from hie.values.errors import ExchangeError, Finding, Reason
from hie.values.subscriptions import Duration, Subscription, SubscriptionAnswer
from hie.wire.ebxml.names import RIM, rim
from hie.wire.ebxml.stored_query import check, read_parameters, write_parameters
from hie.wire.ebxml.structure import findings_of
from hie.wire.soap.envelope import SoapBody, SoapMessage
from hie.wire.soap.envelope import read_parameters as read_reference_parameters
from hie.wire.soap.faults import WSA, SoapFault
from hie.wire.wsnt.faults import fault_of
from hie.wire.wsnt.filters import FILTERS, TOPICS, TOPICS_OF
from hie.wire.wsnt.moments import read_moment, write_moment
from hie.wire.wsnt.names import SIMPLE_DIALECT, WSNT, wsnt
from hie.wire.xml import escape

_REQUEST, _RESPONSE, _FILTER = wsnt("Subscribe"), wsnt("SubscribeResponse"), wsnt("Filter")
_CONSUMER, _ADDRESS = wsnt("ConsumerReference"), f"{{{WSA}}}Address"
_TOPIC, _QUERY = wsnt("TopicExpression"), rim("AdhocQuery")
_UNTIL, _POLICY = wsnt("InitialTerminationTime"), wsnt("SubscriptionPolicy")
_USE_RAW = wsnt("UseRaw")
_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_REFERENCE, _NOW, _ENDS = wsnt("SubscriptionReference"), wsnt("CurrentTime"), wsnt("TerminationTime")
_QNAME = re.compile(r"[^\W\d][\w.-]{0,99}(?::[^\W\d][\w.-]{0,99})?")
_MAX_URL = 1000


def read_request(message: SoapMessage) -> Subscription:
    """The subscription in the body; what is wrong with it stands in its ``findings`` and is the verb's to refuse.

    Raises ExchangeError where the body is no wsnt:Subscribe.
    """
    request = message.body
    if request.tag != _REQUEST:
        raise ExchangeError(Reason.UNREADABLE, "The body has to be wsnt:Subscribe.")
    findings: list[Finding] = []
    topic = _read_topic(request, findings)
    query = _read_query(request, topic, findings)
    consumer = _read_consumer(request, findings)
    until = _read_until(request, findings)
    findings += _unknown_parts(request)
    reference = request.find(_CONSUMER)
    parameters = () if reference is None else read_reference_parameters(reference)
    return Subscription(consumer, topic, query, until, parameters, tuple(findings))


def write_response(message: SoapMessage, result: SubscriptionAnswer) -> SoapBody:
    """The subscription is made: its own address, our clock, and when it ends."""
    ends = ""
    if result.termination_time is not None:
        ends = f"<wsnt:TerminationTime>{write_moment(result.termination_time)}</wsnt:TerminationTime>"
    return SoapBody(
        (
            (
                f'<wsnt:SubscribeResponse xmlns:wsnt="{WSNT}" xmlns:wsa="{WSA}"><wsnt:SubscriptionReference>'
                f"<wsa:Address>{escape(result.reference)}</wsa:Address></wsnt:SubscriptionReference>"
                f"<wsnt:CurrentTime>{write_moment(result.current_time)}</wsnt:CurrentTime>{ends}"
                "</wsnt:SubscribeResponse>"
            ).encode(),
        )
    )


def write_error(message: SoapMessage, error: ExchangeError) -> SoapFault:
    """A fault of WS-BaseNotification: this dialect has no other way to refuse."""
    return fault_of(error, Reason.SUBSCRIPTION_REFUSED)


def write_request(subscription: Subscription) -> SoapBody:
    """The request of a client."""
    query = subscription.query
    until = ""
    if subscription.until is not None:
        until = f"<wsnt:InitialTerminationTime>{write_moment(subscription.until)}</wsnt:InitialTerminationTime>"
    parameters = b"".join(subscription.consumer_parameters).decode("ascii")
    if parameters:
        parameters = f"<wsa:ReferenceParameters>{parameters}</wsa:ReferenceParameters>"
    return SoapBody(
        (
            (
                f'<wsnt:Subscribe xmlns:wsnt="{WSNT}" xmlns:wsa="{WSA}" xmlns:rim="{RIM}"><wsnt:ConsumerReference>'
                f"<wsa:Address>{escape(subscription.consumer)}</wsa:Address>{parameters}</wsnt:ConsumerReference>"
                f'<wsnt:Filter><wsnt:TopicExpression Dialect="{SIMPLE_DIALECT}">{escape(subscription.topic)}'
                f'</wsnt:TopicExpression><rim:AdhocQuery id="{escape(query.query_id)}">'
                f"{write_parameters(query, FILTERS.get(query.query_id))}</rim:AdhocQuery></wsnt:Filter>{until}"
                "</wsnt:Subscribe>"
            ).encode(),
        )
    )


def read_response(message: SoapMessage) -> SubscriptionAnswer:
    """The answer as a client reads it; a fault is raised by the SOAP client and read by ``faults.error_of``."""
    address = (message.body.findtext(f"{_REFERENCE}/{_ADDRESS}") or "").strip()
    if message.body.tag != _RESPONSE or not address:
        detail = "The answer has to be wsnt:SubscribeResponse with the address of the subscription."
        raise ExchangeError(Reason.UNREADABLE, detail)
    now, ends = (_moment(message.body.findtext(name)) for name in (_NOW, _ENDS))
    return SubscriptionAnswer(address, now or datetime.now(UTC), ends)


def _moment(text: str | None) -> datetime | None:
    moment = read_moment((text or "").strip())
    return None if isinstance(moment, Duration) else moment


def _read_topic(request: etree._Element, findings: list[Finding]) -> str:
    """The one topic, as written. Its prefix is a part of the name: the standard binds it to no namespace."""
    expressions = request.findall(f"{_FILTER}/{_TOPIC}")
    if len(expressions) != 1:
        detail = f"The Filter has to have exactly one TopicExpression, not {len(expressions)}."
        findings.append(Finding(Reason.INVALID_FILTER, detail, "Filter/TopicExpression"))
        return ""
    topic = (expressions[0].text or "").strip()
    place = "Filter/TopicExpression"
    if (expressions[0].get("Dialect") or "").strip() != SIMPLE_DIALECT:
        detail = f"TopicExpression/@Dialect has to be {SIMPLE_DIALECT}."
        findings.append(Finding(Reason.TOPIC_DIALECT_UNKNOWN, detail, place))
    elif len(expressions[0]) or not _QNAME.fullmatch(topic):
        detail = "The TopicExpression has to be the name of one topic, such as ihe:FullDocumentEntry."
        findings.append(Finding(Reason.INVALID_TOPIC, detail, place))
    elif topic not in TOPICS:
        detail = f"The topic is not known here; there are {', '.join(sorted(TOPICS))}."
        findings.append(Finding(Reason.TOPIC_NOT_SUPPORTED, detail, place))
    return topic


def _read_query(request: etree._Element, topic: str, findings: list[Finding]) -> StoredQuery:
    queries = request.findall(f"{_FILTER}/{_QUERY}")
    if len(queries) != 1:
        detail = f"The Filter has to have exactly one rim:AdhocQuery, not {len(queries)}."
        findings.append(Finding(Reason.INVALID_FILTER, detail, "Filter/AdhocQuery"))
        return StoredQuery("", {})
    query_id = (queries[0].get("id") or "").strip().lower()
    said = findings_of(queries[0])
    parameters = read_parameters(queries[0], said)
    row = FILTERS.get(query_id)
    if row is None:
        detail = "The id of the AdhocQuery names no filter of subscriptions that is known here."
        said.append(Finding(Reason.INVALID_FILTER, detail, "Filter/AdhocQuery/@id"))
    else:
        said += check(row, parameters)
        if topic in TOPICS and topic not in TOPICS_OF[query_id]:
            topics = " or ".join(sorted(TOPICS_OF[query_id]))
            detail = f"{row.name[:1].upper()}{row.name[1:]} goes with the topic {topics}."
            said.append(Finding(Reason.INVALID_FILTER, detail, "Filter/AdhocQuery/@id"))
    findings += [replace(each, reason=Reason.INVALID_FILTER) for each in said]
    raw = etree.tostring(request, encoding="UTF-8", with_tail=False)
    return StoredQuery(query_id, parameters, raw=raw)


def _read_consumer(request: etree._Element, findings: list[Finding]) -> str:
    """Where notifications go. Whether it may be written to is the verb's to know."""
    address = (request.findtext(f"{_CONSUMER}/{_ADDRESS}") or "").strip()
    try:
        parts = urlsplit(address)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and not (parts.username or parts.fragment)
    except ValueError:
        good = False
    if not good or len(address) > _MAX_URL or re.search(r"\s", address):
        detail = f"ConsumerReference/Address has to be a URL https:// of at most {_MAX_URL} characters."
        findings.append(Finding(Reason.SUBSCRIPTION_REFUSED, detail, "ConsumerReference/Address"))
        return ""
    return address


def _read_until(request: etree._Element, findings: list[Finding]) -> datetime | Duration | None:
    text = (request.findtext(_UNTIL) or "").strip()
    until = read_moment(text)
    try:
        if isinstance(until, Duration):
            until.after(datetime.now(UTC))
    except OverflowError:
        until = None
    element = request.find(_UNTIL)
    nothing = element is None or element.get(_NIL, "").strip() in ("1", "true")
    if until is None and (text or not nothing):
        detail = "InitialTerminationTime has to be a dateTime such as 2030-01-31T00:00:00Z, or a duration such as P30D."
        findings.append(Finding(Reason.TERMINATION_TIME, detail, "InitialTerminationTime"))
    return until


def _unknown_parts(request: etree._Element) -> Iterator[Finding]:
    for each in request.iterfind(f"{_FILTER}/*"):
        if each.tag not in (_TOPIC, _QUERY):
            detail = f"The filter {etree.QName(each).localname} is not known here; use a rim:AdhocQuery."
            yield Finding(Reason.INVALID_FILTER, detail, "Filter")
    for each in request.iterfind(f"{_POLICY}/*"):
        if each.tag == _USE_RAW:
            detail = "Notifications come in wsnt:Notify (ITI TF-2: 3.53.4.1.2); leave wsnt:UseRaw out."
            yield Finding(Reason.POLICY_NOT_SUPPORTED, detail, "SubscriptionPolicy")
        elif isinstance(each.tag, str):
            detail = f"The SubscriptionPolicy {etree.QName(each).localname} is not known here; leave it out."
            yield Finding(Reason.SUBSCRIPTION_POLICY, detail, "SubscriptionPolicy")
    for name in (_CONSUMER, _FILTER, _UNTIL, _POLICY):
        if len(request.findall(name)) > 1:
            place = etree.QName(name).localname
            yield Finding(Reason.SUBSCRIPTION_REFUSED, f"{place} may be given once only.", place)
