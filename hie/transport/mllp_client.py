"""Our own calls over MLLP: one connection, one message at a time, its answer awaited."""

from __future__ import annotations

import socket
import ssl
from types import TracebackType

from hie.values.errors import ExchangeError
from hie.wire.hl7v2.mllp import FrameReader, frame


class MllpClient:
    """A connection to an MLLP door, opened on first use and again after it was lost.

    ``send`` returns the answer's bytes without the MLLP frame. Raises OSError where nobody answers in ``timeout``
    seconds, ExchangeError where what comes back is no frame.
    """

    def __init__(
        self,
        host: str,
        port: int,
        ssl_context: ssl.SSLContext | None = None,
        timeout: float = 30.0,
        max_bytes: int = 64 * 1024 * 1024,
    ) -> None:
        self._address = (host, port)
        self._context = ssl_context
        self._timeout = timeout
        self._max_bytes = max_bytes
        self._socket: socket.socket | None = None

    def send(self, message: bytes) -> bytes:
        """Send one message and wait for its answer."""
        connection = self._socket or self._open()
        frames = FrameReader(self._max_bytes)
        try:
            connection.sendall(frame(message))
            while True:
                received = connection.recv(65536)
                if not received:
                    raise ConnectionError("The connection was closed before an answer came.")
                for each in frames.feed(received):
                    if isinstance(each, ExchangeError):
                        raise each
                    return each
        except (OSError, ExchangeError):
            self.close()
            raise

    def _open(self) -> socket.socket:
        connection = socket.create_connection(self._address, self._timeout)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._context is not None:
            connection = self._context.wrap_socket(connection, server_hostname=self._address[0])
        self._socket = connection
        return connection

    def close(self) -> None:
        """Close the connection; the next ``send`` opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def __enter__(self) -> MllpClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
