"""What may be read of a person, by its kind: the documents that a summary is made from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.db.models import Q

from apps.xds.models import DocumentEntry, ObjectType, Status, shard_key_of
from apps.xds.rules import Origin
from hie.values.access import Permit
from hie.values.codes import Code


@dataclass(frozen=True, slots=True)
class Readable:
    """An approved document whose bytes lie in a content store, and what the permit was asked about it."""

    origin: Origin
    unique_id: str
    locator: str
    size: int
    sha256: str


def readable(permit: Permit, patient_id: str, event_codes: Sequence[Code], scheme: str) -> Iterator[Readable]:
    """The documents with one of these codes first in their event list that the permit discloses, the newest first.

    scheme: of the content store, as ``ssmix``. One statement; rows come some hundred at a time, as far as they are
    asked for.
    """
    if not event_codes:
        return
    kinds = Q()
    for code in event_codes:
        first = f"{code.code}^^{code.scheme}"
        kinds |= Q(event_codes=first) | Q(event_codes__startswith=f"{first}\n")
    rows = DocumentEntry.objects.filter(
        kinds,
        shard_key=shard_key_of(patient_id),
        patient_id=patient_id,
        status=Status.APPROVED,
        object_type=ObjectType.STABLE,
        content__locator__startswith=f"{scheme}:",
    ).order_by("-care_date", "-creation_time", "-id")
    for unique_id, locator, size, sha256, *columns in rows.values_list(
        "unique_id",
        "content__locator",
        "content__size",
        "content__sha256",
        "entry_uuid",
        "facility_code",
        "class_code",
        "type_code",
        "event_codes",
        "confidentiality_codes",
        "care_date",
    ).iterator(200):
        origin = Origin(*columns)
        if permit.allows(patient_id, origin.disclosure):
            yield Readable(origin, unique_id, locator, size, sha256)
