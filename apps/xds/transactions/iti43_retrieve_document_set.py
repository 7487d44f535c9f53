"""ITI-43, Retrieve Document Set: the documents themselves (ITI TF-2: 3.43)."""

from __future__ import annotations

from apps.xds import repository
from apps.xds.rules import subjects_of_patients
from apps.xds.services import retrieve as retrieve_documents
from hie.exchange.audit import EXPORT, READ, AuditEntry, AuditEvent, AuditObject
from hie.exchange.transaction import Soap, Transaction
from hie.values.access import Access, Subject
from hie.values.codes import Code
from hie.values.documents import DocumentRequest, RetrieveRequest, RetrieveResult
from hie.wire.ebxml import retrieve

_ID_TYPE = Code("9", "RFC-3881", "Report Number")
_REPORT = 3
_SERIOUS = 8


def subjects_of(request: RetrieveRequest) -> tuple[Subject, ...]:
    """The patients of the documents that are asked for; none for a document that is not known."""
    patients = repository.patients_of(request)
    return subjects_of_patients(dict.fromkeys(each for owners in patients.values() for each in owners))


def audit_entries(
    request: RetrieveRequest, result: RetrieveResult | None, subjects: tuple[Subject, ...]
) -> tuple[AuditEntry, ...]:
    """One entry for each patient and outcome, so that no record names a patient beside another's document.

    A partial success leaves two: the documents that left, and those that did not (3.43.5.1). An on-demand document is
    named with the unique id of what it came to.
    """
    new = {each.request: each.new_document_unique_id for each in result.documents} if result is not None else {}
    if result is not None and not result.findings and len(subjects) == 1:
        named = tuple(document_object(each, new.get(each, "")) for each in request.documents)
        return (AuditEntry(READ, subjects, named),)
    by_regional_id = {subject.regional_id: subject for subject in subjects}
    patients = repository.patients_of(request)
    left = {document.request for document in result.documents} if result is not None else frozenset()
    groups: dict[tuple[tuple[Subject, ...], int], list[AuditObject]] = {}
    for each in request.documents:
        owners = tuple(by_regional_id[owner] for owner in patients.get(each, ()) if owner in by_regional_id)
        outcome = 0 if each in left else _outcome(each, result)
        groups.setdefault((owners[:1], outcome), []).append(document_object(each, new.get(each, "")))
    return tuple(
        AuditEntry(READ, owners, tuple(objects), outcome=outcome) for (owners, outcome), objects in groups.items()
    )


def document_object(asked: DocumentRequest, new_unique_id: str = "") -> AuditObject:
    """A document as the audit record names it. new_unique_id: of the content, where it was made on demand."""
    made = (("New Document Unique ID", new_unique_id),) if new_unique_id else ()
    home = (("ihe:homeCommunityID", asked.home_community_id),) if asked.home_community_id else ()
    return AuditObject(
        asked.document_unique_id,
        _ID_TYPE,
        role=_REPORT,
        details=(("Repository Unique ID", asked.repository_unique_id), *home, *made),
    )


def _outcome(asked: DocumentRequest, result: RetrieveResult | None) -> int:
    """What the finding of this document says; serious where the whole message was refused."""
    if result is None:
        return _SERIOUS
    outcomes = [each.reason.value.outcome for each in result.findings if each.location == asked.document_unique_id]
    return max(outcomes, default=_SERIOUS)


ITI_43 = Transaction(
    number="ITI-43",
    name="Retrieve Document Set",
    door=Soap(
        "repository",
        "urn:ihe:iti:2007:RetrieveDocumentSet",
        "urn:ihe:iti:2007:RetrieveDocumentSetResponse",
        mtom=True,
    ),
    codec=retrieve,
    find=repository.located,
    subject=subjects_of,
    access=Access.RETRIEVE,
    execute=retrieve_documents,
    audit=AuditEvent(EXPORT, READ, audit_entries, we_are_source=True),
)
