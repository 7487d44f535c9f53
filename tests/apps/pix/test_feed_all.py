"""Many feeds in one database transaction end as if they had come one by one."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from accuracy.population import HARD, ORDINARY, Rates, describe
from apps.ids.models import RegionalIdentifier, RegionalIdentifierEvent
from apps.network.services import add_facility
from apps.pix import queries, services
from apps.pix.models import (
    AddressKey,
    Assertion,
    FeedMessage,
    LinkEvent,
    LocalIdentifier,
    MatchDecision,
    MatchKey,
    NameKey,
    Person,
    ReviewCase,
    TelephoneKey,
)
from hie.values.errors import ExchangeError, Reason
from hie.values.identifiers import AssigningAuthority, Identifier
from hie.values.patients import FeedEvent, FeedOutcome, PatientFeed
from tests.apps.pix.told import CLINIC, HOSPITAL, chart, message, somebody

pytestmark = pytest.mark.usefixtures("facilities")
CODES = tuple(f"13{number}0000000" for number in range(1, 9))


def test_each_feed_has_its_own_answer_and_a_bad_one_stops_no_other() -> None:
    bad = message(HOSPITAL, "2", told=replace(somebody(), birth_date="1" * 40))
    outcomes = services.feed_all([message(HOSPITAL, "1"), bad, message(HOSPITAL, "3")], HOSPITAL)
    assert isinstance(outcomes[1], ExchangeError)
    assert outcomes[1].reason is Reason.WRONG_DATA_TYPE
    told = [each for each in outcomes if isinstance(each, FeedOutcome)]
    assert [each.regional_id for each in told] == [queries.regional_id_of(chart(HOSPITAL, "1"))] * 2
    assert LocalIdentifier.objects.count() == 2


def test_the_same_message_twice_is_carried_out_once() -> None:
    feed = message(CLINIC, "1")
    first, again = services.feed_all([feed, feed], CLINIC)
    assert isinstance(first, FeedOutcome)
    assert isinstance(again, FeedOutcome)
    assert (first.repeated, again.repeated) == (False, True)
    assert again.regional_id == first.regional_id != ""
    assert services.feed(feed, CLINIC).repeated


def test_a_message_that_was_refused_may_be_sent_again() -> None:
    merge = message(HOSPITAL, "1", event=FeedEvent.MERGE, prior_identifiers=(chart(HOSPITAL, "2"),))
    (refused,) = services.feed_all([merge], HOSPITAL)
    assert isinstance(refused, ExchangeError)
    services.feed_all([message(HOSPITAL, "1"), message(HOSPITAL, "2", told=somebody("別 人", "ベツ ジン"))], HOSPITAL)
    (done,) = services.feed_all([merge], HOSPITAL)
    assert isinstance(done, FeedOutcome)
    assert not done.repeated
    assert queries.regional_id_of(chart(HOSPITAL, "2")) is None


def test_what_is_told_twice_in_one_run_is_an_update() -> None:
    feeds = [message(HOSPITAL, "1"), message(HOSPITAL, "1", told=somebody(birth_date="19500101"))]
    services.feed_all(feeds, HOSPITAL)
    assert LocalIdentifier.objects.get().birth_date == "19500101"


# --- the same end, whichever way


def _events(seed: int, rates: Rates) -> Iterator[tuple[str, PatientFeed]]:
    """A population as its facilities tell of it: mostly new charts, now and then an update, a merge, two numbers."""
    chance = random.Random(seed)
    charts = list(describe(90, seed, rates))
    chance.shuffle(charts)
    known: dict[str, list[str]] = {code: [] for code in CODES}
    for number, (_, facility, told) in enumerate(charts):
        code = CODES[facility]
        values = [f"{number}"]
        event, prior = FeedEvent.REGISTER, ()
        kind = chance.random()
        if kind < 0.1 and known[code]:
            values = [chance.choice(known[code])]
        elif kind < 0.14:
            values.append(f"{number}b")
        yield code, _feed(event, f"{seed}-{number}", code, values, told)
        known[code] += values
        if chance.random() < 0.1:
            yield code, _feed(FeedEvent.UPDATE, f"{seed}-{number}u", code, values[:1], told)
        if chance.random() < 0.05 and len(known[code]) > 2:
            one, other = chance.sample(known[code], 2)
            kind = chance.choice((FeedEvent.MERGE, FeedEvent.CHANGE_IDENTIFIER))
            prior = (_identifier(code, other),)
            yield (
                code,
                replace(
                    _feed(kind, f"{seed}-{number}m", code, [one], told),
                    prior_identifiers=prior,
                    pam=chance.random() < 0.5,
                ),
            )


def _identifier(code: str, value: str) -> Identifier:
    return Identifier(value, AssigningAuthority(oid=f"1.2.392.100495.20.3.51.1{code}"))


def _feed(event: FeedEvent, message_id: str, code: str, values: list[str], told: Any) -> PatientFeed:
    return PatientFeed(event, "ADT", message_id, tuple(_identifier(code, value) for value in values), told)


def one_by_one(events: list[tuple[str, PatientFeed]]) -> None:
    for code, feed in events:
        try:
            services.feed(feed, code)
        except ExchangeError:
            continue


def together(events: list[tuple[str, PatientFeed]]) -> None:
    """Runs of one facility each, as long as the order of all allows for."""
    run: list[PatientFeed] = []
    for place, (code, feed) in enumerate(events):
        run.append(feed)
        if place + 1 == len(events) or events[place + 1][0] != code:
            services.feed_all(run, code)
            run = []


def state() -> dict[str, Any]:
    """All that the index keeps, with charts and persons named by what does not depend on row numbers."""
    names = {row.pk: f"{row.authority_oid[-10:]}|{row.value}" for row in LocalIdentifier.objects.all()}
    persons = {pk: place for place, pk in enumerate(Person.objects.order_by("pk").values_list("pk", flat=True))}
    place_of = {value: persons[pk] for pk, value in Person.objects.values_list("pk", "regional_id")}

    def evidence(kept: dict[str, Any]) -> dict[str, Any]:
        return kept | ({"chart": names[kept["chart"]]} if "chart" in kept else {})

    return {
        "charts": {
            names[row.pk]: (
                persons[row.person_id],
                row.status,
                names.get(row.merged_into_id or 0),
                row.type_code,
                row.facility_code,
                *(getattr(row, each) for each in ("ideographic_family", "phonetic_given", "alphabetic_family")),
                *(getattr(row, each) for each in ("birth_date", "sex", "addresses", "telephones", "insurances")),
                row.kanji_key,
                row.kana_key,
            )
            for row in LocalIdentifier.objects.all()
        },
        "persons": [(row.status, persons.get(row.surviving_id or 0)) for row in Person.objects.order_by("pk")],
        "issued": sorted(
            (place_of[row.value], row.status, place_of.get(row.surviving.value) if row.surviving else None)
            for row in RegionalIdentifier.objects.select_related("surviving")
        ),
        "ended": sorted(
            (place_of[row.identifier.value], row.status, row.reason)
            for row in RegionalIdentifierEvent.objects.select_related("identifier")
        ),
        "keys": sorted((names[row.record_id], row.value) for row in MatchKey.objects.all()),
        "names": sorted((names[row.record_id], row.whole, row.sound) for row in NameKey.objects.all()),
        "telephones": sorted((names[row.record_id], row.number) for row in TelephoneKey.objects.all()),
        "addresses": sorted((names[row.record_id], row.postal, row.place) for row in AddressKey.objects.all()),
        "decisions": sorted(
            (names[row.first_id], names[row.second_id], row.outcome, row.score, row.rule, row.vector, row.version)
            for row in MatchDecision.objects.all()
        ),
        "statements": sorted(
            (names[row.first_id], names[row.second_id], row.basis, row.one_human, row.ended_at is None)
            for row in Assertion.objects.all()
        ),
        "cases": sorted(
            (names[row.first_id], names[row.second_id], row.state, row.score, row.rule, row.note, row.decided_by)
            for row in ReviewCase.objects.all()
        ),
        "events": sorted(
            (
                (
                    row.value,
                    row.kind,
                    persons.get(row.person_id or 0, -1),
                    persons.get(row.previous_person_id or 0, -1),
                ),
                names[row.record_id],
                row.rule,
                str(sorted(evidence(row.evidence).items())),
                row.facility_code,
                row.message_id,
            )
            for row in LinkEvent.objects.all()
        ),
        "messages": sorted(FeedMessage.objects.values_list("key", flat=True)),
    }


@pytest.mark.parametrize(("seed", "rates"), [(1, ORDINARY), (2, HARD), (3, HARD), (4, HARD)])
def test_a_population_fed_together_is_the_one_fed_one_by_one(
    seed: int, rates: Rates, emptied: Callable[[], None]
) -> None:
    events = list(_events(seed, rates))
    in_order = sorted(events, key=lambda each: each[0])  # facility after facility, so that runs are long
    one_by_one(in_order)
    expected = state()
    emptied()
    together(in_order)
    found = state()
    for part, listed in expected.items():
        assert found[part] == listed, part
    assert len(expected["decisions"]) > 20
    assert len(expected["cases"]) > 0


@pytest.fixture
def emptied() -> Callable[[], None]:
    """Take everything out of the index again; the facilities stay."""
    for code in CODES:
        add_facility(code=code, name=code)

    def empty() -> None:
        from django.db import connection

        with connection.cursor() as cursor:
            for model in (
                *(MatchKey, MatchDecision, NameKey, TelephoneKey, AddressKey, ReviewCase, Assertion, LinkEvent),
                *(FeedMessage, LocalIdentifier, Person, RegionalIdentifierEvent, RegionalIdentifier),
            ):
                cursor.execute(f"DELETE FROM {model._meta.db_table}")

    return empty
