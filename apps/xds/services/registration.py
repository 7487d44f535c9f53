"""Register and submit: ITI-42 and ITI-41 (ITI TF-2: 3.42.4.1.3, 3.41.4.1.3).

Everything that is wrong with a submission is found before it is refused, and nothing of it is stored then. A
submission that is sent again, because its answer was lost, is recognised by the unique id and the digest of what it
contains, and answered as it was the first time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.utils.module_loading import import_string

from apps.xds.models import Status
from apps.xds.repository import repositories, repositories_here, repository_of
from apps.xds.services import code_sets, relationships
from apps.xds.services.judging import (
    UNKNOWN_PATIENT,
    Registered,
    completed,
    digest_of,
    duplicates,
    errors_of,
    final_ids,
    foreign_sources,
    named_unique_ids,
    national_numbers,
    objects_of,
    patient_of_submission,
    registered_ids,
    sent_before,
    warnings_of,
)
from apps.xds.services.keeping import registered_contents, take_in
from apps.xds.services.relationships import Change
from apps.xds.services.storing import deprecate, hold, set_sources, store, touch_folders
from apps.xds.services.telling import event_of, tell
from hie.values.documents import (
    ON_DEMAND,
    Content,
    DocumentEntry,
    RegistryObject,
    RegistryResult,
    Submission,
)
from hie.values.errors import ExchangeError, Finding, Reason
from hie.values.identifiers import Identifier, is_uuid_urn
from hie.values.times import write_dtm
from hie.wire.ebxml.validation import LIMITED_PROVISION, limited_findings, validate


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
    return register_prepared(refuse_limited(prepare_provided(submission)), facility_code=facility_code)


def prepare(submission: Submission) -> Submission:
    """Judge what can be judged without the database; the findings go along with the submission."""
    return replace(submission, findings=(*submission.findings, *validate(submission)))


def prepare_provided(submission: Submission) -> Submission:
    """The same of a submission with its documents, whose contents are made durable if nothing is wrong so far.

    Objects may be limited metadata here; ``refuse_limited`` is for systems that may not send such. Contents that no
    registration follows are harmless: nothing names them.
    """
    findings = (*submission.findings, *validate(submission, wanted=LIMITED_PROVISION), *_altered(submission))
    if not errors_of(findings):
        findings = (*findings, *_scanned(submission))
    submission = replace(_filled_in(submission), findings=findings)
    if errors_of(findings):
        return submission
    return replace(submission, contents=take_in(submission.contents))


def refuse_limited(submission: Submission) -> Submission:
    """The submission with a finding for each object of limited metadata, of a system that may not send such."""
    return replace(submission, findings=(*submission.findings, *limited_findings(submission)))


def _scanned(submission: Submission) -> list[Finding]:
    """What the network's scanner says of the documents: settings.DOCUMENT_SCANNER names a function path -> bool.

    It is asked before anything is kept. One that fails refuses the submission: nothing unscanned is taken in.
    """
    if not settings.DOCUMENT_SCANNER:
        return []
    clean: Callable[[Path], bool] = import_string(settings.DOCUMENT_SCANNER)
    unique_ids = {each.entry_uuid: each.unique_id for each in submission.document_entries}
    said = "was refused by the scanner of this repository for harmful content."
    return [
        Finding(Reason.INVALID_DOCUMENT_CONTENT, f"The document {unique_ids.get(name, name)} {said}", name)
        for name, content in submission.contents.items()
        if not clean(content.path)
    ]


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
def register_prepared(
    submission: Submission, *, facility_code: str, sources: Mapping[str, str] | None = None
) -> RegistryResult:
    """``register_within`` in a database transaction of its own."""
    return register_within(submission, facility_code=facility_code, sources=sources)


def register_within(
    submission: Submission, *, facility_code: str, sources: Mapping[str, str] | None = None
) -> RegistryResult:
    """Register what ``prepare`` or ``prepare_provided`` has judged, with all that the database says against it.

    Runs in the caller's database transaction, which is undone where this raises. sources: of snapshots by entry UUID,
    what they are made from; then no subscription is told.
    """
    findings, contents = list(submission.findings), submission.contents
    if len(submission.submission_sets) != 1:
        raise ExchangeError.of(
            errors_of(findings)
            or [Finding(Reason.METADATA, "A submission holds exactly one SubmissionSet.", "RegistryObjectList")]
        )
    digest = digest_of(submission, facility_code)
    hold(_names(submission))
    registered = registered_ids(submission)
    if sent_before(submission, registered, digest):
        return RegistryResult(warnings_of(findings))
    submission = _in_repository(submission, facility_code)
    patient_id = patient_of_submission(submission)
    if not patient_id:
        findings.append(Finding(Reason.UNKNOWN_PATIENT, UNKNOWN_PATIENT, "patientId"))
    known = relationships.known_objects(submission)
    findings += duplicates(submission, registered, known)
    findings += foreign_sources(submission, facility_code) + national_numbers(submission)
    findings += code_sets.findings(objects_of(submission))
    places = _places(submission, contents, registered, facility_code, findings)
    findings += relationships.findings(submission, known, patient_id, facility_code)
    if errors_of(findings):
        raise ExchangeError.of(errors_of(findings))
    change = relationships.change(submission, known)
    objects = _store(submission, facility_code, patient_id, change, contents, places, digest)
    if sources:
        set_sources(sources, dict.fromkeys(sources, patient_id))
    else:
        tell({patient_id: event_of(objects, change.folders)})
    return RegistryResult(warnings_of(findings))


def _in_repository(submission: Submission, facility_code: str) -> Submission:
    """The submission with the repository that its sender's documents belong to; it is none of the digest."""
    hosted = repository_of(facility_code) if submission.contents else settings.REPOSITORY_OID
    if hosted == settings.REPOSITORY_OID:
        return submission
    entries = (
        replace(each, repository_unique_id=hosted) if each.entry_uuid in submission.contents else each
        for each in submission.document_entries
    )
    return replace(submission, document_entries=tuple(entries))


def _names(submission: Submission) -> list[str]:
    """What nobody else may register, replace or merge meanwhile."""
    ends = [end for each in submission.associations for end in (each.source_object, each.target_object)]
    patient = Identifier.from_cx(submission.submission_sets[0].patient_id).value
    contents = [each.sha256 for each in submission.contents.values()]
    return [*named_unique_ids(submission), *filter(is_uuid_urn, ends), *contents, patient]


def _places(
    submission: Submission,
    contents: Mapping[str, Content],
    registered: Mapping[str, list[Registered]],
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
        elif entry.repository_unique_id in repositories_here() and entry.object_type != ON_DEMAND:
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
    change: Change,
    contents: Mapping[str, Content],
    places: Mapping[str, int],
    digest: str,
) -> list[RegistryObject]:
    moment = write_dtm(datetime.now(UTC))
    final = final_ids(submission)
    objects = [completed(each, final, patient_id, moment) for each in objects_of(submission)]
    objects += [completed(each, final, patient_id, moment) for each in change.associations]
    kept = registered_contents(contents.values())
    by_uuid = {final[name]: kept[each.locator] for name, each in contents.items()}
    by_uuid |= {final[name]: content_id for name, content_id in places.items()}
    store(objects, facility_code, lambda _: patient_id, by_uuid, digest)
    _apply(change, moment)
    return objects


def _apply(change: Change, moment: str) -> None:
    deprecate((each.key, each.fragment) for each in change.deprecated if each.status == Status.APPROVED)
    touch_folders(change.folders, moment)
