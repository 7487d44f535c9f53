"""ITI-18, Registry Stored Query: which documents exist? (ITI TF-2: 3.18)"""

from __future__ import annotations

from typing import Any

from apps.pix.queries import subject_of
from apps.xds import stored_queries
from apps.xds.rules import subjects_of_patients
from hie.exchange.audit import EXECUTE, QUERY, AuditEntry, AuditEvent, AuditObject
from hie.exchange.transaction import Soap, Transaction
from hie.values.access import Access, Subject
from hie.values.codes import Code
from hie.values.documents import StoredQuery
from hie.values.identifiers import Identifier
from hie.wire.ebxml import stored_query

_ID_TYPE = Code("ITI-18", "IHE Transactions", "Registry Stored Query")


def subjects_of(query: StoredQuery) -> tuple[Subject, ...]:
    """The patient that the query names, by regional id or by a chart number; else those of the entries it names."""
    patient_id = stored_queries.patient_parameter(query)
    if patient_id:
        return (subject_of(Identifier.from_cx(patient_id)),)
    return subjects_of_patients(stored_queries.patients_of(query))


def audit_entries(query: StoredQuery, _: Any, subjects: tuple[Subject, ...]) -> tuple[AuditEntry, ...]:
    """One entry with the query as it was received (3.18.5.1.2)."""
    return (AuditEntry(EXECUTE, subjects, (audit_object(query, _ID_TYPE),)),)


def audit_object(query: StoredQuery, id_type: Code) -> AuditObject:
    """The query as the audit record keeps it."""
    home = (("urn:ihe:iti:xca:2010:homeCommunityId", query.home),) if query.home else ()
    return AuditObject(query.query_id, id_type, query=query.raw, details=(("QueryEncoding", "UTF-8"), *home))


ITI_18 = Transaction(
    number="ITI-18",
    name="Registry Stored Query",
    door=Soap(
        "registry",
        "urn:ihe:iti:2007:RegistryStoredQuery",
        "urn:ihe:iti:2007:RegistryStoredQueryResponse",
    ),
    codec=stored_query,
    subject=subjects_of,
    access=Access.FIND,
    execute=stored_queries.answer,
    audit=AuditEvent(QUERY, EXECUTE, audit_entries),
)
