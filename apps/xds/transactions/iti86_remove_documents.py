"""ITI-86, Remove Documents: documents leave the repository (RMD: 3.86)"""

from __future__ import annotations

from apps.xds.rules import subjects_of_patients
from apps.xds.services import patients_of_documents, remove_documents
from apps.xds.transactions.iti43_retrieve_document_set import document_object
from hie.exchange.audit import DELETE, PATIENT_RECORD, AuditEntry, AuditEvent
from hie.exchange.transaction import Soap, Transaction
from hie.values.access import Access, Permit, Subject
from hie.values.documents import RemovalResult, RemoveDocuments
from hie.wire.ebxml import remove_documents as codec

_SERIOUS = 8


def subjects_of(request: RemoveDocuments) -> tuple[Subject, ...]:
    """The patients of the documents that are known."""
    return subjects_of_patients(dict.fromkeys(patients_of_documents(request).values()))


def audit_entries(
    request: RemoveDocuments, result: RemovalResult | None, subjects: tuple[Subject, ...]
) -> tuple[AuditEntry, ...]:
    """One entry for what was removed, one for what was not (3.86.5.1).

    Of a request about several patients the documents stand in entries of their own, so that no record names a patient
    beside another's document: once a document is gone, nothing says whose it was.
    """
    removed = frozenset(result.removed) if result is not None else frozenset()
    entries = [AuditEntry(DELETE, subjects)] if len(subjects) > 1 else []
    subjects = subjects if len(subjects) == 1 else ()
    for outcome, documents in (
        (0, [each for each in request.documents if each in removed]),
        (_SERIOUS, [each for each in request.documents if each not in removed]),
    ):
        if documents:
            entries.append(AuditEntry(DELETE, subjects, tuple(map(document_object, documents)), outcome=outcome))
    return tuple(entries)


def execute(request: RemoveDocuments, permit: Permit) -> RemovalResult:
    """Remove what the caller's facility has submitted."""
    return remove_documents(request, facility_code=permit.caller.node.facility_code)


ITI_86 = Transaction(
    number="ITI-86",
    name="Remove Documents",
    door=Soap("repository", "urn:ihe:iti:2017:RemoveDocuments", "urn:ihe:iti:2017:RemoveDocumentsResponse"),
    codec=codec,
    subject=subjects_of,
    access=Access.SUBMIT,
    execute=execute,
    audit=AuditEvent(PATIENT_RECORD, DELETE, audit_entries),
    changes=True,
)
