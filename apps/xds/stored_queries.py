"""The stored queries of the registry: FindDocuments, GetDocuments, GetAll (ITI TF-2: 3.18.4.1.2.3.7).

A query selects rows by indexed columns, applies the permit to the columns of each row and joins fragments; it builds
no objects (decision 0009). What the permit withholds leaves no trace in the answer: neither a reference to it, nor a
count, nor a submission set or folder that holds nothing else.

Which parameters a query takes and how they are written is the table of ``hie.wire.ebxml.queries``; here stands what
they mean in SQL. Strings are compared by bytes in normalization form C (ITI TF-2: Appendix F).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection

from apps.xds.models import ObjectType, Status, shard_key_of
from apps.xds.rules import disclosure_of
from hie.values.access import Decision, Permit
from hie.values.documents import APPROVED, DEPRECATED, HAS_MEMBER, ON_DEMAND, STABLE, QueryResult, StoredQuery
from hie.values.errors import ExchangeError, Reason
from hie.values.times import pad_dtm
from hie.wire.ebxml.attributes import Kind
from hie.wire.ebxml.queries import PARAMETERS, QUERIES

FIND_DOCUMENTS = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"
GET_DOCUMENTS = "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4"
GET_ALL = "urn:uuid:10b545ea-725c-446d-9b95-8aeb444eddf3"

_ENTRY_UUID = "$XDSDocumentEntryEntryUUID"
_UNIQUE_ID = "$XDSDocumentEntryUniqueId"

STATUSES = {APPROVED: Status.APPROVED, DEPRECATED: Status.DEPRECATED}
OBJECT_TYPES = {STABLE: ObjectType.STABLE, ON_DEMAND: ObjectType.ON_DEMAND}

# Attribute of a DocumentEntry -> column, or side table of its several values.
_COLUMNS = {
    "class_code": "class_code",
    "type_code": "type_code",
    "format_code": "format_code",
    "practice_setting_code": "practice_setting_code",
    "healthcare_facility_type_code": "healthcare_facility_type_code",
    "creation_time": "creation_time",
    "service_start_time": "service_start_time",
    "service_stop_time": "service_stop_time",
}
_SIDE_TABLES = {
    "event_code_list": "xds_eventcode",
    "confidentiality_codes": "xds_confidentialitycode",
    "authors": "xds_authorperson",
    "reference_id_list": "xds_referenceid",
}
# A bound is not applied to an entry for which this holds (ITI TF-2: 3.18.4.1.2.3.3.1; note 6 of FindDocuments).
_UNBOUNDED = {
    "creation_time": f"e.object_type = {ObjectType.ON_DEMAND.value}",
    "service_start_time": "e.service_start_time = ''",
    "service_stop_time": "e.service_stop_time = ''",
}
_DISCLOSURE = (
    "e.entry_uuid, e.facility_code, e.class_code, e.type_code, e.event_codes, e.confidentiality_codes, e.care_date"
)


def answer(query: StoredQuery, permit: Permit) -> QueryResult:
    """The answer to ITI-18 as far as the permit goes.

    permit.subjects: the patient of the query, or those of the entries it names, in the order of ``patients_of``.
    Raises ExchangeError with everything that is wrong with the query; TOO_MANY_RESULTS above settings.MAX_RESULTS.
    """
    if query.findings:
        raise ExchangeError.of(query.findings)
    execute = _EXECUTED.get(query.query_id)
    if execute is None:
        raise ExchangeError(Reason.UNKNOWN_QUERY, _not_executed(query.query_id), "AdhocQuery/@id")
    return execute(query, permit)


def patient_parameter(query: StoredQuery) -> str:
    """The patient id that a query names, in the form of CX; "" where it names objects instead."""
    for name, parameter in PARAMETERS.items():
        if parameter.kind is Kind.PATIENT_ID and name in query.parameters:
            return next(iter(_values(query, name)), "")
    return ""


def patients_of(query: StoredQuery) -> tuple[str, ...]:
    """The regional ids of the patients whose entries the query names by entry UUID or unique id, each once."""
    named = [(column, values) for column, values in _named_entries(query) if values]
    found: dict[str, None] = {}
    for column, values in named:
        if len(values) > settings.MAX_RESULTS:
            continue  # refused by the verb
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT DISTINCT e.patient_id FROM xds_documententry e WHERE e.{column} IN ({_marks(values)})",  # noqa: S608
                values,
            )
            found.update((row[0], None) for row in cursor.fetchall())
    return tuple(found)


def find_documents(query: StoredQuery, permit: Permit) -> QueryResult:
    """FindDocuments: the entries of one patient that meet every parameter (3.18.4.1.2.3.7.1). One statement."""
    patient_id = _patient(permit)
    if not patient_id:
        return QueryResult()
    condition = _of_patient("e", patient_id)
    condition.add(*_one_of("e.status", _numbers(query, "$XDSDocumentEntryStatus", STATUSES)))
    _restrict(condition, query)
    return _result(query, [*_permitted(query, condition, permit)])


def get_documents(query: StoredQuery, permit: Permit) -> QueryResult:
    """GetDocuments: the entries named by entry UUID or unique id (3.18.4.1.2.3.7.5). One statement.

    Raises ExchangeError(NOT_ONE_PATIENT) where full metadata of several patients would be disclosed.
    """
    rows: list[_Row] = []
    for column, values in _named_entries(query):
        if len(values) > settings.MAX_RESULTS:
            raise _too_many()
        if values:
            condition = _Condition().add(*_one_of(f"e.{column}", values))
            rows += _permitted(query, condition, permit)
    if query.leaf_class and len({row.patient_id for row in rows}) > 1:
        raise ExchangeError(
            Reason.NOT_ONE_PATIENT, "The documents belong to several patients; ask for one patient, or for ObjectRef."
        )
    return _result(query, rows)


def get_all(query: StoredQuery, permit: Permit) -> QueryResult:
    """GetAll: every object of one patient and the associations that touch them (3.18.4.1.2.3.7.4). Five statements."""
    patient_id = _patient(permit)
    if not patient_id:
        return QueryResult()
    condition = _of_patient("e", patient_id)
    condition.add(*_one_of("e.status", _numbers(query, "$XDSDocumentEntryStatus", STATUSES)))
    _restrict(condition, query)
    entries = [*_permitted(query, condition, permit)]
    associations = _associations(query, patient_id)
    visible, withheld = _sides(patient_id, permit)
    sets = _packages(query, "xds_submissionset", "$XDSSubmissionSetStatus", patient_id)
    folders = _packages(query, "xds_folder", "$XDSFolderStatus", patient_id)
    members = _members(associations, visible, withheld)
    shown_sets, shown_folders = ([row for row in rows if _shown(row, members, permit)] for rows in (sets, folders))
    hidden = withheld | {row.entry_uuid for row in (*sets, *folders)}
    hidden -= {row.entry_uuid for row in (*shown_sets, *shown_folders)}
    objects = [*shown_sets, *entries, *shown_folders]
    touching = _touching(associations, {row.entry_uuid for row in objects}, hidden)
    return _result(query, objects + touching)


_EXECUTED: dict[str, Callable[[StoredQuery, Permit], QueryResult]] = {
    FIND_DOCUMENTS: find_documents,
    GET_DOCUMENTS: get_documents,
    GET_ALL: get_all,
}


def _not_executed(query_id: str) -> str:
    names = ", ".join(QUERIES[each].name for each in _EXECUTED)
    known = QUERIES.get(query_id)
    subject = f"The stored query {known.name}" if known else "This stored query"
    return f"{subject} is not supported by this registry; supported are {names}."


@dataclass(slots=True)
class _Condition:
    """A conjunction of SQL conditions and their parameters, in the same order."""

    terms: list[str] = field(default_factory=list)
    parameters: list[Any] = field(default_factory=list)

    def add(self, term: str, parameters: Iterable[Any]) -> _Condition:
        self.terms.append(term)
        self.parameters += parameters
        return self

    @property
    def sql(self) -> str:
        return " AND ".join(self.terms)


class _Row(NamedTuple):
    """One selected object: what is answered (fragment or id), and what it is."""

    answered: Any
    entry_uuid: str
    patient_id: str
    facility_code: str = ""
    source: str = ""
    target: str = ""
    association_type: str = ""


def _marks(values: Iterable[Any]) -> str:
    return ", ".join("%s" for _ in values)


def _one_of(column: str, values: list[Any]) -> tuple[str, list[Any]]:
    if len(values) == 1:
        return f"{column} = %s", values
    return f"{column} IN ({_marks(values)})", values


def _of_patient(alias: str, patient_id: str) -> _Condition:
    """The one index range that every query by patient is."""
    return _Condition().add(
        f"{alias}.shard_key = %s AND {alias}.patient_id = %s", [shard_key_of(patient_id), patient_id]
    )


def _patient(permit: Permit) -> str:
    return permit.subjects[0] if permit.subjects else ""


def _values(query: StoredQuery, name: str) -> list[str]:
    """The values of a parameter that may stand in one Slot only, in normalization form C, each once."""
    values = (unicodedata.normalize("NFC", value) for slot in query.parameters.get(name, ()) for value in slot)
    return list(dict.fromkeys(values))


def _numbers(query: StoredQuery, name: str, table: dict[str, Any]) -> list[int]:
    """Values of a closed list as the numbers of their column; what is not understood is ignored (3.18.4.1.2.3.6).

    Raises ExchangeError(QUERY_PARAMETER_MISSING) where nothing understood is left.
    """
    numbers = [table[full].value for full in map(_full_urn, _values(query, name)) if full in table]
    if not numbers:
        raise ExchangeError(
            Reason.QUERY_PARAMETER_MISSING, f"{name} needs at least one value that this registry knows.", name
        )
    return numbers


def _full_urn(value: str) -> str:
    """A status by its short name (``Approved``) as its URN; anything else as it is."""
    short = {"Approved": APPROVED, "Deprecated": DEPRECATED}
    return short.get(value, value)


def _named_entries(query: StoredQuery) -> tuple[tuple[str, list[str]], ...]:
    """(column, values) of the two ways to name entries."""
    return (("entry_uuid", _values(query, _ENTRY_UUID)), ("unique_id", _values(query, _UNIQUE_ID)))


def _restrict(condition: _Condition, query: StoredQuery) -> None:
    """Add what every optional parameter of a query for entries asks."""
    types = (
        _numbers(query, "$XDSDocumentEntryType", OBJECT_TYPES)
        if "$XDSDocumentEntryType" in query.parameters
        else [ObjectType.STABLE.value]
    )
    condition.add(*_one_of("e.object_type", types))
    for name, slots in query.parameters.items():
        parameter = PARAMETERS.get(name)
        if parameter is None or not name.startswith("$XDSDocumentEntry"):
            continue
        for slot in slots:
            values = [unicodedata.normalize("NFC", value) for value in slot]
            if parameter.field in _SIDE_TABLES:
                condition.add(*_among(_SIDE_TABLES[parameter.field], parameter.kind, values))
            elif parameter.field in _COLUMNS:
                condition.add(*_compare(_COLUMNS[parameter.field], parameter.kind, values))


def _compare(column: str, kind: Kind, values: list[str]) -> tuple[str, list[str]]:
    """A single-valued attribute: equality with one of the values, or a bound of a time.

    From is inclusive and To is exclusive (3.18.4.1.2.3.3); both are compared as the first moment they cover.
    """
    if kind in (Kind.TIME_FROM, Kind.TIME_TO):
        operator = ">=" if kind is Kind.TIME_FROM else "<"
        return f"({_UNBOUNDED[column]} OR e.{column} {operator} %s)", [pad_dtm(values[0])]
    return _one_of(f"e.{column}", values)


def _among(table: str, kind: Kind, values: list[str]) -> tuple[str, list[str]]:
    """A multi-valued attribute: one of its values meets one of those asked for. A probe inside the patient's range."""
    if kind is Kind.PATTERN:
        meets, parameters = _like(values)
    else:
        meets, parameters = _one_of("v.value", values)
    same_entry = "v.shard_key = e.shard_key AND v.patient_id = e.patient_id AND v.entry_id = e.id"
    return f"EXISTS (SELECT 1 FROM {table} v WHERE {same_entry} AND ({meets}))", parameters  # noqa: S608


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


def _permitted(query: StoredQuery, condition: _Condition, permit: Permit) -> Iterator[_Row]:
    """The entries that meet the condition and that the permit discloses.

    Raises ExchangeError(TOO_MANY_RESULTS) with the first one above the limit, so that memory stays bounded.
    """
    answered = "e.fragment" if query.leaf_class else "e.entry_uuid"
    open_patients = frozenset(each for each in permit.decisions if _is_open(permit.of(each)))
    count = 0
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {answered}, e.patient_id, {_DISCLOSURE} FROM xds_documententry e"  # noqa: S608
            f" WHERE {condition.sql} ORDER BY e.id",
            condition.parameters,
        )
        for answer_value, patient_id, *columns in _each(cursor):
            if patient_id in open_patients or permit.allows(patient_id, disclosure_of(*columns)):
                count += 1
                if count > settings.MAX_RESULTS:
                    raise _too_many()
                yield _Row(answer_value, columns[0], patient_id, columns[1])


def _is_open(decision: Decision) -> bool:
    """Whether everything of the patient may be seen, so that no row has to be judged."""
    return not decision.rules and (decision.default or decision.emergency)


def _each(cursor: Any) -> Iterator[tuple]:
    while rows := cursor.fetchmany(500):
        yield from rows


def _too_many() -> ExchangeError:
    return ExchangeError(
        Reason.TOO_MANY_RESULTS,
        f"More than {settings.MAX_RESULTS} objects meet the query; narrow it by time, class or status.",
    )


def _result(query: StoredQuery, rows: list[_Row]) -> QueryResult:
    if len(rows) > settings.MAX_RESULTS:
        raise _too_many()
    if query.leaf_class:
        return QueryResult(fragments=tuple(bytes(row.answered) for row in rows), home=query.home)
    return QueryResult(object_refs=tuple(row.answered for row in rows), home=query.home)


def _packages(query: StoredQuery, table: str, status: str, patient_id: str) -> list[_Row]:
    """Submission sets or folders of a patient in one of the asked statuses."""
    answered = "p.fragment" if query.leaf_class else "p.entry_uuid"
    condition = _of_patient("p", patient_id).add(*_one_of("p.status", _numbers(query, status, STATUSES)))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {answered}, p.entry_uuid, p.patient_id, p.facility_code FROM {table} p"  # noqa: S608
            f" WHERE {condition.sql} ORDER BY p.id",
            condition.parameters,
        )
        return [_Row(*row) for row in cursor.fetchall()]


def _associations(query: StoredQuery, patient_id: str) -> list[_Row]:
    """Associations of the patient's submissions, and those of another patient's that hold one of their documents."""
    answered = "a.fragment" if query.leaf_class else "a.entry_uuid"
    columns = (
        f"{answered}, a.entry_uuid, a.patient_id, a.facility_code, a.source_uuid, a.target_uuid, a.association_type"
    )
    own, entry = _of_patient("a", patient_id), _of_patient("e", patient_id)
    if "$XDSAssociationStatus" in query.parameters:
        for side in (own, entry):
            side.add(*_one_of("a.status", _numbers(query, "$XDSAssociationStatus", STATUSES)))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {columns}, a.id FROM xds_association a WHERE {own.sql}"  # noqa: S608
            f" UNION ALL SELECT {columns}, a.id FROM xds_documententry e"
            f" JOIN xds_association a ON a.target_uuid = e.entry_uuid"
            f" WHERE {entry.sql} AND a.patient_id <> e.patient_id ORDER BY 8",
            [*own.parameters, *entry.parameters],
        )
        return [_Row(*row[:7]) for row in cursor.fetchall()]


def _sides(patient_id: str, permit: Permit) -> tuple[set[str], set[str]]:
    """The entries of the patient, and entries of others that the patient's submissions refer to: visible, withheld."""
    own, association = _of_patient("e", patient_id), _of_patient("a", patient_id)
    visible: set[str] = set()
    withheld: set[str] = set()
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT e.patient_id, {_DISCLOSURE} FROM xds_documententry e WHERE {own.sql}"  # noqa: S608
            f" UNION ALL SELECT e.patient_id, {_DISCLOSURE} FROM xds_association a"
            f" JOIN xds_documententry e ON e.entry_uuid = a.target_uuid"
            f" WHERE {association.sql} AND e.patient_id <> a.patient_id",
            [*own.parameters, *association.parameters],
        )
        for owner, *columns in _each(cursor):
            side = visible if permit.allows(owner, disclosure_of(*columns)) else withheld
            side.add(columns[0])
    return visible, withheld


def _members(associations: list[_Row], visible: set[str], withheld: set[str]) -> dict[str, bool]:
    """Submission sets and folders that hold documents: whether one of these is visible."""
    members: dict[str, bool] = {}
    for row in associations:
        if row.association_type == HAS_MEMBER and row.target in visible | withheld:
            members[row.source] = members.get(row.source, False) or row.target in visible
    return members


def _shown(package: _Row, members: dict[str, bool], permit: Permit) -> bool:
    """A submission set or folder is shown with one of its documents; an empty one where its facility is open."""
    if package.entry_uuid in members:
        return members[package.entry_uuid]
    return permit.allows(
        package.patient_id, disclosure_of(package.entry_uuid, package.facility_code, "", "", "", "", "")
    )


def _touching(associations: list[_Row], answered: set[str], hidden: set[str]) -> list[_Row]:
    """Associations with one end in the answer and none that is withheld, be it an association itself."""
    hidden = hidden | {row.entry_uuid for row in associations if row.source in hidden or row.target in hidden}
    return [
        row
        for row in associations
        if (row.source in answered or row.target in answered)
        and row.entry_uuid not in hidden
        and row.source not in hidden
        and row.target not in hidden
    ]
