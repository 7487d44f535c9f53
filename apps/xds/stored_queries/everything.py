"""GetAll: every object of one patient and the associations that touch them (ITI TF-2: 3.18.4.1.2.3.7.4)."""

from __future__ import annotations

from django.db import connection

from apps.xds.models import NameKind
from apps.xds.rules import shows
from apps.xds.stored_queries.selection import (
    ENTRIES,
    FOLDERS,
    SETS,
    TARGETS,
    Table,
    add_level,
    add_status,
    associations_asked,
    each_row,
    of_patient,
    restrict,
)
from apps.xds.stored_queries.showing import DISCLOSURE, Asked, Row, entries, result, shown
from hie.values.access import Permit
from hie.values.documents import HAS_MEMBER, QueryResult

# From an entry (``e``) to the associations of any patient (``a``) whose target it is. The map may name a shard twice.
_TOUCHED = (
    f" JOIN xds_mappedid m ON m.name = e.entry_uuid AND m.kind IN ({NameKind.ENTRY_UUID.value}, {NameKind.END.value})"
    " JOIN xds_association a ON a.shard_key = m.shard_key AND a.target_uuid = m.name"
)


def get_all(asked: Asked) -> QueryResult:
    """GetAll. Five statements, however many objects: each is a range of one patient's rows."""
    query, permit = asked.query, asked.permit
    if not permit.subjects:
        return QueryResult()
    patient_id = permit.subjects[0]
    condition = add_status(of_patient("e", patient_id), query, ENTRIES)
    documents = entries(asked, add_level(restrict(condition, query, ENTRIES), query, ENTRIES))
    associations, asked_for = _associations(asked, patient_id)
    visible, withheld = _sides(patient_id, permit)
    sets, folders = _packages(asked, SETS, patient_id), _packages(asked, FOLDERS, patient_id)
    members = _members(associations, visible, withheld)
    shown_sets, shown_folders = ([row for row in rows if shown(row, members, permit)] for rows in (sets, folders))
    hidden = withheld | {row.entry_uuid for row in (*sets, *folders)}
    hidden -= {row.entry_uuid for row in (*shown_sets, *shown_folders)}
    objects = [*shown_sets, *documents, *shown_folders]
    touching = _touching(associations, {row.entry_uuid for row in objects}, hidden)
    return result(asked, objects + [row for row in touching if row.entry_uuid in asked_for])


def _packages(asked: Asked, table: Table, patient_id: str) -> list[Row]:
    """Submission sets or folders of a patient in one of the asked statuses."""
    condition = add_level(add_status(of_patient("p", patient_id), asked.query, table), asked.query, table)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {asked.answered('p')}, p.entry_uuid, p.patient_id, p.facility_code FROM {table.name} p"  # noqa: S608
            f" WHERE {condition.sql} ORDER BY p.id",
            condition.parameters,
        )
        return [Row(*row) for row in cursor.fetchall()]


def _associations(asked: Asked, patient_id: str) -> tuple[list[Row], set[str]]:
    """Associations of the patient's submissions, and those of another patient's that hold one of their documents.

    And the entry UUIDs of those whose status is asked for: what a package holds or held is known from all of them.
    """
    columns = (
        f"{asked.answered('a')}, a.entry_uuid, a.patient_id, a.facility_code, a.source_uuid, a.target_uuid,"
        " a.association_type, a.status"
    )
    own, entry = of_patient("a", patient_id), of_patient("e", patient_id)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {columns}, a.id FROM xds_association a WHERE {own.sql}"  # noqa: S608
            f" UNION ALL SELECT {columns}, a.id FROM xds_documententry e{_TOUCHED}"
            f" WHERE {entry.sql} AND a.patient_id <> e.patient_id ORDER BY 9",
            [*own.parameters, *entry.parameters],
        )
        found = {row[1]: row for row in cursor.fetchall()}
    statuses = associations_asked(asked.query)
    return [Row(*row[:7]) for row in found.values()], {uuid for uuid, row in found.items() if row[7] in statuses}


def _sides(patient_id: str, permit: Permit) -> tuple[set[str], set[str]]:
    """The entries of the patient, and entries of others that the patient's submissions refer to: visible, withheld."""
    own, association = of_patient("e", patient_id), of_patient("a", patient_id)
    visible: set[str] = set()
    withheld: set[str] = set()
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT e.patient_id, {DISCLOSURE} FROM xds_documententry e WHERE {own.sql}"  # noqa: S608
            f" UNION ALL SELECT e.patient_id, {DISCLOSURE} FROM xds_association a{TARGETS}"
            f" WHERE {association.sql} AND e.patient_id <> a.patient_id",
            [*own.parameters, *association.parameters],
        )
        for owner, *columns in each_row(cursor):
            side = visible if shows(permit, owner, *columns) else withheld
            side.add(columns[0])
    return visible, withheld


def _members(associations: list[Row], visible: set[str], withheld: set[str]) -> dict[str, bool]:
    """Submission sets and folders that hold documents: whether one of these is visible."""
    members: dict[str, bool] = {}
    for row in associations:
        if row.association_type == HAS_MEMBER and row.target in visible | withheld:
            members[row.source] = members.get(row.source, False) or row.target in visible
    return members


def _touching(associations: list[Row], answered: set[str], hidden: set[str]) -> list[Row]:
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
