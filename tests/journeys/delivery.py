"""What every notification promises, whatever its dialect: told again until acknowledged, nothing lost meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta

from django.utils import timezone

from apps.atna.models import AuditRecord
from apps.pix import services
from apps.pix.models import Subscription
from tests.journeys.consumers import CLINIC, HOSPITAL, Consumer, subscribe, tell

Consuming = Callable[[], AbstractContextManager[Consumer]]


def later() -> int:
    """Send what is due two hours from now."""
    return services.send_due(timezone.now() + timedelta(hours=2))


def who_refuses_is_told_again(kind: str, consuming: Consuming, action: str) -> None:
    """A consumer that answers AE is told again, and each attempt leaves its record with this action."""
    with consuming() as consumer:
        row = subscribe(kind, consumer.address)
        consumer.refuses = True
        tell(HOSPITAL, "1"), tell(CLINIC, "2", "19990101")
        tell(CLINIC, "2")
        assert services.send_due() == 0
        assert later() == 0
        consumer.refuses = False
        assert later() >= 1
    row = Subscription.objects.get(pk=row.pk)
    assert (row.failures, row.last_problem) == (0, "")
    outcomes = list(AuditRecord.objects.filter(transaction=kind).order_by("id").values_list("action", "outcome"))
    assert outcomes[:3] == [(action, 8), (action, 8), (action, 0)]


def nobody_there_costs_one_attempt(kind: str, consuming: Consuming) -> None:
    """A consumer that is down costs one attempt for each pause, and is told when it is back."""
    with consuming() as consumer:
        address = consumer.address
    row = subscribe(kind, address)
    tell(HOSPITAL, "1"), tell(CLINIC, "2", "19990101")
    tell(CLINIC, "2")
    assert services.send_due() == 0
    assert services.send_due() == 0
    assert AuditRecord.objects.filter(transaction=kind, outcome=8).count() == 1
    with consuming() as consumer:
        Subscription.objects.filter(pk=row.pk).update(address=consumer.address)
        assert later() >= 1
    assert consumer.told
