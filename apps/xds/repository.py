"""Where the bytes of documents lie, and how they are read (ITI TF-2: 3.43).

A locator is ``<scheme>:<place>``; the content store of its scheme (settings.CONTENT_STORES) turns it into a path.
The store of this app, ``blob``, is addressed by content: ``sha256/ab/cd/<SHA-256>`` under settings.DOCUMENT_STORE. A
blob is written beside its place, synced, renamed and its directory synced, in this order, so that whatever bears a
final name is whole; a blob without a row in the registry is harmless: nothing names it, and the same bytes would take
its place. That a directory itself is there for good is seen to once in a process: then a document costs two syncs,
and one more where it is the first of its directory.

Every read is verified by SHA-256 before the first byte leaves: an answer that has begun cannot be taken back, and a
consumer must never hold altered bytes for a document. Up to 8 MB that costs less than the answer itself and is done
each time. A larger file is hashed once in a process and again whenever its device, inode, size or time of change
differ from those at its last verification.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import secrets
import shutil
from collections import OrderedDict
from functools import cache
from pathlib import Path
from threading import Lock, local
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils.module_loading import import_string

from apps.network.queries import facilities
from apps.xds.models import ObjectType
from apps.xds.rules import disclosure_of
from apps.xds.shards import in_shards, marks, shards_of
from hie.exchange.rows import fetch
from hie.values.access import Permit
from hie.values.documents import (
    Content,
    DocumentRequest,
    RetrievedDocument,
    RetrieveRequest,
    RetrieveResult,
)
from hie.values.errors import ExchangeError, Finding, Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

log = logging.getLogger("apps.xds.repository")

ALWAYS_HASHED = 8 * 1024 * 1024
_REMEMBERED = 4096
_BLOB = re.compile(r"blob:([0-9a-f]{64})")

_NOT_AVAILABLE = "No document with this unique id is available in this repository."
_UNKNOWN_REPOSITORY = "The repository unique id is of no repository of this network."
_DAMAGED = "The content of this document is lost or altered; the operator of the repository has been told."


def retrieve(request: RetrieveRequest, permit: Permit) -> RetrieveResult:
    """The documents that were asked for and may be read, in their order; a finding for each of the others.

    A document that is unknown and one that is withheld are answered alike. The rows are those whose patients the gate
    was asked about (``patients_of``), where this thread has just done so; else one statement of SQL.
    """
    rows = _rows_asked_about(request)
    documents: list[RetrievedDocument] = []
    findings: list[Finding] = []
    for each in request.documents:
        try:
            documents.append(_document(each, rows, permit))
        except ExchangeError as error:
            findings += error.findings
    return RetrieveResult(tuple(documents), tuple(findings))


def patients_of(request: RetrieveRequest) -> dict[DocumentRequest, tuple[str, ...]]:
    """The regional ids of the patients whose documents are asked for; a document that is not known is left out."""
    rows = _rows_of(request.documents)
    _thread.asked_about = (request, rows)
    owners = {each: dict.fromkeys(row[_PATIENT] for row in rows.get(_key(each), ())) for each in request.documents}
    return {each: tuple(patients) for each, patients in owners.items() if patients}


def open_content(locator: str, size: int, sha256: str) -> Path:
    """The file behind a locator, verified to be the bytes that were taken in.

    Raises ExchangeError(REPOSITORY_ERROR) where the file is missing, unreadable or altered.
    """
    scheme = locator.partition(":")[0]
    try:
        path = _store(scheme)(locator)
        if not _verified(path, size, sha256):
            log.error("content %s of scheme %s differs from what was taken in", sha256[:16], scheme)
            raise ExchangeError(Reason.REPOSITORY_ERROR, _DAMAGED)
    except OSError as failure:
        log.exception("content %s of scheme %s cannot be read: %s", sha256[:16], scheme, type(failure).__name__)
        raise ExchangeError(Reason.REPOSITORY_ERROR, _DAMAGED) from failure
    return path


def open_blob(locator: str) -> Path:
    """The path of a blob. Only ``blob:`` with 64 hex digits names one, so that no locator leads out of the store."""
    match = _BLOB.fullmatch(locator)
    if match is None:
        raise FileNotFoundError("not the locator of a blob")
    return _place(match[1])


def keep_blob(content: Content) -> str:
    """Take the spooled bytes into the store for good; return their locator. The spooled file itself stays."""
    place = _place(content.sha256)
    if not place.parent.is_dir():
        _kept_directories.difference_update([each for each in list(place.parents)[:3] if not each.is_dir()])
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = place.parent / f".{content.sha256[:16]}.{secrets.token_hex(8)}"
    try:
        _link_or_copy(content.path, beside)
        _sync(beside)
        beside.replace(place)  # also over the same bytes: what lies there might be damaged
    finally:
        beside.unlink(missing_ok=True)
    _sync(place.parent)
    _keep_directory(place.parent)
    return f"blob:{content.sha256}"


_kept_directories: set[Path] = set()


def _keep_directory(directory: Path) -> None:
    """Make it durable that a directory is there, and those above it up to the store, unless this process did before."""
    while directory not in _kept_directories and directory != Path(settings.DOCUMENT_STORE):
        _sync(directory.parent)
        _kept_directories.add(directory)
        directory = directory.parent


def _place(sha256: str) -> Path:
    return Path(settings.DOCUMENT_STORE) / "sha256" / sha256[:2] / sha256[2:4] / sha256


def _link_or_copy(source: Path, target: Path) -> None:
    """Link where the spool lies on the same file system, else copy: a large document is moved without being read."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@cache
def _store(scheme: str) -> Callable[[str], Path]:
    """The content store of a scheme: locator -> path."""
    dotted_path = settings.CONTENT_STORES.get(scheme)
    if dotted_path is None:
        raise FileNotFoundError("no content store has this scheme")
    store: Callable[[str], Path] = import_string(dotted_path)
    return store


_verified_before: OrderedDict[tuple[str, int, int, int, int, int], None] = OrderedDict()
_verified_lock = Lock()


def _verified(path: Path, size: int, sha256: str) -> bool:
    status = path.stat()
    if status.st_size != size:
        return False
    seen = (sha256, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    if size > ALWAYS_HASHED and seen in _verified_before:
        return True
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            return False
    if size > ALWAYS_HASHED:
        with _verified_lock:
            _verified_before[seen] = None
            while len(_verified_before) > _REMEMBERED:
                _verified_before.popitem(last=False)
    return True


_COLUMNS = (
    "e.unique_id, e.repository_unique_id, e.patient_id, e.mime_type, e.entry_uuid, e.facility_code,"
    " e.class_code, e.type_code, e.event_codes, e.confidentiality_codes, e.care_date, c.locator, c.size, c.sha256"
)
_PATIENT, _MIME_TYPE = 2, 3
_DISCLOSURE = slice(4, 11)
_CONTENT = slice(11, 14)


def repositories() -> frozenset[str]:
    """The repositoryUniqueIds under which documents of this network lie: its own, and those of its members."""
    return frozenset({settings.REPOSITORY_OID, *(each.repository_oid for each in facilities())})


_thread = local()


def _rows_asked_about(request: RetrieveRequest) -> dict[tuple[str, str], list[tuple]]:
    """The rows of this very request as ``patients_of`` found them, once; those of the database where it did not."""
    asked, rows = getattr(_thread, "asked_about", (None, {}))
    _thread.asked_about = (None, {})
    return rows if asked is request else _rows_of(request.documents)


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
        f" WHERE {where} AND e.unique_id IN ({marks(unique_ids)}) AND (c.id IS NOT NULL OR e.object_type = %s)"
        " ORDER BY e.id DESC",
        [*shards, *unique_ids, ObjectType.ON_DEMAND.value],
    )
    for row in found:
        rows.setdefault(row[:2], []).append(row)
    return rows


def _document(asked: DocumentRequest, rows: dict[tuple[str, str], list[tuple]], permit: Permit) -> RetrievedDocument:
    if asked.repository_unique_id not in repositories():
        raise ExchangeError(Reason.UNKNOWN_REPOSITORY, _UNKNOWN_REPOSITORY, asked.document_unique_id)
    for row in rows.get(_key(asked), ()):
        locator, size, sha256 = row[_CONTENT]
        if locator is not None and permit.allows(row[_PATIENT], disclosure_of(*row[_DISCLOSURE])):
            try:
                path = open_content(locator, size, sha256)
            except ExchangeError as error:
                raise ExchangeError(error.reason, error.detail, asked.document_unique_id) from error
            return RetrievedDocument(asked, row[_MIME_TYPE], path, size)
    raise ExchangeError(Reason.DOCUMENT_NOT_AVAILABLE, _NOT_AVAILABLE, asked.document_unique_id)
