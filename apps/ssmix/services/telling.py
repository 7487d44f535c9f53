"""What one batch tells the exchange: patients first, then the documents whose patients are known; the others wait."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from apps.network.queries import Facility
from apps.pix import queries as pix
from apps.ssmix.models import Part, State
from apps.ssmix.services.offering import offer_summaries
from apps.ssmix.services.registering import (
    Registration,
    feed_patients,
    locator_of,
    patient_of,
    record_feeds,
    register,
)
from apps.ssmix.services.settling import Batch
from apps.xds.services import relocate_content
from hie.wire.ssmix.documents import identify


def tell(batch: Batch, facility: Facility, counts: Counter[str]) -> None:
    """Feed, register, replace, deprecate and relocate what a batch decided. Runs inside its database transaction.

    What was refused is quarantined with its rule, what has no patient yet is pending.
    """
    _feed(batch, facility, counts)
    regional_ids = regional_ids_of(facility, (each.row.patient_id for each in batch.documents))
    wanted = Registration()
    for each in batch.documents:
        if each.row.patient_id in regional_ids:
            wanted.documents.append(each)
            continue
        each.row.state, each.row.rules = State.PENDING.value, _with(each.row.rules, "OWN-07")
        each.row.entry_uuid, each.row.unique_id = "", ""
        batch.replaced.pop(id(each.row), None)
    companions = _companions(batch)
    for row in batch.ended:
        row.live = False
        wanted.deprecate.append(row.entry_uuid)
    wanted.deprecate += [*companions, *batch.overwritten.values()]
    outcome = register(facility, wanted, regional_ids)
    for each in wanted.documents:
        if each.row.live:
            for before in batch.replaced.get(id(each.row), ()):
                before.live = False
        else:
            each.row.state, each.row.rules = State.QUARANTINED.value, _with(each.row.rules, "OWN-05")
            each.row.entry_uuid, each.row.unique_id = "", ""
    fresh = {regional_ids[each.row.patient_id] for each in wanted.documents if each.row.live and each.facts}
    offer_summaries(facility.code, fresh, wanted.deprecate)
    batch.parts = outcome.parts
    if batch.moved:
        relocate_content({row.entry_uuid: locator_of(row) for row, _ in batch.moved})
    counts["registered"] += outcome.registered
    counts["replaced"] += outcome.replaced
    counts["deprecated"] += outcome.deprecated


def regional_ids_of(facility: Facility, patient_ids: Iterable[str]) -> dict[str, str]:
    """The regional ids of those of a facility's patients who are known, by chart number as in the folder."""
    charts = {patient_id: patient_of(facility, patient_id) for patient_id in dict.fromkeys(patient_ids)}
    known = pix.regional_ids_of(charts.values())
    return {patient_id: known[chart] for patient_id, chart in charts.items() if chart in known}


def _feed(batch: Batch, facility: Facility, counts: Counter[str]) -> None:
    fed = []
    for row, _, _ in batch.feeds:
        row.entry_uuid, row.unique_id = identify(
            facility.code, row.key, row.written_at, row.sha256, generation=row.generation
        )
    regional_ids = feed_patients(facility, batch.feeds)
    for (row, _, _), regional_id in zip(batch.feeds, regional_ids, strict=True):
        if regional_id is None:
            row.state, row.rules = State.QUARANTINED.value, _with(row.rules, "OWN-04")
            continue
        row.live = True
        counts["fed"] += 1
        fed.append((row, regional_id))
    record_feeds(facility, fed)


def _companions(batch: Batch) -> list[str]:
    """The other documents of content folders that end or are replaced."""
    ending = [row.id for row in batch.ended]
    ending += [row.id for rows in batch.replaced.values() for row in rows]
    parts = Part.objects.filter(stored_file_id__in=[pk for pk in ending if pk], main=False)
    return list(parts.values_list("entry_uuid", flat=True)) if ending else []


def _with(rules: str, rule: str) -> str:
    return " ".join(dict.fromkeys([*rules.split(), rule]))
