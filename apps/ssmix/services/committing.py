"""Storing what a batch found beside its files: the fingerprints of its folders, the parts of content folders."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from apps.ssmix.models import Part
from apps.ssmix.services import rows as stored
from apps.ssmix.services.comparing import Listed
from apps.ssmix.services.rows import Folder, Row
from apps.ssmix.services.settling import Batch

RACY_NS = 2_000_000_000


def renew(listed: Sequence[Listed]) -> list[Folder]:
    """Give folders the fingerprints of what was listed; returns those that were not known so.

    A folder that was changed within the last seconds may change again at the same time: it is listed next time too.
    """
    now_ns = time.time_ns()
    renewed = []
    for each in listed:
        directory, leaf = each.directory, each.leaf
        racy = abs(now_ns - leaf.mtime_ns) < RACY_NS
        fresh = (0 if racy else leaf.mtime_ns, each.digest, len(each.names), leaf.folders)
        if (directory.mtime_ns, directory.names, directory.files, directory.has_folders) != fresh or not directory.pk:
            directory.mtime_ns, directory.names, directory.files, directory.has_folders = fresh
            renewed.append(directory)
    return renewed


def store_directories(renewed: Sequence[Folder], listed: Sequence[Listed], rows: Iterable[Row]) -> None:
    """Keep the fingerprints of folders whose files are settled, and tell rows of new folders where they lie."""
    by_number = {-number: each for number, each in enumerate(listed, 1) if not each.directory.pk}
    known = [each for each in renewed if each.pk]
    stored.insert_directories([each for each in renewed if not each.pk])
    stored.write_directories(known)
    for row in rows:
        if row.directory_id < 0:
            row.directory_id = by_number[row.directory_id].directory.pk


def store_parts(batch: Batch) -> None:
    """Keep the files of the content folders that were registered."""
    if not batch.parts:
        return
    ids = {
        (row.directory_id, row.name): row.id
        for row in stored.of_directories(sorted({row.directory_id for row, _, _, _ in batch.parts}))
    }
    wanted = [(ids[row.directory_id, row.name], part, uuid_, main) for row, part, uuid_, main in batch.parts]
    Part.objects.filter(stored_file_id__in={pk for pk, _, _, _ in wanted}).delete()
    Part.objects.bulk_create(
        [
            Part(
                stored_file_id=pk,
                path=part.path,
                size=part.size,
                sha1=part.sha1,
                sha256=part.sha256,
                main=main,
                entry_uuid=entry_uuid,
            )
            for pk, part, entry_uuid, main in wanted
        ]
    )
