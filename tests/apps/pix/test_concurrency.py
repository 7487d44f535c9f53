"""Feeds that arrive at the same moment end as if they had come one after the other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from django.db import OperationalError, connection

from apps.pix import queries, services
from apps.pix.models import LinkEvent, LocalIdentifier, MatchKey, Person
from hie.values.errors import ExchangeError
from tests.apps.pix.told import CLINIC, HOSPITAL, PHARMACY, chart, merge, message, open_facilities, somebody, tell

pytestmark = pytest.mark.django_db(transaction=True)
FACILITIES = (HOSPITAL, CLINIC, PHARMACY)
SECONDS = 30


def at_once(actions: list[Callable[[], object]]) -> list[Exception]:
    """Run all actions in threads that start together; what they raised."""
    start = threading.Barrier(len(actions))
    raised: list[Exception] = []

    def run(action: Callable[[], object]) -> None:
        start.wait(SECONDS)
        try:
            _until_not_busy(action)
        except Exception as error:
            raised.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    return raised


def _until_not_busy(action: Callable[[], object]) -> None:
    """A sender repeats what was answered busy (a lock not granted in time)."""
    for _ in range(20):
        try:
            action()
        except OperationalError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("always busy")


@pytest.mark.parametrize("round_", range(3))
def test_a_new_person_at_several_facilities_becomes_one_person(round_: int) -> None:
    open_facilities()
    raised = at_once(
        [lambda f=facility, n=number: tell(f, f"{n}") for facility in FACILITIES for number in range(3)]  # type: ignore[misc]
    )
    assert raised == []
    assert Person.objects.filter(status="active").count() == 1
    assert len({queries.regional_id_of(chart(f, str(n))) for f in FACILITIES for n in range(3)}) == 1


def test_the_same_new_chart_fed_at_once_is_one_chart() -> None:
    open_facilities()
    raised = at_once([lambda: tell(HOSPITAL, "1") for _ in range(6)])
    assert raised == []
    assert LocalIdentifier.objects.count() == Person.objects.count() == 1
    assert LinkEvent.objects.count() == 1
    assert MatchKey.objects.count() == len(set(MatchKey.objects.values_list("value"))) > 0


def test_the_same_message_sent_at_once_is_carried_out_once() -> None:
    open_facilities()
    feed = message(HOSPITAL, "1")
    outcomes = []
    raised = at_once([lambda: outcomes.append(services.feed(feed, HOSPITAL)) for _ in range(5)])
    assert raised == []
    assert sorted(each.repeated for each in outcomes) == [False, True, True, True, True]


def test_feeds_merges_and_corrections_leave_a_sound_index() -> None:
    """Whatever the order, charts that agree are together, others apart, and the history tells the present."""
    open_facilities()
    for facility in FACILITIES:
        for number in range(4):
            tell(facility, str(number), told=somebody(birth_date=f"1950010{number + 1}"))
    actions: list[Callable[[], object]] = [
        lambda: merge(HOSPITAL, subsumed="0", surviving="1"),
        lambda: tell(CLINIC, "2", told=somebody(birth_date="19500101")),
        lambda: tell(PHARMACY, "3", told=somebody(birth_date="19500101")),
        lambda: tell(CLINIC, "3", told=somebody(birth_date="19600101")),
        lambda: tell(PHARMACY, "9", told=somebody(birth_date="19500102")),
        lambda: merge(PHARMACY, subsumed="2", surviving="1"),
    ]
    raised = [error for error in at_once(actions) if not isinstance(error, ExchangeError)]
    assert raised == []

    def person(facility: str, number: str) -> str | None:
        return queries.regional_id_of(chart(facility, number))

    # Born on the 1st, 2nd and 3rd: one person by two merges, in each facility.
    one = person(HOSPITAL, "1")
    together = [(CLINIC, "0"), (CLINIC, "1"), (CLINIC, "2"), (HOSPITAL, "2"), (PHARMACY, "0"), (PHARMACY, "1")]
    assert {person(*each) for each in [*together, (PHARMACY, "3"), (PHARMACY, "9")]} == {one}
    assert len({one, person(HOSPITAL, "3"), person(CLINIC, "3")}) == 3
    assert person(HOSPITAL, "0") is None
    assert person(PHARMACY, "2") is None
    for row in LocalIdentifier.objects.filter(status="active").select_related("person"):
        assert row.person.status == "active"
        assert LinkEvent.objects.filter(value=row.value, authority_oid=row.authority_oid).first().person == row.person
