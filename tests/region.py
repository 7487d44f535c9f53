"""A whole region as its operator runs it: ``manage.py serve`` in processes of its own, on free ports, with members.

For tests of what no test double shows: a killed process tree, a real handshake, several workers. The region keeps its
data in a directory of its own, on SQLite, or, where HIE_DATABASE_URL is set, in a PostgreSQL database made for it. The
test reads that database with plain SQL (``rows``), never through the Django of its own process.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

from hie.transport.outside import ConnectionFacts, Outside
from hie.transport.tls import Credentials

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60
STOP_SECONDS = 40
HOSPITAL, CLINIC = "1310000011", "1310000029"

# node -> (facility, MSH-4, MSH-3). ``stranger`` is switched off, the certificate of ``withdrawn`` stands for nobody.
NODES = {
    "hospital": (HOSPITAL, "HOSP", "EHR"),
    "clinic": (CLINIC, "CLIN", "EHR"),
    "stranger": (CLINIC, "OFF", "EHR"),
    "withdrawn": (CLINIC, "GONE", "EHR"),
}
_numbers = itertools.count(1)


@dataclass
class Region:
    """A region that can be started, stopped, killed and started again.

    choices: further environment variables. directory: HIE_DATA_DIR.
    """

    directory: Path
    database_url: str = ""
    choices: dict[str, str] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=lambda: {name: free_port() for name in PORTS})
    process: subprocess.Popen[bytes] | None = None
    _looking: psycopg.Connection[Any] | None = None

    # Running --------------------------------------------------------------------------------------------------------

    def environment(self) -> dict[str, str]:
        """The environment of the region's processes: nothing of ours but the path, and what was chosen."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith("HIE_")}
        doors = {PORTS[name]: str(port) for name, port in self.ports.items()}
        return (
            ours
            | {
                "HIE_DATA_DIR": str(self.directory),
                "HIE_DATABASE_URL": self.database_url,
                "HIE_CONSENT_DEFAULT": "opt-out",
                "HIE_MLLP_PLAIN": "1",
                "HIE_LOG_LEVEL": "WARNING",
                "HIE_OID_ROOT": "1.2.392.99",
                "DJANGO_SETTINGS_MODULE": "hie.settings",
            }
            | doors
            | self.choices
        )

    def start(self, *arguments: str, doors: tuple[str, ...] = ("http", "https", "mllps", "mllp")) -> float:
        """``manage.py serve``; returns when these doors take connections, with the seconds it took."""
        began = time.monotonic()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "serve", *arguments],
                cwd=ROOT,
                env=self.environment(),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        for door in doors:
            self._await(door, began + START_SECONDS)
        return time.monotonic() - began

    def stop(self, number: int = signal.SIGTERM) -> float:
        """Ask the tree to stop, wait until nothing of it is left; the seconds it took."""
        began = time.monotonic()
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait(STOP_SECONDS)
        while self.processes():
            assert time.monotonic() < began + STOP_SECONDS, "processes of the region are left"
            time.sleep(0.02)
        return time.monotonic() - began

    def kill(self) -> None:
        """``kill -9`` of the whole tree, as when the machine loses power; nobody is asked."""
        began = time.monotonic()
        while found := self.processes():
            assert time.monotonic() < began + STOP_SECONDS, f"processes of the region cannot be killed: {found}"
            for pid in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if self.process is not None:
                self.process.poll()
            time.sleep(0.005)
        if self.process is not None:
            self.process.wait(STOP_SECONDS)

    def processes(self) -> dict[int, str]:
        """Every living process of this region, by its environment: pid -> state and parent as ``S 123``."""
        mark = f"HIE_DATA_DIR={self.directory}\0".encode()
        found = {}
        for place in Path("/proc").iterdir():
            if not place.name.isdigit():
                continue
            with contextlib.suppress(OSError):
                if mark not in (place / "environ").read_bytes():
                    continue
                state, parent = (place / "stat").read_text().rpartition(") ")[2].split()[:2]
                if state != "Z":
                    found[int(place.name)] = f"{state} {parent}"
        return found

    def children(self, of: int) -> list[int]:
        """The processes that this one began."""
        return [pid for pid, line in self.processes().items() if line.split()[1] == str(of)]

    def memory(self) -> int:
        """Proportional set size of the whole tree, in bytes: pages shared are counted once."""
        total = 0
        for pid in self.processes():
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            total += next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
        return total

    @property
    def log(self) -> Path:
        """What the processes wrote to their standard output and error."""
        return self.directory.with_suffix(".log")

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A Python command of the region, as ``("manage.py", "migrate")``, run to its end."""
        done = subprocess.run(
            [sys.executable, *command], cwd=ROOT, env=self.environment(), capture_output=True, text=True, check=False
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    def _await(self, door: str, end: float) -> None:
        assert self.process is not None
        while self.ports[door] not in _listening():  # a connection on trial would leave a record of its handshake
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, f"{door} did not open: {self.log.read_text()}"
            time.sleep(0.02)

    # Looking in -----------------------------------------------------------------------------------------------------

    def rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """The answer to one SQL statement; its marks are ``%s``. It is committed."""
        if self.database_url:
            if self._looking is None or self._looking.closed:
                self._looking = psycopg.connect(self.database_url, autocommit=True)
            cursor = self._looking.execute(sql, parameters or None)
            return cursor.fetchall() if cursor.description else []
        with contextlib.closing(sqlite3.connect(self.directory / "hie.sqlite3", timeout=20)) as connection:
            found = connection.execute(sql.replace("%s", "?"), parameters).fetchall()
            connection.commit()
            return found

    def one(self, sql: str, *parameters: Any) -> Any:
        """The single value that a SQL statement answers with."""
        ((value,),) = self.rows(sql, *parameters)
        return value

    # Speaking to it -------------------------------------------------------------------------------------------------

    def credentials(self, node: str) -> Credentials:
        tls = self.directory / "tls"
        return Credentials(tls / "nodes" / f"{node}.pem", tls / "nodes" / f"{node}.key", tls / "ca.pem")

    def member(self, node: str) -> Outside:
        """A member's system, with its certificate and the doors of this region."""
        facts = ConnectionFacts.read(self.directory / "tls" / "nodes" / f"{node}.json")
        facts = replace(facts, host="localhost", https_port=self.ports["https"], mllps_port=self.ports["mllps"])
        answers = self.directory / "answers" / node
        answers.mkdir(parents=True, exist_ok=True)
        return Outside(facts, self.credentials(node), answers)


PORTS = {"http": "HIE_HTTP_PORT", "https": "HIE_HTTPS_PORT", "mllp": "HIE_MLLP_PORT", "mllps": "HIE_MLLPS_PORT"}


@contextlib.contextmanager
def prepared_region(**choices: str) -> Iterator[Region]:
    """A region with its members, not started; whatever of it still lives at the end is killed, its data removed."""
    number = next(_numbers)
    with tempfile.TemporaryDirectory(prefix="hie-region-") as place:
        directory = Path(place) / "data"
        shutil.copytree(_prepared(), directory, copy_function=shutil.copy2)
        with _database(f"region_{os.getpid()}_{number}", _TEMPLATE) as database_url:
            region = Region(directory, database_url, choices)
            try:
                yield region
            finally:
                region.kill()


@contextlib.contextmanager
def running_region(**choices: str) -> Iterator[Region]:
    """The same, started, and asked to stop at the end."""
    with prepared_region(**choices) as region:
        region.start()
        yield region
        if region.process is not None and region.process.poll() is None:
            region.stop()


def free_port() -> int:
    """A port of loopback that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _listening() -> set[int]:
    """The TCP ports on which somebody listens (proc(5): state 0A), IPv4."""
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return {int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == "0A"}


# The region that all others are copies of: migrating takes seconds, copying none -------------------------------------

_TEMPLATE = f"region_{os.getpid()}"
_kept = contextlib.ExitStack()


@cache
def _prepared() -> Path:
    directory = Path(_kept.enter_context(tempfile.TemporaryDirectory(prefix="hie-region-"))) / "data"
    directory.mkdir()
    region = Region(directory, _kept.enter_context(_database(_TEMPLATE, "template0")))
    region.run("manage.py", "migrate", "--verbosity", "0")
    region.run("-m", "tests.region")
    return directory


@contextlib.contextmanager
def _database(name: str, template: str) -> Iterator[str]:
    """A PostgreSQL database beside the one that HIE_DATABASE_URL names, or "" for SQLite."""
    server = os.environ.get("HIE_DATABASE_URL", "")
    if not server:
        yield ""
        return
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        try:
            yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def remove_prepared() -> None:
    """Remove what the regions were copied from; another ``prepared_region`` would make it again."""
    _prepared.cache_clear()
    _kept.close()


def _add_members() -> None:
    """Run inside the region: its members, their nodes and certificates."""
    import django

    django.setup()

    from apps.network.models import NodeCertificate
    from apps.network.services import certificates, joining, members

    members.set_own_rows()
    certificates.issue_server_certificate()
    for node, (code, sending_facility, sending_application) in NODES.items():
        members.add_facility(code=code, name=f"facility of the {node}")
        members.add_node(
            facility_code=code,
            name=node,
            sending_facility=sending_facility,
            sending_application=sending_application,
        )
        joining.keep_connection(certificates.issue_certificate(node_name=node))
    members.set_node_enabled(name="stranger", enabled=False)
    NodeCertificate.objects.filter(node__name="withdrawn").delete()


if __name__ == "__main__":
    _add_members()
