"""ITI-52, Document Metadata Subscribe: be told of documents, and no longer (ITI TF-2: 3.52)"""

from __future__ import annotations

from apps.pix.queries import subjects_of as subjects_of_identifiers
from apps.xds import stored_queries
from apps.xds.rules import subjects_of_patients
from apps.xds.services import patients_of_subscription
from apps.xds.services import subscribe as keep
from apps.xds.services import unsubscribe as end
from hie.exchange.audit import CREATE, DELETE, QUERY, AuditEntry, AuditEvent, AuditObject
from hie.exchange.transaction import Soap, Transaction
from hie.values.access import Access, Permit, Subject
from hie.values.codes import Code
from hie.values.identifiers import Identifier
from hie.values.subscriptions import Subscription, SubscriptionAnswer, Unsubscription, UnsubscriptionAnswer
from hie.wire.wsnt import subscribe, unsubscribe
from hie.wire.wsnt.names import SUBSCRIBE, SUBSCRIBE_RESPONSE, UNSUBSCRIBE, UNSUBSCRIBE_RESPONSE

_ID_TYPE = Code("ITI-52", "IHE Transactions", "Document Metadata Subscribe")
_JOB = 20


def subjects_of(wanted: Subscription) -> tuple[Subject, ...]:
    """The patients whom the filter names."""
    return subjects_of_identifiers(map(Identifier.from_cx, stored_queries.patient_parameters(wanted.query)))


def subjects_of_end(asked: Unsubscription) -> tuple[Subject, ...]:
    """The patients whom the filter of the subscription names."""
    return subjects_of_patients(patients_of_subscription(asked))


def audit_entries(
    wanted: Subscription, answer: SubscriptionAnswer | None, subjects: tuple[Subject, ...]
) -> tuple[AuditEntry, ...]:
    """One entry with the subscription and the whole request (3.52.5.1.2)."""
    asked = AuditObject(wanted.query.query_id, _ID_TYPE, query=wanted.query.raw)
    kept = (AuditObject(answer.reference, _ID_TYPE, role=_JOB),) if answer is not None else ()
    return (AuditEntry(CREATE, subjects, (*kept, asked)),)


def audit_entries_of_end(
    asked: Unsubscription, _: UnsubscriptionAnswer | None, subjects: tuple[Subject, ...]
) -> tuple[AuditEntry, ...]:
    """One entry with the subscription that ends."""
    return (AuditEntry(DELETE, subjects, (AuditObject(asked.reference, _ID_TYPE, role=_JOB),)),)


def execute(wanted: Subscription, permit: Permit) -> SubscriptionAnswer:
    """Keep the subscription of the caller's system."""
    return keep(wanted, caller=permit.caller, subjects=subjects_of(wanted))


def execute_end(asked: Unsubscription, permit: Permit) -> UnsubscriptionAnswer:
    """End a subscription of the caller's system."""
    return end(asked, caller=permit.caller)


ITI_52_SUBSCRIBE = Transaction(
    number="ITI-52",
    name="Document Metadata Subscribe",
    door=Soap("broker", SUBSCRIBE, SUBSCRIBE_RESPONSE),
    codec=subscribe,
    subject=subjects_of,
    access=Access.FIND,
    execute=execute,
    audit=AuditEvent(QUERY, CREATE, audit_entries),
    changes=True,
)

ITI_52_UNSUBSCRIBE = Transaction(
    number="ITI-52",
    name="Document Metadata Unsubscribe",
    door=Soap("broker", UNSUBSCRIBE, UNSUBSCRIBE_RESPONSE),
    codec=unsubscribe,
    subject=subjects_of_end,
    access=Access.FIND,
    execute=execute_end,
    audit=AuditEvent(QUERY, DELETE, audit_entries_of_end),
    changes=True,
)
