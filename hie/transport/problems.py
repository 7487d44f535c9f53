"""What a machine door says in HTTP where no dialect of its own can speak: problem details (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

StartResponse = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An HTTP answer: status, header fields, and the body in pieces (files are read while it is sent)."""

    status: int
    headers: tuple[tuple[str, str], ...]
    pieces: Iterable[bytes]

    def send(self, start_response: StartResponse) -> Iterable[bytes]:
        """Hand the answer to a WSGI server."""
        start_response(f"{self.status} {HTTPStatus(self.status).phrase}", list(self.headers))
        return self.pieces


def problem(status: int, detail: str, headers: tuple[tuple[str, str], ...] = ()) -> HttpAnswer:
    """A problem document: detail tells the sender what to change."""
    title = HTTPStatus(status).phrase
    body = json.dumps({"type": "about:blank", "title": title, "status": status, "detail": detail}).encode()
    content = (("Content-Type", "application/problem+json"), ("Content-Length", str(len(body))))
    return HttpAnswer(status, content + headers, (body,))
