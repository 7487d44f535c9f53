"""How long a peer may keep a thread waiting: sockets that count what they wait (RFC 9110 knows 408 for it).

A peer that sends or reads a byte now and then would hold a thread for ever if only each single wait were bounded. Here
all waits of one request together are: some seconds, and more only as bytes move. Time that the server itself needs
does not count. Reading and writing are counted apart, so that a sender that was too slow still gets its answer.
"""

from __future__ import annotations

import errno
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any, TypeVar

GRACE_SECONDS = 10.0
SLOWEST_BYTES_PER_SECOND = 4096

_READING, _WRITING = 0, 1
R = TypeVar("R")


class Paced:
    """In front of a socket class: bounds the waits of one request. ``begin`` is called before each."""

    _waited: tuple[float, float] = (0.0, 0.0)
    _moved: tuple[int, int] = (0, 0)

    def begin(self) -> None:
        """Another request begins."""
        self._waited, self._moved = (0.0, 0.0), (0, 0)

    def recv(self, *arguments: Any) -> bytes:
        received: bytes = self._bounded(_READING, super().recv, *arguments)  # type: ignore[misc]
        self._moved = (self._moved[_READING] + len(received), self._moved[_WRITING])
        return received

    def send(self, *arguments: Any) -> int:
        sent: int = self._bounded(_WRITING, super().send, *arguments)  # type: ignore[misc]
        self._moved = (self._moved[_READING], self._moved[_WRITING] + sent)
        return sent

    def sendall(self, data: Any, *arguments: Any) -> None:
        left = memoryview(data).cast("B")
        while left:
            left = left[self.send(left, *arguments) :]

    def _bounded(self, direction: int, wait: Callable[..., R], *arguments: Any) -> R:
        """Wait for the peer, no longer than is left to it. Raises ConnectionResetError where it is too slow."""
        if self.gettimeout() == 0.0:  # type: ignore[attr-defined]
            return wait(*arguments)  # does not wait
        left = GRACE_SECONDS + self._moved[direction] / SLOWEST_BYTES_PER_SECOND - self._waited[direction]
        began = time.monotonic()
        self.settimeout(max(left, 0.001))  # type: ignore[attr-defined]
        try:
            return wait(*arguments)
        except TimeoutError:
            raise ConnectionResetError(errno.ECONNRESET, "The peer is too slow; it is let go.") from None
        finally:
            waited = list(self._waited)
            waited[direction] += time.monotonic() - began
            self._waited = (waited[0], waited[1])
            self.settimeout(None)  # type: ignore[attr-defined]


class PacedSocket(Paced, socket.socket):
    """A plain connection."""


class PacedTlsSocket(Paced, ssl.SSLSocket):
    """A connection with TLS; the handshake is bounded like everything else that is read."""

    def do_handshake(self, *arguments: Any) -> None:
        try:
            self._bounded(_READING, super().do_handshake, *arguments)
        except ConnectionResetError as late:
            if late.errno == errno.ECONNRESET and self._waited[_READING] >= GRACE_SECONDS:
                raise ssl.SSLError(ssl.SSL_ERROR_SSL, "The handshake took too long.") from None
            raise
