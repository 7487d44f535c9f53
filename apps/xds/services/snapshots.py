"""Snapshots: what an on-demand document came to, kept as a stable document (ITI TF-2: 3.43.4.2.3; TF-1: 10.2.7).

A snapshot is bound to the records that it was made from and is disclosed to whom all of them may be disclosed
(``apps.xds.rules``); where one of them is described anew, removed or given to another person, it is withdrawn
(``removing``). The same content is kept once: its unique id follows from it. Of earlier snapshots of the same entry
those are deprecated that are no facility's latest any more; nothing replaces them, because another reader's may hold
more. Subscriptions are not told: they would learn that somebody has looked.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from django.db import transaction
from django.db.models import QuerySet

from apps.atna.services import record_own_work
from apps.xds.models import DocumentEntry as EntryRow
from apps.xds.models import ObjectType, Status, shard_key_of
from apps.xds.rules import Origin, origins_of, readers_of, subjects_of_patients, write_sources
from apps.xds.services.offering import OWN, own_submission, whose
from apps.xds.services.registration import prepare_provided, register_prepared
from apps.xds.services.storing import hold, set_status
from hie.exchange.audit import CREATE, IMPORT
from hie.values.audit import ParticipantObject
from hie.values.codes import Code
from hie.values.documents import (
    APPROVED,
    DEPRECATED,
    IS_SNAPSHOT_OF,
    STABLE,
    Association,
    Content,
    DocumentEntry,
    Submission,
    SubmissionSet,
)
from hie.values.identifiers import new_uuid_urn, uuid_oid
from hie.values.times import write_dtm

_SET_ID = Code("urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd", "IHE XDS Metadata", "submission set classificationNode")
_JOB = 20


@dataclass(frozen=True, slots=True)
class Assembled:
    """A document that was put together for one reader, before it is written.

    digest: of all that it says but its own id and time: two with the same digest say the same. origins: every record
    that it was made from. write: (unique id, moment) -> the bytes.
    """

    digest: str
    origins: tuple[Origin, ...]
    write: Callable[[str, datetime], bytes]


def keep_snapshot(row: EntryRow, entry: DocumentEntry, made: Assembled, *, reader: str, directory: Path) -> str:
    """Keep what was made of an on-demand entry for a facility; the unique id of the stable document.

    row, entry: the on-demand entry. reader: code of the facility. directory: for the bytes on their way. Registered
    with the record of its registration, or not at all; where it is kept already, nothing is written but who has it.
    Raises ExchangeError where the repository cannot take it.
    """
    unique_id = uuid_oid(uuid.uuid5(uuid.UUID(row.entry_uuid.removeprefix("urn:uuid:")), made.digest))
    kept = _snapshots_of(row).filter(unique_id=unique_id)
    prepared = None if kept.exists() else _prepared(row, entry, unique_id, made, directory)
    with transaction.atomic():
        if prepared is not None:
            _hold(prepared, row)
            if not kept.exists():
                _register(prepared, row, made, reader)
        _hand_out(row, unique_id, reader)
    return unique_id


def _snapshots_of(row: EntryRow) -> QuerySet[EntryRow]:
    """The snapshots of the patient of an on-demand entry."""
    rows = EntryRow.objects.filter(shard_key=shard_key_of(row.patient_id), patient_id=row.patient_id)
    return rows.filter(facility_code=OWN, object_type=ObjectType.STABLE).exclude(sources="")


def _prepared(row: EntryRow, entry: DocumentEntry, unique_id: str, made: Assembled, directory: Path) -> Submission:
    """The submission of a snapshot, its content durable."""
    now = datetime.now(UTC)
    content = _spooled(made.write(unique_id, now), entry.mime_type, directory)
    entry_uuid = new_uuid_urn()
    stable = replace(
        entry,
        entry_uuid=entry_uuid,
        logical_id="",
        unique_id=unique_id,
        object_type=STABLE,
        creation_time=write_dtm(now),
        **whose(row.patient_id),
    )
    snapshot_of = Association(new_uuid_urn(), IS_SNAPSHOT_OF, entry_uuid, row.entry_uuid)
    objects = own_submission(stable)
    try:
        return prepare_provided(
            Submission(
                submission_sets=tuple(each for each in objects if isinstance(each, SubmissionSet)),
                document_entries=(stable,),
                associations=(*(each for each in objects if isinstance(each, Association)), snapshot_of),
                contents={entry_uuid: content},
            )
        )
    finally:
        content.path.unlink(missing_ok=True)


def _spooled(data: bytes, mime_type: str, directory: Path) -> Content:
    path = directory / f"part-{secrets.token_hex(16)}"  # the name that the sweep goes by
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    sha1 = hashlib.sha1(data, usedforsecurity=False).hexdigest()
    return Content(path, len(data), sha1, hashlib.sha256(data).hexdigest(), mime_type)


def _hold(prepared: Submission, row: EntryRow) -> None:
    """All at once what the registration holds, so that nobody waits for another in a circle."""
    (entry,), (submission_set,) = prepared.document_entries, prepared.submission_sets
    contents = [each.sha256 for each in prepared.contents.values()]
    ends = [entry.entry_uuid, submission_set.entry_uuid, row.entry_uuid]
    hold([entry.unique_id, submission_set.unique_id, *ends, *contents, row.patient_id])


def _register(prepared: Submission, row: EntryRow, made: Assembled, reader: str) -> None:
    """Register it and keep the record of that: the network is its own On-Demand Document Source (3.42.5)."""
    (entry,), (submission_set,) = prepared.document_entries, prepared.submission_sets
    sources = {entry.entry_uuid: write_sources(made.origins, [reader])}
    register_prepared(prepared, facility_code=OWN, sources=sources)
    record_own_work(
        IMPORT,
        CREATE,
        "ITI-42: a snapshot of an on-demand document",
        subjects_of_patients((row.patient_id,)),
        facility_code=reader,
        objects=(ParticipantObject(submission_set.unique_id, _SET_ID, type_code=2, role=_JOB),),
    )


def _hand_out(row: EntryRow, unique_id: str, reader: str) -> None:
    """Make a snapshot the latest of a facility, and no other; what is nobody's latest any more is deprecated."""
    for each in _snapshots_of(row).select_for_update().order_by("id"):
        readers = set(readers_of(each.sources))
        latest = each.unique_id == unique_id
        if latest == (reader in readers) and not (latest and each.status == Status.DEPRECATED):
            continue
        readers = readers | {reader} if latest else readers - {reader}
        each.sources = write_sources(origins_of(each.sources), readers)
        each.save(update_fields=["sources"])
        if bool(readers) is (each.status == Status.DEPRECATED):
            set_status(EntryRow, each.pk, bytes(each.fragment), APPROVED if readers else DEPRECATED)
