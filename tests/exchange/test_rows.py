"""The short way to the database: Django's exceptions, its transactions, and who counts statements still counts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.transaction import TransactionManagementError

from hie.exchange import rows


@pytest.fixture
def words(transactional_db: None) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE words (word varchar(20) PRIMARY KEY)")
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE words")


def test_what_was_written_is_read(words: None) -> None:
    rows.execute("INSERT INTO words VALUES (%s), (%s)", ["one", "two"])
    assert rows.fetch("SELECT word FROM words WHERE word = %s", ["two"]) == [("two",)]
    assert rows.fetch("SELECT word FROM words WHERE word = %s", ["three"]) == []


def test_it_belongs_to_the_database_transaction(words: None) -> None:
    with transaction.atomic():
        rows.execute("INSERT INTO words VALUES (%s)", ["one"])
        transaction.set_rollback(True)
    assert rows.fetch("SELECT word FROM words", []) == []


def test_errors_are_those_of_django(words: None) -> None:
    rows.execute("INSERT INTO words VALUES (%s)", ["one"])
    with pytest.raises(DatabaseError):
        rows.execute("INSERT INTO words VALUES (%s)", ["one"])
    with pytest.raises(DatabaseError):
        rows.fetch("SELECT nothing FROM nowhere", [])


def test_a_broken_database_transaction_takes_no_more(words: None) -> None:
    with transaction.atomic():
        transaction.set_rollback(True)
        with pytest.raises(TransactionManagementError):
            rows.execute("INSERT INTO words VALUES (%s)", ["one"])


def test_who_counts_statements_counts_these(words: None, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        rows.fetch("SELECT word FROM words WHERE word = %s", ["one"])


@pytest.mark.django_db
def test_a_connection_is_asked_whether_it_lives_after_a_rest_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "close_old_connections", lambda: setattr(connection, "health_check_done", False))
    monkeypatch.setattr(rows._thread, "last", -rows.ALIVE_SECONDS, raising=False)
    monkeypatch.setattr(rows.time, "monotonic", lambda: 1.0)
    rows.between_messages()
    assert not connection.health_check_done
    rows.between_messages()
    assert connection.health_check_done


def test_every_row_comes_one_after_the_other(words: None) -> None:
    for number in range(1200):
        rows.execute("INSERT INTO words VALUES (%s)", [f"{number:04}"])
    found = [word for (word,) in rows.each("SELECT word FROM words ORDER BY word", [])]
    assert found == [f"{number:04}" for number in range(1200)]
