"""Links that a facility states and takes back (A24, A37): statements beside the rules, kept until both are known."""

from __future__ import annotations

import pytest

from apps.pix import services
from apps.pix.models import Assertion, AwaitedLink, LinkEvent, LocalIdentifier
from hie.values.errors import ExchangeError, Reason
from hie.values.patients import FeedEvent
from tests.apps.pix.told import CLINIC, HOSPITAL, chart, link, merge, message, rename, somebody, tell

pytestmark = pytest.mark.usefixtures("facilities")

ONE, OTHER = somebody(), somebody("鈴木 花子", "スズキ ハナコ", "19500101", "F")


def row(value: str) -> LocalIdentifier:
    return LocalIdentifier.objects.get(value=value)


def persons(*values: str) -> int:
    return len({row(value).person_id for value in values})


def refused(verb) -> Reason:  # type: ignore[no-untyped-def]
    with pytest.raises(ExchangeError) as error:
        verb()
    return error.value.reason


def test_a_link_joins_and_an_unlink_parts() -> None:
    tell(HOSPITAL, "1", told=ONE)
    tell(HOSPITAL, "2", told=OTHER)
    regional = row("1").person.regional_id
    assert link(HOSPITAL, "1", "2").regional_id == regional
    assert persons("1", "2") == 1
    assert LinkEvent.objects.filter(kind="joined", rule="link").count() == 1
    link(HOSPITAL, "1", "2", undo=True)
    assert persons("1", "2") == 2
    assert row("1").person.regional_id == regional
    assert LinkEvent.objects.filter(kind="unlinked", rule="unlink").count() == 1
    assert list(Assertion.objects.filter(ended_at=None).values_list("basis", "one_human")) == [("unlink", False)]


def test_an_unlink_holds_against_the_rules_until_a_link_comes() -> None:
    tell(HOSPITAL, "1")
    tell(HOSPITAL, "2")
    assert persons("1", "2") == 1
    link(HOSPITAL, "1", "2", undo=True)
    assert persons("1", "2") == 2
    tell(HOSPITAL, "2", told=somebody(insurance="06139463:1:1:01"))
    tell(HOSPITAL, "1", "2")  # what is only sent together does not undo it
    assert persons("1", "2") == 2
    link(HOSPITAL, "2", "1")
    assert persons("1", "2") == 1


def test_an_unknown_link_is_nothing_to_undo() -> None:
    tell(HOSPITAL, "1", told=ONE)
    tell(HOSPITAL, "2", told=OTHER)
    link(HOSPITAL, "1", "2", undo=True)
    link(HOSPITAL, "7", "8", undo=True)
    assert not Assertion.objects.exists()


@pytest.mark.parametrize("first", ["1", "2"])
def test_a_link_waits_for_charts_that_are_not_known(first: str) -> None:
    link(HOSPITAL, "1", "2")
    assert not LocalIdentifier.objects.exists()
    tell(HOSPITAL, first, told=ONE)
    assert AwaitedLink.objects.count() == 1
    second = "2" if first == "1" else "1"
    tell(HOSPITAL, second, told=OTHER)
    assert persons("1", "2") == 1
    assert not AwaitedLink.objects.exists()


def test_a_link_that_waits_can_be_taken_back() -> None:
    tell(HOSPITAL, "1", told=ONE)
    link(HOSPITAL, "1", "2")
    link(HOSPITAL, "2", "1", undo=True)
    tell(HOSPITAL, "2", told=OTHER)
    assert persons("1", "2") == 2


def test_a_link_that_waits_follows_a_change_of_number() -> None:
    tell(HOSPITAL, "1", told=ONE)
    link(HOSPITAL, "1", "2")
    rename(HOSPITAL, old="1", new="100")
    tell(HOSPITAL, "3", told=OTHER)
    rename(HOSPITAL, old="3", new="2")
    assert persons("100", "2") == 1


def test_what_was_merged_is_neither_linked_nor_unlinked() -> None:
    tell(HOSPITAL, "1", told=ONE)
    tell(HOSPITAL, "2", told=OTHER)
    tell(HOSPITAL, "3", told=somebody("佐藤 次郎", "サトウ ジロウ", "19600202"))
    merge(HOSPITAL, subsumed="2", surviving="1")
    assert refused(lambda: link(HOSPITAL, "3", "2")) is Reason.UNKNOWN_KEY
    link(HOSPITAL, "1", "2", undo=True)
    assert persons("1", "2") == 1


def test_an_unlink_that_others_contradict_is_refused() -> None:
    tell(HOSPITAL, "1", told=ONE)
    tell(HOSPITAL, "2", told=OTHER)
    tell(HOSPITAL, "3", told=somebody("佐藤 次郎", "サトウ ジロウ", "19600202"))
    link(HOSPITAL, "1", "2")
    link(HOSPITAL, "2", "3")
    link(HOSPITAL, "3", "1")
    assert refused(lambda: link(HOSPITAL, "1", "2", undo=True)) is Reason.MERGE_REFUSED
    assert persons("1", "2", "3") == 1


def test_a_facility_unlinks_what_a_clerk_linked_but_no_clerk_what_it_linked() -> None:
    tell(HOSPITAL, "1", told=ONE)
    tell(HOSPITAL, "2", told=OTHER)
    services.link(row("1"), row("2"), by="clerk")
    link(HOSPITAL, "1", "2", undo=True)
    assert persons("1", "2") == 2
    link(HOSPITAL, "1", "2")
    with pytest.raises(services.StatedElsewhereError):
        services.keep_apart(row("1"), row("2"), by="clerk")


def test_only_its_own_numbers() -> None:
    tell(HOSPITAL, "1", told=ONE)
    tell(CLINIC, "9", told=OTHER)
    feed = message(HOSPITAL, "1", event=FeedEvent.LINK, other_identifiers=(chart(CLINIC, "9"),))
    assert refused(lambda: services.feed(feed, HOSPITAL)) is Reason.UNKNOWN_DOMAIN
