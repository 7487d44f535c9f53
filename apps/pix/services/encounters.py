"""Stays that facilities tell of (ITI TF-2: 3.31): a stay is what its movements in force have made of it.

``RULES`` has a row for each kind of movement: in which states of the stay it can happen, and which state follows. What
does not fit the situation is discarded without an error (3.31.7, expected actions), with a warning in the
outcome; two things are refused: an admission while another is open, and a historic movement that nobody
knows. Only the current movement can be cancelled; the stay then is what it was before it.

A message is also an identity feed: who is told of becomes known, or is updated, as by ITI-30. A message without visit
number and account is nothing but that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from django.db import transaction
from django.utils import timezone

from apps.ids.rules import field_and_value, refuse_national_numbers
from apps.network import queries as network
from apps.pix.models import Encounter, EncounterDoctor, LocalIdentifier, Movement
from apps.pix.queries.cross_references import find_authority
from apps.pix.queries.people import authority_text
from apps.pix.queries.spelling import spelled
from apps.pix.services import feeding
from apps.pix.services.visits import ROLES, write_visit
from hie.values.demographics_queries import EncounterEvent, EncounterKind, MovementAction, Visit
from hie.values.errors import ExchangeError, Reason
from hie.values.identifiers import Identifier
from hie.values.patients import FeedEvent, FeedOutcome, PatientFeed

PLANNED, OPEN, CLOSED, CANCELLED = (Encounter.State(each) for each in ("planned", "open", "closed", "cancelled"))
INPATIENT = "I"


@dataclass(frozen=True, slots=True)
class Rule:
    """When a movement can happen and what follows. begins: it may begin a stay. after: "" leaves the state."""

    states: frozenset[str]
    after: str = ""
    begins: bool = False


_STAYING = frozenset({OPEN})
_EXPECTED = frozenset({OPEN, PLANNED})

RULES = {
    EncounterKind.ADMIT: Rule(_EXPECTED, OPEN, begins=True),
    EncounterKind.REGISTER: Rule(_EXPECTED, OPEN, begins=True),
    EncounterKind.PREADMIT: Rule(frozenset({PLANNED}), PLANNED, begins=True),
    EncounterKind.PENDING_ADMIT: Rule(frozenset({PLANNED}), PLANNED, begins=True),
    EncounterKind.TO_INPATIENT: Rule(_EXPECTED, OPEN, begins=True),
    EncounterKind.TO_OUTPATIENT: Rule(_STAYING, OPEN),
    EncounterKind.TRANSFER: Rule(_STAYING),
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


def tell_encounter(event: EncounterEvent, facility_code: str, *, sender: str = "") -> FeedOutcome:
    """Carry out one event of a stay, once; what it came to as an identity feed.

    Raises ExchangeError: as ``services.feed``; DUPLICATE_KEY at ``visit`` for an admission while another is open;
    UNKNOWN_KEY at ``movement`` for a historic movement that is not known.
    """
    refuse_national_numbers(_numbers(event))
    with transaction.atomic():
        if event.kind in (EncounterKind.MERGE_PATIENTS, EncounterKind.MOVE_ACCOUNT):
            return _move(event, facility_code, sender)
        outcome = _identity(event, facility_code, sender)
        if outcome.repeated:
            return outcome
        row = _chart(event.identifiers, facility_code)
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
    if event.action is MovementAction.INSERT:
        return feeding.feed(feed, facility_code, sender=sender)
    content = repr((event.trigger, event.identifiers, event.visit, event.account, event.movement, event.occurred_at))
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
        Encounter.objects.filter(record=source, account=account.value).update(record=target)
    return FeedOutcome(event.identifiers, event.prior_identifiers)


# --- movements


def _stay(row: LocalIdentifier, event: EncounterEvent) -> Encounter | None:
    """The stay that an event names by visit number or account; one that names neither is about the open one."""
    stays = Encounter.objects.filter(record=row).exclude(state=CANCELLED).order_by("-id")
    number, account = event.visit.visit_number, event.account
    if number:
        return stays.filter(number=number.value).first()
    if account:
        return stays.filter(account=account.value, state__in=(OPEN, PLANNED)).first()
    return stays.filter(state=OPEN).first()


def _insert(row: LocalIdentifier, event: EncounterEvent, facility_code: str) -> tuple[str, ...]:
    rule = RULES[event.kind]
    stay = _stay(row, event)
    if event.kind is EncounterKind.ADMIT:
        _refuse_second_admission(row)
    if stay is None or (stay.state == CLOSED and rule.begins):
        if not rule.begins:
            return ("The patient has no such stay; the event was discarded.",)
        stay = Encounter(record=row, state="", changed_at=timezone.now())
    elif stay.state not in rule.states:
        return ("The event does not fit the state of the stay; it was discarded.",)
    before = _snapshot(stay)
    _apply(stay, event, rule)
    if event.kind is not EncounterKind.UPDATE_PATIENT:
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
            visit=write_visit(event.visit),
            before=before,
            facility_code=facility_code,
            message_id=event.message_id[:199],
            at=timezone.now(),
        )
    return ()


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
    current = stay.movements.filter(cancelled=False).order_by("-id").first() if stay else None
    if stay is None or current is None or not _is_cancelled_by(current, event):
        return ("There is no such current movement; the cancellation was discarded.",)
    current.cancelled = True
    current.save(update_fields=["cancelled"])
    first = not current.before.get("state")
    _restore(stay, {"state": CANCELLED} if first else current.before)
    if event.visit.location:  # where the patient is after the cancellation
        _locate(stay, replace(event.visit, patient_class=""))
    stay.save()
    return ()


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
    known.starts_at, known.ends_at = movement.starts_at[:26], movement.ends_at[:26]
    known.ward, known.nursing_ward = movement.responsible_ward[:80], movement.nursing_ward[:80]
    known.visit = write_visit(event.visit)
    known.save()
    current = known.encounter.movements.filter(cancelled=False).order_by("-id").first()
    if current == known:
        _apply(known.encounter, event, Rule(frozenset()))
    return ()


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
    stay.changed_at = timezone.now()
    stay.save()
    _write_doctors(stay)


def _apply(stay: Encounter, event: EncounterEvent, rule: Rule) -> None:
    """Make the stay what the event says: what PV1 does not tell stays."""
    visit = event.visit
    stay.state = rule.after or stay.state
    if visit.visit_number:
        stay.number, stay.number_authority = visit.visit_number.value[:64], authority_text(visit.visit_number)
    if event.account:
        stay.account, stay.account_authority = event.account.value[:64], authority_text(event.account)
    _locate(stay, visit)
    occurred = event.occurred_at[:26]
    if rule.after == OPEN and not stay.admitted_at:
        stay.admitted_at = visit.admitted_at[:26] or occurred
    if rule.after == CLOSED:
        stay.discharged_at = visit.discharged_at[:26] or occurred
    times = {"admitted_at": stay.admitted_at, "discharged_at": stay.discharged_at}
    stay.visit = {**stay.visit, **write_visit(visit), **{name: time for name, time in times.items() if time}}
    stay.changed_at = timezone.now()
    stay.save()
    _write_doctors(stay)


def _locate(stay: Encounter, visit: Visit) -> None:
    """The columns that can be asked for."""
    stay.patient_class = visit.patient_class[:4] or stay.patient_class
    stay.hospital_service = visit.hospital_service[:80] or stay.hospital_service
    if visit.location:
        at = visit.location
        stay.ward, stay.room, stay.bed, stay.place = (part[:80] for part in (at.ward, at.room, at.bed, at.facility))
        stay.visit = {**stay.visit, "location": write_visit(Visit(location=at))["location"]}


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
