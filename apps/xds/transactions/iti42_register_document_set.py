"""ITI-42, Register Document Set-b: metadata of documents that lie in a repository (ITI TF-2: 3.42)."""

from __future__ import annotations

from typing import Any

from apps.pix.queries import subjects_of as subjects_of_identifiers
from apps.xds.services import prepare, register_within
from hie.exchange.audit import CREATE, IMPORT, AuditEntry, AuditEvent, AuditObject
from hie.exchange.transaction import Soap, Transaction
from hie.values.access import Access, Permit, Subject
from hie.values.codes import Code
from hie.values.documents import RegistryResult, Submission
from hie.values.identifiers import Identifier
from hie.wire.ebxml import register as codec

_ID_TYPE = Code(
    "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd", "IHE XDS Metadata", "submission set classificationNode"
)
_JOB = 20


def subjects_of(submission: Submission) -> tuple[Subject, ...]:
    """The patient of the submission set; none where it names none."""
    patient_ids = dict.fromkeys(each.patient_id for each in submission.submission_sets if each.patient_id)
    return subjects_of_identifiers(map(Identifier.from_cx, patient_ids))


def audit_entries(submission: Submission, _: Any, subjects: tuple[Subject, ...]) -> tuple[AuditEntry, ...]:
    """One entry with the submission set (3.42.5.1.2, 3.41.5.1.2)."""
    return audit_entries_of(CREATE, submission, subjects)


def audit_entries_of(action: str, submission: Submission, subjects: tuple[Subject, ...]) -> tuple[AuditEntry, ...]:
    """One entry with the submission set, of this action."""
    sets = tuple(AuditObject(each.unique_id, _ID_TYPE, role=_JOB) for each in submission.submission_sets)
    return (AuditEntry(action, subjects, sets),)


def execute(submission: Submission, permit: Permit) -> RegistryResult:
    """Register what the caller submits as the record of its own facility."""
    return register_within(submission, facility_code=permit.caller.node.facility_code)


ITI_42 = Transaction(
    number="ITI-42",
    name="Register Document Set-b",
    door=Soap(
        "registry",
        "urn:ihe:iti:2007:RegisterDocumentSet-b",
        "urn:ihe:iti:2007:RegisterDocumentSet-bResponse",
    ),
    codec=codec,
    subject=subjects_of,
    access=Access.SUBMIT,
    execute=execute,
    audit=AuditEvent(IMPORT, CREATE, audit_entries),
    changes=True,
    prepare=prepare,
)
