"""ITI-8 Patient Identity Feed and ITI-30 Patient Identity Management in HL7 v2 (ITI TF-2: 3.8, 3.30).

ITI-8 is HL7 2.3.1 (A01 A04 A05 A08 A40), ITI-30 is HL7 2.5 (A24 A28 A31 A37 A40 A47). Hospitals send the triggers of
ITI-8 in 2.5 as well; they mean the same. Names of places that verbs raise with: ``acknowledgement``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from hie.values.errors import ExchangeError, Finding, Reason
from hie.values.identifiers import Identifier
from hie.values.patients import FeedEvent, PatientFeed
from hie.values.people import Demographics
from hie.values.times import write_ts
from hie.wire.hl7v2 import acknowledgement, charset, writer
from hie.wire.hl7v2.demographics import read_demographics, read_identifiers, write_in1, write_pid
from hie.wire.hl7v2.header import check_header, check_repetitions
from hie.wire.hl7v2.message import Message
from hie.wire.hl7v2.structures import validate
from hie.wire.hl7v2.writer import Parties


@dataclass(frozen=True, slots=True)
class Trigger:
    """One trigger event: what happened, its structure, and the versions that carry it."""

    event: FeedEvent
    structure: str
    versions: tuple[str, ...] = ("2.3.1", "2.5")


TRIGGERS = {
    "ADT^A01": Trigger(FeedEvent.REGISTER, "ADT_A01"),
    "ADT^A04": Trigger(FeedEvent.REGISTER, "ADT_A01"),
    "ADT^A05": Trigger(FeedEvent.REGISTER, "ADT_A05"),
    "ADT^A08": Trigger(FeedEvent.UPDATE, "ADT_A01"),
    "ADT^A24": Trigger(FeedEvent.LINK, "ADT_A24", ("2.5",)),
    "ADT^A28": Trigger(FeedEvent.REGISTER, "ADT_A05", ("2.5",)),
    "ADT^A31": Trigger(FeedEvent.UPDATE, "ADT_A05", ("2.5",)),
    "ADT^A37": Trigger(FeedEvent.UNLINK, "ADT_A37", ("2.5",)),
    "ADT^A40": Trigger(FeedEvent.MERGE, "ADT_A39"),
    "ADT^A47": Trigger(FeedEvent.CHANGE_IDENTIFIER, "ADT_A30", ("2.5",)),
}
VERSION_OF_PAM = "2.5"
_PAM = frozenset({"ADT^A24", "ADT^A28", "ADT^A31", "ADT^A37", "ADT^A40", "ADT^A47"})

PLACES = {
    "identifier": "PID^1^3^{n}^1",
    "identifier.authority": "PID^1^3^{n}^4",
    "prior identifier": "MRG^1^1^{n}^1",
    "prior identifier.authority": "MRG^1^1^{n}^4",
    "other identifier": "PID^2^3^{n}^1",
    "other identifier.authority": "PID^2^3^{n}^4",
    "name": "PID^1^5",
    "birth_date": "PID^1^7",
    "sex": "PID^1^8",
    "address": "PID^1^11^{n}",
    "telephone": "PID^1^13^{n}",
    "death_time": "PID^1^29",
    "insurance": "IN1^{n}",
}


def read_request(message: Message) -> PatientFeed:
    """Read a feed. Raises ExchangeError with everything that is wrong with it."""
    trigger = TRIGGERS.get(message.trigger)
    if trigger is None:
        raise ExchangeError(
            Reason.UNSUPPORTED_EVENT, f"MSH-9.2 has to be one of {' '.join(TRIGGERS)} here.", "MSH^1^9^1^2"
        )
    check_header(message, trigger.versions, _structures(message, trigger))
    check_repetitions(message)
    findings = validate(message, trigger.structure)
    identifiers, prior = _identifiers(message, "PID", 3), _identifiers(message, "MRG", 1)
    other = _identifiers(message, "PID", 3, 2)
    has_prior, has_other = trigger.event in _TWO_NUMBERS, trigger.event in _TWO_LISTS
    needed = [("PID", 1, 3, identifiers), *([("MRG", 1, 1, prior)] * has_prior), *([("PID", 2, 3, other)] * has_other)]
    findings += _missing_identifiers(message, needed)
    if findings:
        raise ExchangeError.of(findings)
    return PatientFeed(
        event=trigger.event,
        trigger=message.trigger,
        message_id=message.control_id,
        identifiers=identifiers,
        demographics=Demographics() if has_other else read_demographics(message),
        prior_identifiers=prior if has_prior else (),
        pam=message.version == VERSION_OF_PAM and message.trigger in _PAM,
        occurred_at=_occurred_at(message),
        warnings=message.warnings,
        other_identifiers=other if has_other else (),
    )


def write_response(message: Message, result: object = None) -> bytes:
    """``AA``, or ``CA`` in the enhanced mode. What the verb returned is not told."""
    return acknowledgement.accept(message, enhanced=message.version == VERSION_OF_PAM)


def write_error(message: Message, error: ExchangeError) -> bytes:
    """``AE`` or ``AR`` with an ERR for each finding; ``CE`` or ``CR`` in the enhanced mode."""
    return acknowledgement.refuse(message, error, PLACES, enhanced=message.version == VERSION_OF_PAM)


def write_request(
    feed: PatientFeed, parties: Parties, *, version: str = "2.5", character_set: str = charset.UTF_8
) -> bytes:
    """Write a feed of our own. The trigger is ``feed.trigger`` where HL7 v2 has it, else the event's usual one.

    character_set: ``UNICODE UTF-8`` or ``ISO IR87``; MSH-10 is ``feed.message_id`` or a fresh one.
    """
    name = feed.trigger if version in TRIGGERS.get(feed.trigger, _NEVER).versions else _USUAL[feed.event, version]
    trigger = TRIGGERS[name]
    now = write_ts(datetime.now(UTC))
    header = writer.header(
        message_type=f"{name}^{trigger.structure}",
        version=version,
        sender=parties.sender,
        receiver=parties.receiver,
        control_id=writer.escape(feed.message_id),
        character_set=character_set,
    )
    segments = [header, writer.segment("EVN", {2: now, 6: writer.escape(feed.occurred_at)})]
    segments.append(write_pid(feed.demographics, feed.identifiers))
    if feed.other_identifiers:
        segments.append(write_pid(Demographics(), feed.other_identifiers, "2"))
    elif feed.prior_identifiers:
        segments.append(writer.segment("MRG", {1: writer.repetitions(map(writer.cx, feed.prior_identifiers))}))
    else:
        segments.append("PV1|1|N")
        segments += [write_in1(each, str(number)) for number, each in enumerate(feed.demographics.insurances, 1)]
    return writer.join(segments, character_set)


def read_response(message: Message) -> None:
    """Read the ACK. Raises ExchangeError with what the other side found, if it did not take the feed."""
    acknowledgement.read_acknowledgement(message)


_NEVER = Trigger(FeedEvent.UPDATE, "", ())
_USUAL = {
    (FeedEvent.REGISTER, "2.3.1"): "ADT^A04",
    (FeedEvent.UPDATE, "2.3.1"): "ADT^A08",
    (FeedEvent.MERGE, "2.3.1"): "ADT^A40",
    (FeedEvent.REGISTER, "2.5"): "ADT^A28",
    (FeedEvent.UPDATE, "2.5"): "ADT^A31",
    (FeedEvent.MERGE, "2.5"): "ADT^A40",
    (FeedEvent.CHANGE_IDENTIFIER, "2.5"): "ADT^A47",
    (FeedEvent.LINK, "2.5"): "ADT^A24",
    (FeedEvent.UNLINK, "2.5"): "ADT^A37",
}
_TWO_NUMBERS = (FeedEvent.MERGE, FeedEvent.CHANGE_IDENTIFIER)
_TWO_LISTS = (FeedEvent.LINK, FeedEvent.UNLINK)


def _structures(message: Message, trigger: Trigger) -> tuple[str, ...]:
    """The MSH-9.3 that are taken: the right one, A05's of 2.3.1, and the trigger's own name, a common mistake."""
    return (trigger.structure, message.trigger.replace("^", "_"), *(("ADT_A01",) if "A05" in message.trigger else ()))


def _identifiers(message: Message, name: str, field: int, occurrence: int = 1) -> tuple[Identifier, ...]:
    """The identifiers in a field of the first segment of this name, or of a later one."""
    segments = message.all(name)
    return read_identifiers(segments[occurrence - 1], field) if len(segments) >= occurrence else ()


def _missing_identifiers(message: Message, needed: list[tuple[str, int, int, tuple[Identifier, ...]]]) -> list[Finding]:
    """Fields that are there but carry no id (``""`` or an authority alone); absent ones were found before."""
    findings = []
    for name, occurrence, field, found in needed:
        segments = message.all(name)[occurrence - 1 :]
        if not found and segments and segments[0].field(field):
            location = f"{name}^{occurrence}^{field}^1^1"
            findings.append(Finding(Reason.REQUIRED_MISSING, f"{name}-{field}.1 has to hold an id.", location))
    return findings


def _occurred_at(message: Message) -> str:
    event = message.first("EVN")
    if event is None:
        return ""
    return event.component(6, 1) or event.component(2, 1)
