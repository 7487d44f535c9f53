"""Scanning a storage: folder by folder, in batches that are whole or not at all (SS-MIX2 section 12).

A folder is listed when its time differs from the one remembered, or when a file in it has to be looked at again; only
names that are new are opened. A batch is read and decided before its transaction begins; the transaction feeds,
registers, stores the rows, the counts and the fingerprints of the folders together. So a scan may be killed anywhere:
what was not committed is found again, and nothing is told twice. A full scan compares every file's size and time
too, which finds what was overwritten in place.

A root is scanned by one process at a time. The lock is a row's column with an end; every batch moves the end inside its
own transaction, so that a scan which lost its lock cannot commit.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from apps.network import queries as network
from apps.pix.queries import regional_id_of
from apps.ssmix.models import Directory, Part, Scan, State, StorageKind, StorageRoot
from apps.ssmix.queries import directories_to_recheck, waiting_patients
from apps.ssmix.services import rows as stored
from apps.ssmix.services.counting import Tallies
from apps.ssmix.services.reading import Options, Reading, read_file, read_folder
from apps.ssmix.services.registering import (
    Registration,
    feed_patient,
    locator_of,
    patient_of,
    record_feeds,
    register,
)
from apps.ssmix.services.rows import Row
from apps.ssmix.services.settling import Batch, Look, settle
from apps.ssmix.services.walking import Known, Leaf, branches, files_of, leaves
from apps.terminology import queries as terminology
from apps.xds.services import relocate_content
from hie.wire.ssmix.documents import identify
from hie.wire.ssmix.names import (
    DELETED,
    Key,
    StorageName,
    check_location,
    is_foreign,
    path_bytes,
    path_text,
    read_content_folder,
    read_file_name,
)
from hie.wire.ssmix.rules import Deviation, Severity, is_fatal

log = logging.getLogger("apps.ssmix")

BATCH_FILES = 400
BATCH_FOLDERS = 2000
LOCK_TIME = timedelta(minutes=3)
_HERE = platform.node()[:40]
HEARTBEAT_SECONDS = 20
RACY_NS = 2_000_000_000
CONTENT_DEPTH = 6  # levels above the files of a content folder: 3 + 3 + id + date + type + folder


class ScanRefusedError(Exception):
    """The root is being scanned by another process, or the lock was lost to one."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a scan is: branches done of all, files found, and seconds since the start."""

    branches_done: int
    branches: int
    found: int
    new: int
    seconds: float

    @property
    def remaining_seconds(self) -> float | None:
        """An estimate from the branches done, None before the first one."""
        if not self.branches_done:
            return None
        return self.seconds / self.branches_done * (self.branches - self.branches_done)


def scan(root: StorageRoot, progress: Callable[[Progress], None] | None = None, *, full: bool = False) -> Scan:
    """Scan one root and return the scan with its figures; full also where a full scan is due.

    Raises ScanRefusedError where another process scans it. A storage that cannot be reached is a scan with a problem:
    nothing in the index changes.
    """
    token = _acquire(root)
    try:
        return _Run(root, token, progress, full=full or _full_is_due(root)).run()
    finally:
        _release(root, token)


def is_due(root: StorageRoot, now: datetime, seconds: int) -> bool:
    """Whether a root has to be scanned now: it was asked for, or the pause since the last scan is over."""
    if not root.enabled or root.kind == StorageKind.TRANSACTION:
        return False
    if root.lock_until is not None and root.lock_until > now and not _is_abandoned(root.lock_token):
        return False
    return root.scan_requested or root.last_scan_at is None or now - root.last_scan_at >= timedelta(seconds=seconds)


def _full_is_due(root: StorageRoot) -> bool:
    return (
        root.full_requested
        or root.last_full_at is None
        or timezone.now() - root.last_full_at >= timedelta(hours=root.full_hours)
    )


def _acquire(root: StorageRoot) -> str:
    token, now = f"{_HERE}:{os.getpid()}:{uuid.uuid4().hex}", timezone.now()
    free = Q(lock_until__isnull=True) | Q(lock_until__lt=now)
    holder = StorageRoot.objects.filter(pk=root.pk).values_list("lock_token", flat=True).first() or ""
    if _is_abandoned(holder):
        free |= Q(lock_token=holder)
    taken = StorageRoot.objects.filter(free, pk=root.pk).update(lock_token=token, lock_until=now + LOCK_TIME)
    if not taken:
        raise ScanRefusedError("The storage is being scanned by another process.")
    root.refresh_from_db()
    return token


def _is_abandoned(token: str) -> bool:
    """Whether a lock was held by a process of this machine that is no more: nobody has to wait for its end."""
    host, _, rest = token.rpartition(":")[0].rpartition(":")
    if host != _HERE or not rest.isdigit():
        return False
    try:
        os.kill(int(rest), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _release(root: StorageRoot, token: str) -> None:
    StorageRoot.objects.filter(pk=root.pk, lock_token=token).update(lock_token="", lock_until=None)


@dataclass(slots=True)
class _Listed:
    """One folder of a batch: as it lies on the disk, and as it is known."""

    leaf: Leaf
    directory: Directory
    names: list[str] = field(default_factory=list)
    digest: str = ""


class _Run:
    """One scan under way."""

    def __init__(
        self, root: StorageRoot, token: str, progress: Callable[[Progress], None] | None, *, full: bool
    ) -> None:
        facility = network.facility(root.facility.code)
        if facility is None:
            raise ScanRefusedError("The facility of the storage does not belong to this network.")
        self.root = root
        self.place = os.fsencode(root.path)
        self.facility = facility
        self.token = token
        self.progress = progress
        self.full = full
        self.extended = root.kind == StorageKind.EXTENDED
        self.family = list(
            StorageRoot.objects.filter(facility=root.facility, kind=root.kind)
            .exclude(pk=root.pk)
            .values_list("pk", flat=True)
        )
        self.places = dict(StorageRoot.objects.filter(pk__in=[root.pk, *self.family]).values_list("pk", "path"))
        self.scan = _continued(root, full=full)
        self.counts: dict[str, int] = defaultdict(int, self.scan.counts)
        self.tallies = Tallies(root.pk)
        self.started = time.monotonic()
        self.beaten = time.monotonic()
        self.recheck: set[int] = set()
        self.listed: list[_Listed] = []
        self.files = 0
        self.options = Options(
            facility=facility,
            wants=(lambda _: True) if self.extended else terminology.is_registered,
            now_ns=time.time_ns(),
            quiet_seconds=root.quiet_seconds,
            trust_folder=root.trust_folder,
        )
        self.directory_times: dict[int, int] = {}
        self.look = Look(self._rested, self._read_again, self._exists)

    # The road -------------------------------------------------------------------------------------------------------

    def run(self) -> Scan:
        """Walk all branches, then settle what only the end of a walk can tell."""
        try:
            steps = branches(self.place)
        except OSError:
            return self._end("The storage cannot be read.")
        known = set(Directory.objects.filter(root=self.root).values_list("branch", flat=True).distinct())
        if known and len(steps) == 1 and not any(os.scandir(self.place)):
            return self._end("The storage is empty, although files of it are known; nothing was changed.")
        self.recheck = set(directories_to_recheck(self.root.pk))
        texts = [path_text(branch) for branch in steps]
        done = texts.index(self.scan.cursor) + 1 if self.scan.cursor in texts else 0
        for number, branch in enumerate(steps, 1):
            if number > done or not branch:
                self._branch(branch)
            self._report(number, len(steps))
        self._flush()
        vanished = known - set(texts)
        for branch_text in sorted(vanished):
            self._vanish(list(Directory.objects.filter(root=self.root, branch=branch_text)))
        self._pending()
        return self._end("")

    def _branch(self, branch: bytes) -> None:
        text = path_text(branch)
        directories = {path_bytes(each.path): each for each in Directory.objects.filter(root=self.root, branch=text)}
        known = {
            path: Known(0 if each.pk in self.recheck else each.mtime_ns, each.has_folders)
            for path, each in directories.items()
        }
        problems: list[bytes] = []
        seen: set[bytes] = set()
        is_unit = _is_content_folder if self.extended else None
        unchanged = sum(each.files for each in directories.values())
        for leaf in leaves(self.place, branch, known, problems, is_unit, seen, full=self.full):
            directory = directories.get(leaf.path) or Directory(root=self.root, branch=text, path=path_text(leaf.path))
            unchanged -= directory.files
            self.listed.append(_list(leaf, directory))
            self.files += len(leaf.names)
            self.counts["found"] += len(leaf.names)
            if self.files >= BATCH_FILES or len(self.listed) >= BATCH_FOLDERS:
                self._flush()
        gone = [
            each
            for path, each in directories.items()
            if path not in seen and not any(path.startswith(problem) for problem in problems)
        ]
        unchanged -= sum(each.files for each in gone)
        self.counts["found"] += unchanged
        self.counts["errors"] += len(problems)
        if gone:
            self._flush()
            self._vanish(gone)
        if not self.listed:
            self._heartbeat(text)

    def _flush(self) -> None:
        """Settle what was listed so far. Batches go over the ends of branches, so that small ones cost no more."""
        if self.listed:
            self._batch(self.listed)
        self.listed, self.files = [], 0

    # One batch ------------------------------------------------------------------------------------------------------

    def _batch(self, listed: list[_Listed]) -> None:
        """Read and decide what is in some folders, then store all of it together."""
        self.options = replace(self.options, now_ns=time.time_ns())
        known = [each.directory.pk for each in listed if each.directory.pk]
        by_directory: dict[int, list[Row]] = defaultdict(list)
        for row in stored.of_directories(known):
            by_directory[row.directory_id].append(row)
        batch, rows = Batch(), list[Row]()
        keys: set[Key] = set()
        for number, each in enumerate(listed, 1):
            # Folders that are not stored yet are told apart by a negative number until they are.
            number_of = each.directory.pk or -number
            self.directory_times[number_of] = each.leaf.mtime_ns
            there = by_directory.get(number_of, [])
            before = len(batch.rows)
            there += self._differences(batch, each, there, number_of)
            keys.update(row.key for row in batch.rows[before:] if row.patient_id)
            rows += there
        settle(batch, keys, rows, self.family, self.options, self.look)
        self._commit(batch, listed)
        self.directory_times.clear()

    def _differences(self, batch: Batch, listed: _Listed, there: list[Row], directory_id: int) -> list[Row]:
        """Compare a folder with what is known of it; touches what differs and returns the rows that are new."""
        known = {row.name: row for row in there}
        names = set(listed.names)
        gone = {_stem(row.name): row for row in there if row.name not in names and row.state != State.MISSING}
        new = []
        for name in listed.names:
            row = known.get(name)
            if row is not None:
                if row.state == State.MISSING or row.recheck or (self.full and row.state != State.FOREIGN):
                    self._look_again(batch, listed, row)
                continue
            renamed = gone.pop(_stem(name), None)
            if renamed is not None:
                self._rename(batch, listed, renamed, name)
                continue
            row = Row(self.root.pk, directory_id, name, path=listed.directory.path)
            batch.touch(row)
            self._read(batch, listed, row, first=True)
            self.counts["new"] += 1
            new.append(row)
        for row in gone.values():
            row.state, row.recheck = State.MISSING.value, False
            self.counts["missing"] += 1
            batch.touch(row)
        return new

    def _rename(self, batch: Batch, listed: _Listed, row: Row, name: str) -> None:
        """Only the flag changed: the same document. Bytes that changed with it are read like new ones."""
        self.counts["renamed"] += 1
        batch.touch(row)
        row.name = name
        parsed = self._parse(listed, name)
        was_judged = row.flag != DELETED  # deleted data is kept unread
        row.flag = parsed.flag if parsed is not None else ""
        if was_judged and row.state not in (State.QUARANTINED, State.UNSETTLED) and self._same(listed, row):
            return
        self._read(batch, listed, row, first=False)

    def _look_again(self, batch: Batch, listed: _Listed, row: Row) -> None:
        restored = row.state == State.MISSING
        if restored:
            self.counts["restored"] += 1
            batch.touch(row)
        elif not row.recheck and self._same(listed, row):
            return
        elif row.recheck and row.state not in (State.QUARANTINED, State.UNSETTLED):
            batch.touch(row)  # its key waits for the folder to rest
            return
        if not restored and not row.recheck:
            self.counts["changed"] += 1
        batch.touch(row)
        self._read(batch, listed, row, first=False)

    def _same(self, listed: _Listed, row: Row) -> bool:
        """Whether size and time are the known ones. What cannot be asked counts as the same until it can."""
        place = self._place_of(listed.leaf.path, row.name)
        try:
            if self.extended and not os.path.isfile(place):  # noqa: PTH113 - bytes
                files = files_of(place)
                size = sum(status.st_size for _, status in files)
                return (size, max((status.st_mtime_ns for _, status in files), default=0)) == (row.size, row.mtime_ns)
            status = os.lstat(place)
        except OSError:
            self.counts["errors"] += 1
            return True
        return (status.st_size, status.st_mtime_ns) == (row.size, row.mtime_ns)

    def _place_of(self, folder: bytes, name: str) -> bytes:
        return b"/".join(part for part in (self.place, folder, path_bytes(name)) if part)

    def _parse(self, listed: _Listed, name: str) -> StorageName | None:
        if self.extended:
            return read_content_folder(name, listed.directory.path.rsplit("/", 1)[-1])
        return None if is_foreign(name) else read_file_name(name)

    # One file -------------------------------------------------------------------------------------------------------

    def _read(self, batch: Batch, listed: _Listed, row: Row, *, first: bool) -> None:
        """Read one file or content folder into its row."""
        parsed = self._parse(listed, row.name)
        if parsed is None:
            self._stranger(listed, row)
            return
        row.patient_id, row.care_date, row.data_type, row.order_number = (
            text[:length] for text, length in zip(parsed.key, (64, 16, 255, 255), strict=True)
        )
        row.written_at, row.department, row.flag = parsed.written_at, parsed.department[:64], parsed.flag[:8]
        reading = self._reading(listed.leaf.path, row, parsed)
        batch.readings[id(row)] = reading
        if row.sha256 and reading.sha256 and row.sha256 != reading.sha256 and row.live:
            self._changed_in_place(batch, row)
        _take(row, reading, first=first)

    def _reading(self, folder: bytes, row: Row, parsed: StorageName) -> Reading:
        if self.extended:
            self._keep_lock()  # a folder may hold gigabytes
        before = parsed.deviations + check_location(parsed, tuple(path_text(folder).split("/")))
        place = self._place_of(folder, row.name)
        if not self.extended:
            return read_file(place, parsed, before, self.options)
        try:
            files = files_of(place)
        except OSError:
            return Reading(deviations=(*before, Deviation("OWN-02", "folder")))
        return read_folder(place, files, before, self.options)

    def _changed_in_place(self, batch: Batch, row: Row) -> None:
        """The bytes changed under the same name: the document that was registered ends, the new one replaces it."""
        if row.data_type != "ADT-00":
            batch.overwritten[id(row)] = row.entry_uuid
        row.live, row.entry_uuid, row.unique_id = False, "", ""
        row.generation += 1

    def _stranger(self, listed: _Listed, row: Row) -> None:
        """A name that cannot be read: quarantined where it looks like the storage's own, else foreign."""
        folders = listed.directory.path.split("/")
        if self.extended and len(folders) >= CONTENT_DEPTH - 1 and not is_foreign(row.name):
            row.state, row.rules, row.patient_id = State.QUARANTINED.value, "EXT-01", folders[2][:64]
        elif not self.extended and len(folders) >= 3 and row.name.startswith(folders[-3] + "_"):
            row.state, row.rules, row.patient_id = State.QUARANTINED.value, "PATH-01", folders[-3][:64]
        else:
            row.state, row.rules = State.FOREIGN.value, "PATH-10"

    def _read_again(self, row: Row) -> Reading:
        """A file that was indexed before and becomes current only now."""
        folder = path_bytes(row.path)
        base = os.fsencode(self.places.get(row.root_id, self.root.path))
        name = read_content_folder(row.name, row.path.rsplit("/", 1)[-1]) if self.extended else read_file_name(row.name)
        if name is None:
            return Reading(deviations=(Deviation("OWN-02", "name", Severity.ERROR),))
        place = b"/".join(part for part in (base, folder, path_bytes(row.name)) if part)
        if not self.extended:
            return read_file(place, name, (), self.options)
        try:
            return read_folder(place, files_of(place), (), self.options)
        except OSError:
            return Reading(deviations=(Deviation("OWN-02", "folder"),))

    def _rested(self, row: Row) -> bool:
        changed = self.directory_times.get(row.directory_id, 0)
        return abs(self.options.now_ns - changed) >= self.root.quiet_seconds * 1_000_000_000

    def _exists(self, row: Row) -> bool:
        base = self.places.get(row.root_id)
        if base is None:
            return True
        place = b"/".join(part for part in (os.fsencode(base), path_bytes(row.path), path_bytes(row.name)) if part)
        return os.path.lexists(place)

    # Storing --------------------------------------------------------------------------------------------------------

    def _commit(self, batch: Batch, listed: list[_Listed]) -> None:
        now = timezone.now()
        with transaction.atomic():
            self._hold()
            self._store_directories(listed, batch)
            self._tell(batch)
            stored.write(batch.rows, now)
            self._store_parts(batch)
            self.tallies.count(batch.rows, batch.readings)
        self._show()

    def _tell(self, batch: Batch) -> None:
        """Feed patients first, then register documents whose patients are known; the others wait."""
        fed = []
        for row, demographics, known in batch.feeds:
            row.entry_uuid, row.unique_id = identify(
                self.facility.code, row.key, row.written_at, row.sha256, generation=row.generation
            )
            regional_id = feed_patient(self.facility, row, demographics, known=known)
            if regional_id is None:
                row.state, row.rules = State.QUARANTINED.value, _with(row.rules, "OWN-04")
                continue
            row.live = True
            self.counts["fed"] += 1
            fed.append((row, regional_id))
        record_feeds(self.facility, fed)
        regional_ids = self._regional_ids(row.row.patient_id for row in batch.documents)
        wanted = Registration()
        for each in batch.documents:
            if each.row.patient_id in regional_ids:
                wanted.documents.append(each)
                continue
            each.row.state, each.row.rules = State.PENDING.value, _with(each.row.rules, "OWN-07")
            each.row.entry_uuid, each.row.unique_id = "", ""
            batch.replaced.pop(id(each.row), None)
        companions = self._companions(batch)
        for row in batch.ended:
            row.live = False
            wanted.deprecate.append(row.entry_uuid)
        wanted.deprecate += [*companions, *batch.overwritten.values()]
        outcome = register(self.facility, wanted, regional_ids)
        for each in wanted.documents:
            if each.row.live:
                for before in batch.replaced.get(id(each.row), ()):
                    before.live = False
            else:
                each.row.state, each.row.rules = State.QUARANTINED.value, _with(each.row.rules, "OWN-05")
                each.row.entry_uuid, each.row.unique_id = "", ""
        batch.parts = outcome.parts
        if batch.moved:
            relocate_content({row.entry_uuid: locator_of(row) for row, _ in batch.moved})
        self.counts["registered"] += outcome.registered
        self.counts["replaced"] += outcome.replaced
        self.counts["deprecated"] += outcome.deprecated

    def _regional_ids(self, patient_ids: Iterable[str]) -> dict[str, str]:
        found = {}
        for patient_id in dict.fromkeys(patient_ids):
            regional_id = regional_id_of(patient_of(self.facility, patient_id))
            if regional_id:
                found[patient_id] = regional_id
        return found

    def _companions(self, batch: Batch) -> list[str]:
        """The other documents of content folders that end or are replaced."""
        if not self.extended:
            return []
        ending = [row.id for row in batch.ended]
        ending += [row.id for rows in batch.replaced.values() for row in rows]
        parts = Part.objects.filter(stored_file_id__in=[pk for pk in ending if pk], main=False)
        return list(parts.values_list("entry_uuid", flat=True))

    def _store_directories(self, listed: list[_Listed], batch: Batch) -> None:
        now_ns = time.time_ns()
        new: list[Directory] = []
        changed: list[Directory] = []
        by_number = {-number: each for number, each in enumerate(listed, 1) if not each.directory.pk}
        for each in listed:
            directory, leaf = each.directory, each.leaf
            racy = abs(now_ns - leaf.mtime_ns) < RACY_NS
            fresh = (0 if racy else leaf.mtime_ns, each.digest, len(each.names), leaf.folders)
            if (directory.mtime_ns, directory.names, directory.files, directory.has_folders) != fresh:
                directory.mtime_ns, directory.names, directory.files, directory.has_folders = fresh
                (changed if directory.pk else new).append(directory)
            elif not directory.pk:
                new.append(directory)
        Directory.objects.bulk_create(new)
        Directory.objects.bulk_update(changed, ["mtime_ns", "names", "files", "has_folders"])
        for row in batch.rows:
            if row.directory_id < 0:
                row.directory_id = by_number[row.directory_id].directory.pk

    def _store_parts(self, batch: Batch) -> None:
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

    def _vanish(self, gone: list[Directory]) -> None:
        """Folders that are no more: their files are missing. Absence is no order to delete (3.4 rule 7)."""
        batch = Batch()
        for row in stored.of_directories([each.pk for each in gone]):
            if row.state == State.MISSING:
                continue
            row.state, row.recheck = State.MISSING.value, False
            self.counts["missing"] += 1
            batch.touch(row)
        changed = [each for each in gone if each.files or each.mtime_ns]
        if not batch.rows and not changed:
            return
        with transaction.atomic():
            self._hold()
            for each in changed:
                each.mtime_ns, each.names, each.files = 0, "", 0
            Directory.objects.bulk_update(changed, ["mtime_ns", "names", "files"])
            stored.write(batch.rows, timezone.now())
            self.tallies.count(batch.rows, batch.readings)

    def _pending(self) -> None:
        """Documents whose patients became known meanwhile, by ADT-00 or through another door."""
        waiting = waiting_patients(self.root.pk)
        for start in range(0, len(waiting), BATCH_FILES):
            known = list(self._regional_ids(waiting[start : start + BATCH_FILES]))
            if not known:
                continue
            rows = stored.pending(self.root.pk, known)
            for at in range(0, len(rows), BATCH_FILES):
                self._settle_pending(rows[at : at + BATCH_FILES])

    def _settle_pending(self, waiting: list[Row]) -> None:
        batch = Batch()
        same = stored.of_directories(sorted({row.directory_id for row in waiting}))
        by_id = {row.id: row for row in same}
        keys: set[Key] = set()
        for row in waiting:
            batch.touch(by_id[row.id])
            keys.add(row.key)
        settle(batch, keys, same, self.family, self.options, self.look)
        self._commit(batch, [])

    # Lock, figures, end ---------------------------------------------------------------------------------------------

    def _hold(self) -> None:
        """Move the end of the lock, inside the transaction of the batch. Raises ScanRefusedError where it was lost."""
        held = StorageRoot.objects.filter(pk=self.root.pk, lock_token=self.token)
        if not held.update(lock_until=timezone.now() + LOCK_TIME):
            raise ScanRefusedError("The scan lost its lock to another process.")
        self.beaten = time.monotonic()

    def _heartbeat(self, cursor: str) -> None:
        """Keep the lock and, in a full scan, the place where an interrupted one goes on."""
        self.scan.cursor = cursor
        if time.monotonic() - self.beaten >= HEARTBEAT_SECONDS:
            with transaction.atomic():
                self._hold()
                self.scan.counts = dict(self.counts)
                self.scan.save(update_fields=["cursor", "counts"])

    def _keep_lock(self) -> None:
        if time.monotonic() - self.beaten >= HEARTBEAT_SECONDS:
            with transaction.atomic():
                self._hold()

    def _report(self, done: int, total: int) -> None:
        self._steps = (done, total)
        self._show()

    _steps = (0, 0)

    def _show(self) -> None:
        if self.progress is not None:
            done, total = self._steps
            seconds = time.monotonic() - self.started
            self.progress(Progress(done, total, self.counts["found"], self.counts["new"], seconds))

    def _end(self, problem: str) -> Scan:
        now = timezone.now()
        self.scan.ended_at, self.scan.counts, self.scan.problem = now, dict(self.counts), problem
        self.scan.cursor = ""
        with transaction.atomic():
            self._hold()
            self.scan.save()
            fresh = {"last_scan_at": now, "last_problem": problem, "scan_requested": False}
            if self.full and not problem:
                fresh |= {"last_full_at": now, "full_requested": False}
            StorageRoot.objects.filter(pk=self.root.pk).update(**fresh)
        self.root.refresh_from_db()
        if problem:
            log.warning("storage %s: %s", self.root.pk, problem)
        return self.scan


def _continued(root: StorageRoot, *, full: bool) -> Scan:
    """A new scan, or the full scan that was interrupted. What was interrupted and is not continued is closed."""
    unfinished = Scan.objects.filter(root=root, ended_at__isnull=True).order_by("-started_at")
    if full:
        before = unfinished.filter(full=True).first()
        if before is not None:
            return before
    unfinished.update(ended_at=timezone.now(), problem="interrupted")
    return Scan.objects.create(root=root, full=full, started_at=timezone.now())


def _list(leaf: Leaf, directory: Directory) -> _Listed:
    names = [path_text(name) for name in leaf.names]
    digest = hashlib.blake2b("\0".join(names).encode(), digest_size=16).hexdigest()
    return _Listed(leaf, directory, names, digest)


def _stem(name: str) -> str:
    """A name without its flag: what a rename of the flag leaves alone."""
    parsed = read_file_name(name)
    return parsed.stem if parsed is not None else name[:-1] if name[-2:-1] == "_" else name


def _is_content_folder(name: bytes, parent: bytes) -> bool:
    return read_content_folder(path_text(name), path_text(parent)) is not None


def _take(row: Row, reading: Reading, *, first: bool) -> None:
    """Put a reading into its row, with the state that the reading alone decides."""
    row.size, row.mtime_ns, row.inode = reading.size, reading.mtime_ns, reading.inode
    row.sha256, row.sha1, row.cancels, row.files = reading.sha256, reading.sha1, reading.cancels, reading.files
    row.rules = reading.rules
    row.recheck = False
    if not reading.settled or (first and reading.size == 0 and not is_fatal(_but_empty(reading))):
        row.state, row.recheck, row.rules = State.UNSETTLED.value, True, ""
    elif reading.fatal:
        row.state = State.QUARANTINED.value
        row.recheck = reading.size == 0 or "OWN-02" in row.rule_ids
    elif reading.files == 0:
        row.state, row.recheck = State.UNSETTLED.value, True
    else:
        row.state = State.HISTORY.value  # until its key is decided


def _but_empty(reading: Reading) -> list[Deviation]:
    """What a file of no bytes breaks besides being empty, which it may not stay."""
    return [each for each in reading.deviations if each.rule != "MSH-01"]


def _with(rules: str, rule: str) -> str:
    return " ".join(dict.fromkeys([*rules.split(), rule]))
