"""The web doors by gunicorn: people's pages over HTTP, the machine doors over mutual TLS.

gunicorn hands the application the TLS socket, and with it the verified certificate of the peer; why this server and
no other: docs/decisions/0012. Two things are made shorter here than gunicorn makes them. A thread that has answered
waits a moment for the next request of the same peer before it gives the connection back to the poller, as long as
nobody else waits for a thread: systems that talk to each other ask again at once. And a SOAP message is given to the
application without the part of WSGI that it does not read, its answer sent in one piece with the head.
"""

from __future__ import annotations

import select
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import close_old_connections
from django.utils.module_loading import import_string
from gunicorn import util
from gunicorn.app.base import BaseApplication
from gunicorn.http.message import Request
from gunicorn.workers.gthread import _DEFER, TConn, ThreadWorker

from hie.exchange import pipeline
from hie.exchange.connection import Connection
from hie.transport.pace import Paced, PacedSocket, PacedTlsSocket
from hie.transport.soap_server import PREFIX
from hie.transport.tls import Credentials, server_context
from hie.values.errors import ExchangeError, Reason

KEEP_ALIVE_SECONDS = 60
STAY_SECONDS = 0.05
_LOOK_MILLISECONDS = 2  # so soon a thread that stays notices that somebody else waits for it
_WITH_THE_HEAD = 64 * 1024  # a piece up to this size is sent in one with the head of the answer

# The headers that the SOAP door reads (hie/transport/soap_server.py), by gunicorn's name for them.
_READ_BY_SOAP = {
    "HOST": "HTTP_HOST",
    "CONTENT-TYPE": "CONTENT_TYPE",
    "CONTENT-LENGTH": "CONTENT_LENGTH",
    "CONTENT-ENCODING": "HTTP_CONTENT_ENCODING",
    "TRANSFER-ENCODING": "HTTP_TRANSFER_ENCODING",
    "EXPECT": "HTTP_EXPECT",
}


class Worker(ThreadWorker):
    """gunicorn's threads, with a bound on how long a slow peer may hold one, and a record of failed handshakes."""

    def handle(self, conn: TConn) -> Any:
        """Answer the request that has come, and those that follow it while the thread stays."""
        outcome = self._answer_one(conn)
        while outcome is True and self._stay(conn):
            outcome = self._answer_one(conn)
        return outcome

    def _stay(self, conn: TConn) -> bool:
        """Wait for the next request of this peer: whether one is there. Not while another connection waits."""
        if conn.parser.unreader.buf.getvalue() or (self.cfg.is_ssl and conn.sock.pending()):
            return self.alive
        poll = select.poll()
        poll.register(conn.sock, select.POLLIN)
        end = time.monotonic() + STAY_SECONDS
        while self.alive and self.tpool._work_queue.empty():
            if poll.poll(_LOOK_MILLISECONDS):
                return True
            if time.monotonic() > end:
                return False
        return False

    def _answer_one(self, conn: TConn) -> Any:
        if not conn.initialized:
            if not conn.wait_for_data(0):
                return _DEFER  # a peer that says nothing yet waits in the poller, not in a thread
            conn.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if not self.cfg.is_ssl:
                conn.sock = PacedSocket(fileno=conn.sock.detach())
        if isinstance(conn.sock, Paced):
            conn.sock.begin()
        close_old_connections()
        return super().handle(conn)

    def handle_request(self, req: Any, conn: TConn) -> Any:
        """One request. A SOAP message takes the short way, everything else gunicorn's."""
        if req.method != "POST" or not req.path.startswith(PREFIX) or not self.alive:
            return super().handle_request(req, conn)
        return self._answer_soap(req, conn)

    def _answer_soap(self, req: Request, conn: TConn) -> bool:
        """Whether the connection stays open. gunicorn has parsed the request and will read its body to the end."""
        if req._expected_100_continue:
            conn.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if len(self.keepalived_conns) >= self.max_keepalived:
            req.force_close()
        answer = _Answer(conn.sock, req)
        pieces = self.wsgi(_environ(req, conn), answer.start)
        try:
            for piece in pieces:
                answer.send(piece)
            answer.end()
        except OSError:
            raise  # the peer is gone, or a file: gunicorn closes the connection
        except Exception:
            if not answer.begun:
                raise
            self.log.exception("an answer broke off")
            util.close_graceful(conn.sock)
            return False
        finally:
            if hasattr(pieces, "close"):
                pieces.close()
        return not req.should_close()

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        if isinstance(exc, ssl.SSLError) and req is None:
            _record_failed_handshake(addr, exc)
            client.close()
            return
        super().handle_error(req, client, addr, exc)


def _environ(req: Request, conn: TConn) -> dict[str, Any]:
    """What the SOAP door reads of a WSGI environment (PEP 3333), and no more."""
    environ = {
        "REQUEST_METHOD": req.method,
        "PATH_INFO": util.unquote_to_wsgi_str(req.path),
        "REMOTE_ADDR": conn.client[0],
        "SERVER_NAME": conn.server[0],
        "SERVER_PORT": str(conn.server[1]),
        "wsgi.url_scheme": req.scheme,
        "wsgi.input": req.body,
        "wsgi.input_terminated": True,
        "gunicorn.socket": conn.sock,
    }
    for name, value in req.headers:
        if key := _READ_BY_SOAP.get(name):
            environ[key] = f"{environ[key]},{value}" if key in environ else value
    return environ


class _Answer:
    """An answer on its way out: its head goes with the first piece, so that a usual answer is one TLS record."""

    def __init__(self, sock: Any, req: Request) -> None:
        self._sock = sock
        self._req = req
        self._head = b""
        self.begun = False

    def start(self, status: str, headers: list[tuple[str, str]], _: Any = None) -> Any:
        """``start_response`` of WSGI. Every answer of the SOAP door gives its Content-Length."""
        named = "".join(f"{name}: {value}\r\n" for name, value in headers)
        state = "close" if self._req.should_close() else "keep-alive"
        head = f"HTTP/1.1 {status}\r\nDate: {util.http_date()}\r\nConnection: {state}\r\n{named}\r\n"
        self._head = head.encode("latin-1")
        return self.send

    def send(self, piece: bytes) -> None:
        if self._head and len(piece) <= _WITH_THE_HEAD:
            head, self._head = self._head, b""
            self.begun = True
            self._sock.sendall(head + piece)
            return
        self.end()
        if piece:
            self._sock.sendall(piece)

    def end(self) -> None:
        """Send a head that no piece has taken along."""
        head, self._head = self._head, b""
        if head:
            self.begun = True
            self._sock.sendall(head)


def _record_failed_handshake(addr: Any, error: ssl.SSLError) -> None:
    remote = addr[0] if isinstance(addr, tuple) else ""
    reason = getattr(error, "reason", None) or "no reason given"
    detail = f"TLS handshake failed ({reason}): a certificate of a believed authority is needed."
    pipeline.record_refusal(Connection(door="soap", remote=remote), ExchangeError(Reason.UNKNOWN_CALLER, detail))


class WebServer(BaseApplication):
    """One listening address and its worker processes; ``run()`` blocks until it is told to stop.

    credentials: mutual TLS where given, plain HTTP where None.
    """

    def __init__(
        self,
        address: str,
        *,
        workers: int,
        threads: int,
        credentials: Credentials | None = None,
        application: Callable[..., Any] | None = None,
    ) -> None:
        self._address = address
        self._workers = workers
        self._threads = threads
        self._credentials = credentials
        self._application = application
        super().__init__()

    def load_config(self) -> None:
        chosen: dict[str, Any] = {
            "bind": self._address,
            "workers": self._workers,
            "threads": self._threads,
            "worker_class": f"{__name__}.Worker",
            "worker_connections": 1000,
            "keepalive": KEEP_ALIVE_SECONDS,
            "graceful_timeout": 20,
            "timeout": 300,
            "preload_app": True,
            "loglevel": "warning",
            "accesslog": None,
            "control_socket_disable": True,
        }
        if self._credentials is not None:
            context = server_context(self._credentials)
            context.sslsocket_class = PacedTlsSocket
            chosen |= {
                "certfile": str(self._credentials.certificate),
                "keyfile": str(self._credentials.key),
                "ca_certs": str(self._credentials.authorities),
                "cert_reqs": ssl.CERT_REQUIRED,
                "do_handshake_on_connect": False,
                "ssl_context": lambda conf, default: context,
            }
        for name, value in chosen.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Callable[..., Any]:
        if self._application is not None:
            return self._application
        application: Callable[..., Any] = import_string(settings.WSGI_APPLICATION)
        return application
