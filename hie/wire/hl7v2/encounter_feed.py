"""ITI-31 Patient Encounter Management in HL7 v2.5 (ITI TF-2: 3.31).

Every event is a row of ``TRIGGERS``: what it is about, whether it is told or cancelled, its structure, and the option
that it belongs to. The five triggers of the basic subset need no option. An event of an option that is not supported is
refused as a whole: AR with 201 at MSH-9.2. Z99 tells of any movement; its ZBE says which and what is done to it.
EVN-6 is the time of the event, of a cancellation the time of what is cancelled, and empty for what is pending (EVN-3
then has the time it is planned for).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

from hie.values.demographics_queries import EncounterEvent, EncounterKind, Movement, MovementAction, Visit
from hie.values.errors import ExchangeError, Finding, Reason
from hie.values.identifiers import AssigningAuthority, Identifier, is_oid
from hie.values.times import write_ts
from hie.wire.hl7v2 import acknowledgement, charset, writer
from hie.wire.hl7v2.demographics import read_demographics, read_identifiers, write_pid
from hie.wire.hl7v2.header import check_header, check_repetitions
from hie.wire.hl7v2.message import NULL, Message, Segment
from hie.wire.hl7v2.structures import is_date, validate
from hie.wire.hl7v2.visits import read_visit, write_pv1
from hie.wire.hl7v2.writer import Parties

VERSION = "2.5"


class Option(Enum):
    """The options of the transaction (3.31.2); BASIC is no option."""

    BASIC = "Basic Subset"
    INPATIENT_OUTPATIENT = "Inpatient/Outpatient Encounter Management"
    PENDING = "Pending Event Management"
    ADVANCED = "Advanced Encounter Management"
    TEMPORARY_TRANSFERS = "Temporary Patient Transfers Tracking"
    HISTORIC_MOVEMENT = "Historic Movement Management"
    MAINTAIN_DEMOGRAPHICS = "Maintain Demographics"


OPTIONS = frozenset(Option)
"""What this server takes: everything."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """One trigger event: kind None means that ZBE says what it is."""

    kind: EncounterKind | None
    action: MovementAction
    structure: str
    option: Option


def _tells(kind: EncounterKind, structure: str, option: Option) -> Trigger:
    return Trigger(kind, MovementAction.INSERT, structure, option)


def _cancels(kind: EncounterKind, structure: str, option: Option) -> Trigger:
    return Trigger(kind, MovementAction.CANCEL, structure, option)


_IO, _PE, _AD, _TT = Option.INPATIENT_OUTPATIENT, Option.PENDING, Option.ADVANCED, Option.TEMPORARY_TRANSFERS

TRIGGERS = {
    "ADT^A01": _tells(EncounterKind.ADMIT, "ADT_A01", Option.BASIC),
    "ADT^A02": _tells(EncounterKind.TRANSFER, "ADT_A02", _IO),
    "ADT^A03": _tells(EncounterKind.DISCHARGE, "ADT_A03", Option.BASIC),
    "ADT^A04": _tells(EncounterKind.REGISTER, "ADT_A01", Option.BASIC),
    "ADT^A05": _tells(EncounterKind.PREADMIT, "ADT_A05", _IO),
    "ADT^A06": _tells(EncounterKind.TO_INPATIENT, "ADT_A06", _IO),
    "ADT^A07": _tells(EncounterKind.TO_OUTPATIENT, "ADT_A06", _IO),
    "ADT^A08": _tells(EncounterKind.UPDATE_PATIENT, "ADT_A01", Option.MAINTAIN_DEMOGRAPHICS),
    "ADT^A09": _tells(EncounterKind.DEPART, "ADT_A09", _TT),
    "ADT^A10": _tells(EncounterKind.ARRIVE, "ADT_A09", _TT),
    "ADT^A11": _cancels(EncounterKind.ADMIT, "ADT_A09", Option.BASIC),
    "ADT^A12": _cancels(EncounterKind.TRANSFER, "ADT_A12", _IO),
    "ADT^A13": _cancels(EncounterKind.DISCHARGE, "ADT_A01", Option.BASIC),
    "ADT^A14": _tells(EncounterKind.PENDING_ADMIT, "ADT_A05", _PE),
    "ADT^A15": _tells(EncounterKind.PENDING_TRANSFER, "ADT_A15", _PE),
    "ADT^A16": _tells(EncounterKind.PENDING_DISCHARGE, "ADT_A16", _PE),
    "ADT^A21": _tells(EncounterKind.LEAVE, "ADT_A21", _AD),
    "ADT^A22": _tells(EncounterKind.RETURN, "ADT_A21", _AD),
    "ADT^A25": _cancels(EncounterKind.PENDING_DISCHARGE, "ADT_A21", _PE),
    "ADT^A26": _cancels(EncounterKind.PENDING_TRANSFER, "ADT_A21", _PE),
    "ADT^A27": _cancels(EncounterKind.PENDING_ADMIT, "ADT_A21", _PE),
    "ADT^A32": _cancels(EncounterKind.ARRIVE, "ADT_A21", _TT),
    "ADT^A33": _cancels(EncounterKind.DEPART, "ADT_A21", _TT),
    "ADT^A38": _cancels(EncounterKind.PREADMIT, "ADT_A38", _IO),
    "ADT^A40": _tells(EncounterKind.MERGE_PATIENTS, "ADT_A39", Option.MAINTAIN_DEMOGRAPHICS),
    "ADT^A44": _tells(EncounterKind.MOVE_ACCOUNT, "ADT_A43", _AD),
    "ADT^A52": _cancels(EncounterKind.LEAVE, "ADT_A52", _AD),
    "ADT^A53": _cancels(EncounterKind.RETURN, "ADT_A52", _AD),
    "ADT^A54": _tells(EncounterKind.CHANGE_DOCTOR, "ADT_A54", _AD),
    "ADT^A55": _cancels(EncounterKind.CHANGE_DOCTOR, "ADT_A52", _AD),
    "ADT^Z99": Trigger(None, MovementAction.UPDATE, "ADT_A01", Option.HISTORIC_MOVEMENT),
}
_WITHOUT_VISIT = frozenset({EncounterKind.MERGE_PATIENTS, EncounterKind.MOVE_ACCOUNT})
_WITH_PRIOR = _WITHOUT_VISIT
# MRG tells of an account that ends, by convention, and merges nobody (3.31.7.9.3, 3.31.7.10.3).
_WITH_PRIOR_ACCOUNT = frozenset({EncounterKind.TO_INPATIENT, EncounterKind.TO_OUTPATIENT})

PLACES = {
    "identifier": "PID^1^3^{n}^1",
    "identifier.authority": "PID^1^3^{n}^4",
    "prior identifier": "MRG^1^1^{n}^1",
    "prior identifier.authority": "MRG^1^1^{n}^4",
    "name": "PID^1^5",
    "birth_date": "PID^1^7",
    "sex": "PID^1^8",
    "address": "PID^1^11^{n}",
    "telephone": "PID^1^13^{n}",
    "account": "PID^1^18",
    "visit": "PV1^1^19",
    "location": "PV1^1^3",
    "movement": "ZBE^1^1^{n}",
    "event": "MSH^1^9^1^2",
}


def read_request(message: Message, options: frozenset[Option] = OPTIONS) -> EncounterEvent:
    """Read an event. Raises ExchangeError with everything that is wrong with it, UNSUPPORTED_EVENT for an event of an
    option that is not among ``options``."""
    trigger = TRIGGERS.get(message.trigger)
    if trigger is None or trigger.option not in options | {Option.BASIC}:
        raise ExchangeError(
            Reason.UNSUPPORTED_EVENT, "MSH-9.2 has to be an event of an option that is supported here.", "MSH^1^9^1^2"
        )
    check_header(message, (VERSION,), (trigger.structure, message.trigger.replace("^", "_")))
    check_repetitions(message)
    findings = validate(message, trigger.structure)
    movement, wrong = _movement(message, trigger)
    findings += wrong
    kind = trigger.kind or (_kind_of(movement.original_trigger) if movement else None)
    findings += _wrong_identifiers(message, kind)
    if findings or kind is None:
        raise ExchangeError.of(findings)
    return _event(message, trigger, kind, movement)


def write_response(message: Message, result: object = None) -> bytes:
    """``AA``, or ``CA`` in the enhanced mode. What the verb returned is not told."""
    return acknowledgement.accept(message, enhanced=True)


def write_error(message: Message, error: ExchangeError) -> bytes:
    """``AE`` or ``AR`` with an ERR for each finding; ``CE`` or ``CR`` in the enhanced mode."""
    return acknowledgement.refuse(message, error, PLACES, enhanced=True)


def write_request(event: EncounterEvent, parties: Parties, *, character_set: str = charset.UTF_8) -> bytes:
    """Write an event of our own by its ``trigger``. MSH-10 is fresh where the value has none."""
    trigger = TRIGGERS[event.trigger]
    header = writer.header(
        message_type=f"{event.trigger}^{trigger.structure}",
        version=VERSION,
        sender=parties.sender,
        receiver=parties.receiver,
        control_id=writer.escape(event.message_id),
        character_set=character_set,
    )
    times = {2: write_ts(datetime.now(UTC)), 3: writer.escape(event.planned_at), 6: writer.escape(event.occurred_at)}
    segments = [header, writer.segment("EVN", times), _write_patient(event)]
    if event.kind in _WITH_PRIOR or (event.kind in _WITH_PRIOR_ACCOUNT and event.prior_account):
        account = writer.cx(event.prior_account) if event.prior_account else ""
        prior = writer.repetitions(map(writer.cx, event.prior_identifiers or event.identifiers))
        segments.append(writer.segment("MRG", {1: prior, 3: account}))
    if event.kind not in _WITHOUT_VISIT:
        segments.append(write_pv1(event.visit))
    if event.movement:
        segments.append(_write_zbe(event.movement))
    return writer.join(segments, character_set)


def read_response(message: Message) -> None:
    """Read the ACK. Raises ExchangeError with what the other side found, if it did not take the event."""
    acknowledgement.read_acknowledgement(message)


# Reading ------------------------------------------------------------------------------------------------------------


def _event(message: Message, trigger: Trigger, kind: EncounterKind, movement: Movement | None) -> EncounterEvent:
    pid, merged, visited, event = (message.first(name) for name in ("PID", "MRG", "PV1", "EVN"))
    is_z99 = trigger.kind is None
    return EncounterEvent(
        kind=kind,
        action=movement.action if movement and is_z99 else trigger.action,
        trigger=message.trigger,
        message_id=message.control_id,
        identifiers=_ids(pid, 3),
        demographics=read_demographics(message),
        visit=read_visit(visited) if visited else Visit(),
        account=next(iter(_ids(pid, 18)), None),
        movement=movement,
        prior_identifiers=_ids(merged, 1) if kind in _WITH_PRIOR else (),
        prior_account=next(iter(_ids(merged, 3)), None) if kind in _WITH_PRIOR | _WITH_PRIOR_ACCOUNT else None,
        occurred_at=_time(event, 6),
        planned_at=_time(event, 3),
        warnings=message.warnings,
    )


def _ids(segment: Segment | None, field: int) -> tuple[Identifier, ...]:
    return read_identifiers(segment, field) if segment else ()


def _time(segment: Segment | None, field: int) -> str:
    text = segment.component(field, 1).strip() if segment else ""
    return "" if text == NULL else text


def _kind_of(original_trigger: str) -> EncounterKind | None:
    """What ZBE-6 is about: the kind of that trigger."""
    trigger = TRIGGERS.get(f"ADT^{original_trigger}")
    return trigger.kind if trigger else None


def _wrong_identifiers(message: Message, kind: EncounterKind | None) -> Iterator[Finding]:
    """Fields that are there and hold no id; absent ones were found before."""
    for name, field, needed in (("PID", 3, True), ("MRG", 1, kind in _WITH_PRIOR)):
        segment = message.first(name)
        if needed and segment is not None and segment.field(field) and not read_identifiers(segment, field):
            location = f"{name}^1^{field}^1^1"
            yield Finding(Reason.REQUIRED_MISSING, f"{name}-{field}.1 has to hold an id.", location)


def _movement(message: Message, trigger: Trigger) -> tuple[Movement | None, list[Finding]]:
    """ZBE, and what is wrong with it. Z99 needs it; an update or cancellation needs the original trigger in ZBE-6."""
    zbe = message.first("ZBE")
    if zbe is None:
        if trigger.option is not Option.HISTORIC_MOVEMENT:
            return None, []
        return None, [Finding(Reason.SEGMENT_SEQUENCE, "The segment ZBE is required and absent.", "ZBE^1")]
    findings = []
    action = _ACTIONS.get(zbe.component(4, 1).strip().upper())
    allowed = _ALLOWED.get(trigger.option, (trigger.action,))
    if action not in allowed:
        names = " or ".join(each.value for each in allowed)
        findings.append(Finding(Reason.NOT_IN_TABLE, f"ZBE-4 has to be {names} for {message.trigger}.", "ZBE^1^4"))
    if not zbe.field(1):
        findings.append(Finding(Reason.REQUIRED_MISSING, "ZBE-1 has to identify the movement.", "ZBE^1^1"))
    findings += _wrong_times(zbe)
    original = zbe.component(6, 1).strip().upper()
    needs_original = trigger.kind is None or action in (MovementAction.UPDATE, MovementAction.CANCEL)
    if needs_original and not original:
        detail = "ZBE-6 has to name the trigger that told of the movement first."
        findings.append(Finding(Reason.REQUIRED_MISSING, detail, "ZBE^1^6"))
    elif needs_original and _kind_of(original) is None:
        findings.append(Finding(Reason.NOT_IN_TABLE, "ZBE-6 has to be a trigger of a movement, as A01.", "ZBE^1^6"))
    if findings or action is None:
        return None, findings
    movement = Movement(
        identifiers=tuple(_ei(zbe, each) for each in zbe.repetitions(1)),
        starts_at=_time(zbe, 2),
        ends_at=_time(zbe, 3),
        action=action,
        historic=zbe.component(5, 1).strip().upper() == "Y",
        original_trigger=original,
        responsible_ward=_ward(zbe, 7),
        nursing_ward=_ward(zbe, 8),
        scope=zbe.component(9, 1).strip(),
    )
    return movement, []


_ACTIONS = {action.value: action for action in MovementAction}
# What ZBE-4 may say beside what the trigger says: Z99 and, in older texts, A08 correct a movement (3.31.6.1).
_ALLOWED = dict.fromkeys((Option.HISTORIC_MOVEMENT, Option.MAINTAIN_DEMOGRAPHICS), tuple(MovementAction))


def _wrong_times(zbe: Segment) -> Iterator[Finding]:
    if not zbe.field(2):
        yield Finding(Reason.REQUIRED_MISSING, "ZBE-2 is required.", "ZBE^1^2")
    for field in (2, 3):
        text = _time(zbe, field)
        if text and not is_date(text):
            detail = f"ZBE-{field} has to be a date or time, YYYY[MM[DD[HH[MM[SS]]]]]."
            yield Finding(Reason.WRONG_DATA_TYPE, detail, f"ZBE^1^{field}")


def _ei(segment: Segment, repetition: str) -> Identifier:
    """An EI: id, namespace, universal id and its type are components."""
    value, namespace, oid = (segment.component_of(repetition, place).strip() for place in (1, 2, 3))
    return Identifier(value, AssigningAuthority(oid if is_oid(oid) else "", namespace))


def _ward(segment: Segment, field: int) -> str:
    """An XON: the code in component 10 or 3, else the name."""
    places = (segment.component(field, place, sub=1).strip() for place in (10, 3, 1))
    return next(filter(None, places), "")


# Writing ------------------------------------------------------------------------------------------------------------


def _write_patient(event: EncounterEvent) -> str:
    pid = write_pid(event.demographics, event.identifiers)
    if event.account is None:
        return pid
    return writer.segment("PID", {**dict(enumerate(pid.split("|"))), 18: writer.cx(event.account)})


def _write_zbe(movement: Movement) -> str:
    fields = {
        1: writer.repetitions(map(_write_ei, movement.identifiers)),
        2: writer.escape(movement.starts_at),
        3: writer.escape(movement.ends_at),
        4: movement.action.value,
        5: "Y" if movement.historic else "N",
        6: writer.escape(movement.original_trigger),
        7: writer.components(movement.responsible_ward),
        8: writer.components(movement.nursing_ward),
        9: writer.escape(movement.scope),
    }
    return writer.segment("ZBE", fields)


def _write_ei(identifier: Identifier) -> str:
    authority = identifier.assigning_authority
    return writer.components(identifier.value, authority.namespace, authority.oid, "ISO" if authority.oid else "")
