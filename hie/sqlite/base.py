"""Django's database backend of SQLite, where the threads of one process take turns to write.

SQLite has one writer. Who finds it busy asks again after 1, 2, 5, 10, 15, 20, 25, 25, 25, 50, 50 and then 100
milliseconds: under load some thread always asks in between, and who has waited longest waits on, up to hundreds of
milliseconds for a lock that is free every two. So a thread waits for its turn here, where it is woken, and asks SQLite
then; between processes SQLite's own way remains. Who waits longer than the ``timeout`` of the database gets the error
that SQLite would raise.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from typing import Any

from django.db import OperationalError
from django.db.backends.sqlite3 import base


class Turns:
    """A lock that is given to those who wait in the order in which they came."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._is_taken = False
        self._waiting: deque[threading.Lock] = deque()

    def take(self, seconds: float) -> bool:
        """Wait for one's turn, at most so long; whether it came."""
        with self._mutex:
            if not self._is_taken:
                self._is_taken = True
                return True
            own = threading.Lock()
            own.acquire()
            self._waiting.append(own)
        if own.acquire(timeout=seconds):
            return True
        with self._mutex:
            if own in self._waiting:
                self._waiting.remove(own)
                return False
        return True  # it came at the last moment

    def give(self) -> None:
        """Let the next one have its turn."""
        with self._mutex:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._is_taken = False


_turns: dict[str, Turns] = {}
_turns_mutex = threading.Lock()


def _turns_of(name: str) -> Turns:
    with _turns_mutex:
        return _turns.setdefault(name, Turns())


def _forget() -> None:
    """A process that was split off has none of the threads that waited."""
    global _turns_mutex
    _turns_mutex = threading.Lock()
    _turns.clear()


os.register_at_fork(after_in_child=_forget)


# The stubs of Django leave out what is not public.
_DatabaseWrapper: Any = base.DatabaseWrapper


class DatabaseWrapper(_DatabaseWrapper):
    """One connection. A database transaction begins with its turn to write, which ends with it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._turn: Turns | None = None

    def _start_transaction_under_autocommit(self) -> None:
        if self.transaction_mode == "IMMEDIATE" and self._turn is None:
            self._wait()
        try:
            super()._start_transaction_under_autocommit()
        except BaseException:
            self._end()
            raise

    def _wait(self) -> None:
        turns = _turns_of(str(self.settings_dict["NAME"]))
        if not turns.take(float(self.settings_dict["OPTIONS"].get("timeout", 5.0))):
            raise OperationalError("database is locked")
        self._turn = turns

    def _end(self) -> None:
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.give()

    def _commit(self) -> None:
        super()._commit()
        self._end()

    def _rollback(self) -> None:
        try:
            super()._rollback()
        finally:
            self._end()

    def _close(self) -> None:
        try:
            super()._close()
        finally:
            self._end()
