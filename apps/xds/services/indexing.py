"""Documents that are indexed where they lie, many at a time: the bulk path of a storage's scan.

The scan may be interrupted anywhere and repeated: what is known by its entry UUID is left alone.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from django.conf import settings
from django.db import transaction

from apps.xds import models
from apps.xds.models import Status
from apps.xds.services.storing import deprecate, hold, keep_contents, patient_of, store
from apps.xds.services.telling import event_of, tell
from apps.xds.shards import shards_of
from hie.values.codes import Code
from hie.values.documents import (
    APPROVED,
    DEPRECATED,
    HAS_MEMBER,
    RPLC,
    Association,
    Author,
    DocumentEntry,
    RegistryObject,
    SubmissionSet,
)
from hie.values.errors import ExchangeError, Finding, Reason
from hie.values.identifiers import named_uuid_urn, urn_oid
from hie.values.times import write_dtm


@dataclass(frozen=True, slots=True)
class IndexedDocument:
    """One document that lies in a content store.

    entry: complete, with its final entry UUID; an empty repository_unique_id means this repository. locator and sha256
    say where its bytes lie and what they are. replaces: entry UUID of its previous version, or "".
    """

    entry: DocumentEntry
    locator: str
    sha256: str
    replaces: str = ""


@dataclass(frozen=True, slots=True)
class IndexResult:
    """How many entries were new, were known already, and were deprecated by name; UUIDs named that are not there."""

    registered: int = 0
    known: int = 0
    deprecated: int = 0
    unknown: tuple[str, ...] = ()


@transaction.atomic
def index_documents(
    documents: Sequence[IndexedDocument],
    *,
    facility_code: str,
    source_id: str,
    submission_time: str = "",
    author: Author | None = None,
    content_type_code: Code | None = None,
    title: str = "",
    deprecate: Collection[str] = (),
) -> IndexResult:
    """Register documents of one facility, each patient's in one submission set; deprecate those named.

    source_id: OID of the sending system. submission_time: DTM in UTC, "" for now. Idempotent by entry UUID. A version
    that is replaced is deprecated and joined to its successor by RPLC. One database transaction, a handful of
    statements however many documents. Raises ExchangeError(NON_IDENTICAL_HASH, NON_IDENTICAL_SIZE) where a unique id
    is registered with other bytes, and changes nothing then.
    """
    named = [each.entry.entry_uuid for each in documents]
    replaced = [each.replaces for each in documents if each.replaces]
    patients = {patient_of(each.entry) for each in documents}
    hold([*patients, *replaced, *deprecate, *(each.entry.unique_id for each in documents)])
    there = _entries_there({*named, *replaced, *deprecate})
    new = [_completed(each) for each in {each.entry.entry_uuid: each for each in documents}.values()]
    new = [each for each in new if each.entry.entry_uuid not in there]
    _check_bytes(new)
    shared = _Submission(facility_code, source_id, submission_time, author, content_type_code, title)
    _register(new, shared, there, frozenset(deprecate))
    gone = [there[each] for each in set(deprecate) if each in there and there[each].status == Status.APPROVED]
    _deprecate(gone)
    known_now = {*there, *(each.entry.entry_uuid for each in new)}
    unknown = [each for each in (*replaced, *deprecate) if each not in known_now]
    return IndexResult(len(new), len(documents) - len(new), len(gone), tuple(dict.fromkeys(unknown)))


@transaction.atomic
def relocate_content(locators: Mapping[str, str]) -> int:
    """The same bytes lie elsewhere: entry UUID -> new locator. Returns the number of entries changed."""
    rows = models.DocumentEntry.objects.filter(
        entry_uuid__in=list(locators), shard_key__in=shards_of(locators), content__isnull=False
    )
    contents = keep_contents(
        [
            models.Content(
                locator=locators[row.entry_uuid],
                size=row.content.size,
                sha1=row.content.sha1,
                sha256=row.content.sha256,
            )
            for row in rows.select_related("content")
            if row.content is not None
        ]
    )
    changed = list(rows.select_related("content"))
    for row in changed:
        assert row.content is not None
        row.content_id = contents[locators[row.entry_uuid], row.content.sha256]
    return models.DocumentEntry.objects.bulk_update(changed, ["content"], batch_size=200)


@dataclass(frozen=True, slots=True)
class _There:
    """An entry of the registry, as far as a replacement needs to know it."""

    key: int
    status: int
    fragment: bytes


@dataclass(frozen=True, slots=True)
class _Submission:
    """What the submission sets of one call share."""

    facility_code: str
    source_id: str
    time: str
    author: Author | None
    content_type_code: Code | None
    title: str

    def of(self, first: DocumentEntry) -> SubmissionSet:
        """The submission set of one patient: its ids are derived from its first entry, so that they are made once."""
        identity = _named(f"submission set of {first.entry_uuid}")
        return SubmissionSet(
            entry_uuid=identity,
            unique_id=urn_oid(identity),
            patient_id=first.patient_id,
            source_id=self.source_id,
            submission_time=self.time or write_dtm(datetime.now(UTC)),
            title=self.title,
            authors=(self.author,) if self.author else (),
            content_type_code=self.content_type_code,
        )


def _entries_there(uuids: Iterable[str]) -> dict[str, _There]:
    named = list(uuids)
    rows = models.DocumentEntry.objects.filter(entry_uuid__in=named, shard_key__in=shards_of(named))
    columns = rows.values_list("entry_uuid", "id", "status", "fragment")
    return {entry_uuid: _There(key, status, bytes(fragment)) for entry_uuid, key, status, fragment in columns}


def _completed(document: IndexedDocument) -> IndexedDocument:
    entry = document.entry
    if entry.availability_status == APPROVED and entry.logical_id and entry.repository_unique_id:
        return document
    entry = replace(
        entry,
        availability_status=APPROVED,
        logical_id=entry.logical_id or entry.entry_uuid,
        repository_unique_id=entry.repository_unique_id or settings.REPOSITORY_OID,
    )
    return IndexedDocument(entry, document.locator, document.sha256, document.replaces)


def _check_bytes(documents: Sequence[IndexedDocument]) -> None:
    """One unique id stands for the same bytes, in the registry and in the batch (ITI TF-2: 3.42.4.1.3.3.1)."""
    unique_ids = [each.entry.unique_id for each in documents]
    rows = models.DocumentEntry.objects.filter(unique_id__in=unique_ids, shard_key__in=shards_of(unique_ids))
    known = {unique_id: (sha1, size) for unique_id, sha1, size in rows.values_list("unique_id", "hash", "size")}
    findings = []
    for entry in (each.entry for each in documents):
        sha1, size = known.setdefault(entry.unique_id, (entry.hash.lower(), entry.size))
        if sha1 != entry.hash.lower():
            findings.append(Finding(Reason.NON_IDENTICAL_HASH, _OTHER_BYTES, entry.unique_id))
        elif size != entry.size:
            findings.append(Finding(Reason.NON_IDENTICAL_SIZE, _OTHER_BYTES, entry.unique_id))
    if findings:
        raise ExchangeError.of(findings)


_OTHER_BYTES = "The unique id is already registered for other bytes; a changed document needs a new unique id."


def _register(
    documents: Sequence[IndexedDocument],
    submission: _Submission,
    there: Mapping[str, _There],
    deleted: frozenset[str],
) -> None:
    if not documents:
        return
    new = {each.entry.entry_uuid for each in documents}
    successors = [each for each in documents if each.replaces in new or each.replaces in there]
    superseded = {each.replaces for each in successors}
    _deprecate(there[each] for each in superseded if each in there and there[each].status == Status.APPROVED)
    contents = keep_contents(
        [
            models.Content(
                locator=each.locator,
                size=each.entry.size or 0,
                sha1=each.entry.hash.lower(),
                sha256=each.sha256.lower(),
            )
            for each in documents
        ]
    )
    entries = [
        replace(each.entry, availability_status=DEPRECATED)
        if each.entry.entry_uuid in superseded | deleted
        else each.entry
        for each in documents
    ]
    patients = {each.entry_uuid: patient_of(each) for each in entries}
    associations = [_association(RPLC, each.entry.entry_uuid, each.replaces) for each in successors if each.replaces]
    sets: dict[str, SubmissionSet] = {}
    for entry in entries:
        submission_set = sets.setdefault(entry.patient_id, submission.of(entry))
        patients[submission_set.entry_uuid] = patients[entry.entry_uuid]
        associations.append(_association(HAS_MEMBER, submission_set.entry_uuid, entry.entry_uuid))

    def patient(each: RegistryObject) -> str:
        return patients[each.source_object if isinstance(each, Association) else each.entry_uuid]

    places = {each.entry.entry_uuid: contents[each.locator, each.sha256.lower()] for each in documents}
    store([*sets.values(), *entries, *associations], submission.facility_code, patient, places)
    told: dict[str, list[RegistryObject]] = {}
    made: list[RegistryObject] = [*entries, *sets.values()]
    for owned in made:
        told.setdefault(patients[owned.entry_uuid], []).append(owned)
    tell({patient_id: event_of(objects) for patient_id, objects in told.items()})


def _association(kind: str, source: str, target: str) -> Association:
    """An association whose id is derived from its ends, so that it is made once."""
    status = "Original" if kind == HAS_MEMBER else ""
    return Association(_named(f"{kind} {source} {target}"), kind, source, target, submission_set_status=status)


def _named(name: str) -> str:
    return named_uuid_urn(uuid.NAMESPACE_URL.bytes + name.encode())


def _deprecate(entries: Iterable[_There]) -> None:
    deprecate((each.key, each.fragment) for each in entries)
