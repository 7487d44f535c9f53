"""The index in the admin: found by number, kanji and kana; masked; not changeable; and recorded."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from apps.atna.models import AuditRecord
from apps.pix import services
from apps.pix.models import LinkEvent, LocalIdentifier, Person
from hie.values.times import JST
from tests.apps.pix.told import CLINIC, HOSPITAL, merge, rename, somebody, tell

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


# --- who was linked to what on a past day


def on_days(*actions: Callable[[], object]) -> None:
    """Each on a day of its own: the first of January 2026, the second, …; at noon in Japan."""
    for number, action in enumerate(actions, start=1):
        last = LinkEvent.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
        action()
        written = LinkEvent.objects.filter(pk__gt=last)
        super(type(written), written).update(at=datetime(2026, 1, number, 12, tzinfo=JST))


def stood(operator: Client, name: str, key: int, day: str) -> list[str]:
    """The numbers that the page shows for a day."""
    page = operator.get(reverse(f"admin:pix_{name}_past", args=[key]), {"on": day})
    assert page.status_code == 200
    return re.findall(r'data-value="([^"]*)"', page.text)


@pytest.fixture
def history() -> LocalIdentifier:
    """1 (hospital), 2 (clinic) linked, then parted; 1 renamed, a 3rd merged into it; the person's id issued anew."""
    chart: dict[str, LocalIdentifier] = {}

    def part() -> None:
        services.part(LocalIdentifier.objects.get(value="2").pk, by="clerk", reason="another patient's card")

    def reissue() -> None:
        chart["100"] = LocalIdentifier.objects.select_related("person").get(value="100")
        services.reissue(chart["100"].person.regional_id, reason="seen by others", by="clerk")

    on_days(
        lambda: tell(HOSPITAL, "1"),
        lambda: tell(CLINIC, "2"),
        part,
        lambda: rename(HOSPITAL, old="1", new="100"),
        lambda: tell(HOSPITAL, "3"),
        lambda: merge(HOSPITAL, subsumed="3", surviving="100"),
        reissue,
    )
    return chart["100"]


def test_who_was_linked_to_what_on_a_past_day(operator: Client, history: LocalIdentifier) -> None:
    first, new = history.person_id, LocalIdentifier.objects.get(value="100").person_id
    days = {
        "2025-12-31": [],
        "2026-01-01": ["1"],
        "2026-01-02": ["2", "1"],
        "2026-01-03": ["1"],
        "2026-01-04": ["100"],
        "2026-01-05": ["100"],  # 3 could be either of two who are kept apart
        "2026-01-06": ["100"],
        "2026-01-07": [],
    }
    assert {day: sorted(stood(operator, "person", first, day)) for day in days} == {
        day: sorted(numbers) for day, numbers in days.items()
    }
    assert (stood(operator, "person", new, "2026-01-06"), stood(operator, "person", new, "2026-01-07")) == ([], ["100"])
    # A chart is asked by itself, whatever its number or its person was then.
    assert stood(operator, "localidentifier", history.pk, "2026-01-07") == ["100"]
    assert sorted(stood(operator, "localidentifier", history.pk, "2026-01-02")) == ["1", "2"]
    assert stood(operator, "localidentifier", LocalIdentifier.objects.get(value="3").pk, "2026-01-06") == []


def test_the_past_says_why_and_is_recorded_with_its_patients(operator: Client, history: LocalIdentifier) -> None:
    page = operator.get(reverse("admin:pix_person_past", args=[history.person_id]), {"on": "2026-01-02"}).text
    standing, happened = page.split('id="happened"')
    assert "name, reading, birth date and sex (shipped-1)" in standing
    assert "clerk: another patient&#x27;s card" in happened
    assert history.person.regional_id not in page
    seen = AuditRecord.objects.filter(action="R").values_list("patient_regional_id", flat=True)
    assert history.person.regional_id in seen
    assert LocalIdentifier.objects.get(value="2").person.regional_id in seen  # whose chart the page showed, too


@pytest.mark.parametrize("day", ["2999-01-01", "tomorrow"])
def test_a_day_that_is_none_is_refused(operator: Client, history: LocalIdentifier, day: str) -> None:
    page = operator.get(reverse("admin:pix_person_past", args=[history.person_id]), {"on": day})
    assert 'id="standing"' not in page.text
    assert "errorlist" in page.text


def test_the_evidence_of_a_link_is_told_in_words(operator: Client, history: LocalIdentifier) -> None:
    event = LinkEvent.objects.get(value="2", kind="linked")
    shown = operator.get(reverse("admin:pix_linkevent_change", args=[event.pk])).text
    for words in (
        "Given name",
        "the same in kanji and kana",
        "speaks strongly for one human",
        "市民病院 100",
        "shipped-1",
    ):
        assert words in shown, words
    assert "&quot;fields&quot;" not in shown
    undone = LinkEvent.objects.get(value="2", kind="unlinked")
    shown = operator.get(reverse("admin:pix_linkevent_change", args=[undone.pk])).text
    assert "another patient&#x27;s card" in shown
    assert "kept apart by a clerk" in shown
