"""A registry of any size: one patient's rows, as the services write them, repeated with other ids.

The template is registered through the real verb; its rows are read back from every table, and written for each further
patient with that patient's ids in every column and fragment. So the rows are what the registry would have written.
On PostgreSQL the indexes are taken off meanwhile, and the database itself repeats each row for many patients.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from django.db import connection, transaction

from apps.xds.models import PATIENT_TABLES, MappedId, NameKind, shard_key_of
from apps.xds.services import submit
from bench.wire import as_letters
from hie.exchange.bulk import insert_rows
from hie.values.documents import HAS_MEMBER, Association, Submission
from hie.values.identifiers import Identifier
from hie.wire.ebxml.packing import pack, unpack

DOCUMENTS = 10  # of each patient
_MAP = MappedId._meta.db_table
_PERSONS = ("ids_regionalidentifier", "pix_person")
_REGISTRY = tuple(model._meta.db_table for model in PATIENT_TABLES)
_OWNERS = {"entry_id": "xds_documententry", "submission_set_id": "xds_submissionset", "folder_id": "xds_folder"}
_OUT_OF_THE_WAY = 10**9  # ids of what the doors register while only a part of the rows is there
_AT_ONCE = 2000  # patients in one database transaction


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the template. fragment: its pieces; those with an odd number are ids."""

    values: tuple[Any, ...]
    fragment: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """The rows of one table. first: the id of its first row for the first further patient."""

    table: str
    columns: tuple[str, ...]
    lines: tuple[Line, ...]
    first: int


@dataclass(frozen=True, slots=True)
class Template:
    """One patient's rows in every table, and the ids in them that each patient has of its own."""

    patient_id: str
    ids: tuple[str, ...]
    sheets: tuple[Sheet, ...]

    @property
    def patient_pattern(self) -> str:
        """The regional id of every patient, with ``@@TO@@`` where its number stands in six letters."""
        return f"{self.patient_id[:-6]}@@TO@@"


def make_template(patient: Identifier, one: Submission, directory: Path, *, facility_code: str) -> Template:
    """Register ten documents of a patient like the one given, and read their rows."""
    (entry,), (content,) = one.document_entries, one.contents.values()
    entries = [
        replace(entry, entry_uuid=f"Document{number:02d}", unique_id=f"2.25.{uuid.uuid4().int}")
        for number in range(DOCUMENTS)
    ]
    members = [
        Association(f"Association{n:02d}", HAS_MEMBER, one.submission_sets[0].entry_uuid, each.entry_uuid, "Original")
        for n, each in enumerate(entries)
    ]
    contents = {each.entry_uuid: content for each in entries}
    several = replace(one, document_entries=tuple(entries), associations=tuple(members), contents=contents)
    submit(several, facility_code=facility_code)
    where = {table: ("patient_id", [patient.value]) for table in _REGISTRY}
    where |= {"ids_regionalidentifier": ("value", [patient.value]), "pix_person": ("regional_id", [patient.value])}
    rows = {table: _rows(table, *where[table]) for table in (*_PERSONS, *_REGISTRY)}
    ids = sorted({row[at] for table in _REGISTRY for at, row in _ids(*rows[table])})
    rows[_MAP] = _rows(_MAP, "name", ids)
    tokens = re.compile("|".join(re.escape(each) for each in (*ids, patient.value)).encode())
    sheets = tuple(_sheet(table, *rows[table], tokens) for table in (*_PERSONS, *_REGISTRY, _MAP) if rows[table][1])
    return Template(patient.value, tuple(ids), sheets)


def populate(template: Template, begin: int, end: int) -> None:
    """Write the patients of these numbers, with progress."""
    started = time.monotonic()
    with _without_indexes(end - begin):
        for start in range(begin, end, _AT_ONCE):
            numbers = range(start, min(start + _AT_ONCE, end))
            with transaction.atomic():
                (_repeat if connection.vendor == "postgresql" else _write)(template, numbers)
            done = numbers[-1] + 1 - begin
            if done % (5 * _AT_ONCE) == 0 or numbers[-1] + 1 == end:
                rate = done * DOCUMENTS / (time.monotonic() - started)
                print(f"  {done * DOCUMENTS:10,} entries written, {rate:,.0f} a second", flush=True)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"VACUUM ANALYZE {', '.join((*_PERSONS, *_REGISTRY, _MAP))}")
            for sheet in template.sheets:
                if sheet.columns[0] == "id":
                    cursor.execute(
                        f"SELECT setval(pg_get_serial_sequence('{sheet.table}', 'id'), max(id) + {_OUT_OF_THE_WAY})"
                        f" FROM {sheet.table}"
                    )
    print(f"  ready after {time.monotonic() - started:,.0f} s", flush=True)


def size_of_database() -> int:
    """Bytes on the disk."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_database_size(current_database())")
        else:
            cursor.execute("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()")
        size: int = cursor.fetchone()[0]
        return size


def _rows(table: str, column: str, values: Sequence[str]) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    marks = ", ".join(["%s"] * len(values))
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table} WHERE {column} IN ({marks})", list(values))
        return tuple(each[0] for each in cursor.description), cursor.fetchall()


def _ids(columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> Iterator[tuple[int, tuple[Any, ...]]]:
    for at, name in enumerate(columns):
        if name in ("entry_uuid", "unique_id"):
            yield from ((at, row) for row in rows)


def _sheet(table: str, columns: tuple[str, ...], rows: list[tuple[Any, ...]], tokens: re.Pattern[bytes]) -> Sheet:
    lines = []
    at = columns.index("fragment") if "fragment" in columns else None
    for row in rows:
        fragment = b"" if at is None else unpack(bytes(row[at]))
        split = re.split(b"(" + tokens.pattern + b")", fragment)
        lines.append(Line(row, tuple(split)))
    first = 0
    if columns[0] == "id":
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT max(id) FROM {table}")
            first = cursor.fetchone()[0] + 1
    return Sheet(table, columns, tuple(lines), first)


def _write(template: Template, numbers: range) -> None:
    for sheet in template.sheets:
        insert_rows(sheet.table, sheet.columns, list(_written(template, sheet, numbers)))


def _repeat(template: Template, numbers: range) -> None:
    """PostgreSQL writes the rows of these patients: one INSERT ... SELECT for each row of the template.

    What differs from patient to patient stands in a table of the patients: the same as ``_names`` says, and fragments.
    """
    described = [(_column_of(sheet, at), line) for sheet in template.sheets for at, line in enumerate(sheet.lines)]
    described = [(column, line) for column, line in described if line.fragment != (b"",)]
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMPORARY TABLE IF NOT EXISTS patients (number bigint, patient text, shard integer, first text,"
            f" scattered text, {', '.join(f'{column} bytea' for column, _ in described)})"
        )
        cursor.execute("TRUNCATE patients")
        cursor.execute("SET LOCAL session_replication_role = replica")  # what refers to what is right as it is written
        with cursor.copy("COPY patients FROM STDIN") as copy:
            for number in numbers:
                patient, scattered = _patient(template, number), _scattered(number)
                ids = {old.encode(): new.encode() for old, new in _names(template, number).items()}
                fragments = (pack(_fragment(line, ids)) for _, line in described)
                shard, first = shard_key_of(patient), f"{scattered >> 32:08x}"
                copy.write_row((number, patient, shard, first, str(scattered), *fragments))
        for sheet in template.sheets:
            for at, line in enumerate(sheet.lines):
                expressions, parameters = _expressions(template, sheet, at, line)
                cursor.execute(
                    f"INSERT INTO {sheet.table} ({', '.join(sheet.columns)}) SELECT {expressions} FROM patients",
                    parameters,
                )


def _column_of(sheet: Sheet, at: int) -> str:
    """The column of the table of patients with the fragment for one row of the template."""
    return f"{sheet.table}_{at}"


def _fragment(line: Line, ids: Mapping[bytes, bytes]) -> bytes:
    return b"".join([ids.get(piece, piece) for piece in line.fragment])


def _expressions(template: Template, sheet: Sheet, at: int, line: Line) -> tuple[str, list[Any]]:
    """SQL for the columns of one row of the template, in which ``patients`` is whose it is."""
    names = {template.patient_id: "patient"} | {old: _name_in_sql(old, n) for n, old in enumerate(template.ids)}
    sheets = {each.table: each for each in template.sheets}
    written: list[str] = []
    parameters: list[Any] = []
    for column, value in zip(sheet.columns, line.values, strict=True):
        if column == "id":
            written.append(f"{sheet.first + at} + number * {len(sheet.lines)}")
        elif column in _OWNERS:
            owner = sheets[_OWNERS[column]]
            place = [each.values[0] for each in owner.lines].index(value)
            written.append(f"{owner.first + place} + number * {len(owner.lines)}")
        elif column == "shard_key" or (column == "place" and line.values[1] >= NameKind.DOCUMENT):
            written.append("shard")
        elif column == "fragment":
            written.append(_column_of(sheet, at))
        elif isinstance(value, str) and value in names:
            written.append(names[value])
        else:
            written.append("%s")
            parameters.append(value)
    return ", ".join(written), parameters


def _name_in_sql(old: str, at: int) -> str:
    if old.startswith("urn:uuid:"):
        return f"'urn:uuid:' || first || '-{at:04x}-4000-8000-' || lpad(to_hex(number), 12, '0')"
    return f"'2.25.' || scattered || '{at:03d}' || lpad(number::text, 7, '0')"


def _written(template: Template, sheet: Sheet, numbers: Iterable[int]) -> Iterator[tuple[Any, ...]]:
    """The rows of one table for these patients."""
    keys = {each.table: {line.values[0]: at for at, line in enumerate(each.lines)} for each in template.sheets}
    sheets = {each.table: each for each in template.sheets}
    columns = list(enumerate(sheet.columns))
    for number in numbers:
        names = _names(template, number)
        shard = shard_key_of(names[template.patient_id])
        raw = {old.encode(): new.encode() for old, new in names.items()}
        for at, line in enumerate(sheet.lines):
            row = [names.get(value, value) if isinstance(value, str) else value for value in line.values]
            for place, column in columns:
                if column == "id":
                    row[place] = sheet.first + number * len(sheet.lines) + at
                elif column in _OWNERS:
                    owner = sheets[_OWNERS[column]]
                    row[place] = owner.first + number * len(owner.lines) + keys[owner.table][line.values[place]]
                elif column == "shard_key" or (column == "place" and line.values[1] >= NameKind.DOCUMENT):
                    row[place] = shard
                elif column == "fragment":
                    row[place] = pack(_fragment(line, raw))
            yield tuple(row)


def _names(template: Template, number: int) -> dict[str, str]:
    """Every id of the template as this patient has it: uuids of version 4 in form, scattered as random ones are."""
    names = {template.patient_id: _patient(template, number)}
    scattered = _scattered(number)
    for at, old in enumerate(template.ids):
        if old.startswith("urn:uuid:"):
            names[old] = f"urn:uuid:{scattered >> 32:08x}-{at:04x}-4000-8000-{number:012x}"
        else:
            names[old] = f"2.25.{scattered}{at:03d}{number:07d}"
    return names


def _patient(template: Template, number: int) -> str:
    return template.patient_pattern.replace("@@TO@@", as_letters(number))


def _scattered(number: int) -> int:
    return (number * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF


class _without_indexes:  # noqa: N801 - read as a phrase
    """On PostgreSQL, where many rows come: the indexes are taken off, and built anew at the end."""

    def __init__(self, patients: int) -> None:
        self._worth_it = connection.vendor == "postgresql" and patients >= 10_000
        self._again: list[str] = []

    def __enter__(self) -> None:
        if not self._worth_it:
            return
        with connection.cursor() as cursor:
            for table in (*_REGISTRY, _MAP):
                cursor.execute(
                    "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid), indisprimary"
                    " FROM pg_index WHERE indrelid = %s::regclass",
                    [table],
                )
                for name, definition, primary in cursor.fetchall():
                    if primary and table != _MAP:
                        continue
                    drop = f"ALTER TABLE {table} DROP CONSTRAINT {name}" if primary else f"DROP INDEX {name}"
                    again = f"ALTER TABLE {table} ADD CONSTRAINT {name} PRIMARY KEY (name, kind, place)"
                    self._again.append(again if primary else definition.replace(" ON ONLY ", " ON "))
                    cursor.execute(drop)

    def __exit__(self, *_: object) -> None:
        started = time.monotonic()
        with connection.cursor() as cursor:
            if self._worth_it:
                cursor.execute("SET maintenance_work_mem = '1GB'")
            for statement in self._again:
                cursor.execute(statement)
        if self._again:
            print(f"  {len(self._again)} indexes built in {time.monotonic() - started:,.0f} s", flush=True)
