"""Subscriptions, the outbox and the new regional id in the admin: shown, retried, given up, each look recorded."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from apps.atna.models import AuditRecord
from apps.pix import queries
from apps.pix.models import Notification, Person
from tests.apps.pix.test_encounters import K, said
from tests.apps.pix.test_notifying import subscribe
from tests.apps.pix.told import CLINIC, HOSPITAL, tell

pytestmark = pytest.mark.usefixtures("facilities")


@pytest.mark.parametrize("page", ["subscription", "notification", "encounter"])
def test_lists_and_rows_open_and_are_recorded(admin_client: Any, page: str) -> None:
    subscribe()
    said(K.ADMIT, ward="A")
    tell(CLINIC, "2")
    before = AuditRecord.objects.count()
    found = admin_client.get(reverse(f"admin:pix_{page}_changelist"))
    assert found.status_code == 200
    row = found.context["cl"].result_list[0]
    assert admin_client.get(reverse(f"admin:pix_{page}_change", args=[row.pk])).status_code == 200
    assert AuditRecord.objects.count() >= before + 2


def test_what_waits_is_retried_or_given_up(admin_client: Any) -> None:
    subscribe()
    tell(HOSPITAL, "1")
    tell(CLINIC, "2")
    row = Notification.objects.get()
    for action in ("try_now", "give_up"):
        data = {"action": action, "_selected_action": [row.pk]}
        assert admin_client.post(reverse("admin:pix_notification_changelist"), data).status_code == 302
    row.refresh_from_db()
    assert row.state == "dropped"


def test_a_new_regional_id_asks_for_its_reason(admin_client: Any) -> None:
    old = tell(HOSPITAL, "1").regional_id
    url = reverse("admin:pix_person_reissue", args=[Person.objects.get().pk])
    assert admin_client.get(url).status_code == 200
    assert admin_client.post(url, {"reason": ""}).status_code == 200
    assert queries.surviving_of(old) == old
    before = AuditRecord.objects.count()
    assert admin_client.post(url, {"reason": "shown in public"}).status_code == 302
    assert queries.surviving_of(old) != old
    assert AuditRecord.objects.count() > before


def test_who_may_only_look_issues_nothing(client: Any, django_user_model: Any) -> None:
    from django.contrib.auth.models import Permission

    old = tell(HOSPITAL, "1").regional_id
    user = django_user_model.objects.create_user("looker", password="x" * 12, is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_person"))
    client.force_login(user)
    url = reverse("admin:pix_person_reissue", args=[Person.objects.get().pk])
    assert client.post(url, {"reason": "x"}).status_code == 403
    assert queries.surviving_of(old) == old
