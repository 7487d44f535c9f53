"""The stored queries of the registry (ITI TF-2: 3.18.4.1.2.3.7, 3.51.4.1.2).

A query selects rows by indexed columns, applies the permit to the columns of each row and joins fragments; it builds
no objects (decision 0009). What the permit withholds leaves no trace in the answer: neither a reference to it, nor a
count, nor a submission set or folder that holds nothing else.

selection   from parameters to conditions in SQL
showing     what the permit shows of what is selected, and the answer
finding     Find..., of one patient and of several
getting     Get..., by the ids of objects
everything  GetAll
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from apps.network.queries import home_community_id
from apps.xds.stored_queries import finding, getting
from apps.xds.stored_queries.everything import get_all
from apps.xds.stored_queries.finding import selected
from apps.xds.stored_queries.selection import (
    ENTRIES,
    FOLDERS,
    SETS,
    Condition,
    Table,
    of_patient,
    one_of,
    restrict,
    values_of,
)
from apps.xds.stored_queries.showing import Asked, Row
from hie.values.access import Permit
from hie.values.documents import QueryResult, StoredQuery
from hie.values.errors import ExchangeError, Reason
from hie.wire.ebxml.attributes import Kind
from hie.wire.ebxml.queries import PARAMETERS, QUERIES, QUERY_NAMED

__all__ = [
    "ENTRIES",
    "FOLDERS",
    "SETS",
    "Asked",
    "Condition",
    "Row",
    "Table",
    "answer",
    "of_patient",
    "one_of",
    "patient_parameter",
    "patient_parameters",
    "patients_of",
    "restrict",
    "selected",
]

FIND_DOCUMENTS = QUERY_NAMED["FindDocuments"].query_id
GET_DOCUMENTS = QUERY_NAMED["GetDocuments"].query_id
GET_ALL = QUERY_NAMED["GetAll"].query_id


@dataclass(frozen=True, slots=True)
class _Executed:
    """How one query is answered. around: its answer may name objects of patients whose ids it does not name.

    of: the kind of objects that a query for several patients finds.
    """

    execute: Callable[[Asked], QueryResult]
    around: bool = False
    of: Table | None = None


_EXECUTED = {
    QUERY_NAMED[name].query_id: row
    for name, row in {
        "FindDocuments": _Executed(finding.find_documents),
        "FindSubmissionSets": _Executed(finding.find_submission_sets),
        "FindFolders": _Executed(finding.find_folders),
        "GetAll": _Executed(get_all),
        "GetDocuments": _Executed(getting.get_documents),
        "GetFolders": _Executed(getting.get_folders),
        "GetAssociations": _Executed(getting.get_associations, around=True),
        "GetDocumentsAndAssociations": _Executed(getting.get_documents_and_associations, around=True),
        "GetSubmissionSets": _Executed(getting.get_submission_sets, around=True),
        "GetSubmissionSetAndContents": _Executed(getting.get_submission_set_and_contents, around=True),
        "GetFolderAndContents": _Executed(getting.get_folder_and_contents),
        "GetFoldersForDocument": _Executed(getting.get_folders_for_document),
        "GetRelatedDocuments": _Executed(getting.get_related_documents),
        "FindDocumentsByReferenceId": _Executed(finding.find_documents),
        "FindDocumentsForMultiplePatients": _Executed(finding.find_documents_of_patients, of=ENTRIES),
        "FindFoldersForMultiplePatients": _Executed(finding.find_folders_of_patients, of=FOLDERS),
        "FindDocumentsByReferenceIdForMultiplePatients": _Executed(finding.find_documents_of_patients, of=ENTRIES),
    }.items()
}


def answer(query: StoredQuery, permit: Permit) -> QueryResult:
    """The answer to ITI-18 and ITI-51 as far as the permit goes.

    permit.subjects: the patient of the query (of ITI-51 the patients), or those of ``patients_of``, in their order.
    Raises ExchangeError with everything that is wrong with the query, UNKNOWN_COMMUNITY where it is asked of another
    community (ITI TF-3 table 4.2.4.1-2), TOO_MANY_RESULTS above settings.MAX_RESULTS.
    """
    if query.findings:
        raise ExchangeError.of(query.findings)
    if query.home and query.home != home_community_id():
        raise ExchangeError(Reason.UNKNOWN_COMMUNITY, _OTHER_COMMUNITY, query.home)
    executed = _EXECUTED.get(query.query_id)
    if executed is None:
        raise ExchangeError(Reason.UNKNOWN_QUERY, _not_executed(), "AdhocQuery/@id")
    return executed.execute(Asked(query, permit))


def patient_parameter(query: StoredQuery) -> str:
    """The patient id that a query names, in the form of CX; "" where it names objects instead."""
    return next(iter(patient_parameters(query)), "")


def patient_parameters(query: StoredQuery) -> tuple[str, ...]:
    """The patient ids that a query names, in the form of CX."""
    return tuple(dict.fromkeys(value for name in _PATIENT_IDS for value in values_of(query, name)))


_PATIENT_IDS = tuple(name for name, parameter in PARAMETERS.items() if parameter.kind is Kind.PATIENT_ID)


def patients_of(query: StoredQuery) -> tuple[str, ...]:
    """The regional ids of the patients that a query without a patient is about, each once.

    They own the objects that it names, or objects that are joined to these; a query for several patients is about all
    of whom an object meets it. A query that is wrong is about nobody.
    """
    executed = _EXECUTED.get(query.query_id)
    if query.findings or executed is None:
        return ()
    if executed.of is not None:
        return finding.patients_meeting(query, executed.of)
    return getting.patients_of(query, around=executed.around)


_OTHER_COMMUNITY = "AdhocQuery/@home is of another community than that of this registry; ask there, or leave it out."


def _not_executed() -> str:
    names = ", ".join(QUERIES[each].name for each in _EXECUTED)
    return f"This stored query is not supported by this registry; supported are {names}."
