"""On-demand entries that the network itself offers: one for each person of whom some facility holds records.

Whoever makes the documents (settings.ON_DEMAND) says which facilities hold something; the entry follows: it comes with
the first of them, is deprecated when none is left, and there is one for each person, however many become one. It bears
no facility of its own, its ``sources`` name those that hold something (``apps.xds.rules``).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet

from apps.xds.models import SHARDS, ObjectType, Status, shard_key_of
from apps.xds.models import DocumentEntry as EntryRow
from apps.xds.services.storing import deprecate, set_sources, store
from hie.values.documents import (
    APPROVED,
    HAS_MEMBER,
    ON_DEMAND,
    Association,
    DocumentEntry,
    RegistryObject,
    SubmissionSet,
)
from hie.values.identifiers import AssigningAuthority, Identifier, uuid_oid
from hie.values.times import write_dtm

OWN = ""  # the facility of what belongs to the network itself
_AT_ONCE = 500  # patients in one statement

Describe = Callable[[], DocumentEntry]


@transaction.atomic
def offer(holders: Mapping[str, Collection[str]], describe: Describe, *, renewed: Collection[str] = ()) -> int:
    """Bring the on-demand entries of some persons up to date; the number of entries made or deprecated.

    holders: regional id -> facilities that hold something of the person, beside those known. renewed: persons of whom
    it is asked anew who holds something. describe: an entry without ids, patient and times. Two statements for 500
    persons where nothing changes, one where none is renewed.
    """
    changed = 0
    patients = sorted({*holders, *renewed})
    for start in range(0, len(patients), _AT_ONCE):
        some = patients[start : start + _AT_ONCE]
        known = _entries_of(some)
        present = _holders_of([each for each in some if each in renewed])
        wanted = {
            each: {*holders.get(each, ()), *(present.get(each, ()) if each in renewed else _named(known.get(each, ())))}
            for each in some
        }
        changed += _apply(wanted, known, describe)
    return changed


def offer_to_all(describe: Describe) -> int:
    """Bring the entries of everybody up to date, shard by shard; the number of entries made or deprecated."""
    return sum(offer({}, describe, renewed=_patients_in(shard)) for shard in range(SHARDS))


def withdraw_offers() -> int:
    """Deprecate every entry that is offered; how many these were."""
    withdrawn = 0
    for shard in range(SHARDS):
        with transaction.atomic():
            rows = _offered().select_for_update().filter(shard_key=shard)
            deprecated = [(row.pk, bytes(row.fragment)) for row in rows.order_by("id")]
            deprecate(deprecated)
            withdrawn += len(deprecated)
    return withdrawn


def patients_of_entries(entry_uuids: Collection[str]) -> tuple[str, ...]:
    """The regional ids of the patients of these entries. One statement."""
    rows = EntryRow.objects.filter(entry_uuid__in=list(entry_uuids))
    return tuple(rows.values_list("patient_id", flat=True).distinct())


def _offered() -> QuerySet[EntryRow]:
    rows = EntryRow.objects.filter(status=Status.APPROVED, object_type=ObjectType.ON_DEMAND, facility_code=OWN)
    return rows.exclude(sources="")


def _patients_in(shard: int) -> list[str]:
    """Persons of a shard who have documents in some storage, or an entry."""
    rows = EntryRow.objects.filter(shard_key=shard, status=Status.APPROVED)
    rows = rows.filter(Q(content__locator__startswith="ssmix:") | Q(object_type=ObjectType.ON_DEMAND))
    return list(rows.values_list("patient_id", flat=True).distinct())


def _entries_of(patients: Sequence[str]) -> dict[str, list[EntryRow]]:
    """The approved on-demand entries of the network, the oldest of each person first, held until the end."""
    shards = sorted({shard_key_of(each) for each in patients})
    rows = _offered().select_for_update().filter(shard_key__in=shards, patient_id__in=patients)
    found: dict[str, list[EntryRow]] = {}
    for row in rows.order_by("id"):
        found.setdefault(row.patient_id, []).append(row)
    return found


def _holders_of(patients: Sequence[str]) -> dict[str, list[str]]:
    """The facilities of whose storages some approved document of each person lies in the registry."""
    if not patients:
        return {}
    rows = EntryRow.objects.filter(
        shard_key__in=sorted({shard_key_of(each) for each in patients}),
        patient_id__in=patients,
        status=Status.APPROVED,
        object_type=ObjectType.STABLE,
        content__locator__startswith="ssmix:",
    )
    found: dict[str, list[str]] = {}
    for patient_id, facility_code in rows.values_list("patient_id", "facility_code").distinct():
        found.setdefault(patient_id, []).append(facility_code)
    return found


def _named(rows: Iterable[EntryRow]) -> set[str]:
    return {code for row in rows for code in row.sources.split("\n")}


def _apply(wanted: Mapping[str, set[str]], known: Mapping[str, list[EntryRow]], describe: Describe) -> int:
    superfluous: list[EntryRow] = []
    missing: dict[str, str] = {}
    for patient_id, facilities in wanted.items():
        rows = known.get(patient_id, [])
        first = rows[0] if rows else None
        superfluous += rows[1:]
        sources = "\n".join(sorted(facilities))
        if first is None and sources:
            missing[patient_id] = sources
        elif first is not None and not sources:
            superfluous.append(first)
        elif first is not None and first.sources != sources:
            EntryRow.objects.filter(pk=first.pk).update(sources=sources)
    deprecate((row.pk, bytes(row.fragment)) for row in superfluous)
    _register(missing, describe)
    return len(superfluous) + len(missing)


def _register(missing: Mapping[str, str], describe: Describe) -> None:
    """New entries, each in a submission of its own (ITI TF-2: 3.61.4.1.2)."""
    if not missing:
        return
    owners: dict[str, str] = {}
    sources: dict[str, str] = {}
    objects: list[RegistryObject] = []
    shape = describe()
    for patient_id, facilities in missing.items():
        identity = uuid.uuid4()
        entry = replace(
            shape,
            entry_uuid=identity.urn,
            logical_id=identity.urn,
            unique_id=uuid_oid(identity),
            object_type=ON_DEMAND,
            **whose(patient_id),
        )
        made = own_submission(entry)
        sources[entry.entry_uuid] = facilities
        owners.update((each.entry_uuid, patient_id) for each in made)
        objects += made
    store(objects, OWN, lambda each: owners[each.entry_uuid])
    set_sources(sources, owners)


def whose(patient_id: str) -> dict[str, Any]:
    """What the network's own entries say of their patient and of their place."""
    patient = Identifier(patient_id, AssigningAuthority(oid=settings.AFFINITY_DOMAIN_OID)).xds_cx
    return {
        "patient_id": patient,
        "source_patient_id": patient,
        "repository_unique_id": settings.REPOSITORY_OID,
        "availability_status": APPROVED,
    }


def own_submission(entry: DocumentEntry) -> list[RegistryObject]:
    """An entry of the network itself with the submission that brings it: set, entry, membership."""
    identity = uuid.uuid4()
    submission_set = SubmissionSet(
        entry_uuid=identity.urn,
        unique_id=uuid_oid(identity),
        patient_id=entry.patient_id,
        source_id=settings.REPOSITORY_OID,
        submission_time=write_dtm(datetime.now(UTC)),
        title=entry.title,
        authors=entry.authors,
        content_type_code=entry.class_code,
    )
    member = Association(
        uuid.uuid4().urn, HAS_MEMBER, submission_set.entry_uuid, entry.entry_uuid, submission_set_status="Original"
    )
    return [submission_set, entry, member]
