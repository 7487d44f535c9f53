"""The index in the admin: found by number, kanji and kana; masked; not changeable; and recorded."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from apps.atna.models import AuditRecord
from apps.pix.models import LinkEvent, LocalIdentifier, Person
from tests.apps.pix.told import CLINIC, HOSPITAL, somebody, tell

pytestmark = pytest.mark.usefixtures("facilities")

LISTS = ("person", "localidentifier", "linkevent")


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("operator", "", "a long password"))
    client.defaults["HTTP_ACCEPT_LANGUAGE"] = "en"
    return client


@pytest.fixture
def regional_id() -> str:
    tell(HOSPITAL, "000111", told=somebody("髙橋 健一", "タカハシ ショウイチ"))
    tell(HOSPITAL, "5", told=somebody("鈴木 花子", "スズキ ハナコ", sex="F"))
    return tell(CLINIC, "aa12", told=somebody("高橋 健一", "たかはし しよういち")).regional_id


@pytest.mark.parametrize("name", ["person", "localidentifier"])
@pytest.mark.parametrize(
    ("term", "found"),
    [("000111", True), ("高橋", True), ("髙橋健一", True), ("ﾀｶﾊｼ", True), ("たかはし", True), ("佐藤", False)],
)
def test_search_by_number_kanji_and_kana(operator: Client, regional_id: str, name: str, term: str, found: bool) -> None:
    page = operator.get(reverse(f"admin:pix_{name}_changelist"), {"q": term})
    assert page.status_code == 200
    shown = page.content.decode()
    assert ("健一" in shown) is found
    assert "花子" not in shown


@pytest.mark.parametrize("name", LISTS)
def test_the_regional_id_is_masked_everywhere(operator: Client, regional_id: str, name: str) -> None:
    model = {"person": Person, "localidentifier": LocalIdentifier, "linkevent": LinkEvent}[name]
    pages = [operator.get(reverse(f"admin:pix_{name}_changelist"))]
    pages += [operator.get(reverse(f"admin:pix_{name}_change", args=[row.pk])) for row in model.objects.all()]
    for page in pages:
        assert page.status_code == 200
        assert regional_id not in page.content.decode()


@pytest.mark.parametrize("name", LISTS)
def test_nothing_can_be_added_or_changed(operator: Client, regional_id: str, name: str) -> None:
    assert operator.get(reverse(f"admin:pix_{name}_add")).status_code == 403
    model = {"person": Person, "localidentifier": LocalIdentifier, "linkevent": LinkEvent}[name]
    row = model.objects.first()
    assert row is not None
    assert operator.post(reverse(f"admin:pix_{name}_change", args=[row.pk]), {"value": "x"}).status_code == 403
    assert operator.post(reverse(f"admin:pix_{name}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403


@pytest.mark.parametrize("name", LISTS)
def test_a_look_is_recorded_with_its_patients(operator: Client, regional_id: str, name: str) -> None:
    operator.get(reverse(f"admin:pix_{name}_changelist"))
    seen = set(AuditRecord.objects.values_list("patient_regional_id", flat=True))
    assert regional_id in seen
