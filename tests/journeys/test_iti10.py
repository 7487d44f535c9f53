"""ITI-10 over a real socket: a subscribed consumer is told of each change, in order, until it acknowledges."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from django.conf import settings as django_settings

from apps.pix import services
from hie.wire.hl7v2 import update_notification
from tests.journeys.consumers import CLINIC, HOSPITAL, members, mllp_consumer, subscribe, tell
from tests.journeys.delivery import nobody_there_costs_one_attempt, who_refuses_is_told_again

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def region(settings: Any) -> None:
    settings.CONSENT_DEFAULT = "opt-out"
    members()


def test_a_consumer_is_told_of_each_change() -> None:
    with mllp_consumer(update_notification) as consumer:
        subscribe("ITI-10", consumer.address)
        regional = tell(HOSPITAL, "1")
        tell(CLINIC, "2")
        assert services.send_due() == 1
        tell(CLINIC, "2", "19990101")
        assert services.send_due() == 2
    told = [[each.value for each in notification.identifiers] for _, notification in consumer.told]
    assert told[0] == [regional, "1", "2"]
    assert sorted(each[1:] for each in told[1:]) == [["1"], ["2"]]
    assert all(each.oid for _, notification in consumer.told for each in notification.identifiers)
    assert django_settings.AFFINITY_DOMAIN_OID in {each.oid for each in consumer.told[0][1].identifiers}


def test_who_refuses_is_told_again_and_every_attempt_is_recorded() -> None:
    who_refuses_is_told_again("ITI-10", partial(mllp_consumer, update_notification), action="R")


def test_nobody_there_costs_one_attempt_and_loses_nothing() -> None:
    nobody_there_costs_one_attempt("ITI-10", partial(mllp_consumer, update_notification))
