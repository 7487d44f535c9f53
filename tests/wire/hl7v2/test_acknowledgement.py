"""Refusals of what no transaction took: there is an answer to everything, in the form the sender can read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hie.values.errors import HL7_TABLE_0357, ExchangeError, Reason
from hie.wire.hl7v2.acknowledgement import accept, read_acknowledgement, refusal, refuse
from hie.wire.hl7v2.message import Message

UNREADABLE = ExchangeError(Reason.UNREADABLE, "The message does not begin with an MSH segment.", "MSH^1")


@pytest.mark.parametrize(
    ("error", "err"),
    [
        (ExchangeError(Reason.UNSUPPORTED_MESSAGE, "No.", "MSH^1^9^1^1"), ("MSH^1^9^1^1", "200")),
        (ExchangeError(Reason.UNSUPPORTED_EVENT, "No.", "MSH^1^9^1^2"), ("MSH^1^9^1^2", "201")),
        (ExchangeError(Reason.BUSY, "Later."), ("", "207")),
    ],
)
def test_a_message_that_no_door_knows(error, err):
    message = Message.read(b"MSH|^~\\&|HIS|HOSP1|HIE|REGION|2025||MDM^T01^MDM_T01|M1|P|2.5\r")
    answer = Message.read(refusal(message, error))
    assert answer.header.field(9) == "ACK^T01^ACK"
    assert answer.first("MSA").fields == ["MSA", "AR", "M1"]
    location, code = err
    assert answer.first("ERR").fields[2:5] == [location, f"{code}^{HL7_TABLE_0357[code]}^HL70357", "E"]


@pytest.mark.parametrize(
    ("raw", "parties", "control_id"),
    [
        (b"", ["HIE", "", "", ""], ""),
        (b"GET / HTTP/1.1\r\n\r\n", ["HIE", "", "", ""], ""),
        (b"MSH|^^^&|HIS|HOSP1|X|REGION|2025||ADT^A01|M1|P|2.5\rPID", ["X", "REGION", "HIS", "HOSP1"], "M1"),
        (
            b"\x0bMSH|^~\\&|HIS|HOSP1|X|REGION|2025||ADT^A01|M1|P|2.5\r" + b"x" * 9,
            ["X", "REGION", "HIS", "HOSP1"],
            "M1",
        ),
        (b"MSH|^^^&|A\x1cB|\x0b|X|Y|||ADT^A01|M\x1c\r1|P|2.5", ["X", "Y", "A\\X1C\\B", "\\X0B\\"], "M\\X1C\\"),
    ],
)
def test_bytes_that_are_no_message_are_answered_as_far_as_their_header_can_be_made_out(raw, parties, control_id):
    written = refusal(raw, UNREADABLE)
    answer = Message.read(written)
    assert [answer.header.field(number) for number in (3, 4, 5, 6)] == parties
    assert (answer.first("MSA").field(1), answer.first("MSA").field(2)) == ("AR", control_id)
    assert b"\x0b" not in written
    assert b"\x1c" not in written


@given(st.one_of(st.binary(max_size=120), st.binary(max_size=80).map(lambda raw: b"MSH|^~\\&|" + raw)))
def test_everything_is_answered(raw):
    written = refusal(raw, UNREADABLE)
    assert Message.read(written).first("MSA").field(1) == "AR"
    assert not {0x0B, 0x1C} & set(written)


@pytest.mark.parametrize(
    ("declared", "body", "answered"),
    [
        (b"", b"", ("", "")),
        (b"UNICODE UTF-8", b"", ("UNICODE UTF-8", "")),
        (b"ISO IR87", "山".encode("iso2022_jp"), ("ISO IR87", "")),
        (b"", "山".encode("iso2022_jp"), ("~ISO IR87", "ISO 2022-1994")),
        (b"", "山".encode(), ("UNICODE UTF-8", "")),
        (b"UNICODE UTF-8", "山".encode("iso2022_jp"), ("~ISO IR87", "ISO 2022-1994")),
    ],
)
def test_an_answer_is_labelled_with_the_set_it_is_written_in(declared, body, answered):
    raw = b"MSH|^~\\&|H|" + body + b"|X|Y|2025||ADT^A01|1|P|2.5||||||" + declared + b"\r"
    answer = Message.read(accept(Message.read(raw)))
    assert (answer.header.field(18), answer.header.field(20)) == answered
    assert answer.header.field(6) == Message.read(raw).header.field(4)
    assert answer.warnings == ()


def test_an_unknown_version_is_answered_in_2_5():
    message = Message.read(b"MSH|^~\\&|A|B|C|D|2025||ADT^A01|1|P|3.1415926\r")
    assert Message.read(refuse(message, UNREADABLE)).version == "2.5"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"MSA|AA|1", None),
        (b"MSA|CA|1", None),
        (b"MSA|AE|1\rERR||PID^1^3|204^Unknown key^HL70357|E", Reason.UNKNOWN_KEY),
        (b"MSA|AE|1\rERR|PID^1^3^205&Duplicate&HL70357", Reason.DUPLICATE_KEY),
        (b"MSA|AR|1\rERR|||999^Odd^L|E", Reason.INTERNAL),
        (b"MSA|AR|1", Reason.INTERNAL),
        (b"MSA|", Reason.INTERNAL),
        (b"EVN|", Reason.UNREADABLE),
    ],
)
def test_answers_to_our_own_messages(answer, reason):
    message = Message.read(b"MSH|^~\\&|A|B|C|D|2025||ACK|1|P|2.5\r" + answer)
    if reason is None:
        read_acknowledgement(message)
        return
    with pytest.raises(ExchangeError) as refused:
        read_acknowledgement(message)
    assert refused.value.reason is reason
