"""Many feeds in one database transaction end as if they had come one by one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from apps.pix import queries, services
from apps.pix.models import LocalIdentifier
from hie.values.errors import ExchangeError, Reason
from hie.values.patients import FeedOutcome
from tests.apps.pix.told import CLINIC, HOSPITAL, chart, message, somebody

pytestmark = pytest.mark.usefixtures("facilities")


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
