"""Doubtful pairs wait for a clerk, go by themselves when the question is gone, and what a clerk decides stays."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from django.utils import timezone

from apps.pix import queries, services
from apps.pix.matching import Chart, MemoryStore, Outcome, consider
from apps.pix.models import (
    Assertion,
    Encounter,
    LinkEvent,
    LocalIdentifier,
    MatchDecision,
    MatchKey,
    MatchRules,
    ReviewCase,
)
from apps.pix.services import reviewing, versions
from hie.values.people import Address, Demographics
from tests.apps.pix.told import CLINIC, HOSPITAL, PHARMACY, chart, merge, somebody, tell

pytestmark = pytest.mark.usefixtures("facilities")

SLIP = somebody(birth_date="19410504")
STAY = {"state": "open", "changed_at": timezone.now()}
SOMEBODY_ELSE = somebody("佐藤 花子", "サトウ ハナコ", "19790101", "F")
INSURED = "33120015:123:4567890:01"


def row(facility: str, value: str) -> LocalIdentifier:
    return LocalIdentifier.objects.get(facility_code=facility, value=value)


def person(facility: str, value: str) -> str | None:
    return queries.regional_id_of(chart(facility, value))


def states() -> list[str]:
    return list(ReviewCase.objects.order_by("pk").values_list("state", flat=True))


@pytest.fixture
def case() -> ReviewCase:
    tell(HOSPITAL, "1")
    tell(CLINIC, "2", told=SLIP)
    return ReviewCase.objects.get()


def test_a_doubtful_pair_waits(case: ReviewCase) -> None:
    assert (case.state, case.rule) == ("open", "bare name")
    assert (case.first.value, case.second.value) == ("1", "2")
    assert person(HOSPITAL, "1") != person(CLINIC, "2")


def test_two_persons_are_one_question_however_many_charts_they_have(case: ReviewCase) -> None:
    tell(PHARMACY, "3")
    tell(PHARMACY, "4", told=SLIP)
    assert person(PHARMACY, "3") == person(HOSPITAL, "1")
    assert states().count("open") == 1


@pytest.mark.parametrize("told", [somebody(), SOMEBODY_ELSE], ids=["equal", "different"])
def test_a_question_that_the_charts_answer_goes_by_itself(case: ReviewCase, told: object) -> None:
    tell(CLINIC, "2", told=told)  # type: ignore[arg-type]
    assert states() == ["closed"]
    tell(CLINIC, "2", told=SLIP)
    assert states() == ["open"]


def test_a_merge_answers_the_question() -> None:
    tell(HOSPITAL, "1")
    tell(HOSPITAL, "2", told=SLIP)
    assert states() == ["open"]
    merge(HOSPITAL, subsumed="2", surviving="1")
    assert states() == ["closed"]


def test_a_clerk_links_and_the_link_outlives_what_charts_say_later(case: ReviewCase) -> None:
    older = person(HOSPITAL, "1")
    reviewing.decide(case.pk, one_human=True, by="clerk", note="asked by telephone")
    assert person(CLINIC, "2") == person(HOSPITAL, "1") == older
    tell(CLINIC, "2", told=SOMEBODY_ELSE)
    assert person(CLINIC, "2") == older
    case.refresh_from_db()
    assert (case.state, case.decided_by, case.note) == ("linked", "clerk", "asked by telephone")
    event = LinkEvent.objects.filter(kind="joined").get()
    assert (event.rule, event.evidence["by"]) == (reviewing.LINKED_BY_CLERK, "clerk")


def test_a_clerk_keeps_apart_and_no_rule_joins_them_later(case: ReviewCase) -> None:
    reviewing.decide(case.pk, one_human=False, by="clerk")
    tell(CLINIC, "2", told=somebody(insurance=INSURED))
    tell(HOSPITAL, "1", told=somebody(insurance=INSURED))
    assert person(HOSPITAL, "1") != person(CLINIC, "2")
    assert "open" not in states()
    tell(PHARMACY, "3", told=somebody(insurance=INSURED))
    assert person(HOSPITAL, "1") != person(CLINIC, "2")


def test_a_decision_is_taken_back_by_another(case: ReviewCase) -> None:
    reviewing.decide(case.pk, one_human=True, by="clerk")
    reviewing.take_back(case.pk, by="head clerk")
    assert person(HOSPITAL, "1") != person(CLINIC, "2")
    reviewing.take_back(case.pk, by="clerk")
    assert person(HOSPITAL, "1") == person(CLINIC, "2")
    assert Assertion.objects.filter(ended_at=None).count() == 1
    assert Assertion.objects.count() == 3


def test_a_link_of_the_machine_is_undone_by_a_clerk() -> None:
    first = tell(HOSPITAL, "1").regional_id
    tell(CLINIC, "2")
    services.keep_apart(row(HOSPITAL, "1"), row(CLINIC, "2"), by="clerk")
    assert person(HOSPITAL, "1") == first != person(CLINIC, "2")
    event = LinkEvent.objects.filter(kind="unlinked").get()
    assert (event.value, event.rule) == ("2", reviewing.KEPT_APART)
    tell(CLINIC, "2", told=somebody(telephones=("03-1234-5678",)))
    assert person(HOSPITAL, "1") != person(CLINIC, "2")


def test_what_a_facility_merged_no_clerk_parts() -> None:
    tell(HOSPITAL, "1")
    tell(HOSPITAL, "2", told=SLIP)
    merge(HOSPITAL, subsumed="2", surviving="1")
    with pytest.raises(services.StatedElsewhereError):
        services.keep_apart(row(HOSPITAL, "1"), row(HOSPITAL, "2"), by="clerk")
    assert person(HOSPITAL, "1") is not None


def test_a_merge_ends_what_a_clerk_decided_before() -> None:
    tell(HOSPITAL, "1")
    tell(HOSPITAL, "2", told=SLIP)
    services.keep_apart(row(HOSPITAL, "1"), row(HOSPITAL, "2"), by="clerk")
    merge(HOSPITAL, subsumed="2", surviving="1")
    assert Assertion.objects.get(ended_at=None).basis == "merge"


def test_numbers_sent_together_do_not_overrule_a_clerk() -> None:
    tell(HOSPITAL, "1")
    tell(HOSPITAL, "2")
    services.keep_apart(row(HOSPITAL, "1"), row(HOSPITAL, "2"), by="clerk")
    tell(HOSPITAL, "1", "2")
    assert person(HOSPITAL, "1") != person(HOSPITAL, "2")


def test_a_link_ends_what_was_kept_apart_between_the_two_persons(case: ReviewCase) -> None:
    tell(PHARMACY, "3")
    reviewing.decide(case.pk, one_human=False, by="clerk")
    services.link(row(PHARMACY, "3"), row(CLINIC, "2"), by="clerk")
    assert person(HOSPITAL, "1") == person(PHARMACY, "3") == person(CLINIC, "2")


def test_a_case_is_decided_once(case: ReviewCase) -> None:
    reviewing.decide(case.pk, one_human=False, by="clerk")
    with pytest.raises(services.AlreadyDecidedError):
        reviewing.decide(case.pk, one_human=True, by="another")
    with pytest.raises(services.AlreadyDecidedError):
        reviewing.postpone(case.pk, by="another")


def test_postponed_cases_come_last(case: ReviewCase) -> None:
    tell(HOSPITAL, "5", told=replace(SOMEBODY_ELSE, birth_date="19790111"))
    tell(CLINIC, "6", told=SOMEBODY_ELSE)
    second = ReviewCase.objects.exclude(pk=case.pk).get()
    reviewing.postpone(case.pk, by="clerk", note="letter sent")
    assert reviewing.after(second) == ReviewCase.objects.get(pk=case.pk)
    tell(CLINIC, "2", told=replace(SLIP, telephones=("03-1234-5678",)))
    case.refresh_from_db()
    assert (case.state, case.note) == ("postponed", "letter sent")


def test_possible_twins_are_not_tied_together_by_a_third_chart() -> None:
    tell(HOSPITAL, "1", told=somebody("佐藤 一郎", "サトウ イチロウ", insurance=INSURED))
    tell(CLINIC, "2", told=somebody("佐藤 二郎", "サトウ ジロウ", insurance=INSURED))
    assert MatchDecision.objects.get().rule == "twins"
    tell(PHARMACY, "3", told=somebody("", "", insurance=INSURED))
    assert len({person(HOSPITAL, "1"), person(CLINIC, "2"), person(PHARMACY, "3")}) == 3
    services.link(row(HOSPITAL, "1"), row(CLINIC, "2"), by="clerk")
    assert person(HOSPITAL, "1") == person(CLINIC, "2") == person(PHARMACY, "3")


HOME = Address(postal_code="1000001", prefecture="東京都", city="千代田区", street="丸の内1-2-3")
AWAY = Address(postal_code="5300001", prefecture="大阪府", city="大阪市北区", street="梅田3-4-5")
SMALL_WORLD = [
    (HOSPITAL, "1", somebody(addresses=(HOME,))),
    (CLINIC, "2", somebody(addresses=(HOME,), birth_date="19410530")),
    (PHARMACY, "3", somebody(addresses=(AWAY,), telephones=("03-1111-2222",))),
    (HOSPITAL, "4", somebody("山田 健二", "ヤマダ ケンジ", addresses=(HOME,))),
    (CLINIC, "5", somebody("山田", "ヤマダ", addresses=(HOME,))),
    (PHARMACY, "6", somebody(addresses=(HOME, AWAY), telephones=("03-1111-2222",))),
]


@pytest.mark.parametrize("order", list(itertools.permutations(range(6)))[::41], ids=str)
def test_the_order_of_arrival_changes_neither_persons_nor_questions(order: tuple[int, ...]) -> None:
    for index in order:
        facility, value, told = SMALL_WORLD[index]
        tell(facility, value, told=told)
    together: dict[str | None, set[str]] = {}
    for facility, value, _told in SMALL_WORLD:
        together.setdefault(person(facility, value), set()).add(value)
    assert sorted(sorted(each) for each in together.values()) == [["1", "2", "3", "6"], ["4"], ["5"]]
    waiting = ReviewCase.objects.filter(state="open").select_related("first", "second")
    persons_in_question = {
        frozenset((min(together[each.first.person.regional_id]), min(together[each.second.person.regional_id])))
        for each in waiting
    }
    assert waiting.count() == len(persons_in_question)
    assert persons_in_question == {frozenset({"1", "5"}), frozenset({"4", "5"})}


def test_the_database_decides_as_the_memory_does() -> None:
    """One engine behind the service and behind the measurements."""
    for facility, value, told in SMALL_WORLD:
        tell(facility, value, told=told)
    store = MemoryStore(versions.in_force())
    charts: dict[int, Chart] = {}
    for stored in LocalIdentifier.objects.order_by("pk"):
        charts[stored.pk] = services.charts.chart_of(stored)
        store.feed(charts[stored.pk])
    decided = {(each.first, each.second, each.verdict.outcome.value) for each in store.all_decisions()}
    assert set(MatchDecision.objects.values_list("first", "second", "outcome")) == decided
    persons = {frozenset(each) for each in store.members.values()}
    kept: dict[int, set[int]] = {}
    for stored in LocalIdentifier.objects.all():
        kept.setdefault(stored.person_id, set()).add(stored.pk)
    assert {frozenset(each) for each in kept.values()} == persons


def test_a_block_that_is_too_large_costs_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    tell(HOSPITAL, "1")
    stored = row(HOSPITAL, "1")
    MatchKey.objects.bulk_create(MatchKey(record=stored, value=10**9 + number) for number in range(3))
    asked = services.pairs.DatabaseStore().holders([10**9, 10**9 + 1, 5], 256)
    assert asked == {10**9: [stored.pk], 10**9 + 1: [stored.pk]}
    others = [stored]
    for number in range(2, 9):
        tell(HOSPITAL, str(number), told=somebody(f"山田 {number}", "", f"1950010{number}"))
        others.append(row(HOSPITAL, str(number)))
    MatchKey.objects.bulk_create(MatchKey(record=each, value=7) for each in others)
    assert len(services.pairs.DatabaseStore().holders([7], 4)[7]) == 5


def test_the_shipped_rules_are_kept_once() -> None:
    tell(HOSPITAL, "1")
    versions.load_defaults()
    versions.load_defaults()
    rules = MatchRules.objects.get()
    assert (rules.name, rules.in_force) == ("shipped-1", True)
    assert consider(services.charts.chart_of(row(HOSPITAL, "1")), services.pairs.DatabaseStore(), versions.in_force())
    assert Outcome.LINK.value == "link"


# --- statements that come in a chain


def three_charts() -> None:
    """Two charts of the hospital that a clerk keeps apart, and one more."""
    tell(HOSPITAL, "1")
    tell(HOSPITAL, "2", told=SOMEBODY_ELSE)
    tell(HOSPITAL, "3", told=Demographics())
    services.keep_apart(row(HOSPITAL, "1"), row(HOSPITAL, "2"), by="clerk")


def test_numbers_sent_together_by_twos_do_not_overrule_a_clerk() -> None:
    three_charts()
    tell(HOSPITAL, "1", "3", told=Demographics())
    tell(HOSPITAL, "3", "2", told=Demographics())
    assert row(HOSPITAL, "1").person_id == row(HOSPITAL, "3").person_id != row(HOSPITAL, "2").person_id
    assert Assertion.objects.filter(one_human=False, ended_at=None).count() == 1


def test_merges_into_one_chart_end_what_a_clerk_decided_of_the_two() -> None:
    """The facility says that all three are one human; then no "apart" stands between charts of one person."""
    three_charts()
    merge(HOSPITAL, subsumed="1", surviving="3")
    merge(HOSPITAL, subsumed="2", surviving="3")
    assert len({row(HOSPITAL, each).person_id for each in "123"}) == 1
    assert not Assertion.objects.filter(one_human=False, ended_at=None).exists()


def test_only_links_of_the_machine_are_overturned() -> None:
    tell(HOSPITAL, "1")
    tell(CLINIC, "2")
    tell(PHARMACY, "3", told=SLIP)
    services.link(row(HOSPITAL, "1"), row(PHARMACY, "3"), by="clerk")
    services.keep_apart(row(HOSPITAL, "1"), row(PHARMACY, "3"), by="clerk")
    figures = queries.review_figures()
    assert (figures.linked, figures.overturned) == (1, 0)
    services.part(row(CLINIC, "2").pk, by="clerk", reason="another patient")
    figures = queries.review_figures()
    assert (figures.linked, figures.overturned) == (1, 1)


# --- a facility's merge was an error


def test_a_merge_is_taken_back_and_everything_stands_as_before() -> None:
    tell(HOSPITAL, "1")
    tell(HOSPITAL, "2", told=SOMEBODY_ELSE)
    tell(CLINIC, "9", told=SOMEBODY_ELSE)
    assert row(CLINIC, "9").person_id == row(HOSPITAL, "2").person_id
    merge(HOSPITAL, subsumed="2", surviving="1")
    assert person(HOSPITAL, "2") is None
    services.unmerge(row(HOSPITAL, "2").pk, by="clerk", reason="the hospital merged the wrong chart")
    first, second = person(HOSPITAL, "1"), person(HOSPITAL, "2")
    assert None not in (first, second)
    assert first != second == person(CLINIC, "9")
    event = LinkEvent.objects.filter(value="2").first()
    assert (event.kind, event.rule) == ("linked", "shipped-1 name and birth")  # with the clinic's, as before
    assert (event.evidence["by"], event.evidence["reason"]) == ("clerk", "the hospital merged the wrong chart")
    assert tell(HOSPITAL, "2", told=SOMEBODY_ELSE).regional_id == second
    with pytest.raises(services.AlreadyDecidedError):
        services.unmerge(row(HOSPITAL, "2").pk, by="clerk", reason="once more")
    merge(HOSPITAL, subsumed="2", surviving="1")  # the facility means it: the later statement counts
    assert person(HOSPITAL, "2") is None


def test_the_regional_id_stays_with_the_chart_that_nobody_took_away() -> None:
    """Even where the oldest chart of all goes with the one that was merged away."""
    tell(CLINIC, "9", told=SOMEBODY_ELSE)
    tell(HOSPITAL, "1")
    tell(HOSPITAL, "2", told=SOMEBODY_ELSE)
    before = person(HOSPITAL, "1")
    merge(HOSPITAL, subsumed="2", surviving="1")
    services.unmerge(row(HOSPITAL, "2").pk, by="clerk", reason="the hospital merged the wrong chart")
    assert person(HOSPITAL, "1") == before != person(HOSPITAL, "2") == person(CLINIC, "9")
    for each in (row(HOSPITAL, "1"), row(HOSPITAL, "2"), row(CLINIC, "9")):
        assert queries.person_on(chart(each.facility_code, each.value), timezone.now()) == each.person.regional_id


def test_stays_come_back_with_the_chart() -> None:
    tell(HOSPITAL, "1")
    tell(HOSPITAL, "2", told=SOMEBODY_ELSE)
    one, other = (Encounter.objects.create(record=row(HOSPITAL, each), **STAY) for each in "12")
    merge(HOSPITAL, subsumed="2", surviving="1")
    later = Encounter.objects.create(record=row(HOSPITAL, "1"), **STAY)
    services.unmerge(row(HOSPITAL, "2").pk, by="clerk", reason="the hospital merged the wrong chart")
    for stay, number in ((one, "1"), (other, "2"), (later, "1")):
        stay.refresh_from_db()
        assert stay.record.value == number


def test_a_merge_that_others_confirm_is_not_taken_back() -> None:
    three_charts()
    merge(HOSPITAL, subsumed="2", surviving="3")
    with pytest.raises(ValueError, match="reason"):
        services.unmerge(row(HOSPITAL, "2").pk, by="clerk", reason=" ")
    with pytest.raises(services.AlreadyDecidedError):
        services.unmerge(row(HOSPITAL, "3").pk, by="clerk", reason="it was not merged")
    services.link(row(HOSPITAL, "1"), row(HOSPITAL, "2"), by="clerk")
    services.link(row(HOSPITAL, "1"), row(HOSPITAL, "3"), by="clerk")
    with pytest.raises(services.StatedElsewhereError):
        services.unmerge(row(HOSPITAL, "2").pk, by="clerk", reason="the clerk's links say otherwise")


def test_what_the_machine_links_in_the_wake_of_a_decision_is_told_as_its_own() -> None:
    """A clerk's link of two who contradict each other sends a third away, and its end brings that one back."""
    tell(HOSPITAL, "1")
    tell(CLINIC, "2")
    tell(PHARMACY, "3", told=SOMEBODY_ELSE)
    services.link(row(HOSPITAL, "1"), row(PHARMACY, "3"), by="clerk")
    assert row(CLINIC, "2").person_id != row(HOSPITAL, "1").person_id
    services.keep_apart(row(HOSPITAL, "1"), row(PHARMACY, "3"), by="clerk")
    assert row(CLINIC, "2").person_id == row(HOSPITAL, "1").person_id
    told = list(LinkEvent.objects.filter(value="2").order_by("pk").values_list("kind", "rule", "evidence__by"))
    assert told[1:] == [
        ("unlinked", "linked by a clerk", "clerk"),
        ("joined", "shipped-1 name and birth", "clerk"),
    ]
