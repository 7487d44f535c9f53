"""What any submission is asked of the registry, new metadata and updates alike (ITI TF-2: 3.42.4.1.3).

Was it sent before? Is its patient known? Which of its ids are taken?
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings

from apps.ids.rules import detect_national_number
from apps.network.queries import facility_of_authority
from apps.pix.queries import regional_id_of
from apps.xds.services.relationships import Known
from apps.xds.services.storing import approved
from apps.xds.shards import in_shards, marks, shards_of
from hie.exchange.rows import fetch
from hie.values.documents import (
    Association,
    DocumentEntry,
    Folder,
    RegistryObject,
    Submission,
    SubmissionSet,
)
from hie.values.errors import Finding, Reason
from hie.values.identifiers import AssigningAuthority, Identifier, is_uuid_urn, new_uuid_urn

_AT_ONCE = 2000  # ids in one statement: a database takes so many parameters and no more
_STORED = ("document_entries", "submission_sets", "folders", "associations")


UNKNOWN_PATIENT = (
    "patientId is not a regional id of this affinity domain, or is not known any more; ask for the present one (ITI-9)."
)


def errors_of(findings: Iterable[Finding]) -> list[Finding]:
    return [each for each in findings if each.reason.value.outcome]


def warnings_of(findings: list[Finding]) -> tuple[Finding, ...]:
    return tuple(each for each in findings if not each.reason.value.outcome)


def objects_of(submission: Submission) -> list[RegistryObject]:
    return [each for name in _STORED for each in getattr(submission, name)]


def digest_of(submission: Submission, facility_code: str) -> str:
    """SHA-256 of what a submission says and contains, symbolic ids as they were sent."""
    contents = sorted((name, content.sha256) for name, content in submission.contents.items())
    return hashlib.sha256(repr((facility_code, objects_of(submission), contents)).encode()).hexdigest()


def named_unique_ids(submission: Submission) -> list[str]:
    named: list[SubmissionSet | Folder | DocumentEntry]
    named = [*submission.submission_sets, *submission.folders, *submission.document_entries]
    return list(dict.fromkeys(each.unique_id for each in named if each.unique_id))


def patient_of_submission(submission: Submission) -> str:
    """The regional id of the submission's patient, "" where it is not known in the affinity domain.

    A subsumed id is not known any more (ITI TF-2: 3.8.4.2.4), and a chart number is none of the affinity domain.
    """
    identifier = Identifier.from_cx(submission.submission_sets[0].patient_id)
    if identifier.oid != settings.AFFINITY_DOMAIN_OID or not identifier.value:
        return ""
    regional_id = regional_id_of(identifier)
    return identifier.value if regional_id == identifier.value else ""


@dataclass(frozen=True, slots=True)
class Registered:
    """An object of the registry that bears a unique id of the submission."""

    kind: str
    hash: str
    size: int | None
    digest: str
    content_id: int | None
    facility_code: str


def registered_ids(submission: Submission) -> dict[str, list[Registered]]:
    unique_ids = named_unique_ids(submission)
    found: dict[str, list[Registered]] = {}
    for start in range(0, len(unique_ids), _AT_ONCE):
        for unique_id, *columns in _rows_named(unique_ids[start : start + _AT_ONCE]):
            found.setdefault(unique_id, []).append(Registered(*columns))
    return found


def _rows_named(unique_ids: list[str]) -> list[tuple[Any, ...]]:
    where, shards = in_shards("shard_key", shards_of(unique_ids))
    if not shards:
        return []
    named = f"WHERE {where} AND unique_id IN ({marks(unique_ids)})"
    return fetch(
        "SELECT unique_id, 'DocumentEntry', hash, size, '', content_id, facility_code FROM xds_documententry"  # noqa: S608
        f" {named} UNION ALL"
        " SELECT unique_id, 'SubmissionSet', '', NULL, digest, NULL, facility_code FROM xds_submissionset"
        f" {named} UNION ALL"
        " SELECT unique_id, 'Folder', '', NULL, '', NULL, facility_code FROM xds_folder"
        f" {named}",
        [*shards, *unique_ids] * 3,
    )


def sent_before(submission: Submission, registered: Mapping[str, list[Registered]], digest: str) -> bool:
    same_id = registered.get(submission.submission_sets[0].unique_id, ())
    return any(each.kind == "SubmissionSet" and each.digest == digest for each in same_id)


def duplicates(
    submission: Submission, registered: Mapping[str, list[Registered]], known: Mapping[str, Known]
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
    for each in objects_of(submission):
        if each.entry_uuid in known:
            sentence = "The id is that of an object in the registry; use a new UUID or a symbolic id."
            findings.append(Finding(Reason.METADATA, sentence, f"{each.entry_uuid}: id"))
    return findings


def _other_bytes(entry: DocumentEntry, same_id: list[Registered]) -> list[Finding]:
    """XDSDuplicateUniqueIdInRegistry is no error of a DocumentEntry (ITI TF-3 table 4.2.4.1-2)."""
    sentence = f"uniqueId {entry.unique_id} is registered already with another"
    location = f"{entry.entry_uuid}: uniqueId"
    if any(each.kind != "DocumentEntry" for each in same_id):
        return [Finding(Reason.METADATA, f"{sentence} kind of object; use a new one.", location)]
    if any(each.hash != entry.hash.lower() for each in same_id):
        return [Finding(Reason.NON_IDENTICAL_HASH, f"{sentence} hash; a changed document needs a new one.", location)]
    if any(each.size != entry.size for each in same_id):
        return [Finding(Reason.NON_IDENTICAL_SIZE, f"{sentence} size; a changed document needs a new one.", location)]
    return []


def foreign_sources(submission: Submission, facility_code: str) -> list[Finding]:
    """Source patients of another member: a facility speaks only of its own."""
    findings = []
    for entry in submission.document_entries:
        oid = Identifier.from_cx(entry.source_patient_id).oid
        owner = facility_of_authority(oid) if oid else None
        if owner is not None and owner.code != facility_code:
            sentence = "sourcePatientId is a chart number of another facility; give the one of your own."
            findings.append(Finding(Reason.METADATA, sentence, f"{entry.entry_uuid}: sourcePatientId"))
    return findings


def national_numbers(submission: Submission) -> list[Finding]:
    """My Numbers and resident codes in what a submission says of patients; their digits are not repeated."""
    findings: list[Finding] = []
    for entry in submission.document_entries:
        texts = [("sourcePatientId", "identifier", Identifier.from_cx(entry.source_patient_id).value)]
        texts += [("sourcePatientInfo", "identifier", each) for each in entry.source_patient_info]
        texts += [("title", "title", entry.title), ("comments", "comments", entry.comments)]
        findings += _numbers_in(entry.entry_uuid, texts)
    packages: tuple[Folder | SubmissionSet, ...] = (*submission.folders, *submission.submission_sets)
    for each in packages:
        texts = [("title", "title", each.title), ("comments", "comments", each.comments)]
        findings += _numbers_in(each.entry_uuid, texts)
    return findings


def _numbers_in(entry_uuid: str, texts: Iterable[tuple[str, str, str]]) -> Iterator[Finding]:
    """texts: name of the attribute, kind of its field, value."""
    for name, field, text in texts:
        suspect = detect_national_number(text, field)
        if suspect is not None and suspect.refused:
            sentence = f"{name} carries a number that looks like a {suspect.kind}, which medicine must not keep."
            yield Finding(Reason.NATIONAL_NUMBER, sentence, f"{entry_uuid}: {name}")


def final_ids(submission: Submission) -> dict[str, str]:
    """Id as sent -> entry UUID: a UUID stays, a symbolic id becomes a new one (ITI TF-2: 3.42.4.1.3.7)."""
    ids = (each.entry_uuid for each in objects_of(submission))
    return {name: name if is_uuid_urn(name) else new_uuid_urn() for name in ids}


def completed(
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
    whole = approved(replace(registry_object, entry_uuid=entry_uuid, patient_id=patient))
    if isinstance(whole, DocumentEntry | Folder):
        whole = replace(whole, logical_id=entry_uuid, version=1)
    return replace(whole, last_update_time=moment) if isinstance(whole, Folder) else whole
