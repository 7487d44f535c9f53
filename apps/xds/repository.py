"""How the bytes of documents are read (ITI TF-2: 3.43).

A locator is ``<scheme>:<place>``; the content store of its scheme (settings.CONTENT_STORES) turns it into something to
read. The stores of this app are ``apps.xds.stores``. What is kept there without a row in the registry is harmless:
nothing names it.

Every read is verified by SHA-256 of the plain bytes before the first one leaves: an answer that has begun cannot be
taken back, and a consumer must never hold altered bytes for a document. Up to 8 MB that costs less than the answer
itself and is done each time. A larger file of this machine is hashed once in a process and again whenever its device,
inode, size or time of change differ from those at its last verification; what is fetched from a bucket is hashed as
often as it is fetched. No database transaction is open meanwhile.
"""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils.module_loading import import_string

from apps.network.queries import facilities, facility, home_community_id
from apps.xds.models import ObjectType
from apps.xds.rules import shows
from apps.xds.shards import in_shards, marks, shards_of
from apps.xds.stores import FORMS, KeyProblem, open_plain
from hie.exchange.rows import fetch
from hie.values.access import Permit
from hie.values.documents import (
    DataKey,
    DocumentRequest,
    Readable,
    RetrievedDocument,
    RetrieveRequest,
    RetrieveResult,
)
from hie.values.errors import ExchangeError, Finding, Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

log = logging.getLogger("apps.xds.repository")

ALWAYS_HASHED = 8 * 1024 * 1024
_REMEMBERED = 4096

_NOT_AVAILABLE = "No document with this unique id is available in this repository."
_UNKNOWN_REPOSITORY = "The repository unique id is of no repository of this network."
_OTHER_COMMUNITY = "HomeCommunityId is of another community than that of this repository; ask there, or leave it out."
_ELSEWHERE = "The repository with this unique id is a member's own and answers for itself; send the request to it."
_SILENT = "The storage of this document does not answer at the moment; ask again."
_HARMFUL = "This document was held back by the scanner of this repository; its operator has been told."
_CLOSED = "This document cannot be opened at the moment; the operator of the repository has been told."
_DAMAGED = "The content of this document is lost or altered; the operator of the repository has been told."


def retrieve(request: RetrieveRequest, permit: Permit) -> RetrieveResult:
    """The documents that were asked for and may be read, in their order; a finding for each of the others.

    A document that is unknown and one that is withheld are answered alike. What ``located`` has found is not asked for
    again.
    """
    rows = located(request).rows
    documents: list[RetrievedDocument] = []
    findings: list[Finding] = []
    for each in request.documents:
        try:
            documents.append(_document(each, rows, permit))
        except ExchangeError as error:
            findings += error.findings
    return RetrieveResult(tuple(documents), tuple(findings))


@dataclass(frozen=True, slots=True)
class Located(RetrieveRequest):
    """A request with the rows of what it asks for, by unique id and repository, newest first."""

    rows: Mapping[tuple[str, str], list[tuple]] = field(default_factory=dict, compare=False)


def located(request: RetrieveRequest) -> Located:
    """The request with its rows, which gate, answer and record go by. Two statements, or none where it has them.

    Raises ExchangeError(TOO_LARGE) where it names more documents than a request may.
    """
    return request if isinstance(request, Located) else Located(request.documents, _rows_of(request.documents))


def patients_of(request: RetrieveRequest) -> dict[DocumentRequest, tuple[str, ...]]:
    """The regional ids of the patients whose documents are asked for; a document that is not known is left out."""
    rows = located(request).rows
    owners = {each: dict.fromkeys(row[_PATIENT] for row in rows.get(_key(each), ())) for each in request.documents}
    return {each: tuple(patients) for each, patients in owners.items() if patients}


def open_content(locator: str, size: int, sha256: str, data_key: DataKey | None = None) -> Readable:
    """What is behind a locator, verified to be the bytes that were taken in. data_key: of a sealed document.

    Raises ExchangeError: REPOSITORY_ERROR where it is missing, unreadable, altered or its key is not there, BUSY where
    its place does not answer.
    """
    scheme = locator.partition(":")[0]
    try:
        lying = _store(scheme)(locator)
        plain = open_plain(lying, locator, data_key)
        if not _verified(plain, size, sha256):
            log.error("content %s of scheme %s differs from what was taken in", sha256[:16], scheme)
            raise ExchangeError(Reason.REPOSITORY_ERROR, _DAMAGED)
        if scheme not in FORMS and not _clean(plain, sha256):
            log.error("content %s of scheme %s was held back by the scanner", sha256[:16], scheme)
            raise ExchangeError(Reason.REPOSITORY_ERROR, _HARMFUL)
    except (TimeoutError, ConnectionError) as failure:
        log.warning("content %s of scheme %s: %s", sha256[:16], scheme, failure)
        raise ExchangeError(Reason.BUSY, _SILENT) from failure
    except KeyProblem as problem:
        log.error("content %s of scheme %s: %s", sha256[:16], scheme, problem)
        raise ExchangeError(Reason.REPOSITORY_ERROR, _CLOSED) from problem
    except OSError as failure:
        log.exception("content %s of scheme %s cannot be read: %s", sha256[:16], scheme, type(failure).__name__)
        raise ExchangeError(Reason.REPOSITORY_ERROR, _DAMAGED) from failure
    return plain


@cache
def _store(scheme: str) -> Callable[[str], Readable]:
    """The content store of a scheme: locator -> what lies there."""
    dotted_path = settings.CONTENT_STORES.get(scheme)
    if dotted_path is None:
        raise FileNotFoundError("no content store has this scheme")
    store: Callable[[str], Readable] = import_string(dotted_path)
    return store


_verified_before: OrderedDict[tuple[str, int, int, int, int, int], None] = OrderedDict()
_verified_lock = Lock()


def _verified(plain: Readable, size: int, sha256: str) -> bool:
    place = plain if isinstance(plain, Path) else getattr(plain, "place", None)
    status = place.stat() if place is not None else None
    if place is plain and status is not None and status.st_size != size:
        return False
    seen = status and (sha256, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    if size > ALWAYS_HASHED and seen in _verified_before:
        return True
    with plain.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:  # type: ignore[arg-type]
            return False
    if size > ALWAYS_HASHED and seen is not None:
        with _verified_lock:
            _verified_before[seen] = None
            while len(_verified_before) > _REMEMBERED:
                _verified_before.popitem(last=False)
    return True


_clean_before: OrderedDict[str, None] = OrderedDict()


def _clean(plain: Readable, sha256: str) -> bool:
    """What the network's scanner says of a document that was never submitted here: it lies in a hospital's storage.

    Asked when the document is about to leave, once in a process for the same bytes. What is submitted was asked about
    before it was taken in (services/registration.py).
    """
    if not settings.DOCUMENT_SCANNER or sha256 in _clean_before:
        return True
    if not isinstance(plain, Path) or not import_string(settings.DOCUMENT_SCANNER)(plain):
        return False
    with _verified_lock:
        _clean_before[sha256] = None
        while len(_clean_before) > _REMEMBERED:
            _clean_before.popitem(last=False)
    return True


_COLUMNS = (
    "e.unique_id, e.repository_unique_id, e.patient_id, e.mime_type, e.entry_uuid, e.facility_code,"
    " e.class_code, e.type_code, e.event_codes, e.confidentiality_codes, e.care_date, e.sources,"
    " c.locator, c.size, c.sha256, k.key_name, k.wrapped"
)
_PATIENT, _MIME_TYPE = 2, 3
_DISCLOSURE = slice(4, 12)
_CONTENT = slice(12, 15)
_KEY = slice(15, 17)


def repositories() -> frozenset[str]:
    """The repositoryUniqueIds under which documents of this network lie: its own, and those of its members."""
    return frozenset({settings.REPOSITORY_OID, *(each.repository_oid for each in facilities())})


def repositories_here() -> frozenset[str]:
    """Those of them whose documents are submitted here: the network's own, and the hosted ones of members."""
    hosted = (each.repository_oid for each in facilities() if each.hosted_repository)
    return frozenset({settings.REPOSITORY_OID, *hosted})


def repositories_answered() -> frozenset[str]:
    """Those that answer here: where documents are submitted, and those made of the storages of members."""
    served: frozenset[str] = import_string(settings.SERVED_REPOSITORIES)()
    return repositories_here() | served


def repository_of(facility_code: str) -> str:
    """The repositoryUniqueId under which what this facility submits is kept: its own hosted one, or the network's."""
    member = facility(facility_code)
    return member.repository_oid if member is not None and member.hosted_repository else str(settings.REPOSITORY_OID)


def _key(asked: DocumentRequest) -> tuple[str, str]:
    return asked.document_unique_id, asked.repository_unique_id


def _rows_of(asked: Sequence[DocumentRequest]) -> dict[tuple[str, str], list[tuple]]:
    """The rows of entries whose content lies here or is made on demand, by unique id and repository; newest first."""
    unique_ids = list(dict.fromkeys(each.document_unique_id for each in asked))
    if len(unique_ids) > settings.MAX_RESULTS:
        raise ExchangeError(
            Reason.TOO_LARGE, f"One request may name at most {settings.MAX_RESULTS} documents; send several."
        )
    if not unique_ids:
        return {}
    rows: dict[tuple[str, str], list[tuple]] = {}
    where, shards = in_shards("e.shard_key", shards_of(unique_ids))
    if not shards:
        return {}
    found = fetch(
        f"SELECT {_COLUMNS} FROM xds_documententry e LEFT JOIN xds_content c ON c.id = e.content_id"  # noqa: S608
        " LEFT JOIN xds_sealingkey k ON k.content_id = c.id"
        f" WHERE {where} AND e.unique_id IN ({marks(unique_ids)}) AND (c.id IS NOT NULL OR e.object_type = %s)"
        " ORDER BY e.id DESC",
        [*shards, *unique_ids, ObjectType.ON_DEMAND.value],
    )
    for row in found:
        rows.setdefault(row[:2], []).append(row)
    return rows


def _document(asked: DocumentRequest, rows: Mapping[tuple[str, str], list[tuple]], permit: Permit) -> RetrievedDocument:
    if asked.home_community_id and asked.home_community_id != home_community_id():
        raise ExchangeError(Reason.UNKNOWN_COMMUNITY, _OTHER_COMMUNITY, asked.document_unique_id)
    for row in rows.get(_key(asked), ()):
        locator, size, sha256 = row[_CONTENT]
        key_name, wrapped = row[_KEY]
        if locator is not None and shows(permit, row[_PATIENT], *row[_DISCLOSURE]):
            try:
                path = open_content(locator, size, sha256, key_name and DataKey(key_name, bytes(wrapped)))
            except ExchangeError as error:
                raise ExchangeError(error.reason, error.detail, asked.document_unique_id) from error
            return RetrievedDocument(asked, row[_MIME_TYPE], path, size)
    raise not_here(asked)


def not_here(asked: DocumentRequest) -> ExchangeError:
    """Why nothing is answered, by the repository alone, so that a document which is withheld leaves no trace.

    A repository answers for its own repositoryUniqueId; any other is XDSUnknownRepositoryId, "the value does not match
    that of the document repository" (ITI TF-3: Table 4.2.4.1-2).
    """
    if asked.repository_unique_id in repositories_answered():
        return ExchangeError(Reason.DOCUMENT_NOT_AVAILABLE, _NOT_AVAILABLE, asked.document_unique_id)
    detail = _ELSEWHERE if asked.repository_unique_id in repositories() else _UNKNOWN_REPOSITORY
    return ExchangeError(Reason.UNKNOWN_REPOSITORY, detail, asked.document_unique_id)
