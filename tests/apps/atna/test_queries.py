"""Searching the audit log: what is found, by which index; and the figures of the day."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.atna.models import AuditRecord
from apps.atna.queries import of_message, of_patient, overview, search
from apps.atna.recorder import record
from apps.network.models import AssigningAuthority, Facility
from hie.values.access import Subject
from hie.values.times import JST
from tests.apps.atna.samples import CALLER, OTHER, SUBJECT, trail

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 5, 10, 12, 0, tzinfo=JST)


def kept(family, at=NOW, outcome=0, facility="1310000001", subject=None):
    caller = replace(CALLER, node=replace(CALLER.node, facility_code=facility)) if facility else None
    made, entries = trail(family, caller)
    made.started_at = at
    entries = tuple(
        replace(each, outcome=outcome, subjects=(subject,) if subject else each.subjects) for each in entries
    )
    record(made, entries)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, 3),
        ({"patient": SUBJECT.regional_id}, 2),
        ({"patient": "000111^^^HOSP&1.2.392.1&ISO"}, 2),
        ({"patient": "000111^^^OTHER&1.2.392.9&ISO"}, 0),
        ({"facility": "1310000002"}, 1),
        ({"since": NOW, "until": NOW + timedelta(seconds=1)}, 2),
        ({"until": NOW}, 1),
        ({"since": NOW + timedelta(seconds=1)}, 0),
        ({"transaction": "ITI-42"}, 1),
        ({"event_id": "110112"}, 2),
        ({"outcome": 8}, 1),
        ({"outcome": 0}, 2),
        ({"transaction": "ITI-18", "outcome": 8, "facility": "1310000002"}, 1),
    ],
)
def test_search(asked, found):
    kept("ITI-18")
    kept("ITI-42", at=NOW - timedelta(days=1))
    kept("ITI-18", outcome=8, facility="1310000002", subject=OTHER)
    assert search(**asked).count() == found


def test_a_chart_number_alone_finds_the_person_under_every_number():
    Facility.objects.create(code="1310000001", name="A", kind="hospital", patient_id_oid="1.2.392.1")
    AssigningAuthority.objects.get_or_create(oid="1.2.392.1", defaults={"namespace": "HOSP"})
    kept("ITI-18")
    kept("ITI-18", subject=replace(OTHER, regional_id=SUBJECT.regional_id))
    kept("ITI-18", subject=OTHER)
    kept("ITI-9", outcome=4, subject=Subject(SUBJECT.identifier))
    assert search(patient="000111").count() == 3


plans_on_sqlite = pytest.mark.skipif(
    connection.vendor != "sqlite", reason="an empty PostgreSQL table is scanned whatever the index"
)

INDEXED = {
    "atna_patient": {"patient": "0" * 32},
    "atna_facility": {"facility": "1310000001", "since": NOW},
    "atna_transaction": {"transaction": "ITI-18", "since": NOW},
    "atna_outcome": {"outcome": 8, "since": NOW},
    "atna_time": {"since": NOW, "until": NOW + timedelta(hours=1)},
}


@plans_on_sqlite
@pytest.mark.parametrize("index", INDEXED)
def test_each_search_is_a_range_of_an_index(index):
    plan = search(**INDEXED[index]).order_by().explain()
    assert index in plan, plan
    assert "SCAN atna_auditrecord" not in plan, plan


def test_the_number_of_a_message_finds_all_its_records_and_no_other():
    kept("ITI-8 merge")
    kept("ITI-18")
    merged = AuditRecord.objects.filter(transaction="ITI-8").first()
    assert merged.trail_uuid < merged.pk
    found = AuditRecord.objects.filter(of_message(merged.trail_uuid))
    assert {row.trail_uuid for row in found} == {merged.trail_uuid}
    assert found.count() == 2
    assert list(AuditRecord.objects.filter(of_message(merged.pk))) == [merged]
    if connection.vendor == "sqlite":
        plan = found.order_by().explain()
        assert "SCAN atna_auditrecord" not in plan, plan


@plans_on_sqlite
def test_a_number_as_sent_is_looked_up_by_its_index():
    with CaptureQueriesContext(connection) as queries:
        list(AuditRecord.objects.filter(of_patient("000111")))
    plans = []
    with connection.cursor() as cursor:
        for query in queries:
            if "atna_auditrecord" in query["sql"]:
                cursor.execute(f"EXPLAIN QUERY PLAN {query['sql']}")
                plans.append(" ".join(row[3] for row in cursor.fetchall()))
    assert len(plans) == 2
    assert all("atna_identifier" in plan for plan in plans), plans


@plans_on_sqlite
def test_the_figures_of_the_day_are_ranges_of_the_partial_indexes():
    with CaptureQueriesContext(connection) as queries:
        overview(NOW)
    plans = []
    with connection.cursor() as cursor:
        for query in queries:
            cursor.execute(f"EXPLAIN QUERY PLAN {query['sql']}")
            plans.append(" ".join(row[3] for row in cursor.fetchall()))
    failures, feeds = plans
    assert "atna_outcome" in failures
    assert "atna_feed" in feeds


@plans_on_sqlite
def test_the_figures_of_the_day():
    for code in ("1310000001", "1310000002"):
        Facility.objects.create(code=code, name=code, kind="hospital", patient_id_oid=f"1.2.{code}")
    kept("ITI-8 register", at=NOW - timedelta(days=3))
    kept("ITI-8 register", at=NOW - timedelta(days=1), outcome=8)
    kept("ITI-18", outcome=8)
    kept("ITI-18", outcome=4)
    kept("ITI-18", outcome=12)
    kept("ITI-18", outcome=12, at=NOW.replace(hour=0, minute=0) - timedelta(seconds=1))
    kept("ITI-18", outcome=8, facility="")
    with CaptureQueriesContext(connection) as queries:
        unknown, first, second = overview(NOW)
    assert len(queries) == 2
    assert (unknown.facility_code, unknown.refused) == ("", 1)
    assert (first.refused, first.failed) == (2, 1)
    assert first.last_feed == (NOW - timedelta(days=3)).astimezone(UTC)
    assert (second.refused, second.failed, second.last_feed) == (0, 0, None)
