"""How many statements a feed takes: each costs every hospital's every message."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.pix import services
from tests.apps.pix.told import CLINIC, HOSPITAL, PHARMACY, merge, message, somebody, tell

pytestmark = pytest.mark.usefixtures("facilities")

TELEPHONE = ("03-1234-5678",)
INSURED = somebody("保 険", "ホ ケン", "19800101", insurance="06130001:12:345:01")


@pytest.fixture(autouse=True)
def _known(facilities: None) -> None:
    """Rules are in force, and there is somebody."""
    tell(HOSPITAL, "0", told=somebody("別 人", "ベツ ジン", "19990101"))
    tell(HOSPITAL, "1")
    tell(HOSPITAL, "2", told=somebody("鈴木 一", "スズキ イチ", "19700101"))
    tell(HOSPITAL, "3", told=INSURED)


def _statements(action: Any) -> int:
    """Statements that ask or write something: the database transaction, savepoints and locks left out."""
    with CaptureQueriesContext(connection) as captured:
        action()
    left_out = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE")
    return sum(
        not each["sql"].startswith(left_out) and "pg_advisory" not in each["sql"] for each in captured.captured_queries
    )


@pytest.mark.parametrize(
    ("name", "action", "postgresql", "sqlite"),
    [
        ("the same message", lambda: services.feed(FED, HOSPITAL), 2, 2),
        ("a new person", lambda: tell(CLINIC, "5", told=somebody("新 人", "シン ジン", "20010101")), 8, 15),
        ("a new chart of a known person", lambda: tell(CLINIC, "1"), 13, 17),
        (
            "a relative",
            lambda: tell(PHARMACY, "7", told=somebody("山田 花", "ヤマダ ハナ", sex="F")),
            9,
            16,
        ),
        ("nothing new", lambda: tell(HOSPITAL, "1"), 3, 3),
        ("nothing new of somebody insured", lambda: tell(HOSPITAL, "3", told=INSURED), 3, 3),
        ("a telephone number", lambda: tell(HOSPITAL, "2", told=_with_telephone()), 17, 16),
        ("a merge", lambda: merge(HOSPITAL, subsumed="2", surviving="1"), 56, 55),
    ],
)
def test_a_feed_takes_no_more_statements_than(name: str, action: Any, postgresql: int, sqlite: int) -> None:
    if name == "the same message":
        action()
    assert _statements(action) <= (postgresql if connection.vendor == "postgresql" else sqlite), name


FED = message(HOSPITAL, "1")


def _with_telephone() -> Any:
    return somebody("鈴木 一", "スズキ イチ", "19700101", telephones=TELEPHONE)


def test_many_new_charts_take_no_more_than_a_few() -> None:
    feeds = [
        message(HOSPITAL, f"n{number}", told=somebody(f"甲{number} 乙", "コウ オツ", f"19{number:02}0101"))
        for number in range(10, 60)
    ]
    assert _statements(lambda: services.feed_all(feeds, HOSPITAL)) <= 30
