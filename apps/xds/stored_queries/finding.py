"""The queries that find objects by what they are: Find... (ITI TF-2: 3.18.4.1.2.3.7.1 to .3, .14; 3.51.4.1.2)."""

from __future__ import annotations

from django.conf import settings
from django.db import connection

from apps.xds.stored_queries.selection import (
    ENTRIES,
    FOLDERS,
    SETS,
    Condition,
    Table,
    add_level,
    add_status,
    of_patient,
    of_patients,
    restrict,
)
from apps.xds.stored_queries.showing import Asked, Row, entries, packages, result, too_many
from hie.values.access import Permit
from hie.values.documents import QueryResult, StoredQuery


def find_documents(asked: Asked) -> QueryResult:
    """FindDocuments, FindDocumentsByReferenceId: entries of one patient that meet every parameter. One statement."""
    return _find(asked, ENTRIES)


def find_submission_sets(asked: Asked) -> QueryResult:
    """FindSubmissionSets. Two statements."""
    return _find(asked, SETS)


def find_folders(asked: Asked) -> QueryResult:
    """FindFolders. Two statements."""
    return _find(asked, FOLDERS)


def find_documents_of_patients(asked: Asked) -> QueryResult:
    """FindDocuments- and FindDocumentsByReferenceIdForMultiplePatients: as far as the permit knows the patients."""
    return _find_of_patients(asked, ENTRIES)


def find_folders_of_patients(asked: Asked) -> QueryResult:
    """FindFoldersForMultiplePatients."""
    return _find_of_patients(asked, FOLDERS)


def patients_meeting(query: StoredQuery, table: Table) -> tuple[str, ...]:
    """The regional ids of all patients of whom an object meets the query, whatever may be shown. One statement.

    Raises ExchangeError(TOO_MANY_RESULTS) where these are more than the limit.
    """
    alias = table.alias
    condition = _asked(query, table, Condition())
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT DISTINCT {alias}.patient_id FROM {table.name} {alias} WHERE {condition.sql} LIMIT %s",  # noqa: S608
            [*condition.parameters, settings.MAX_RESULTS + 1],
        )
        found = tuple(row[0] for row in cursor.fetchall())
    if len(found) > settings.MAX_RESULTS:
        raise too_many()
    return found


def selected(asked: Asked, table: Table, condition: Condition) -> list[Row]:
    """The objects of one kind that meet a condition, as far as the permit shows them."""
    add_level(condition, asked.query, table)
    of_entries = table.prefix == ENTRIES.prefix
    return entries(asked, condition, table) if of_entries else packages(asked, table, condition)


def _find(asked: Asked, table: Table) -> QueryResult:
    subjects = asked.permit.subjects
    if not subjects:
        return QueryResult()
    here = table.of(subjects[0])
    condition = of_patient(here.alias, subjects[0])
    return result(asked, selected(asked, here, _asked(asked.query, here, condition)))


def _find_of_patients(asked: Asked, table: Table) -> QueryResult:
    rows: list[Row] = []
    for some in _some_of(asked.permit):
        condition = of_patients(table.alias, some)
        rows += selected(asked, table, _asked(asked.query, table, condition))
        if len(rows) > settings.MAX_RESULTS:
            raise too_many()
    return result(asked, rows, dict.fromkeys(row.patient_id for row in rows))


def _some_of(permit: Permit, at_once: int = 1000) -> list[list[str]]:
    """The patients, so many at a time that a statement can name them."""
    subjects = list(permit.subjects)
    return [subjects[start : start + at_once] for start in range(0, len(subjects), at_once)]


def _asked(query: StoredQuery, table: Table, condition: Condition) -> Condition:
    return restrict(add_status(condition, query, table), query, table)
