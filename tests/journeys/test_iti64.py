"""ITI-64 over a real socket: a registry learns under which regional id the documents of a chart stand now."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.utils import timezone

from apps.atna.models import AuditRecord
from apps.pix import services
from apps.pix.models import Subscription
from hie.wire.hl7v2 import link_change
from tests.journeys.consumers import CLINIC, HOSPITAL, members, mllp_consumer, subscribe, tell

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def region(settings: Any) -> None:
    settings.CONSENT_DEFAULT = "opt-out"
    members()


def later() -> int:
    return services.send_due(timezone.now() + timedelta(hours=2))


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
    with mllp_consumer(link_change) as consumer:
        row = subscribe("ITI-64", consumer.address)
        consumer.refuses = True
        tell(HOSPITAL, "1"), tell(CLINIC, "2", "19990101")
        tell(CLINIC, "2")
        assert services.send_due() == 0
        assert later() == 0
        consumer.refuses = False
        assert later() >= 1
    row = Subscription.objects.get(pk=row.pk)
    assert (row.failures, row.last_problem) == (0, "")
    outcomes = list(AuditRecord.objects.filter(transaction="ITI-64").order_by("id").values_list("action", "outcome"))
    assert outcomes[:3] == [("U", 8), ("U", 8), ("U", 0)]


def test_nobody_there_costs_one_attempt_and_loses_nothing() -> None:
    with mllp_consumer(link_change) as consumer:
        address = consumer.address
    row = subscribe("ITI-64", address)
    tell(HOSPITAL, "1"), tell(CLINIC, "2", "19990101")
    tell(CLINIC, "2")
    assert services.send_due() == 0
    assert services.send_due() == 0
    assert AuditRecord.objects.filter(transaction="ITI-64", outcome=8).count() == 1
    with mllp_consumer(link_change) as consumer:
        Subscription.objects.filter(pk=row.pk).update(address=consumer.address)
        assert later() >= 1
    assert consumer.told
