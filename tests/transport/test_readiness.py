"""Watched sockets: each event goes to one thread, in the kernel's way and in the portable one."""

from __future__ import annotations

import select
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from hie.transport import readiness as module
from hie.transport.readiness import Readiness, Selected, readiness

KINDS = [Selected] + ([readiness] if hasattr(select, "epoll") else [])


@pytest.fixture(params=KINDS)
def watched(request: pytest.FixtureRequest) -> Iterator[Readiness]:
    kind: Callable[[], Readiness] = request.param
    made = kind()
    yield made
    made.close()


@pytest.fixture
def pairs() -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    made = [socket.socketpair() for _ in range(8)]
    yield made
    for pair in made:
        for each in pair:
            each.close()


def test_who_can_be_read_from_is_told_once(
    watched: Readiness, pairs: list[tuple[socket.socket, socket.socket]]
) -> None:
    for ours, _ in pairs:
        watched.watch(ours.fileno())
    pairs[3][1].sendall(b"x")
    assert watched.wait() == pairs[3][0].fileno()
    pairs[5][1].sendall(b"x")
    assert watched.wait() == pairs[5][0].fileno(), "the first was told already and is not watched any more"
    watched.watch(pairs[3][0].fileno())
    assert watched.wait() == pairs[3][0].fileno()


def test_who_can_be_written_to_and_who_has_ended(
    watched: Readiness, pairs: list[tuple[socket.socket, socket.socket]]
) -> None:
    watched.watch(pairs[0][0].fileno(), writing=True)
    assert watched.wait() == pairs[0][0].fileno()
    watched.watch(pairs[0][0].fileno())
    pairs[0][1].close()
    assert watched.wait() == pairs[0][0].fileno()


def test_who_is_forgotten_is_not_told(watched: Readiness, pairs: list[tuple[socket.socket, socket.socket]]) -> None:
    for ours, theirs in pairs[:2]:
        watched.watch(ours.fileno())
        theirs.sendall(b"x")
    watched.forget(pairs[0][0].fileno())
    watched.forget(pairs[7][0].fileno())  # who never was watched
    assert watched.wait() == pairs[1][0].fileno()


def test_threads_get_each_event_once(watched: Readiness, pairs: list[tuple[socket.socket, socket.socket]]) -> None:
    got: Counter[int] = Counter()
    lock, ended = threading.Lock(), threading.Event()
    by_number = {ours.fileno(): ours for ours, _ in pairs}
    stop_ours, stop_theirs = socket.socketpair()

    def work() -> None:
        while not ended.is_set():
            fileno = watched.wait()
            if fileno in by_number:
                with lock:
                    got[fileno] += len(by_number[fileno].recv(1))
            watched.watch(fileno)

    watched.watch(stop_ours.fileno())
    for ours, _ in pairs:
        watched.watch(ours.fileno())
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(50):
        for _, theirs in pairs:
            theirs.sendall(b"x")
    while sum(got.values()) < 400:
        pass
    ended.set()
    stop_theirs.sendall(b"x")
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert set(got.values()) == {50}
    for each in (stop_ours, stop_theirs):
        each.close()


def test_a_system_without_epoll_has_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(module.select, "epoll", raising=False)
    assert isinstance(readiness(), Selected)
