"""Several processes at one MLLP door: they share its connections evenly, and one that is killed is replaced."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from django.db import connection

from hie.transport.mllp_server import Share
from hie.transport.mllp_workers import MOST_BY_THEMSELVES, usual_number
from hie.wire.hl7v2.mllp import frame
from tests.region import ROOT, free_port

SERVING = """
import os, sys
import django
django.setup()
from hie.transport import mllp_workers
from hie.transport.mllp_conversation import MllpDoor
from hie.transport.mllp_server import MllpServer
door = MllpDoor("127.0.0.1", int(sys.argv[1]))
server = MllpServer([door], answer=lambda *_: b"%d" % os.getpid(), max_connections=10)
mllp_workers.serve(server, 3)
"""


@pytest.fixture
def port() -> Iterator[int]:
    number = free_port()
    process = subprocess.Popen(
        [sys.executable, "-c", SERVING, str(number)],
        cwd=ROOT,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "hie.settings"},
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + 30
    while True:
        try:
            with socket.create_connection(("127.0.0.1", number), 10) as probe:
                probe.shutdown(socket.SHUT_WR)
                assert probe.recv(100) == b""  # the server has forgotten it: it no longer counts
            break
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.05)
    yield number
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", number), 1)


def who_answers(peer: socket.socket) -> int:
    peer.sendall(frame(b"x"))
    received = b""
    while not received.endswith(b"\x1c\r"):
        piece = peer.recv(100)
        if not piece:
            raise ConnectionError
        received += piece
    return int(received.strip(b"\x0b\x1c\r"))


def connected(port: int, stack: ExitStack) -> socket.socket:
    return stack.enter_context(socket.create_connection(("127.0.0.1", port), 10))


def test_connections_are_shared_out_and_stay_where_they_are(port: int) -> None:
    """Who has more lets the others go first for a moment; on a machine with other work they may miss it."""
    with ExitStack() as stack:
        answering = []
        for _ in range(9):
            peer = connected(port, stack)
            first = who_answers(peer)
            assert who_answers(peer) == first
            answering.append(first)
        shares = [answering.count(pid) for pid in set(answering)]
        assert len(shares) == 3
        assert max(shares) <= 5


def test_all_of_them_together_take_no_more_than_one_would(port: int) -> None:
    with ExitStack() as stack:
        for _ in range(10):
            who_answers(connected(port, stack))
        assert connected(port, stack).recv(100) == b""


def test_one_that_is_killed_is_replaced(port: int) -> None:
    with ExitStack() as stack:
        peer = connected(port, stack)
        killed = who_answers(peer)
        os.kill(killed, signal.SIGKILL)
        end = time.monotonic() + 20
        answering: set[int] = set()
        while len(answering - {killed}) < 3:
            assert time.monotonic() < end, answering
            with ExitStack() as others:
                answering = {who_answers(connected(port, others)) for _ in range(6)}
        assert killed not in answering


def test_whose_share_is_large() -> None:
    counts = [0, 0, 0]
    first, second = Share(counts, 0), Share(counts, 1)
    assert not first.is_large
    first.add(1)
    assert first.is_large
    assert not second.is_large
    second.add(1)
    Share(counts, 2).add(1)
    assert not first.is_large
    assert first.all == 3
    assert Share(counts, 0).all == 2, "one that begins anew has none"


@pytest.mark.parametrize("processors", [1, 2, 64])
def test_the_usual_number_of_processes(monkeypatch: pytest.MonkeyPatch, processors: int) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(processors)))
    several = min(processors, MOST_BY_THEMSELVES)
    assert usual_number() == (1 if connection.vendor == "sqlite" else several)
