"""Versions of the matching rules: learned, tried, adopted."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from apps.pix import queries, services
from apps.pix.models import LinkEvent, LocalIdentifier, MatchDecision, MatchKey, MatchRules, Person, ReviewCase
from apps.pix.services import training, versions
from tests.apps.pix.told import CLINIC, HOSPITAL, PHARMACY, chart, somebody, tell

pytestmark = pytest.mark.usefixtures("facilities")
TABLES = (LocalIdentifier, Person, LinkEvent, MatchKey, MatchDecision, ReviewCase, MatchRules)
INSURED = "33120015:123:4567890:01"


def state() -> list[Any]:
    return [list(table.objects.order_by("pk").values_list()) for table in TABLES]


def run(*command: str) -> str:
    out = StringIO()
    call_command(*command, stdout=out, stderr=StringIO())
    return out.getvalue()


def person(facility: str, value: str) -> str | None:
    return queries.regional_id_of(chart(facility, value))


@pytest.fixture
def population() -> None:
    tell(HOSPITAL, "1")
    tell(CLINIC, "2", told=somebody(birth_date="19410504"))
    tell(PHARMACY, "3", told=somebody("佐藤 一郎", "サトウ イチロウ", insurance=INSURED))
    tell(CLINIC, "4", told=somebody("佐藤 二郎", "サトウ ジロウ", insurance=INSURED))
    tell(HOSPITAL, "5", told=somebody("", "", insurance=INSURED))
    tell(PHARMACY, "6")


@pytest.fixture
def lenient(population: None) -> MatchRules:
    """A version that takes a name and nearly a birth date for enough, and finds by keys of a small population."""
    version = replace(versions.DEFAULT, name="lenient", population=1000)
    version = replace(version, hard_rules=version.hard_rules - {"bare name"})
    return MatchRules.objects.create(name="lenient", rules=version.as_json())


def test_learning_keeps_a_version_that_is_not_in_force(population: None) -> None:
    before = state()[:-1]
    assert "not in force" in run("train_matching", "--name", "first", "--by", "clerk")
    rules = MatchRules.objects.get(name="first")
    assert (rules.in_force, rules.created_by, rules.rules["population"]) == (False, "clerk", 6)
    assert versions.in_force().version.name == "shipped-1"
    assert state()[:-1] == before


def test_nobody_to_learn_from() -> None:
    with pytest.raises(CommandError):
        run("train_matching")


def test_the_version_in_force_would_change_nothing(population: None) -> None:
    found = training.what_if("shipped-1")
    assert (found.joined, found.parted) == ((), ())
    assert found.persons == found.persons_now == Person.objects.filter(status="active").count()
    assert found.review == found.review_now == 4


def test_what_another_version_would_change_is_told_and_nothing_changes(lenient: MatchRules) -> None:
    before = state()
    shown = run("what_if", "lenient")
    assert state() == before
    assert "persons         5 -> 4" in shown
    rows = [LocalIdentifier.objects.get(value=value).pk for value in ("1", "2", "6")]
    assert f"chart rows {', '.join(map(str, rows))}" in shown


def test_a_clerks_decision_holds_in_a_trial_too(lenient: MatchRules) -> None:
    one, other = (LocalIdentifier.objects.get(value=value) for value in ("1", "2"))
    services.keep_apart(one, other, by="clerk")
    assert not any({one.pk, other.pk} <= set(each) for each in training.what_if("lenient").joined)


def test_adopting_does_what_was_foretold_and_can_be_done_again(lenient: MatchRules) -> None:
    foretold = training.what_if("lenient")
    assert "6 charts were decided anew" in run("adopt_matching", "lenient", "--by", "chief")
    assert person(HOSPITAL, "1") == person(CLINIC, "2") == person(PHARMACY, "6")
    assert Person.objects.filter(status="active").count() == foretold.persons
    rules = MatchRules.objects.get(in_force=True)
    assert (rules.name, rules.adopted_by) == ("lenient", "chief")
    assert set(MatchDecision.objects.values_list("version", flat=True)) == {"lenient"}
    events = LinkEvent.objects.count()
    run("adopt_matching", "lenient")
    assert LinkEvent.objects.count() == events
    run("adopt_matching", "shipped-1")
    assert person(HOSPITAL, "1") == person(PHARMACY, "6") != person(CLINIC, "2")


@pytest.mark.parametrize("command", ["what_if", "adopt_matching"])
def test_a_version_that_is_not_there(population: None, command: str) -> None:
    with pytest.raises(CommandError):
        run(command, "nothing")
