"""The audit log in the admin: read-only, searchable, masked, and itself recorded; so is every audited screen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.contrib.messages.storage.fallback import FallbackStorage
from django.db import DatabaseError
from django.urls import reverse

from apps.atna import repository
from apps.atna.admin import AuditedAdmin
from apps.atna.models import AuditRecord
from apps.atna.recorder import record
from apps.atna.services import record_activity
from hie.values.access import Subject
from hie.values.identifiers import AssigningAuthority, Identifier
from hie.wire.atna.audit_message import read_message
from tests.apps.atna.samples import FAMILIES, SUBJECT, trail

pytestmark = pytest.mark.django_db

LIST = reverse("admin:atna_auditrecord_changelist")


@pytest.fixture
def operator(client):
    user = User.objects.create_superuser("keeper", "", "a long password", first_name="花子", last_name="監査")
    client.force_login(user)
    client.defaults["HTTP_ACCEPT_LANGUAGE"] = "en"
    return client


def detail(row):
    return reverse("admin:atna_auditrecord_change", args=[row.pk])


def events(**conditions):
    return list(AuditRecord.objects.filter(**conditions).order_by("id").values_list("event_id", "action"))


def test_looking_at_the_log_is_recorded(operator):
    record(*trail("ITI-18"))
    page = operator.get(LIST, {"q": "000111"})
    assert page.status_code == 200
    looked = AuditRecord.objects.filter(event_id="110101").get()
    assert (looked.person_user_id, looked.action, looked.purpose) == ("keeper", "R", "HOPERAT")
    message = read_message(bytes(looked.message))
    assert message.participants[0].user_name == "花子 監査"
    assert [each.role for each in message.objects] == [13, 24]
    assert message.objects[1].query == b"q=000111"


def test_a_record_is_readable_and_its_regional_id_masked(operator, settings):
    made, entries = trail("ITI-18")
    regional = Subject(Identifier("ab" * 16, AssigningAuthority(settings.AFFINITY_DOMAIN_OID)), "ab" * 16)
    record(made, (entries[0].__class__("E", (regional,), entries[0].objects),))
    page = operator.get(detail(AuditRecord.objects.get(transaction="ITI-18"))).content.decode()
    assert "AdhocQueryRequest" in page
    assert "ITI-18 Query" in page
    assert "doctor7" in page
    assert "ab" * 16 not in page
    assert "ab" + "•" * 28 + "ab" in page
    assert events(event_id="110101") == [("110101", "R")]


@pytest.mark.parametrize("path", ["add", "delete"])
def test_nobody_adds_or_deletes(operator, path):
    record(*trail("ITI-18"))
    row = AuditRecord.objects.get(transaction="ITI-18")
    url = (
        reverse("admin:atna_auditrecord_add")
        if path == "add"
        else reverse("admin:atna_auditrecord_delete", args=[row.pk])
    )
    assert operator.get(url).status_code == 403
    assert operator.post(url, {"post": "yes"}).status_code == 403
    assert AuditRecord.objects.filter(pk=row.pk).exists()


def test_nobody_changes(operator):
    record(*trail("ITI-18"))
    row = AuditRecord.objects.get(transaction="ITI-18")
    assert operator.post(detail(row), {"outcome": 8}).status_code == 403
    row.refresh_from_db()
    assert row.outcome == 0


def found(page):
    return sorted(row.transaction for row in page.context_data["cl"].result_list if row.transaction)


@pytest.mark.parametrize(
    ("conditions", "transactions"),
    [
        ({}, ["ITI-18", "ITI-42", "ITI-8", "ITI-8"]),
        ({"q": "000111^^^HOSP&1.2.392.1&ISO"}, ["ITI-18", "ITI-42", "ITI-8"]),
        ({"q": "aa12^^^CLIN&1.2.392.2&ISO"}, ["ITI-8"]),
        ({"q": SUBJECT.regional_id}, ["ITI-18", "ITI-42", "ITI-8"]),
        ({"q": "nobody"}, []),
        ({"transaction": "ITI-42"}, ["ITI-42"]),
        ({"facility": "1310000001"}, ["ITI-18", "ITI-42", "ITI-8", "ITI-8"]),
        ({"facility": "1310000009"}, []),
        ({"outcome": "8"}, []),
        ({"outcome": "0", "transaction": "ITI-42"}, ["ITI-42"]),
        ({"facility": "unknown"}, []),
        ({"since": "2020-01-01T00:00"}, ["ITI-18", "ITI-42", "ITI-8", "ITI-8"]),
        ({"until": "2020-01-01T00:00"}, []),
        ({"since": "nonsense"}, []),
        ({"event_id": "110107"}, ["ITI-42"]),
    ],
)
def test_search(operator, monkeypatch, conditions, transactions):
    for family in ("ITI-18", "ITI-42", "ITI-8 merge"):
        record(*trail(family))
    facilities = [SimpleNamespace(code="1310000001", name="A"), SimpleNamespace(code="1310000009", name="B")]
    monkeypatch.setattr("apps.atna.admin.facilities", lambda: facilities)
    monkeypatch.setattr("apps.atna.admin.transactions", lambda: [FAMILIES["ITI-42"][0]])
    assert found(operator.get(LIST, conditions)) == transactions


def test_a_record_is_found_by_the_number_an_error_named(operator):
    made, entries = trail("ITI-18")
    record(made, entries)
    record(*trail("ITI-42"))
    assert found(operator.get(LIST, {"q": made.number})) == ["ITI-18"]


def test_a_page_that_cannot_be_recorded_is_not_shown(operator, monkeypatch):
    record(*trail("ITI-18"))

    def full(*_):
        raise DatabaseError("disk full")

    monkeypatch.setattr(repository, "_insert", full)
    page = operator.get(LIST)
    assert page.status_code == 503
    assert "doctor7" not in page.content.decode()


def test_sign_in_sign_out_and_failure_are_recorded(client):
    User.objects.create_superuser("keeper", "", "a long password")
    login = reverse("admin:login")
    client.post(login, {"username": "keeper", "password": "wrong"})
    client.post(login, {"username": "keeper", "password": "a long password"})
    client.post(reverse("admin:logout"))
    rows = AuditRecord.objects.filter(event_id="110114").order_by("id")
    assert [(row.person_user_id, row.outcome, row.remote_address) for row in rows] == [
        ("keeper", 4, "127.0.0.1"),
        ("keeper", 0, "127.0.0.1"),
        ("keeper", 0, "127.0.0.1"),
    ]
    assert [read_message(bytes(row.message)).types[0].code for row in rows] == ["110122", "110122", "110123"]


class PeopleAdmin(AuditedAdmin):
    """Django's users stand in for a model with patients."""

    list_display = ("username",)
    search_fields = ("username",)

    def subjects_of(self, row):
        return (Subject(Identifier(row.username, AssigningAuthority("1.2.3")), f"regional-{row.username}"),)


@pytest.fixture
def people(rf):
    """Ask a view of an audited admin as its operator: ``people("changelist_view", "/", method="post", ...)``."""
    operator = User.objects.create_superuser("keeper", "", "a long password")
    User.objects.create_user("patient")
    people_admin = PeopleAdmin(User, admin.site)

    def ask(view, *args, method="get", **fields):
        request = getattr(rf, method)("/admin/people/", fields)
        request.user = operator
        request.resolver_match = None
        request.session = {}
        request._messages = FallbackStorage(request)
        request._dont_enforce_csrf_checks = True
        return getattr(people_admin, view)(request, *args)

    return ask


def test_every_patient_on_a_list_gets_a_record(people):
    people("changelist_view", q="")
    kept = AuditRecord.objects.order_by("patient_regional_id")
    assert [(row.event_id, row.action, row.patient_regional_id) for row in kept] == [
        ("110112", "E", "regional-keeper"),
        ("110112", "E", "regional-patient"),
    ]


def test_one_row_looked_at_and_one_changed(people):
    patient = User.objects.get(username="patient")
    assert people("changeform_view", str(patient.pk)).status_code == 200
    assert people("history_view", str(patient.pk)).status_code == 200
    assert people("delete_view", str(patient.pk)).status_code == 200
    assert people("delete_view", str(patient.pk), method="post", post="yes").status_code == 302
    kept = AuditRecord.objects.order_by("id").values_list("event_id", "action", "patient_regional_id")
    assert list(kept) == [("110110", action, "regional-patient") for action in "RRRD"]


def test_a_change_that_cannot_be_recorded_is_undone(people, monkeypatch):
    def full(*_):
        raise DatabaseError("disk full")

    monkeypatch.setattr(repository, "_insert", full)
    patient = User.objects.get(username="patient")
    assert people("delete_view", str(patient.pk), method="post", post="yes").status_code == 503
    assert User.objects.filter(username="patient").exists()


def test_application_activity_is_recorded():
    record_activity(start=True)
    record_activity(start=False)
    kept = [read_message(bytes(row.message)) for row in AuditRecord.objects.order_by("id")]
    assert [(each.event_id.code, each.types[0].code) for each in kept] == [("110100", "110120"), ("110100", "110121")]
    assert datetime.now(UTC) - kept[0].occurred_at < timedelta(minutes=1)
