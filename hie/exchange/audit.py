"""The audit event that a transaction declares, and the entries it leaves behind (DICOM PS3.15 A.5; ITI TF-2: 3.20)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hie.values.access import Subject
from hie.values.codes import Code


def _dcm(code: str, display: str) -> Code:
    return Code(code, "DCM", display)


APPLICATION_ACTIVITY = _dcm("110100", "Application Activity")
AUDIT_LOG_USED = _dcm("110101", "Audit Log Used")
EXPORT = _dcm("110106", "Export")
IMPORT = _dcm("110107", "Import")
PATIENT_RECORD = _dcm("110110", "Patient Record")
QUERY = _dcm("110112", "Query")
SECURITY_ALERT = _dcm("110113", "Security Alert")
USER_AUTHENTICATION = _dcm("110114", "User Authentication")

CREATE, READ, UPDATE, DELETE, EXECUTE = "C", "R", "U", "D", "E"


@dataclass(frozen=True, slots=True)
class AuditObject:
    """A ParticipantObject that is not the patient: a query, a document, a submission set.

    type_code and role: ParticipantObjectTypeCode and -Role (2/24 query, 2/3 report, 2/20 job). query: raw bytes,
    written as base64. details: (type, value) pairs, values written as base64.
    """

    object_id: str
    id_type: Code
    type_code: int = 2
    role: int = 24
    name: str = ""
    query: bytes = b""
    details: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One audit message to be written for each of its subjects (one without a patient where there is none).

    action: EventActionCode. outcome: EventOutcomeIndicator (0 success, 4 minor, 8 serious, 12 major failure).
    patient_details: (type, value) of the patient object, as ``MSH-10``.
    """

    action: str
    subjects: tuple[Subject, ...] = ()
    objects: tuple[AuditObject, ...] = ()
    patient_details: tuple[tuple[str, str], ...] = ()
    outcome: int = 0
    description: str = ""


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """What a transaction leaves behind: the DICOM EventID, the action, and how its objects are read.

    entries: (request, result or None, subjects) -> entries; the default is one entry with the declared action.
    we_are_source: in a retrieve the answering side is the source of the data (ITI TF-2: 3.43.5).
    name: of the transaction in EventTypeCode, where its audit table does not call it by its own name.
    """

    event_id: Code
    action: str
    entries: Callable[[Any, Any, tuple[Subject, ...]], tuple[AuditEntry, ...]] | None = None
    we_are_source: bool = False
    name: str = ""

    def entries_of(self, request: Any, result: Any, subjects: tuple[Subject, ...]) -> tuple[AuditEntry, ...]:
        if self.entries is None or request is None:
            return (AuditEntry(action=self.action, subjects=subjects),)
        return self.entries(request, result, subjects)
