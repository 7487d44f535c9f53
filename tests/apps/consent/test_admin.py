"""The consent screens: a clerk records, revokes, reviews; nothing shows a regional ID, everything is recorded."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from apps.atna.models import AuditRecord
from apps.consent import admin as screens
from apps.consent.models import Directive, EmergencyAccess, NetworkPolicy
from apps.consent.services import record_directive
from apps.terminology.models import Code as Named
from apps.terminology.models import CodeSystem
from hie.exchange.remembered import forget_all
from hie.values.codes import Code
from hie.values.identifiers import AssigningAuthority, Identifier

pytestmark = pytest.mark.django_db

PATIENT = "3f" * 16
HOSPITAL = SimpleNamespace(code="1310000001", name="中央病院", authority=AssigningAuthority("1.2.392.1", "HOSP"))


@pytest.fixture
def clerk(client, monkeypatch):
    monkeypatch.setattr(screens, "facilities", lambda: (HOSPITAL,))
    monkeypatch.setattr(screens, "facility", lambda code: HOSPITAL if code == HOSPITAL.code else None)
    monkeypatch.setattr(screens, "codes", lambda kind: (Code(f"{kind}-1", "1.2", "検査"),))
    known = Identifier("000111", HOSPITAL.authority)
    monkeypatch.setattr(screens, "regional_id_of", lambda identifier: PATIENT if identifier == known else None)
    client.force_login(User.objects.create_superuser("clerk", "", "a long password"))
    client.defaults["HTTP_ACCEPT_LANGUAGE"] = "en"
    return client


def directive(**rest):
    return record_directive(
        patient_regional_id=PATIENT,
        permits=True,
        legal_basis="consent",
        obtained="written",
        recorded_by="x",
        **rest,
    )


FORM = {
    "patient_facility": HOSPITAL.code,
    "chart_number": " 000111 ",
    "effect": "permit",
    "recipients": [HOSPITAL.code],
    "kinds": ["class-1"],
    "legal_basis": "consent",
    "obtained": "written",
    "valid_from": "2026-01-01",
}


def audited():
    rows = AuditRecord.objects.filter(event_id__in=("110110", "110112")).order_by("id")
    return [(row.event_id, row.action, row.patient_regional_id) for row in rows]


def test_a_clerk_records_a_wish_by_chart_number(clerk):
    page = clerk.get(reverse("admin:consent_directive_add"))
    assert "whose records" in page.content.decode()
    answer = clerk.post(reverse("admin:consent_directive_add"), FORM)
    assert answer.status_code == 302, answer.context_data["adminform"].form.errors
    row = Directive.objects.get()
    assert (row.patient_regional_id, row.recipients, row.kinds) == (PATIENT, [HOSPITAL.code], ["class-1"])
    assert (row.recorded_by, row.version, row.effect) == ("clerk", 1, "permit")
    assert audited()[-1][:2] == ("110110", "C")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"chart_number": "999"}, "chart_number"),
        ({"valid_until": "2025-12-31"}, "valid_until"),
        ({"in_emergency": "on"}, "in_emergency"),
        ({"recipients": ["0000000000"]}, "recipients"),
        ({"legal_basis": ""}, "legal_basis"),
    ],
)
def test_the_form_says_what_is_wrong(clerk, wrong, field):
    answer = clerk.post(reverse("admin:consent_directive_add"), {**FORM, **wrong})
    assert answer.status_code == 200
    assert field in answer.context_data["adminform"].form.errors
    assert not Directive.objects.exists()


def test_lists_and_details_are_masked_and_recorded(clerk):
    row = directive(recipients=[HOSPITAL.code])
    for url in (
        reverse("admin:consent_directive_changelist"),
        reverse("admin:consent_directive_change", args=[row.pk]),
        reverse("admin:consent_directive_history", args=[row.pk]),
    ):
        page = clerk.get(url)
        assert page.status_code == 200
        assert PATIENT not in page.content.decode()
        assert "3f" + "•" * 28 + "3f" in page.content.decode()
    assert audited() == [("110112", "E", PATIENT), ("110110", "R", PATIENT), ("110110", "R", PATIENT)]


@pytest.mark.parametrize(("language", "name"), [("en", "Prescription"), ("ja", "処方箋")])
def test_codes_are_offered_in_the_language_of_the_page(clerk, language, name):
    system = CodeSystem.objects.create(scheme="1.2", name="ours")
    Named.objects.create(system=system, code="class-1", display_ja="処方箋", display_en="Prescription")
    forget_all()
    page = clerk.get(reverse("admin:consent_directive_add"), headers={"accept-language": language}).content.decode()
    assert f"{name} (class-1)" in page
    row = directive(kinds=["class-1"])
    url = reverse("admin:consent_directive_change", args=[row.pk])
    assert f"{name} (class-1)" in clerk.get(url, headers={"accept-language": language}).content.decode()


def test_a_wish_is_revoked_after_a_question(clerk):
    row = directive()
    url = reverse("admin:consent_directive_revoke", args=[row.pk])
    assert "Revoke this directive now" in clerk.get(url).content.decode()
    assert Directive.objects.get().revoked_at is None
    assert clerk.post(url).status_code == 302
    assert Directive.objects.get().revoked_by == "clerk"
    assert ("110110", "U", PATIENT) in audited()


def test_wishes_are_revoked_from_the_list(clerk):
    rows = [directive(), directive()]
    fields = {"action": "revoke_selected", "_selected_action": [row.pk for row in rows]}
    clerk.post(reverse("admin:consent_directive_changelist"), fields)
    assert not Directive.objects.filter(revoked_at__isnull=True).exists()


@pytest.mark.parametrize("model", ["directive", "networkpolicy", "emergencyaccess"])
def test_nobody_deletes(clerk, model):
    row = {
        "directive": directive,
        "networkpolicy": lambda: NetworkPolicy.objects.create(decided_at=datetime.now(UTC)),
        "emergencyaccess": emergency,
    }[model]()
    url = reverse(f"admin:consent_{model}_delete", args=[row.pk])
    assert clerk.post(url, {"post": "yes"}).status_code == 403


def emergency():
    return EmergencyAccess.objects.create(
        patient_regional_id=PATIENT,
        node_name="clinic",
        facility_code=HOSPITAL.code,
        person_user_id="doctor7",
        purpose="ETREAT",
        reason="意識不明",
        occurred_at=datetime.now(UTC),
    )


def test_broken_glass_is_listed_and_reviewed(clerk):
    row = emergency()
    page = clerk.get(reverse("admin:consent_emergencyaccess_changelist"), {"reviewed_at__isempty": "1"})
    assert "意識不明" in page.content.decode()
    assert PATIENT not in page.content.decode()
    url = reverse("admin:consent_emergencyaccess_review", args=[row.pk])
    assert clerk.post(url, {"finding": ""}).status_code == 200
    assert clerk.post(url, {"finding": "justified"}).status_code == 302
    row.refresh_from_db()
    assert (row.reviewed_by, row.finding) == ("clerk", "justified")


def test_a_policy_is_a_new_row(clerk):
    url = reverse("admin:consent_networkpolicy_add")
    assert clerk.post(url, {"default_rule": "opt-out", "emergency_allowed": "on"}).status_code == 302
    row = NetworkPolicy.objects.get()
    assert (row.default_rule, row.emergency_allowed, row.own_always, row.decided_by) == (
        "opt-out",
        True,
        False,
        "clerk",
    )


def test_who_may_only_view_cannot_revoke(client):
    from django.contrib.auth.models import Permission

    viewer = User.objects.create_user("viewer", password="a long password", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_directive"))
    client.force_login(viewer)
    row = directive()
    assert client.post(reverse("admin:consent_directive_revoke", args=[row.pk])).status_code == 403
    assert Directive.objects.get().revoked_at is None
