"""The web doors by gunicorn: people's pages over HTTP, the machine doors over mutual TLS.

gunicorn hands the application the TLS socket, and with it the verified certificate of the peer; why this server and
no other: docs/decisions/0012.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import close_old_connections
from django.utils.module_loading import import_string
from gunicorn.app.base import BaseApplication
from gunicorn.workers.gthread import _DEFER, TConn, ThreadWorker

from hie.exchange import pipeline
from hie.exchange.connection import Connection
from hie.transport.pace import Paced, PacedSocket, PacedTlsSocket
from hie.transport.tls import Credentials, server_context
from hie.values.errors import ExchangeError, Reason

KEEP_ALIVE_SECONDS = 60


class Worker(ThreadWorker):
    """gunicorn's threads, with a bound on how long a slow peer may hold one, and a record of failed handshakes."""

    def handle(self, conn: TConn) -> Any:
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

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        if isinstance(exc, ssl.SSLError) and req is None:
            _record_failed_handshake(addr, exc)
            client.close()
            return
        super().handle_error(req, client, addr, exc)


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
