"""What subscribers are told of an event, and what of it when the message leaves (ITI TF-2: 3.52.5.2, 3.53.4.1).

An event is what became of objects of one patient: they were registered, by whatever way they came; a new version of
them was; a folder took in a document; or the patient of a subscription turned out to be theirs as well. A subscription
matches where its filter, a stored query, would find one of the objects. It is told what its system may find at that
moment: the gate is asked for each event, and again when the message leaves, which may be days later.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils import timezone
from django.utils.module_loading import import_string

from apps.ids.models import is_provisional
from apps.network.queries import node_named
from apps.xds import outbox
from apps.xds.models import DocumentEntry as EntryRow
from apps.xds.models import Folder as FolderRow
from apps.xds.models import Outgoing, Status, Subscription, shard_key_of
from apps.xds.models import SubmissionSet as SetRow
from apps.xds.rules import subjects_of_patients
from apps.xds.shards import marks
from apps.xds.stored_queries import ENTRIES, FOLDERS, SETS, Asked, Row, Table, of_patient, one_of, restrict, selected
from hie.exchange.rows import fetch
from hie.values.access import Access, Caller, Permit
from hie.values.documents import DEPRECATED, DocumentEntry, Folder, RegistryObject, StoredQuery, SubmissionSet
from hie.values.subscriptions import (
    FOLDER_METADATA,
    FULL_DOCUMENT_ENTRY,
    MINIMAL_DOCUMENT_ENTRY,
    SUBMISSION_SET_METADATA,
    Notification,
)
from hie.wire.soap.envelope import write_request
from hie.wire.wsnt import notify
from hie.wire.wsnt.names import NOTIFY
from hie.wire.wsnt.unsubscribe import reference

NUMBER = "ITI-53"
MOST_OBJECTS = 100  # in one message; an event of more is told in several

_TABLES: dict[str, Table] = {
    FULL_DOCUMENT_ENTRY: ENTRIES,
    MINIMAL_DOCUMENT_ENTRY: ENTRIES,
    SUBMISSION_SET_METADATA: SETS,
    FOLDER_METADATA: FOLDERS,
}
_KINDS: dict[type, Table] = {DocumentEntry: ENTRIES, SubmissionSet: SETS, Folder: FOLDERS}
_ROWS = {ENTRIES.name: EntryRow, SETS.name: SetRow, FOLDERS.name: FolderRow}
_LANE = "subscription "

# The objects of an event: name of a table -> entry UUIDs.
Event = Mapping[str, list[str]]


def broker_url() -> str:
    """The address at which we take subscriptions and their ends."""
    return f"{settings.SOAP_URL}/broker"


def lane_of(subscription: Subscription) -> str:
    """Where its messages wait, each for the one before."""
    return f"{_LANE}{subscription.reference}"


def event_of(objects: Iterable[RegistryObject], folders: Iterable[str] = ()) -> Event:
    """The event that these objects were stored. folders: entry UUIDs of others that took in a document by it."""
    found: dict[str, list[str]] = {}
    for each in objects:
        if type(each) in _KINDS and getattr(each, "availability_status", "") != DEPRECATED:
            found.setdefault(_KINDS[type(each)].name, []).append(each.entry_uuid)
    for uuid in folders:
        found.setdefault(FOLDERS.name, []).append(uuid)
    return found


def tell(events: Mapping[str, Event]) -> int:
    """Put into the outbox what subscriptions want to know of events; returns how many messages.

    events: by regional id, of objects that lie in the registry by now, in this database transaction. One statement
    where nobody has subscribed.
    """
    return _put_all(matching(events))


@dataclass(frozen=True, slots=True)
class Message:
    """What one subscription is told of one patient."""

    subscription: Subscription
    patient_id: str
    notification: Notification
    uuids: tuple[str, ...]


def matching(events: Mapping[str, Event]) -> Iterator[Message]:
    """What subscriptions are told of events whose objects are in the registry, looked up one after another."""
    patients, anybody = _wanting([each for each in events if events[each]])
    keys = {*anybody, *(key for found in patients.values() for key in found)}
    rows = Subscription.objects.in_bulk(keys) if keys else {}
    for patient_id, event in events.items():
        for key in sorted({*anybody, *patients.get(patient_id, ())}):
            yield from _messages(rows[key], patient_id, event)


def put(message: Message, *, of_registry: bool) -> None:
    """Write a message into the outbox. of_registry: its objects lie in the registry, where it is looked up again."""
    row = message.subscription
    outbox.put(
        lane=lane_of(row),
        number=NUMBER,
        url=row.consumer,
        envelope=_envelope(row, message.notification),
        patient_id=message.patient_id,
        facility_code=row.facility_code,
        objects_told=list(message.uuids),
        of_registry=of_registry,
    )


# Every registration asks this, and most patients have no subscription: two ranges of indexes.
_WANTING = (
    "SELECT s.id, '' FROM xds_subscription s WHERE s.any_patient = %s AND (s.ends_at IS NULL OR s.ends_at > %s)"
    " UNION ALL SELECT s.id, p.patient_id FROM xds_subscriptionpatient p JOIN xds_subscription s"
    " ON s.id = p.subscription_id WHERE p.patient_id IN ({marks}) AND (s.ends_at IS NULL OR s.ends_at > %s)"
)


def _wanting(patients: list[str]) -> tuple[dict[str, set[int]], set[int]]:
    """The keys of subscriptions by the patient they name; of those for any patient."""
    if not patients:
        return {}, set()
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    found: dict[str, set[int]] = {}
    for key, patient_id in fetch(_WANTING.format(marks=marks(patients)), [True, now, *patients, now]):
        found.setdefault(patient_id, set()).add(key)
    anybody = found.pop("", set())
    return found, anybody


def _messages(row: Subscription, patient_id: str, event: Event) -> Iterator[Message]:
    uuids = list(dict.fromkeys(event.get(_TABLES[row.topic].name, ())))
    if not uuids:
        return
    permit = _permit(row, patient_id)
    if permit is None:
        return
    slots = {name: tuple(tuple(slot) for slot in each) for name, each in row.query.items()}
    at_once = min(MOST_OBJECTS, settings.MAX_RESULTS)
    for start in range(0, len(uuids), at_once):
        found = _selected(row, patient_id, uuids[start : start + at_once], permit, slots)
        for group in _groups(row, found):
            yield Message(row, patient_id, _notification(row, group), tuple(each.entry_uuid for each in group))


def _selected(
    row: Subscription,
    patient_id: str,
    uuids: list[str],
    permit: Permit,
    slots: Mapping[str, tuple[tuple[str, ...], ...]],
) -> list[Row]:
    """Those of the objects that the filter finds and the permit shows."""
    table = _TABLES[row.topic]
    query = StoredQuery(row.query_id, slots, leaf_class=row.topic != MINIMAL_DOCUMENT_ENTRY)
    condition = of_patient(table.alias, patient_id).add(*one_of(f"{table.alias}.entry_uuid", uuids))
    return selected(Asked(query, permit), table, restrict(condition, query, table, types=False))


def _permit(row: Subscription, patient_id: str) -> Permit | None:
    """What the subscriber's system may find of the patient now; None where it may find nothing at all any more."""
    known = node_named(row.node_name)
    if known is None or Access.FIND not in known.node.accesses:
        return None
    permit: Permit = import_string(settings.EXCHANGE["gate"])(
        Caller(known.node), Access.FIND, subjects_of_patients((patient_id,))
    )
    return permit


def _groups(row: Subscription, rows: list[Row]) -> list[list[Row]]:
    """Entries in one message, submission sets and folders in one each (3.53.4.1.2)."""
    if not rows:
        return []
    return [rows] if _TABLES[row.topic] is ENTRIES else [[each] for each in rows]


def _notification(row: Subscription, rows: list[Row]) -> Notification:
    here = reference(broker_url(), row.reference)
    if row.topic == MINIMAL_DOCUMENT_ENTRY:
        return Notification(row.topic, (), tuple(each.entry_uuid for each in rows), here, broker_url())
    return Notification(row.topic, tuple(each.fragment for each in rows), (), here, broker_url())


def _envelope(row: Subscription, notification: Notification) -> bytes:
    parameters = tuple(each.encode() for each in row.consumer_parameters)
    body = notify.write_request(notification)
    return write_request(NOTIFY, row.consumer, body, reply_to="", parameters=parameters)[0]


def deliver_due() -> int:
    """Deliver what is due of the outbox, notifications as they may leave now; returns how many were taken."""
    return outbox.deliver_due(as_of_now)


# When a message leaves --------------------------------------------------------------------------------------------


def as_of_now(outgoing: Outgoing) -> Outgoing | None:
    """A notification as it may leave now: without what its system may not find any more, or is of another patient.

    The same row where nothing has changed; a changed one is not saved. None where nothing is left to tell, or the
    subscription is no more. Raises outbox.NotCalledError while its system is switched off or has withdrawn the address.
    """
    row = subscription_of(outgoing)
    if row is None:
        return None
    known = node_named(row.node_name)
    if known is not None and not (known.enabled and outbox.is_registered(row.node_name, outgoing.url)):
        raise outbox.NotCalledError("the system is switched off, or has withdrawn this address")
    if not outgoing.of_registry:
        return outgoing
    told = list(outgoing.objects_told)
    every_version = {"$MetadataLevel": (("2",),)}
    permit = _permit(row, outgoing.patient_id)
    rows = _selected(row, outgoing.patient_id, told, permit, every_version) if permit is not None else []
    if not rows:
        return None
    envelope = bytes(outgoing.envelope)
    uuids = [each.entry_uuid for each in rows]
    minimal = row.topic == MINIMAL_DOCUMENT_ENTRY
    if len(uuids) < len(told) or not (minimal or all(each.fragment in envelope for each in rows)):
        outgoing.envelope = _envelope(row, _notification(row, rows))
        outgoing.objects_told = uuids
    return outgoing


def subscription_of(outgoing: Outgoing) -> Subscription | None:
    """The subscription that a notification is for; None where it has ended by its system or an administrator."""
    return Subscription.objects.filter(reference=outgoing.lane.removeprefix(_LANE)).first()


# When objects come under another patient -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Moving:
    """Who wants to be told of two patients, before anything of the one comes under the other."""

    of_previous: frozenset[int]
    of_current: frozenset[int]
    of_anybody: frozenset[int]

    def __bool__(self) -> bool:
        return bool(self.of_previous or self.of_current or self.of_anybody)


def before_moving(previous: str, current: str) -> Moving:
    """Asked before objects move from one patient to another. One statement.

    Who is told of any patient knows the objects already, unless they lay under a provisional id, where nobody does.
    """
    patients, anybody = _wanting([previous, current])
    of_previous, of_current = (frozenset(patients.get(each, ())) for each in (previous, current))
    return Moving(of_previous, of_current, frozenset(anybody if is_provisional(previous) else ()))


def tell_moved(moving: Moving, current: str, moved: Event) -> int:
    """Tell of objects that have come from another patient those who had not subscribed to that one as well."""
    return _tell_some((moving.of_current - moving.of_previous) | moving.of_anybody, current, moved)


def tell_met(moving: Moving, current: str, moved: Event) -> int:
    """Tell those whose patient was joined to another one of what this had already. moved: what they knew before."""
    keys = moving.of_previous - moving.of_current
    return _tell_some(keys, current, _others_of(current, moved)) if keys else 0


def approved_of(rows: Iterable[Any]) -> list[str]:
    """The UUIDs of what is worth telling: Approved, and not made by the network itself, such as a snapshot."""
    return [each.entry_uuid for each in rows if each.status == Status.APPROVED and each.facility_code]


def event_of_rows(entries: Iterable[EntryRow], sets: Iterable[SetRow], folders: Iterable[FolderRow]) -> Event:
    """The same of rows that have moved."""
    return {
        ENTRIES.name: approved_of(entries),
        SETS.name: approved_of(sets),
        FOLDERS.name: approved_of(folders),
    }


def _others_of(patient_id: str, known: Event) -> Event:
    found = {}
    for name, model in _ROWS.items():
        rows = model._default_manager.filter(shard_key=shard_key_of(patient_id), patient_id=patient_id)
        rows = rows.exclude(entry_uuid__in=known.get(name, [])).only("entry_uuid", "status", "facility_code")
        found[name] = approved_of(rows.order_by("id"))
    return found


def _tell_some(keys: Iterable[int], patient_id: str, event: Event) -> int:
    rows = Subscription.objects.filter(pk__in=list(keys)).order_by("id")
    return _put_all(message for row in rows for message in _messages(row, patient_id, event))


def _put_all(messages: Iterable[Message]) -> int:
    count = 0
    for each in messages:
        put(each, of_registry=True)
        count += 1
    return count
