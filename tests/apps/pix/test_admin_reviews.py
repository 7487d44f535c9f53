"""Doubtful pairs in the admin: the queue, the page that explains, the decisions, and their records."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.atna.models import AuditRecord
from apps.pix import matching, queries
from apps.pix.admin.words import FIELDS, LEVELS, RULES, SHORT_RULES
from apps.pix.models import MatchRules, Person, ReviewCase
from tests.apps.pix.told import CLINIC, HOSPITAL, chart, somebody, tell

pytestmark = pytest.mark.usefixtures("facilities")
LIST = "admin:pix_reviewcase_changelist"


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("operator", "", "a long password"))
    client.defaults["HTTP_ACCEPT_LANGUAGE"] = "en"
    return client


@pytest.fixture
def cases(db: None) -> list[ReviewCase]:
    tell(HOSPITAL, "1", told=somebody(telephones=("03-1234-5678",)))
    tell(CLINIC, "2", told=somebody("山田 健壱", telephones=("03-9999-1111",)))
    tell(HOSPITAL, "5", told=somebody("佐藤 花子", "サトウ ハナコ", "19790101", "F"))
    tell(CLINIC, "6", told=somebody("佐藤 花子", "サトウ ハナコ", "19790111", "F"))
    return list(ReviewCase.objects.order_by("pk"))


def page(case: ReviewCase) -> str:
    return reverse("admin:pix_reviewcase_change", args=[case.pk])


def decide(client: Client, case: ReviewCase, verb: str, note: str = "") -> Any:
    return client.post(reverse("admin:pix_reviewcase_decide", args=[case.pk]), {"verb": verb, "note": note})


def regional(facility: str, number: str) -> str | None:
    return queries.regional_id_of(chart(facility, number))


def test_every_field_level_and_rule_has_words() -> None:
    assert FIELDS.keys() == LEVELS.keys() == matching.FIELDS.keys()
    assert all(set(LEVELS[field]) == set(levels) for field, levels in matching.FIELDS.items())
    assert set(RULES) == set(SHORT_RULES) == set(matching.HARD_RULES) | {"score", "name and birth"}


def test_the_queue_shows_what_waits_and_filters(operator: Client, cases: list[ReviewCase]) -> None:
    assert len(cases) == 2
    ReviewCase.objects.filter(pk=cases[0].pk).update(opened_at=timezone.now() - timedelta(days=8))
    everything = operator.get(reverse(LIST)).content.decode()
    assert "健壱" in everything
    assert "花子" in everything
    old = operator.get(reverse(LIST), {"age": "7"}).content.decode()
    assert "健壱" in old
    assert "花子" not in old
    decide(operator, cases[0], "apart")
    assert "健壱" not in operator.get(reverse(LIST)).content.decode()
    assert "健壱" in operator.get(reverse(LIST), {"state": "apart"}).content.decode()


def test_the_page_shows_both_records_and_why(operator: Client, cases: list[ReviewCase]) -> None:
    response = operator.get(page(cases[0]))
    shown = response.content.decode()
    marks = {str(line.label): line.mark for line in response.context_data["lines"]}  # type: ignore[attr-defined]
    assert marks["Patient name"] == "differs"
    assert (marks["Kana"], marks["Birth date"]) == ("same", "same")
    assert "the same day" in shown
    assert "speaks strongly for one human" in shown
    for person in Person.objects.all():
        assert person.regional_id not in shown


@pytest.mark.parametrize(("verb", "state"), [("link", "linked"), ("apart", "apart"), ("postpone", "postponed")])
def test_a_decision_is_carried_out_recorded_and_leads_on(
    operator: Client, cases: list[ReviewCase], verb: str, state: str
) -> None:
    case = cases[0]
    before = set(Person.objects.values_list("regional_id", flat=True))
    records = set(AuditRecord.objects.values_list("pk", flat=True))
    response = decide(operator, case, verb, "called the hospital")
    assert response.headers["Location"] == page(cases[1])
    case.refresh_from_db()
    assert (case.state, case.decided_by, case.note) == (state, "operator", "called the hospital")
    assert (regional(HOSPITAL, "1") == regional(CLINIC, "2")) is (verb == "link")
    kept = AuditRecord.objects.exclude(pk__in=records)
    assert {record.action for record in kept} == {"U"}
    assert {record.patient_regional_id for record in kept} <= before
    assert kept.count() == 2


def test_what_was_postponed_stands_behind_the_others(operator: Client, cases: list[ReviewCase]) -> None:
    decide(operator, cases[0], "postpone")
    listed = operator.get(reverse(LIST)).text
    assert 0 < listed.index(page(cases[1])) < listed.index(page(cases[0]))


def test_the_last_case_leads_back_to_the_list(operator: Client, cases: list[ReviewCase]) -> None:
    decide(operator, cases[0], "apart")
    assert decide(operator, cases[1], "link").headers["Location"] == reverse(LIST)


def test_a_decision_is_taken_back(operator: Client, cases: list[ReviewCase]) -> None:
    decide(operator, cases[0], "link")
    assert regional(HOSPITAL, "1") == regional(CLINIC, "2")
    decide(operator, cases[0], "back")
    assert regional(HOSPITAL, "1") != regional(CLINIC, "2")
    assert queries.review_figures().overturned == 0  # it was the clerk's own; only the machine's are counted


def test_a_note_alone_decides_nothing(operator: Client, cases: list[ReviewCase]) -> None:
    decide(operator, cases[0], "note", "wait for the letter")
    cases[0].refresh_from_db()
    assert (cases[0].state, cases[0].note) == ("open", "wait for the letter")


def test_what_was_decided_meanwhile_is_told(operator: Client, cases: list[ReviewCase]) -> None:
    decide(operator, cases[0], "apart")
    response = decide(operator, cases[0], "link")
    assert response.headers["Location"] == page(cases[0])
    assert regional(HOSPITAL, "1") != regional(CLINIC, "2")


def test_who_may_look_may_not_decide(client: Client, cases: list[ReviewCase]) -> None:
    looker = User.objects.create_user("looker", password="a long password", is_staff=True)
    looker.user_permissions.add(Permission.objects.get(codename="view_reviewcase"))
    client.force_login(looker)
    assert "review-form" not in client.get(page(cases[0])).content.decode()
    assert decide(client, cases[0], "link").status_code == 403
    assert client.get(page(cases[0])).status_code == 200
    assert decide(Client(), cases[0], "link").status_code == 302
    assert regional(HOSPITAL, "1") != regional(CLINIC, "2")


@pytest.mark.parametrize("verb", ["", "delete"])
def test_an_unknown_decision_is_refused(operator: Client, cases: list[ReviewCase], verb: str) -> None:
    assert decide(operator, cases[0], verb).status_code == 404


def test_a_look_is_recorded_with_both_patients(operator: Client, cases: list[ReviewCase]) -> None:
    operator.get(page(cases[0]))
    seen = set(AuditRecord.objects.values_list("patient_regional_id", flat=True))
    assert {regional(HOSPITAL, "1"), regional(CLINIC, "2")} <= seen


def test_the_versions_of_the_rules_are_shown(operator: Client, cases: list[ReviewCase]) -> None:
    assert "shipped-1" in operator.get(reverse("admin:pix_matchrules_changelist")).content.decode()
    rules = MatchRules.objects.get()
    assert "namesake" in operator.get(reverse("admin:pix_matchrules_change", args=[rules.pk])).content.decode()


def test_the_first_page_counts_what_waits(operator: Client, cases: list[ReviewCase]) -> None:
    figures = {each["key"]: each for each in operator.get("/api/overview").json()["figures"]}
    assert figures["review"]["value"] == 2
    assert "pix/reviewcase" in figures["review"]["link"]
