"""Which of many sockets is ready, asked by several threads at once: each thread gets another one.

A socket is watched for one event; whoever gets it owns the socket until it is watched again. On Linux the kernel hands
the event straight to one of the threads that wait (epoll(7), EPOLLONESHOT), so that no thread has to pass a socket on
to another. Elsewhere one thread after the other waits in the selector that the system has.
"""

from __future__ import annotations

import contextlib
import select
import selectors
import threading
from typing import Protocol


class Readiness(Protocol):
    """A set of watched sockets, by their file descriptors."""

    def watch(self, fileno: int, *, writing: bool = False) -> None:
        """Tell one thread when this socket can be read from (or written to), or has ended."""

    def forget(self, fileno: int) -> None:
        """Do not watch this socket any more; before it is closed."""

    def wait(self) -> int:
        """The next socket that is ready; from now on it is not watched. Waits until there is one."""

    def close(self) -> None:
        """Let go of what the system holds for this."""


def readiness() -> Readiness:
    """The best that this system has."""
    return _Epoll() if hasattr(select, "epoll") else Selected()


class _Epoll:
    def __init__(self) -> None:
        self._epoll = select.epoll()

    def watch(self, fileno: int, *, writing: bool = False) -> None:
        event = (select.EPOLLOUT if writing else select.EPOLLIN) | select.EPOLLONESHOT
        try:
            self._epoll.modify(fileno, event)
        except FileNotFoundError:  # for the first time
            self._epoll.register(fileno, event)

    def forget(self, fileno: int) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._epoll.unregister(fileno)

    def wait(self) -> int:
        while not (found := self._epoll.poll(maxevents=1)):
            pass
        return found[0][0]

    def close(self) -> None:
        self._epoll.close()


class Selected:
    """The same on a selector of the standard library, in which one thread waits at a time."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._one = threading.Lock()

    def watch(self, fileno: int, *, writing: bool = False) -> None:
        self._selector.register(fileno, selectors.EVENT_WRITE if writing else selectors.EVENT_READ)

    def forget(self, fileno: int) -> None:
        if fileno in self._selector.get_map():
            self._selector.unregister(fileno)

    def wait(self) -> int:
        with self._one:
            while not (found := self._selector.select()):
                pass
            fileno = found[0][0].fd
            self._selector.unregister(fileno)
            return fileno

    def close(self) -> None:
        self._selector.close()
