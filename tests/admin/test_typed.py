"""No form and no search of the admin site takes a My Number or a resident record code."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from apps.atna.models import AuditRecord
from apps.consent.models import Directive
from apps.network.models import Facility
from apps.ssmix.models import AcceptedDeviation

pytestmark = pytest.mark.django_db
MY_NUMBER, RESIDENT_CODE = "個人番号 983205673214", "住民票コード 24727059608"


@pytest.fixture
def clerk() -> Client:
    client = Client(headers={"accept-language": "en"})
    client.force_login(User.objects.create_superuser("admin", password="only-for-this-test"))
    return client


def _addable() -> list[Any]:
    return [model for model in admin.site._registry if model._meta.app_label != "auth"]


def test_every_form_and_every_search_refuses_it_and_nothing_is_kept(clerk: Client) -> None:
    for model in _addable():
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        for number in (MY_NUMBER, RESIDENT_CODE):
            answer = clerk.post(reverse(f"{name}_add"), {"anything": "x", "note": f"please see {number}"})
            assert answer.status_code == 422, model
            assert number[-11:] not in answer.content.decode()
        assert clerk.get(reverse(f"{name}_changelist"), {"q": MY_NUMBER}).status_code == 422, model
    assert not any(b"983205673214" in bytes(each) for each in AuditRecord.objects.values_list("message", flat=True))


REAL_FORMS = (
    ("admin:network_facility_add_hospital", {"name": "病院 983205673214"}),
    ("admin:consent_directive_add", {"chart_number": "マイナンバー983205673214"}),
    ("admin:ssmix_accepteddeviation_add", {"reason": RESIDENT_CODE}),
    ("admin:ssmix_storedfile_changelist", {"action": "accept_files", "reason": MY_NUMBER}),
    ("admin:consent_emergencyaccess_changelist", {"review_note": MY_NUMBER}),
    ("admin:xds_acceptedcode_add", {"display": MY_NUMBER}),
)


def test_fields_of_real_forms(clerk: Client) -> None:
    for url, fields in REAL_FORMS:
        assert clerk.post(reverse(url), fields).status_code == 422, url
    assert not any(model._default_manager.exists() for model in (Facility, Directive, AcceptedDeviation))


def test_the_refusal_names_the_field_in_the_language_of_the_page(clerk: Client) -> None:
    url = reverse("admin:consent_directive_add")
    japanese = clerk.post(url, {"chart_number": MY_NUMBER}, headers={"accept-language": "ja"}).content.decode()
    assert "マイナンバーや住民票コードは書かないでください(カルテ番号)" in japanese
    assert "Chart number" in clerk.post(url, {"chart_number": MY_NUMBER}).content.decode()


def test_other_numbers_and_passwords_pass(clerk: Client) -> None:
    url = reverse("admin:pix_localidentifier_changelist")
    assert clerk.get(url, {"q": "983205673214"}).status_code == 200
    assert clerk.get(url, {"q": "個人番号 983205673215"}).status_code == 200
    signing_in = {"username": "admin", "password": f"my number {MY_NUMBER}"}
    assert Client().post(reverse("admin:login"), signing_in).status_code == 200
