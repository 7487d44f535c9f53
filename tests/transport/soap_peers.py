"""A SOAP service that only echoes, behind the real door: what the tests of the door talk to.

``ECHO`` answers with sizes and hashes of what came; ``FETCH`` with the file that the environment names. The parts of
the pipeline that belong to apps are replaced by ones that let everybody in and keep their records in a list.
"""

from __future__ import annotations

import os
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from wsgiref.simple_server import ServerHandler, WSGIRequestHandler, WSGIServer

from hie.exchange import pipeline, registry
from hie.exchange.audit import QUERY, AuditEvent
from hie.exchange.connection import Connection
from hie.exchange.trail import Trail
from hie.exchange.transaction import Soap, Transaction
from hie.values.access import Access, Caller, Node, Permit
from hie.values.errors import ExchangeError, Reason
from hie.wire.soap.envelope import Attachment, SoapBody, SoapMessage
from hie.wire.soap.mtom import content_of, include

RECORDS: list[str] = []


class EchoCodec:
    """Tells what came: ``<t:Document>`` children are read as content, inline or attached."""

    def read_request(self, message: SoapMessage, /) -> Any:
        if message.body.tag == "{urn:test}Crash":
            raise RuntimeError("on purpose")
        return [content_of(each, message, 1 << 30) for each in message.body.iter("{urn:test}Document")]

    def write_response(self, message: SoapMessage, result: Any, /) -> SoapBody:
        lines = "".join(f'<t:Got size="{each.size}" sha256="{each.sha256}"/>' for each in result)
        attachments: tuple[Attachment, ...] = ()
        if message.body.tag == "{urn:test}Fetch":
            path = Path(os.environ["SOAP_PEERS_FILE"])
            attachments = (Attachment("doc@test", path, path.stat().st_size, "application/pdf"),)
            lines = f"<t:Document>{include('doc@test').decode()}</t:Document>"
        return SoapBody(
            (f'<t:Answer xmlns:t="urn:test" mtom="{message.mtom}">'.encode(), lines.encode(), b"</t:Answer>"),
            attachments,
        )

    def write_error(self, message: SoapMessage, error: ExchangeError, /) -> SoapBody:
        return SoapBody((f'<t:Refused xmlns:t="urn:test" reason="{error.reason.name}"/>'.encode(),))


def _execute(request: Any, _permit: Permit) -> Any:
    return request


def _transaction(action: str, response_action: str) -> Transaction:
    return Transaction(
        number="ITI-0",
        name="Echo",
        door=Soap("test", action, response_action),
        codec=EchoCodec(),
        subject=lambda request: (),
        access=Access.FIND,
        execute=_execute,
        audit=AuditEvent(QUERY, "E"),
    )


ECHO, FETCH, TELL = "urn:test:Echo", "urn:test:Fetch", "urn:test:Tell"
_BY_ACTION = {("test", action): _transaction(action, f"{action}Response") for action in (ECHO, FETCH)}
_BY_ACTION[("test", TELL)] = _transaction(TELL, "")

# What the doors hand over to be delivered later: (url, action, envelope, attachments, mtom).
KEPT: list[tuple[str, str, bytes, tuple[Attachment, ...], bool]] = []
REGISTERED = "https://peer.example/answers"


def later(url: str, action: str, envelope: bytes, attachments: tuple[Attachment, ...], *, mtom: bool) -> None:
    """An outbox that only remembers."""
    KEPT.append((url, action, envelope, attachments, mtom))


def full(url: str, action: str, envelope: bytes, attachments: tuple[Attachment, ...], *, mtom: bool) -> None:
    """An outbox that can keep nothing."""
    raise OSError("no space")


def reachable(connection: Connection, url: str) -> bool:
    """Nodes of this network have one registered address."""
    return url == REGISTERED


def _authenticate(connection: Connection) -> Caller:
    if connection.assertion and b"wrong" in connection.assertion:
        raise ExchangeError(Reason.SECURITY, "The assertion cannot be believed.")
    return Caller(Node("peer", "1312345678"))


def _record(trail: Trail, entries: Any) -> None:
    outcome = ",".join(str(entry.outcome) for entry in entries)
    number = trail.transaction.number if trail.transaction else "-"
    RECORDS.append(f"{number} {outcome} {'; '.join(entry.description for entry in entries)}".strip())


_PARTS = {
    "authenticate": _authenticate,
    "entitle": lambda caller, access: None,
    "gate": lambda caller, access, subjects: Permit(caller, access),
    "recorder": _record,
}


def install(patch: Any) -> None:
    """Put the service in place of the declared transactions. patch: (object, name, value)."""
    patch(registry, "for_action", lambda service, action: _BY_ACTION.get((service, action)))
    patch(registry, "services", lambda: frozenset({"test"}))
    patch(pipeline, "_part", _PARTS.__getitem__)


class _Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.0"

    def log_message(self, *arguments: Any) -> None:
        pass

    def handle(self) -> None:
        ServerHandler.http_version = "1.0"
        super().handle()


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


@contextmanager
def running(application: Any) -> Iterator[str]:
    """The application on a loopback port, in threads of this process; its base URL."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.set_app(application)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def gunicorn_application() -> Any:
    """The factory that a gunicorn of the tests loads."""
    from hie.wsgi import application

    install(setattr)
    return application
