"""Every message that a test has the codecs write is held against the structures of HL7."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from hie.wire.hl7v2 import writer
from hie.wire.hl7v2.message import Message
from tests.hl7_structures import departures


@pytest.fixture(autouse=True)
def _written_messages_obey_hl7(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    written: list[bytes] = []
    join = writer.join

    def kept(segments: Iterable[str], character_set: str) -> bytes:
        written.append(join(segments, character_set))
        return written[-1]

    monkeypatch.setattr(writer, "join", kept)
    yield
    for raw in dict.fromkeys(written):
        message = Message.read(raw)
        answered = message.first("MSA")
        if answered is not None and not answered.field(2):
            continue  # the answer to bytes that are no message repeats what it could make out of them
        assert departures(message) == [], message.text.replace("\r", "\n")
