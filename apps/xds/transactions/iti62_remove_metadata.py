"""ITI-62, Remove Metadata: objects leave the registry (RMD: 3.62)"""

from __future__ import annotations

from typing import Any

from apps.xds.rules import subjects_of_patients
from apps.xds.services import patients_of_objects, remove_objects
from hie.exchange.audit import DELETE, PATIENT_RECORD, AuditEntry, AuditEvent, AuditObject
from hie.exchange.transaction import Soap, Transaction
from hie.values.access import Access, Permit, Subject
from hie.values.codes import Code
from hie.values.documents import RegistryResult, RemoveObjects
from hie.wire.ebxml import remove_metadata

_ID_TYPE = Code("urn:ihe:iti:2017:ObjectRef", "IHE XDS Metadata", "registry object reference")
_REPORT = 3


def subjects_of(request: RemoveObjects) -> tuple[Subject, ...]:
    """The patients whose objects are named."""
    return subjects_of_patients(patients_of_objects(request))


def audit_entries(request: RemoveObjects, _: Any, subjects: tuple[Subject, ...]) -> tuple[AuditEntry, ...]:
    """One entry with every object that was named (3.62.5.1)."""
    objects = tuple(AuditObject(each, _ID_TYPE, role=_REPORT) for each in request.object_ids)
    return (AuditEntry(DELETE, subjects, objects),)


def execute(request: RemoveObjects, permit: Permit) -> RegistryResult:
    """Remove what the caller's facility has registered."""
    return remove_objects(request, facility_code=permit.caller.node.facility_code)


ITI_62 = Transaction(
    number="ITI-62",
    name="Remove Metadata",
    door=Soap("registry", "urn:ihe:iti:2010:DeleteDocumentSet", "urn:ihe:iti:2010:DeleteDocumentSetResponse"),
    codec=remove_metadata,
    subject=subjects_of,
    access=Access.SUBMIT,
    execute=execute,
    audit=AuditEvent(PATIENT_RECORD, DELETE, audit_entries),
    changes=True,
)
