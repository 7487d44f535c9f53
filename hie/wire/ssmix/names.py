"""File and folder names of SS-MIX2 storages (standard storage 3.1, extended storage 5.2 of the JAMI specifications).

A name has seven parts joined by ``_``: patient, care date, data type, order number, time of writing, department,
condition flag. The strict form is read by one pattern; everything else is read from both ends, as far as it goes,
and says which rule it breaks. The flag lives in the name alone: a rename of the last character changes the state
of a file and nothing else, so ``stem`` (the name without it) tells whether two names are the same file.

Names are bytes on a disk and need not be UTF-8. ``path_text`` writes them as text that every database takes and
``path_bytes`` reads back the same bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from hie.wire.ssmix.data_types import DATA_TYPES, NO_ORDER, UNDATED, is_department
from hie.wire.ssmix.rules import Deviation, Severity

CURRENT, HISTORY, DELETED = "1", "2", "0"
FLAGS = frozenset((CURRENT, HISTORY, DELETED))

_STRICT = re.compile(
    r"([^_]{1,15})_(\d{8}|-)_([A-Z]{3}(?:-\d{2})?)_([0-9A-Za-z]{15})_(\d{17})_(-|[0-9A-Z]{2,3})_([012])"
)
_SUFFIX = re.compile(r"\.(?:txt|hl7|dat)$", re.IGNORECASE)
_TIME = re.compile(r"\d{12,17}")
_FOREIGN_BEGINNING = re.compile(r"\.|~|#|(?:thumbs\.db|desktop\.ini)$", re.IGNORECASE)
_FOREIGN_END = re.compile(r"(?:\.tmp|\.bak|\.swp|\.part|\.filepart|~)$", re.IGNORECASE)
_LONGEST_END = len(".filepart\n")
_ESCAPE = re.compile(r"\\\\|\\x([0-9a-f]{2})")

Key = tuple[str, str, str, str]


def path_text(raw: bytes) -> str:
    """A name or path as database text: UTF-8, bytes that are not UTF-8 as ``\\xNN``, ``\\`` doubled."""
    if raw.isascii() and b"\\" not in raw:
        return raw.decode("ascii")
    text = raw.decode("utf-8", "surrogateescape").replace("\\", "\\\\")
    return "".join(f"\\x{ord(sign) - 0xDC00:02x}" if "\udc80" <= sign <= "\udcff" else sign for sign in text)


def path_bytes(text: str) -> bytes:
    """The bytes that ``path_text`` was given."""

    def unescape(match: re.Match[str]) -> str:
        return chr(0xDC00 + int(match[1], 16)) if match[1] else "\\"

    return _ESCAPE.sub(unescape, text).encode("utf-8", "surrogateescape")


def shown(text: str) -> str:
    """A path for people: names that came from a cp932 archive or share are read as such where that works."""
    raw = path_bytes(text)
    for charset in ("utf-8", "cp932"):
        try:
            return raw.decode(charset)
        except UnicodeDecodeError:
            continue
    return text


@dataclass(frozen=True, slots=True)
class StorageName:
    """A name, read. All parts as written, except that blanks around them are gone.

    written_at: 発生日時 as 17 digits (padded at the right), or "" where it is no time. department: ``-`` where none.
    stem: the whole name as written without its flag. deviations: what is unusual about the name itself.
    """

    patient_id: str
    care_date: str
    data_type: str
    order_number: str
    written_at: str
    department: str
    flag: str
    stem: str
    deviations: tuple[Deviation, ...] = ()

    @property
    def key(self) -> Key:
        """K of section 3.4: patient, care date, data type, padded order number. Time, department, flag are no part."""
        return (self.patient_id, self.care_date, self.data_type, self.order_number.rjust(15, "0"))

    @property
    def month(self) -> str:
        """``YYYYMM`` of the care date, else of the writing, else "": what the reports count by."""
        return (self.care_date if self.care_date != UNDATED else self.written_at)[:6]


def is_foreign(name: str) -> bool:
    """Whether a name is not the storage's own: left by an operating system, an editor or an unfinished copy (2.5)."""
    return bool(_FOREIGN_BEGINNING.match(name) or _FOREIGN_END.search(name, max(0, len(name) - _LONGEST_END)))


def read_file_name(name: str) -> StorageName | None:
    """Read a file name of the standard storage; None where it is no such name at all."""
    match = _STRICT.fullmatch(name)
    if match is not None:
        patient_id, care_date, data_type, order, written_at, department, flag = match.groups()
        deviations = _check_parts(care_date, data_type, order, written_at, department)
        return StorageName(patient_id, care_date, data_type, order, written_at, department, flag, name[:-1], deviations)
    return _read_tolerantly(name)


def read_content_folder(name: str, type_folder: str) -> StorageName | None:
    """Read the name of a content folder below its data-type folder (5.2); None where it cannot be parsed.

    The third part is the first item of the data-type folder or all of it, and may hold anything but ``_``.
    data_type of the result is the whole data-type folder, which is what tells the kind of content.
    """
    parts = [part.strip() for part in name.split("_")]
    if len(parts) < 6 or parts[-1] not in FLAGS:
        return None
    patient_id, care_date, kind = parts[:3]
    has_department = _TIME.fullmatch(parts[-2]) is None
    if has_department and len(parts) < 7:
        return None
    written_at, department = (parts[-3], parts[-2]) if has_department else (parts[-2], "-")
    content_key = "_".join(parts[3 : -3 if has_department else -2])
    if not patient_id or not content_key or _TIME.fullmatch(written_at) is None:
        return None
    deviations = []
    if len(parts) == 6:
        deviations.append(Deviation("PATH-01"))
    if kind and kind not in (type_folder, type_folder.split("^")[0], *type_folder.split("^")[3:4]):
        deviations.append(Deviation("PATH-02", "data type"))
    deviations += _check_date(care_date)
    padded, more = _read_time(written_at)
    # 14- and 15-digit times are usual in extended storages (5.2): only an unreal time is reported.
    deviations += more if not padded else []
    return StorageName(
        patient_id,
        care_date,
        type_folder,
        content_key,
        padded,
        department or "-",
        parts[-1],
        name[:-1],
        tuple(deviations),
    )


def check_location(name: StorageName, folders: tuple[str, ...]) -> tuple[Deviation, ...]:
    """Compare a name with the folders it lies in, from the root's first level down to the data-type folder.

    PATH-02 where patient, date or type differ; PATH-03 where the chain above is not 3 + 3 + id.
    """
    if len(folders) < 3:
        return (Deviation("PATH-02", "folders"),)
    patient, care_date, data_type = folders[-3:]
    found = []
    for place, part, folder in (
        ("patient", name.patient_id, patient),
        ("care date", name.care_date, care_date),
        ("data type", name.data_type, data_type),
    ):
        if part != folder:
            found.append(Deviation("PATH-02", place))
    if folders[:-3] != (patient[:3], patient[3:6]):
        found.append(Deviation("PATH-03"))
    return tuple(found)


def _read_tolerantly(name: str) -> StorageName | None:
    deviations = []
    text = _SUFFIX.sub("", name)
    if text != name:
        deviations.append(Deviation("PATH-11"))
    parts = [part.strip() for part in text.split("_")]
    if len(parts) < 6 or not parts[0]:
        return None
    if len(parts) != 7 or parts != text.split("_"):
        deviations.append(Deviation("PATH-01"))
    patient_id, care_date, data_type = parts[:3]
    flag = parts[-1]
    if flag not in FLAGS:
        deviations.append(Deviation("PATH-09"))
    if len(parts) == 6:
        order, written_at, department = parts[3], parts[4], "-"
    else:
        order, written_at, department = "_".join(parts[3:-3]), parts[-3], parts[-2] or "-"
    deviations += _check_parts(care_date, data_type, order, written_at, department)
    padded, _ = _read_time(written_at)
    stem = name[: len(text) - len(flag)] + name[len(text) :] if flag else name
    return StorageName(patient_id, care_date, data_type, order, padded, department, flag, stem, tuple(deviations))


def _check_parts(care_date: str, data_type: str, order: str, written_at: str, department: str) -> tuple[Deviation, ...]:
    """The rules of the single parts; () for the usual name, without building anything."""
    found: list[Deviation] = []
    kind = DATA_TYPES.get(data_type)
    if kind is None:
        found.append(Deviation("PATH-04"))
    found += _check_date(care_date)
    if kind is not None and kind.dated is (care_date == UNDATED):
        found.append(Deviation("PATH-05", "care date"))
    if len(order) != 15:
        found.append(Deviation("PATH-06"))
    elif order == NO_ORDER and kind is not None and kind.numbered:
        found.append(Deviation("LIFE-04"))
    found += _read_time(written_at)[1]
    if not is_department(department):
        found.append(Deviation("PATH-08"))
    return tuple(found)


def _check_date(care_date: str) -> list[Deviation]:
    if care_date == UNDATED or _is_date(care_date):
        return []
    return [Deviation("PATH-05", "care date", Severity.ERROR)]


@lru_cache(maxsize=16_384)
def _is_date(text: str) -> bool:
    if len(text) != 8 or not (text.isascii() and text.isdigit()):
        return False
    try:
        datetime(int(text[:4]), int(text[4:6]), int(text[6:]))  # noqa: DTZ001 - a calendar date, no moment
    except ValueError:
        return False
    return True


def _read_time(written_at: str) -> tuple[str, list[Deviation]]:
    """17 digits (padded) and what is wrong: "" where the text is no real time."""
    if _TIME.fullmatch(written_at) is None or not written_at.isascii():
        return "", [Deviation("PATH-07")]
    padded = written_at.ljust(17, "0")
    hour, minute, second = int(padded[8:10]), int(padded[10:12]), int(padded[12:14])
    if not _is_date(padded[:8]) or hour > 23 or minute > 59 or second > 59:
        return "", [Deviation("PATH-07")]
    return padded, [] if len(written_at) == 17 else [Deviation("PATH-07")]
