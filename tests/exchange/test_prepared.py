"""What runs often on PostgreSQL is prepared: the same rows, errors and database transactions as by the cursor."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, OperationalError, connection, transaction

from hie.exchange import prepared, rows

pytestmark = pytest.mark.skipif(connection.vendor != "postgresql", reason="statements of PostgreSQL")
OFTEN = 8  # times: more than the driver waits before it prepares

_WIDE = (
    "SELECT %s::int, %s::bigint, %s::text, %s::varchar(9), %s::bytea, %s::boolean, %s::float8, NULL::text,"
    " '{\"a\": 1}'::jsonb::text"
)
_VALUES = [7, 1 << 40, "山田", "x", b"\x00\xff" * 300, True, 0.1]
_MOMENT = datetime(2026, 4, 1, 9, 30, tzinfo=UTC)


@pytest.fixture
def words(transactional_db: None) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE words (word varchar(20) PRIMARY KEY, number integer NULL)")
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE words")


@transaction.atomic
def _both(sql: str, first: list[Any], second: list[Any]) -> None:
    rows.execute(sql, first)
    rows.execute(sql, second)


def _is_prepared(sql: str) -> bool:
    kept: Any = getattr(rows._thread, "prepared", None)
    return kept is not None and any(text == prepared._numbered(sql) for text, _ in kept._names)


@pytest.mark.parametrize(
    ("sql", "values"),
    [
        (_WIDE, _VALUES),
        ("SELECT %s::timestamptz, %s::text", [_MOMENT, "a"]),
        ("SELECT n FROM unnest(%s::bigint[]) AS n ORDER BY n", [[3, 1, 2]]),
        ("SELECT %s::text, %s::int", [None, None]),
    ],
)
def test_the_same_rows_as_by_the_cursor(transactional_db: None, sql: str, values: list[Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        expected = cursor.fetchall()
    assert [rows.fetch(sql, values) for _ in range(OFTEN)] == [expected] * OFTEN
    assert _is_prepared(sql)


def test_values_of_another_type_are_another_statement(words: None) -> None:
    sql = "INSERT INTO words VALUES (%s, %s)"
    for number in [*range(OFTEN), None, *range(OFTEN, 2 * OFTEN)]:
        rows.execute(sql, [f"w{number}", number])
    assert rows.fetch("SELECT count(*), count(number) FROM words", []) == [(2 * OFTEN + 1, 2 * OFTEN)]


def test_errors_are_those_of_django(words: None) -> None:
    sql = "INSERT INTO words VALUES (%s, %s)"
    for number in range(OFTEN):
        rows.execute(sql, [f"w{number}", number])
    assert _is_prepared(sql)
    with pytest.raises(IntegrityError):
        rows.execute(sql, ["w1", 1])
    assert rows.fetch("SELECT count(*) FROM words", []) == [(OFTEN,)]


def test_it_belongs_to_the_database_transaction(words: None) -> None:
    sql = "INSERT INTO words VALUES (%s, %s)"
    for number in range(OFTEN):
        rows.execute(sql, [f"w{number}", number])
    with transaction.atomic():
        rows.execute(sql, ["undone", 0])
        rows.execute(sql, ["undone too", 0])
        transaction.set_rollback(True)
    with pytest.raises(IntegrityError):
        _both(sql, ["undone", 0], ["w1", 0])
    assert rows.fetch("SELECT count(*) FROM words", []) == [(OFTEN,)]


def test_a_statement_that_does_not_fit_any_more_is_refused(words: None) -> None:
    sql = "SELECT word FROM words WHERE number = %s"
    for _ in range(OFTEN):
        rows.fetch(sql, [1])
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE words RENAME COLUMN number TO another")
    with pytest.raises(DatabaseError):
        rows.fetch(sql, [1])


def test_a_rollback_ends_what_is_prepared(words: None) -> None:
    sql = "SELECT number FROM words WHERE word = %s"
    for _ in range(OFTEN):
        rows.fetch(sql, ["one"])
    assert _is_prepared(sql)
    with transaction.atomic():
        rows.fetch(sql, ["one"])
        transaction.set_rollback(True)
    assert not _is_prepared(sql)
    assert [rows.fetch(sql, ["one"]) for _ in range(OFTEN)] == [[]] * OFTEN
    assert _is_prepared(sql)


def test_what_rested_longest_makes_room(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows._thread, "prepared", None, raising=False)
    monkeypatch.setattr(prepared, "MOST", 3)
    texts = [f"SELECT {number}, %s::int" for number in range(5)]
    for sql in texts:
        assert [rows.fetch(sql, [1]) for _ in range(OFTEN)] == [[(int(sql[7]), 1)]] * OFTEN
        rows.fetch(texts[0], [1])
    assert _is_prepared(texts[0])
    assert not _is_prepared(texts[1])


def test_a_connection_that_was_ended_is_an_operational_error(transactional_db: None) -> None:
    sql = "SELECT pg_backend_pid(), %s::int"
    for _ in range(OFTEN):
        ((pid, _),) = rows.fetch(sql, [1])
    import psycopg

    settings = connection.get_connection_params()
    with psycopg.connect(
        host=settings["host"], port=settings["port"], user=settings["user"], dbname=settings["dbname"], autocommit=True
    ) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    with pytest.raises(OperationalError):
        rows.fetch(sql, [1])
    connection.close()
    assert rows.fetch(sql, [1])[0][1] == 1
