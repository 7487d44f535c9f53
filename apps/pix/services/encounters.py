"""Stays that facilities tell of (ITI TF-2: 3.31): a stay is what its movements in force have made of it.

``RULES`` has a row for each kind of movement: in which states of the stay it can happen, and which state follows. What
does not fit the situation is discarded without an error (3.31.7, expected actions), with a warning in the
outcome; two things are refused: an admission while another is open, and a historic movement that nobody
knows. Only the current movement can be cancelled; the stay then is what it was before it. A movement of the past that
is told late or corrected changes the present only in what nothing after it has told (3.31.5.6).

A message is also an identity feed: who is told of becomes known, or is updated, as by ITI-30. A message without visit
number and account is nothing but that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from apps.ids.rules import field_and_value, refuse_national_numbers
from apps.network import queries as network
from apps.pix.models import Encounter, EncounterDoctor, LocalIdentifier, Movement
from apps.pix.queries.conditions import authority_text
from apps.pix.queries.cross_references import find_authority
from apps.pix.queries.spelling import spelled
from apps.pix.services import feeding, linking
from apps.pix.services.visits import ROLES, read_visit, write_visit
from hie.values.demographics_queries import EncounterEvent, EncounterKind, MovementAction, Visit
from hie.values.errors import ExchangeError, Finding, Reason
from hie.values.identifiers import Identifier
from hie.values.patients import FeedEvent, FeedOutcome, PatientFeed
from hie.values.times import read_ts

PLANNED, OPEN, CLOSED, CANCELLED = (Encounter.State(each) for each in ("planned", "open", "closed", "cancelled"))
INPATIENT = "I"


@dataclass(frozen=True, slots=True)
class Rule:
    """When a movement can happen and what follows.

    after: "" leaves the state. begins: it may begin a stay, after a closed one of the same number too. supposes: where
    nobody has told of the stay it is there from now on (3.31.7.10, 3.31.7.11).
    """

    states: frozenset[str]
    after: str = ""
    begins: bool = False
    supposes: bool = False


_STAYING = frozenset({OPEN})
_EXPECTED = frozenset({OPEN, PLANNED})

RULES = {
    EncounterKind.ADMIT: Rule(_EXPECTED, OPEN, begins=True),
    EncounterKind.REGISTER: Rule(_EXPECTED, OPEN, begins=True),
    EncounterKind.PREADMIT: Rule(frozenset({PLANNED}), PLANNED, begins=True),
    EncounterKind.PENDING_ADMIT: Rule(frozenset({PLANNED}), PLANNED, begins=True),
    EncounterKind.TO_INPATIENT: Rule(_EXPECTED, OPEN, begins=True),
    EncounterKind.TO_OUTPATIENT: Rule(_EXPECTED, OPEN, supposes=True),
    EncounterKind.TRANSFER: Rule(_EXPECTED, OPEN, supposes=True),
    EncounterKind.DISCHARGE: Rule(_STAYING, CLOSED),
    EncounterKind.UPDATE_PATIENT: Rule(_EXPECTED),
    EncounterKind.DEPART: Rule(_STAYING),
    EncounterKind.ARRIVE: Rule(_STAYING),
    EncounterKind.PENDING_TRANSFER: Rule(_STAYING),
    EncounterKind.PENDING_DISCHARGE: Rule(_STAYING),
    EncounterKind.LEAVE: Rule(_STAYING),
    EncounterKind.RETURN: Rule(_STAYING),
    EncounterKind.CHANGE_DOCTOR: Rule(_STAYING),
}
# A11 takes back what began the stay, whichever it was (3.31.7.4).
_SAME_CANCELLATION = {EncounterKind.ADMIT: {"ADMIT", "REGISTER", "TO_INPATIENT"}}
# Where the patient is not any more after these, unless the message says so (3.31.7.11, 3.31.7.26, 3.31.7.28).
_LEFT = {
    EncounterKind.TRANSFER: ("temporary_location", "pending_location"),
    EncounterKind.DISCHARGE: ("temporary_location", "pending_location"),
    EncounterKind.ARRIVE: ("temporary_location", "pending_location"),
    EncounterKind.DEPART: ("temporary_location",),
}
# The time of a stay that a movement of this kind gives.
_TIME_OF = {"ADMIT": "admitted_at", "REGISTER": "admitted_at", "DISCHARGE": "discharged_at"}
LONGEST_NUMBER, LONGEST_MOVEMENT_NUMBER = 64, 199


def tell_encounter(event: EncounterEvent, facility_code: str, *, sender: str = "") -> FeedOutcome:
    """Carry out one event of a stay, once; what it came to as an identity feed.

    Raises ExchangeError: as ``services.feed``; DUPLICATE_KEY at ``visit`` for an admission while another is open;
    UNKNOWN_KEY at ``movement`` for a historic movement that is not known; WRONG_DATA_TYPE at ``visit``, ``account`` or
    ``movement`` for a number that no column takes.
    """
    refuse_national_numbers(_numbers(event))
    _check_lengths(event)
    with transaction.atomic():
        if event.kind in (EncounterKind.MERGE_PATIENTS, EncounterKind.MOVE_ACCOUNT):
            return _move(event, facility_code, sender)
        outcome = _identity(event, facility_code, sender)
        if outcome.repeated:
            return outcome
        row = _chart(event.identifiers, facility_code)
        if row is not None:
            _lock(row)
        warnings: tuple[str, ...] = ()
        if event.movement is not None and event.action is MovementAction.UPDATE:
            warnings = _correct(event)
        elif row is not None and event.action is MovementAction.CANCEL:
            warnings = _cancel(row, event)
        elif row is not None and (event.visit.visit_number or event.account):
            warnings = _insert(row, event, facility_code)
        return replace(outcome, warnings=outcome.warnings + warnings)


def _numbers(event: EncounterEvent) -> Iterator[tuple[str, str]]:
    """(field, number) of a stay in which a national number could hide."""
    for number in (event.account, event.visit.visit_number, event.visit.preadmit_number):
        if number is not None:
            yield field_and_value(number, "visit")


def _check_lengths(event: EncounterEvent) -> None:
    numbers = (
        ("visit", LONGEST_NUMBER, event.visit.visit_number),
        ("account", LONGEST_NUMBER, event.account),
        ("movement", LONGEST_MOVEMENT_NUMBER, event.movement.identifiers[0] if event.movement else None),
    )
    findings = [
        Finding(Reason.WRONG_DATA_TYPE, f"The number has at most {longest} characters.", location)
        for location, longest, number in numbers
        if number is not None and len(number.value) > longest
    ]
    if findings:
        raise ExchangeError.of(findings)


def _lock(row: LocalIdentifier) -> None:
    """Let nobody else work on the stays of this chart until the transaction ends."""
    linking.lock([f"{row.authority_oid}|{row.value}"])


# --- who it is about


def _identity(event: EncounterEvent, facility_code: str, sender: str) -> FeedOutcome:
    """The identity feed in an event. A cancellation or correction tells of nobody new; it is only remembered."""
    feed = PatientFeed(
        event=FeedEvent.UPDATE if event.kind is EncounterKind.UPDATE_PATIENT else FeedEvent.REGISTER,
        trigger=event.trigger,
        message_id=event.message_id,
        identifiers=event.identifiers,
        demographics=event.demographics,
        pam=True,
        occurred_at=event.occurred_at,
        warnings=event.warnings,
    )
    stay = repr((event.visit, event.account, event.movement))
    if event.action is MovementAction.INSERT:
        return feeding.feed(feed, facility_code, sender=sender, besides=stay)
    content = repr((event.trigger, event.identifiers, event.occurred_at)) + stay
    is_new = feeding.remember(event.message_id, content, sender or facility_code, timezone.now())
    return FeedOutcome(identifiers=event.identifiers, repeated=not is_new, warnings=event.warnings)


def _chart(identifiers: tuple[Identifier, ...], facility_code: str) -> LocalIdentifier | None:
    """The chart that an event is about: the first of its identifiers that is an active one of the sender."""
    facility = network.facility(facility_code)
    for identifier in identifiers if facility else ():
        assert facility is not None
        authority = find_authority(identifier.assigning_authority)
        oid = authority.oid if authority else identifier.oid or facility.authority.oid
        value = facility.patient_ids.comparable(identifier.value)
        rows = LocalIdentifier.objects.filter(authority_oid=oid, value=value, facility_code=facility_code)
        row = rows.filter(status=LocalIdentifier.Status.ACTIVE).first()
        if row is not None:
            return row
    return None


def _move(event: EncounterEvent, facility_code: str, sender: str) -> FeedOutcome:
    """A40: a merge, which takes the stays along. A44: the stays of one account follow the account to its patient."""
    if event.kind is EncounterKind.MERGE_PATIENTS:
        feed = PatientFeed(
            event=FeedEvent.MERGE,
            trigger=event.trigger,
            message_id=event.message_id,
            identifiers=event.identifiers,
            prior_identifiers=event.prior_identifiers,
            pam=True,
            occurred_at=event.occurred_at,
        )
        return feeding.feed(feed, facility_code, sender=sender)
    source, target = _chart(event.prior_identifiers, facility_code), _chart(event.identifiers, facility_code)
    account = event.prior_account or event.account
    if source is not None and target is not None and account is not None:
        linking.lock(f"{row.authority_oid}|{row.value}" for row in (source, target))
        Encounter.objects.filter(record=source, account=account.value).update(record=target)
    return FeedOutcome(event.identifiers, event.prior_identifiers)


# --- movements


def _stay(row: LocalIdentifier, event: EncounterEvent) -> Encounter | None:
    """The stay that an event names by visit number or account; one that names neither is about the latest.

    A change between in- and outpatient may close one account and open another (MRG-3 and PID-18): it is one stay.
    """
    stays = Encounter.objects.filter(record=row).exclude(state=CANCELLED).order_by("-id")
    number, account, prior = event.visit.visit_number, event.account, event.prior_account
    if number:
        found = stays.filter(number=number.value).first()
        if found is None and account:  # told by its account alone before
            found = _latest(stays.filter(account=account.value, number=""))
    else:
        found = _latest(stays.filter(account=account.value) if account else stays)
    return found or (_latest(stays.filter(account=prior.value)) if prior else None)


def _latest(stays: QuerySet[Encounter]) -> Encounter | None:
    """The stay that an event without its number is about: the open one, else the planned, else the one closed last."""
    by_state: dict[str, Encounter] = {}
    for stay in stays:
        by_state.setdefault(stay.state, stay)
    return by_state.get(OPEN) or by_state.get(PLANNED) or by_state.get(CLOSED)


def _insert(row: LocalIdentifier, event: EncounterEvent, facility_code: str) -> tuple[str, ...]:
    rule = RULES[event.kind]
    stay = _stay(row, event)
    if stay is not None and _is_past(stay, event):
        _write_movement(stay, event, facility_code, {}, historic=True)
        return ()
    if event.kind is EncounterKind.ADMIT:
        _refuse_second_admission(row)
    if stay is None or (stay.state == CLOSED and rule.begins):
        if not (rule.begins or rule.supposes):
            return ("The patient has no such stay; the event was discarded.",)
        stay = Encounter(record=row, state="", changed_at=timezone.now())
    elif stay.state not in rule.states:
        return ("The event does not fit the state of the stay; it was discarded.",)
    before = _snapshot(stay)
    _apply(stay, event, rule)
    if event.kind is not EncounterKind.UPDATE_PATIENT:
        _write_movement(stay, event, facility_code, before)
    return ()


def _is_past(stay: Encounter, event: EncounterEvent) -> bool:
    """Whether the sender says (ZBE-5) that the movement lies behind the current one, and its time does not deny it."""
    movement = event.movement
    if movement is None or not movement.historic:
        return False
    current = _current(stay)
    if current is None:
        return False
    told, present = read_ts(movement.starts_at), read_ts(current.starts_at)
    return told is None or present is None or told < present


def _write_movement(
    stay: Encounter, event: EncounterEvent, facility_code: str, before: dict[str, Any], *, historic: bool = False
) -> None:
    movement = event.movement
    Movement.objects.create(
        encounter=stay,
        kind=event.kind.name,
        number=movement.identifiers[0].value if movement else "",
        number_authority=authority_text(movement.identifiers[0]) if movement else "",
        starts_at=((movement.starts_at if movement else "") or event.occurred_at or event.planned_at)[:26],
        ends_at=(movement.ends_at if movement else "")[:26],
        ward=(movement.responsible_ward if movement else "")[:80],
        nursing_ward=(movement.nursing_ward if movement else "")[:80],
        historic=historic,
        visit=write_visit(event.visit),
        before=before,
        facility_code=facility_code,
        message_id=event.message_id[:199],
        at=timezone.now(),
    )


def _current(stay: Encounter) -> Movement | None:
    """The current movement: the newest in force that is not of the past."""
    return stay.movements.filter(cancelled=False, historic=False).order_by("-id").first()


def _refuse_second_admission(row: LocalIdentifier) -> None:
    """A01 while the patient is admitted is discarded with an error (3.31.7.1)."""
    if Encounter.objects.filter(record=row, state=OPEN, patient_class=INPATIENT).exists():
        raise ExchangeError(
            Reason.DUPLICATE_KEY,
            "The patient is admitted already; send the discharge or its correction first.",
            "visit",
        )


def _cancel(row: LocalIdentifier, event: EncounterEvent) -> tuple[str, ...]:
    """Take back the current movement, if it is the one that the event cancels."""
    stay = _stay(row, event)
    current = _current(stay) if stay else None
    if stay is None or current is None or not _is_cancelled_by(current, event):
        return ("There is no such current movement; the cancellation was discarded.",)
    current.cancelled = True
    current.save(update_fields=["cancelled"])
    first = not current.before.get("state")
    _restore(stay, {"state": CANCELLED} if first else current.before)
    _overwrite(stay, _after_cancellation(event))
    return ()


def _after_cancellation(event: EncounterEvent) -> dict[str, Any]:
    """Where the patient is after a cancellation (PV1-3, PV1-11), and whose it is (PV1-7 of A55: 3.31.7.20.4)."""
    told = Visit(location=event.visit.location, temporary_location=event.visit.temporary_location)
    if event.kind is EncounterKind.CHANGE_DOCTOR:
        told = replace(told, attending=event.visit.attending)
    return write_visit(told)


def _is_cancelled_by(current: Movement, event: EncounterEvent) -> bool:
    if event.movement and current.number and current.number != event.movement.identifiers[0].value:
        return False
    return current.kind in _SAME_CANCELLATION.get(event.kind, {event.kind.name})


def _correct(event: EncounterEvent) -> tuple[str, ...]:
    """Z99 UPDATE: correct a movement, the current one or one before it (3.31.5.6)."""
    movement = event.movement
    assert movement is not None
    identifier = movement.identifiers[0]
    rows = Movement.objects.filter(number=identifier.value, cancelled=False).select_related("encounter")
    known = rows.filter(number_authority=authority_text(identifier)).order_by("-id").first()
    if known is None or not _is_of(known.encounter, event):
        detail = "The movement is not known here; send it as it happened first."
        raise ExchangeError(Reason.UNKNOWN_KEY, detail, "movement")
    told = write_visit(event.visit)
    later = known.encounter.movements.filter(cancelled=False, historic=False, id__gt=known.pk).order_by("id")
    changed = {name: value for name, value in told.items() if value != known.visit.get(name)} if later else dict(told)
    time = _TIME_OF.get(known.kind)
    if time:
        changed[time] = (told.get(time) or movement.starts_at)[:26]
    known.starts_at, known.ends_at = movement.starts_at[:26], movement.ends_at[:26]
    known.ward, known.nursing_ward = movement.responsible_ward[:80], movement.nursing_ward[:80]
    known.visit = {**known.visit, **told}
    known.save()
    if not known.historic:
        _carry_on(known.encounter, later, changed)
    return ()


def _carry_on(stay: Encounter, later: Iterable[Movement], changed: dict[str, Any]) -> None:
    """Correct what followed a corrected movement, as far as no later movement has told it anew."""
    for movement in later:
        before = {"visit": {}, **movement.before}
        movement.before = {**before, **_columns(changed), "visit": {**before["visit"], **changed}}
        movement.save(update_fields=["before"])
        changed = {n: value for n, value in changed.items() if n not in movement.visit or n in _TIME_OF.values()}
    _overwrite(stay, changed)


def _is_of(stay: Encounter, event: EncounterEvent) -> bool:
    """Whether the stay is of a patient of the event: movement ids are unique in a facility only."""
    row = _chart(event.identifiers, stay.record.facility_code)
    return row is not None and row.pk == stay.record_id


# --- the stay


_KEPT = (
    "state",
    "patient_class",
    "ward",
    "room",
    "bed",
    "place",
    "hospital_service",
    "visit",
    "admitted_at",
    "discharged_at",
)


def _snapshot(stay: Encounter) -> dict[str, Any]:
    return {name: getattr(stay, name) for name in _KEPT} if stay.pk else {}


def _restore(stay: Encounter, before: dict[str, Any]) -> None:
    for name, value in before.items():
        setattr(stay, name, value)


def _apply(stay: Encounter, event: EncounterEvent, rule: Rule) -> None:
    """Make the stay what the event says: what PV1 does not tell stays, what it deletes goes."""
    visit = event.visit
    stay.state = rule.after or stay.state
    if visit.visit_number:
        stay.number, stay.number_authority = visit.visit_number.value, authority_text(visit.visit_number)
    if event.account:
        stay.account, stay.account_authority = event.account.value, authority_text(event.account)
    left = {*_LEFT.get(event.kind, ()), *visit.cleared}
    for column in (column for name in visit.cleared for column in _COLUMNS.get(name, ())):
        setattr(stay, column, "")
    stay.visit = {name: value for name, value in stay.visit.items() if name not in left}
    _overwrite(stay, {**write_visit(visit), **_times(stay, event, rule)})


_COLUMNS = {
    "location": ("ward", "room", "bed", "place"),
    "hospital_service": ("hospital_service",),
    "admitted_at": ("admitted_at",),
    "discharged_at": ("discharged_at",),
}


def _times(stay: Encounter, event: EncounterEvent, rule: Rule) -> dict[str, str]:
    """When the stay began and ended: PV1-44 and PV1-45 wherever they come, else the time of the event that did it."""
    visit, occurred = event.visit, event.occurred_at[:26]
    arrives = rule.after == OPEN and event.kind is not EncounterKind.TRANSFER
    admitted = visit.admitted_at[:26] or stay.admitted_at or (occurred if arrives else "")
    discharged = stay.discharged_at
    if stay.state == CLOSED:
        discharged = visit.discharged_at[:26] or (occurred if rule.after == CLOSED else discharged)
    times = {"admitted_at": admitted, "discharged_at": discharged}
    return {name: time for name, time in times.items() if time}


def _overwrite(stay: Encounter, told: dict[str, Any]) -> None:
    """Save a stay with what was told of it (``write_visit``); the rest stays."""
    for name, value in _columns(told).items():
        setattr(stay, name, value)
    stay.visit = {**stay.visit, **told}
    stay.changed_at = timezone.now()
    stay.save()
    _write_doctors(stay)


def _columns(told: dict[str, Any]) -> dict[str, str]:
    """The columns of a stay that can be asked for, as far as they were told."""
    visit = read_visit(told)
    columns = {
        "patient_class": visit.patient_class[:4],
        "hospital_service": visit.hospital_service[:80],
        "admitted_at": visit.admitted_at[:26],
        "discharged_at": visit.discharged_at[:26],
    }
    columns = {name: value for name, value in columns.items() if value}
    if visit.location:
        at = visit.location
        columns |= {"ward": at.ward[:80], "room": at.room[:80], "bed": at.bed[:80], "place": at.facility[:80]}
    return columns


def _write_doctors(stay: Encounter) -> None:
    stay.doctors.all().delete()
    EncounterDoctor.objects.bulk_create(
        EncounterDoctor(
            encounter=stay,
            role=role,
            code=each["id"][:80],
            family=spelled(each["family"])[:255],
            given=spelled(each["given"])[:255],
        )
        for role in ROLES
        for each in stay.visit.get(role, ())
    )
