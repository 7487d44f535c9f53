"""ITI-64 over a real socket: a registry learns under which regional id the documents of a chart stand now."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from django.conf import settings as django_settings

from apps.pix import services
from hie.wire.hl7v2 import link_change
from tests.journeys.consumers import CLINIC, HOSPITAL, members, mllp_consumer, subscribe, tell
from tests.journeys.delivery import nobody_there_costs_one_attempt, who_refuses_is_told_again

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def region(settings: Any) -> None:
    settings.CONSENT_DEFAULT = "opt-out"
    members()


def test_a_registry_is_told_where_documents_go() -> None:
    with mllp_consumer(link_change) as consumer:
        subscribe("ITI-64", consumer.address)
        first, second = tell(HOSPITAL, "1"), tell(CLINIC, "2", "19990101")
        tell(CLINIC, "2")
        assert services.send_due() == 1
    ((message, change),) = consumer.told
    assert (change.regional_id.value, change.previous_regional_id.value) == (first, second)
    assert (change.local_identifier.value, change.subsumed_local_identifier) == ("2", None)
    assert change.manager_oid == django_settings.OID_ROOT
    assert message.first("PID").field(5) == " "


def test_who_refuses_is_told_again_and_every_attempt_is_recorded() -> None:
    who_refuses_is_told_again("ITI-64", partial(mllp_consumer, link_change), action="U")


def test_nobody_there_costs_one_attempt_and_loses_nothing() -> None:
    nobody_there_costs_one_attempt("ITI-64", partial(mllp_consumer, link_change))
