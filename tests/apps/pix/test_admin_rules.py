"""Matching rules in the admin: what if, adoption; and links that a clerk undoes. Each with its audit record."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from apps.atna.models import AuditRecord
from apps.pix.models import LocalIdentifier, MatchRules, RulesRun
from apps.pix.services import trials, versions
from tests.apps.pix.told import CLINIC, HOSPITAL, merge, somebody, tell

pytestmark = pytest.mark.usefixtures("facilities")


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("operator", "", "a long password"))
    client.defaults["HTTP_ACCEPT_LANGUAGE"] = "en"
    return client


@pytest.fixture
def strict(facilities: None) -> MatchRules:
    tell(HOSPITAL, "1")
    tell(CLINIC, "2")
    rules = replace(versions.DEFAULT, name="strict", link=1000.0, review=900.0, hard_rules=frozenset())
    return MatchRules.objects.create(name="strict", rules=rules.as_json())


def page(rules: MatchRules) -> str:
    return reverse("admin:pix_matchrules_what_if", args=[rules.pk])


def test_tried_shown_and_adopted(operator: Client, strict: MatchRules) -> None:
    assert 'id="adopt-form"' not in operator.get(page(strict)).text
    operator.post(page(strict), {"verb": "adopt", "reason": "too early"})
    assert not RulesRun.objects.exists()
    operator.post(page(strict), {"verb": "try"})
    assert "waiting" in operator.get(page(strict)).text
    trials.carry_out()
    shown = operator.get(page(strict)).text
    assert "Persons that would be parted: 1" in shown
    assert "山田 健一 1941-05-03" in shown
    without_reason = operator.post(page(strict), {"verb": "adopt", "reason": ""})
    assert "required" in without_reason.text
    operator.post(page(strict), {"verb": "adopt", "reason": "fewer wrong links"})
    trials.carry_out()
    assert MatchRules.objects.get(in_force=True) == strict
    assert "fewer wrong links" in operator.get(page(strict)).text
    assert AuditRecord.objects.filter(action="U").count() == 3  # the refused one, the trial, the adoption
    seen = AuditRecord.objects.filter(
        action="R", patient_regional_id=LocalIdentifier.objects.first().person.regional_id
    )
    assert seen.exists()
    assert RulesRun.objects.get(kind="adoption").asked_by == "operator"


def test_only_who_may_change_rules_adopts(client: Client, strict: MatchRules) -> None:
    reader = User.objects.create_user("reader", password="a long password", is_staff=True)
    reader.user_permissions.add(Permission.objects.get(codename="view_matchrules"))
    client.force_login(reader)
    assert client.post(page(strict), {"verb": "try"}).status_code == 403
    assert not RulesRun.objects.exists()


def test_a_link_is_undone_and_restored_for_a_reason(operator: Client, facilities: None) -> None:
    tell(HOSPITAL, "1")
    tell(CLINIC, "2")
    first, second = LocalIdentifier.objects.order_by("pk")
    url = reverse("admin:pix_person_undo_link", args=[first.person_id])
    assert "山田 健一 1941-05-03 市民病院 1" in operator.get(url).text
    operator.post(url, {"chart": second.pk, "reason": ""})
    second.refresh_from_db()
    assert second.person_id == first.person_id
    operator.post(url, {"chart": second.pk, "reason": "another patient"})
    second.refresh_from_db()
    assert second.person_id != first.person_id
    record = AuditRecord.objects.filter(action="U").latest("id")
    assert record.patient_regional_id == first.person.regional_id
    apart = operator.get(url).text
    assert AuditRecord.objects.filter(action="R", patient_regional_id=second.person.regional_id).exists()
    assert f"{first.pk}+{second.pk}" in apart
    operator.post(url, {"chart": f"{first.pk}+{second.pk}", "reason": "the same after all"})
    second.refresh_from_db()
    assert second.person_id == first.person_id


def test_a_facilitys_merge_is_taken_back_for_a_reason(operator: Client, facilities: None) -> None:
    tell(HOSPITAL, "1")
    tell(HOSPITAL, "2", told=somebody("佐藤 花子", "サトウ ハナコ", "19790101", "F"))
    merge(HOSPITAL, subsumed="2", surviving="1")
    first, second = LocalIdentifier.objects.order_by("pk")
    url = reverse("admin:pix_person_undo_link", args=[first.person_id])
    shown = operator.get(url).text
    assert f'value="merge:{second.pk}"' in shown
    assert "佐藤 花子" in shown
    assert operator.post(url, {"chart": f"merge:{first.pk}", "reason": "any"}).status_code == 403
    operator.post(url, {"chart": f"merge:{second.pk}", "reason": "the hospital asks for it"})
    second.refresh_from_db()
    assert (second.status, second.person_id == first.person_id) == ("active", False)
    assert AuditRecord.objects.filter(action="U", patient_regional_id=first.person.regional_id).exists()


def test_nobody_undoes_the_link_of_another_persons_chart(operator: Client, facilities: None) -> None:
    tell(HOSPITAL, "1")
    tell(CLINIC, "2")
    first = LocalIdentifier.objects.order_by("pk")[0]
    url = reverse("admin:pix_person_undo_link", args=[first.person_id])
    assert operator.post(url, {"chart": "999999", "reason": "any"}).status_code == 403
