"""Reading one file or content folder of a storage: bytes to what the index keeps. No database, nothing written."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass, field, replace

from apps.network.queries import Facility
from apps.ssmix.rules import is_settled
from apps.ssmix.services import national_numbers
from hie.values.identifiers import Identifier
from hie.values.people import Demographics
from hie.wire.hl7v2.demographics import read_demographics
from hie.wire.ssmix import checks, content_folders
from hie.wire.ssmix.content_folders import HEAD_BYTES, Part
from hie.wire.ssmix.documents import DocumentFacts, read_facts
from hie.wire.ssmix.names import CURRENT, DELETED, StorageName, path_text
from hie.wire.ssmix.rules import Deviation, Severity, is_fatal

CHUNK = 1024 * 1024
MAX_PART_BYTES = 4 * 1024 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Options:
    """How a root is read. registered: the data types that become documents, None for all."""

    facility: Facility
    registered: frozenset[str] | None
    now_ns: int
    quiet_seconds: int = 0
    trust_folder: bool = False

    def wants(self, data_type: str) -> bool:
        """Whether a data type becomes documents."""
        return self.registered is None or data_type in self.registered


@dataclass(slots=True)
class Reading:
    """What a file came to. settled: it rests; where not, nothing else is known yet. facts: of what is registered."""

    size: int = 0
    mtime_ns: int = 0
    inode: int = 0
    sha256: str = ""
    sha1: str = ""
    settled: bool = True
    deviations: tuple[Deviation, ...] = ()
    cancels: bool = False
    trigger: str = ""
    facts: DocumentFacts | None = None
    demographics: Demographics | None = None
    parts: tuple[Part, ...] = field(default=())
    files: int = 1

    @property
    def fatal(self) -> bool:
        return is_fatal(self.deviations)

    @property
    def rules(self) -> str:
        return " ".join(dict.fromkeys(deviation.rule for deviation in self.deviations))


def read_file(path: bytes, name: StorageName, before: tuple[Deviation, ...], options: Options) -> Reading:
    """Read one file of a standard storage. before: what its name and place already broke."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return Reading(deviations=(*before, Deviation("OWN-02", "file")))
    try:
        status = os.fstat(descriptor)
        reading = Reading(status.st_size, status.st_mtime_ns, signed(status.st_ino), deviations=before)
        if not stat.S_ISREG(status.st_mode):
            reading.deviations = (*before, Deviation("OWN-02", "file"))
            return reading
        if not is_settled(status.st_mtime_ns, options.now_ns, options.quiet_seconds):
            reading.settled = False
            return reading
        if status.st_size > checks.MAX_FILE_BYTES:
            reading.deviations = (*before, Deviation("OWN-01", "file"))
            return reading
        raw = read_all(descriptor, status.st_size)
    except OSError:
        return Reading(deviations=(*before, Deviation("OWN-02", "file")))
    finally:
        os.close(descriptor)
    reading.size = len(raw)
    reading.sha256 = hashlib.sha256(raw).hexdigest()
    reading.sha1 = hashlib.sha1(raw, usedforsecurity=False).hexdigest()
    judge(raw, name, reading, options)
    return reading


def judge(raw: bytes, name: StorageName, reading: Reading, options: Options) -> None:
    """Check the bytes of a file and take out what becomes of them. Deleted data is kept and not judged."""
    if name.flag == DELETED and name.data_type != "ADT-00":
        return
    message, found = checks.read_message(raw)
    if message is None:
        if name.flag != DELETED:
            reading.deviations += found
        return
    reading.trigger = message.trigger
    reading.cancels = checks.cancels(name, message)
    if name.flag == DELETED:
        if reading.cancels:
            reading.deviations += (Deviation("OWN-06", "MSH-9"),)
        return
    found += checks.check(name, message, raw, options.facility.patient_ids.comparable)
    found += tuple(national_numbers.in_message(message))
    if options.trust_folder:
        found = tuple(replace(each, own_severity=Severity.WARNING) if each.rule == "ID-01" else each for each in found)
    if reading.cancels and name.data_type == "ADT-00":
        found += (Deviation("OWN-06", "MSH-9"),)
    reading.deviations = checks.distinct(reading.deviations + found)
    if name.flag != CURRENT or reading.cancels or reading.fatal:
        return
    if name.data_type == "ADT-00":
        reading.demographics = read_demographics(message)
    elif options.wants(name.data_type):
        authority = options.facility.authority
        patient = Identifier(name.patient_id, authority)
        reading.facts = read_facts(name, message, patient, authority.oid)


def read_folder(
    path: bytes, files: list[tuple[bytes, os.stat_result]], before: tuple[Deviation, ...], options: Options
) -> Reading:
    """Read a content folder: every file hashed, the whole as one. It rests when all its files do."""
    reading = Reading(files=len(files), deviations=before)
    reading.size = sum(status.st_size for _, status in files)
    reading.mtime_ns = max((status.st_mtime_ns for _, status in files), default=0)
    if not files:
        reading.deviations = (*before, Deviation("EXT-03"))
        return reading
    if not all(is_settled(status.st_mtime_ns, options.now_ns, options.quiet_seconds) for _, status in files):
        reading.settled = False
        return reading
    parts = []
    numbered = False
    for relative, status in files:
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_PART_BYTES:
            reading.deviations = (*before, Deviation("OWN-02", "file"))
            return reading
        try:
            part, carries_number = _read_part(path, relative)
        except OSError:
            reading.deviations = (*before, Deviation("OWN-02", "file"))
            return reading
        parts.append(part)
        numbered = numbered or carries_number
    reading.parts = tuple(parts)
    reading.sha256 = content_folders.digest(parts)
    if numbered:
        reading.deviations = (*reading.deviations, Deviation("OWN-08", "file"))
    if content_folders.choose_main(parts) is None:
        reading.deviations = (*reading.deviations, Deviation("EXT-02"))
    return reading


def _read_part(folder: bytes, relative: bytes) -> tuple[Part, bool]:
    """One file, and whether it carries a national number."""
    watch, name = national_numbers.Watch(), path_text(relative)
    sha1, sha256, size, head = hashlib.sha1(usedforsecurity=False), hashlib.sha256(), 0, b""
    descriptor = os.open(folder + b"/" + relative, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        while chunk := file.read(CHUNK):
            head = head or chunk[:HEAD_BYTES]
            watch.see(chunk, name)
            sha1.update(chunk)
            sha256.update(chunk)
            size += len(chunk)
    return Part(name, size, sha1.hexdigest(), sha256.hexdigest(), head), watch.found


def read_all(descriptor: int, size: int) -> bytes:
    """All bytes of a file, and no more than it may have, even where it grows meanwhile."""
    raw = os.read(descriptor, size + 1)
    if len(raw) == size:
        return raw
    pieces, total = [raw], len(raw)
    while total <= checks.MAX_FILE_BYTES and (more := os.read(descriptor, CHUNK)):
        pieces.append(more)
        total += len(more)
    return b"".join(pieces)


def signed(inode: int) -> int:
    """An inode as a signed 64-bit number, which is what databases have."""
    return inode - (1 << 64) if inode >= 1 << 63 else inode
