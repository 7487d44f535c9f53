"""The fast lane of a scan: folders that nobody knew are listed, their files read, hashed and put into the index.

Nothing is judged and nothing told here: the files are FOUND, which is a queue that the same scan drains right after,
while their bytes are still in the memory of the operating system. Their folders keep no fingerprint until then, so a
scan that was killed in between finds the queue again.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from apps.ssmix.models import State
from apps.ssmix.services.comparing import Listed
from apps.ssmix.services.reading import read_all, signed
from apps.ssmix.services.rows import COLUMNS, Row, insert_directories, insert_new
from apps.ssmix.services.sites import Site
from hie.wire.ssmix.checks import MAX_FILE_BYTES

_EMPTY = tuple(getattr(Row(0, 0, "", state=State.FOUND.value), name) for name in COLUMNS)
_AT = {name: COLUMNS.index(name) for name in COLUMNS}


def discover(site: Site, listed: Sequence[Listed], now: datetime) -> int:
    """Put the files of some new folders into the index, inside the caller's database transaction; returns how many.

    The folders are known afterwards.
    """
    for each in listed:
        each.directory.files, each.directory.has_folders = len(each.names), each.leaf.folders
    insert_directories([each.directory for each in listed])
    rows = [row for each in listed for row in _rows(site, each)]
    insert_new(rows, now)
    return len(rows)


def _rows(site: Site, listed: Listed) -> Iterator[list[Any]]:
    folder = site.place + b"/" + listed.leaf.path + b"/" if listed.leaf.path else site.place + b"/"
    for raw, name in zip(listed.leaf.names, listed.names, strict=True):
        size, mtime_ns, inode, sha256 = _hash(folder + raw)
        row = list(_EMPTY)
        row[_ROOT], row[_DIRECTORY], row[_NAME] = site.root_id, listed.directory.pk, name
        row[_SIZE], row[_MTIME], row[_INODE], row[_SHA256] = size, mtime_ns, inode, sha256
        yield row


_ROOT, _DIRECTORY, _NAME = _AT["root_id"], _AT["directory_id"], _AT["name"]
_SIZE, _MTIME, _INODE, _SHA256 = _AT["size"], _AT["mtime_ns"], _AT["inode"], _AT["sha256"]


def _hash(path: bytes) -> tuple[int, int, int, str]:
    """(size, time of change, inode, SHA-256) of a file; nothing where it cannot be read: judging it tells why."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return 0, 0, 0, ""
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_FILE_BYTES:
            return 0, 0, 0, ""
        raw = read_all(descriptor, status.st_size)
    except OSError:
        return 0, 0, 0, ""
    finally:
        os.close(descriptor)
    return len(raw), status.st_mtime_ns, signed(status.st_ino), hashlib.sha256(raw).hexdigest()
