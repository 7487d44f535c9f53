"""Callers that cost little: prepared bytes out, answers read no further than needed to know that they are right."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable

from bench.load import Send


def mllp_sender(port: int, message: bytes, expected: bytes) -> Callable[[], Send]:
    """Callers that send one HL7 v2 message again and again over plain MLLP, each with its own MSH-10.

    ``message`` has ``@@ID@@`` where MSH-10 stands. An answer without ``expected`` raises.
    """
    framed = b"\x0b" + message + b"\x1c\r"

    def open_connection() -> Send:
        connection = socket.create_connection(("127.0.0.1", port), 10)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def send(number: int) -> int:
            connection.sendall(framed.replace(b"@@ID@@", b"B%d" % number))
            answer = connection.recv(65536)
            while not answer.endswith(b"\x1c\r"):
                answer += connection.recv(65536)
            if expected not in answer:
                raise AssertionError(answer[:500])
            return len(answer)

        return send

    return open_connection


def https_sender(
    port: int, context: ssl.SSLContext, path: str, content_type: str, body: bytes, expected: bytes
) -> Callable[[], Send]:
    """Callers that POST one body again and again over mutual TLS on a connection kept open.

    ``body`` has ``@@ID@@`` (six bytes, as many as what replaces it) where the last six digits of the number stand, and
    may have ``@@TO@@`` for the six before them, as letters.
    """
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode()
    to_somebody = b"@@TO@@" in body

    def open_connection() -> Send:
        raw = socket.create_connection(("127.0.0.1", port), 10)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = context.wrap_socket(raw, server_hostname="localhost")

        def send(number: int) -> int:
            numbered = body.replace(b"@@ID@@", b"%06d" % (number % 1_000_000))
            if to_somebody:
                numbered = numbered.replace(b"@@TO@@", as_letters(number // 1_000_000).encode())
            connection.sendall(head + numbered)
            status, first, length = _read_answer(connection)
            if b" 200 " not in status or expected not in first:
                raise AssertionError(status + first[:2000])
            return length

        return send

    return open_connection


def as_letters(number: int) -> str:
    """Six digits, each as a letter from A, as they may stand in a regional id."""
    return f"{number:06d}".translate(_LETTERS)


_LETTERS = str.maketrans("0123456789", "ABCDEFGHIJ")


def _read_answer(connection: ssl.SSLSocket) -> tuple[bytes, bytes, int]:
    """The status line, the first bytes of the body and its length; all of it is read, most of it forgotten."""
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(262144)
        if not piece:
            raise ConnectionError("closed before an answer came")
        received += piece
    head, _, rest = received.partition(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
    )
    first, got = rest, len(rest)
    while got < length:
        piece = connection.recv(262144)
        if not piece:
            raise ConnectionError("closed in the middle of an answer")
        got += len(piece)
        if len(first) < 65536:
            first += piece
    return head.split(b"\r\n", 1)[0], first, length
