"""ITI-10: a consumer is told of identifiers and nothing else (ITI TF-2: 3.10)."""

import pytest

from hie.values.demographics_queries import UpdateNotification
from hie.values.errors import ExchangeError, Reason
from hie.values.identifiers import AssigningAuthority, Identifier
from hie.wire.hl7v2 import update_notification
from hie.wire.hl7v2.message import Message
from hie.wire.hl7v2.structures import conformance
from hie.wire.hl7v2.writer import Parties
from tests.wire.hl7v2.samples import sample

HOSPITAL = AssigningAuthority("1.2.392.100495.20.3.51.11311234567", "HOSP1")
REGION = AssigningAuthority("1.2.392.200250.9.1.1", "REGION")
PARTIES = Parties("PIX", "RHIE", "HIS", "HOSP1")
NOTIFICATION = UpdateNotification(
    (Identifier("0000123456", HOSPITAL, "PI"), Identifier("R1", REGION)), "N0001", "20250401103000+0900"
)


def test_what_is_written():
    written = update_notification.write_request(NOTIFICATION, PARTIES)
    lines = written.decode("ascii").rstrip("\r").split("\r")
    assert "|ADT^A31^ADT_A05|N0001|P|2.5" in lines[0]
    assert lines[2:] == [
        f"PID|||0000123456^^^HOSP1&{HOSPITAL.oid}&ISO^PI~R1^^^REGION&{REGION.oid}&ISO|| ",
        "PV1||N",
    ]
    message = Message.read(written)
    assert message.first("PID").field(5) == " "
    assert conformance(message, "ADT_A05") == []
    assert update_notification.read_request(message) == NOTIFICATION


def test_an_identifier_beyond_ascii_brings_its_character_set():
    notification = UpdateNotification((Identifier("患者１", HOSPITAL),), "N1")
    message = Message.read(update_notification.write_request(notification, PARTIES))
    assert message.header.field(18) == "UNICODE UTF-8"
    assert update_notification.read_request(message).identifiers == notification.identifiers


def test_what_a_consumer_reads_and_answers():
    message = sample("ITI-10/a31.hl7")
    assert update_notification.read_request(message) == NOTIFICATION
    update_notification.read_response(Message.read(update_notification.write_response(message)))


def test_a_refusal_says_what_the_consumer_found():
    with pytest.raises(ExchangeError) as caught:
        update_notification.read_response(sample("ITI-10/ack-refused.hl7"))
    (finding,) = caught.value.findings
    assert (finding.reason.value.hl7, finding.location) == ("204", "PID^1^3^1^4")
    assert finding.detail == "This domain is not ours."


def test_a_notification_without_an_id_is_refused():
    message = sample("ITI-10/refused-without-id.hl7")
    with pytest.raises(ExchangeError) as caught:
        update_notification.read_request(message)
    assert caught.value.reason is Reason.REQUIRED_MISSING
    answer = Message.read(update_notification.write_error(message, caught.value))
    assert (answer.first("MSA").field(1), answer.first("ERR").field(2)) == ("AE", "PID^1^3^1^1")
