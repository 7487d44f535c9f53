"""Register and submit: ITI-42 and ITI-41 (ITI TF-2: 3.42.4.1.3, 3.41.4.1.3).

Everything that is wrong with a submission is found before it is refused, and nothing of it is stored then. A
submission that is sent again, because its answer was lost, is recognised by the unique id and the digest of what it
contains, and answered as it was the first time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from apps.network.queries import facility_of_authority
from apps.pix.queries import regional_id_of
from apps.xds import models
from apps.xds.models import Status
from apps.xds.repository import keep_blob, repositories
from apps.xds.services import code_sets, relationships
from apps.xds.services.relationships import Change, Known
from apps.xds.services.storing import approved, deprecate, hold, keep_contents, store, touch_folders
from hie.values.documents import (
    Association,
    Content,
    DocumentEntry,
    Folder,
    RegistryObject,
    RegistryResult,
    Submission,
    SubmissionSet,
)
from hie.values.errors import ExchangeError, Finding, Reason
from hie.values.identifiers import AssigningAuthority, Identifier, is_uuid_urn, new_uuid_urn
from hie.values.times import write_dtm
from hie.wire.ebxml.validation import validate

_AT_ONCE = 2000  # ids in one statement: a database takes so many parameters and no more
_STORED = ("document_entries", "submission_sets", "folders", "associations")


def register(submission: Submission, *, facility_code: str) -> RegistryResult:
    """Register the metadata of a submission (ITI-42): all of it, or nothing.

    facility_code: whose record it is, ten digits. Returns the warnings that accompany the success. Raises
    ExchangeError with every finding, those of the reading included.
    """
    return register_prepared(prepare(submission), facility_code=facility_code)


def submit(submission: Submission, *, facility_code: str) -> RegistryResult:
    """Store the documents of a submission and register them (ITI-41): all of it, or nothing.

    The contents are durable before the registry names them; size, hash and repositoryUniqueId are filled in, or
    compared where the sender gave them. Raises ExchangeError with every finding.
    """
    return register_prepared(prepare_provided(submission), facility_code=facility_code)


def prepare(submission: Submission) -> Submission:
    """Judge what can be judged without the database; the findings go along with the submission."""
    return replace(submission, findings=(*submission.findings, *validate(submission)))


def prepare_provided(submission: Submission) -> Submission:
    """The same of a submission with its documents, whose contents are made durable if nothing is wrong so far.

    Contents that no registration follows are harmless: nothing names them.
    """
    findings = (*submission.findings, *validate(submission, provided=True), *_altered(submission))
    submission = replace(_filled_in(submission), findings=findings)
    if not _errors(findings):
        for content in submission.contents.values():
            keep_blob(content)
    return submission


def _altered(submission: Submission) -> list[Finding]:
    """Documents whose bytes are not those that their metadata describe."""
    findings = []
    for entry in submission.document_entries:
        content = submission.contents.get(entry.entry_uuid)
        if content is None:
            continue
        if entry.hash and entry.hash.lower() != content.sha1:
            findings.append(_wrong(entry, "hash", "hash is not the SHA-1 of the document that came with it."))
        if entry.size is not None and entry.size != content.size:
            findings.append(_wrong(entry, "size", f"size is {entry.size}, but the document has {content.size} bytes."))
    return findings


def _wrong(entry: DocumentEntry, slot: str, sentence: str) -> Finding:
    return Finding(Reason.REPOSITORY_METADATA, f"DocumentEntry.{sentence}", f"{entry.entry_uuid}: {slot}")


def _filled_in(submission: Submission) -> Submission:
    """The submission with what the repository knows better than its sender."""
    entries = []
    for entry in submission.document_entries:
        content = submission.contents.get(entry.entry_uuid)
        if content is not None:
            entry = replace(entry, hash=content.sha1, size=content.size, repository_unique_id=settings.REPOSITORY_OID)
        entries.append(entry)
    return replace(submission, document_entries=tuple(entries))


@transaction.atomic
def register_prepared(submission: Submission, *, facility_code: str) -> RegistryResult:
    """Register what ``prepare`` or ``prepare_provided`` has judged, with all that the database says against it."""
    findings, contents = list(submission.findings), submission.contents
    if len(submission.submission_sets) != 1:
        raise ExchangeError.of(
            _errors(findings)
            or [Finding(Reason.METADATA, "A submission holds exactly one SubmissionSet.", "RegistryObjectList")]
        )
    digest = _digest(submission, facility_code)
    hold(_names(submission))
    registered = _registered_ids(submission)
    if _sent_before(submission, registered, digest):
        return RegistryResult(_warnings(findings))
    patient_id = _patient(submission)
    if not patient_id:
        findings.append(Finding(Reason.UNKNOWN_PATIENT, _UNKNOWN_PATIENT, "patientId"))
    known = relationships.known_objects(submission)
    findings += _duplicates(submission, registered, known)
    findings += _foreign(submission, facility_code)
    findings += code_sets.findings(_objects(submission))
    places = _places(submission, contents, registered, facility_code, findings)
    findings += relationships.findings(submission, known, patient_id, facility_code)
    if _errors(findings):
        raise ExchangeError.of(_errors(findings))
    _store(submission, facility_code, patient_id, known, contents, places, digest)
    return RegistryResult(_warnings(findings))


_UNKNOWN_PATIENT = (
    "patientId is not a regional id of this affinity domain, or is not known any more; ask for the present one (ITI-9)."
)


def _errors(findings: Iterable[Finding]) -> list[Finding]:
    return [each for each in findings if each.reason.value.outcome]


def _warnings(findings: list[Finding]) -> tuple[Finding, ...]:
    return tuple(each for each in findings if not each.reason.value.outcome)


def _objects(submission: Submission) -> list[RegistryObject]:
    return [each for name in _STORED for each in getattr(submission, name)]


def _digest(submission: Submission, facility_code: str) -> str:
    """SHA-256 of what a submission says and contains, symbolic ids as they were sent."""
    contents = sorted((name, content.sha256) for name, content in submission.contents.items())
    return hashlib.sha256(repr((facility_code, _objects(submission), contents)).encode()).hexdigest()


def _unique_ids(submission: Submission) -> list[str]:
    named: list[SubmissionSet | Folder | DocumentEntry]
    named = [*submission.submission_sets, *submission.folders, *submission.document_entries]
    return list(dict.fromkeys(each.unique_id for each in named if each.unique_id))


def _names(submission: Submission) -> list[str]:
    """What nobody else may register, replace or merge meanwhile."""
    ends = [end for each in submission.associations for end in (each.source_object, each.target_object)]
    patient = Identifier.from_cx(submission.submission_sets[0].patient_id).value
    return [*_unique_ids(submission), *filter(is_uuid_urn, ends), patient]


def _patient(submission: Submission) -> str:
    """The regional id of the submission's patient, "" where it is not known in the affinity domain.

    A subsumed id is not known any more (ITI TF-2: 3.8.4.2.4), and a chart number is none of the affinity domain.
    """
    identifier = Identifier.from_cx(submission.submission_sets[0].patient_id)
    if identifier.oid != settings.AFFINITY_DOMAIN_OID or not identifier.value:
        return ""
    regional_id = regional_id_of(identifier)
    return identifier.value if regional_id == identifier.value else ""


@dataclass(frozen=True, slots=True)
class _Registered:
    """An object of the registry that bears a unique id of the submission."""

    kind: str
    hash: str
    size: int | None
    digest: str
    content_id: int | None
    facility_code: str


def _registered_ids(submission: Submission) -> dict[str, list[_Registered]]:
    unique_ids = _unique_ids(submission)
    found: dict[str, list[_Registered]] = {}
    for start in range(0, len(unique_ids), _AT_ONCE):
        for unique_id, *columns in _rows_named(unique_ids[start : start + _AT_ONCE]):
            found.setdefault(unique_id, []).append(_Registered(*columns))
    return found


def _rows_named(unique_ids: list[str]) -> list[tuple[Any, ...]]:
    marks = ", ".join(["%s"] * len(unique_ids))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT unique_id, 'DocumentEntry', hash, size, '', content_id, facility_code FROM xds_documententry"  # noqa: S608
            f" WHERE unique_id IN ({marks}) UNION ALL"
            " SELECT unique_id, 'SubmissionSet', '', NULL, digest, NULL, facility_code FROM xds_submissionset"
            f" WHERE unique_id IN ({marks}) UNION ALL"
            " SELECT unique_id, 'Folder', '', NULL, '', NULL, facility_code FROM xds_folder"
            f" WHERE unique_id IN ({marks})",
            unique_ids * 3,
        )
        return list(cursor.fetchall())


def _sent_before(submission: Submission, registered: Mapping[str, list[_Registered]], digest: str) -> bool:
    same_id = registered.get(submission.submission_sets[0].unique_id, ())
    return any(each.kind == "SubmissionSet" and each.digest == digest for each in same_id)


def _duplicates(
    submission: Submission, registered: Mapping[str, list[_Registered]], known: Mapping[str, Known]
) -> list[Finding]:
    """Ids that are taken, and documents that are registered with other bytes (ITI TF-2: 3.42.4.1.3.3.1, .7)."""
    findings = []
    packages: list[SubmissionSet | Folder] = [*submission.submission_sets, *submission.folders]
    for package in packages:
        if package.unique_id in registered:
            sentence = f"{type(package).__name__}.uniqueId {package.unique_id} is registered already; use a new one."
            findings.append(Finding(Reason.DUPLICATE_ID_IN_REGISTRY, sentence, f"{package.entry_uuid}: uniqueId"))
    for entry in submission.document_entries:
        findings += _other_bytes(entry, registered.get(entry.unique_id, []))
    for each in _objects(submission):
        if each.entry_uuid in known:
            sentence = "The id is that of an object in the registry; use a new UUID or a symbolic id."
            findings.append(Finding(Reason.METADATA, sentence, f"{each.entry_uuid}: id"))
    return findings


def _other_bytes(entry: DocumentEntry, same_id: list[_Registered]) -> list[Finding]:
    sentence = f"uniqueId {entry.unique_id} is registered already with another"
    location = f"{entry.entry_uuid}: uniqueId"
    if any(each.kind != "DocumentEntry" for each in same_id):
        return [Finding(Reason.DUPLICATE_ID_IN_REGISTRY, f"{sentence} kind of object; use a new one.", location)]
    if any(each.hash != entry.hash.lower() for each in same_id):
        return [Finding(Reason.NON_IDENTICAL_HASH, f"{sentence} hash; a changed document needs a new one.", location)]
    if any(each.size != entry.size for each in same_id):
        return [Finding(Reason.NON_IDENTICAL_SIZE, f"{sentence} size; a changed document needs a new one.", location)]
    return []


def _foreign(submission: Submission, facility_code: str) -> list[Finding]:
    """Source patients of another member: a facility speaks only of its own."""
    findings = []
    for entry in submission.document_entries:
        oid = Identifier.from_cx(entry.source_patient_id).oid
        owner = facility_of_authority(oid) if oid else None
        if owner is not None and owner.code != facility_code:
            sentence = "sourcePatientId is a chart number of another facility; give the one of your own."
            findings.append(Finding(Reason.METADATA, sentence, f"{entry.entry_uuid}: sourcePatientId"))
    return findings


def _places(
    submission: Submission,
    contents: Mapping[str, Content],
    registered: Mapping[str, list[_Registered]],
    facility_code: str,
    findings: list[Finding],
) -> dict[str, int]:
    """Contents of this repository that entries name without bringing them; findings about repositories.

    Only the facility that brought a document may register it again, so that no entry opens another's content.
    """
    places: dict[str, int] = {}
    for entry in submission.document_entries:
        if entry.entry_uuid in contents or not entry.repository_unique_id:
            continue
        location = f"{entry.entry_uuid}: repositoryUniqueId"
        if entry.repository_unique_id not in repositories():
            sentence = "repositoryUniqueId is of no repository of this network; its administrator has to enter it."
            findings.append(Finding(Reason.METADATA, sentence, location))
        elif entry.repository_unique_id == settings.REPOSITORY_OID:
            own = [
                each.content_id for each in registered.get(entry.unique_id, ()) if each.facility_code == facility_code
            ]
            content_id = next(filter(None, own), None)
            if content_id is None:
                sentence = "This repository does not hold the document; bring it with ITI-41."
                findings.append(Finding(Reason.METADATA, sentence, location))
            else:
                places[entry.entry_uuid] = content_id
    return places


def _store(
    submission: Submission,
    facility_code: str,
    patient_id: str,
    known: Mapping[str, Known],
    contents: Mapping[str, Content],
    places: Mapping[str, int],
    digest: str,
) -> None:
    moment = write_dtm(datetime.now(UTC))
    final = _final_ids(submission)
    change = relationships.change(submission, known)
    objects = [_completed(each, final, patient_id, moment) for each in _objects(submission)]
    objects += [_completed(each, final, patient_id, moment) for each in change.associations]
    kept = keep_contents(
        [
            models.Content(locator=f"blob:{each.sha256}", size=each.size, sha1=each.sha1, sha256=each.sha256)
            for each in contents.values()
        ]
    )
    by_uuid = {final[name]: kept[f"blob:{each.sha256}", each.sha256] for name, each in contents.items()}
    by_uuid |= {final[name]: content_id for name, content_id in places.items()}
    store(objects, facility_code, lambda _: patient_id, by_uuid, digest)
    _apply(change, moment)


def _apply(change: Change, moment: str) -> None:
    deprecate((each.key, each.fragment) for each in change.deprecated if each.status == Status.APPROVED)
    touch_folders(change.folders, moment)


def _final_ids(submission: Submission) -> dict[str, str]:
    """Id as sent -> entry UUID: a UUID stays, a symbolic id becomes a new one (ITI TF-2: 3.42.4.1.3.7)."""
    ids = (each.entry_uuid for each in _objects(submission))
    return {name: name if is_uuid_urn(name) else new_uuid_urn() for name in ids}


def _completed(
    registry_object: RegistryObject, final: Mapping[str, str], patient_id: str, moment: str
) -> RegistryObject:
    """The object as the registry keeps it: final ids, first version, Approved, patient id in its canonical form."""
    entry_uuid = final.get(registry_object.entry_uuid, registry_object.entry_uuid)
    if isinstance(registry_object, Association):
        return approved(
            replace(
                registry_object,
                entry_uuid=entry_uuid,
                source_object=final.get(registry_object.source_object, registry_object.source_object),
                target_object=final.get(registry_object.target_object, registry_object.target_object),
            )
        )
    patient = Identifier(patient_id, AssigningAuthority(oid=settings.AFFINITY_DOMAIN_OID)).xds_cx
    completed = approved(replace(registry_object, entry_uuid=entry_uuid, patient_id=patient))
    if isinstance(completed, DocumentEntry | Folder):
        completed = replace(completed, logical_id=entry_uuid, version=1)
    return replace(completed, last_update_time=moment) if isinstance(completed, Folder) else completed
