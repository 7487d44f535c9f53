"""Are the documents there, and whole? What lies in the stores held against the rows, and the rows among themselves.

lost      a row names bytes that are not there, or that cannot be read
altered   other bytes lie there than were taken in; of a sealed document also where a chunk does not open
closed    the key of a sealed document is missing or another one: put it back, nothing is lost
orphan    bytes that no row names: a submission that was refused, or was interrupted, or a document that went
half      a file that was being written when its process ended
unmapped  objects that the id map does not know, so that no read by id finds them
stale     ids of the id map that no object bears
strayed   values of a side table whose object is not there
What is young may belong to a submission that goes on; it is passed over.
"""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone
from django.utils.module_loading import import_string

from apps.xds import stores
from apps.xds.models import (
    SIDE_TABLES,
    Association,
    Content,
    DocumentCheck,
    DocumentEntry,
    Folder,
    MappedId,
    NameKind,
    Outgoing,
    RepositoryCheck,
    SubmissionSet,
)
from apps.xds.services.removing import backup_under_way, give_up
from hie.values.documents import DataKey, Readable
from hie.values.errors import ExchangeError

DAY = 24 * 60 * 60.0
KEPT = timedelta(days=366)  # how long it is known what a check found
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong. kind: as listed above. place: a locator, a table, or where the left-over lies.
    entries: how many it concerns. locator: of an orphan."""

    kind: str
    place: str
    entries: int = 0
    locator: str = ""


@dataclass(frozen=True, slots=True)
class Checked:
    """How many contents were looked at, and how many faults of each kind were found."""

    contents: int
    faults: dict[str, int]


def check_documents(
    *,
    read: bool = True,
    older_than: float = DAY,
    check: DocumentCheck | None = None,
    after_each: Callable[[DocumentCheck], None] | None = None,
) -> Iterator[Fault | Checked]:
    """Every fault as it is found, and at the end what was checked. Memory does not grow with the repository.

    read: compare the bytes with their SHA-256, else their sizes only. older_than: seconds; what is younger is left.
    check: one that was interrupted goes on where it was, as its own ``read`` says. after_each: called with it after
    each content; it may be saved then. What was found, of each repository too, is kept for the admin. Raises OSError
    where a bucket does not answer: then nothing is known of what lies there.
    """
    now = timezone.now()
    check = check or DocumentCheck(began_at=now, alive_at=now, read=read)
    contents = Content.objects.select_related("sealing_key").filter(id__gt=check.position).order_by("id")
    for content in contents.iterator(_AT_ONCE):
        kind = _kind_of(content, read=check.read)
        if kind:
            repositories = DocumentEntry.objects.filter(content=content).values_list("repository_unique_id", flat=True)
            _count(check.faults, kind)
            for repository_unique_id in repositories:
                _count(check.by_repository.setdefault(repository_unique_id, {}), kind)
            yield Fault(kind, content.locator, len(repositories))
        check.position, check.contents = content.pk, check.contents + 1
        if after_each is not None:
            after_each(check)
    beside: dict[str, int] = {}
    for fault in itertools.chain(_left_over(time.time() - older_than), _out_of_step()):
        _count(beside, fault.kind)
        yield fault
    _keep_result(check, beside)
    yield Checked(check.contents, check.faults)


def _count(faults: dict[str, int], kind: str) -> None:
    faults[kind] = faults.get(kind, 0) + 1


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


def remove_left_over(fault: Fault) -> bool:
    """Remove one orphan or half-written file that ``check_documents`` has named; False where it is needed by now."""
    if backup_under_way():
        return False
    if fault.kind == "orphan":
        return give_up(fault.locator, fault.locator.partition(":")[2][:64])
    (Path(settings.DOCUMENT_STORE) / fault.place).unlink(missing_ok=True)
    return True


def _kind_of(content: Content, *, read: bool) -> str:
    scheme = content.locator.partition(":")[0]
    try:
        if scheme in stores.FORMS and not read:
            return "" if stores.is_there(content.locator, content.size) else _absent_or_altered(content)
        return _compared(content, import_string(settings.CONTENT_STORES[scheme])(content.locator), read=read)
    except stores.KeyProblem:
        return "closed"
    except stores.Damaged:
        return "altered"
    except (TimeoutError, ConnectionError):
        raise
    except (OSError, KeyError, ExchangeError):
        return "lost"


def _compared(content: Content, lying: Readable, *, read: bool) -> str:
    sealing = getattr(content, "sealing_key", None)
    if sealing is None and isinstance(lying, Path) and lying.stat().st_size != content.size:
        return "altered"
    if not read:
        return ""
    data_key = DataKey(sealing.key_name, bytes(sealing.wrapped)) if sealing else None
    with stores.open_plain(lying, content.locator, data_key).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")  # type: ignore[arg-type]
    return "" if digest.hexdigest() == content.sha256 else "altered"


def _absent_or_altered(content: Content) -> str:
    """Nothing of the right size lies there: of another size, or nothing at all?"""
    return "altered" if stores.exists(content.locator) else "lost"


def _left_over(before: float) -> Iterator[Fault]:
    """What lies in the stores and nothing names, a few hundred at a time."""
    old = ((locator, place) for locator, place, written in stores.walk() if written < before)
    for some in _batches(old):
        locators = [locator for locator, _ in some if locator]
        named = set(Content.objects.filter(locator__in=locators).values_list("locator", flat=True))
        for locator, place in some:
            if not locator:
                yield Fault("half", place)
            elif locator not in named:
                yield Fault("orphan", place, locator=locator)
    store = Path(settings.DOCUMENT_STORE)
    kept = {path for row in Outgoing.objects.values_list("attachments", flat=True) for _, path, *_ in row}
    for path in [*store.glob("incoming/*"), *store.glob("outgoing/*")]:
        if path.is_file() and _age(path) < before and str(path) not in kept:
            yield Fault("half", str(path.relative_to(store)))


def _batches(items: Iterator[Any]) -> Iterator[list[Any]]:
    while some := list(itertools.islice(items, _AT_ONCE)):
        yield some


def _age(path: Path) -> float:
    try:
        return path.stat().st_ctime
    except FileNotFoundError:
        return float("inf")


def _keep_result(check: DocumentCheck, beside: dict[str, int]) -> None:
    """The check itself, ended, and one row for each repository that holds documents here."""
    check.faults = {**check.faults, **beside}
    check.alive_at = check.ended_at = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT e.repository_unique_id, count(*), sum(c.size) FROM xds_documententry e"
            " JOIN xds_content c ON c.id = e.content_id GROUP BY e.repository_unique_id"
        )
        found = cursor.fetchall()
    with transaction.atomic():
        check.save()
        DocumentCheck.objects.filter(ended_at__lt=check.began_at - KEPT).delete()
        RepositoryCheck.objects.all().delete()
        RepositoryCheck.objects.bulk_create(
            RepositoryCheck(
                repository_unique_id=repository_unique_id,
                checked_at=check.began_at,
                read=check.read,
                documents=documents,
                size=size,
                **{
                    kind: check.by_repository.get(repository_unique_id, {}).get(kind, 0)
                    for kind in ("lost", "altered", "closed")
                },
            )
            for repository_unique_id, documents, size in found
        )
