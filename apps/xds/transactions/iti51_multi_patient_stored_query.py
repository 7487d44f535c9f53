"""ITI-51, Multi-Patient Stored Query: which documents exist of several patients, or of all? (ITI TF-2: 3.51)"""

from __future__ import annotations

from apps.pix.queries import subjects_of as subjects_of_identifiers
from apps.xds import stored_queries
from apps.xds.rules import subjects_of_patients
from apps.xds.transactions.iti18_registry_stored_query import audit_object
from hie.exchange.audit import EXECUTE, QUERY, AuditEntry, AuditEvent
from hie.exchange.transaction import Soap, Transaction
from hie.values.access import Access, Subject
from hie.values.codes import Code
from hie.values.documents import QueryResult, StoredQuery
from hie.values.identifiers import Identifier
from hie.wire.ebxml import multi_patient_query

_ID_TYPE = Code("ITI-51", "IHE Transactions", "Multi-Patient Stored Query")


def subjects_of(query: StoredQuery) -> tuple[Subject, ...]:
    """The patients that the query names; else all of whom an object meets it, so that the gate is asked of each."""
    patient_ids = stored_queries.patient_parameters(query)
    if patient_ids:
        return subjects_of_identifiers(map(Identifier.from_cx, patient_ids))
    return subjects_of_patients(stored_queries.patients_of(query))


def audit_entries(
    query: StoredQuery, result: QueryResult | None, subjects: tuple[Subject, ...]
) -> tuple[AuditEntry, ...]:
    """One entry with the query as it was received, of the patients it names and of those it found (3.51.5.1.2).

    Of a query that names nobody, the patients of whom nothing was answered are left out: nobody saw anything of them.
    """
    if not stored_queries.patient_parameters(query):
        answered = frozenset(result.patients) if result is not None else frozenset()
        subjects = tuple(each for each in subjects if each.regional_id in answered)
    return (AuditEntry(EXECUTE, subjects, (audit_object(query, _ID_TYPE),)),)


ITI_51 = Transaction(
    number="ITI-51",
    name="Multi-Patient Stored Query",
    door=Soap(
        "registry",
        "urn:ihe:iti:2009:MultiPatientStoredQuery",
        "urn:ihe:iti:2009:MultiPatientStoredQueryResponse",
    ),
    codec=multi_patient_query,
    subject=subjects_of,
    access=Access.FIND,
    execute=stored_queries.answer,
    audit=AuditEvent(QUERY, EXECUTE, audit_entries),
)
