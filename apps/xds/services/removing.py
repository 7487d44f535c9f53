"""Take metadata out of the registry and documents out of the repository (RMD: 3.62.4.1.3, 3.86.4.1.3).

Metadata go all together or not at all, and leave nothing behind that names them. Documents go each for itself, after
their metadata: while an entry describes a document, the document stays. A facility removes what it has registered.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta
from functools import partial

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from apps.xds import models, stores
from apps.xds.models import SIDE_TABLES, shard_key_of
from apps.xds.repository import not_here
from apps.xds.rules import origins_of
from apps.xds.services import id_map
from apps.xds.services.relationships import Known, known_uuids
from apps.xds.services.storing import hold
from apps.xds.shards import in_shards, marks, shards_of, shards_of_patients
from hie.exchange.rows import execute, fetch
from hie.values.documents import (
    HAS_MEMBER,
    DocumentRequest,
    RegistryResult,
    RemovalResult,
    RemoveDocuments,
    RemoveObjects,
)
from hie.values.errors import ExchangeError, Finding, Reason

log = logging.getLogger("apps.xds.stores")

LONGEST_SILENCE = timedelta(days=1)  # of a backup; dumping a large database takes hours

_MODELS = {
    "DocumentEntry": models.DocumentEntry,
    "SubmissionSet": models.SubmissionSet,
    "Folder": models.Folder,
    "Association": models.Association,
}


_OWNED = ("unique_id", "repository_unique_id", "patient_id")


def patients_of_objects(removal: RemoveObjects) -> tuple[str, ...]:
    """The regional ids of the patients whose objects are named."""
    return tuple(dict.fromkeys(each.patient_id for each in known_uuids(removal.object_ids).values()))


def patients_of_documents(removal: RemoveDocuments) -> dict[DocumentRequest, str]:
    """The regional id of the patient of each document that is known."""
    unique_ids = [each.document_unique_id for each in removal.documents]
    owners: dict[tuple[str, str], str] = {}
    named = {"unique_id__in": unique_ids, "shard_key__in": shards_of(unique_ids)}
    entries = models.DocumentEntry.objects.filter(**named).values_list(*_OWNED)
    withdrawn = models.Withdrawn.objects.filter(**named).values_list(*_OWNED)
    for unique_id, repository, patient_id in entries.union(withdrawn, all=True):
        owners[repository, unique_id] = patient_id
    keys = {each: (each.repository_unique_id, each.document_unique_id) for each in removal.documents}
    return {each: owners[key] for each, key in keys.items() if key in owners}


@transaction.atomic
def remove_objects(removal: RemoveObjects, *, facility_code: str) -> RegistryResult:
    """Remove the objects named (ITI-62): all of them, or nothing. Raises ExchangeError with every finding."""
    if len(removal.object_ids) > settings.MAX_RESULTS:
        detail = f"One request may name at most {settings.MAX_RESULTS} objects; send several."
        raise ExchangeError(Reason.TOO_LARGE, detail)
    patients = patients_of_objects(removal)
    hold([*removal.object_ids, *patients])
    shards = shards_of(removal.object_ids)
    known = known_uuids(removal.object_ids, shards)
    if not {each.patient_id for each in known.values()} <= set(patients):
        raise ExchangeError(Reason.BUSY, _GIVEN_AWAY)
    findings = [*removal.findings, *_findings(removal, known, shards, facility_code)]
    if findings:
        raise ExchangeError.of(findings)
    for patient_id in dict.fromkeys(each.patient_id for each in known.values()):
        withdraw_snapshots(patient_id, known)
    _take_out(known)
    return RegistryResult()


_GIVEN_AWAY = "An object was given to another patient meanwhile; nothing was removed. Send the request again."


def _take_out(known: Mapping[str, Known]) -> None:
    """Delete objects; where the content of entries lies is remembered."""
    _withdraw(known)
    by_patient: dict[tuple[str, str], list[int]] = {}
    for each in known.values():
        by_patient.setdefault((each.kind, each.patient_id), []).append(each.key)
    unique_ids = [name for group, keys in by_patient.items() for name in _deleted(*group, keys)]
    id_map.leave(list(known), unique_ids)


def _deleted(kind: str, patient_id: str, keys: list[int]) -> list[str]:
    """Delete objects of one kind and patient with what the side tables say of them; return their unique ids."""
    model = _MODELS[kind]
    gone = "WHERE shard_key = %s AND patient_id = %s AND {} IN (" + marks(keys) + ")"
    parameters = [shard_key_of(patient_id), patient_id, *keys]
    for table, owner in SIDE_TABLES.get(model, ()):
        execute(f"DELETE FROM {table._meta.db_table} {gone.format(f'{owner}_id')}", parameters)  # noqa: S608
    delete = f"DELETE FROM {model._meta.db_table} {gone.format('id')}"  # noqa: S608
    if kind == "Association":
        execute(delete, parameters)
        return []
    return [unique_id for (unique_id,) in fetch(f"{delete} RETURNING unique_id", parameters)]


def withdraw_snapshots(patient_id: str, made_from: Collection[str]) -> None:
    """Take away the snapshots of a person that were made from one of these entries, as if they had never been made.

    Called where an entry is described anew, removed or given to another person: what may be disclosed of a snapshot
    is known from its sources as they were then. Its content goes when the database transaction is over.
    """
    of_patient = {"shard_key": shard_key_of(patient_id), "patient_id": patient_id, "facility_code": ""}
    rows = models.DocumentEntry.objects.filter(**of_patient, content__isnull=False).exclude(sources="")
    for row in rows.defer("fragment"):
        if {each.entry_uuid for each in origins_of(row.sources)}.isdisjoint(made_from):
            continue
        ends = Q(source_uuid=row.entry_uuid) | Q(target_uuid=row.entry_uuid)
        touching = models.Association.objects.filter(ends, shard_key=row.shard_key)
        named = [row.entry_uuid, *touching.values_list("entry_uuid", flat=True)]
        sets = touching.filter(association_type=HAS_MEMBER, facility_code="").values_list("source_uuid", flat=True)
        _take_out(known_uuids([*named, *sets]))
        document = DocumentRequest(row.repository_unique_id, row.unique_id)
        transaction.on_commit(partial(remove_documents, RemoveDocuments((document,)), facility_code=""))


def _findings(
    removal: RemoveObjects, known: dict[str, Known], shards: list[int], facility_code: str
) -> Iterator[Finding]:
    """What is wrong with a removal. shards: in which the objects lie, or something that touches them."""
    for uuid in removal.object_ids:
        location = f"{uuid[:128]}: ObjectRef"
        if uuid not in known:
            detail = "ObjectRef names no object of the registry."
            if not any(each.location == location for each in removal.findings):
                yield Finding(Reason.UNRESOLVED_REFERENCE, detail, location)
        elif known[uuid].facility_code != facility_code:
            detail = "The object is of another facility, which alone may remove it."
            yield Finding(Reason.CALLER_NOT_ENTITLED, detail, location)
    named = list(known)
    touching = models.Association.objects.filter(
        Q(source_uuid__in=named) | Q(target_uuid__in=named), shard_key__in=shards
    )
    for uuid, *ends in touching.values_list("entry_uuid", "source_uuid", "target_uuid"):
        for end in ends if uuid not in known else ():
            if end in known:
                detail = f"An association that is not to be removed names the object: {uuid}."
                yield Finding(Reason.REFERENCES_EXIST, detail, f"{end}: ObjectRef")
    yield from _left_alone(known)


def _left_alone(known: dict[str, Known]) -> Iterator[Finding]:
    """Objects that would stay without the submission that brought them."""
    sets = {each.entry_uuid for each in known.values() if each.kind == "SubmissionSet"}
    keys = [each.key for each in known.values() if each.kind == "Association"]
    shards = {shard_key_of(each.patient_id) for each in known.values() if each.kind == "Association"}
    going = models.Association.objects.filter(pk__in=keys, shard_key__in=shards, association_type=HAS_MEMBER)
    memberships = list(going.values_list("source_uuid", "target_uuid"))
    sets |= _sets_among({source for source, _ in memberships} - sets)
    staying = {target for source, target in memberships if source in sets and target not in known}
    others = models.Association.objects.filter(
        target_uuid__in=staying, shard_key__in=shards_of(staying), association_type=HAS_MEMBER
    )
    others = others.exclude(entry_uuid__in=list(known))
    holding = list(others.values_list("source_uuid", "target_uuid"))
    sets |= _sets_among({source for source, _ in holding} - sets)
    held = {target for source, target in holding if source in sets}
    for uuid in sorted(staying - held):
        detail = f"An object would stay that no SubmissionSet holds; remove it as well: {uuid}."
        yield Finding(Reason.UNREFERENCED_OBJECT, detail, f"{uuid}: ObjectRef")


def _sets_among(uuids: set[str]) -> set[str]:
    """Those that are submission sets."""
    named = list(uuids)
    rows = models.SubmissionSet.objects.filter(entry_uuid__in=named, shard_key__in=shards_of(named))
    return set(rows.values_list("entry_uuid", flat=True)) if named else set()


def _withdraw(known: Mapping[str, Known]) -> None:
    """Remember where the content of entries lies that are about to go."""
    entries = [each for each in known.values() if each.kind == "DocumentEntry"]
    if not entries:
        return
    where, shards = in_shards("shard_key", shards_of_patients(each.patient_id for each in entries))
    keys = [each.key for each in entries]
    shared = "patient_id, shard_key, unique_id, repository_unique_id, facility_code, content_id"
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    execute(
        f"INSERT INTO xds_withdrawn (withdrawn_at, {shared}) SELECT %s, {shared} FROM xds_documententry"  # noqa: S608
        f" WHERE {where} AND id IN ({marks(keys)}) AND content_id IS NOT NULL",
        [now, *shards, *keys],
    )


def remove_documents(removal: RemoveDocuments, *, facility_code: str) -> RemovalResult:
    """Remove the documents named (ITI-86), each for itself: those that went, and a finding for each other."""
    removed: list[DocumentRequest] = []
    findings: list[Finding] = []
    for each in dict.fromkeys(removal.documents):
        try:
            _remove_document(each, facility_code)
            removed.append(each)
        except ExchangeError as error:
            findings += error.findings
    return RemovalResult(tuple(removed), tuple(findings))


@transaction.atomic
def _remove_document(asked: DocumentRequest, facility_code: str) -> None:
    unique_id = asked.document_unique_id
    hold([unique_id])
    named = {
        "unique_id": unique_id,
        "repository_unique_id": asked.repository_unique_id,
        "shard_key__in": shards_of([unique_id]),
    }
    entries = models.DocumentEntry.objects.filter(**named, facility_code=facility_code)
    if entries.exists():
        detail = f"The registry still describes the document {unique_id}; remove its metadata first (ITI-62)."
        raise ExchangeError(Reason.DOCUMENT_NOT_REMOVED, detail, unique_id)
    rows = list(models.Withdrawn.objects.filter(**named, facility_code=facility_code).select_related("content"))
    if not rows:
        raise not_here(asked)
    if any(row.content.locator.partition(":")[0] not in stores.FORMS for row in rows):
        detail = f"The document {unique_id} lies in the storage of its hospital; it is removed there."
        raise ExchangeError(Reason.DOCUMENT_NOT_REMOVED, detail, unique_id)
    for row in rows:
        row.delete()
        _release(row.content)
    id_map.leave([], [unique_id])


def _release(content: models.Content) -> None:
    """Give the bytes up where nothing names them any more; they go when that is certain."""
    models.Content.objects.select_for_update().filter(pk=content.pk).first()  # a registration may be counting on it
    if fetch(_NAMED, [content.pk] * 2):
        return
    execute("DELETE FROM xds_sealingkey WHERE content_id = %s", [content.pk])
    execute("DELETE FROM xds_content WHERE id = %s", [content.pk])
    transaction.on_commit(lambda: give_up(content.locator, content.sha256))


_NAMED = (
    "SELECT 1 WHERE EXISTS (SELECT 1 FROM xds_documententry WHERE content_id = %s)"
    " OR EXISTS (SELECT 1 FROM xds_withdrawn WHERE content_id = %s)"
)


def give_up(locator: str, sha256: str) -> bool:
    """Remove bytes of our own stores that no row names; False where they are needed by now.

    A blob may be taken in again at any moment, under the same name, by a registration that holds its SHA-256 too;
    of the other forms nobody can come to need what nobody needs (apps/xds/stores), and no transaction is open.
    Where a bucket does not answer, or while a backup is under way, they stay, an orphan that ``check_documents`` finds.
    """
    if backup_under_way():
        return False
    try:
        if locator.startswith(f"{stores.BLOB}:"):
            return _remove_blob(locator, sha256)
        if models.Content.objects.filter(locator=locator).exists():
            return False
        stores.remove(locator)
    except OSError as failure:
        log.warning("content %s could not be removed: %s", sha256[:16], failure)
        return False
    return True


def backup_under_way() -> bool:
    """Whether a backup may still copy what its copy of the database names. One without a sign for a day was killed."""
    recent = timezone.now() - LONGEST_SILENCE
    return models.BackupRun.objects.filter(ended_at=None, alive_at__gt=recent).exists()


@transaction.atomic
def _remove_blob(locator: str, sha256: str) -> bool:
    hold([sha256])
    if models.Content.objects.filter(locator=locator).exists():
        return False
    stores.remove(locator)
    return True
