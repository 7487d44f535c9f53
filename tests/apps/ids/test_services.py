"""Regional ids are random, and once issued stay for ever."""

from __future__ import annotations

import re

import pytest
from django.db import IntegrityError, transaction

from apps.ids import services
from apps.ids.models import RegionalIdentifier

pytestmark = pytest.mark.django_db


def test_a_regional_id_is_26_characters_of_base32_and_never_the_same() -> None:
    issued = {services.issue_regional_id() for _ in range(200)}
    assert len(issued) == 200
    assert all(re.fullmatch("[A-Z2-7]{26}", value) for value in issued)


def test_a_retired_value_cannot_be_issued_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services.secrets, "token_bytes", lambda size: b"\x01" * size)
    value = services.issue_regional_id()
    services.retire(value, reason="suspected misuse")
    with pytest.raises(IntegrityError), transaction.atomic():
        services.issue_regional_id()


def test_ending_an_id_keeps_its_history() -> None:
    first, second = services.issue_regional_id(), services.issue_regional_id()
    services.subsume(first, surviving=second, reason="persons joined")
    row = RegionalIdentifier.objects.get(value=first)
    assert (row.status, row.surviving.value) == ("subsumed", second)
    assert [(event.status, event.reason) for event in row.events.all()] == [("subsumed", "persons joined")]


def test_only_an_active_id_can_end() -> None:
    value = services.issue_regional_id()
    services.retire(value, reason="issued by mistake")
    with pytest.raises(RegionalIdentifier.DoesNotExist):
        services.retire(value, reason="again")
    with pytest.raises(RegionalIdentifier.DoesNotExist):
        services.subsume(services.issue_regional_id(), surviving=value, reason="into a retired one")


def test_rows_are_never_deleted() -> None:
    services.issue_regional_id()
    with pytest.raises(TypeError):
        RegionalIdentifier.objects.all().delete()
    with pytest.raises(TypeError):
        RegionalIdentifier.objects.get().delete()


def test_a_subsumed_id_names_its_survivor() -> None:
    services.issue_regional_id()
    with pytest.raises(IntegrityError), transaction.atomic():
        RegionalIdentifier.objects.update(status="subsumed")
