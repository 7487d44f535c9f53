"""A regional id that may be in wrong hands is retired for ever, and the person gets another.

The person's charts, documents and wishes go over to the new id in the same transaction (``persons_joined``), registries
and consumers are told (``links_changed``). The old value is unknown to every message from then on; for the audit
``queries.surviving_of`` and the history still lead from it to the person.
"""

from __future__ import annotations

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from apps.ids import services as ids
from apps.pix.models import LinkEvent, LocalIdentifier, Person, persons_joined
from apps.pix.services import linking

LONGEST_REASON = 200


class NotActiveError(Exception):
    """The regional id is not that of an active person."""


class NotOursError(Exception):
    """Another system is the identity source of the affinity domain; it issues the ids."""


@transaction.atomic
def reissue(regional_id: str, *, reason: str, by: str) -> str:
    """Give an active person a new regional id and retire the old one; returns the new one.

    reason: in words, kept with the id for ever; it names no patient. by: account of who decided. Raises NotActiveError,
    NotOursError where another system issues the ids, and ValueError without a reason.
    """
    if settings.IDENTITY_SOURCE:
        raise NotOursError("The regional ids of this network are issued by another system.")
    if not reason.strip():
        raise ValueError("A new regional id needs a reason.")
    linking.lock(())
    person = Person.objects.select_for_update().filter(regional__value=regional_id).first()
    if person is None or person.status != Person.Status.ACTIVE:
        raise NotActiveError("This person is not active any more.")
    now = timezone.now()
    successor = Person.objects.create(regional_id=ids.issue_regional_id())
    charts = list(LocalIdentifier.objects.select_for_update().filter(person=person).order_by("id"))
    LocalIdentifier.objects.filter(person=person).update(person=successor)
    person.status, person.surviving, person.ended_at = Person.Status.REISSUED, successor, now
    person.save(update_fields=["status", "surviving", "ended_at"])
    ids.retire(regional_id, reason=reason.strip()[:LONGEST_REASON])
    LinkEvent.objects.bulk_create(
        LinkEvent(
            record=chart,
            kind=LinkEvent.Kind.REISSUED,
            authority_oid=chart.authority_oid,
            value=chart.value,
            person=successor,
            previous_person=person,
            rule="regional id issued anew",
            evidence={"by": by, "reason": reason.strip()[:LONGEST_REASON]},
            facility_code="",
            at=now,
        )
        for chart in charts
        if chart.status == LocalIdentifier.Status.ACTIVE
    )
    persons_joined.send(sender=Person, subsumed=regional_id, surviving=successor.regional_id)
    return str(successor.regional_id)
