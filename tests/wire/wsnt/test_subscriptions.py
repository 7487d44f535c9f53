"""ITI-52: what is subscribed to, until when, and every refusal by its name."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from hie.values.documents import StoredQuery
from hie.values.errors import ExchangeError, Finding, Reason
from hie.values.subscriptions import (
    MINIMAL_DOCUMENT_ENTRY,
    SUBMISSION_SET_METADATA,
    Duration,
    Subscription,
    SubscriptionAnswer,
    Unsubscription,
    UnsubscriptionAnswer,
)
from hie.wire.soap.envelope import SoapMessage, read_envelope, write_fault
from hie.wire.soap.faults import read_fault
from hie.wire.wsnt import faults, subscribe, unsubscribe
from hie.wire.wsnt.filters import FILTERS, TOPICS, TOPICS_OF
from hie.wire.wsnt.moments import read_moment, write_moment
from hie.wire.wsnt.names import BASE_FAULTS, RESOURCE, WSNT
from hie.wire.xml import parse
from tests.wire.ebxml import objects
from tests.wire.ebxml.messages import SAMPLES, message_of, sent

PATIENT = "R7K2M9QX^^^&1.2.392.200119.9.1&ISO"
ENTRY = "urn:uuid:aa2332d0-f8fe-11e0-be50-0800200c9a66"
JST_2031 = datetime(2031, 5, 31, 0, 0, 0, 250_000, UTC)


def sample(name: str) -> SoapMessage:
    return read_envelope((SAMPLES / name).read_bytes())


def changed(before: str, after: str, name: str = "ITI-52/subscribe.xml") -> Subscription:
    """The sample with something else in it."""
    text = (SAMPLES / name).read_text(encoding="utf-8")
    assert before in text
    return subscribe.read_request(read_envelope(text.replace(before, after).encode()))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<rim:Slot ", "<rim:Extra/><rim:Slot "),
        ("<rim:ValueList>", "<rim:ValueList/><rim:ValueList>"),
        ("<rim:Slot name=", "<rim:Slot names="),
    ],
)
def test_a_filter_is_built_as_ebrim_says(before: str, after: str) -> None:
    found = changed(before, after)
    assert {each.reason for each in found.findings} == {Reason.INVALID_FILTER}


def test_a_subscription() -> None:
    found = subscribe.read_request(sample("ITI-52/subscribe.xml"))
    assert found.findings == ()
    assert (found.consumer, found.topic) == ("https://clinic.example/notify", MINIMAL_DOCUMENT_ENTRY)
    assert found.query.query_id == ENTRY
    assert found.query.parameters == {
        "$XDSDocumentEntryPatientId": ((PATIENT,),),
        "$XDSDocumentEntryEventCodeList": (("ADM^^1.2.392.200119.9.9.1", "SURG^^1.2.392.200119.9.9.1"),),
    }
    assert found.until == JST_2031
    assert found.ends(datetime.now(UTC)) == JST_2031


def test_a_subscription_for_recipients() -> None:
    found = subscribe.read_request(sample("ITI-52/subscribe-for-recipients.xml"))
    assert found.findings == ()
    assert found.topic == SUBMISSION_SET_METADATA
    assert found.query.parameters == {"$XDSSubmissionSetIntendedRecipient": (("あおば診療所%", "|若葉%"),)}
    assert found.until == Duration(14, timedelta(days=3, hours=4))
    assert found.ends(datetime(2030, 1, 31, tzinfo=UTC)) == datetime(2031, 4, 3, 4, tzinfo=UTC)
    (inbox,) = map(etree.fromstring, found.consumer_parameters)
    assert (inbox.tag, inbox.text) == ("{urn:example:clinic}Inbox", "17")


@pytest.mark.parametrize("name", ["ITI-52/subscribe.xml", "ITI-52/subscribe-for-recipients.xml"])
def test_a_sample_is_read_and_written_and_read_again(name: str) -> None:
    found = subscribe.read_request(sample(name))
    again = subscribe.read_request(sent(subscribe.write_request(found)))
    assert (again.consumer, again.topic, again.until) == (found.consumer, found.topic, found.until)
    assert (again.query.query_id, again.query.parameters) == (found.query.query_id, found.query.parameters)
    assert len(again.consumer_parameters) == len(found.consumer_parameters)


def test_the_refused_sample_says_everything() -> None:
    found = subscribe.read_request(sample("ITI-52/refused-filter.xml"))
    assert [(each.reason, each.location) for each in found.findings] == [
        (Reason.INVALID_FILTER, "$XDSDocumentEntryPatientId"),
        (Reason.INVALID_FILTER, "$XDSDocumentEntryStatus"),
        (Reason.INVALID_FILTER, "$XDSDocumentEntryClassCode"),
        (Reason.SUBSCRIPTION_REFUSED, "ConsumerReference/Address"),
    ]


TOPIC = "ihe:MinimalDocumentEntry"
SIMPLE, ENDS = "TopicExpression/Simple", "2031-05-31T09:00:00.25+09:00"
URL = "https://clinic.example/notify"


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (SIMPLE, "TopicExpression/Full", Reason.TOPIC_DIALECT_UNKNOWN),
        (TOPIC, "ihe:*", Reason.INVALID_TOPIC),
        (TOPIC, "", Reason.INVALID_TOPIC),
        (TOPIC, "ihe:Everything", Reason.TOPIC_NOT_SUPPORTED),
        (TOPIC, SUBMISSION_SET_METADATA, Reason.INVALID_FILTER),
        (ENTRY, "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d", Reason.INVALID_FILTER),
        (ENTRY, "urn:uuid:9376254e-da05-41f5-9af3-ac56d63d8ebd", Reason.INVALID_FILTER),
        ("EventCodeList", "CreationTimeFrom", Reason.INVALID_FILTER),
        (f"'{PATIENT}'".replace("&", "&amp;"), "'山田'", Reason.INVALID_FILTER),
        ("</wsnt:Filter>", "<wsnt:MessageContent/></wsnt:Filter>", Reason.INVALID_FILTER),
        ("<wsnt:Filter>", "<wsnt:Filter><wsnt:TopicExpression/>", Reason.INVALID_FILTER),
        ("wsnt:Filter>", "wsnt:Other>", Reason.INVALID_FILTER),
        (ENDS, "tomorrow", Reason.TERMINATION_TIME),
        (ENDS, "-P1D", Reason.TERMINATION_TIME),
        (ENDS, "P9000Y", Reason.TERMINATION_TIME),
        (ENDS, "2031-02-30T00:00:00Z", Reason.TERMINATION_TIME),
        (URL, "ftp://clinic.example/", Reason.SUBSCRIPTION_REFUSED),
        (URL, "https://user@clinic.example/", Reason.SUBSCRIPTION_REFUSED),
        (URL, "http://[", Reason.SUBSCRIPTION_REFUSED),
        (URL, "https://clinic.example/" + "x" * 1000, Reason.SUBSCRIPTION_REFUSED),
        (
            "</wsnt:Subscribe>",
            "<wsnt:SubscriptionPolicy><wsnt:UseRaw/></wsnt:SubscriptionPolicy></wsnt:Subscribe>",
            Reason.POLICY_NOT_SUPPORTED,
        ),
        (
            "</wsnt:Subscribe>",
            "<wsnt:SubscriptionPolicy><Own xmlns='urn:x'/></wsnt:SubscriptionPolicy></wsnt:Subscribe>",
            Reason.SUBSCRIPTION_POLICY,
        ),
        (ENDS, "", Reason.TERMINATION_TIME),
        ("</wsnt:Subscribe>", "<wsnt:Filter/></wsnt:Subscribe>", Reason.SUBSCRIPTION_REFUSED),
        ("</wsnt:Subscribe>", "<wsnt:ConsumerReference/></wsnt:Subscribe>", Reason.SUBSCRIPTION_REFUSED),
        (
            "</wsnt:Subscribe>",
            "<wsnt:InitialTerminationTime>P1D</wsnt:InitialTerminationTime></wsnt:Subscribe>",
            Reason.SUBSCRIPTION_REFUSED,
        ),
    ],
)
def test_refusals(before: str, after: str, reason: Reason) -> None:
    found = changed(before, after)
    assert reason in {each.reason for each in found.findings}
    assert all("山田" not in each.detail for each in found.findings)


def test_no_end_at_all_may_be_asked_for() -> None:
    """WS-BaseNotification 1.3: 4.2, InitialTerminationTime with xsi:nil."""
    nil = '<wsnt:InitialTerminationTime xmlns:x="http://www.w3.org/2001/XMLSchema-instance" x:nil="true"/>'
    found = changed(f"<wsnt:InitialTerminationTime>{ENDS}</wsnt:InitialTerminationTime>", nil)
    assert (found.until, found.findings) == (None, ())


def test_a_consumer_cannot_write_our_headers() -> None:
    with pytest.raises(ExchangeError):
        changed("clinic:Inbox", "wsa:To", "ITI-52/subscribe-for-recipients.xml")


def test_every_filter_has_its_topics() -> None:
    assert FILTERS.keys() == TOPICS_OF.keys()
    assert frozenset().union(*TOPICS_OF.values()) == TOPICS


values: st.SearchStrategy[Any] = st.lists(objects.texts, min_size=1, max_size=3).map(tuple)


@given(values, st.datetimes(datetime(1970, 1, 1), datetime(9000, 1, 1), timezones=st.just(UTC)))
def test_any_subscription_comes_through(recipients: tuple[str, ...], until: datetime) -> None:
    query = StoredQuery(
        "urn:uuid:868cad3d-ec09-4565-b66c-1be10d034399", {"$XDSSubmissionSetIntendedRecipient": (recipients,)}
    )
    asked = Subscription("https://x.example/", SUBMISSION_SET_METADATA, query, until)
    found = subscribe.read_request(sent(subscribe.write_request(asked)))
    assert (found.query.parameters, found.until, found.findings) == (query.parameters, until, ())


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2031-05-31T00:00:00Z", datetime(2031, 5, 31, tzinfo=UTC)),
        ("2031-05-31T09:00:00+09:00", datetime(2031, 5, 31, tzinfo=UTC)),
        ("2031-05-31T00:00:00.1234567", datetime(2031, 5, 31, 0, 0, 0, 123_456, UTC)),
        ("P1Y", Duration(12)),
        ("P30D", Duration(0, timedelta(days=30))),
        ("PT1M", Duration(0, timedelta(minutes=1))),
        ("P1MT0.5S", Duration(1, timedelta(seconds=0.5))),
        ("P", None),
        ("PT", None),
        ("P1DT", None),
        ("P1H", None),
        ("-P1D", None),
        ("2031-05-31", None),
        ("２０31-05-31T00:00:00Z", None),
        ("2031-05-31T00:00:00+99:00", None),
        ("P" + "9" * 40 + "D", None),
        ("0001-01-01T00:00:00+01:00", None),
        ("", None),
    ],
)
def test_moments(text: str, moment: datetime | Duration | None) -> None:
    assert read_moment(text) == moment


durations = st.builds(Duration, st.integers(0, 10**6 - 1), st.timedeltas(timedelta(), timedelta(days=10**5)))


@given(durations)
def test_any_duration_comes_through(duration: Duration) -> None:
    assert read_moment(write_moment(duration)) == duration


def test_the_last_day_of_a_shorter_month() -> None:
    assert Duration(1).after(datetime(2032, 1, 31, tzinfo=UTC)) == datetime(2032, 2, 29, tzinfo=UTC)
    with pytest.raises(OverflowError):
        Duration(12 * 9000).after(datetime(2032, 1, 31, tzinfo=UTC))


def test_the_answer() -> None:
    reference = unsubscribe.reference("https://exchange.example/soap/broker", "a&b")
    now = datetime(2030, 1, 1, tzinfo=UTC)
    for ends in (JST_2031, None):
        answer = SubscriptionAnswer(reference, now, ends)
        body = subscribe.write_response(sample("ITI-52/subscribe.xml"), answer)
        assert subscribe.read_response(sent(body)) == answer
        names = [etree.QName(each).localname for each in parse(body.parts[0])]
        assert names == ["SubscriptionReference", "CurrentTime", *(["TerminationTime"] if ends else [])]
    assert unsubscribe.subscription_id(reference) == "a&b"
    with pytest.raises(ExchangeError):
        subscribe.read_response(message_of(parse(b"<a/>")))


def test_the_end() -> None:
    message = sample("ITI-52/unsubscribe.xml")
    asked = unsubscribe.read_request(message)
    assert unsubscribe.subscription_id(asked.reference) == "382dcdc7-8e84-4fdc-8443-48fd83bca938"
    assert sent(unsubscribe.write_request(asked)).body.tag == f"{{{WSNT}}}Unsubscribe"
    answer = unsubscribe.write_response(message, UnsubscriptionAnswer())
    assert unsubscribe.read_response(sent(answer)) == UnsubscriptionAnswer()
    for codec in (subscribe, unsubscribe):
        with pytest.raises(ExchangeError):
            codec.read_request(message_of(parse(b"<a/>")))


@pytest.mark.parametrize("address", ["", "https://x.example/soap/broker", "http://[", "?" + "a=1&" * 100])
def test_what_is_no_subscription(address: str) -> None:
    assert unsubscribe.subscription_id(Unsubscription(address).reference) == ""


SUBSCRIBE_FAULTS = {
    Reason.INVALID_FILTER: "InvalidFilterFault",
    Reason.TOPIC_DIALECT_UNKNOWN: "TopicExpressionDialectUnknownFault",
    Reason.INVALID_TOPIC: "InvalidTopicExpressionFault",
    Reason.TOPIC_NOT_SUPPORTED: "TopicNotSupportedFault",
    Reason.TERMINATION_TIME: "UnacceptableInitialTerminationTimeFault",
    Reason.SUBSCRIPTION_POLICY: "UnrecognizedPolicyRequestFault",
    Reason.POLICY_NOT_SUPPORTED: "UnsupportedPolicyRequestFault",
    Reason.SUBSCRIPTION_REFUSED: "SubscribeCreationFailedFault",
    Reason.BUSY: "SubscribeCreationFailedFault",
    Reason.CALLER_NOT_ENTITLED: "SubscribeCreationFailedFault",
}
UNSUBSCRIBE_FAULTS = {
    Reason.UNKNOWN_SUBSCRIPTION: "ResourceUnknownFault",
    Reason.SUBSCRIPTION_KEPT: "UnableToDestroySubscriptionFault",
    Reason.BUSY: "UnableToDestroySubscriptionFault",
}


@pytest.mark.parametrize(
    ("codec", "reason", "name"),
    [(subscribe, *each) for each in SUBSCRIBE_FAULTS.items()]
    + [(unsubscribe, *each) for each in UNSUBSCRIBE_FAULTS.items()],
)
def test_a_refusal_is_a_fault_by_its_name(codec: Any, reason: Reason, name: str) -> None:
    error = ExchangeError.of([Finding(reason, "Change <this> & that.", "x"), Finding(reason, "And this.", "y")])
    fault = codec.write_error(sample("ITI-52/subscribe.xml"), error)
    message = read_envelope(write_fault(fault, "urn:uuid:1"))
    (detail,) = message.body.find("{http://www.w3.org/2003/05/soap-envelope}Detail")
    namespace = RESOURCE if name == "ResourceUnknownFault" else WSNT
    assert detail.tag == f"{{{namespace}}}{name}"
    assert detail[0].tag == f"{{{BASE_FAULTS}}}Timestamp"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", detail[0].text)
    assert detail[1].text == "Change <this> & that. And this."
    assert message.action.startswith("http://docs.oasis-open.org/wsr" if namespace == RESOURCE else f"{WSNT[:-3]}fault")
    assert fault.findings == error.findings
    received = read_fault(message.body)
    assert received is not None
    assert received.code == reason.value.fault
    if reason.name not in ("BUSY", "CALLER_NOT_ENTITLED"):
        assert faults.error_of(received).reason is reason


def test_the_particular_parts_of_faults() -> None:
    message = sample("ITI-52/subscribe.xml")
    wrong_topic = subscribe.write_error(message, ExchangeError(Reason.INVALID_FILTER, "x", "Filter/TopicExpression"))
    assert b"<wsnt:UnknownFilter>wsnt:TopicExpression</wsnt:UnknownFilter>" in wrong_topic.element
    wrong_query = subscribe.write_error(message, ExchangeError(Reason.INVALID_FILTER, "x", "$XDSDocumentEntryStatus"))
    assert b"<wsnt:UnknownFilter>rim:AdhocQuery</wsnt:UnknownFilter>" in wrong_query.element
    past = subscribe.write_error(message, ExchangeError(Reason.TERMINATION_TIME, "x"))
    assert b"<wsnt:MinimumTime>20" in past.element


def test_samples_are_whole() -> None:
    """Each sample of the family is read by some test of this room."""
    named = set(
        re.findall(r"ITI-5[234]/[a-z-]+\.xml", "".join(map(Path.read_text, Path(__file__).parent.glob("*.py"))))
    )
    assert {str(each.relative_to(SAMPLES)) for n in (52, 53, 54) for each in SAMPLES.glob(f"ITI-{n}/*")} <= named
