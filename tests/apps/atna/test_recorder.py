"""The recorder: one row for each entry and patient, one INSERT, valid DICOM, and no answer without a record."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from lxml import etree

from apps.atna.models import AuditRecord
from apps.atna.recorder import record
from hie.exchange.audit import AuditEntry
from hie.exchange.connection import Connection
from hie.exchange.trail import Trail
from hie.values.access import Caller, PurposeOfUse, Subject
from hie.values.identifiers import AssigningAuthority, Identifier
from hie.wire.atna.audit_message import read_message
from tests.apps.atna.samples import ENDPOINT, FAMILIES, NODE, OTHER, SUBJECT, trail
from tests.conformance import CONFORMANCE, needs_conformance

pytestmark = pytest.mark.django_db


@needs_conformance
@pytest.mark.parametrize("family", FAMILIES)
def test_records_are_valid_by_schema(family):
    schema = etree.XMLSchema(file=str(CONFORMANCE / "schema" / "atna" / "atna2.xsd"))
    record(*trail(family))
    rows = AuditRecord.objects.all()
    assert rows
    for row in rows:
        schema.assertValid(etree.fromstring(bytes(row.message)))


@pytest.mark.parametrize(
    ("family", "rows"),
    [
        ("ITI-8 register", [("C", 0, SUBJECT)]),
        ("ITI-8 merge", [("D", 0, OTHER), ("U", 0, SUBJECT)]),
        ("ITI-9", [("E", 0, SUBJECT)]),
        ("ITI-18", [("E", 0, SUBJECT)]),
        ("ITI-42", [("C", 0, SUBJECT)]),
        ("ITI-43", [("R", 0, SUBJECT), ("R", 4, None)]),
    ],
)
def test_one_row_for_each_entry_and_subject(family, rows):
    made, entries = trail(family)
    with CaptureQueriesContext(connection) as queries:
        record(made, entries)
    assert len(queries) == 1
    kept = [(row.action, row.outcome, row.patient_regional_id) for row in AuditRecord.objects.order_by("id")]
    assert kept == [(action, outcome, subject.regional_id if subject else "") for action, outcome, subject in rows]
    row = AuditRecord.objects.order_by("id").first()
    assert row.trail_uuid == uuid.UUID(made.record_id)
    assert (row.caller_name, row.facility_code, row.person_user_id) == ("hospital-a", "1310000001", "doctor7")
    assert row.transaction == made.transaction.number
    assert row.purpose == "TREAT"
    assert row.occurred_at == made.started_at


def test_many_subjects_are_one_row_each():
    made, entries = trail("ITI-18")
    subjects = tuple(Subject(Identifier(str(n), AssigningAuthority("1.2")), f"{n:032}") for n in range(150))
    record(made, (replace(entries[0], subjects=subjects),))
    assert AuditRecord.objects.count() == 150
    assert AuditRecord.objects.values("id").distinct().count() == 150


def test_source_and_destination_of_a_v2_query():
    record(*trail("ITI-9"))
    source, destination, human = _message().participants
    assert (source.user_id, source.requestor, source.roles[0].code) == ("HOSP|EHR", True, "110153")
    assert (source.access_point, source.access_point_type) == ("192.0.2.7", 2)
    assert (destination.user_id, destination.requestor, destination.roles[0].code) == ("HIE|PIX", False, "110152")
    assert destination.alternative_user_id.isdigit()
    assert (destination.access_point, destination.access_point_type) == ("hie.example.jp", 1)
    assert (human.user_id, human.user_name) == ("doctor7", "dr<doctor7@https://idp.example.jp>")
    assert human.roles[0].code == "doctor"


def test_the_repository_is_the_source_of_a_retrieve():
    record(*trail("ITI-43"))
    source, destination, _human = _message().participants
    assert (source.user_id, source.requestor, source.roles[0].code) == (ENDPOINT, False, "110153")
    assert (destination.user_id, destination.requestor, destination.roles[0].code) == ("hospital-a", True, "110152")
    assert [each.role for each in _message().objects] == [3]


def test_the_patient_and_the_query():
    record(*trail("ITI-18"))
    patient, query = _message().objects
    assert (patient.object_id, patient.type_code, patient.role) == ("000111^^^HOSP&1.2.392.1&ISO", 1, 1)
    assert (query.type_code, query.role, query.id_type.code) == (2, 24, "ITI-18")
    assert query.query.startswith(b"<query:AdhocQueryRequest")
    assert query.details == (("QueryEncoding", b"UTF-8"),)


def test_purpose_and_reason_of_an_emergency_are_kept():
    caller = Caller(NODE, purpose=PurposeOfUse.BREAK_GLASS, reason="意識不明で搬送")
    record(*trail("ITI-18", caller))
    assert _message().purposes[0].code == "BTG"
    assert "意識不明で搬送" in _message().description
    assert AuditRecord.objects.get().description == "意識不明で搬送"


def test_a_message_that_no_transaction_took_is_a_security_alert():
    record(Trail(None, Connection("mllp", remote="192.0.2.9", claimed_name="X|Y")), (AuditEntry("E", outcome=8),))
    message = _message()
    assert (message.event_id.code, message.types[0].code, message.outcome) == ("110113", "110126", 8)
    assert AuditRecord.objects.get().caller_name == "X|Y"


@pytest.mark.parametrize(
    "hostile", ["a\x00b", "a\nforged line", "\ud800", "‮gnp.exe", '"/><x a="', "&amp;", "x" * 100_000, "\x1b[2J", ""]
)
def test_no_sender_can_keep_a_record_from_being_kept(hostile):
    made, _ = trail("ITI-9")
    made.connection = replace(made.connection, claimed_name=hostile, remote=hostile)
    made.caller = None
    subject = Subject(Identifier(hostile, AssigningAuthority("1.2")))
    record(made, (AuditEntry("E", (subject,), outcome=8, description=hostile, patient_details=(("MSH-10", hostile),)),))
    row = AuditRecord.objects.get()
    assert not set("\x00\n\x1b‮") & set(row.patient_identifier + row.description + row.caller_name)
    assert read_message(bytes(row.message)).outcome == 8


def test_the_record_falls_with_the_work_it_belongs_to():
    with transaction.atomic():
        record(*trail("ITI-42"))
        transaction.set_rollback(True)
    assert not AuditRecord.objects.exists()


def test_where_no_record_can_be_kept_the_error_propagates(monkeypatch):
    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("apps.atna.repository._insert", full)
    with pytest.raises(OSError, match="no space"):
        record(*trail("ITI-18"))


def _message():
    return read_message(bytes(AuditRecord.objects.order_by("id").first().message))
