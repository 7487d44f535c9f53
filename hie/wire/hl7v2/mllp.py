"""MLLP framing without a socket (HL7 MLLP release 1; ITI TF-2: Appendix C.2.1).

A message travels as ``0x0B <message> 0x1C 0x0D``. None of these bytes occurs inside a message in a character set that
HL7 allows, two-byte JIS included. The reader keeps at most one unfinished frame; what is not framed is reported once
and skipped up to the next start byte, so that one bad sender does not lose its next message.
"""

from __future__ import annotations

from hie.values.errors import ExchangeError, Reason

START, END, CARRIAGE_RETURN = b"\x0b", b"\x1c", b"\x0d"

_BLANK = b"\r\n\x00 \t"  # between two frames these are harmless

Event = bytes | ExchangeError


def frame(message: bytes) -> bytes:
    """The message between its MLLP bytes."""
    return START + message + END + CARRIAGE_RETURN


class FrameReader:
    """Feed it what arrives, it gives back whole messages and what went wrong between them, in order.

    max_bytes: the longest message that is kept; a longer one is reported once (TOO_LARGE) and skipped.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._buffer = bytearray()
        self._searched = 0
        self._in_frame = False
        self._skipping = False

    def feed(self, data: bytes) -> list[Event]:
        """Take the next bytes of the stream; give the messages (without their frame) and errors they complete.

        Errors: UNREADABLE for bytes outside a frame and for a frame that begins inside another; TOO_LARGE.
        """
        self._buffer += data
        events: list[Event] = []
        while self._step(events):
            pass
        return events

    def close(self) -> list[Event]:
        """The stream has ended: an unfinished frame is reported (UNREADABLE)."""
        unfinished = self._in_frame
        self._begin(in_frame=False)
        self._buffer.clear()
        if not unfinished:
            return []
        return [ExchangeError(Reason.UNREADABLE, "The connection ended inside an MLLP frame; no 0x1C 0x0D came.")]

    def _step(self, events: list[Event]) -> bool:
        """Take one frame, one run of garbage or nothing from the buffer; whether there may be more to take."""
        return self._read_frame(events) if self._in_frame else self._find_start(events)

    def _find_start(self, events: list[Event]) -> bool:
        start = self._buffer.find(START)
        before = self._buffer if start < 0 else self._buffer[:start]
        if not self._skipping and before.strip(_BLANK):
            events.append(
                ExchangeError(Reason.UNREADABLE, "Bytes came outside an MLLP frame; a message begins with 0x0B.")
            )
            self._skipping = True
        if start < 0:
            self._buffer.clear()
            return False
        del self._buffer[: start + 1]
        self._begin(in_frame=True)
        return True

    def _read_frame(self, events: list[Event]) -> bool:
        end = self._buffer.find(END, self._searched)
        restart = self._buffer.find(START, self._searched, end if end >= 0 else len(self._buffer))
        if restart >= 0:
            events.append(
                ExchangeError(Reason.UNREADABLE, "A new MLLP frame began before the one before had ended with 0x1C.")
            )
            del self._buffer[: restart + 1]
            self._begin(in_frame=True)
            return True
        if (len(self._buffer) if end < 0 else end) > self._max_bytes:
            events.append(ExchangeError(Reason.TOO_LARGE, f"The message has more than {self._max_bytes} bytes."))
            del self._buffer[: len(self._buffer) if end < 0 else end + 1]
            self._begin(in_frame=False)
            self._skipping = end < 0
            return end >= 0
        if end < 0:
            self._searched = len(self._buffer)
            return False
        events.append(bytes(self._buffer[:end]))
        del self._buffer[: end + 1]
        self._begin(in_frame=False)
        return True

    def _begin(self, *, in_frame: bool) -> None:
        self._in_frame = in_frame
        self._searched = 0
        self._skipping = False
