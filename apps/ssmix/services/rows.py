"""Stored files as plain rows: what a scan reads and writes by the hundred, without building objects of the ORM."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from operator import attrgetter
from typing import Any

from django.db import connection

from apps.ssmix.models import Directory, State, StoredFile
from hie.exchange.bulk import insert_rows, keys_of, update_rows
from hie.wire.ssmix.names import Key

AT_ONCE = 400  # parameters of one IN list


@dataclass(slots=True)
class Row:
    """One ``StoredFile``; id is 0 for one that is not stored yet. No columns: changed (to be written), renamed."""

    root_id: int
    directory_id: int
    name: str
    patient_id: str = ""
    care_date: str = ""
    data_type: str = ""
    order_number: str = ""
    written_at: str = ""
    department: str = ""
    flag: str = ""
    size: int = 0
    mtime_ns: int = 0
    inode: int = 0
    sha256: str = ""
    sha1: str = ""
    state: str = State.UNSETTLED.value
    rules: str = ""
    cancels: bool = False
    entry_uuid: str = ""
    unique_id: str = ""
    live: bool = False
    generation: int = 0
    recheck: bool = False
    accepted: bool = False
    files: int = 1
    id: int = 0
    path: str = ""
    counted: str = ""
    changed: bool = False
    renamed: bool = False

    @property
    def key(self) -> Key:
        return (self.patient_id, self.care_date, self.data_type, self.order_number)

    @property
    def month(self) -> str:
        return (self.care_date if self.care_date[:1].isdigit() else self.written_at)[:6]

    @property
    def is_missing(self) -> bool:
        return self.state == State.MISSING

    @property
    def rule_ids(self) -> list[str]:
        return self.rules.split()


@dataclass(slots=True)
class Folder:
    """One ``Directory``; pk is 0 for one that is not stored yet. A branch may have hundreds of thousands of them."""

    root_id: int
    branch: str
    path: str
    mtime_ns: int = 0
    names: str = ""
    files: int = 0
    has_folders: bool = False
    pk: int = 0


_NOT_COLUMNS = ("id", "path", "counted", "changed", "renamed")
COLUMNS = tuple(field.name for field in fields(Row) if field.name not in _NOT_COLUMNS)
_VALUES = attrgetter(*COLUMNS)
_TABLE = "ssmix_storedfile"
_SELECT = f"SELECT {', '.join('f.' + name for name in COLUMNS)}, f.id, d.path FROM {_TABLE} f JOIN ssmix_directory d ON d.id = f.directory_id"  # noqa: E501, S608 - names of columns
# A file stays in its folder and nearly always keeps its name: the index over both is then left alone.
_CHANGING = tuple(name for name in COLUMNS if name not in ("root_id", "directory_id", "name"))
_CHANGED = attrgetter(*_CHANGING)


def of_directories(directory_ids: Sequence[int]) -> list[Row]:
    """All files of some folders."""
    return _in_lists("f.directory_id", directory_ids)


def outlines(directory_ids: Sequence[int]) -> Iterator[tuple[int, str, int, int, str, bool]]:
    """(folder, name, size, time of change, state, recheck) of all files of some folders."""
    with connection.cursor() as cursor:
        for start in range(0, len(directory_ids), AT_ONCE):
            part = directory_ids[start : start + AT_ONCE]
            cursor.execute(
                f"SELECT directory_id, name, size, mtime_ns, state, recheck FROM {_TABLE}"  # noqa: S608
                f" WHERE directory_id IN ({', '.join(['%s'] * len(part))})",
                part,
            )
            yield from cursor.fetchall()


def of_patients(root_ids: Sequence[int], patient_ids: Sequence[str]) -> list[Row]:
    """All files of some patients in some roots."""
    roots = ", ".join(["%s"] * len(root_ids))
    return _in_lists("f.patient_id", patient_ids, f" AND f.root_id IN ({roots})", list(root_ids)) if root_ids else []


def by_unique_ids(unique_ids: Sequence[str]) -> list[Row]:
    """The files whose documents bear these unique ids."""
    return _in_lists("f.unique_id", unique_ids, " AND f.unique_id <> ''")


def pending(root_id: int, patient_ids: Sequence[str]) -> list[Row]:
    """The files of some patients of a root that wait for their patient to become known."""
    return _in_lists(
        "f.patient_id", patient_ids, " AND f.root_id = %s AND f.state = %s", [root_id, State.PENDING.value]
    )


def write(rows: Iterable[Row], now: datetime) -> None:
    """Store new rows and changed ones. Runs in the caller's transaction."""
    moment = connection.ops.adapt_datetimefield_value(now)
    new, changed, renamed = [], [], []
    for row in rows:
        if not row.id:
            new.append(_VALUES(row))
        elif row.renamed:
            renamed.append((*_CHANGED(row), moment, row.name, row.id))
        else:
            changed.append((*_CHANGED(row), moment, row.id))
    insert_new(new, now)
    update_rows(StoredFile, (*_CHANGING, "last_seen"), changed)
    update_rows(StoredFile, (*_CHANGING, "last_seen", "name"), renamed)


def insert_new(rows: Sequence[Sequence[Any]], now: datetime) -> None:
    """Store new rows, given by their ``COLUMNS``. Runs in the caller's transaction."""
    moment = connection.ops.adapt_datetimefield_value(now)
    insert_rows(_TABLE, (*COLUMNS, "first_seen", "last_seen"), [(*row, moment, moment) for row in rows])


def folders_of(root_id: int, branch: str) -> list[Folder]:
    """All folders of a branch that hold files."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {', '.join(_FOLDER_COLUMNS)}, id FROM ssmix_directory WHERE root_id = %s AND branch = %s",  # noqa: S608
            [root_id, branch],
        )
        return [
            Folder(root_id, branch, path, mtime_ns, names, files, bool(has_folders), pk)
            for _, _, path, mtime_ns, names, files, has_folders, pk in cursor.fetchall()
        ]


_FOLDER_COLUMNS = ("root_id", "branch", "path", "mtime_ns", "names", "files", "has_folders")
_FOLDER_VALUES = attrgetter(*_FOLDER_COLUMNS)


def insert_directories(folders: Sequence[Folder]) -> None:
    """Store new folders of one root, which have their keys afterwards. Runs in the caller's transaction."""
    if not folders:
        return
    table = Directory._meta.db_table
    insert_rows(table, _FOLDER_COLUMNS, list(map(_FOLDER_VALUES, folders)))
    keys = keys_of(table, "path", [each.path for each in folders], {"root_id": folders[0].root_id})
    for each in folders:
        each.pk = keys[each.path]


def write_directories(changed: Iterable[Folder]) -> None:
    """Store the fingerprints of folders that are known already. Runs in the caller's transaction."""
    values = [(each.mtime_ns, each.names, each.files, each.has_folders, each.pk) for each in changed]
    if values:
        update_rows(Directory, ("mtime_ns", "names", "files", "has_folders"), values)


def _in_lists(
    column: str, values: Sequence[str | int], more: str = "", parameters: Sequence[str | int] = ()
) -> list[Row]:
    found: list[Row] = []
    with connection.cursor() as cursor:
        for start in range(0, len(values), AT_ONCE):
            part = values[start : start + AT_ONCE]
            cursor.execute(f"{_SELECT} WHERE {column} IN ({', '.join(['%s'] * len(part))}){more}", [*part, *parameters])
            for record in cursor.fetchall():
                row = Row(*record)
                row.counted = row.rules
                found.append(row)
    return found
