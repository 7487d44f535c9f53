"""What is still to be told to whom: rows are written with the change itself, in its database transaction.

Whoever writes the history of links tells of it (``models.links_changed``); here that becomes rows of those who want to
know. A change that concerns nobody costs one look into a table that is remembered for seconds. Asking what is due
costs one statement, however much is waiting for somebody who does not answer.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from apps.pix.models import LinkEvent, Notification, Subscription
from hie.exchange.remembered import remembered

# How long another process may not know of a new subscription.
SECONDS = 3.0
Kind = LinkEvent.Kind


@dataclass(frozen=True, slots=True)
class _Wish:
    """One enabled subscription. domains: OIDs of interest, empty for all."""

    id: int
    of_links: bool
    domains: frozenset[str]

    def concerns(self, event: LinkEvent) -> bool:
        return not self.domains or event.authority_oid in self.domains


@remembered(SECONDS)
def _wishes() -> tuple[_Wish, ...]:
    rows = Subscription.objects.filter(enabled=True).order_by("id").values_list("id", "kind", "domains")
    return tuple(_Wish(pk, kind == Subscription.Kind.LINK_CHANGE, frozenset(domains)) for pk, kind, domains in rows)


def forget_wishes() -> None:
    """A subscription has changed in this process."""
    _wishes.forget()


def note_changes(events: Sequence[LinkEvent], **_: Any) -> None:
    """Receiver of ``models.links_changed``: write down who is to be told of these changes."""
    wishes = _wishes()
    if not wishes:
        return
    now = timezone.now()
    moves = [
        row
        for wish in wishes
        if wish.of_links
        for event in events
        if wish.concerns(event)
        for row in _moves(wish, event, now)
    ]
    Notification.objects.bulk_create(moves)
    persons = {
        (wish.id, person)
        for wish in wishes
        if not wish.of_links
        for event in events
        if wish.concerns(event)
        for person in (event.person_id, event.previous_person_id)
        if person
    }
    _note_persons(sorted(persons), now)


# A row that waits already is locked until this transaction ends: whoever is about to send it reads what holds then.
_NOTE_PERSON = (
    "INSERT INTO pix_notification (subscription_id, person_id, state, subsumed_authority, subsumed_value, message_id,"
    " attempts, problem, changed_at) VALUES (%s, %s, 'waiting', '', '', %s, 0, '', %s)"
    " ON CONFLICT (subscription_id, person_id) WHERE state = 'waiting' DO UPDATE SET changed_at = excluded.changed_at"
)


def _note_persons(persons: Sequence[tuple[int, int]], now: datetime) -> None:
    moment = connection.ops.adapt_datetimefield_value(now)
    with connection.cursor() as cursor:
        cursor.executemany(_NOTE_PERSON, [(wish, person, str(uuid.uuid4()), moment) for wish, person in persons])


def _moves(wish: _Wish, event: LinkEvent, now: datetime) -> list[Notification]:
    """Where the documents of a chart go: to another person, to the chart it was merged into, to its new number."""
    if event.previous_person_id is None or event.previous_person_id == event.person_id:
        return []
    row = Notification(
        subscription_id=wish.id,
        record_id=event.record_id,
        previous_id=event.previous_person_id,
        message_id=str(uuid.uuid4()),
        changed_at=now,
    )
    if event.person_id is None:
        row.subsumed_authority, row.subsumed_value = event.authority_oid, event.value
        if event.kind == Kind.MERGED:
            row.record_id = event.evidence["chart"]
    return [row]


def due(now: datetime) -> list[int]:
    """The subscriptions for which something waits and whose time has come. One statement."""
    waiting = Notification.objects.filter(subscription=OuterRef("pk"), done_at=None)
    free = Q(claimed_until=None) | Q(claimed_until__lt=now)
    found = Subscription.objects.filter(free, enabled=True, next_attempt_at__lte=now).filter(Exists(waiting))
    return list(found.order_by("next_attempt_at").values_list("pk", flat=True))


def claim(subscription_id: int, now: datetime, lease: timedelta) -> bool:
    """Whether this worker may send for a subscription; nobody else does until the lease ends or is given back."""
    free = Q(claimed_until=None) | Q(claimed_until__lt=now)
    return Subscription.objects.filter(free, pk=subscription_id, enabled=True).update(claimed_until=now + lease) == 1


def head(subscription_id: int) -> Notification | None:
    """The oldest row that is not done, now marked as being sent: a change from here on writes a row of its own."""
    row = Notification.objects.filter(subscription_id=subscription_id, done_at=None).order_by("id").first()
    if row is not None:
        Notification.objects.filter(pk=row.pk).update(state=Notification.State.SENDING)
    return row
