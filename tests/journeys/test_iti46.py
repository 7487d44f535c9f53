"""ITI-46 over a real socket: a PIXv3 consumer is told of each change until it acknowledges."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.utils import timezone

from apps.atna.models import AuditRecord
from apps.pix import services
from apps.pix.models import Subscription
from tests.journeys.consumers import CLINIC, HOSPITAL, members, soap_consumer, subscribe, tell

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def region(settings: Any) -> None:
    settings.CONSENT_DEFAULT = "opt-out"
    members()


def later() -> int:
    return services.send_due(timezone.now() + timedelta(hours=2))


def test_a_consumer_is_told_of_each_change() -> None:
    with soap_consumer() as consumer:
        subscribe("ITI-46", consumer.address)
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
    with soap_consumer() as consumer:
        row = subscribe("ITI-46", consumer.address)
        consumer.refuses = True
        tell(HOSPITAL, "1"), tell(CLINIC, "2", "19990101")
        tell(CLINIC, "2")
        assert services.send_due() == 0
        assert later() == 0
        consumer.refuses = False
        assert later() >= 1
    row = Subscription.objects.get(pk=row.pk)
    assert (row.failures, row.last_problem) == (0, "")
    outcomes = list(AuditRecord.objects.filter(transaction="ITI-46").order_by("id").values_list("action", "outcome"))
    assert outcomes[:3] == [("R", 8), ("R", 8), ("R", 0)]


def test_nobody_there_costs_one_attempt_and_loses_nothing() -> None:
    with soap_consumer() as consumer:
        address = consumer.address
    row = subscribe("ITI-46", address)
    tell(HOSPITAL, "1"), tell(CLINIC, "2", "19990101")
    tell(CLINIC, "2")
    assert services.send_due() == 0
    assert services.send_due() == 0
    assert AuditRecord.objects.filter(transaction="ITI-46", outcome=8).count() == 1
    with soap_consumer() as consumer:
        Subscription.objects.filter(pk=row.pk).update(address=consumer.address)
        assert later() >= 1
    assert consumer.told
