"""From the parameters of a stored query to conditions in SQL (ITI TF-2: 3.18.4.1.2.3.3 to 3.18.4.1.2.3.6).

Which parameters a query takes and how they are written is the table of ``hie.wire.ebxml.queries``; here stands what
they mean in SQL. Strings are compared by bytes in normalization form C (ITI TF-2: Appendix F).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from django.db import connection

from apps.xds.models import SHARDS, NameKind, ObjectType, Status, shard_key_of
from apps.xds.shards import in_shards, marks, partition_of, shards_of_patients
from hie.values.access import Permit
from hie.values.documents import APPROVED, DEPRECATED, ON_DEMAND, STABLE, StoredQuery
from hie.values.errors import ExchangeError, Reason
from hie.values.times import pad_dtm
from hie.wire.ebxml.attributes import Kind
from hie.wire.ebxml.queries import PARAMETERS, QUERIES

STATUSES = {APPROVED: Status.APPROVED, DEPRECATED: Status.DEPRECATED}
OBJECT_TYPES = {STABLE: ObjectType.STABLE, ON_DEMAND: ObjectType.ON_DEMAND}
_SHORT_STATUSES = {"Approved": APPROVED, "Deprecated": DEPRECATED}


@dataclass(slots=True)
class Condition:
    """A conjunction of SQL conditions and their parameters, in the same order."""

    terms: list[str] = field(default_factory=list)
    parameters: list[Any] = field(default_factory=list)

    def add(self, term: str, parameters: Iterable[Any]) -> Condition:
        self.terms.append(term)
        self.parameters += parameters
        return self

    @property
    def sql(self) -> str:
        return " AND ".join(self.terms)


@dataclass(frozen=True, slots=True)
class Table:
    """A kind of object: its table under the alias that conditions use, and where its attributes stand.

    prefix: of its parameters. columns: attribute -> column. sides: attribute -> side table of its several values, whose
    ``owner`` column names the row. unbounded: column -> when a bound of time is not applied to a row.
    """

    name: str
    alias: str
    prefix: str
    columns: Mapping[str, str]
    sides: Mapping[str, str]
    owner: str
    unbounded: Mapping[str, str] = field(default_factory=dict)

    @property
    def whole(self) -> str:
        """The table with all its partitions."""
        return f"xds_{self.prefix.removeprefix('$XDS').lower()}"

    def of(self, patient_id: str) -> Table:
        """The same tables as far as they hold this patient: on PostgreSQL one partition of each."""
        return _in_partition(self.name, shard_key_of(patient_id))


def _same(names: str) -> dict[str, str]:
    return {name: name for name in names.split()}


# An entry without a time of care meets every bound of it (ITI TF-2: 3.18.4.1.2.3.3.1); an on-demand entry has no time
# of creation that could be compared (note 6 of FindDocuments).
ENTRIES = Table(
    "xds_documententry",
    "e",
    "$XDSDocumentEntry",
    _same(
        "class_code type_code format_code practice_setting_code healthcare_facility_type_code creation_time"
        " service_start_time service_stop_time"
    ),
    {
        "event_code_list": "xds_eventcode",
        "confidentiality_codes": "xds_confidentialitycode",
        "authors": "xds_authorperson",
        "reference_id_list": "xds_referenceid",
    },
    "entry_id",
    {
        "creation_time": f"e.object_type = {ObjectType.ON_DEMAND.value}",
        "service_start_time": "e.service_start_time = ''",
        "service_stop_time": "e.service_stop_time = ''",
    },
)
SETS = Table(
    "xds_submissionset",
    "p",
    "$XDSSubmissionSet",
    _same("source_id submission_time content_type_code"),
    {"authors": "xds_submissionsetauthorperson", "intended_recipients": "xds_intendedrecipient"},
    "submission_set_id",
)
FOLDERS = Table(
    "xds_folder", "p", "$XDSFolder", _same("last_update_time"), {"code_list": "xds_foldercode"}, "folder_id"
)


# From an association (alias ``a``) to the entry (``e``) that is its target, wherever that lies.
TARGETS = (
    f" JOIN xds_mappedid m ON m.name = a.target_uuid AND m.kind = {NameKind.ENTRY_UUID.value}"
    " JOIN xds_documententry e ON e.shard_key = m.shard_key AND e.entry_uuid = m.name"
)


_TABLES = {table.name: table for table in (ENTRIES, SETS, FOLDERS)}


@lru_cache(maxsize=4 * SHARDS)
def _in_partition(name: str, shard_key: int) -> Table:
    table = _TABLES[name]
    sides = {attribute: partition_of(side, shard_key) for attribute, side in table.sides.items()}
    return replace(table, name=partition_of(name, shard_key), sides=sides)


def named(alias: str, column: str, ids: list[str], permit: Permit) -> tuple[str, list[Any]]:
    """The rows whose column is one of these ids (at least one), in the shards of the patients of the permit.

    Whose the ids are was asked of the id map before the gate was (``patients_of``); what is of others is not shown.
    """
    where, shards = in_shards(f"{alias}.shard_key", shards_of_patients(permit.subjects))
    which, values = one_of(f"{alias}.{column}", ids)
    return f"{where} AND {which}", [*shards, *values]


def one_of(column: str, values: list[Any]) -> tuple[str, list[Any]]:
    """The column has one of the values (at least one)."""
    if len(values) == 1:
        return f"{column} = %s", values
    return f"{column} IN ({marks(values)})", values


def of_patient(alias: str, patient_id: str) -> Condition:
    """The one index range that every query by patient is."""
    return Condition().add(
        f"{alias}.shard_key = %s AND {alias}.patient_id = %s", [shard_key_of(patient_id), patient_id]
    )


def of_patients(alias: str, patient_ids: list[str]) -> Condition:
    """The index ranges of several patients."""
    if len(patient_ids) == 1:
        return of_patient(alias, patient_ids[0])
    shards = sorted({shard_key_of(each) for each in patient_ids})
    term = f"{alias}.shard_key IN ({marks(shards)}) AND {alias}.patient_id IN ({marks(patient_ids)})"
    return Condition().add(term, [*shards, *patient_ids])


def values_of(query: StoredQuery, name: str) -> list[str]:
    """The values of a parameter that may stand in one Slot only, in normalization form C, each once."""
    values = (unicodedata.normalize("NFC", value) for slot in query.parameters.get(name, ()) for value in slot)
    return list(dict.fromkeys(values))


def numbers(query: StoredQuery, name: str, table: Mapping[str, Any]) -> list[int]:
    """Values of a closed list as the numbers of their column; what is not understood is ignored (3.18.4.1.2.3.6).

    Raises ExchangeError(QUERY_PARAMETER_MISSING) where nothing understood is left.
    """
    named = (_SHORT_STATUSES.get(value, value) for value in values_of(query, name))
    found = [table[full].value for full in named if full in table]
    if not found:
        raise ExchangeError(
            Reason.QUERY_PARAMETER_MISSING, f"{name} needs at least one value that this registry knows.", name
        )
    return found


def add_status(condition: Condition, query: StoredQuery, table: Table) -> Condition:
    """What the query's parameter of the status asks; nothing where it has none."""
    name = f"{table.prefix}Status"
    if name in query.parameters:
        condition.add(*one_of(f"{table.alias}.status", numbers(query, name, STATUSES)))
    return condition


def at_level_2(query: StoredQuery) -> bool:
    """Whether a query asks for what only a consumer of metadata update knows (3.18.4.1.2.3.5.1.1)."""
    return values_of(query, "$MetadataLevel") == ["2"]


def add_level(condition: Condition, query: StoredQuery, table: Table) -> Condition:
    """What $MetadataLevel 1, which is the default, leaves out (XDS Metadata Update: 3.18.4.1.2.3.5.1.1).

    That is: entries and folders of which there is a later version, entries whose document is offline, and folders that
    are deprecated. An approved entry is the latest; another is unless a later one is there, of whatever patient.
    """
    if table.prefix == SETS.prefix or at_level_2(query):
        return condition
    if table.prefix == FOLDERS.prefix:
        return condition.add(f"{table.alias}.status = %s", [Status.APPROVED.value])
    condition.add(f"NOT {table.alias}.offline", [])
    status = f"{table.prefix}Status"
    if status in query.parameters and numbers(query, status, STATUSES) == [Status.APPROVED.value]:
        return condition
    alias = table.alias
    later = f"SELECT 1 FROM {table.whole} n WHERE n.logical_id = {alias}.logical_id AND n.version > {alias}.version"  # noqa: S608
    return condition.add(f"({alias}.status = {Status.APPROVED.value} OR NOT EXISTS ({later}))", [])


def associations_asked(query: StoredQuery) -> list[int]:
    """The statuses of the associations that a query asks for, as the numbers of their column; -1 where none can be.

    Approved ones, where it does not say; at $MetadataLevel 1 others are never answered. A query of level 2 that has no
    parameter to say it by is about all of them.
    """
    name = "$XDSAssociationStatus"
    approved = Status.APPROVED.value
    if name in query.parameters:
        wanted = numbers(query, name, STATUSES)
    elif at_level_2(query) and name not in QUERIES[query.query_id].names:
        wanted = [each.value for each in Status]
    else:
        wanted = [approved]
    return wanted if at_level_2(query) else [each for each in wanted if each == approved] or [-1]


def restrict(condition: Condition, query: StoredQuery, table: Table, *, types: bool = True) -> Condition:
    """Add what every parameter of a query asks of the objects of one kind, patient and status aside.

    types: entries are those of $XDSDocumentEntryType, stable ones where it is not given (3.18.4.1.2.3.6.2).
    """
    if table.prefix == ENTRIES.prefix and types:
        name = "$XDSDocumentEntryType"
        wanted = numbers(query, name, OBJECT_TYPES) if name in query.parameters else [ObjectType.STABLE.value]
        condition.add(*one_of("e.object_type", wanted))
    for name, slots in query.parameters.items():
        parameter = PARAMETERS.get(name)
        if parameter is None or not name.startswith(table.prefix):
            continue
        for slot in slots:
            values = [unicodedata.normalize("NFC", value) for value in slot]
            if parameter.field in table.sides:
                condition.add(*_among(table, table.sides[parameter.field], parameter.kind, values))
            elif parameter.field in table.columns:
                condition.add(*_compare(table, table.columns[parameter.field], parameter.kind, values))
    return condition


def each_row(cursor: Any) -> Iterator[tuple[Any, ...]]:
    """The rows of a cursor, some hundred at a time."""
    while rows := cursor.fetchmany(500):
        yield from rows


def _compare(table: Table, column: str, kind: Kind, values: list[str]) -> tuple[str, list[str]]:
    """A single-valued attribute: equality with one of the values, or a bound of a time.

    From is inclusive and To is exclusive (3.18.4.1.2.3.3); both are compared as the first moment they cover.
    """
    name = f"{table.alias}.{column}"
    if kind in (Kind.TIME_FROM, Kind.TIME_TO):
        bound = f"{name} {'>=' if kind is Kind.TIME_FROM else '<'} %s"
        unbounded = table.unbounded.get(column)
        return f"({unbounded} OR {bound})" if unbounded else bound, [pad_dtm(values[0])]
    return one_of(name, values)


def _among(table: Table, side: str, kind: Kind, values: list[str]) -> tuple[str, list[str]]:
    """A multi-valued attribute: one of its values meets one of those asked for. A probe inside the patient's range."""
    meets, parameters = _like(values) if kind is Kind.PATTERN else one_of("v.value", values)
    alias = table.alias
    same = f"v.shard_key = {alias}.shard_key AND v.patient_id = {alias}.patient_id AND v.{table.owner} = {alias}.id"
    return f"EXISTS (SELECT 1 FROM {side} v WHERE {same} AND ({meets}))", parameters  # noqa: S608


def _like(patterns: list[str]) -> tuple[str, list[str]]:
    """Patterns with ``%`` and ``_``, case sensitive and without an escape character, as the framework defines them.

    SQLite's LIKE folds case, so there the pattern is written for GLOB.
    """
    if connection.vendor == "sqlite":
        return " OR ".join("v.value GLOB %s" for _ in patterns), [_glob(pattern) for pattern in patterns]
    escaped = [pattern.replace("\\", "\\\\") for pattern in patterns]
    return " OR ".join("v.value LIKE %s" for _ in patterns), escaped


_GLOB = str.maketrans({"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"})


def _glob(pattern: str) -> str:
    return pattern.translate(_GLOB)
