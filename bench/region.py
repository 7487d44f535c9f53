"""A region for measuring: its own data directory, doors on free ports, servers in processes of their own."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True, slots=True)
class Region:
    """Where the measured server keeps its data and which doors it has."""

    directory: Path
    https_port: int
    mllps_port: int
    mllp_port: int
    floor_https_port: int
    floor_mllp_port: int

    def environment(self) -> dict[str, str]:
        return os.environ | {
            "HIE_DATA_DIR": str(self.directory),
            "HIE_HTTPS_PORT": str(self.https_port),
            "HIE_MLLPS_PORT": str(self.mllps_port),
            "HIE_MLLP_PORT": str(self.mllp_port),
            "HIE_MLLP_PLAIN": "1",
            "HIE_CONSENT_DEFAULT": "opt-out",
            "HIE_LOG_LEVEL": "WARNING",
        }


@contextlib.contextmanager
def measured_region() -> Iterator[Region]:
    """A fresh region, removed at the end. The environment of this process names it too, before Django starts."""
    with tempfile.TemporaryDirectory(prefix="hie-bench-") as directory:
        region = Region(Path(directory), *(free_port() for _ in range(5)))
        os.environ.update(region.environment())
        yield region


@contextlib.contextmanager
def running(region: Region, module_or_command: list[str], ports: list[int]) -> Iterator[None]:
    """A Python process of the region, up when its ports answer, stopped at the end."""
    process = subprocess.Popen([sys.executable, *module_or_command], cwd=ROOT, env=region.environment())
    try:
        for port in ports:
            _await_port(process, port)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(120)


def _await_port(process: subprocess.Popen[bytes], port: int) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if process.poll() is not None:
            raise SystemExit(f"the measured server ended with {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise SystemExit(f"nobody listens on port {port}")
