"""ITI-46: a consumer is told of identifiers and nothing else (ITI TF-2: 3.46)."""

import pytest

from hie.values.demographics_queries import UpdateNotification
from hie.values.errors import ExchangeError, Reason
from hie.values.identifiers import AssigningAuthority, Identifier
from hie.wire.hl7v3 import update_notification
from hie.wire.hl7v3.datatypes import tag
from hie.wire.hl7v3.wrapper import Devices
from tests.wire.hl7v3.messages import code_at, sample, sent

UUID = "11111111-2222-3333-4444-555555555555"
IDENTIFIERS = (
    Identifier("0000123456", AssigningAuthority("1.2.392.100495.20.3.51.11311234567", "HOSP1")),
    Identifier("R1", AssigningAuthority("1.2.392.200250.9.1.1", "REGION")),
)


def test_what_is_written_is_read():
    body = update_notification.write_request(UpdateNotification(IDENTIFIERS, UUID), Devices("1.2.3.4", "1.2.3.5"))
    message = sent(body)
    assert message.body.tag == tag("PRPA_IN201302UV02")
    (name,) = message.body.iter(tag("name"))
    assert (name.get("nullFlavor"), len(name), name.text) == ("NA", 0, None)
    notification = update_notification.read_request(message)
    assert (notification.identifiers, notification.message_id) == (IDENTIFIERS, UUID)


def test_what_a_consumer_reads_and_answers():
    message = sample("ITI-46/notification.xml")
    assert update_notification.read_request(message) == UpdateNotification(IDENTIFIERS, UUID, "20250401103000+0900")
    answer = sent(update_notification.write_response(message))
    assert code_at(answer, "acknowledgement", "typeCode") == "CA"
    update_notification.read_response(answer)


def test_answers_of_consumers():
    update_notification.read_response(sample("ITI-46/accepted.xml"))
    with pytest.raises(ExchangeError) as caught:
        update_notification.read_response(sample("ITI-46/not-accepted.xml"))
    (finding,) = caught.value.findings
    assert finding.reason.value.hl7 == "204"
    assert finding.detail == "This domain is not ours."
    assert finding.location.endswith("patient/id[1]")


def test_a_notification_without_an_id_is_refused():
    message = sample("ITI-46/refused-without-id.xml")
    with pytest.raises(ExchangeError) as caught:
        update_notification.read_request(message)
    assert caught.value.reason is Reason.REQUIRED_MISSING
    answer = sent(update_notification.write_error(message, caught.value))
    assert code_at(answer, "acknowledgement", "typeCode") == "CE"


def test_an_answer_of_another_kind_is_no_acknowledgement():
    with pytest.raises(ExchangeError, match="UNREADABLE"):
        update_notification.read_response(sample("ITI-46/notification.xml"))
