"""Subscriptions to metadata, their ends, and events that others publish (DSUB; ITI TF-2: 3.52.4.1.3, 3.54.4.1.3).

What is told of an event, and to whom, is ``telling``.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from apps.xds.models import Outgoing, Subscription, SubscriptionPatient
from apps.xds.outbox import PATIENCE, is_registered
from apps.xds.services.judging import (
    UNKNOWN_PATIENT,
    completed,
    final_ids,
    objects_of,
    patient_of_submission,
)
from apps.xds.services.storing import store
from apps.xds.services.telling import broker_url, event_of, lane_of, matching, put
from hie.values.access import Caller, Subject
from hie.values.errors import ExchangeError, Finding, Reason
from hie.values.subscriptions import (
    Publication,
    Received,
    SubscriptionAnswer,
    Unsubscription,
    UnsubscriptionAnswer,
)
from hie.values.subscriptions import Subscription as Wanted
from hie.values.times import write_dtm
from hie.wire.wsnt.unsubscribe import reference, subscription_id


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

    Raises ExchangeError(UNKNOWN_SUBSCRIPTION), for one that has ended by its time too (WS-BaseNotification 1.3: 6.1).
    """
    mine = Subscription.objects.filter(Q(ends_at=None) | Q(ends_at__gt=timezone.now()), node_name=caller.node.name)
    row = mine.filter(reference=subscription_id(end.reference)).first()
    if row is None:
        raise ExchangeError(Reason.UNKNOWN_SUBSCRIPTION, "There is no subscription of yours at this address.")
    Outgoing.objects.filter(lane=lane_of(row)).delete()
    row.delete()
    return UnsubscriptionAnswer()


def patients_of_subscription(end: Unsubscription) -> tuple[str, ...]:
    """The regional ids of the patients of a subscription that shall end."""
    named = SubscriptionPatient.objects.filter(subscription__reference=subscription_id(end.reference))
    return tuple(named.values_list("patient_id", flat=True))


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
        messages = list(matching({patient_id: event_of(objects)}))
    except IntegrityError as taken:
        raise ExchangeError(Reason.DUPLICATE_ID_IN_REGISTRY, _REGISTERED, "") from taken
    finally:
        transaction.savepoint_rollback(before)
    for message in messages:
        put(message, of_registry=False)
    return Received()


_REGISTERED = "An id of the publication is that of an object in the registry, which tells its subscribers itself."


def forget_ended() -> int:
    """Remove subscriptions that have ended so long ago that nothing of theirs waits to be delivered; how many."""
    gone, _ = Subscription.objects.filter(ends_at__lt=timezone.now() - PATIENCE).delete()
    return gone
