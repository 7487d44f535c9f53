"""What differs between a folder as it lies on the disk and as it is known: new, renamed, changed, missing, restored."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from apps.ssmix.models import State
from apps.ssmix.services import rows as stored
from apps.ssmix.services.examining import Examiner
from apps.ssmix.services.rows import Folder, Row
from apps.ssmix.services.settling import Batch
from apps.ssmix.services.sites import Site
from apps.ssmix.services.walking import Leaf
from hie.wire.ssmix.names import DELETED, path_bytes, path_text, read_file_name

UNREAD = frozenset(
    (State.FOUND, State.QUARANTINED, State.REJECTED, State.UNSETTLED)
)  # reading is still to come, or to be repeated


@dataclass(frozen=True, slots=True)
class Listed:
    """One folder of a batch: as it lies on the disk, and as it is known. digest: of its sorted names."""

    leaf: Leaf
    directory: Folder
    names: tuple[str, ...]
    digest: str


def list_leaf(leaf: Leaf, directory: Folder) -> Listed:
    """Put a folder that was walked beside what is known of it."""
    names = tuple(map(path_text, leaf.names))
    digest = hashlib.blake2b("\0".join(names).encode(), digest_size=16).hexdigest()
    return Listed(leaf, directory, names, digest)


def untouched(site: Site, listed: Sequence[Listed]) -> set[int]:
    """The ids of folders of a standard storage in which every file has its known name, size and time.

    This is what a full scan finds nearly everywhere, so it asks for no more than these three.
    """
    by_id = {each.directory.pk: each for each in listed if each.directory.pk}
    left = {pk: len(each.names) for pk, each in by_id.items()}
    places = {pk: site.path_of(each.leaf.path, "") + b"/" for pk, each in by_id.items()}
    names = {pk: frozenset(each.names) for pk, each in by_id.items()}
    differing: set[int] = set()
    for pk, name, size, mtime_ns, state, recheck in stored.outlines(list(by_id)):
        if name not in names[pk]:
            if state != State.MISSING:
                differing.add(pk)
            continue
        left[pk] -= 1
        if pk in differing or state == State.FOREIGN:
            continue
        if recheck or state in _TO_READ or not _has(places[pk] + path_bytes(name), size, mtime_ns):
            differing.add(pk)
    return {pk for pk, number in left.items() if number == 0} - differing


_TO_READ = frozenset((State.FOUND, State.MISSING))


def _has(path: bytes, size: int, mtime_ns: int) -> bool:
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return status.st_size == size and status.st_mtime_ns == mtime_ns


@dataclass(slots=True)
class Comparison:
    """Compares the folders of one batch; what differs is read, touched and counted."""

    batch: Batch
    examiner: Examiner
    counts: Counter[str]
    full: bool

    def compare(self, listed: Listed, there: list[Row], directory_id: int) -> list[Row]:
        """Touch what differs in one folder from what is known of it; returns the rows that are new."""
        known = {row.name: row for row in there}
        names = set(listed.names)
        gone = {_stem(row.name): row for row in there if row.name not in names and row.state != State.MISSING}
        new = []
        for name in listed.names:
            row = known.get(name)
            if row is not None:
                if row.state == State.FOUND:
                    self._read(listed, row, first=True)
                elif row.state == State.MISSING or row.recheck or (self.full and row.state != State.FOREIGN):
                    self._look_again(listed, row)
                continue
            renamed = gone.pop(_stem(name), None)
            if renamed is not None:
                self._rename(listed, renamed, name)
                continue
            row = Row(self.examiner.site.root_id, directory_id, name, path=listed.directory.path)
            self._read(listed, row, first=True)
            self.counts["new"] += 1
            new.append(row)
        for row in gone.values():
            self.lose(row)
        return new

    def lose(self, row: Row) -> None:
        """A file is missing. Absence is no order to delete (3.4 rule 7)."""
        row.state, row.recheck = State.MISSING.value, False
        self.counts["missing"] += 1
        self.batch.touch(row)

    def _rename(self, listed: Listed, row: Row, name: str) -> None:
        """Only the flag changed: the same document. Bytes that changed with it are read like new ones."""
        self.counts["renamed"] += 1
        self.batch.touch(row)
        row.name, row.renamed = name, True
        parsed = self.examiner.site.read_name(name, listed.directory.path)
        was_judged = row.flag != DELETED  # deleted data is kept unread
        row.flag = parsed.flag if parsed is not None else ""
        if was_judged and row.state not in UNREAD and self._is_same(listed, row):
            return
        self._read(listed, row, first=False)

    def _look_again(self, listed: Listed, row: Row) -> None:
        if row.state == State.MISSING:
            self.counts["restored"] += 1
        elif row.recheck and row.state not in UNREAD:
            self.batch.touch(row)  # its key waits for the folder to rest
            return
        elif not row.recheck:
            if self._is_same(listed, row):
                return
            self.counts["changed"] += 1
        self._read(listed, row, first=False)

    def _is_same(self, listed: Listed, row: Row) -> bool:
        """What cannot be asked counts as the same until it can."""
        try:
            return self.examiner.is_same(listed.leaf, row)
        except OSError:
            self.counts["errors"] += 1
            return True

    def _read(self, listed: Listed, row: Row, *, first: bool) -> None:
        self.batch.touch(row)
        self.examiner.read(self.batch, listed.leaf, row, first=first)


def _stem(name: str) -> str:
    """A name without its flag: what a rename of the flag leaves alone."""
    parsed = read_file_name(name)
    return parsed.stem if parsed is not None else name[:-1] if name[-2:-1] == "_" else name
