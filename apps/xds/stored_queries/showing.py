"""What a permit shows of the objects that a query selects, and the answer made of them.

An entry is shown where its row is disclosed. A submission set or folder that holds documents is shown with one of
them; an empty one where its facility is open. An association is shown where neither of its ends is withheld.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection

from apps.xds.rules import disclosure_of, shows
from apps.xds.stored_queries.selection import ENTRIES, FOLDERS, SETS, TARGETS, Condition, Table, each_row, named
from hie.exchange.rows import each as rows_of
from hie.values.access import Decision, Permit
from hie.values.documents import HAS_MEMBER, QueryResult, StoredQuery
from hie.values.errors import ExchangeError, Reason
from hie.wire.ebxml.packing import unpack

DISCLOSURE = (
    "e.entry_uuid, e.facility_code, e.class_code, e.type_code, e.event_codes, e.confidentiality_codes, e.care_date,"
    " e.sources"
)
_AT_ONCE = 2000  # ids in one statement: a database takes so many parameters and no more
_DEPTH = 3  # a submission set holds the membership of a document in a folder: further, nothing is an association's end


class Row(NamedTuple):
    """One selected object: what is answered (its fragment as it is kept, or its id), and what it is."""

    answered: Any
    entry_uuid: str
    patient_id: str
    facility_code: str = ""
    source: str = ""
    target: str = ""
    association_type: str = ""

    @property
    def fragment(self) -> bytes:
        """The object in ebRIM, where its fragment was asked for."""
        return unpack(bytes(self.answered))


@dataclass(frozen=True, slots=True)
class Asked:
    """A query in the light of the permit. What is selected of an object is what its return type answers."""

    query: StoredQuery
    permit: Permit

    def answered(self, alias: str) -> str:
        """The column that is answered."""
        return f"{alias}.{'fragment' if self.query.leaf_class else 'entry_uuid'}"


def entries(asked: Asked, condition: Condition, table: Table = ENTRIES) -> list[Row]:
    """The entries that meet the condition and that the permit discloses. One statement.

    Raises ExchangeError(TOO_MANY_RESULTS) with the first one above the limit, so that memory stays bounded.
    """
    permit = asked.permit
    open_patients = frozenset(each for each in permit.decisions if _is_open(permit.of(each)))
    found: list[Row] = []
    sql = (
        f"SELECT {asked.answered('e')}, e.patient_id, {DISCLOSURE} FROM {table.name} e"  # noqa: S608
        f" WHERE {condition.sql} ORDER BY e.id"
    )
    for row in rows_of(sql, condition.parameters):
        if row[1] in open_patients or shows(permit, *row[1:]):
            found.append(Row(row[0], row[2], row[1], row[3]))
            if len(found) > settings.MAX_RESULTS:
                raise too_many()
    return found


def packages(asked: Asked, table: Table, condition: Condition) -> list[Row]:
    """Submission sets or folders that meet the condition and that the permit shows. Two statements for each 500."""
    found: list[Row] = []
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {asked.answered('p')}, p.entry_uuid, p.patient_id, p.facility_code FROM {table.name} p"  # noqa: S608
            f" WHERE {condition.sql} ORDER BY p.id",
            condition.parameters,
        )
        while rows := cursor.fetchmany(500):
            selected = [Row(*row) for row in rows]
            members = _members_of([row.entry_uuid for row in selected], asked.permit)
            found += [row for row in selected if shown(row, members, asked.permit)]
            if len(found) > settings.MAX_RESULTS:
                raise too_many()
    return found


def associations(asked: Asked, condition: Condition) -> list[Row]:
    """Associations (alias ``a``) that meet the condition and whose ends the permit shows.

    Two statements where the ends are documents, four where they are packages too, and some more for associations.
    """
    rows = _selected_associations(asked, condition)
    seen = shown_among({end for row in rows for end in (row.source, row.target)}, asked.permit)
    return [row for row in rows if row.source in seen and row.target in seen]


def shown_among(uuids: Collection[str], permit: Permit, depth: int = 0) -> set[str]:
    """Which of these objects, of whatever kind, the permit shows."""
    visible, withheld = _entries_among(uuids, permit)
    others = [each for each in uuids if each not in visible and each not in withheld]
    if not others:
        return visible
    found = _packages_among(others, permit)
    members = _members_of([row.entry_uuid for row in found], permit)
    visible |= {row.entry_uuid for row in found if shown(row, members, permit)}
    rest = set(others) - {row.entry_uuid for row in found}
    if not rest or depth == _DEPTH:
        return visible
    nested = _associations_among(rest, permit)
    seen = shown_among({end for _, *ends in nested for end in ends} - visible, permit, depth + 1) | visible
    return visible | {uuid for uuid, source, target in nested if source in seen and target in seen}


def shown(package: Row, members: dict[str, bool], permit: Permit) -> bool:
    """Whether a submission set or folder is shown. members: those that hold documents -> whether one is visible."""
    if package.entry_uuid in members:
        if not package.facility_code:  # the network's own, as visible as what it holds
            return members[package.entry_uuid]
        return members[package.entry_uuid] and permit.reveals(package.patient_id, package.facility_code)
    return permit.allows(
        package.patient_id, disclosure_of(package.entry_uuid, package.facility_code, "", "", "", "", "")
    )


def result(asked: Asked, rows: list[Row], patients: Iterable[str] = ()) -> QueryResult:
    """The answer with these objects, in their order. Raises ExchangeError(TOO_MANY_RESULTS) above the limit."""
    if len(rows) > settings.MAX_RESULTS:
        raise too_many()
    query = asked.query
    if query.leaf_class:
        return QueryResult(fragments=tuple(row.fragment for row in rows), home=query.home, patients=tuple(patients))
    return QueryResult(object_refs=tuple(row.answered for row in rows), home=query.home, patients=tuple(patients))


def one_patient(asked: Asked, rows: Iterable[Row]) -> None:
    """Full metadata are of one patient only (notes to 3.18.4.1.2.3.7.5 to .13). rows: the objects but associations.

    Raises ExchangeError(NOT_ONE_PATIENT).
    """
    if asked.query.leaf_class and len({row.patient_id for row in rows}) > 1:
        detail = "The objects belong to several patients; ask for those of one patient, or for ObjectRef."
        raise ExchangeError(Reason.NOT_ONE_PATIENT, detail)


def too_many() -> ExchangeError:
    """The refusal to answer with more than the limit."""
    return ExchangeError(
        Reason.TOO_MANY_RESULTS,
        f"More than {settings.MAX_RESULTS} objects meet the query; narrow it by time, class or status.",
    )


def _is_open(decision: Decision) -> bool:
    """Whether everything of the patient may be seen, so that no row has to be judged."""
    return not decision.rules and (decision.default or decision.emergency)


def _selected_associations(asked: Asked, condition: Condition) -> list[Row]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {asked.answered('a')}, a.entry_uuid, a.patient_id, a.facility_code, a.source_uuid,"  # noqa: S608
            f" a.target_uuid, a.association_type FROM xds_association a WHERE {condition.sql} ORDER BY a.id",
            condition.parameters,
        )
        rows = cursor.fetchmany(settings.MAX_RESULTS * 2 + 1)
    if len(rows) > settings.MAX_RESULTS * 2:
        raise too_many()
    return [Row(*row) for row in rows]


def _parts(uuids: Collection[str]) -> Iterator[list[str]]:
    named = list(uuids)
    for start in range(0, len(named), _AT_ONCE):
        yield named[start : start + _AT_ONCE]


def _entries_among(uuids: Collection[str], permit: Permit) -> tuple[set[str], set[str]]:
    """Those that are entries: visible, withheld."""
    visible: set[str] = set()
    withheld: set[str] = set()
    for part in _parts(uuids):
        which, values = named("e", "entry_uuid", part, permit)
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT e.patient_id, {DISCLOSURE} FROM xds_documententry e WHERE {which}", values)  # noqa: S608
            for owner, *columns in each_row(cursor):
                (visible if shows(permit, owner, *columns) else withheld).add(columns[0])
    return visible, withheld


def _packages_among(uuids: Collection[str], permit: Permit) -> list[Row]:
    rows: list[Row] = []
    for part in _parts(uuids):
        which, values = named("p", "entry_uuid", part, permit)
        selected = " UNION ALL ".join(
            f"SELECT '', p.entry_uuid, p.patient_id, p.facility_code FROM {table.name} p WHERE {which}"  # noqa: S608
            for table in (SETS, FOLDERS)
        )
        with connection.cursor() as cursor:
            cursor.execute(selected, values * 2)
            rows += [Row(*row) for row in cursor.fetchall()]
    return rows


def _associations_among(uuids: Collection[str], permit: Permit) -> list[tuple[str, str, str]]:
    rows: list[tuple[str, str, str]] = []
    for part in _parts(uuids):
        which, values = named("a", "entry_uuid", part, permit)
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT a.entry_uuid, a.source_uuid, a.target_uuid FROM xds_association a WHERE {which}",  # noqa: S608
                values,
            )
            rows += cursor.fetchall()
    return rows


def _members_of(uuids: Collection[str], permit: Permit) -> dict[str, bool]:
    """Submission sets and folders that hold documents: whether one of these is visible."""
    members: dict[str, bool] = {}
    for part in _parts(uuids):
        which, values = named("a", "source_uuid", part, permit)
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT a.source_uuid, e.patient_id, {DISCLOSURE} FROM xds_association a{TARGETS}"  # noqa: S608
                f" WHERE {which} AND a.association_type = %s",
                [*values, HAS_MEMBER],
            )
            for package, owner, *columns in each_row(cursor):
                if not members.get(package, False):
                    members[package] = shows(permit, owner, *columns)
    return members
