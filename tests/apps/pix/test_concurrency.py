"""Feeds that arrive at the same moment end as if they had come one after the other."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from apps.pix import queries, services
from apps.pix.models import LinkEvent, LocalIdentifier, MatchKey, MatchRules, Person
from apps.pix.services import training
from hie.values.errors import ExchangeError
from hie.values.identifiers import AssigningAuthority, Identifier
from hie.values.patients import CrossReferenceQuery
from hie.values.people import Demographics
from tests.apps.pix.told import (
    CLINIC,
    HOSPITAL,
    PHARMACY,
    chart,
    link,
    merge,
    message,
    open_facilities,
    permit,
    somebody,
    tell,
)

pytestmark = pytest.mark.django_db(transaction=True)
FACILITIES = (HOSPITAL, CLINIC, PHARMACY)
SECONDS = 60


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
    assert not any(thread.is_alive() for thread in threads), "somebody waits for ever"
    return raised


def _until_not_busy(action: Callable[[], object]) -> None:
    """A sender repeats what was answered busy (a lock not granted in time)."""
    for _ in range(400):
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


@pytest.mark.parametrize("seed", [7])
def test_a_storm_of_feeds_merges_decisions_and_queries_ends_as_the_model_says(seed: int) -> None:
    """Facilities feed, merge, link; clerks link, part, take merges back; others ask; then it is checked.

    The model is the engine over charts and statements alone, one after the other (``training.what_if``): what is stored
    must not differ from it. The history of each chart must be one chain that ends in the present.
    """
    open_facilities()
    for facility in FACILITIES:
        for number in range(5):
            tell(facility, str(number), told=_born(number))
    chance = random.Random(seed)
    answers: list[tuple[str, tuple[str, ...]]] = []
    workers = [_work(random.Random(f"{seed} {worker}"), answers) for worker in range(3)]
    chance.shuffle(workers)
    raised = at_once(workers)
    assert raised == []
    assert len(answers) > 3
    assert not any(asked in found for asked, found in answers)  # an answer never holds what was asked with
    difference = training.what_if(MatchRules.objects.get(in_force=True).name)
    assert (difference.joined, difference.parted) == ((), ())
    assert difference.review == difference.review_now
    for row in LocalIdentifier.objects.select_related("person"):
        _check_history(row)
    for person in Person.objects.exclude(status="active"):
        assert not LocalIdentifier.objects.filter(person=person, status="active").exists()
        assert queries.surviving_of(person.regional_id) is not None


def _born(number: int) -> Demographics:
    return somebody(birth_date=f"1950010{number + 1}")


def _work(chance: random.Random, answers: list[tuple[str, tuple[str, ...]]]) -> Callable[[], object]:
    """Ten things that happen, drawn by chance; each is repeated until it is not busy, and refusals are answers."""

    def chart_of(facility: str) -> LocalIdentifier:
        return LocalIdentifier.objects.get(value=str(chance.randrange(5)), authority_oid=chart(facility, "").oid)

    def ask(facility: str) -> None:
        known = chart(facility, str(chance.randrange(5)))
        regional_id = queries.regional_id_of(known)
        found = queries.cross_references(CrossReferenceQuery("Q", known), permit(facility, regional_id))
        answers.append((f"{known.oid}|{known.value}", tuple(f"{each.oid}|{each.value}" for each in found.identifiers)))

    def numbers() -> tuple[str, str]:
        one, other = chance.sample(range(5), 2)
        return str(one), str(other)

    def once() -> None:
        facility = chance.choice(FACILITIES)
        verbs: list[Callable[[], object]] = [
            lambda: tell(facility, str(chance.randrange(7)), told=_born(chance.randrange(5))),
            lambda: merge(facility, subsumed=numbers()[0], surviving=numbers()[1]),
            lambda: link(facility, *numbers(), undo=chance.random() < 0.5),
            lambda: services.link(chart_of(HOSPITAL), chart_of(CLINIC), by="clerk"),
            lambda: services.keep_apart(chart_of(CLINIC), chart_of(PHARMACY), by="clerk"),
            lambda: services.part(chart_of(facility).pk, by="clerk", reason="a storm"),
            lambda: services.unmerge(chart_of(facility).pk, by="clerk", reason="a storm"),
            lambda: ask(facility),
            lambda: ask(facility),
            lambda: ask(facility),
        ]
        verb = chance.choice(verbs)
        with contextlib.suppress(ExchangeError, services.StatedElsewhereError, services.AlreadyDecidedError):
            _until_not_busy(verb)

    def all_of_it() -> None:
        for _ in range(10):
            once()

    return all_of_it


def _check_history(row: LocalIdentifier) -> None:
    events = list(LinkEvent.objects.filter(record=row).order_by("pk"))
    assert events[0].kind in ("registered", "linked")
    standing = None
    for event in events:
        if event.kind != "registered" and event.previous_person_id is not None:
            assert event.previous_person_id == standing, event.kind
        standing = event.person_id if event.person_id is not None else standing
    if row.status == "active":
        assert events[-1].person_id == row.person_id
        assert row.person.status == "active"
        assert queries.person_on(chart_identifier(row), timezone.now()) == row.person.regional_id


def chart_identifier(row: LocalIdentifier) -> Identifier:
    return Identifier(row.value, AssigningAuthority(oid=row.authority_oid))
