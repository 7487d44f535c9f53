"""Trials and adoptions that an administrator asks for: carried out in the background, one at a time, never lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from apps.pix import services, tasks
from apps.pix.models import LinkEvent, LocalIdentifier, MatchRules, ReviewCase, RulesRun
from apps.pix.services import trials, versions
from hie.values.people import Demographics
from tests.apps.pix.told import CLINIC, HOSPITAL, PHARMACY, link, merge, somebody, tell

pytestmark = pytest.mark.usefixtures("facilities")
State = RulesRun.State
SLIP = somebody("山田 健壱")


@pytest.fixture
def strict(facilities: None) -> MatchRules:
    """A version that links less: two charts, linked as things are, would part."""
    tell(HOSPITAL, "1")
    tell(CLINIC, "2")
    rules = replace(versions.DEFAULT, name="strict", link=1000.0, review=900.0, hard_rules=frozenset())
    return MatchRules.objects.create(name="strict", rules=rules.as_json())


def persons() -> int:
    return len(set(LocalIdentifier.objects.values_list("person_id", flat=True)))


def test_a_trial_tells_the_difference_and_changes_nothing(strict: MatchRules) -> None:
    trials.ask_trial(strict.pk, by="admin")
    assert trials.waiting()
    assert trials.carry_out() == 1
    run = RulesRun.objects.get()
    assert (run.state, run.done, run.total, run.asked_by) == (State.DONE, 2, 2, "admin")
    assert (run.result["persons_now"], run.result["persons"], run.result["parted"]) == (1, 2, 1)
    assert run.result["parted_charts"] == [sorted(LocalIdentifier.objects.values_list("pk", flat=True))]
    assert persons() == 1
    assert not trials.waiting()


def test_an_adoption_comes_after_a_trial_and_keeps_its_reason(strict: MatchRules) -> None:
    with pytest.raises(trials.NotTriedError):
        trials.ask_adoption(strict.pk, by="admin", reason="stricter")
    trials.ask_trial(strict.pk, by="admin")
    trials.carry_out()
    with pytest.raises(ValueError, match="reason"):
        trials.ask_adoption(strict.pk, by="admin", reason=" ")
    trials.ask_adoption(strict.pk, by="admin", reason="stricter")
    assert trials.carry_out() == 1
    run = RulesRun.objects.filter(kind="adoption").get()
    assert (run.state, run.reason, run.result) == (State.DONE, "stricter", {"decided": 2})
    assert persons() == 2
    assert MatchRules.objects.get(in_force=True).name == "strict"
    with pytest.raises(trials.AlreadyAskedError):
        trials.ask_adoption(strict.pk, by="admin", reason="again")


def test_nobody_asks_twice_for_what_waits(strict: MatchRules) -> None:
    trials.ask_trial(strict.pk, by="admin")
    with pytest.raises(trials.AlreadyAskedError):
        trials.ask_trial(strict.pk, by="another")
    assert RulesRun.objects.count() == 1


def test_one_worker_at_a_time_and_a_dead_ones_work_is_begun_again(strict: MatchRules) -> None:
    run = trials.ask_trial(strict.pk, by="admin")
    later = timezone.now() + timedelta(minutes=1)
    RulesRun.objects.filter(pk=run.pk).update(state=State.RUNNING, claimed_until=later)
    assert not trials.waiting()
    assert trials.carry_out() == 0
    assert trials.carry_out(later + timedelta(minutes=1)) == 1
    run.refresh_from_db()
    assert run.state == State.DONE


def test_a_run_that_fails_is_told_and_the_next_is_carried_out(strict: MatchRules) -> None:
    broken = MatchRules.objects.create(name="broken", rules={})
    trials.ask_trial(broken.pk, by="admin")
    trials.ask_trial(strict.pk, by="admin")
    assert trials.carry_out() == 2
    assert list(RulesRun.objects.order_by("pk").values_list("state", flat=True)) == [State.FAILED, State.DONE]


def test_the_task_begins_only_where_something_waits(strict: MatchRules, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []
    monkeypatch.setattr(tasks.threading.Thread, "start", lambda self: begun.append(self.name))
    assert not tasks.carry_out_rules_runs()
    trials.ask_trial(strict.pk, by="admin")
    assert tasks.carry_out_rules_runs()
    assert begun == ["rules runs"]


# --- undoing links


def row(value: str) -> LocalIdentifier:
    return LocalIdentifier.objects.get(value=value)


def test_a_chart_is_parted_for_good_and_joined_again(facilities: None) -> None:
    for facility, value in ((HOSPITAL, "1"), (CLINIC, "2"), (PHARMACY, "3")):
        tell(facility, value)
    together = row("1").person_id
    services.part(row("3").pk, by="clerk", reason="another patient's card")
    assert (row("1").person_id, row("2").person_id) == (together, together)
    assert row("3").person_id != together
    event = LinkEvent.objects.get(kind="unlinked")
    assert event.evidence == {"by": "clerk", "reason": "another patient's card"}
    tell(PHARMACY, "3", told=somebody(insurance="06139463:1:1:01"))
    tell(HOSPITAL, "1", told=somebody(insurance="06139463:1:1:01"))
    assert row("3").person_id != together
    assert not ReviewCase.objects.filter(state="open").exists()
    services.rejoin(row("3").pk, row("1").pk, by="clerk", reason="it was hers after all")
    assert row("3").person_id == together
    with pytest.raises(services.AlreadyDecidedError):
        services.rejoin(row("3").pk, row("1").pk, by="clerk", reason="once more")


def test_what_is_stated_to_be_one_goes_along(facilities: None) -> None:
    tell(HOSPITAL, "1")
    tell(HOSPITAL, "2", told=Demographics())
    tell(CLINIC, "3")
    link(HOSPITAL, "1", "2")
    assert row("1").person_id == row("2").person_id == row("3").person_id
    services.part(row("2").pk, by="clerk", reason="wrong card")
    assert row("1").person_id == row("2").person_id != row("3").person_id


def test_a_facilitys_own_statement_is_not_undone(facilities: None) -> None:
    tell(HOSPITAL, "1")
    tell(HOSPITAL, "2", told=somebody("鈴木 花子", "スズキ ハナコ", "19500101", "F"))
    link(HOSPITAL, "1", "2")
    with pytest.raises(services.StatedElsewhereError):
        services.part(row("1").pk, by="clerk", reason="wrong card")
    merge(HOSPITAL, subsumed="2", surviving="1")
    with pytest.raises(services.StatedElsewhereError):
        services.part(row("1").pk, by="clerk", reason="wrong card")
    with pytest.raises(ValueError, match="reason"):
        services.part(row("1").pk, by="clerk", reason="")
