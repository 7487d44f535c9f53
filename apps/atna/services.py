"""Audit records of what happens outside the pipeline: screens, sign-ins, start and stop, the network's own work.

Every function keeps its record before it returns and lets the database's error through: who cannot be recorded, may
not look.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from django.conf import settings

from apps.atna.repository import NewRecord, keep
from hie.exchange.audit import APPLICATION_ACTIVITY, EXECUTE, PATIENT_RECORD, READ, USER_AUTHENTICATION
from hie.values.access import PurposeOfUse, Subject
from hie.values.audit import (
    APPLICATION_ROLE,
    APPLICATION_START,
    APPLICATION_STOP,
    IP_ADDRESS,
    LAUNCHER_ROLE,
    LOGIN,
    LOGOUT,
    MACHINE_NAME,
    PATIENT_NUMBER,
    AuditMessage,
    AuditSource,
    Participant,
    ParticipantObject,
)
from hie.values.codes import Code
from hie.values.identifiers import new_ordered_uuid

_OPERATIONS = Code(PurposeOfUse.OPERATIONS.value, "2.16.840.1.113883.5.8", "healthcare operations")


@dataclass(frozen=True, slots=True)
class Viewer:
    """The person at the screen: account name, name, and the address the browser calls from."""

    user_id: str
    name: str = ""
    remote: str = ""


def viewer_of(request: Any) -> Viewer:
    """The signed-in user of a Django request."""
    user = request.user
    return Viewer(user.get_username(), user.get_full_name(), request.META.get("REMOTE_ADDR", ""))


def record_view(
    viewer: Viewer,
    description: str,
    subjects: tuple[Subject, ...] = (),
    *,
    event_id: Code = PATIENT_RECORD,
    action: str = READ,
    objects: tuple[ParticipantObject, ...] = (),
    address: str = "",
) -> None:
    """Record that a person saw or changed something on a screen: one record for each patient shown, one if none.

    address: the URL without its query, which may hold what was searched for.
    """
    message = _message(
        event_id,
        action,
        participants=(
            Participant(
                viewer.user_id,
                requestor=True,
                user_name=viewer.name,
                access_point=viewer.remote,
                access_point_type=IP_ADDRESS if viewer.remote else 0,
            ),
            _application(address),
        ),
        description=description,
        purposes=(_OPERATIONS,),
        objects=objects,
    )
    trail_id = str(new_ordered_uuid())
    keep([_of_screen(message, trail_id, viewer, subject) for subject in subjects or (None,)])


def record_sign_in(viewer: Viewer, *, succeeded: bool = True) -> None:
    """Record that somebody signed in to the admin, or tried to (110114 with 110122)."""
    _record_authentication(viewer, LOGIN, 0 if succeeded else 4)


def record_sign_out(viewer: Viewer) -> None:
    """Record that somebody signed out (110114 with 110123)."""
    _record_authentication(viewer, LOGOUT, 0)


def record_activity(*, start: bool) -> None:
    """Record that the application begins or ends (110100 with 110120 or 110121)."""
    launcher = Participant(f"uid:{os.getuid()}", requestor=True, roles=(LAUNCHER_ROLE,))
    application = _application(f"process {os.getpid()}")
    message = _message(APPLICATION_ACTIVITY, EXECUTE, participants=(application, launcher))
    message = replace(message, types=(APPLICATION_START if start else APPLICATION_STOP,))
    keep([NewRecord(message, str(new_ordered_uuid()))])


def record_own_work(
    event_id: Code,
    action: str,
    description: str,
    subjects: tuple[Subject, ...] = (),
    *,
    facility_code: str = "",
    objects: tuple[ParticipantObject, ...] = (),
    outcome: int = 0,
) -> None:
    """Record what the network itself did with patients' data, as a scan of a facility's storage does.

    One record for each patient, one where none is named; in the caller's database transaction.
    """
    message = _message(
        event_id,
        action,
        participants=(replace(_application(""), requestor=True),),
        description=description,
        objects=objects,
    )
    message = replace(message, outcome=outcome)
    trail_id = str(new_ordered_uuid())
    keep(
        [
            NewRecord(
                _with_patient(message, subject),
                trail_id,
                caller_name="hie",
                facility_code=facility_code,
                patient_regional_id=subject.regional_id if subject else "",
                patient_identifier=_cx(subject),
            )
            for subject in subjects or (None,)
        ]
    )


def _record_authentication(viewer: Viewer, kind: Code, outcome: int) -> None:
    message = _message(
        USER_AUTHENTICATION,
        EXECUTE,
        participants=(
            Participant(
                viewer.user_id,
                requestor=True,
                user_name=viewer.name,
                access_point=viewer.remote,
                access_point_type=IP_ADDRESS if viewer.remote else 0,
            ),
            _application(""),
        ),
    )
    message = replace(message, types=(kind,), outcome=outcome)
    keep([_of_screen(message, str(new_ordered_uuid()), viewer, None)])


def _message(
    event_id: Code,
    action: str,
    *,
    participants: tuple[Participant, ...],
    description: str = "",
    purposes: tuple[Code, ...] = (),
    objects: tuple[ParticipantObject, ...] = (),
) -> AuditMessage:
    return AuditMessage(
        event_id=event_id,
        action=action,
        occurred_at=datetime.now(UTC),
        outcome=0,
        source=AuditSource(settings.HOME_COMMUNITY_OID, settings.NETWORK_NAME),
        participants=participants,
        description=description,
        purposes=purposes,
        objects=objects,
    )


def _application(address: str) -> Participant:
    """Ourselves, as the application that was used."""
    host = socket.gethostname()
    return Participant(
        address or settings.HOME_COMMUNITY_OID,
        requestor=False,
        alternative_user_id=str(os.getpid()),
        roles=(APPLICATION_ROLE,),
        access_point=host,
        access_point_type=MACHINE_NAME,
    )


def _of_screen(message: AuditMessage, trail_id: str, viewer: Viewer, subject: Subject | None) -> NewRecord:
    return NewRecord(
        _with_patient(message, subject),
        trail_id,
        caller_name="admin",
        person_user_id=viewer.user_id,
        patient_regional_id=subject.regional_id if subject else "",
        patient_identifier=_cx(subject),
        remote_address=viewer.remote,
        purpose=message.purposes[0].code if message.purposes else "",
    )


def _with_patient(message: AuditMessage, subject: Subject | None) -> AuditMessage:
    if subject is None:
        return message
    patient = ParticipantObject(_cx(subject), PATIENT_NUMBER, type_code=1, role=1)
    return replace(message, objects=(patient, *message.objects))


def _cx(subject: Subject | None) -> str:
    return f"{subject.identifier.value}^^^{subject.identifier.assigning_authority.hd}" if subject else ""
