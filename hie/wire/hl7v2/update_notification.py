"""ITI-10 PIX Update Notification in HL7 v2.5: ADT^A31 to a consumer, and its ACK (ITI TF-2: 3.10).

PID-3 holds all identifiers of the person in the consumer's domains, each with namespace, OID and ISO; PID-5 is a single
space and PV1-2 ``N``: nothing else of the person is told. ``read_request`` is a consumer's side.
"""

from __future__ import annotations

from datetime import UTC, datetime

from hie.values.demographics_queries import UpdateNotification
from hie.values.errors import ExchangeError, Finding, Reason
from hie.values.times import write_ts
from hie.wire.hl7v2 import acknowledgement, charset, writer
from hie.wire.hl7v2.demographics import read_identifiers
from hie.wire.hl7v2.header import check_header, check_repetitions
from hie.wire.hl7v2.message import Message
from hie.wire.hl7v2.structures import validate
from hie.wire.hl7v2.writer import Parties

VERSION = "2.5"
STRUCTURE = "ADT_A05"
PLACES = {"identifier": "PID^1^3^{n}^1", "identifier.authority": "PID^1^3^{n}^4"}


def write_request(notification: UpdateNotification, parties: Parties, *, character_set: str = charset.ASCII) -> bytes:
    """Write a notification. MSH-10 is ``message_id``, so that one sent again is known again; fresh where there is none.

    The character set becomes UTF-8 where an identifier is not in ASCII and no other is given.
    """
    now = write_ts(datetime.now(UTC))
    identifiers = writer.repetitions(map(writer.cx, notification.identifiers))
    if character_set == charset.ASCII and not identifiers.isascii():
        character_set = charset.UTF_8
    header = writer.header(
        message_type=f"ADT^A31^{STRUCTURE}",
        version=VERSION,
        sender=parties.sender,
        receiver=parties.receiver,
        control_id=writer.escape(notification.message_id),
        character_set=character_set,
    )
    event = writer.segment("EVN", {2: now, 6: writer.escape(notification.occurred_at)})
    return writer.join([header, event, writer.segment("PID", {3: identifiers, 5: " "}), "PV1||N"], character_set)


def read_response(message: Message) -> None:
    """Read the ACK. Raises ExchangeError with what the consumer found, if it did not take the notification."""
    acknowledgement.read_acknowledgement(message)


def read_request(message: Message) -> UpdateNotification:
    """Read a notification as a consumer does. Raises ExchangeError with everything that is wrong with it."""
    if message.trigger != "ADT^A31":
        raise ExchangeError(Reason.UNSUPPORTED_EVENT, "MSH-9.2 has to be A31 here.", "MSH^1^9^1^2")
    check_header(message, (VERSION,), (STRUCTURE, "ADT_A31"))
    check_repetitions(message)
    findings = validate(message, STRUCTURE)
    pid, event = message.first("PID"), message.first("EVN")
    identifiers = read_identifiers(pid, 3) if pid else ()
    if pid and pid.field(3) and not identifiers:
        findings.append(Finding(Reason.REQUIRED_MISSING, "PID-3.1 has to hold an id.", "PID^1^3^1^1"))
    if findings:
        raise ExchangeError.of(findings)
    return UpdateNotification(
        identifiers=identifiers,
        message_id=message.control_id,
        occurred_at=(event.component(6, 1) or event.component(2, 1)) if event else "",
    )


def write_response(message: Message, result: object = None) -> bytes:
    """``AA``."""
    return acknowledgement.accept(message)


def write_error(message: Message, error: ExchangeError) -> bytes:
    """``AE`` or ``AR`` with an ERR for each finding."""
    return acknowledgement.refuse(message, error, PLACES)
