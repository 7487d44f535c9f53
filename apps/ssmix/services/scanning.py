"""Scanning a storage (SS-MIX2 section 12): the road is walk -> find -> read -> judge -> settle -> tell -> report.

- walk: folders whose time differs from the one remembered are listed (``walking``). A full scan lists all and compares
  every file's size and time, which finds what was overwritten in place.
- find: files of folders that nobody knew are hashed and indexed before anything else, a slice at a time
  (``discovering``): a fast lane with its own rate. The slow one drains it at once.
- read, judge: what is new or differs is read and held to the rules (``comparing``, ``examining``, ``reading``).
- settle: the flags of each key decide which of its files are current (``settling``, ``rules``).
- tell: patients are fed, documents registered, replaced, deprecated (``telling``, ``registering``).

A batch is read and decided before its database transaction begins; the transaction tells, stores the rows, the counts
and the fingerprints of the folders together. So a scan may be killed anywhere: what was not committed is found again,
and nothing is told twice.
"""

from __future__ import annotations

import gc
import logging
import os
import time
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from apps.ssmix.models import Directory, Scan, StorageKind, StorageRoot
from apps.ssmix.queries import directories_to_recheck, waiting_patients
from apps.ssmix.services import committing, discovering, locking, telling
from apps.ssmix.services import rows as stored
from apps.ssmix.services.ahead import Helpers, ReadAhead, Readings
from apps.ssmix.services.comparing import Comparison, Listed, list_leaf, untouched
from apps.ssmix.services.counting import Tallies
from apps.ssmix.services.examining import Examiner
from apps.ssmix.services.locking import Lock, ScanRefusedError
from apps.ssmix.services.rows import Folder, Row
from apps.ssmix.services.settling import Batch, settle
from apps.ssmix.services.sites import Site, site_of
from apps.ssmix.services.walking import Known, branches, folders_of, leaves
from hie.wire.ssmix.names import Key, path_bytes, path_text, read_content_folder

__all__ = ["Progress", "ScanRefusedError", "is_due", "scan"]

log = logging.getLogger("apps.ssmix")

BATCH_FILES = 1000
BATCH_FOLDERS = 2000
SLICE_FILES = 20_000  # as many are found before they are judged: their bytes are then still in memory
FOUND_AT_ONCE = 4000
FIND_FROM = 1000  # below, what is new is judged at once


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a scan is: branches done of all, files found, files new, and seconds since the start.

    share: the part of the storage (0 to 1) that is settled, counted by branches and by the patients inside them.
    discovered and discovering: files of the fast lane and the seconds it took. settled and settling: the same of
    what was compared, judged and told.
    """

    branches_done: int
    branches: int
    found: int
    new: int
    seconds: float
    discovered: int = 0
    discovering: float = 0.0
    settled: int = 0
    settling: float = 0.0
    share: float = 0.0

    @property
    def remaining_seconds(self) -> float | None:
        """An estimate from the share that is done, None before there is any."""
        return self.seconds / self.share * (1 - self.share) if self.share else None


Show = Callable[[Progress], None]


def scan(root: StorageRoot, progress: Show | None = None, *, full: bool = False) -> Scan:
    """Scan one root and return the scan with its figures; full also where a full scan is due.

    Raises ScanRefusedError where another process scans it. A storage that cannot be reached is a scan with a problem:
    nothing in the index changes.
    """
    lock, helpers = locking.acquire(root), Helpers()
    try:
        return _Run(root, lock, helpers, progress, full=full or _full_is_due(root)).run()
    finally:
        helpers.stop()
        lock.release()


def is_due(root: StorageRoot, now: datetime, seconds: int) -> bool:
    """Whether a root has to be scanned now: it was asked for, or the pause since the last scan is over."""
    if not root.enabled or root.kind == StorageKind.TRANSACTION:
        return False
    if root.lock_until is not None and root.lock_until > now and not locking.is_abandoned(root.lock_token):
        return False
    return root.scan_requested or root.last_scan_at is None or now - root.last_scan_at >= timedelta(seconds=seconds)


def _full_is_due(root: StorageRoot) -> bool:
    return (
        root.full_requested
        or root.last_full_at is None
        or timezone.now() - root.last_full_at >= timedelta(hours=root.full_hours)
    )


class _Run:
    """One scan under way."""

    def __init__(self, root: StorageRoot, lock: Lock, helpers: Helpers, progress: Show | None, *, full: bool) -> None:
        self.root = root
        self.site: Site = site_of(root)
        self.lock = lock
        self.helpers = helpers
        self.show = progress
        self.full = full
        self.scan = _continued(root, full=full)
        self.counts: Counter[str] = Counter(self.scan.counts)
        self.found = self.counts["found"]  # at the cursor
        self.tallies = Tallies(root.pk)
        self.recheck: set[int] = set()
        self.listed: list[Listed] = []
        self.files = 0
        self.places: dict[str, int] = {}  # branch -> its number
        self.patients: dict[str, list[bytes]] = {}  # branch that is being walked -> folders of its patients
        self.walked = self.scan.cursor  # the last branch that was walked to its end
        self.started = time.monotonic() - self.scan.seconds  # as if what an interrupted scan did were done now
        self.progress = Progress(0, 0, 0, 0, 0.0)

    def run(self) -> Scan:
        """Walk all branches, slice by slice, then settle what only the end of a walk can tell."""
        try:
            steps = branches(self.site.place)
        except OSError:
            return self._end("The storage cannot be read.")
        known = set(Directory.objects.filter(root=self.root).values_list("branch", flat=True).distinct())
        if known and len(steps) == 1 and not any(os.scandir(self.site.place)):
            return self._end("The storage is empty, although files of it are known; nothing was changed.")
        self.recheck = set(directories_to_recheck(self.root.pk))
        texts = [path_text(branch) for branch in steps]
        self.places = {text: number for number, text in enumerate(texts)}
        done = texts.index(self.scan.cursor) + 1 if self.scan.cursor in texts else 0
        for number, branch in enumerate(steps, 1):
            if number > done or not branch:
                self._walk(branch)
            share = self.progress.share if self.listed else number / len(steps)
            self._report(branches_done=number, branches=len(steps), share=share)
        self._slice()
        self._report(share=1.0)
        for vanished in sorted(known - set(texts)):
            self._vanish(stored.folders_of(self.root.pk, vanished))
        self._pending()
        self.counts["found"] = Directory.objects.filter(root=self.root).aggregate(n=Sum("files"))["n"] or 0
        return self._end("")

    # Walk -----------------------------------------------------------------------------------------------------------

    def _walk(self, branch: bytes) -> None:
        """List the folders of a branch that have to be looked at; what is gone is missing."""
        text = path_text(branch)
        directories = {path_bytes(each.path): each for each in stored.folders_of(self.root.pk, text)}
        known = {
            path: Known(0 if each.pk in self.recheck else each.mtime_ns, each.has_folders)
            for path, each in directories.items()
        }
        problems: list[bytes] = []
        seen: set[bytes] = set()
        self.patients[text] = folders_of(self.site.place, branch)
        unchanged = sum(each.files for each in directories.values())
        is_unit = _is_content_folder if self.site.extended else None
        for leaf in leaves(self.site.place, branch, known, problems, is_unit, seen, full=self.full):
            directory = directories.get(leaf.path) or Folder(self.root.pk, text, path_text(leaf.path))
            unchanged -= directory.files
            self.listed.append(list_leaf(leaf, directory))
            self.files += len(leaf.names)
            self.counts["found"] += len(leaf.names)
            if self.files >= SLICE_FILES or len(self.listed) >= SLICE_FILES:
                self._slice()
        gone = [
            each
            for path, each in directories.items()
            if path not in seen and not any(path.startswith(problem) for problem in problems)
        ]
        self.counts["found"] += unchanged - sum(each.files for each in gone)
        self.counts["errors"] += len(problems)
        if gone:
            self._slice()
            self._vanish(gone)
        self.walked = text
        if not self.listed:
            self._rest()

    # Find, then judge -----------------------------------------------------------------------------------------------

    def _slice(self) -> None:
        """Find and judge what was listed so far. Slices go over the ends of branches: small ones cost no more."""
        listed, self.listed, self.files = self.listed, [], 0
        new = [each for each in listed if not each.directory.pk and not self.site.extended]
        files = sum(len(each.names) for each in new)
        self.helpers.start(files)
        if files >= FIND_FROM:
            self._discover(new)
        unread = {each.directory.pk for each in new if each.directory.pk}
        parts = list(_parts(listed, BATCH_FILES, BATCH_FOLDERS))
        ahead = ReadAhead(self.helpers, self.site, parts)
        for number, part in enumerate(parts):
            with _without_collector():
                self._batch(part, ahead.take(number, unread), unread)
        self._rest()

    def _discover(self, new: Sequence[Listed]) -> None:
        begun = time.monotonic()
        for part in _parts(new, FOUND_AT_ONCE, FOUND_AT_ONCE):
            with transaction.atomic():
                self.lock.hold()
                number = discovering.discover(self.site, part, timezone.now())
                self.counts["new"] += number
                self._keep_figures()
            spent = self.progress.discovering + time.monotonic() - begun
            begun = time.monotonic()
            self._report(discovered=self.progress.discovered + number, discovering=spent)

    def _batch(self, listed: Sequence[Listed], readings: Readings, unread: Collection[int]) -> None:
        """Read, judge and settle what is in some folders, then tell and store all of it together.

        unread: ids of the folders that were just found.
        """
        begun = time.monotonic()
        batch = Batch()
        examiner = Examiner(self.site, self.site.options(), self.lock.beat, readings)
        comparison = Comparison(batch, examiner, self.counts, self.full)
        by_directory: dict[int, list[Row]] = defaultdict(list)
        judged = [each for each in listed if each.directory.pk not in unread]
        same = untouched(self.site, judged) if self.full and not self.site.extended else set()
        known = [each.directory.pk for each in listed if each.directory.pk and each.directory.pk not in same]
        for row in stored.of_directories(known):
            by_directory[row.directory_id].append(row)
        rows: list[Row] = []
        for number, each in enumerate(listed, 1):
            if each.directory.pk in same:
                continue
            # Folders that are not stored yet are told apart by a negative number until they are.
            directory_id = each.directory.pk or -number
            examiner.times[directory_id] = each.leaf.mtime_ns
            there = by_directory.get(directory_id, [])
            rows += there + comparison.compare(each, there, directory_id)
        keys = {row.key for row in batch.rows if row.patient_id}
        self._settle(batch, keys, rows, examiner, listed)
        spent = self.progress.settling + time.monotonic() - begun
        files = sum(len(each.names) for each in listed)
        self._report(settled=self.progress.settled + files, settling=spent, share=self._share(listed[-1]))

    def _settle(
        self, batch: Batch, keys: set[Key], rows: Sequence[Row], examiner: Examiner, listed: Sequence[Listed]
    ) -> None:
        settle(batch, keys, rows, self.site.family, examiner.options, examiner.look)
        self._commit(batch, listed)

    # Tell -----------------------------------------------------------------------------------------------------------

    def _commit(self, batch: Batch, listed: Sequence[Listed]) -> None:
        renewed = committing.renew(listed)
        if not renewed and not batch.rows:
            self.lock.beat()
            return
        with transaction.atomic():
            self.lock.hold()
            committing.store_directories(renewed, listed, batch.rows)
            telling.tell(batch, self.site.facility, self.counts)
            stored.write(batch.rows, timezone.now())
            committing.store_parts(batch)
            self.tallies.count(batch.rows, batch.readings)
            self._keep_figures()

    def _vanish(self, gone: list[Folder]) -> None:
        """Folders that are no more: their files are missing."""
        batch = Batch()
        comparison = Comparison(batch, Examiner(self.site, self.site.options(), self.lock.beat), self.counts, self.full)
        for row in stored.of_directories([each.pk for each in gone]):
            if not row.is_missing:
                comparison.lose(row)
        changed = [each for each in gone if each.files or each.mtime_ns]
        if not batch.rows and not changed:
            return
        for each in changed:
            each.mtime_ns, each.names, each.files = 0, "", 0
        with transaction.atomic():
            self.lock.hold()
            stored.write_directories(changed)
            stored.write(batch.rows, timezone.now())
            self.tallies.count(batch.rows, batch.readings)
            self._keep_figures()

    def _pending(self) -> None:
        """Documents whose patients became known meanwhile, by ADT-00 or through another door."""
        waiting = waiting_patients(self.root.pk)
        for start in range(0, len(waiting), BATCH_FILES):
            known = list(telling.regional_ids_of(self.site.facility, waiting[start : start + BATCH_FILES]))
            rows = stored.pending(self.root.pk, known) if known else []
            for at in range(0, len(rows), BATCH_FILES):
                self._settle_pending(rows[at : at + BATCH_FILES])

    def _settle_pending(self, waiting: Sequence[Row]) -> None:
        batch = Batch()
        same = stored.of_directories(sorted({row.directory_id for row in waiting}))
        by_id = {row.id: row for row in same}
        for row in waiting:
            batch.touch(by_id[row.id])
        examiner = Examiner(self.site, self.site.options(), self.lock.beat)
        self._settle(batch, {row.key for row in waiting}, same, examiner, ())

    # Report ---------------------------------------------------------------------------------------------------------

    def _keep_figures(self) -> None:
        """Store the figures in the transaction of what they count, so that they are right after a crash too.

        Files are found long before they are settled: what is kept of them is the number at the cursor.
        """
        self.scan.counts = dict(self.counts) | {"found": self.found}
        self.scan.share, self.scan.seconds = self.progress.share, int(self._seconds())
        self.scan.save(update_fields=["counts", "cursor", "share", "seconds"])

    def _share(self, last: Listed) -> float:
        """The part of the storage that lies up to this folder."""
        patients, levels = self.patients.get(last.directory.branch, []), last.leaf.path.split(b"/")
        within = bisect_right(patients, levels[2]) / len(patients) if patients and len(levels) > 2 else 1.0
        return (self.places.get(last.directory.branch, 0) + within) / max(1, len(self.places))

    def _rest(self) -> None:
        """Everything listed is settled: an interrupted full scan would go on after the last branch that was walked."""
        self.scan.cursor, self.found = self.walked, self.counts["found"]
        self.patients = {self.walked: self.patients.get(self.walked, [])}
        if self.lock.is_due:
            with transaction.atomic():
                self.lock.hold()
                self._keep_figures()

    def _seconds(self) -> float:
        return time.monotonic() - self.started

    def _report(self, **changes: float) -> None:
        self.progress = replace(
            self.progress,
            found=self.counts["found"],
            new=self.counts["new"],
            seconds=self._seconds(),
            **changes,  # type: ignore[arg-type]
        )
        if self.show is not None:
            self.show(self.progress)

    def _end(self, problem: str) -> Scan:
        now = timezone.now()
        self.scan.ended_at, self.scan.counts, self.scan.problem = now, dict(self.counts), problem
        self.scan.cursor, self.scan.share = "", 0.0 if problem else 1.0
        self.scan.seconds = int(self._seconds())
        with transaction.atomic():
            self.lock.hold()
            self.scan.save()
            fresh = {"last_scan_at": now, "last_problem": problem, "scan_requested": False}
            if self.full and not problem:
                fresh |= {"last_full_at": now, "full_requested": False}
            StorageRoot.objects.filter(pk=self.root.pk).update(**fresh)
        self.root.refresh_from_db()
        if problem:
            log.warning("storage %s: %s", self.root.pk, problem)
        return self.scan


@contextmanager
def _without_collector() -> Iterator[None]:
    """A batch makes tens of thousands of values and hardly a cycle: looking for some again and again is time lost."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _continued(root: StorageRoot, *, full: bool) -> Scan:
    """A new scan, or the full scan that was interrupted. What was interrupted and is not continued is closed."""
    unfinished = Scan.objects.filter(root=root, ended_at__isnull=True).order_by("-started_at")
    if full:
        before = unfinished.filter(full=True).first()
        if before is not None:
            return before
    unfinished.update(ended_at=timezone.now(), problem="interrupted")
    return Scan.objects.create(root=root, full=full, started_at=timezone.now())


def _parts(listed: Sequence[Listed], files: int, folders: int) -> Iterator[list[Listed]]:
    """Whole folders, in order, by so many files or folders."""
    part: list[Listed] = []
    number = 0
    for each in listed:
        part.append(each)
        number += len(each.names)
        if number >= files or len(part) >= folders:
            yield part
            part, number = [], 0
    if part:
        yield part


def _is_content_folder(name: bytes, parent: bytes) -> bool:
    return read_content_folder(path_text(name), path_text(parent)) is not None
