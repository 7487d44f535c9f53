"""One MLLP connection: frames in, answers out (ITI TF-2: Appendix C.2.1; HL7 v2.5 MLLP release 1).

A conversation never waits for its peer: it takes one step and says what it waits for (``mllp_server`` has the threads).
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from django.conf import settings

from hie.exchange import pipeline
from hie.exchange.connection import Connection
from hie.exchange.rows import between_messages
from hie.values.errors import ExchangeError, Reason
from hie.wire.hl7v2.mllp import Event, FrameReader, frame

READ_BYTES = 256 * 1024

Answering = Callable[[bytes | ExchangeError, Connection], bytes]


@dataclass(frozen=True, slots=True)
class MllpDoor:
    """Where to listen. ssl_context None is plain MLLP, which only ever listens on loopback."""

    host: str
    port: int
    ssl_context: ssl.SSLContext | None = None

    @property
    def name(self) -> str:
        return "mllps" if self.ssl_context else "mllp"


class Wish:
    """What a conversation waits for."""


READ, WRITE, END = Wish(), Wish(), Wish()


class Conversation:
    """One connection: what came, what is to be answered, what is still to be sent. At most one thread has it.

    secured: the handshake is done, or there is none. rests_until: by time.monotonic(), when it has rested too long.
    """

    __slots__ = (
        "_connection",
        "_door",
        "_frames",
        "_has_ended",
        "_waiting",
        "is_late",
        "rests_until",
        "secured",
        "socket",
        "unsent",
    )

    def __init__(self, taken: socket.socket, door: MllpDoor, connection: Connection) -> None:
        taken.setblocking(False)
        taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.secured = door.ssl_context is None
        self.socket = taken
        self.rests_until = 0.0
        self.is_late = False
        self.unsent = memoryview(b"")
        self._door = door
        self._connection = connection
        self._frames = FrameReader(settings.MAX_MESSAGE_BYTES)
        self._waiting: deque[Event] = deque()
        self._has_ended = False

    @property
    def names(self) -> tuple[str, str]:
        """The door and the peer's address, for the log."""
        return self._door.name, self._connection.remote

    def step(self, answer: Answering) -> Wish:
        """Go on as far as it goes without waiting for the peer, but no further than one answer.

        Raises OSError where the connection is lost, and what ``answer`` raises.
        """
        try:
            if not self.secured:
                self._secure()
            if self.unsent:
                self._send()
            else:
                if not self._waiting:
                    self._read()
                if self._waiting:
                    between_messages()
                    self.unsent = memoryview(frame(answer(self._waiting.popleft(), self._connection)))
                    self._send()
        except (BlockingIOError, ssl.SSLWantReadError):
            return READ
        except ssl.SSLWantWriteError:
            return WRITE
        if self.unsent or self._waiting or self._has_more:
            return WRITE  # can go on at once, after the others
        return END if self._has_ended else READ

    def close(self) -> None:
        """End the connection; over TLS with its goodbye, which is not waited for."""
        with contextlib.suppress(OSError, ValueError):
            if isinstance(self.socket, ssl.SSLSocket) and self.secured:
                self.socket.unwrap()
        self.socket.close()

    def _secure(self) -> None:
        """Go on with the handshake, not in the listener, so that a failed one leaves a record (ITI TF-2: 3.19.5)."""
        assert self._door.ssl_context is not None
        try:
            if self.is_late:
                raise TimeoutError
            if not isinstance(self.socket, ssl.SSLSocket):
                self.socket = self._door.ssl_context.wrap_socket(
                    self.socket, server_side=True, do_handshake_on_connect=False
                )
            self.socket.do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except OSError as error:
            between_messages()
            _record_failed_handshake(self._connection, type(error).__name__)
            raise
        self._connection = replace(self._connection, certificate=self.socket.getpeercert(binary_form=True) or b"")
        self.secured = True

    def _read(self) -> None:
        """What comes next; the end, be it in order, by a reset or by silence: half a frame is recorded then."""
        try:
            received = self.socket.recv(READ_BYTES)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except OSError:
            received = b""
        self._has_ended = not received
        self._waiting.extend(self._frames.feed(received) if received else self._frames.close())

    def _send(self) -> None:
        try:
            sent = self.socket.send(self.unsent)
        except BlockingIOError:
            return  # its buffer is full: this peer reads no answers
        self.unsent = self.unsent[sent:]

    @property
    def _has_more(self) -> bool:
        """Whether TLS has read more than it gave us, which the kernel does not know of."""
        return isinstance(self.socket, ssl.SSLSocket) and self.socket.pending() > 0


def _record_failed_handshake(connection: Connection, what: str) -> None:
    detail = f"TLS handshake failed ({what}): a certificate of a believed authority is needed."
    pipeline.record_refusal(connection, ExchangeError(Reason.UNKNOWN_CALLER, detail))


def connection_of(door: MllpDoor, taken: socket.socket) -> Connection:
    """What the pipeline is told of the connection that was taken at this door."""
    host, port = taken.getsockname()[:2]
    return Connection(door=door.name, address=f"{host}:{port}", remote=_remote(taken))


def _remote(taken: socket.socket) -> str:
    with contextlib.suppress(OSError):  # it is gone already
        return str(taken.getpeername()[0])
    return ""
