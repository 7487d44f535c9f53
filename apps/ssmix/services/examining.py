"""Reading the files behind rows: what a file came to is put into its row, with the state that reading alone decides."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from apps.ssmix.models import State
from apps.ssmix.services.reading import Options, Reading, read_file, read_folder
from apps.ssmix.services.rows import Row
from apps.ssmix.services.settling import Batch, Look
from apps.ssmix.services.sites import Site
from apps.ssmix.services.walking import Leaf, files_of
from hie.wire.ssmix.names import (
    StorageName,
    check_location,
    is_foreign,
    path_bytes,
    path_text,
    read_content_folder,
    read_file_name,
)
from hie.wire.ssmix.rules import Deviation, Severity, is_fatal

CONTENT_DEPTH = 6  # levels above the files of a content folder: 3 + 3 + id + date + type + folder


@dataclass(slots=True)
class Examiner:
    """Reads the files of one batch. beat: called before what may last long. ahead: what others have read meanwhile.

    times: when a folder of this batch was changed last, by its id (nanoseconds).
    """

    site: Site
    options: Options
    beat: Callable[[], None]
    ahead: Mapping[tuple[bytes, str], Reading] = field(default_factory=dict)
    times: dict[int, int] = field(default_factory=dict)

    def read(self, batch: Batch, leaf: Leaf, row: Row, *, first: bool) -> None:
        """Read one file or content folder into its row. first: it was never read before."""
        parsed = self.site.read_name(row.name, row.path)
        if parsed is None:
            _name_stranger(row, extended=self.site.extended)
            return
        row.patient_id, row.care_date, row.data_type, row.order_number = (
            text[:length] for text, length in zip(parsed.key, (64, 16, 255, 255), strict=True)
        )
        row.written_at, row.department, row.flag = parsed.written_at, parsed.department[:64], parsed.flag[:8]
        reading = self.ahead.get((leaf.path, row.name)) or self._reading(leaf.path, row.name, parsed, row.accepted)
        if row.accepted and reading.sha256 != row.sha256:  # other bytes than those that were accepted
            row.accepted = False
            reading = self._reading(leaf.path, row.name, parsed, False)
        batch.readings[id(row)] = reading
        if row.sha256 and reading.sha256 and row.sha256 != reading.sha256 and row.live:
            _changed_in_place(batch, row)
        _take(row, reading, first=first)

    def is_same(self, leaf: Leaf, row: Row) -> bool:
        """Whether size and time are the known ones. Raises OSError where that cannot be asked."""
        place = self.site.path_of(leaf.path, row.name)
        if self.site.extended and not os.path.isfile(place):  # noqa: PTH113 - bytes
            files = files_of(place)
            size = sum(status.st_size for _, status in files)
            return (size, max((status.st_mtime_ns for _, status in files), default=0)) == (row.size, row.mtime_ns)
        status = os.lstat(place)
        return (status.st_size, status.st_mtime_ns) == (row.size, row.mtime_ns)

    @property
    def look(self) -> Look:
        """What a decision may ask of the disk."""
        return Look(self._rested, self._read_again, self._exists)

    def _reading(self, folder: bytes, name: str, parsed: StorageName, accepted: bool) -> Reading:
        if self.site.extended:
            self.beat()  # a folder may hold gigabytes
        return examine(self.site.place, folder, name, parsed, self._options_of(accepted), extended=self.site.extended)

    def _read_again(self, row: Row) -> Reading:
        """A file that was indexed before and becomes current only now."""
        place = self.site.path_of_row(row)
        extended = self.site.extended
        name = read_content_folder(row.name, row.path.rsplit("/", 1)[-1]) if extended else read_file_name(row.name)
        if name is None or place is None:
            return Reading(deviations=(Deviation("OWN-02", "name", Severity.ERROR),))
        return _read(place, name, (), self._options_of(row.accepted), extended=extended)

    def _options_of(self, accepted: bool) -> Options:
        """A person vouched for the folder of an accepted file, as a storage of test data does for all of its files."""
        return replace(self.options, trust_folder=True) if accepted else self.options

    def _rested(self, row: Row) -> bool:
        changed = self.times.get(row.directory_id, 0)
        return abs(self.options.now_ns - changed) >= self.options.quiet_seconds * 1_000_000_000

    def _exists(self, row: Row) -> bool:
        place = self.site.path_of_row(row)
        return place is None or os.path.lexists(place)


def examine(root: bytes, folder: bytes, name: str, parsed: StorageName, options: Options, *, extended: bool) -> Reading:
    """Read one file or content folder, its name compared with the folders it lies in. Needs no database."""
    before = parsed.deviations + check_location(parsed, tuple(path_text(folder).split("/")))
    place = b"/".join(part for part in (root, folder, path_bytes(name)) if part)
    return _read(place, parsed, before, options, extended=extended)


def _read(
    place: bytes, name: StorageName, before: tuple[Deviation, ...], options: Options, *, extended: bool
) -> Reading:
    if not extended:
        return read_file(place, name, before, options)
    try:
        files = files_of(place)
    except OSError:
        return Reading(deviations=(*before, Deviation("OWN-02", "folder")))
    return read_folder(place, files, before, options)


def _name_stranger(row: Row, *, extended: bool) -> None:
    """A name that cannot be read: quarantined where it looks like the storage's own, else foreign."""
    folders = row.path.split("/")
    if extended and len(folders) >= CONTENT_DEPTH - 1 and not is_foreign(row.name):
        row.state, row.rules, row.patient_id = State.QUARANTINED.value, "EXT-01", folders[2][:64]
    elif not extended and len(folders) >= 3 and row.name.startswith(folders[-3] + "_"):
        row.state, row.rules, row.patient_id = State.QUARANTINED.value, "PATH-01", folders[-3][:64]
    else:
        row.state, row.rules = State.FOREIGN.value, "PATH-10"


def _changed_in_place(batch: Batch, row: Row) -> None:
    """The bytes changed under the same name: the document that was registered ends, the new one replaces it."""
    if row.data_type != "ADT-00":
        batch.overwritten[id(row)] = row.entry_uuid
    row.live, row.entry_uuid, row.unique_id = False, "", ""
    row.generation += 1


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
