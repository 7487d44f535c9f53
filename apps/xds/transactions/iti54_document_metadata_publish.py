"""ITI-54, Document Metadata Publish: another registry tells the broker what it has registered (ITI TF-2: 3.54)"""

from __future__ import annotations

from apps.xds.services import publish as tell
from apps.xds.transactions.iti42_register_document_set import subjects_of
from hie.exchange.audit import CREATE, IMPORT, AuditEntry, AuditEvent, AuditObject
from hie.exchange.transaction import Soap, Transaction
from hie.values.access import Access, Permit, Subject
from hie.values.codes import Code
from hie.values.subscriptions import Publication, Received
from hie.wire.wsnt import publish
from hie.wire.wsnt.names import NOTIFY

_ENTRY = Code("urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1", "IHE XDS Metadata", "document entry object type")
_REPORT = 3


def patients_of(publication: Publication) -> tuple[Subject, ...]:
    """The patient of the submission set."""
    return subjects_of(publication.submission)


def audit_entries(
    publication: Publication, _: Received | None, subjects: tuple[Subject, ...]
) -> tuple[AuditEntry, ...]:
    """One entry with the documents of the event (3.54.5.1.2)."""
    entries = publication.submission.document_entries
    objects = tuple(AuditObject(each.entry_uuid, _ENTRY, role=_REPORT) for each in entries)
    return (AuditEntry(CREATE, subjects, objects),)


def execute(publication: Publication, permit: Permit) -> Received:
    """Tell the subscribers whom the event concerns."""
    return tell(publication, facility_code=permit.caller.node.facility_code)


ITI_54 = Transaction(
    number="ITI-54",
    name="Document Metadata Publish",
    door=Soap("broker", NOTIFY, ""),
    codec=publish,
    subject=patients_of,
    access=Access.SUBMIT,
    execute=execute,
    audit=AuditEvent(IMPORT, CREATE, audit_entries),
    changes=True,
)
