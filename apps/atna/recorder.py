"""The recorder of the pipeline: from the trail of one message to its audit records (ITI TF-2: 3.20).

One record for each entry and patient. Nothing is caught here: where a record cannot be kept, the pipeline answers
with an error instead (decision 0002).
"""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from django.conf import settings

from apps.atna.repository import NewRecord, keep
from hie.exchange.audit import SECURITY_ALERT, AuditEntry, AuditObject
from hie.exchange.trail import Trail
from hie.exchange.transaction import Mllp
from hie.values.access import Caller, Person, PurposeOfUse, Subject
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
    PurposeOfUse.TREATMENT: (Code("TREAT", _PURPOSE_SCHEME, "treatment"),),
    PurposeOfUse.EMERGENCY: (Code("ETREAT", _PURPOSE_SCHEME, "emergency treatment"),),
    PurposeOfUse.BREAK_GLASS: (Code("BTG", _PURPOSE_SCHEME, "break the glass"),),
    PurposeOfUse.OPERATIONS: (Code("HOPERAT", _PURPOSE_SCHEME, "healthcare operations"),),
    PurposeOfUse.PATIENT: (Code("PATRQT", _PURPOSE_SCHEME, "patient requested"),),
    PurposeOfUse.PUBLIC_HEALTH: (Code("PUBHLTH", _PURPOSE_SCHEME, "public health"),),
}


def record(trail: Trail, entries: tuple[AuditEntry, ...]) -> None:
    """Keep one record of each entry and subject, in one INSERT on the connection of the pipeline.

    Raises what the database raises: no record, no answer.
    """
    always = _always(trail)
    keep([_record(trail, always, entry, subject) for entry in entries for subject in entry.subjects or (None,)])


@dataclass(frozen=True, slots=True)
class _Always:
    """What is the same in all messages of one transaction that came one way from one caller."""

    source: AuditSource
    participants: tuple[Participant, ...]
    event_id: Code
    types: tuple[Code, ...]
    is_named: bool


def _always(trail: Trail) -> _Always:
    transaction, connection, caller = trail.transaction, trail.connection, trail.caller
    person = caller.person if caller and (caller.person.user_id or caller.person.name) else None
    return _made_of(
        transaction.number if transaction else "",
        transaction.audit.name or transaction.name if transaction else "",
        transaction.audit.event_id if transaction else SECURITY_ALERT,
        transaction is not None and transaction.audit.we_are_source,
        connection.called_name if transaction is not None and isinstance(transaction.door, Mllp) else "",
        connection.claimed_name,
        connection.address,
        connection.remote,
        caller.node.name if caller else None,
        person,
        settings.HOME_COMMUNITY_OID,
        settings.NETWORK_NAME,
        os.getpid(),
    )


@lru_cache(maxsize=1024)
def _made_of(
    number: str,
    name: str,
    event_id: Code,
    we_are_source: bool,
    called_name: str,
    claimed_name: str,
    address: str,
    remote: str,
    node_name: str | None,
    person: Person | None,
    home_community: str,
    network_name: str,
    pid: int,
) -> _Always:
    """Source and destination by ITI TF-2: 3.20 and the row of the transaction, and the human behind the caller."""
    ours, theirs = (SOURCE_ROLE, DESTINATION_ROLE) if we_are_source else (DESTINATION_ROLE, SOURCE_ROLE)
    here = _system(called_name or address or home_community, "", ours, _host(address), pid=str(pid))
    there = _system(
        claimed_name or node_name or remote or "unknown", node_name or "", theirs, remote, is_requestor=True
    )
    pair = (here, there) if we_are_source else (there, here)
    unrecognised = () if node_name is not None else (NODE_AUTHENTICATION,)
    return _Always(
        source=AuditSource(home_community, network_name),
        participants=pair + ((_human(person),) if person else ()),
        event_id=event_id,
        types=(transaction_type(number, name),) if number else unrecognised,
        is_named=not we_are_source,
    )


def _system(
    user_id: str, user_name: str, role: Code, access_point: str, *, is_requestor: bool = False, pid: str = ""
) -> Participant:
    """One of the two: the system that asked, ``facility|application`` in HL7 v2, else the name of its node;
    and ourselves, the receiving ``facility|application`` in HL7 v2, else the endpoint's URI, and our process."""
    return Participant(
        user_id=user_id,
        requestor=is_requestor,
        alternative_user_id=pid,
        user_name=user_name,
        roles=(role,),
        access_point=access_point,
        access_point_type=_access_point_type(access_point),
    )


def _record(trail: Trail, always: _Always, entry: AuditEntry, subject: Subject | None) -> NewRecord:
    caller = trail.caller
    return NewRecord(
        AuditMessage(
            always.event_id,
            entry.action,
            trail.started_at,
            entry.outcome,
            always.source,
            always.participants,
            always.types,
            _description(caller, entry),
            _PURPOSES[caller.purpose] if caller else (),
            _objects(always, entry, subject),
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


def _description(caller: Caller | None, entry: AuditEntry) -> str:
    """What happened, and the reason that was given for an emergency access."""
    reason = caller.reason if caller and caller.reason and caller.purpose.emergency else ""
    return f"{entry.description}; {reason}" if entry.description and reason else entry.description or reason


def _human(person: Person) -> Participant:
    """The human requestor. UserName is written ``alias<user@issuer>`` where an assertion named the person (XUA)."""
    user_name = f"{person.alias}<{person.user_id}@{person.issuer}>" if person.issuer else person.name
    return Participant(user_id=person.user_id or person.name, requestor=True, user_name=user_name, roles=person.roles)


def _objects(always: _Always, entry: AuditEntry, subject: Subject | None) -> tuple[ParticipantObject, ...]:
    """The patient first, then what the entry names. The record of a repository names no patient (ITI TF-2: 3.43.6)."""
    named = tuple(map(_object, entry.objects))
    if subject is None or not always.is_named:
        return named
    patient = ParticipantObject(
        object_id=_cx(subject), id_type=PATIENT_NUMBER, type_code=1, role=1, details=_details(entry.patient_details)
    )
    return (patient, *named)


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
