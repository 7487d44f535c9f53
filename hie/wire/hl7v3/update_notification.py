"""ITI-46 PIXv3 Update Notification (ITI TF-2: 3.46): PRPA_IN201302UV02 to a consumer, and its acknowledgement.

The patient has all identifiers of the person in the consumer's domains and no name. ``read_request`` is a consumer's
side.
"""

from __future__ import annotations

from hie.values.demographics_queries import UpdateNotification
from hie.values.errors import ExchangeError, Reason
from hie.values.people import Demographics
from hie.wire.hl7v3 import wrapper
from hie.wire.hl7v3.datatypes import at, value_at
from hie.wire.hl7v3.people import (
    read_all_identifiers,
    write_patient,
    write_person,
    write_provider,
    write_registration,
)
from hie.wire.hl7v3.wrapper import Devices
from hie.wire.soap.envelope import SoapBody, SoapMessage

INTERACTION = "PRPA_IN201302UV02"
ACTION = f"urn:hl7-org:v3:{INTERACTION}"
RESPONSE_ACTION = f"urn:hl7-org:v3:{wrapper.ACCEPT}"
_PATIENT = "controlActProcess/subject/registrationEvent/subject1/patient"
PLACES = {"identifier": f"{_PATIENT}/id[{{n}}]", "identifier.authority": f"{_PATIENT}/id[{{n}}]/@root"}


def write_request(notification: UpdateNotification, devices: Devices) -> SoapBody:
    """Write a notification. The id of the message is ``message_id``, a UUID or OID, so that one sent again is known
    again; fresh where there is none."""
    oid = notification.identifiers[0].oid
    person = write_person(Demographics(), null_name="NA")
    patient = write_patient(notification.identifiers, person, write_provider(oid))
    content = write_registration(patient, devices.sender)
    return wrapper.request(INTERACTION, devices, content, message_id=notification.message_id)


def read_response(message: SoapMessage) -> None:
    """Read the acknowledgement. Raises ExchangeError with what the consumer found, if it did not take it."""
    wrapper.read_acknowledgement(message, wrapper.ACCEPT)


def read_request(message: SoapMessage) -> UpdateNotification:
    """Read a notification as a consumer does. Raises ExchangeError where it has no identifier."""
    wrapper.check_interaction(message, INTERACTION)
    identifiers = read_all_identifiers(at(message.body, _PATIENT))
    if not identifiers:
        detail = "patient/id has to hold an id with extension."
        raise ExchangeError(Reason.REQUIRED_MISSING, detail, f"/{INTERACTION}/{_PATIENT}/id")
    return UpdateNotification(
        identifiers=identifiers,
        message_id=wrapper.message_id(message),
        occurred_at=value_at(message.body, "creationTime"),
    )


def write_response(message: SoapMessage, result: object = None) -> SoapBody:
    """``CA``."""
    return wrapper.write_acknowledgement(message)


def write_error(message: SoapMessage, error: ExchangeError) -> SoapBody:
    """``CE`` or ``CR`` with an acknowledgementDetail for each finding."""
    return wrapper.write_acknowledgement(message, error, PLACES)
