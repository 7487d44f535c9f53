"""ITI-64 Notify XAD-PID Link Change in HL7 v2.5: ADT^A43 from the PIX manager to the registry (ITI TF-2: 3.64).

PID-3 has the new regional id and the local identifier whose documents move; MRG-1 the former regional id and, where a
local identifier was merged as well, that one. Every id has its OID. MSH-3 is the OID of the PIX manager; the registry
answers with an accept acknowledgement and then moves the documents.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from hie.values.demographics_queries import LinkChange
from hie.values.errors import ExchangeError, Finding, Reason
from hie.values.identifiers import Identifier, is_oid
from hie.values.times import write_ts
from hie.wire.hl7v2 import acknowledgement, charset, writer
from hie.wire.hl7v2.demographics import read_identifiers
from hie.wire.hl7v2.header import check_header, check_repetitions
from hie.wire.hl7v2.message import Message
from hie.wire.hl7v2.structures import validate
from hie.wire.hl7v2.writer import Parties

VERSION = "2.5"
STRUCTURE = "ADT_A43"
PLACES = {
    "identifier": "PID^1^3^{n}^1",
    "identifier.authority": "PID^1^3^{n}^4",
    "prior identifier": "MRG^1^1^{n}^1",
    "prior identifier.authority": "MRG^1^1^{n}^4",
    "manager": "MSH^1^3",
}


def read_request(message: Message) -> LinkChange:
    """Read a link change. Raises ExchangeError with everything that is wrong with it."""
    if message.trigger != "ADT^A43":
        raise ExchangeError(Reason.UNSUPPORTED_EVENT, "MSH-9.2 has to be A43 here.", "MSH^1^9^1^2")
    check_header(message, (VERSION,), (STRUCTURE,))
    check_repetitions(message)
    findings = validate(message, STRUCTURE)
    new, prior = _identifiers(message, "PID", 3), _identifiers(message, "MRG", 1)
    findings += [*_check("PID-3", "PID^1^3", new, 2), *_check("MRG-1", "MRG^1^1", prior, 1)]
    if len(prior) == 2 and len(new) == 2 and prior[1].oid != new[1].oid:
        detail = "The subsumed local id has to be of the assigning authority of the local id."
        findings.append(Finding(Reason.UNKNOWN_DOMAIN, detail, "MRG^1^1^2^4"))
    if findings:
        raise ExchangeError.of(findings)
    event = message.first("EVN")
    return LinkChange(
        regional_id=new[0],
        local_identifier=new[1],
        previous_regional_id=prior[0],
        subsumed_local_identifier=prior[1] if len(prior) > 1 else None,
        manager_oid=_manager_oid(message),
        message_id=message.control_id,
        occurred_at=(event.component(6, 1) or event.component(2, 1)) if event else "",
    )


def write_response(message: Message, result: object = None) -> bytes:
    """``AA``; ``CA`` in the enhanced mode."""
    return acknowledgement.accept(message, enhanced=True)


def write_error(message: Message, error: ExchangeError) -> bytes:
    """``AE`` or ``AR`` with an ERR for each finding; ``CE`` or ``CR`` in the enhanced mode."""
    return acknowledgement.refuse(message, error, PLACES, enhanced=True)


def write_request(change: LinkChange, parties: Parties) -> bytes:
    """Write a link change. MSH-3 is ``manager_oid`` where given; MSH-10 is fresh where the value has none."""
    now = write_ts(datetime.now(UTC))
    application, facility = parties.sender
    prior = [change.previous_regional_id]
    if change.subsumed_local_identifier:
        prior.append(change.subsumed_local_identifier)
    new = writer.repetitions(map(writer.cx, (change.regional_id, change.local_identifier)))
    merged = writer.repetitions(map(writer.cx, prior))
    character_set = charset.ASCII if (new + merged).isascii() else charset.UTF_8
    header = writer.header(
        message_type=f"ADT^A43^{STRUCTURE}",
        version=VERSION,
        sender=(f"^{writer.escape(change.manager_oid)}^ISO" if change.manager_oid else application, facility),
        receiver=parties.receiver,
        control_id=writer.escape(change.message_id),
        character_set=character_set,
    )
    event = writer.segment("EVN", {2: now, 6: writer.escape(change.occurred_at)})
    segments = [header, event, writer.segment("PID", {3: new, 5: " "}), writer.segment("MRG", {1: merged})]
    return writer.join(segments, character_set)


def read_response(message: Message) -> None:
    """Read the ACK. Raises ExchangeError with what the registry found, if it did not take the change."""
    acknowledgement.read_acknowledgement(message)


def _identifiers(message: Message, name: str, field: int) -> tuple[Identifier, ...]:
    segment = message.first(name)
    return read_identifiers(segment, field) if segment else ()


def _check(place: str, location: str, found: tuple[Identifier, ...], least: int) -> Iterator[Finding]:
    """Too few or too many ids in a field, and ids without an OID."""
    if not least <= len(found) <= 2:
        number = "two ids, the new regional id and the local id" if least == 2 else "one id or two"
        yield Finding(Reason.REQUIRED_MISSING, f"{place} has to hold {number}.", location)
    for number_of, identifier in enumerate(found[:2], 1):
        if not identifier.oid:
            detail = f"{place}.4 has to name the domain by its OID with ISO."
            yield Finding(Reason.REQUIRED_MISSING, detail, f"{location}^{number_of}^4")


def _manager_oid(message: Message) -> str:
    """MSH-3 where it is an OID, in whichever component."""
    parts = (message.header.component(3, place) for place in (2, 1))
    return next((part for part in parts if is_oid(part)), "")
