"""ITI-64 Notify XAD-PID Link Change over MLLP (ITI TF-2: 3.64), heard: the identity source tells this registry.

What this network tells other registries when it issues the regional ids itself: ``apps.pix.services.notifying``.
"""

from __future__ import annotations

from apps.pix import queries, services
from hie.exchange.audit import PATIENT_RECORD, UPDATE, AuditEntry, AuditEvent
from hie.exchange.transaction import Mllp, Transaction
from hie.values.access import Access, Permit, Subject
from hie.values.demographics_queries import LinkChange
from hie.values.patients import FeedOutcome
from hie.wire.hl7v2 import link_change


def subjects_of(change: LinkChange) -> tuple[Subject, ...]:
    """Whose documents they become, and whose they were."""
    return queries.subjects_of((change.regional_id, change.previous_regional_id))


def execute(change: LinkChange, permit: Permit) -> FeedOutcome:
    """Carry out what the identity source tells."""
    node = permit.caller.node
    return services.change_link(change, node.facility_code, sender=node.name)


def audit_entries(
    change: LinkChange, _outcome: FeedOutcome | None, subjects: tuple[Subject, ...]
) -> tuple[AuditEntry, ...]:
    """One record of each of the two patients, U (ITI TF-2: 3.64.5.1; one message a patient, 3.20)."""
    details = (("MSH-10", change.message_id),)
    return tuple(AuditEntry(UPDATE, (each,), patient_details=details) for each in subjects)


ITI_64 = Transaction(
    number="ITI-64",
    name="Notify XAD-PID Link Change",
    door=Mllp(("ADT^A43",), version="2.5"),
    codec=link_change,
    subject=subjects_of,
    access=Access.FEED,
    execute=execute,
    audit=AuditEvent(PATIENT_RECORD, UPDATE, audit_entries),
    changes=True,
)
