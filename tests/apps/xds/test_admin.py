"""The registry in the admin: masked, read-only, each look recorded."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from apps.atna.models import AuditRecord
from apps.xds import models
from apps.xds.services import register
from hie.values.identifiers import masked
from tests.apps.xds.samples import FACILITY, entry, folder, member, submission

pytestmark = pytest.mark.django_db

SCREENS = (models.DocumentEntry, models.SubmissionSet, models.Folder, models.Association)


@pytest.fixture
def browser(db: None) -> Client:
    user = User.objects.create_superuser("admin", password="not-a-secret")
    client = Client(headers={"accept-language": "en"})
    client.force_login(user)
    return client


@pytest.fixture
def registered(patient: str) -> str:
    document, its_folder = entry(patient, title="所見"), folder(patient)
    membership = member(its_folder.entry_uuid, document.entry_uuid)
    register(submission(patient, document, folders=(its_folder,), associations=(membership,)), facility_code=FACILITY)
    return patient


@pytest.mark.parametrize("model", SCREENS, ids=lambda each: each.__name__)
def test_list_and_row_are_masked_and_recorded(browser: Client, registered: str, model: Any) -> None:
    name = model._meta.model_name
    row = model._default_manager.first()
    for url in (reverse(f"admin:xds_{name}_changelist"), reverse(f"admin:xds_{name}_change", args=[row.pk])):
        before = AuditRecord.objects.filter(patient_regional_id=registered).count()
        response = browser.get(url)
        page = response.content.decode()
        assert response.status_code == 200
        assert registered not in page
        assert masked(registered) in page
        assert AuditRecord.objects.filter(patient_regional_id=registered).count() == before + 1


def test_a_document_is_found_by_its_ids(browser: Client, registered: str) -> None:
    row = models.DocumentEntry.objects.get()
    url = reverse("admin:xds_documententry_changelist")
    for text in (row.entry_uuid, row.unique_id, registered):
        assert "所見" in browser.get(url, {"q": text}).content.decode()
    assert "所見" not in browser.get(url, {"q": "9.9.9"}).content.decode()


@pytest.mark.parametrize("model", SCREENS, ids=lambda each: each.__name__)
def test_nothing_can_be_changed(browser: Client, registered: str, model: Any) -> None:
    name, row = model._meta.model_name, model._default_manager.first()
    assert browser.get(reverse(f"admin:xds_{name}_add")).status_code == 403
    assert browser.post(reverse(f"admin:xds_{name}_change", args=[row.pk]), {}).status_code == 403
    assert browser.post(reverse(f"admin:xds_{name}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403
