"""Subscriptions: who is told what, what the outbox does with it, and how a subscription ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from apps.atna.models import AuditRecord
from apps.network.models import Facility as Member
from apps.network.models import Node as System
from apps.pix.queries import subjects_of
from apps.xds import models, outbox, services
from apps.xds.services import publish, register, subscribe, unsubscribe
from apps.xds.services.moving import move_patient
from hie.values.access import Access, Caller, Decision, Node, Permit, Rule
from hie.values.codes import Code
from hie.values.documents import StoredQuery
from hie.values.errors import ExchangeError, Finding, Reason
from hie.values.identifiers import Identifier
from hie.values.subscriptions import (
    FOLDER_METADATA,
    FULL_DOCUMENT_ENTRY,
    MINIMAL_DOCUMENT_ENTRY,
    SUBMISSION_SET_METADATA,
    Duration,
    Publication,
    Subscription,
    Unsubscription,
)
from hie.wire.soap.envelope import Attachment, read_envelope
from hie.wire.wsnt import notify
from tests.apps.xds.samples import FACILITY, cx, entry, folder, known_patient, query, submission

pytestmark = pytest.mark.django_db

ENTRIES, ALL_ENTRIES = "urn:uuid:aa2332d0-f8fe-11e0-be50-0800200c9a66", "urn:uuid:742790e0-aba6-43d6-9f1f-e43ed9790b79"
SETS, FOLDERS = "urn:uuid:fbede94e-dbdc-4f6b-bc1f-d730e677cece", "urn:uuid:9376254e-da05-41f5-9af3-ac56d63d8ebd"
CALLER = Caller(Node("clinic", "1310000009", accesses=frozenset(Access)))
A, B = Code("A", "1.2.3"), Code("B", "1.2.3")


@dataclass
class Consumer:
    """Another system that takes messages; status: what it answers."""

    url: str = ""
    status: int = 202
    bodies: list[bytes] = field(default_factory=list)

    def told(self) -> list[Any]:
        return [notify.read_request(read_envelope(each)) for each in self.bodies]


@pytest.fixture
def consumer() -> Iterator[Consumer]:
    found = Consumer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if found.status == 202:
                found.bodies.append(body)
            self.send_response(found.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_port}/notify"
    models.Endpoint.objects.create(node_name="clinic", url=found.url)
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


rules: list[Rule] = []


def gate(caller: Caller, access: Access, subjects: Any) -> Permit:
    ids = tuple(each.regional_id for each in subjects)
    return Permit(caller, access, ids, {each: Decision(True, tuple(rules)) for each in ids})


@pytest.fixture(autouse=True)
def _open_gate(settings: Any) -> None:
    rules.clear()
    settings.EXCHANGE = settings.EXCHANGE | {"gate": f"{__name__}.gate"}


@pytest.fixture(autouse=True)
def _the_clinic(db: None) -> None:
    a_clinic()


def a_clinic() -> None:
    """The system that subscribes, as the network knows it."""
    facility = Member.objects.create(code="1310000009", name="駅前診療所", patient_id_oid="1.2.392.9.1")
    System.objects.create(name="clinic", facility=facility, may_find=True)


def wanted(consumer: Consumer, topic: str, asked: StoredQuery, **more: Any) -> Subscription:
    return Subscription(consumer.url, topic, asked, **more)


def keep(each: Subscription, *patients: str) -> str:
    identifiers = [Identifier.from_cx(cx(patient)) for patient in patients]
    return subscribe(each, caller=CALLER, subjects=subjects_of(identifiers)).reference


def of_entries(patient: str, **parameters: Any) -> StoredQuery:
    named = {f"XDSDocumentEntry{name}": value for name, value in parameters.items()}
    return query(ENTRIES, XDSDocumentEntryPatientId=cx(patient), **named)


def submitted(patient: str, *codes: Code) -> list[str]:
    from hie.values.identifiers import new_uuid_urn

    entries = [entry(patient, entry_uuid=new_uuid_urn(), class_code=code) for code in codes]
    its_folder = folder(patient, entry_uuid=new_uuid_urn())
    register(submission(patient, *entries, folders=(its_folder,)), facility_code=FACILITY)
    return [each.entry_uuid for each in entries]


def test_full_entries_that_match_and_nothing_else(patient: str, consumer: Consumer) -> None:
    reference = keep(wanted(consumer, FULL_DOCUMENT_ENTRY, of_entries(patient, ClassCode=["A^^1.2.3"])), patient)
    first, _ = submitted(patient, A, B)
    submitted(patient, B)
    submitted(known_patient(), A)
    assert services.deliver_due() == 1
    (told,) = consumer.told()
    assert (told.topic, told.subscription) == (FULL_DOCUMENT_ENTRY, reference)
    (fragment,) = told.fragments
    assert first.encode() in fragment
    assert not models.Outgoing.objects.exists()
    record = AuditRecord.objects.latest("id")
    assert (record.event_id, record.action, record.patient_regional_id) == ("110106", "R", patient)
    assert first.encode() in bytes(record.message)


def test_minimal_sets_and_folders(patient: str, consumer: Consumer) -> None:
    keep(wanted(consumer, MINIMAL_DOCUMENT_ENTRY, of_entries(patient)), patient)
    keep(wanted(consumer, SUBMISSION_SET_METADATA, query(SETS, XDSSubmissionSetPatientId=cx(patient))), patient)
    keep(wanted(consumer, FOLDER_METADATA, query(FOLDERS, XDSFolderPatientId=cx(patient))), patient)
    uuids = submitted(patient, A, B)
    assert services.deliver_due() == 3
    told = {each.topic: each for each in consumer.told()}
    assert set(told[MINIMAL_DOCUMENT_ENTRY].object_refs) == set(uuids)
    assert len(told[SUBMISSION_SET_METADATA].fragments) == 1
    assert len(told[FOLDER_METADATA].fragments) == 1


def test_any_patient_as_far_as_the_gate_goes(patient: str, consumer: Consumer) -> None:
    keep(wanted(consumer, MINIMAL_DOCUMENT_ENTRY, query(ALL_ENTRIES, XDSDocumentEntryClassCode=["A^^1.2.3"])))
    (first,) = submitted(patient, A)
    assert services.deliver_due() == 1
    rules.append(Rule(False, kinds=frozenset({"A"})))
    submitted(known_patient(), A)
    assert services.deliver_due() == 0
    assert [each.object_refs for each in consumer.told()] == [(first,)]


def test_in_their_order_and_again_until_they_are_taken(patient: str, consumer: Consumer) -> None:
    keep(wanted(consumer, MINIMAL_DOCUMENT_ENTRY, of_entries(patient)), patient)
    sent = [submitted(patient, A)[0] for _ in range(3)]
    consumer.status = 500
    assert services.deliver_due() == 0
    row = models.Outgoing.objects.earliest("id")
    assert (row.attempts, row.last_failure) == (1, "CallError 500")
    assert row.due_at > datetime.now(UTC) + timedelta(seconds=3)
    consumer.status = 202
    assert services.deliver_due() == 0, "the first has to wait, and the others wait for it"
    models.Outgoing.objects.filter(pk=row.pk).update(due_at=datetime.now(UTC))
    assert [services.deliver_due() for _ in range(4)] == [1, 1, 1, 0]
    assert [each.object_refs[0] for each in consumer.told()] == sent


def test_after_a_week_a_message_is_given_up_and_the_next_goes(patient: str, consumer: Consumer) -> None:
    keep(wanted(consumer, MINIMAL_DOCUMENT_ENTRY, of_entries(patient)), patient)
    submitted(patient, A)
    submitted(patient, A)
    first = models.Outgoing.objects.earliest("id")
    models.Outgoing.objects.filter(pk=first.pk).update(created_at=datetime.now(UTC) - timedelta(days=8))
    consumer.status = 500
    services.deliver_due()
    first.refresh_from_db()
    assert first.given_up
    assert AuditRecord.objects.latest("id").outcome == 8
    consumer.status = 202
    assert services.deliver_due() == 1


def test_the_end_of_a_subscription(patient: str, consumer: Consumer) -> None:
    reference = keep(wanted(consumer, MINIMAL_DOCUMENT_ENTRY, of_entries(patient)), patient)
    submitted(patient, A)
    with pytest.raises(ExchangeError):
        unsubscribe(Unsubscription(reference), caller=Caller(Node("other", FACILITY)))
    unsubscribe(Unsubscription(reference), caller=CALLER)
    assert not models.Outgoing.objects.exists()
    submitted(patient, A)
    assert not models.Outgoing.objects.exists()
    with pytest.raises(ExchangeError) as refusal:
        unsubscribe(Unsubscription(reference), caller=CALLER)
    assert refusal.value.reason is Reason.UNKNOWN_SUBSCRIPTION


def test_a_subscription_ends_by_itself(patient: str, consumer: Consumer) -> None:
    each = wanted(consumer, MINIMAL_DOCUMENT_ENTRY, of_entries(patient), until=Duration(exact=timedelta(days=1)))
    keep(each, patient)
    models.Subscription.objects.update(ends_at=datetime.now(UTC) - timedelta(seconds=1))
    submitted(patient, A)
    assert not models.Outgoing.objects.exists()


def test_what_is_refused(patient: str, consumer: Consumer) -> None:
    asked = of_entries(patient)
    elsewhere = Subscription("https://elsewhere.example/", FULL_DOCUMENT_ENTRY, asked)
    past = wanted(consumer, FULL_DOCUMENT_ENTRY, asked, until=datetime(2020, 1, 1, tzinfo=UTC))
    wrong = wanted(consumer, FULL_DOCUMENT_ENTRY, asked, findings=(Finding(Reason.INVALID_FILTER, "wrong"),))
    late = wanted(consumer, FULL_DOCUMENT_ENTRY, asked, until=Duration(months=12 * 9000))
    for each, who, reason in (
        (elsewhere, patient, Reason.SUBSCRIPTION_REFUSED),
        (past, patient, Reason.TERMINATION_TIME),
        (late, patient, Reason.TERMINATION_TIME),
        (wrong, patient, Reason.INVALID_FILTER),
        (wanted(consumer, FULL_DOCUMENT_ENTRY, asked), "NOBODY", Reason.SUBSCRIPTION_REFUSED),
    ):
        with pytest.raises(ExchangeError) as refusal:
            keep(each, who)
        assert refusal.value.reason is reason
    assert not models.Subscription.objects.exists()


def test_a_subscription_follows_its_patient(patient: str, consumer: Consumer) -> None:
    keep(wanted(consumer, MINIMAL_DOCUMENT_ENTRY, of_entries(patient)), patient)
    surviving = known_patient()
    move_patient(subsumed=patient, surviving=surviving)
    submitted(surviving, A)
    assert models.Outgoing.objects.count() == 1


def test_what_another_registry_publishes(patient: str, consumer: Consumer) -> None:
    keep(wanted(consumer, FULL_DOCUMENT_ENTRY, of_entries(patient, ClassCode=["A^^1.2.3"])), patient)
    for code in (A, B):
        publish(Publication(submission(patient, entry(patient, class_code=code))), facility_code=FACILITY)
    assert not models.DocumentEntry.objects.exists(), "nothing of it is kept"
    assert models.Outgoing.objects.count() == 1
    with pytest.raises(ExchangeError) as refusal:
        publish(Publication(submission("NOBODY", entry("NOBODY"))), facility_code=FACILITY)
    assert refusal.value.reason is Reason.UNKNOWN_PATIENT


def test_an_answer_that_is_wanted_elsewhere(consumer: Consumer, tmp_path: Path) -> None:
    document = tmp_path / "document"
    document.write_bytes(b"abc")
    outbox.later(consumer.url, "urn:x", b"<e/>", (Attachment("1@x", document, 3, "text/plain"),), mtom=True)
    document.unlink()
    row = models.Outgoing.objects.get()
    assert services.deliver_due() == 1
    (body,) = consumer.bodies
    assert b"<e/>" in body
    assert b"abc" in body
    assert not Path(row.attachments[0][1]).exists()
