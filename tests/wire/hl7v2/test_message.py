"""The lazy reader: positions as HL7 counts them, tolerance in form, and two independent readers as oracles."""

import re

import hl7
import pytest
from hl7apy.parser import parse_message
from hypothesis import given
from hypothesis import strategies as st

from hie.values.errors import ExchangeError, Reason
from hie.wire.hl7v2.charset import decode, encode
from hie.wire.hl7v2.message import Delimiters, Message, unescape
from hie.wire.hl7v2.writer import components, escape, segment
from tests.conformance import CONFORMANCE, needs_conformance
from tests.wire.hl7v2.samples import MESSAGE_SAMPLES, SAMPLES, sample

HEADER = b"MSH|^~\\&|HIS|HOSP1|HIE|REGION|20250401||ADT^A01^ADT_A01|C1|P|2.5\r"


def test_a_message_says_who_sent_what():
    message = sample("ITI-8/a04-jis.hl7")
    assert (message.trigger, message.structure, message.version) == ("ADT^A04", "ADT_A01", "2.3.1")
    assert (message.control_id, message.sender) == ("F0001", "HOSP1|HIS")
    assert (message.charset, message.warnings) == ("ISO IR87", ())
    assert message.raw == (SAMPLES / "ITI-8/a04-jis.hl7").read_bytes()


def test_positions_are_counted_as_hl7_counts_them():
    message = sample("ITI-8/a04-jis.hl7")
    pid = message.first("PID")
    assert (message.header.field(1), message.header.field(2), message.header.field(3)) == ("|", "^~\\&", "HIS")
    assert message.header.component(2, 1) == "^~\\&" or message.header.repetitions(2) == ["^~\\&"]
    assert pid.component(5, 1) == "山本"
    assert pid.component(5, 2, rep=1) == "ヒデミ"
    assert pid.component(3, 4, sub=2) == "1.2.392.100495.20.3.51.11311234567"
    assert pid.component(3, 4) == "&1.2.392.100495.20.3.51.11311234567&ISO"
    assert pid.component(3, 1, rep=1) == "R0000001"
    assert (pid.field(99), pid.component(5, 99), pid.component(5, 1, rep=9), pid.component(3, 1, sub=9)) == ("",) * 4
    assert [each.name for each in message.all("PID")] == ["PID"]
    assert message.first("ZZZ") is None


@pytest.mark.parametrize(
    ("body", "warnings"),
    [
        (b"PID|||1\r", ()),
        (b"PID|||1\rZXX|anything\r", ()),
        (b"PID|||1", ("TERM-03",)),
        (b"PID|||1\r\x1c\r", ("TERM-02",)),
        (b"PID|||1\n", ("TERM-01",)),
        (b"\r\nPID|||1\r\n", ("TERM-01",)),
    ],
)
def test_forms_that_are_tolerated(body, warnings):
    message = Message.read(HEADER + body)
    assert message.first("PID").field(3) == "1"
    assert message.warnings == warnings


def test_a_line_end_inside_a_value_stays_in_the_value():
    message = Message.read(HEADER + b"OBX|1|TX|||first\nsecond|x\rPV1|1\r")
    assert [each.name for each in message.segments] == ["MSH", "OBX", "PV1"]
    assert message.first("OBX").field(5) == "first\nsecond"
    assert message.warnings == ("TERM-01", "TERM-04")


def test_the_frame_is_no_part_of_the_message():
    assert Message.read(b"\x0b" + HEADER + b"PID|||1\r\x1c\r").first("PID").field(3) == "1"


def test_delimiters_come_from_the_header():
    message = sample("ITI-9/q23-other-delimiters.hl7")
    assert message.delimiters == Delimiters("$", "!", "*", "?", "%")
    assert message.trigger == "QBP^Q23"
    assert message.first("QPD").component(2, 1) == "T$4"
    assert message.first("QPD").component(3, 4, sub=3) == "ISO"


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("A\\T\\B", "A&B"),
        ("\\F\\\\S\\\\R\\\\E\\\\T\\", "|^~\\&"),
        ("one\\.br\\two", "one\ntwo"),
        ("\\X41\\", "A"),
        ("\\X1B2442\\", ""),
        ("\\H\\bold\\N\\", "bold"),
        ("\\Zlocal\\", "\\Zlocal\\"),
        ("C:\\", "C:\\"),
        ("\\X4\\", "\\X4\\"),
    ],
)
def test_escapes_are_undone(written, value):
    assert unescape(written) == value


@pytest.mark.parametrize(
    ("raw", "reason", "location"),
    [
        (b"", Reason.UNREADABLE, "MSH^1"),
        (b"PID|||1\r", Reason.UNREADABLE, "MSH^1"),
        (b"MSH", Reason.UNREADABLE, "MSH^1^1"),
        (b"MSHA^~\\&A", Reason.UNREADABLE, "MSH^1^1"),
        (b"MSH|", Reason.UNREADABLE, "MSH^1^2"),
        (b"MSH|^^\\&|", Reason.UNREADABLE, "MSH^1^2"),
        (b"MSH|ABCD|", Reason.UNREADABLE, "MSH^1^2"),
        (HEADER + b"Z" * 300, Reason.TOO_LARGE, ""),
        (HEADER + b"NTE\r" * 50, None, ""),
    ],
)
def test_what_cannot_be_read_is_refused(raw, reason, location):
    if reason is None:
        assert len(Message.read(raw, max_bytes=300).segments) == 51
        return
    with pytest.raises(ExchangeError) as refused:
        Message.read(raw, max_bytes=300)
    assert (refused.value.reason, refused.value.findings[0].location) == (reason, location)


def test_too_many_segments_are_refused():
    with pytest.raises(ExchangeError) as refused:
        Message.read(HEADER + b"NTE\r" * 100_000)
    assert refused.value.reason is Reason.TOO_LARGE


def test_no_value_shows_in_a_representation():
    message = sample("ITI-8/a04-jis.hl7")
    assert "山本" not in repr(message) + repr(message.segments)


@given(st.binary(max_size=400))
def test_any_bytes_are_a_message_or_an_exchange_error(raw):
    _read_everything(raw)


@given(st.binary(max_size=40), st.binary(max_size=300), st.integers(0, 80))
def test_a_damaged_message_is_a_message_or_an_exchange_error(noise, tail, place):
    whole = HEADER + b"PID|||1^^^A&1.2&ISO||\x1b$B;3K\\\x1b(B^x\r"
    _read_everything(whole[:place] + noise + whole[place:] + tail)


def _read_everything(raw):
    try:
        message = Message.read(raw)
    except ExchangeError:
        return
    assert message.trigger is not None
    assert message.sender.count("|") >= 1
    for each in message.segments:
        for number in range(len(each.fields) + 1):
            each.component(number, 1, rep=1, sub=2)
            assert isinstance(each.component(number, 1), str)


_TEXT = st.text(st.sampled_from("日本糖骨急まマ京美入服線うウ右目施山|^~\\&\n ABC髙①ｶ"), min_size=1, max_size=12)


@given(st.lists(_TEXT, min_size=1, max_size=6), st.sampled_from(["ISO IR87", "UNICODE UTF-8"]))
def test_values_survive_writing_and_reading(values, charset):
    written = encode("MSH|^~\\&|H\r" + segment("ZZZ", {4: components(*values)}) + "\r", charset)
    read = Message.read(written).first("ZZZ")
    writable = [decode(encode(value, charset)).text for value in values]
    assert [read.component(4, number) for number in range(1, len(values) + 1)] == writable


@given(st.text(max_size=30))
def test_an_escaped_value_holds_no_delimiter(value):
    written = escape(value)
    assert not set("|^~&\r\n\x0b\x1c") & set(written)
    assert unescape(written) == value.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")


# Oracles: hl7apy with groups off and CR line ends (it drops segments otherwise), and python-hl7


def _assert_hl7apy_agrees(message):
    parsed = parse_message(message.text.replace("\r\n", "\r").replace("\n", "\r"), find_groups=False)
    assert [each.name for each in parsed.children] == [each.name for each in message.segments]
    for ours, theirs in zip(message.segments[1:], list(parsed.children)[1:], strict=True):
        for number in range(1, len(ours.fields)):
            found = "~".join(each.value for each in theirs.children if each.name == f"{ours.name}_{number}")
            assert _without_surplus(found) == _without_surplus(ours.field(number)), (ours.name, number)


def _without_surplus(field):
    """hl7apy drops leading zeros of set ids, empty components at the end, empty repetitions and outer blanks."""
    repetitions = (re.sub(r"[&^]+(?=\^|$)", "", each).strip() for each in field.split("~"))
    return "~".join(each.lstrip("0") if each.isdigit() else each for each in repetitions if each)


def _assert_python_hl7_agrees(message):
    parsed = hl7.parse("\r".join(line for line in message.text.replace("\n", "\r").split("\r") if line))
    assert [str(each[0]) for each in parsed] == [each.name for each in message.segments]
    for ours, theirs in zip(message.segments, parsed, strict=True):
        for number in range(1, len(ours.fields)):
            assert str(theirs[number]) == ours.field(number), (ours.name, number)


@pytest.mark.parametrize("name", [name for name in MESSAGE_SAMPLES if "delimiters" not in name])
def test_python_hl7_reads_our_samples_the_same(name):
    _assert_python_hl7_agrees(sample(name))


@pytest.mark.parametrize(
    "name", ["ITI-8/a04-25-utf8.hl7", "ITI-30/a28-jis.hl7", "ITI-30/a40.hl7", "ITI-9/q23-two-domains.hl7"]
)
def test_hl7apy_reads_our_samples_the_same(name):
    _assert_hl7apy_agrees(sample(name))


@needs_conformance
def test_both_oracles_read_the_specification_examples_the_same():
    examples = [path for path in (CONFORMANCE / "ssmix2" / "spec_examples").rglob("*") if path.is_file()]
    read = 0
    for path in examples:
        raw = path.read_bytes()
        if b"MSH" not in raw:
            continue
        message = Message.read(raw)
        _assert_python_hl7_agrees(message)
        _assert_hl7apy_agrees(message)
        read += 1
    assert len(examples) == 22
    assert read >= 21


@pytest.mark.parametrize("name", [b"YAMA\x00DA", rb"YAMA\X00\DA", "山\0田".encode()])
def test_a_nul_is_no_part_of_a_text(name):
    read = Message.read(HEADER + b"PID|||1||" + name + b"\r").first("PID").component(5, 1)
    assert read in ("YAMADA", "山田")
