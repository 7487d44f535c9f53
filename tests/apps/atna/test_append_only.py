"""Audit records cannot be changed or removed through the database (decision 0020)."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, connection, transaction

from apps.atna.models import AuditRecord
from apps.atna.recorder import record
from tests.apps.atna.samples import trail

STATEMENTS = [
    "UPDATE atna_auditrecord SET outcome = 0",
    "UPDATE atna_auditrecord SET message = message WHERE id = (SELECT id FROM atna_auditrecord LIMIT 1)",
    "DELETE FROM atna_auditrecord",
    "DELETE FROM atna_auditrecord WHERE id = (SELECT id FROM atna_auditrecord LIMIT 1)",
]
BY_VENDOR = {
    "sqlite": [
        "INSERT OR REPLACE INTO atna_auditrecord SELECT * FROM atna_auditrecord",
        "REPLACE INTO atna_auditrecord SELECT * FROM atna_auditrecord",
        "UPDATE OR IGNORE atna_auditrecord SET outcome = 12",
    ],
    "postgresql": [
        "TRUNCATE atna_auditrecord",
        "TRUNCATE atna_auditrecord RESTART IDENTITY CASCADE",
        "SET LOCAL session_replication_role = replica; DELETE FROM atna_auditrecord",
        "INSERT INTO atna_auditrecord SELECT * FROM atna_auditrecord ON CONFLICT (id) DO UPDATE SET outcome = 12",
    ],
}


@pytest.mark.django_db
def test_the_database_refuses_every_change():
    record(*trail("ITI-8 merge"))
    before = list(AuditRecord.objects.order_by("id").values_list("id", "outcome"))
    for statement in STATEMENTS + BY_VENDOR[connection.vendor]:
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
        assert list(AuditRecord.objects.order_by("id").values_list("id", "outcome")) == before, statement


@pytest.mark.django_db
@pytest.mark.parametrize("change", ["update", "delete", "save"])
def test_the_orm_is_refused_too(change):
    record(*trail("ITI-18"))
    row = AuditRecord.objects.get()
    changes = {
        "update": lambda: AuditRecord.objects.update(outcome=0),
        "delete": lambda: AuditRecord.objects.all().delete(),
        "save": row.save,
    }
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        changes[change]()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("turn", [1, 2])
def test_a_transactional_test_starts_empty_and_keeps_the_promise(turn):
    assert not AuditRecord.objects.exists()
    record(*trail("ITI-18"))
    with pytest.raises(DatabaseError, match="append-only"):
        AuditRecord.objects.all().delete()
