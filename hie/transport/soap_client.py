"""Our own calls by SOAP 1.2 and MTOM (ITI TF-2 Appendix V): one client for a partner, on a connection kept open."""

from __future__ import annotations

import contextlib
import http.client
import select
import socket
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

from hie.values.errors import ExchangeError, Reason
from hie.wire.soap.envelope import Attachment, SoapBody, SoapMessage, read_envelope, write_request
from hie.wire.soap.faults import ReceivedFault, read_fault
from hie.wire.soap.mtom import CHUNK, Limits, media_type, read_multipart, write_inlined, write_multipart
from hie.wire.soap.spool import Spool

_SHOWN = 64 * 1024
_MIB = 1024 * 1024
DEFAULT_LIMITS = Limits(root=64 * _MIB, document=4096 * _MIB, documents=8192 * _MIB)


class CallError(Exception):
    """A call without an answer: the text says what stood in the way. status: of HTTP, or 0 where none came."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


class FaultError(CallError):
    """The partner answered with a SOAP fault."""

    def __init__(self, fault: ReceivedFault, status: int) -> None:
        super().__init__(f"{' / '.join((fault.code, *fault.subcodes))}: {fault.text}", status)
        self.fault = fault


class SoapClient:
    """Calls to one endpoint, one at a time.

    url: ``https://host:port/soap/<service>`` (or ``http://`` on loopback). ssl_context: shows our certificate; needed
    for https. timeout: seconds for each wait on the socket. directory: where the documents of an answer are put; they
    belong to whoever called and are removed by ``discard``. last_request, last_response: the bytes as they went over
    the wire, the first 64 KiB of each, HTTP headers not included.
    """

    def __init__(
        self,
        url: str,
        *,
        directory: Path,
        ssl_context: ssl.SSLContext | None = None,
        timeout: float = 30,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("the URL of an endpoint begins with https:// or http://")
        if parts.scheme == "https" and ssl_context is None:
            raise ValueError("https needs a TLS context")
        self.url = url
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._limits = limits
        self._spool = Spool(directory)
        self._connection: http.client.HTTPConnection = (
            http.client.HTTPSConnection(parts.hostname, parts.port, timeout=timeout, context=ssl_context)
            if parts.scheme == "https"
            else http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
        )
        self.last_request = b""
        self.last_response = b""

    def call(
        self,
        action: str,
        body: bytes | SoapBody,
        *,
        attachments: tuple[Attachment, ...] = (),
        assertion: bytes = b"",
        mtom: bool = False,
    ) -> SoapMessage:
        """Send a request and wait for its answer.

        body: the serialised child of the SOAP body, or what a codec's write_request returns, with its attachments.
        mtom: send multipart/related; follows from attachments.
        assertion: a signed saml:Assertion, or b"". Raises FaultError for a fault, CallError where no SOAP answer came.
        """
        content = body if isinstance(body, SoapBody) else SoapBody((body,), attachments)
        envelope, message_id = write_request(action, self.url, content, assertion)
        with self._answered(envelope, content.attachments, mtom) as response:
            message = self._read(response)
        return _checked(message, message_id, response.status)

    def tell(self, action: str, body: SoapBody, *, assertion: bytes = b"", parameters: tuple[bytes, ...] = ()) -> None:
        """Send a message that has no answer, such as ITI-53; it has arrived when this returns.

        parameters: what the endpoint wants to find in the header. Raises FaultError, or CallError for anything but
        an HTTP status of success.
        """
        envelope, _ = write_request(action, self.url, body, assertion, reply_to="", parameters=parameters)
        self.deliver(envelope)

    def deliver(self, envelope: bytes, attachments: tuple[Attachment, ...] = (), *, mtom: bool = False) -> None:
        """Send an envelope that is ready, such as an answer to a ReplyTo of its own; like ``tell``.

        Whoever answers with success has taken it, whatever stands in the answer: many say so with an empty body that
        calls itself SOAP. Only a fault says otherwise.
        """
        with self._answered(envelope, attachments, mtom) as response:
            fault = self._fault_in(response)
        if fault is not None:
            raise FaultError(fault, response.status)
        if not 200 <= response.status < 300:
            raise CallError(f"HTTP {response.status}: the message was not taken.", response.status)

    def _fault_in(self, response: http.client.HTTPResponse) -> ReceivedFault | None:
        """The fault in the answer to a message that has none, or None where it holds anything else."""
        kind = media_type(response.headers.get("Content-Type", ""))[0]
        try:
            if kind in ("application/soap+xml", "multipart/related"):
                return read_fault(self._read(response).body)
            self._all_of(self._pieces(response))
        except ExchangeError:
            self._connection.close()
        return None

    def abort(self) -> None:
        """Break off whatever goes on, from another thread: its caller gets a CallError."""
        found = self._connection.sock
        if found is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(found, socket.SHUT_RDWR)  # not TLS's own, which would wait for its peer

    @contextmanager
    def _answered(
        self, envelope: bytes, attachments: tuple[Attachment, ...], mtom: bool
    ) -> Iterator[http.client.HTTPResponse]:
        """The answer to a message; what goes wrong until it is read ends the connection and is a CallError."""
        outgoing = (write_multipart if mtom or attachments else write_inlined)(envelope, attachments)
        headers = {"Content-Type": outgoing.content_type, "Content-Length": str(outgoing.length)}
        self.last_request = self.last_response = b""
        try:
            yield self._exchange(self._noting(outgoing.pieces), headers)
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise CallError(f"No answer from {self.url}: {error}") from error
        except ExchangeError as error:
            self._connection.close()
            raise CallError(f"The answer cannot be read: {error.detail}") from error

    def discard(self) -> None:
        """Remove the documents of earlier answers that nobody has moved away."""
        self._spool.discard()

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def __enter__(self) -> SoapClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        self.discard()

    def _exchange(self, pieces: Iterator[bytes], headers: dict[str, str]) -> http.client.HTTPResponse:
        if _was_closed(self._connection):
            self._connection.close()
        try:
            self._connection.request("POST", self._path, body=pieces, headers=headers)
        except (BrokenPipeError, ConnectionResetError):
            # A partner may refuse a large message before it has come completely: its answer is worth reading.
            if self._connection.sock is None:
                raise
        return self._connection.getresponse()

    def _noting(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            if len(self.last_request) < _SHOWN:
                self.last_request += piece[: _SHOWN - len(self.last_request)]
            yield piece

    def _read(self, response: http.client.HTTPResponse) -> SoapMessage:
        content_type = response.headers.get("Content-Type", "")
        kind = media_type(content_type)[0]
        pieces = self._pieces(response)
        if kind == "multipart/related":
            multipart = read_multipart(content_type, pieces, self._spool, self._limits)
            return read_envelope(
                multipart.root, self._limits.root, attachments=multipart.attachments, spool=self._spool
            )
        if kind != "application/soap+xml":
            self._connection.close()
            raise CallError(f"HTTP {response.status} with {kind or 'no content'} in place of SOAP.", response.status)
        return read_envelope(self._all_of(pieces), self._limits.root, spool=self._spool)

    def _all_of(self, pieces: Iterator[bytes]) -> bytes:
        whole = bytearray()
        for piece in pieces:
            whole += piece
            if len(whole) > self._limits.root:
                raise ExchangeError(Reason.TOO_LARGE, f"It is larger than the {self._limits.root} bytes allowed.")
        return bytes(whole)

    def _pieces(self, response: http.client.HTTPResponse) -> Iterator[bytes]:
        while piece := response.read(CHUNK):
            if len(self.last_response) < _SHOWN:
                self.last_response += piece[: _SHOWN - len(self.last_response)]
            yield piece


def _was_closed(connection: http.client.HTTPConnection) -> bool:
    """Whether a kept connection has something to read before we asked anything: then the partner has closed it."""
    return connection.sock is not None and bool(select.select([connection.sock], [], [], 0)[0])


def _checked(message: SoapMessage, message_id: str, status: int) -> SoapMessage:
    fault = read_fault(message.body)
    if fault is not None:
        raise FaultError(fault, status)
    if message.relates_to != message_id:
        raise CallError("The answer does not relate to our message (wsa:RelatesTo).", status)
    return message
