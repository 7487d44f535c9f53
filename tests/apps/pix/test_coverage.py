"""Insurances through the years: what was told before still says who it is; what cannot both be right is found."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.pix import services, tasks
from apps.pix.models import CoverageFinding, LocalIdentifier
from apps.pix.services import coverage
from hie.values.people import Demographics, Insurance
from tests.apps.pix.told import CLINIC, HOSPITAL, PHARMACY, somebody, tell

pytestmark = pytest.mark.usefixtures("facilities")
OLD, NEW = Insurance("06139463", "12", "345", "01"), Insurance("06400123", "98", "765", "02")
TODAY = timezone.localdate()
VALID = {"valid_from": f"{TODAY - timedelta(days=100):%Y%m%d}", "valid_to": f"{TODAY + timedelta(days=100):%Y%m%d}"}


def told(*insurances: Insurance, kanji: str = "山田 健一", kana: str = "ヤマダ ケンイチ") -> Demographics:
    return replace(somebody(kanji, kana), insurances=insurances)


def row(value: str) -> LocalIdentifier:
    return LocalIdentifier.objects.get(value=value)


def told_long_ago(value: str) -> None:
    LocalIdentifier.objects.filter(value=value).update(insurances_since=TODAY - timedelta(days=400))


def test_a_new_insurance_makes_the_old_one_history() -> None:
    tell(HOSPITAL, "1", told=told(OLD))
    assert row("1").past_insurances is None
    told_long_ago("1")
    tell(HOSPITAL, "1", told=told(NEW))
    (past,) = row("1").past_insurances
    assert past["insurance"]["number"] == "345"
    assert (past["since"], past["until"]) == ((TODAY - timedelta(days=400)).isoformat(), TODAY.isoformat())
    assert row("1").insurances_since == TODAY
    told_long_ago("1")
    tell(HOSPITAL, "1", told=told(OLD))
    assert [each["insurance"]["number"] for each in row("1").past_insurances] == ["765"]


def test_what_is_corrected_on_the_day_was_an_error() -> None:
    tell(HOSPITAL, "1", told=told(OLD))
    tell(HOSPITAL, "1", told=told(NEW))
    assert row("1").past_insurances is None


def test_the_same_told_again_is_no_change() -> None:
    tell(HOSPITAL, "1", told=told(OLD))
    told_long_ago("1")
    tell(HOSPITAL, "1", told=told(replace(OLD, valid_to="20270331")))
    assert row("1").past_insurances is None
    assert row("1").insurances_since == TODAY - timedelta(days=400)


def test_an_insurance_that_both_had_at_some_time_joins() -> None:
    """The hospital knows her by the insurance of before, the pharmacy by that insurance and another surname."""
    tell(HOSPITAL, "1", told=told(OLD))
    told_long_ago("1")
    tell(HOSPITAL, "1", told=told(NEW, kanji="鈴木 健一", kana="スズキ ケンイチ"))
    tell(PHARMACY, "9", told=told(OLD))
    assert row("9").person_id == row("1").person_id
    tell(CLINIC, "5", told=told(NEW))
    assert row("5").person_id == row("1").person_id


def test_two_cards_of_one_person_are_found_and_go_by_themselves() -> None:
    tell(HOSPITAL, "1", told=replace(told(replace(OLD, **VALID)), telephones=("090-1234-5678",)))
    tell(CLINIC, "2", told=replace(told(replace(NEW, **VALID)), telephones=("090-1234-5678",)))
    assert row("1").person_id == row("2").person_id
    assert tasks.look_for_coverage_conflicts() == 1
    assert coverage.look() == 1
    assert CoverageFinding.objects.get().kind == "two cards"
    tell(CLINIC, "2", told=told(replace(OLD, **VALID)))
    assert coverage.look() == 0
    assert CoverageFinding.objects.get().gone_at is not None


def test_two_cards_told_by_one_facility_are_found_too() -> None:
    tell(HOSPITAL, "1", told=told(replace(OLD, **VALID), replace(NEW, **VALID)))
    assert coverage.look() == 1
    finding = CoverageFinding.objects.get()
    assert (finding.kind, finding.first.value, finding.second.value) == ("two cards", "1", "1")


def test_two_cards_without_a_branch_are_found_too() -> None:
    tell(HOSPITAL, "1", told=told(replace(OLD, branch="", **VALID)))
    tell(CLINIC, "2", told=told(replace(OLD, **VALID)))
    assert row("1").person_id == row("2").person_id
    assert coverage.look() == 0  # one card; only its branch is unknown to one of them
    tell(CLINIC, "2", told=told(replace(NEW, branch="", **VALID)))
    services.link(row("1"), row("2"), by="clerk")
    assert coverage.look() == 1


def test_public_expense_beside_an_insurance_is_no_second_card() -> None:
    disease = Insurance("54136015", "1", "1234567", "00", **VALID)
    tell(HOSPITAL, "1", told=told(replace(OLD, **VALID), disease))
    tell(CLINIC, "2", told=told(replace(OLD, **VALID), disease))
    assert coverage.look() == 0


def test_an_insurance_without_an_end_or_that_has_ended_is_only_stale() -> None:
    tell(HOSPITAL, "1", told=told(OLD))
    tell(CLINIC, "2", told=told(replace(NEW, **VALID)))
    tell(PHARMACY, "3", told=told(replace(OLD, valid_from="20200401", valid_to="20210331")))
    assert coverage.look() == 0


def test_one_card_of_two_persons_is_found_and_settled_once(client: Client) -> None:
    tell(HOSPITAL, "1", told=told(OLD))
    tell(CLINIC, "2", told=replace(somebody("佐藤 花子", "サトウ ハナコ", "19790101", "F"), insurances=(OLD,)))
    assert coverage.look() == 1
    finding = CoverageFinding.objects.get()
    assert (finding.kind, finding.first.value, finding.second.value) == ("one card", "1", "2")
    client.force_login(User.objects.create_superuser("operator", "", "a long password"))
    listed = reverse("admin:pix_coveragefinding_changelist")
    assert "佐藤 花子" in client.get(listed).text
    shown = client.get(reverse("admin:pix_coveragefinding_change", args=[finding.pk])).text
    assert "06139463 12 345 01" in shown
    client.post(listed, {"action": "settle", "_selected_action": [finding.pk]})
    finding.refresh_from_db()
    assert finding.settled_by == "operator"
    assert coverage.look() == 0
    assert "佐藤 花子" not in client.get(listed).text


def test_the_history_is_shown_in_the_admin(client: Client) -> None:
    tell(HOSPITAL, "1", told=told(OLD))
    told_long_ago("1")
    tell(HOSPITAL, "1", told=told(NEW))
    client.force_login(User.objects.create_superuser("operator", "", "a long password"))
    shown = client.get(reverse("admin:pix_localidentifier_change", args=[row("1").pk])).text
    assert "06139463 12 345 01" in shown


def test_what_waits_is_a_figure_of_the_first_page_that_leads_to_its_list(client: Client) -> None:
    client.force_login(User.objects.create_superuser("admin", password="only-for-this-test"))

    def figure() -> dict[str, Any]:
        return {each["key"]: each for each in client.get("/api/overview").json()["figures"]}["insurances"]

    assert (figure()["value"], figure()["state"]) == (0, "good")
    tell(HOSPITAL, "1", told=replace(told(replace(OLD, **VALID)), telephones=("090-1234-5678",)))
    tell(CLINIC, "2", told=replace(told(replace(NEW, **VALID)), telephones=("090-1234-5678",)))
    coverage.look()
    found = figure()
    assert (found["value"], found["state"]) == (1, "warning")
    page = client.get(found["link"], headers={"accept-language": "en"}).content.decode()
    assert "one person, two insurances" in page
    finding = CoverageFinding.objects.get()
    client.post(found["link"], {"action": "settle", "_selected_action": [finding.pk]})
    assert figure()["value"] == 0
