"""What subscribers are told, by whatever way an event came, and what of it is still told when the message leaves."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from apps.ids.services import issue_provisional_id
from apps.network.models import Node as System
from apps.pix.models import Person, persons_joined, records_moved
from apps.xds import models, outbox, services
from apps.xds.models import shard_key_of
from apps.xds.services import IndexedDocument, index_documents, register, unsubscribe, update
from apps.xds.services.moving import move_patient, move_records
from apps.xds.services.telling import event_of, tell
from hie.exchange.remembered import forget_all
from hie.transport.soap_client import CallError
from hie.values.access import Rule
from hie.values.documents import HAS_MEMBER, Association
from hie.values.errors import ExchangeError
from hie.values.identifiers import AssigningAuthority, Identifier, new_uuid_urn
from hie.values.subscriptions import (
    FOLDER_METADATA,
    FULL_DOCUMENT_ENTRY,
    MINIMAL_DOCUMENT_ENTRY,
    SUBMISSION_SET_METADATA,
    Publication,
    Unsubscription,
)
from hie.wire.ebxml.fragments import read_fragment
from tests.apps.xds.samples import FACILITY, cx, entry, folder, known_patient, query, submission
from tests.apps.xds.test_subscriptions import (
    ALL_ENTRIES,
    CALLER,
    FOLDERS,
    SETS,
    A,
    B,
    Consumer,
    _open_gate,
    _the_clinic,
    consumer,
    keep,
    of_entries,
    rules,
    submitted,
    wanted,
)
from tests.apps.xds.test_updating import asked, version

__all__ = ["_open_gate", "_the_clinic", "consumer"]

pytestmark = pytest.mark.django_db


def told(consumer: Consumer) -> list[tuple[str, ...]]:
    """The UUIDs of each message that a subscriber of the topic ihe:MinimalDocumentEntry has got since."""
    while services.deliver_due():
        pass
    found = [each.object_refs for each in consumer.told()]
    consumer.bodies.clear()
    return found


def to(consumer: Consumer, patient: str, topic: str = MINIMAL_DOCUMENT_ENTRY, **parameters: Any) -> str:
    return keep(wanted(consumer, topic, of_entries(patient, **parameters)), patient)


def indexed(patient: str, **changes: Any) -> IndexedDocument:
    each = entry(patient, entry_uuid=new_uuid_urn(), repository_unique_id="", **changes)
    return IndexedDocument(each, f"ssmix:1/{each.unique_id}", hashlib.sha256(each.unique_id.encode()).hexdigest())


def index(*documents: IndexedDocument) -> None:
    index_documents(documents, facility_code=FACILITY, source_id="1.2.3")


# By whatever way -----------------------------------------------------------------------------------------------------


def test_documents_that_a_storage_holds(patient: str, consumer: Consumer) -> None:
    to(consumer, patient, ClassCode=["A^^1.2.3"])
    to(consumer, patient, topic=FULL_DOCUMENT_ENTRY)
    other = known_patient()
    one, two = indexed(patient, class_code=A), indexed(patient, class_code=B)
    index(one, two, indexed(other, class_code=A))
    while services.deliver_due():
        pass
    minimal, full = sorted(consumer.told(), key=lambda each: each.topic, reverse=True)
    assert minimal.object_refs == (one.entry.entry_uuid,)
    assert len(full.fragments) == 2


def test_what_a_storage_holds_of_a_version_that_was_replaced_already_is_not_told(
    patient: str, consumer: Consumer
) -> None:
    to(consumer, patient)
    first = indexed(patient)
    second = replace(indexed(patient), replaces=first.entry.entry_uuid)
    index(first, second)
    assert told(consumer) == [(second.entry.entry_uuid,)]


def test_a_new_version_of_an_entry(patient: str, consumer: Consumer) -> None:
    """ITI TF-2: 3.54.4.1.1: events are the publication of a DocumentEntry or an update to it."""
    (uuid,) = submitted(patient, B)
    to(consumer, patient, ClassCode=["A^^1.2.3"])
    keep(wanted(consumer, SUBMISSION_SET_METADATA, query(SETS, XDSSubmissionSetPatientId=cx(patient))), patient)
    before = read_fragment(bytes(models.DocumentEntry.objects.get(entry_uuid=uuid).fragment))
    update(asked(patient, version(before, class_code=A)), facility_code=FACILITY)
    while services.deliver_due():
        pass
    minimal, of_set = sorted(consumer.told(), key=lambda each: each.topic)
    assert minimal.object_refs == (models.DocumentEntry.objects.get(version=2).entry_uuid,)
    assert len(of_set.fragments) == 1


def test_a_folder_that_takes_in_a_document(patient: str, consumer: Consumer) -> None:
    its_folder = folder(patient, entry_uuid=new_uuid_urn())
    register(submission(patient, folders=(its_folder,)), facility_code=FACILITY)
    keep(wanted(consumer, FOLDER_METADATA, query(FOLDERS, XDSFolderPatientId=cx(patient))), patient)
    each = submission(patient, entry(patient, entry_uuid=new_uuid_urn()))
    (document,) = each.document_entries
    member = Association(new_uuid_urn(), HAS_MEMBER, its_folder.entry_uuid, document.entry_uuid)
    of_set = Association(new_uuid_urn(), HAS_MEMBER, each.submission_sets[0].entry_uuid, member.entry_uuid)
    register(replace(each, associations=(*each.associations, member, of_set)), facility_code=FACILITY)
    assert services.deliver_due() == 1
    ((fragment,),) = (message.fragments for message in consumer.told())
    assert its_folder.entry_uuid.encode() in fragment


def test_many_objects_of_one_event_come_in_several_messages(patient: str, consumer: Consumer, settings: Any) -> None:
    settings.MAX_RESULTS = 2
    to(consumer, patient)
    uuids = submitted(patient, *[A] * 5)
    found = told(consumer)
    assert [len(each) for each in found] == [2, 2, 1]
    assert {uuid for each in found for uuid in each} == set(uuids)


def test_one_statement_where_nobody_has_subscribed(patient: str, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        assert tell({patient: event_of([entry(patient)]), "SOMEBODY": event_of([entry(patient)])}) == 0


# Under another patient -----------------------------------------------------------------------------------------------


def test_a_merge_tells_each_side_what_the_other_had(patient: str, consumer: Consumer) -> None:
    surviving = known_patient()
    (ours,), (theirs,) = submitted(patient, A), submitted(surviving, A)
    of_subsumed, of_surviving = to(consumer, patient), to(consumer, surviving)
    keep(wanted(consumer, MINIMAL_DOCUMENT_ENTRY, query(ALL_ENTRIES, XDSDocumentEntryClassCode=["A^^1.2.3"])))
    move_patient(subsumed=patient, surviving=surviving)
    while services.deliver_due():
        pass
    assert {(each.subscription, each.object_refs) for each in consumer.told()} == {
        (of_surviving, (ours,)),
        (of_subsumed, (theirs,)),
    }


def test_a_new_regional_id_is_no_event(patient: str, consumer: Consumer) -> None:
    submitted(patient, A)
    to(consumer, patient)
    successor = known_patient()
    move_patient(subsumed=patient, surviving=successor)
    assert told(consumer) == []
    (uuid,) = submitted(successor, A)
    assert told(consumer) == [(uuid,)]


def test_what_lay_under_a_provisional_id_is_new_to_everybody(consumer: Consumer) -> None:
    provisional = issue_provisional_id()
    Person.objects.create(regional_id=provisional)
    real = known_patient()
    document = indexed(provisional, class_code=A)
    index(document)
    uuid = document.entry.entry_uuid
    to(consumer, real)
    keep(wanted(consumer, MINIMAL_DOCUMENT_ENTRY, query(ALL_ENTRIES, XDSDocumentEntryClassCode=["A^^1.2.3"])))
    move_patient(subsumed=provisional, surviving=real)
    assert told(consumer) == [(uuid,), (uuid,)]


def test_documents_that_go_with_their_chart(patient: str, consumer: Consumer) -> None:
    (uuid,) = submitted(patient, A)
    other = known_patient()
    to(consumer, other)
    to(consumer, patient)
    chart = Identifier("000111", AssigningAuthority("1.2.392.77"))
    assert move_records(identifiers=[chart], previous=patient, current=other) == 1
    assert told(consumer) == [(uuid,)]


def test_wishes_have_followed_when_subscribers_are_told() -> None:
    """What a patient has closed may not be told in the moment in which the wish is still on its way."""
    for signal in (persons_joined, records_moved):
        names = [receiver[0][0] for receiver in signal.receivers]
        assert names.index("consent") < names.index("xds")


# When the message leaves ---------------------------------------------------------------------------------------------


def test_what_is_closed_meanwhile_is_not_told(patient: str, consumer: Consumer) -> None:
    to(consumer, patient)
    first, _ = submitted(patient, A, B)
    rules.append(Rule(False, kinds=frozenset({"B"})))
    assert told(consumer) == [(first,)]
    rules.clear()
    submitted(patient, B)
    rules.append(Rule(False, kinds=frozenset({"B"})))
    assert told(consumer) == []
    assert not models.Outgoing.objects.exists()


def test_what_goes_to_another_patient_meanwhile_is_not_told(patient: str, consumer: Consumer) -> None:
    to(consumer, patient, topic=FULL_DOCUMENT_ENTRY)
    submitted(patient, A)
    chart = Identifier("000111", AssigningAuthority("1.2.392.77"))
    move_records(identifiers=[chart], previous=patient, current=known_patient())
    assert told(consumer) == []


def test_what_is_merged_meanwhile_is_told_under_the_id_that_stays(patient: str, consumer: Consumer) -> None:
    to(consumer, patient, topic=FULL_DOCUMENT_ENTRY)
    submitted(patient, A)
    surviving = known_patient()
    move_patient(subsumed=patient, surviving=surviving)
    assert services.deliver_due() == 1
    ((fragment,),) = (each.fragments for each in consumer.told())
    assert surviving.encode() in fragment
    assert patient.encode() not in fragment


def test_a_system_that_may_not_find_any_more_is_told_nothing(patient: str, consumer: Consumer) -> None:
    to(consumer, patient)
    submitted(patient, A)
    System.objects.filter(name="clinic").update(may_find=False)
    forget_all()
    assert told(consumer) == []
    submitted(patient, A)
    assert not models.Outgoing.objects.exists()


@pytest.mark.parametrize("how", ["switched off", "address withdrawn"])
def test_nobody_is_called_who_is_switched_off_or_has_withdrawn_the_address(
    patient: str, consumer: Consumer, how: str
) -> None:
    to(consumer, patient)
    submitted(patient, A)
    if how == "switched off":
        System.objects.filter(name="clinic").update(enabled=False)
    else:
        models.Endpoint.objects.all().delete()
    forget_all()
    assert told(consumer) == []
    row = models.Outgoing.objects.get()
    assert (row.attempts, row.last_failure) == (1, "NotCalledError")


def test_a_subscription_that_an_administrator_ended(patient: str, consumer: Consumer) -> None:
    to(consumer, patient)
    submitted(patient, A)
    models.Subscription.objects.all().delete()
    assert told(consumer) == []
    assert not models.Outgoing.objects.exists()


def test_the_end_by_time_is_an_end(patient: str, consumer: Consumer) -> None:
    reference = to(consumer, patient)
    models.Subscription.objects.update(ends_at=datetime.now(UTC) - timedelta(seconds=1))
    with pytest.raises(ExchangeError):
        unsubscribe(Unsubscription(reference), caller=CALLER)
    assert services.forget_ended() == 0
    models.Subscription.objects.update(ends_at=datetime.now(UTC) - timedelta(days=8))
    assert services.forget_ended() > 0


# The outbox ----------------------------------------------------------------------------------------------------------


def test_a_silent_address_is_asked_once_in_a_round_and_comes_last(
    patient: str, consumer: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = "http://127.0.0.1:9/silent"
    models.Endpoint.objects.create(node_name="clinic", url=silent)
    asked_of: list[str] = []

    def send(row: models.Outgoing, leased: Any) -> None:
        asked_of.append(row.url)
        if row.url == silent:
            raise CallError("nobody there")

    monkeypatch.setattr(outbox, "_send", send)
    for number in range(3):
        outbox.put(lane=f"answer {number}", url=silent, envelope=b"<e/>")
    outbox.put(lane="answer 3", url=consumer.url, envelope=b"<e/>")
    assert services.deliver_due() == 1
    assert asked_of == [silent, consumer.url]
    models.Outgoing.objects.update(due_at=datetime.now(UTC), attempts=1)
    outbox.put(lane="answer 4", url=consumer.url, envelope=b"<e/>")
    asked_of.clear()
    assert services.deliver_due() == 1
    assert asked_of == [consumer.url, silent]


def test_a_round_ends_in_time(consumer: Consumer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "ROUND_SECONDS", -1.0)
    outbox.put(lane="answer", url=consumer.url, envelope=b"<e/>")
    assert services.deliver_due() == 0
    assert models.Outgoing.objects.get().attempts == 0


def test_a_message_that_cannot_be_sent_does_not_stop_the_others(
    consumer: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []

    def send(row: models.Outgoing, leased: Any) -> None:
        if row.lane == "answer 0":
            raise TypeError("broken")
        sent.append(row.lane)

    monkeypatch.setattr(outbox, "_send", send)
    outbox.put(lane="answer 0", url="http://127.0.0.1:9/", envelope=b"<e/>")
    outbox.put(lane="answer 1", url=consumer.url, envelope=b"<e/>")
    assert services.deliver_due() == 1
    assert sent == ["answer 1"]
    assert models.Outgoing.objects.get().last_failure == "TypeError"


def test_a_message_that_goes_while_it_is_sent_is_not_put_off(
    patient: str, consumer: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = to(consumer, patient)
    submitted(patient, A)

    def send(row: models.Outgoing, leased: Any) -> None:
        unsubscribe(Unsubscription(reference), caller=CALLER)
        raise CallError("refused", 500)

    monkeypatch.setattr(outbox, "_send", send)
    assert services.deliver_due() == 0
    assert not models.Outgoing.objects.exists()


def test_a_large_answer_has_a_longer_lease() -> None:
    row = models.Outgoing(attachments=[["1@x", "/nowhere", 2 * 1024**3, "x/y"]])
    assert outbox._lease(row) > timedelta(hours=2)


def test_what_is_published_leaves_as_it_came(patient: str, consumer: Consumer) -> None:
    to(consumer, patient)
    services.publish(Publication(submission(patient, entry(patient, class_code=A))), facility_code=FACILITY)
    assert len(told(consumer)) == 1
    assert not models.DocumentEntry.objects.filter(shard_key=shard_key_of(patient)).exists()
