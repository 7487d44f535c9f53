"""Take metadata out of the registry and documents out of the repository (RMD: 3.62.4.1.3, 3.86.4.1.3).

Metadata go all together or not at all, and leave nothing behind that names them. Documents go each for itself, after
their metadata: while an entry describes a document, the document stays. A facility removes what it has registered.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from apps.xds import models
from apps.xds.repository import open_blob, repositories
from apps.xds.rules import origins_of
from apps.xds.services.relationships import Known, known_uuids
from apps.xds.services.storing import hold
from hie.values.documents import (
    HAS_MEMBER,
    DocumentRequest,
    RegistryResult,
    RemovalResult,
    RemoveDocuments,
    RemoveObjects,
)
from hie.values.errors import ExchangeError, Finding, Reason

_MODELS = {
    "DocumentEntry": models.DocumentEntry,
    "SubmissionSet": models.SubmissionSet,
    "Folder": models.Folder,
    "Association": models.Association,
}


def patients_of_objects(removal: RemoveObjects) -> tuple[str, ...]:
    """The regional ids of the patients whose objects are named."""
    return tuple(dict.fromkeys(each.patient_id for each in known_uuids(removal.object_ids).values()))


def patients_of_documents(removal: RemoveDocuments) -> dict[DocumentRequest, str]:
    """The regional id of the patient of each document that is known."""
    unique_ids = [each.document_unique_id for each in removal.documents]
    owners: dict[tuple[str, str], str] = {}
    for model in (models.DocumentEntry, models.Withdrawn):
        rows = model._default_manager.filter(unique_id__in=unique_ids)
        for unique_id, repository, patient_id in rows.values_list("unique_id", "repository_unique_id", "patient_id"):
            owners[repository, unique_id] = patient_id
    keys = {each: (each.repository_unique_id, each.document_unique_id) for each in removal.documents}
    return {each: owners[key] for each, key in keys.items() if key in owners}


@transaction.atomic
def remove_objects(removal: RemoveObjects, *, facility_code: str) -> RegistryResult:
    """Remove the objects named (ITI-62): all of them, or nothing. Raises ExchangeError with every finding."""
    if len(removal.object_ids) > settings.MAX_RESULTS:
        detail = f"One request may name at most {settings.MAX_RESULTS} objects; send several."
        raise ExchangeError(Reason.TOO_LARGE, detail)
    hold(removal.object_ids)
    known = known_uuids(removal.object_ids)
    hold(dict.fromkeys(each.patient_id for each in known.values()))
    findings = [*removal.findings, *_findings(removal, known, facility_code)]
    if findings:
        raise ExchangeError.of(findings)
    _withdraw([each.key for each in known.values() if each.kind == "DocumentEntry"])
    for patient_id in dict.fromkeys(each.patient_id for each in known.values()):
        withdraw_snapshots(patient_id, known)
    for kind, model in _MODELS.items():
        keys = [each.key for each in known.values() if each.kind == kind]
        model._default_manager.filter(pk__in=keys).delete()
    return RegistryResult()


def withdraw_snapshots(patient_id: str, made_from: Collection[str]) -> None:
    """Take away the snapshots of a person that were made from one of these entries, as if they had never been made.

    Called where an entry is described anew, removed or given to another person: what may be disclosed of a snapshot
    is known from its sources as they were then. Its content goes when the database transaction is over.
    """
    rows = models.DocumentEntry.objects.filter(
        shard_key=models.shard_key_of(patient_id), patient_id=patient_id, facility_code="", content__isnull=False
    ).exclude(sources="")
    for row in rows.defer("fragment"):
        if {each.entry_uuid for each in origins_of(row.sources)}.isdisjoint(made_from):
            continue
        ends = Q(source_uuid=row.entry_uuid) | Q(target_uuid=row.entry_uuid)
        touching = models.Association.objects.filter(ends)
        sets = list(
            touching.filter(association_type=HAS_MEMBER, facility_code="").values_list("source_uuid", flat=True)
        )
        _withdraw([row.pk])
        touching.delete()
        models.SubmissionSet.objects.filter(entry_uuid__in=sets).delete()
        row.delete()
        document = DocumentRequest(row.repository_unique_id, row.unique_id)
        transaction.on_commit(partial(remove_documents, RemoveDocuments((document,)), facility_code=""))


def _findings(removal: RemoveObjects, known: dict[str, Known], facility_code: str) -> Iterator[Finding]:
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
    touching = models.Association.objects.filter(Q(source_uuid__in=named) | Q(target_uuid__in=named))
    for uuid, *ends in touching.values_list("entry_uuid", "source_uuid", "target_uuid"):
        for end in ends if uuid not in known else ():
            if end in known:
                detail = f"An association that is not to be removed names the object: {uuid}."
                yield Finding(Reason.REFERENCES_EXIST, detail, f"{end}: ObjectRef")
    yield from _left_alone(known)


def _left_alone(known: dict[str, Known]) -> Iterator[Finding]:
    """Objects that would stay without the submission that brought them."""
    going = models.Association.objects.filter(
        pk__in=[each.key for each in known.values() if each.kind == "Association"], association_type=HAS_MEMBER
    )
    sets = models.SubmissionSet.objects.values("entry_uuid")
    targets = going.filter(source_uuid__in=sets).values_list("target_uuid", flat=True)
    staying = {target for target in targets if target not in known}
    others = models.Association.objects.filter(target_uuid__in=staying, association_type=HAS_MEMBER).exclude(
        entry_uuid__in=list(known)
    )
    held = others.filter(source_uuid__in=sets)
    for uuid in sorted(staying - set(held.values_list("target_uuid", flat=True))):
        detail = f"An object would stay that no SubmissionSet holds; remove it as well: {uuid}."
        yield Finding(Reason.UNREFERENCED_OBJECT, detail, f"{uuid}: ObjectRef")


def _withdraw(keys: list[int]) -> None:
    """Remember where the content of entries lies that are about to go."""
    rows = models.DocumentEntry.objects.filter(pk__in=keys, content__isnull=False)
    rows = rows.select_related("content").defer("fragment")
    models.Withdrawn.objects.bulk_create(
        models.Withdrawn(
            patient_id=row.patient_id,
            shard_key=row.shard_key,
            unique_id=row.unique_id,
            repository_unique_id=row.repository_unique_id,
            facility_code=row.facility_code,
            content=row.content,
        )
        for row in rows
        if row.content is not None
    )


def remove_documents(removal: RemoveDocuments, *, facility_code: str) -> RemovalResult:
    """Remove the documents named (ITI-86), each for itself: those that went, and a finding for each other."""
    removed: list[DocumentRequest] = []
    findings: list[Finding] = []
    for each in removal.documents:
        try:
            _remove_document(each, facility_code)
            removed.append(each)
        except ExchangeError as error:
            findings += error.findings
    return RemovalResult(tuple(removed), tuple(findings))


@transaction.atomic
def _remove_document(asked: DocumentRequest, facility_code: str) -> None:
    unique_id = asked.document_unique_id
    if asked.repository_unique_id not in repositories():
        detail = "The repository unique id is of no repository of this network."
        raise ExchangeError(Reason.UNKNOWN_REPOSITORY, detail, unique_id)
    hold([unique_id])
    named = {"unique_id": unique_id, "repository_unique_id": asked.repository_unique_id}
    entries = models.DocumentEntry.objects.filter(**named, facility_code=facility_code)
    if entries.exists():
        detail = "The registry still describes the document; remove its metadata first (ITI-62)."
        raise ExchangeError(Reason.DOCUMENT_NOT_REMOVED, detail, unique_id)
    rows = list(models.Withdrawn.objects.filter(**named, facility_code=facility_code).select_related("content"))
    if not rows:
        detail = "No document of your facility with this unique id is in this repository."
        raise ExchangeError(Reason.DOCUMENT_NOT_AVAILABLE, detail, unique_id)
    if any(not row.content.locator.startswith("blob:") for row in rows):
        detail = "The document lies in the storage of its hospital; it is removed there."
        raise ExchangeError(Reason.DOCUMENT_NOT_REMOVED, detail, unique_id)
    for row in rows:
        row.delete()
        _release(row.content)


def _release(content: models.Content) -> None:
    """Give the bytes up where nothing names them any more; the file goes when that is certain."""
    used = models.DocumentEntry.objects.filter(content=content).exists()
    if used or models.Withdrawn.objects.filter(content=content).exists():
        return
    content.delete()
    transaction.on_commit(lambda: _unlink(content.locator, content.sha256))


@transaction.atomic
def _unlink(locator: str, sha256: str) -> None:
    """Remove the file, unless the same bytes have been taken in again meanwhile (``registration`` holds them too)."""
    hold([sha256])
    if not models.Content.objects.filter(locator=locator).exists():
        path: Path = open_blob(locator)
        path.unlink(missing_ok=True)
