"""What the page for operators says of accounts and of PostgreSQL is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.urls import reverse

from apps.pix.models import LinkEvent, LocalIdentifier, ReviewCase
from tests.apps.pix.told import CLINIC, HOSPITAL, open_facilities, somebody, tell

pytestmark = pytest.mark.django_db
PAGE = (Path(__file__).resolve().parent.parent.parent / "docs" / "operations.md").read_text(encoding="utf-8")


def test_the_permissions_that_operations_names_are_there_and_enough(client: Client) -> None:
    known = {f"{each.content_type.app_label}.{each.codename}": each for each in Permission.objects.all()}
    named = re.findall(r"`(\w+\.(?:view|add|change|decide)_\w+)`", PAGE)
    assert len(named) >= 15
    assert set(named) <= set(known)
    (row,) = re.findall(r"\| a clerk who decides .*", PAGE)
    clerk = User.objects.create_user("clerk", password="only-for-this-test", is_staff=True)
    clerk.user_permissions.set([known[each] for each in re.findall(r"`(.+?)`", row)])
    client.force_login(clerk)
    open_facilities()
    tell(HOSPITAL, "1")
    tell(CLINIC, "2", told=somebody(birth_date="19410504"))
    case = ReviewCase.objects.get()
    assert client.get(reverse("admin:pix_reviewcase_change", args=[case.pk])).status_code == 200
    client.post(reverse("admin:pix_reviewcase_decide", args=[case.pk]), {"verb": "link"})
    person = LocalIdentifier.objects.get(value="2").person_id
    for action in ("change", "past", "undo_link"):
        assert client.get(reverse(f"admin:pix_person_{action}", args=[person])).status_code == 200, action
    chart = LocalIdentifier.objects.get(value="2")
    client.post(reverse("admin:pix_person_undo_link", args=[person]), {"chart": chart.pk, "reason": "two cards"})
    chart.refresh_from_db()
    assert chart.person_id != person
    event = LinkEvent.objects.first()
    assert client.get(reverse("admin:pix_linkevent_change", args=[event.pk])).status_code == 200
    assert client.get(reverse("admin:pix_person_reissue", args=[person])).status_code == 403


@pytest.mark.skipif(connection.vendor != "postgresql", reason="settings of PostgreSQL")
def test_the_settings_of_tables_are_taken_by_postgresql() -> None:
    statements = re.findall(r"^    (ALTER TABLE .*);$", PAGE, re.MULTILINE)
    assert len(statements) == 3
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        cursor.execute("SELECT count(*) FROM pg_class WHERE array_to_string(reloptions, ' ') LIKE '%0.02%'")
        assert cursor.fetchone() == (3,)
