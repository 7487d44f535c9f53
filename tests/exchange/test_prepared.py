"""Prepared statements are run as psycopg's own cursors would: the same values, rows, errors and transactions."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, OperationalError, connection, transaction

from hie.exchange import prepared, rows

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite's driver prepares by itself"),
]

VALUES = [
    "山田 ‘太郎’",
    7,
    2**40,
    1.5,
    True,
    None,
    b"\x00\xff",
    date(2026, 11, 28),
    datetime(2026, 11, 28, 15, 0, tzinfo=UTC),
    uuid.UUID(int=7),
    [1, 2, 3],
]


@pytest.fixture
def words() -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE words (word varchar(20) PRIMARY KEY)")
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE words")


def names() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM pg_prepared_statements WHERE name LIKE 'hie_%%'")
        return {name for (name,) in cursor.fetchall()}


@pytest.mark.parametrize("value", VALUES, ids=str)
@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_value_comes_back_as_from_a_cursor(value: Any, times: int) -> None:
    connection.ensure_connection()
    expected = connection.connection.execute("SELECT %s AS a, 1 AS b", [value]).fetchall()
    for _ in range(times):
        assert rows.fetch("SELECT %s AS a, 1 AS b", [value]) == expected


def test_rows_of_many_types_are_those_of_a_cursor() -> None:
    sql = (
        "SELECT %s::int, %s::bigint, %s::text, %s::varchar(9), %s::bytea, %s::boolean, %s::float8, NULL::text,"
        " %s::timestamptz"
    )
    values = [7, 1 << 40, "山田", "x", b"\x00\xff" * 300, True, 0.1, datetime(2026, 4, 1, 9, 30, tzinfo=UTC)]
    for text, given in ((sql, values), (sql.removesuffix(", %s::timestamptz"), values[:-1])):
        expected = connection.cursor().execute(text, given).fetchall()
        assert [rows.fetch(text, given) for _ in range(4)] == [expected] * 4


def test_a_statement_that_does_not_fit_any_more_is_refused(words: None) -> None:
    sql = "SELECT word FROM words WHERE word = %s"
    for _ in range(3):
        rows.fetch(sql, ["one"])
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE words RENAME COLUMN word TO another")
    with pytest.raises(DatabaseError):
        rows.fetch(sql, ["one"])


def test_a_statement_is_prepared_when_it_comes_again() -> None:
    before = names()
    rows.fetch("SELECT 'again', %s", ["a"])
    assert names() == before
    for value in "bcd":
        assert rows.fetch("SELECT 'again', %s", [value]) == [("again", value)]
    assert len(names() - before) == 1


def test_the_same_text_with_other_types_is_another_statement() -> None:
    for value in ("a", 1, "b", 2, None, 2**40):
        assert rows.fetch("SELECT %s", [value]) == connection.connection.execute("SELECT %s", [value]).fetchall()


def test_a_connection_keeps_no_more_than_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared, "MOST_STATEMENTS", 5)
    for number in range(20):
        for _ in range(2):
            assert rows.fetch(f"SELECT {number}, %s", ["a"]) == [(number, "a")]
    assert len(names()) <= 6


def test_errors_are_those_of_django_and_the_connection_goes_on(words: None) -> None:
    for _ in range(3):
        with pytest.raises(DatabaseError, match="nowhere"):
            rows.fetch("SELECT nothing FROM nowhere", [])
    rows.execute("INSERT INTO words VALUES (%s)", ["one"])
    for _ in range(3):
        with pytest.raises(IntegrityError):
            rows.execute("INSERT INTO words VALUES (%s)", ["one"])
    assert rows.fetch("SELECT word FROM words", []) == [("one",)]


def test_it_belongs_to_the_database_transaction(words: None) -> None:
    for _ in range(3):
        with transaction.atomic():
            rows.execute("INSERT INTO words VALUES (%s)", ["one"])
            transaction.set_rollback(True)
    assert rows.fetch("SELECT word FROM words", []) == []


def test_a_lost_connection_is_said_to_be_lost_and_is_made_anew() -> None:
    rows.fetch("SELECT %s", ["a"])
    (mine,) = rows.fetch("SELECT pg_backend_pid()", [])[0]
    with connection.copy().cursor() as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [mine])
        other.db.close()
    with pytest.raises(OperationalError):
        rows.fetch("SELECT %s", ["a"])
    connection.close_if_unusable_or_obsolete()
    assert rows.fetch("SELECT %s", ["a"]) == [("a",)]


def test_they_outlive_a_rollback(words: None) -> None:
    for _ in range(2):
        rows.fetch("SELECT word FROM words WHERE word = %s", ["one"])
    for _ in range(2):
        with transaction.atomic():
            assert rows.fetch("SELECT word FROM words WHERE word = %s", ["one"]) == []
            with transaction.atomic():
                connection.cursor().execute("INSERT INTO words VALUES (%s)", ["one"])
                transaction.set_rollback(True)
            assert rows.fetch("SELECT word FROM words WHERE word = %s", ["one"]) == []
            transaction.set_rollback(True)
    assert connection.connection.prepare_threshold is None
