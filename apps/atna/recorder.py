"""The recorder of the pipeline: from the trail of one message to its audit records (ITI TF-2: 3.20).

One record for each entry and patient. Nothing is caught here: where a record cannot be kept, the pipeline answers
with an error instead (decision 0002).
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import urlsplit

from django.conf import settings

from apps.atna.repository import NewRecord, keep
from hie.exchange.audit import SECURITY_ALERT, AuditEntry, AuditObject
from hie.exchange.trail import Trail
from hie.exchange.transaction import Mllp
from hie.values.access import Person, PurposeOfUse, Subject
from hie.values.audit import (
    DESTINATION_ROLE,
    IP_ADDRESS,
    MACHINE_NAME,
    NODE_AUTHENTICATION,
    PATIENT_NUMBER,
    SOURCE_ROLE,
    AuditMessage,
    AuditSource,
    Participant,
    ParticipantObject,
    transaction_type,
)
from hie.values.codes import Code

_PURPOSE_SCHEME = "2.16.840.1.113883.5.8"
_PURPOSES = {
    PurposeOfUse.TREATMENT: Code("TREAT", _PURPOSE_SCHEME, "treatment"),
    PurposeOfUse.EMERGENCY: Code("ETREAT", _PURPOSE_SCHEME, "emergency treatment"),
    PurposeOfUse.BREAK_GLASS: Code("BTG", _PURPOSE_SCHEME, "break the glass"),
    PurposeOfUse.OPERATIONS: Code("HOPERAT", _PURPOSE_SCHEME, "healthcare operations"),
    PurposeOfUse.PATIENT: Code("PATRQT", _PURPOSE_SCHEME, "patient requested"),
    PurposeOfUse.PUBLIC_HEALTH: Code("PUBHLTH", _PURPOSE_SCHEME, "public health"),
}


def record(trail: Trail, entries: tuple[AuditEntry, ...]) -> None:
    """Keep one record of each entry and subject, in one INSERT on the connection of the pipeline.

    Raises what the database raises: no record, no answer.
    """
    participants = _participants(trail)
    keep([_record(trail, participants, entry, subject) for entry in entries for subject in entry.subjects or (None,)])


def _record(
    trail: Trail, participants: tuple[Participant, ...], entry: AuditEntry, subject: Subject | None
) -> NewRecord:
    caller = trail.caller
    return NewRecord(
        message=AuditMessage(
            event_id=trail.transaction.audit.event_id if trail.transaction else SECURITY_ALERT,
            action=entry.action,
            occurred_at=trail.started_at,
            outcome=entry.outcome,
            source=AuditSource(settings.HOME_COMMUNITY_OID, settings.NETWORK_NAME),
            participants=participants,
            types=_types(trail),
            description=_description(trail, entry),
            purposes=(_PURPOSES[caller.purpose],) if caller else (),
            objects=tuple(_objects(trail, entry, subject)),
        ),
        trail_id=trail.record_id,
        transaction=trail.transaction.number if trail.transaction else "",
        caller_name=caller.node.name if caller else trail.connection.claimed_name,
        facility_code=caller.node.facility_code if caller else "",
        person_user_id=caller.person.user_id if caller else "",
        patient_regional_id=subject.regional_id if subject else "",
        patient_identifier=_cx(subject) if subject else "",
        remote_address=trail.connection.remote,
        purpose=caller.purpose.value if caller else "",
    )


def _types(trail: Trail) -> tuple[Code, ...]:
    if trail.transaction is not None:
        return (transaction_type(trail.transaction.number, trail.transaction.name),)
    return () if trail.caller else (NODE_AUTHENTICATION,)


def _description(trail: Trail, entry: AuditEntry) -> str:
    """What happened, and the reason that was given for an emergency access."""
    reason = trail.caller.reason if trail.caller and trail.caller.purpose.emergency else ""
    return "; ".join(part for part in (entry.description, reason) if part)


def _participants(trail: Trail) -> tuple[Participant, ...]:
    """Source and destination by ITI TF-2: 3.20 and the row of the transaction, and the human behind the caller."""
    we_are_source = trail.transaction is not None and trail.transaction.audit.we_are_source
    ours, theirs = (SOURCE_ROLE, DESTINATION_ROLE) if we_are_source else (DESTINATION_ROLE, SOURCE_ROLE)
    here = _here(trail, ours)
    there = _there(trail, theirs)
    pair = (here, there) if we_are_source else (there, here)
    person = trail.caller.person if trail.caller else Person()
    return pair + ((_human(person),) if person.user_id or person.name else ())


def _there(trail: Trail, role: Code) -> Participant:
    """The system that asked: ``facility|application`` in HL7 v2, else the name of its node."""
    remote = trail.connection.remote
    name = trail.caller.node.name if trail.caller else ""
    return Participant(
        user_id=trail.connection.claimed_name or name or remote or "unknown",
        requestor=True,
        user_name=name,
        roles=(role,),
        access_point=remote,
        access_point_type=_access_point_type(remote),
    )


def _here(trail: Trail, role: Code) -> Participant:
    """Ourselves: the receiving ``facility|application`` in HL7 v2, else the endpoint's URI; and our process."""
    address = trail.connection.address
    host = _host(address)
    is_v2 = trail.transaction is not None and isinstance(trail.transaction.door, Mllp)
    return Participant(
        user_id=(trail.connection.called_name if is_v2 else "") or address or settings.HOME_COMMUNITY_OID,
        requestor=False,
        alternative_user_id=str(os.getpid()),
        roles=(role,),
        access_point=host,
        access_point_type=_access_point_type(host),
    )


def _human(person: Person) -> Participant:
    """The human requestor. UserName is written ``alias<user@issuer>`` where an assertion named the person (XUA)."""
    user_name = f"{person.alias}<{person.user_id}@{person.issuer}>" if person.issuer else person.name
    return Participant(user_id=person.user_id or person.name, requestor=True, user_name=user_name, roles=person.roles)


def _objects(trail: Trail, entry: AuditEntry, subject: Subject | None) -> Iterator[ParticipantObject]:
    """The patient first, then what the entry names. The record of a repository names no patient (ITI TF-2: 3.43.6)."""
    if subject is not None and not (trail.transaction and trail.transaction.audit.we_are_source):
        yield ParticipantObject(
            object_id=_cx(subject),
            id_type=PATIENT_NUMBER,
            type_code=1,
            role=1,
            details=_details(entry.patient_details),
        )
    yield from map(_object, entry.objects)


def _object(each: AuditObject) -> ParticipantObject:
    return ParticipantObject(
        object_id=each.object_id,
        id_type=each.id_type,
        type_code=each.type_code,
        role=each.role,
        name=each.name,
        query=each.query,
        details=_details(each.details),
    )


def _details(details: tuple[tuple[str, str], ...]) -> tuple[tuple[str, bytes], ...]:
    return tuple((kind, value.encode("utf-8", "replace")) for kind, value in details)


def _cx(subject: Subject) -> str:
    return f"{subject.identifier.value}^^^{subject.identifier.assigning_authority.hd}"


@lru_cache(maxsize=256)
def _host(address: str) -> str:
    """The host of a URL or of ``host:port``; "" where there is none."""
    try:
        return urlsplit(address if "//" in address else f"//{address}").hostname or ""
    except ValueError:
        return ""


@lru_cache(maxsize=1024)
def _access_point_type(host: str) -> int:
    if not host:
        return 0
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return MACHINE_NAME
    return IP_ADDRESS
