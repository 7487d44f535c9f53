"""Bodies of HTTP requests under WSGI (PEP 3333): how long they are, read in pieces, never longer than allowed.

A server that takes the chunks of ``Transfer-Encoding: chunked`` apart says so by ``wsgi.input_terminated`` and
gives no length; Django takes such a body for empty. ``chunked_bodies`` stands in front of it and gives it a length.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from hie.transport.problems import StartResponse, problem
from hie.values.errors import ExchangeError, Reason

CHUNK = 256 * 1024
_IN_MEMORY = 512 * 1024
_DRAINED = 64 * 1024 * 1024

Environ = dict[str, Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]


def announced_length(environ: Environ) -> int | None:
    """Content-Length, or None for a body that ends where the server says it ends.

    Raises ExchangeError where neither is known: then nobody could tell a whole body from half of one.
    """
    text = environ.get("CONTENT_LENGTH") or ""
    if "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower():
        if environ.get("wsgi.input_terminated"):
            return None
        raise ExchangeError(Reason.UNREADABLE, "This server takes no chunked body; send Content-Length.")
    if not text:
        return 0
    if not text.isascii() or not text.isdigit():
        raise ExchangeError(Reason.UNREADABLE, "Content-Length has to be a number.")
    return int(text)


def pieces_of(environ: Environ, max_bytes: int) -> Iterator[bytes]:
    """The body, piece by piece. Raises ExchangeError: TOO_LARGE above max_bytes, UNREADABLE where it ends early."""
    length = announced_length(environ)
    if length is not None and length > max_bytes:
        raise _too_large(max_bytes)
    stream = environ["wsgi.input"]
    left = max_bytes + 1 if length is None else length
    while left > 0:
        try:
            piece = stream.read(min(CHUNK, left))
        except OSError:
            raise _truncated() from None
        if not piece:
            break
        left -= len(piece)
        if length is None and left <= 0:
            raise _too_large(max_bytes)
        yield piece
    if length is not None and left > 0:
        raise _truncated()


def drain(environ: Environ) -> None:
    """Read on what a peer that is refused is still sending, up to 64 MiB: closing on it would cost it the answer.

    Not read is what was announced to be longer, what waits for ``100 Continue``, and what a server does not end for us.
    """
    length = environ.get("CONTENT_LENGTH") or "0"
    announced = int(length) if length.isascii() and length.isdigit() else 0
    if not environ.get("wsgi.input_terminated") or announced > _DRAINED or environ.get("HTTP_EXPECT"):
        return
    left = _DRAINED
    with contextlib.suppress(OSError):
        while left > 0 and (piece := environ["wsgi.input"].read(CHUNK)):
            left -= len(piece)


def chunked_bodies(application: Application, max_bytes: int) -> Application:
    """The application, with chunked bodies given a length; one above max_bytes is answered with 413."""

    def spooled(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if "chunked" not in environ.get("HTTP_TRANSFER_ENCODING", "").lower():
            return application(environ, start_response)
        try:
            _give_length(environ, max_bytes)
        except ExchangeError as error:
            drain(environ)
            return problem(error.reason.value.http, error.detail).send(start_response)
        return application(environ, start_response)

    return spooled


def _give_length(environ: Environ, max_bytes: int) -> None:
    body = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - closed with the request, by its last reader
    for piece in pieces_of(environ, max_bytes):
        body.write(piece)
    environ["CONTENT_LENGTH"] = str(body.tell())
    del environ["HTTP_TRANSFER_ENCODING"]
    body.seek(0)
    environ["wsgi.input"] = body


def _too_large(max_bytes: int) -> ExchangeError:
    return ExchangeError(Reason.TOO_LARGE, f"The message is larger than the {max_bytes} bytes allowed.")


def _truncated() -> ExchangeError:
    return ExchangeError(Reason.UNREADABLE, "The body of the request ended before the length it was announced with.")
