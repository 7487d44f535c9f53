"""Documents follow their patient: when two persons turn out to be one, and when a link of charts is undone.

Subscribers are told of what a query would find now and did not find before. They are asked about last, when the
patients' wishes have followed too (apps/consent hears of it before this app does).
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction

from apps.network import queries as network
from apps.pix import queries as index
from apps.xds.models import (
    PATIENT_TABLES,
    SIDE_TABLES,
    Association,
    DocumentEntry,
    Folder,
    Outgoing,
    SubmissionSet,
    Subscription,
    SubscriptionPatient,
    Withdrawn,
    shard_key_of,
)
from apps.xds.services import id_map
from apps.xds.services.removing import withdraw_snapshots
from apps.xds.services.storing import hold
from apps.xds.services.telling import before_moving, event_of_rows, tell_met, tell_moved
from hie.values.identifiers import AssigningAuthority, Identifier
from hie.wire.ebxml.fragments import read_fragment, with_patient_id, with_source_patient_id


@transaction.atomic
def move_patient(*, subsumed: str, surviving: str) -> int:
    """Give every object of one regional id to another, columns and fragments; return the number of entries moved.

    What was submitted under the subsumed id is found under the surviving one from then on (ITI TF-2: 3.8.4.2.4).
    """
    hold((subsumed, surviving))
    wanted = before_moving(subsumed, surviving)
    gone: dict[type[Any], list[Any]] = {}
    models: tuple[type[Any], ...] = (DocumentEntry, SubmissionSet, Folder)
    for model in models:
        gone[model] = rows = list(model._default_manager.filter(shard_key=shard_key_of(subsumed), patient_id=subsumed))
        for row in rows:
            row.fragment = with_patient_id(bytes(row.fragment), _cx(surviving))
        model._default_manager.bulk_update(rows, ["fragment"], batch_size=100)
    _map_anew({"shard_key": shard_key_of(subsumed), "patient_id": subsumed}, surviving)
    for table in PATIENT_TABLES:
        table._default_manager.filter(shard_key=shard_key_of(subsumed), patient_id=subsumed).update(
            patient_id=surviving, shard_key=shard_key_of(surviving)
        )
    SubscriptionPatient.objects.filter(patient_id=subsumed).update(patient_id=surviving)
    Outgoing.objects.filter(patient_id=subsumed).update(patient_id=surviving)
    if wanted:
        event = event_of_rows(gone[DocumentEntry], gone[SubmissionSet], gone[Folder])
        tell_moved(wanted, surviving, event)
        tell_met(wanted, surviving, event)
    return len(gone[DocumentEntry])


@transaction.atomic
def move_records(*, identifiers: Collection[Identifier], previous: str, current: str, submitted: bool = True) -> int:
    """Give the documents of some charts to the person whom these belong to now; return the number of entries moved.

    submitted: those too that were submitted under the previous id, not only those that this network indexed itself.

    A link between charts was undone: an entry goes where its sourcePatientId went, with its associations. A submission
    set or folder goes with its entries where all of them go; one that also holds entries of the other person stays.
    """
    hold((previous, current))
    wanted = before_moving(previous, current)
    move_subscriptions(identifiers=identifiers, previous=previous, current=current)
    charts = {(each.value, each.oid) for each in identifiers}
    of_previous = {"shard_key": shard_key_of(previous), "patient_id": previous}
    entries = DocumentEntry.objects.filter(**of_previous)
    entries = entries if submitted else entries.filter(content__locator__startswith="ssmix:")
    moving = {row.entry_uuid for row in entries if _source(row) in charts}
    if not moving:
        return 0
    withdraw_snapshots(previous, moving)
    associations = list(Association.objects.filter(**of_previous).defer("fragment"))
    kept = set(DocumentEntry.objects.filter(**of_previous).values_list("entry_uuid", flat=True)) - moving
    holding = {row.source_uuid for row in associations if row.target_uuid in moving}
    holding -= {row.source_uuid for row in associations if row.target_uuid in kept}
    joined = {row.entry_uuid for row in associations if row.source_uuid in moving | holding}
    _map_anew(of_previous, current, moving | holding | joined)
    goes = ((DocumentEntry, moving), (SubmissionSet, holding), (Folder, holding), (Association, joined))
    gone = {model: _give(model, going, of_previous, current) for model, going in goes}
    if wanted:
        tell_moved(wanted, current, event_of_rows(gone[DocumentEntry], gone[SubmissionSet], gone[Folder]))
    return len(moving)


@transaction.atomic
def rename_source(*, patient: str, subsumed: Identifier, surviving: Identifier) -> int:
    """Give the documents of one chart number of a patient another sourcePatientId (ITI TF-2: 3.64.4.1.3); how many."""
    hold((patient,))
    entries = DocumentEntry.objects.filter(shard_key=shard_key_of(patient), patient_id=patient)
    renamed = [row for row in entries if _source(row) == _as_indexed(subsumed)]
    for row in renamed:
        row.fragment = with_source_patient_id(bytes(row.fragment), surviving.xds_cx)
    DocumentEntry.objects.bulk_update(renamed, ["fragment"], batch_size=100)
    return len(renamed)


def _source(row: DocumentEntry) -> tuple[str, str]:
    """The chart of an entry."""
    entry = read_fragment(bytes(row.fragment))
    return _as_indexed(Identifier.from_cx(getattr(entry, "source_patient_id", "")))


def _as_indexed(chart: Identifier) -> tuple[str, str]:
    """(number, OID) of a chart as the index has it, however its sender spells the number."""
    owner = network.facility_of_authority(chart.oid)
    return owner.patient_ids.comparable(chart.value) if owner else chart.value, chart.oid


def move_subscriptions(*, identifiers: Collection[Identifier], previous: str, current: str) -> None:
    """Let subscriptions follow the patients whom they named, where charts left one person for another.

    A patient is the charts that stood under the named id when it was subscribed to. Where some stay and some go, the
    subscription is of both: what its subscriber may know of either is asked with every notification.
    """
    moved, staying = {(each.oid, each.value) for each in identifiers}, index.numbers_under(previous)
    for row in Subscription.objects.filter(patients__patient_id=previous).distinct():
        named = [_charts_named(regional_id, row.created_at) for regional_id in _named(row)]
        here, there = any(charts & staying for charts in named), any(charts & moved for charts in named)
        if there and not row.patients.filter(patient_id=current).exists():
            SubscriptionPatient.objects.create(subscription=row, patient_id=current)
        if there and not here:
            row.patients.filter(patient_id=previous).delete()


def _named(row: Subscription) -> set[str]:
    """The regional ids that the filter of a subscription names, as it was sent."""
    texts = (
        text.strip("()'")
        for name, slots in row.query.items()
        if name.endswith("PatientId")
        for slot in slots
        for text in slot
    )
    return {Identifier.from_cx(text).value for text in texts}


def _charts_named(regional_id: str, moment: datetime) -> set[tuple[str, str]]:
    return {(each.oid, each.value) for each in index.identifiers_on(regional_id, moment)}


def _map_anew(of_patient: dict[str, Any], current: str, only: Collection[str] | None = None) -> None:
    """What is about to leave a patient, in the id map. only: entry UUIDs; None: everything of the patient."""

    def values(model: type[Any], *columns: str) -> list[Any]:
        rows = model._default_manager.filter(**of_patient).values_list("entry_uuid", *columns)
        return [row for row in rows if only is None or row[0] in only]

    entries = values(DocumentEntry, "unique_id")
    packages = values(SubmissionSet, "unique_id") + values(Folder, "unique_id")
    joined = values(Association, "source_uuid", "target_uuid")
    names = [unique_id for _, unique_id in entries]
    if only is None:
        names += Withdrawn.objects.filter(**of_patient).values_list("unique_id", flat=True)
    id_map.moved(
        [row[0] for row in (*entries, *packages, *joined)],
        [unique_id for _, unique_id in packages],
        names,
        [end for _, *ends in joined for end in ends],
        before=of_patient["shard_key"],
        after=shard_key_of(current),
    )


def _give(model: type[Any], uuids: Collection[str], of_patient: dict[str, Any], patient_id: str) -> list[Any]:
    """Rows of one table and their side tables to another patient, columns and fragments; the rows."""
    moved = {"patient_id": patient_id, "shard_key": shard_key_of(patient_id)}
    rows = list(model._default_manager.filter(entry_uuid__in=list(uuids), **of_patient))
    for row in rows:
        row.fragment = with_patient_id(bytes(row.fragment), _cx(patient_id))
        row.patient_id, row.shard_key = moved["patient_id"], moved["shard_key"]
    model._default_manager.bulk_update(rows, ["fragment", *moved], batch_size=100)
    keys = [row.pk for row in rows]
    for table, owner in SIDE_TABLES.get(model, ()):
        table._default_manager.filter(**of_patient, **{f"{owner}__in": keys}).update(**moved)
    return rows


def _cx(regional_id: str) -> str:
    return Identifier(regional_id, AssigningAuthority(oid=settings.AFFINITY_DOMAIN_OID)).xds_cx


def on_persons_joined(subsumed: str, surviving: str, **_: Any) -> None:
    """Receiver of ``apps.pix.models.persons_joined``, inside the transaction of the merge."""
    move_patient(subsumed=subsumed, surviving=surviving)


def on_records_moved(
    identifiers: Collection[Identifier], previous: str, current: str, submitted: bool = True, **_: Any
) -> None:
    """Receiver of ``apps.pix.models.records_moved``, inside the transaction of the unlinking."""
    move_records(identifiers=identifiers, previous=previous, current=current, submitted=submitted)


def on_chart_renamed(subsumed: Identifier, surviving: Identifier, patient: str, **_: Any) -> None:
    """Receiver of ``apps.pix.models.chart_renamed``, inside the transaction of the link change."""
    rename_source(patient=patient, subsumed=subsumed, surviving=surviving)
