"""Subscriptions to metadata, and what is told of an event (DSUB; ITI TF-2: 3.52.4.1.3, 3.53.4.1, 3.54.4.1.3).

A subscription matches an event where its filter, a stored query, would find one of the objects of the event. It is told
what its system may find at that moment: the gate is asked for each event, not when the subscription is made.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from django.utils.module_loading import import_string

from apps.xds.models import Outgoing, Subscription, SubscriptionPatient
from apps.xds.outbox import is_registered, put
from apps.xds.rules import subjects_of_patients
from apps.xds.services.judging import (
    UNKNOWN_PATIENT,
    completed,
    final_ids,
    objects_of,
    patient_of_submission,
)
from apps.xds.services.storing import store
from apps.xds.stored_queries import ENTRIES, FOLDERS, SETS, Asked, Row, Table, of_patient, one_of, restrict, selected
from hie.exchange.rows import fetch
from hie.values.access import Access, Caller, Node, Permit, Subject
from hie.values.documents import DocumentEntry, Folder, RegistryObject, StoredQuery, SubmissionSet
from hie.values.errors import ExchangeError, Finding, Reason
from hie.values.subscriptions import (
    FOLDER_METADATA,
    FULL_DOCUMENT_ENTRY,
    MINIMAL_DOCUMENT_ENTRY,
    SUBMISSION_SET_METADATA,
    Notification,
    Publication,
    Received,
    SubscriptionAnswer,
    Unsubscription,
    UnsubscriptionAnswer,
)
from hie.values.subscriptions import Subscription as Wanted
from hie.values.times import write_dtm
from hie.wire.soap.envelope import write_request
from hie.wire.wsnt import notify
from hie.wire.wsnt.names import NOTIFY
from hie.wire.wsnt.unsubscribe import reference, subscription_id

_TABLES: dict[str, Table] = {
    FULL_DOCUMENT_ENTRY: ENTRIES,
    MINIMAL_DOCUMENT_ENTRY: ENTRIES,
    SUBMISSION_SET_METADATA: SETS,
    FOLDER_METADATA: FOLDERS,
}
_KINDS: dict[type, Table] = {DocumentEntry: ENTRIES, SubmissionSet: SETS, Folder: FOLDERS}


def broker_url() -> str:
    """The address at which we take subscriptions and their ends."""
    return f"{settings.SOAP_URL}/broker"


@transaction.atomic
def subscribe(wanted: Wanted, *, caller: Caller, subjects: Sequence[Subject]) -> SubscriptionAnswer:
    """Keep a subscription of the caller's system. subjects: the patients whom its filter names.

    Raises ExchangeError with everything that is wrong with it.
    """
    now = datetime.now(UTC)
    findings = list(wanted.findings)
    ends_at = None
    try:
        ends_at = wanted.ends(now)
    except OverflowError:
        findings.append(Finding(Reason.TERMINATION_TIME, _TOO_LATE, "InitialTerminationTime"))
    if ends_at is not None and ends_at <= now:
        findings.append(Finding(Reason.TERMINATION_TIME, _TOO_EARLY, "InitialTerminationTime"))
    if not is_registered(caller.node.name, wanted.consumer):
        findings.append(Finding(Reason.SUBSCRIPTION_REFUSED, _NOT_REGISTERED, "ConsumerReference/Address"))
    if any(not each.regional_id for each in subjects):
        findings.append(Finding(Reason.SUBSCRIPTION_REFUSED, _UNKNOWN, "Filter/AdhocQuery"))
    if findings:
        raise ExchangeError.of(findings)
    row = Subscription.objects.create(
        reference=secrets.token_hex(16),
        node_name=caller.node.name,
        facility_code=caller.node.facility_code,
        consumer=wanted.consumer,
        consumer_parameters=[each.decode() for each in wanted.consumer_parameters],
        topic=wanted.topic,
        query_id=wanted.query.query_id,
        query={name: [list(slot) for slot in slots] for name, slots in wanted.query.parameters.items()},
        any_patient=not subjects,
        ends_at=ends_at,
    )
    SubscriptionPatient.objects.bulk_create(
        SubscriptionPatient(subscription=row, patient_id=each)
        for each in dict.fromkeys(subject.regional_id for subject in subjects)
    )
    return SubscriptionAnswer(reference(broker_url(), row.reference), now, ends_at)


_TOO_LATE = "InitialTerminationTime is beyond the year 9999; name an earlier end, or none."
_TOO_EARLY = "InitialTerminationTime has to be in the future."
_NOT_REGISTERED = "ConsumerReference/Address has to be an address that the network's administrator has registered."
_UNKNOWN = "The filter names a patient who is not known in this affinity domain."


@transaction.atomic
def unsubscribe(end: Unsubscription, *, caller: Caller) -> UnsubscriptionAnswer:
    """End a subscription of the caller's system; what was not delivered yet is dropped.

    Raises ExchangeError(UNKNOWN_SUBSCRIPTION).
    """
    row = Subscription.objects.filter(reference=subscription_id(end.reference), node_name=caller.node.name).first()
    if row is None:
        raise ExchangeError(Reason.UNKNOWN_SUBSCRIPTION, "There is no subscription of yours at this address.")
    Outgoing.objects.filter(lane=_lane(row)).delete()
    row.delete()
    return UnsubscriptionAnswer()


def patients_of_subscription(end: Unsubscription) -> tuple[str, ...]:
    """The regional ids of the patients of a subscription that shall end."""
    named = SubscriptionPatient.objects.filter(subscription__reference=subscription_id(end.reference))
    return tuple(named.values_list("patient_id", flat=True))


def tell(objects: Iterable[RegistryObject], patient_id: str) -> int:
    """Put into the outbox what subscriptions want to know of an event; returns how many messages.

    objects: what the event has stored, in this database transaction. One statement where nobody has subscribed.
    """
    messages = matching(objects, patient_id)
    for row, notification in messages:
        _put(row, notification, patient_id)
    return len(messages)


@transaction.atomic
def publish(publication: Publication, *, facility_code: str) -> Received:
    """Tell subscribers of an event that another system publishes (ITI-54); the registry keeps nothing of it.

    The objects are put into the registry for as long as it takes to ask which filters find them, and taken out again
    before anybody else could see them. Raises ExchangeError with every finding.
    """
    submission = publication.submission
    findings = [each for each in submission.findings if each.reason.value.outcome]
    if len(submission.submission_sets) != 1:
        findings.append(Finding(Reason.METADATA, "A publication holds exactly one SubmissionSet.", ""))
    patient_id = patient_of_submission(submission) if len(submission.submission_sets) == 1 else ""
    if not patient_id and not findings:
        findings.append(Finding(Reason.UNKNOWN_PATIENT, UNKNOWN_PATIENT, "patientId"))
    if findings:
        raise ExchangeError.of(findings)
    final = final_ids(submission)
    moment = write_dtm(datetime.now(UTC))
    objects = [completed(each, final, patient_id, moment) for each in objects_of(submission)]
    before = transaction.savepoint()
    try:
        store(objects, facility_code, lambda _: patient_id)
        messages = matching(objects, patient_id)
    except IntegrityError as taken:
        raise ExchangeError(Reason.DUPLICATE_ID_IN_REGISTRY, _REGISTERED, "") from taken
    finally:
        transaction.savepoint_rollback(before)
    for row, notification in messages:
        _put(row, notification, patient_id)
    return Received()


_REGISTERED = "An id of the publication is that of an object in the registry, which tells its subscribers itself."


# Every registration asks this, and most patients have no subscription.
_WANTING = (
    "SELECT s.id FROM xds_subscription s WHERE (s.any_patient OR s.id IN"
    " (SELECT p.subscription_id FROM xds_subscriptionpatient p WHERE p.patient_id = %s))"
    " AND (s.ends_at IS NULL OR s.ends_at > %s)"
)


def matching(objects: Iterable[RegistryObject], patient_id: str) -> list[tuple[Subscription, Notification]]:
    """The subscriptions that match an event, each with what it is told; the objects are in the registry."""
    keys = [key for (key,) in fetch(_WANTING, [patient_id, connection.ops.adapt_datetimefield_value(timezone.now())])]
    if not keys:
        return []
    rows = list(Subscription.objects.filter(pk__in=keys).order_by("id"))
    uuids: dict[str, list[str]] = {}
    for each in objects:
        if type(each) in _KINDS:
            uuids.setdefault(_KINDS[type(each)].name, []).append(each.entry_uuid)
    found = []
    for row in rows:
        selected_rows = _selected(row, patient_id, uuids.get(_TABLES[row.topic].name, []))
        found += [(row, each) for each in _notifications(row, selected_rows)]
    return found


def _selected(row: Subscription, patient_id: str, uuids: list[str]) -> list[Row]:
    """The objects of the event that the filter finds and the subscriber may know of."""
    if not uuids:
        return []
    table = _TABLES[row.topic]
    slots = {name: tuple(tuple(slot) for slot in each) for name, each in row.query.items()}
    query = StoredQuery(row.query_id, slots, leaf_class=row.topic != MINIMAL_DOCUMENT_ENTRY)
    condition = of_patient(table.alias, patient_id).add(*one_of(f"{table.alias}.entry_uuid", uuids))
    return selected(Asked(query, _permit(row, patient_id)), table, restrict(condition, query, table, types=False))


def _permit(row: Subscription, patient_id: str) -> Permit:
    """What the subscriber's system may find of the patient now."""
    node = Node(row.node_name, row.facility_code, accesses=frozenset({Access.FIND}))
    permit: Permit = import_string(settings.EXCHANGE["gate"])(
        Caller(node), Access.FIND, subjects_of_patients((patient_id,))
    )
    return permit


def _notifications(row: Subscription, rows: list[Row]) -> list[Notification]:
    """All entries of an event in one message, submission sets and folders in one each (3.53.4.1.2)."""
    if not rows:
        return []
    here = reference(broker_url(), row.reference)
    groups = [rows] if _TABLES[row.topic] is ENTRIES else [[each] for each in rows]
    if row.topic == MINIMAL_DOCUMENT_ENTRY:
        return [Notification(row.topic, (), tuple(each.entry_uuid for each in rows), here, broker_url())]
    return [Notification(row.topic, tuple(each.fragment for each in group), (), here, broker_url()) for group in groups]


def _put(row: Subscription, notification: Notification, patient_id: str) -> None:
    envelope, _ = write_request(
        NOTIFY,
        row.consumer,
        notify.write_request(notification),
        reply_to="",
        parameters=tuple(each.encode() for each in row.consumer_parameters),
    )
    told = notification.object_refs or tuple(map(_id_of, notification.fragments))
    put(
        lane=_lane(row),
        url=row.consumer,
        envelope=envelope,
        number="ITI-53",
        patient_id=patient_id,
        facility_code=row.facility_code,
        objects_told=list(told),
    )


def _lane(row: Subscription) -> str:
    return f"subscription {row.reference}"


def _id_of(fragment: bytes) -> str:
    return fragment.partition(b' id="')[2].partition(b'"')[0].decode()
