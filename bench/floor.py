"""The floor: the same two servers around one indexed SELECT and one durable INSERT, and nothing else."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hie.settings")
django.setup()

from django.db import connection  # noqa: E402

from hie import environment  # noqa: E402
from hie.exchange.connection import Connection  # noqa: E402
from hie.transport import mllp_workers  # noqa: E402
from hie.transport.mllp_conversation import MllpDoor  # noqa: E402
from hie.transport.mllp_server import MllpServer  # noqa: E402
from hie.transport.tls import server_credentials  # noqa: E402
from hie.transport.web_server import WebServer  # noqa: E402
from hie.values.errors import ExchangeError  # noqa: E402

RECORD = b"r" * 2500
PIECE = b"x" * 256 * 1024  # a large answer leaves in pieces, as a document does
ANSWER = b"a" * 400  # as long as a usual answer of ITI-9


def make_table(rows: int = 10_000) -> None:
    """The table that the floor reads by its index and writes to."""
    binary = "bytea" if connection.vendor == "postgresql" else "blob"
    serial = "bigserial primary key" if connection.vendor == "postgresql" else "integer primary key"
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE floor_key (key varchar(64) primary key, value varchar(64))")
        cursor.execute(f"CREATE TABLE floor_record (id {serial}, at varchar(32), body {binary})")
        cursor.execute("CREATE INDEX floor_record_at ON floor_record (at)")
        cursor.executemany("INSERT INTO floor_key VALUES (%s, %s)", [(f"key{n}", "v") for n in range(rows)])


def work() -> None:
    """One indexed SELECT and one durable INSERT."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT value FROM floor_key WHERE key = %s", ["key77"])
        cursor.fetchone()
        cursor.execute("INSERT INTO floor_record (at, body) VALUES (%s, %s)", ["2026-01-01T00:00:00", RECORD])


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Read the request, do the work, answer as many bytes as the path says."""
    environ["wsgi.input"].read()
    work()
    length = int(environ["PATH_INFO"].strip("/") or "0")
    start_response("200 OK", [("Content-Type", "application/soap+xml"), ("Content-Length", str(length))])
    return [PIECE] * (length // len(PIECE)) + [PIECE[: length % len(PIECE)]]


def answer(received: bytes | ExchangeError, connection_: Connection) -> bytes:
    """The MLLP half: the work, and an answer of a usual size."""
    work()
    return ANSWER


def main(https_port: int, mllp_port: int) -> None:
    """Serve both until SIGTERM: the web server in a child, the MLLP server here."""
    child = os.fork()
    if child == 0:
        WebServer(
            f"127.0.0.1:{https_port}",
            workers=environment.number("HIE_WEB_WORKERS"),
            threads=environment.number("HIE_WEB_THREADS"),
            credentials=server_credentials(),
            application=application,
        ).run()
        os._exit(0)
    server = MllpServer(
        [MllpDoor("127.0.0.1", mllp_port)], threads=environment.number("HIE_MLLP_THREADS"), answer=answer
    )
    mllp_workers.serve(server, environment.number("HIE_MLLP_WORKERS"))
    os.kill(child, signal.SIGTERM)
    os.waitpid(child, 0)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
