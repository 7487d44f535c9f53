"""Are the documents there, and whole? Files and rows held against each other, and the rows among themselves.

lost      a row names a file that is not there, or that cannot be read
altered   the file has other bytes than were taken in
orphan    a file of the store that no row names: a submission that was refused, or was interrupted
half      a file that was being written when its process ended
unmapped  objects that the id map does not know, so that no read by id finds them
stale     ids of the id map that no object bears
strayed   values of a side table whose object is not there
A file that is young may belong to a submission that goes on; it is passed over.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import connection, transaction
from django.utils.module_loading import import_string

from apps.xds.models import (
    Association,
    Content,
    DocumentEntry,
    Folder,
    MappedId,
    NameKind,
    Outgoing,
    SubmissionSet,
)
from apps.xds.services.moving import SIDE_TABLES
from apps.xds.services.storing import hold

DAY = 24 * 60 * 60.0
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong. kind: as listed above. entries: how many it concerns."""

    kind: str
    place: str
    entries: int = 0


@dataclass(frozen=True, slots=True)
class Checked:
    """How many contents were looked at, and how many faults of each kind were found."""

    contents: int
    faults: dict[str, int]


def check_documents(*, read: bool = True, older_than: float = DAY) -> Iterator[Fault | Checked]:
    """Every fault as it is found, and at the end what was checked. Memory does not grow with the repository.

    read: compare the bytes with their SHA-256, else their sizes only. older_than: seconds; younger files are left.
    """
    count, faults = 0, Counter[str]()
    for content in Content.objects.order_by("id").iterator(_AT_ONCE):
        count += 1
        kind = _kind_of(content, read=read)
        if kind:
            faults[kind] += 1
            yield Fault(kind, content.locator, DocumentEntry.objects.filter(content=content).count())
    for fault in _left_over(time.time() - older_than):
        faults[fault.kind] += 1
        yield fault
    for fault in _out_of_step():
        faults[fault.kind] += 1
        yield fault
    yield Checked(count, dict(faults))


def _out_of_step() -> Iterator[Fault]:
    """What the database of a partitioned registry does not keep true itself (decision 0042): a row a table."""
    objects = [model._meta.db_table for model in (DocumentEntry, SubmissionSet, Folder, Association)]
    for table in objects:
        yield from _counted("unmapped", table, _UNMAPPED.format(table=table))
    bear = " AND ".join(f"NOT EXISTS (SELECT 1 FROM {table} o WHERE {_BEARS})" for table in objects)  # noqa: S608
    yield from _counted("stale", MappedId._meta.db_table, f"{_STALE} AND {bear}")
    for model, sides in SIDE_TABLES.items():
        for side, owner in sides:
            sql = _STRAYED.format(side=side._meta.db_table, table=model._meta.db_table, owner=f"{owner}_id")
            yield from _counted("strayed", side._meta.db_table, sql)


_BEARS = "o.entry_uuid = m.name AND o.shard_key = m.shard_key"
_UNMAPPED = (
    "SELECT count(*) FROM {table} o LEFT JOIN xds_mappedid m"  # noqa: S608 - the program's own names
    " ON o.entry_uuid = m.name AND o.shard_key = m.shard_key"
    f" AND m.kind = {NameKind.ENTRY_UUID.value} WHERE m.name IS NULL"
)
_STALE = f"SELECT count(*) FROM xds_mappedid m WHERE m.kind = {NameKind.ENTRY_UUID.value}"  # noqa: S608
_STRAYED = (
    "SELECT count(*) FROM {side} v LEFT JOIN {table} o ON o.id = v.{owner} AND o.shard_key = v.shard_key"
    " AND o.patient_id = v.patient_id WHERE o.id IS NULL"
)


def _counted(kind: str, table: str, sql: str) -> Iterator[Fault]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        (count,) = cursor.fetchone()
    if count:
        yield Fault(kind, table, count)


def remove_left_over(place: str) -> bool:
    """Remove one orphan or half-written file that ``check_documents`` has named; False where it is needed by now."""
    path = Path(settings.DOCUMENT_STORE) / place
    with transaction.atomic():
        hold([path.name])
        if Content.objects.filter(locator=f"blob:{path.name}").exists():
            return False
        path.unlink(missing_ok=True)
        return True


def _kind_of(content: Content, *, read: bool) -> str:
    scheme = content.locator.partition(":")[0]
    try:
        path: Path = import_string(settings.CONTENT_STORES[scheme])(content.locator)
        if path.stat().st_size != content.size:
            return "altered"
        if read:
            with path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != content.sha256:
                    return "altered"
    except (OSError, KeyError):
        return "lost"
    return ""


def _left_over(before: float) -> Iterator[Fault]:
    """Files of the store that nothing names, a directory at a time."""
    store = Path(settings.DOCUMENT_STORE)
    for directory in sorted(store.glob("sha256/*/*")):
        files = [path for path in sorted(directory.iterdir()) if path.is_file() and _age(path) < before]
        named = set(
            Content.objects.filter(locator__in=[f"blob:{path.name}" for path in files]).values_list(
                "locator", flat=True
            )
        )
        for path in files:
            if path.name.startswith("."):
                yield Fault("half", str(path.relative_to(store)))
            elif f"blob:{path.name}" not in named:
                yield Fault("orphan", str(path.relative_to(store)))
    kept = {path for row in Outgoing.objects.values_list("attachments", flat=True) for _, path, _, _ in row}
    for path in [*store.glob("incoming/*"), *store.glob("outgoing/*")]:
        if path.is_file() and _age(path) < before and str(path) not in kept:
            yield Fault("half", str(path.relative_to(store)))


def _age(path: Path) -> float:
    try:
        return path.stat().st_ctime
    except FileNotFoundError:
        return float("inf")
