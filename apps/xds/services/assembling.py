"""Documents that are made when they are asked for (On-Demand Documents; ITI TF-2: 3.43.4.2.3, 3.61).

What is in such a document is decided for its reader: whoever makes it (settings.ON_DEMAND) is handed the permit. What
was made is kept as a snapshot, bound to what it was made from (``snapshots``), or, where the network does not want that
(settings.SUMMARY_SNAPSHOTS), for the length of the answer, with a unique id of its own.
"""

from __future__ import annotations

import os
import secrets
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings
from django.utils.module_loading import import_string

from apps.xds import models, repository
from apps.xds.models import ObjectType
from apps.xds.rules import shows
from apps.xds.services.snapshots import Assembled, keep_snapshot
from apps.xds.shards import shards_of
from hie.values.access import Permit
from hie.values.documents import DocumentEntry, DocumentRequest, RetrievedDocument, RetrieveRequest, RetrieveResult
from hie.values.errors import ExchangeError, Finding, Reason
from hie.values.identifiers import uuid_oid
from hie.wire.ebxml.fragments import read_fragment
from hie.wire.soap.spool import sweep

KEPT_SECONDS = 60 * 60

# (entry, regional id, permit) -> the document, None where there is nothing that the permit discloses
Assemble = Callable[[DocumentEntry, str, Permit], Assembled | None]


def retrieve(request: RetrieveRequest, permit: Permit) -> RetrieveResult:
    """The answer to ITI-43: documents that lie in the repository, and those that it makes.

    A document that cannot be made is answered like one that is not there. One statement more where one is missing.
    """
    result = repository.retrieve(request, permit)
    missing = {each.location for each in result.findings if each.reason is Reason.DOCUMENT_NOT_AVAILABLE}
    if not missing or not settings.ON_DEMAND:
        return result
    made, refused = _made(request, missing, permit)
    left = {each.request: each for each in (*result.documents, *made)}
    done = {each.request.document_unique_id for each in made} | {each.location for each in refused}
    findings: list[Finding] = [*(each for each in result.findings if each.location not in done), *refused]
    return replace(
        result,
        documents=tuple(left[each] for each in request.documents if each in left),
        findings=tuple(findings),
    )


def sweep_assembled() -> None:
    """Remove documents that were made for an answer which has left long ago."""
    sweep(_directory(), KEPT_SECONDS)


def _made(request: RetrieveRequest, missing: set[str], permit: Permit) -> tuple[list[RetrievedDocument], list[Finding]]:
    """What could be made of the missing, and what is to be said of those that could be made but not kept."""
    rows = models.DocumentEntry.objects.filter(
        unique_id__in=missing,
        shard_key__in=shards_of(missing),
        object_type=ObjectType.ON_DEMAND,
        status=models.Status.APPROVED,
        repository_unique_id=settings.REPOSITORY_OID,
    )
    by_id = {row.unique_id: row for row in rows if _shown(row, permit)}
    assemble: Assemble = import_string(settings.ON_DEMAND)
    made, findings = [], []
    for asked in request.documents:
        row = by_id.get(asked.document_unique_id)
        if row is None or asked.repository_unique_id != settings.REPOSITORY_OID:
            continue
        entry = read_fragment(bytes(row.fragment))
        assert isinstance(entry, DocumentEntry)
        assembled = assemble(entry, row.patient_id, permit)
        if assembled is None:
            continue
        try:
            made.append(_document(asked, row, entry, assembled, permit))
        except ExchangeError as error:
            findings += [replace(each, location=asked.document_unique_id) for each in error.findings]
    return made, findings


def _document(
    asked: DocumentRequest, row: models.DocumentEntry, entry: DocumentEntry, assembled: Assembled, permit: Permit
) -> RetrievedDocument:
    if not settings.SUMMARY_SNAPSHOTS:
        unique_id = uuid_oid(uuid.uuid4())
        content = assembled.write(unique_id, datetime.now(UTC))
        return _kept_for_the_answer(asked, entry.mime_type, content, unique_id)
    reader = permit.caller.node.facility_code
    unique_id = keep_snapshot(row, entry, assembled, reader=reader, directory=_directory())
    stable = repository.retrieve(RetrieveRequest((DocumentRequest(settings.REPOSITORY_OID, unique_id),)), permit)
    if stable.findings:
        raise ExchangeError.of(stable.findings)
    (document,) = stable.documents
    return replace(
        document,
        request=asked,
        new_document_unique_id=unique_id,
        new_repository_unique_id=settings.REPOSITORY_OID,
    )


def _shown(row: models.DocumentEntry, permit: Permit) -> bool:
    return shows(
        permit,
        row.patient_id,
        row.entry_uuid,
        row.facility_code,
        row.class_code,
        row.type_code,
        row.event_codes,
        row.confidentiality_codes,
        row.care_date,
        row.sources,
    )


def _kept_for_the_answer(asked: DocumentRequest, mime_type: str, content: bytes, unique_id: str) -> RetrievedDocument:
    path = _directory() / f"part-{secrets.token_hex(16)}"  # the name that the sweep goes by
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    return RetrievedDocument(asked, mime_type, path, len(content), unique_id)


def _directory() -> Path:
    directory = Path(settings.DOCUMENT_STORE) / "assembled"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return directory
