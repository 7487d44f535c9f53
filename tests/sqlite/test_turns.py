"""Writers of one process take turns at SQLite."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections

from hie.sqlite.base import DatabaseWrapper, Turns

pytestmark = pytest.mark.django_db  # for connections of their own


def test_turns_come_in_the_order_in_which_they_were_waited_for() -> None:
    turns, came = Turns(), []
    assert turns.take(1)

    def wait(number: int) -> None:
        assert turns.take(10)
        came.append(number)
        turns.give()

    threads = []
    for number in range(5):
        threads.append(threading.Thread(target=wait, args=(number,)))
        threads[-1].start()
        while len(turns._waiting) <= number:
            time.sleep(0.001)
    turns.give()
    for each in threads:
        each.join()
    assert came == [0, 1, 2, 3, 4]
    assert turns.take(0)


def test_who_waits_too_long_goes_and_the_next_one_comes() -> None:
    turns = Turns()
    assert turns.take(1)
    assert not turns.take(0.01)
    turns.give()
    assert turns.take(0)


@pytest.fixture
def two(tmp_path: Path) -> tuple[DatabaseWrapper, DatabaseWrapper]:
    """Two connections to one file."""
    default = connections.databases[DEFAULT_DB_ALIAS]
    options = {"transaction_mode": "IMMEDIATE", "timeout": 0.05}
    given = {**default, "NAME": str(tmp_path / "a.sqlite3"), "OPTIONS": options}
    return DatabaseWrapper(given, "one"), DatabaseWrapper(given, "two")


@pytest.mark.parametrize("end", ["commit", "rollback", "close"])
def test_a_turn_ends_with_the_transaction(two: tuple[DatabaseWrapper, DatabaseWrapper], end: str) -> None:
    one, other = two
    one.connect()
    one.set_autocommit(False, force_begin_transaction_with_broken_autocommit=True)
    other.connect()
    with pytest.raises(OperationalError):
        other.set_autocommit(False, force_begin_transaction_with_broken_autocommit=True)
    getattr(one, end)()
    other.set_autocommit(False, force_begin_transaction_with_broken_autocommit=True)
    assert other._turn is not None
    other.rollback()
    assert other._turn is None
    one.close()
    other.close()


def test_a_transaction_that_cannot_begin_gives_its_turn_back(two: tuple[DatabaseWrapper, DatabaseWrapper]) -> None:
    one, other = two
    one.connect()
    one.connection.execute("BEGIN IMMEDIATE")  # as another process would
    other.connect()
    with pytest.raises(OperationalError):
        other.set_autocommit(False, force_begin_transaction_with_broken_autocommit=True)
    assert other._turn is None
    one.connection.rollback()
    one.close()
    other.close()
