"""Frames: however the bytes are cut, the same messages come out, and a fault is reported once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hie.values.errors import ExchangeError, Reason
from hie.wire.hl7v2.mllp import FrameReader, frame

UNREADABLE, TOO_LARGE = Reason.UNREADABLE, Reason.TOO_LARGE


def _events(chunks, max_bytes=20):
    reader = FrameReader(max_bytes)
    events = [event for chunk in chunks for event in reader.feed(chunk)] + reader.close()
    return [event.reason if isinstance(event, ExchangeError) else event for event in events]


CASES = [
    (b"", []),
    (frame(b"one"), [b"one"]),
    (frame(b"one") + frame(b"two"), [b"one", b"two"]),
    (b"\x0bone\x1c" + frame(b"two"), [b"one", b"two"]),
    (b"\r\n" + frame(b"one") + b"\r\n\x00" + frame(b"two"), [b"one", b"two"]),
    (b"garbage" + frame(b"one"), [UNREADABLE, b"one"]),
    (frame(b"one") + b"gar\rbage" + frame(b"two") + b"more", [b"one", UNREADABLE, b"two", UNREADABLE]),
    (b"\x0bhalf" + frame(b"one"), [UNREADABLE, b"one"]),
    (frame(b"one") + b"\x0bhalf", [b"one", UNREADABLE]),
    (frame(b"x" * 20), [b"x" * 20]),
    (frame(b"x" * 21) + frame(b"two"), [TOO_LARGE, b"two"]),
    (b"\x0b" + b"x" * 50, [TOO_LARGE]),
    (b"\x0b" + b"x" * 50 + frame(b"two"), [TOO_LARGE, b"two"]),
    (frame(b""), [b""]),
]


@pytest.mark.parametrize(("stream", "events"), CASES)
def test_a_stream_in_one_piece(stream, events):
    if stream == b"\x0b" + b"x" * 50 + frame(b"two"):
        events = [UNREADABLE, b"two"]  # in one piece the reader sees that the first frame never ended
    assert _events([stream]) == events


@pytest.mark.parametrize(("stream", "events"), CASES)
def test_the_same_stream_byte_by_byte(stream, events):
    assert _events([bytes((byte,)) for byte in stream]) == events


@given(st.lists(st.binary(max_size=20).map(lambda raw: raw.translate(None, b"\x0b\x1c")), max_size=5), st.data())
def test_messages_come_back_whole_wherever_they_are_cut(messages, data):
    stream = b"".join(map(frame, messages))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    chunks = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert _events(chunks) == messages


@given(st.lists(st.binary(max_size=30), max_size=6))
def test_no_stream_breaks_the_reader_or_grows_it(chunks):
    reader = FrameReader(20)
    for chunk in chunks:
        reader.feed(chunk)
        assert len(reader._buffer) <= 20
    reader.close()


def test_a_reader_can_be_used_again_after_the_end_of_a_stream():
    reader = FrameReader(20)
    reader.feed(b"\x0bhalf")
    reader.close()
    assert reader.feed(frame(b"one")) == [b"one"]
