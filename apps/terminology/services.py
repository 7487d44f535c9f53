"""Loading and giving out the network's codes as CSV (UTF-8; a byte order mark is read over).

Three tables: ``codes`` (scheme, scheme_name, code, display_ja, display_en), ``maps`` (kind, key, scheme, code) and
``data_types`` (data_type, display_ja, display_en, rule, registered).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

from django.db import transaction

from apps.terminology.models import Code, CodeMap, CodeSystem, DataType, Kind
from hie.exchange.remembered import forget_all

DEFAULTS = Path(__file__).parent / "defaults"
COLUMNS = {
    "codes": ("scheme", "scheme_name", "code", "display_ja", "display_en"),
    "maps": ("kind", "key", "scheme", "code"),
    "data_types": ("data_type", "display_ja", "display_en", "rule", "registered"),
}


class BadTableError(ValueError):
    """A CSV table cannot be loaded; the text names the line and what is wrong with it."""


def load_defaults() -> int:
    """Add the default codes that are not there yet; the number of rows added. What the network changed stays."""
    return sum(load(table, (DEFAULTS / f"{table}.csv").read_text(encoding="utf-8")) for table in COLUMNS)


@transaction.atomic
def load(table: str, text: str, *, overwrite: bool = False) -> int:
    """Load one table, whole or not at all; the number of rows added or, with ``overwrite``, also changed.

    Raises BadTableError.
    """
    rows = _rows(table, text)
    changed = {"codes": _load_codes, "maps": _load_maps, "data_types": _load_data_types}[table](rows, overwrite)
    forget_all()
    return changed


def dump(table: str) -> str:
    """One table as CSV, as ``load`` reads it."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS[table])
    writer.writerows(_dumped(table))
    return out.getvalue()


def _dumped(table: str) -> Iterable[tuple[object, ...]]:
    if table == "codes":
        return Code.objects.order_by("system__scheme", "code").values_list(
            "system__scheme", "system__name", "code", "display_ja", "display_en"
        )
    if table == "maps":
        return CodeMap.objects.order_by("kind", "key").values_list("kind", "key", "code__system__scheme", "code__code")
    rows = DataType.objects.order_by("code").values_list("code", "display_ja", "display_en", "rule", "registered")
    return ((*row[:4], int(row[4])) for row in rows)


def _rows(table: str, text: str) -> list[dict[str, str]]:
    if table not in COLUMNS:
        raise BadTableError(f"There is no table {table!r}; there are {', '.join(COLUMNS)}.")
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    if tuple(reader.fieldnames or ()) != COLUMNS[table]:
        raise BadTableError(f"Line 1: the columns of {table} are {', '.join(COLUMNS[table])}.")
    rows = []
    for row in reader:
        if None in row or None in row.values():
            raise BadTableError(f"Line {reader.line_num}: {len(COLUMNS[table])} columns are needed.")
        rows.append({key: value.strip() for key, value in row.items()})
    return rows


def _load_codes(rows: list[dict[str, str]], overwrite: bool) -> int:
    systems = {each.scheme: each for each in CodeSystem.objects.all()}
    present = {(each.system_id, each.code): each for each in Code.objects.all()}
    fresh: list[Code] = []
    changed = 0
    for line, row in enumerate(rows, start=2):
        if not row["scheme"] or not row["code"]:
            raise BadTableError(f"Line {line}: scheme and code are needed.")
        if row["scheme"] not in systems:
            systems[row["scheme"]] = CodeSystem.objects.create(scheme=row["scheme"], name=row["scheme_name"])
        system = systems[row["scheme"]]
        values = {"display_ja": row["display_ja"] or row["code"], "display_en": row["display_en"]}
        known = present.get((system.pk, row["code"]))
        if known is None:
            present[system.pk, row["code"]] = Code(system=system, code=row["code"], **values)
            fresh.append(present[system.pk, row["code"]])
        elif overwrite:
            changed += _update(known, values)
    Code.objects.bulk_create(fresh)
    return changed + len(fresh)


def _load_maps(rows: list[dict[str, str]], overwrite: bool) -> int:
    known_codes = {(each.system.scheme, each.code): each for each in Code.objects.select_related("system")}
    present = {(each.kind, each.key): each for each in CodeMap.objects.all()}
    fresh: list[CodeMap] = []
    changed = 0
    for line, row in enumerate(rows, start=2):
        target = known_codes.get((row["scheme"], row["code"]))
        if row["kind"] not in Kind.values or not row["key"]:
            raise BadTableError(f"Line {line}: kind is one of {', '.join(Kind.values)}, and a key is needed.")
        if target is None:
            raise BadTableError(f"Line {line}: the code is not in the table of codes; load codes first.")
        known = present.get((row["kind"], row["key"]))
        if known is None:
            present[row["kind"], row["key"]] = CodeMap(kind=row["kind"], key=row["key"], code=target)
            fresh.append(present[row["kind"], row["key"]])
        elif overwrite:
            changed += _update(known, {"code": target})
    CodeMap.objects.bulk_create(fresh)
    return changed + len(fresh)


def _load_data_types(rows: list[dict[str, str]], overwrite: bool) -> int:
    present = {each.code: each for each in DataType.objects.all()}
    fresh: list[DataType] = []
    changed = 0
    for line, row in enumerate(rows, start=2):
        if row["rule"] not in DataType.Rule.values or row["registered"] not in ("0", "1") or not row["data_type"]:
            raise BadTableError(
                f"Line {line}: a data type is needed, rule is one of {', '.join(DataType.Rule.values)}, "
                "registered is 0 or 1."
            )
        values = {
            "display_ja": row["display_ja"],
            "display_en": row["display_en"],
            "rule": row["rule"],
            "registered": row["registered"] == "1",
        }
        known = present.get(row["data_type"])
        if known is None:
            present[row["data_type"]] = DataType(code=row["data_type"], **values)
            fresh.append(present[row["data_type"]])
        elif overwrite:
            changed += _update(known, values)
    DataType.objects.bulk_create(fresh)
    return changed + len(fresh)


def _update(row: Code | CodeMap | DataType, values: Mapping[str, object]) -> int:
    """Set what differs; 1 where something did."""
    differing = [name for name, value in values.items() if getattr(row, name) != value]
    for name in differing:
        setattr(row, name, values[name])
    if differing and row.pk:  # a row that the same table repeats is not written yet
        row.save(update_fields=differing)
    return int(bool(differing))
