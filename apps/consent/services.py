"""The verbs of consent: record and revoke a patient's wish, decide the network's policy, review broken glass.

Rows are only added; the end of a directive and the review of an emergency access fill what was empty, once.
Every verb owns its database transaction.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import UTC, date, datetime
from typing import Any

from django.db import transaction
from django.db.models import Max

from apps.consent.models import Directive, Effect, EmergencyAccess, NetworkPolicy
from apps.consent.queries import policy
from apps.pix.queries import identifiers_on, numbers_under
from hie.values.identifiers import Identifier


@transaction.atomic
def record_directive(
    *,
    patient_regional_id: str,
    permits: bool,
    legal_basis: str,
    obtained: str,
    recorded_by: str,
    recipients: Collection[str] = (),
    sources: Collection[str] = (),
    kinds: Collection[str] = (),
    confidentiality: Collection[str] = (),
    first_care_date: date | None = None,
    last_care_date: date | None = None,
    valid_from: date | None = None,
    valid_until: date | None = None,
    in_emergency: bool = False,
    note: str = "",
    replaces: uuid.UUID | None = None,
) -> Directive:
    """Record a patient's wish; it counts for every process from its commit on.

    recipients, sources: facility codes; kinds, confidentiality: codes; empty stands for all. Dates are days in Japan,
    both included. in_emergency: a denial that holds even then. replaces: the directive_id of which this is the new
    version; its older versions are revoked with it. Raises ValueError where a patient is missing, a period ends
    before it begins, or nothing in force is there to replace.
    """
    if not patient_regional_id:
        raise ValueError("A directive needs the regional ID of its patient.")
    for first, last in ((first_care_date, last_care_date), (valid_from, valid_until)):
        if first and last and last < first:
            raise ValueError("A period of a directive ends before it begins.")
    if in_emergency and permits:
        raise ValueError("Only a denial can hold in an emergency; a permission is not needed then.")
    version = 1
    if replaces is not None:
        if not revoke_directive(replaces, revoked_by=recorded_by):
            raise ValueError("The directive to be replaced is not in force.")
        version += Directive.objects.filter(directive_id=replaces).aggregate(newest=Max("version"))["newest"]
    return Directive.objects.create(
        directive_id=replaces or uuid.uuid4(),
        version=version,
        patient_regional_id=patient_regional_id,
        effect=Effect.PERMIT if permits else Effect.DENY,
        recipients=sorted(recipients),
        sources=sorted(sources),
        kinds=sorted(kinds),
        confidentiality=sorted(confidentiality),
        first_care_date=first_care_date,
        last_care_date=last_care_date,
        valid_from=valid_from,
        valid_until=valid_until,
        in_emergency=in_emergency,
        legal_basis=legal_basis,
        obtained=obtained,
        note=note,
        recorded_by=recorded_by,
        recorded_at=datetime.now(UTC),
    )


def revoke_directive(directive_id: uuid.UUID, *, revoked_by: str) -> int:
    """Revoke a wish at once, with every copy carried to another regional ID; return how many rows it touched.

    The copies go too, so that a wish cannot come back when persons that were joined are taken apart again.
    """
    return Directive.objects.filter(directive_id=directive_id, revoked_at__isnull=True).update(
        revoked_at=datetime.now(UTC), revoked_by=revoked_by
    )


def carry_directives(*, subsumed: str, surviving: str) -> int:
    """Two regional IDs are one person: the wishes of the subsumed one count for the surviving one as well.

    Permissions and denials are both kept; denials outweigh. The originals stay where they are, as history. Runs in
    the transaction of the join; returns how many were carried.
    """
    return _carry(Directive.objects.filter(patient_regional_id=subsumed), subsumed, surviving)


def follow_charts(*, identifiers: Collection[Identifier], previous: str, current: str) -> int:
    """Charts moved to another person: each wish goes, stays, or counts for both, by whose it was when it was given.

    identifiers: every number that the moved charts have or had. A wish belongs to the charts that stood under the
    regional ID for which it was recorded, at that moment (decision 0021):

        all of them moved          it goes along, and ends where it was carried to by mistake
        none of them moved         it stays
        nobody can tell any more   a denial counts for both, a permission for nobody whom it may not be of

    Runs in the transaction of the move; returns how many rows were added.
    """
    moved = {(each.oid, each.value) for each in identifiers}
    staying = numbers_under(previous)
    added = 0
    for row in Directive.objects.filter(patient_regional_id=previous, revoked_at__isnull=True).order_by("id"):
        of = _given_for(row)
        here, there = bool(of & staying), bool(of & moved)
        if here and not there:
            continue
        if row.effect == Effect.DENY or (there and of <= moved):
            added += _carry(Directive.objects.filter(pk=row.pk), previous, current)
        if there and not here:
            Directive.objects.filter(pk=row.pk).update(revoked_at=datetime.now(UTC), revoked_by=MOVED)
    return added


# Instead of an account: the wish left this regional ID with the charts of whom gave it.
MOVED = ""


def _given_for(row: Directive) -> set[tuple[str, str]]:
    """The charts, by authority and number, of whom a wish was recorded; the first row of a wish is its original."""
    original = Directive.objects.filter(directive_id=row.directive_id, version=row.version).earliest("id")
    charts = identifiers_on(original.patient_regional_id, original.recorded_at)
    return {(each.oid, each.value) for each in charts}


def decide_policy(
    *, default_rule: str, emergency_allowed: bool, own_always: bool, decided_by: str, note: str = ""
) -> NetworkPolicy:
    """Decide the network's policy anew; this process obeys at once, the others within five seconds.

    default_rule: ``opt-in``, ``opt-out``, or "" for what the installation is set to.
    """
    row: NetworkPolicy = NetworkPolicy.objects.create(
        default_rule=default_rule,
        emergency_allowed=emergency_allowed,
        own_always=own_always,
        decided_by=decided_by,
        decided_at=datetime.now(UTC),
        note=note,
    )
    transaction.on_commit(policy.forget)
    return row


def review_emergency(pk: int, *, reviewed_by: str, finding: str) -> bool:
    """Close the review of an emergency access; False where somebody else did before."""
    return bool(
        EmergencyAccess.objects.filter(pk=pk, reviewed_at__isnull=True).update(
            reviewed_by=reviewed_by, reviewed_at=datetime.now(UTC), finding=finding
        )
    )


def _carry(rows: Any, origin: str, target: str) -> int:
    known = Directive.objects.filter(patient_regional_id=target, revoked_at__isnull=True).order_by()
    present = set(known.values_list("directive_id", "version"))
    copies = []
    for row in rows.filter(revoked_at__isnull=True).order_by("id"):
        if (row.directive_id, row.version) in present:
            continue
        row.pk = None
        row._state.adding = True
        row.patient_regional_id = target
        row.carried_from = origin
        copies.append(row)
    return len(Directive.objects.bulk_create(copies))
