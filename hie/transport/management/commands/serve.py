"""``manage.py serve``: all doors and the background work in one process tree."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.checks import Tags
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from hie import environment
from hie.exchange import pipeline
from hie.transport import background, mllp_workers
from hie.transport.mllp_conversation import MllpDoor
from hie.transport.mllp_server import MllpServer
from hie.transport.processes import die_with, on_stop
from hie.transport.tls import MissingCredentialsError, server_context, server_credentials
from hie.transport.web_server import WebServer

GRACE_SECONDS = 25
RESTART_PAUSE_SECONDS = 2.0
OBJECTS_BETWEEN_COLLECTIONS = (10_000, 10, 10)  # a message makes some hundred and leaves next to none in cycles


def serve_http() -> None:
    """People's pages over HTTP."""
    address = f"{environment.text('HIE_HOST')}:{environment.number('HIE_HTTP_PORT')}"
    WebServer(address, workers=1, threads=environment.number("HIE_WEB_THREADS")).run()


def serve_https() -> None:
    """SOAP and REST over mutual TLS."""
    address = f"{environment.text('HIE_HOST')}:{environment.number('HIE_HTTPS_PORT')}"
    WebServer(
        address,
        workers=environment.number("HIE_WEB_WORKERS"),
        threads=environment.number("HIE_WEB_THREADS"),
        credentials=server_credentials(),
    ).run()


def serve_mllp() -> None:
    """HL7 v2 over MLLP: over mutual TLS always, plain on loopback where it is switched on."""
    context = server_context(server_credentials())
    doors = [MllpDoor(environment.text("HIE_HOST"), environment.number("HIE_MLLPS_PORT"), context)]
    if settings.MLLP_PLAIN:
        doors.append(MllpDoor("127.0.0.1", environment.number("HIE_MLLP_PORT")))
    server = MllpServer(doors, threads=environment.number("HIE_MLLP_THREADS"))
    mllp_workers.serve(server, environment.number("HIE_MLLP_WORKERS"))


def serve_background() -> None:
    """Scans and what else is scheduled: Celery where there is a broker, else in this process."""
    if settings.BROKER_URL:
        celery = [sys.executable, "-m", "celery", "-A", "hie", "worker", "--beat", "--concurrency", "2"]
        schedule = settings.DATA_DIR / "celerybeat-schedule"
        os.execv(sys.executable, [*celery, "--schedule", str(schedule), "--loglevel", "warning"])  # noqa: S606
    stopping = threading.Event()
    on_stop(stopping.set)
    background.run(stopping)


PARTS: dict[str, Callable[[], None]] = {
    "http": serve_http,
    "https": serve_https,
    "mllp": serve_mllp,
    "background": serve_background,
}


class Command(BaseCommand):
    help = "Open all doors (HTTP, HTTPS, MLLP) and run the background work until Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--only", nargs="+", choices=sorted(PARTS), help="Run only these parts, for a tree spread over machines."
        )

    def handle(self, *args: Any, only: list[str] | None = None, **options: Any) -> None:
        try:
            server_credentials()
        except MissingCredentialsError as missing:
            raise CommandError(str(missing)) from None
        self.check(tags=[Tags.database], databases=["default"])
        names = only or list(PARTS)
        pipeline.record_activity(start=True)
        connections.close_all()  # a child must not share its parent's connection
        gc.collect()
        gc.freeze()  # what is loaded stays shared between parent and children
        gc.set_threshold(*OBJECTS_BETWEEN_COLLECTIONS)
        children = {_spawn(name): name for name in names}
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        self.stdout.write(_doors(names))
        self.stdout.flush()
        self._watch(children, stopping)
        _stop(children)
        pipeline.record_activity(start=False)

    def _watch(self, children: dict[int, str], stopping: threading.Event) -> None:
        """Until told to stop, begin again what ends by itself."""
        while not stopping.wait(0.5):
            for pid, name in list(children.items()):
                if os.waitpid(pid, os.WNOHANG) == (0, 0):
                    continue
                del children[pid]
                self.stderr.write(f"The part {name!r} ended by itself and is started again.")
                stopping.wait(RESTART_PAUSE_SECONDS)
                children[_spawn(name)] = name


def _spawn(name: str) -> int:
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setpgid(0, 0)  # Ctrl-C reaches the parent alone, which stops us in order
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        die_with(parent)
        PARTS[name]()
    except SystemExit as ended:
        os._exit(ended.code if isinstance(ended.code, int) else 1)
    except BaseException as error:
        sys.stderr.write(f"The part {name!r} cannot go on: {type(error).__name__}: {error}\n")
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


def _stop(children: dict[int, str]) -> None:
    for pid in children:
        os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + GRACE_SECONDS
    while children and time.monotonic() < end:
        for pid in list(children):
            if os.waitpid(pid, os.WNOHANG) != (0, 0):
                del children[pid]
        time.sleep(0.05)
    for pid in children:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _doors(names: list[str]) -> str:
    host = settings.HOST_NAMES[0]
    lines = {
        "http": f"  admin site          http://{host}:{environment.number('HIE_HTTP_PORT')}/admin/",
        "https": f"  SOAP, mutual TLS    https://{host}:{environment.number('HIE_HTTPS_PORT')}/soap/",
        "mllp": f"  HL7 v2, mutual TLS  {host}:{environment.number('HIE_MLLPS_PORT')} (MLLP)"
        + (
            f"\n  HL7 v2, plain       127.0.0.1:{environment.number('HIE_MLLP_PORT')} (MLLP)"
            if settings.MLLP_PLAIN
            else ""
        ),
        "background": "  background work     " + ("Celery" if settings.BROKER_URL else "in this process tree"),
    }
    return "\n".join(["The exchange is open (Ctrl-C stops it):", *(lines[name] for name in names), ""])
