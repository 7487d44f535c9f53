"""Stays told by ITI-31: what each movement does, what is discarded, what is refused, and how ITI-22 finds them."""

from __future__ import annotations

import itertools

import pytest

from apps.pix import services
from apps.pix.models import Encounter, LocalIdentifier
from apps.pix.services.visits import read_visit, write_visit
from hie.values.access import Access, Caller, Decision, Node, Permit
from hie.values.demographics_queries import (
    DemographicsQuery,
    EncounterEvent,
    EncounterKind,
    Location,
    Movement,
    MovementAction,
    Practitioner,
    PractitionerCriterion,
    TextCriterion,
    Visit,
    VisitCriteria,
)
from hie.values.errors import ExchangeError, Reason
from hie.values.identifiers import AssigningAuthority, Identifier
from hie.values.patients import FeedOutcome
from hie.values.people import Demographics
from tests.apps.pix.told import CLINIC, HOSPITAL, OIDS, chart, merge, somebody, tell

pytestmark = pytest.mark.usefixtures("facilities")

K, INSERT, UPDATE, CANCEL = EncounterKind, MovementAction.INSERT, MovementAction.UPDATE, MovementAction.CANCEL
_numbers = itertools.count(1)


def said(
    kind: EncounterKind,
    action: MovementAction = INSERT,
    *,
    patient: str = "1",
    number: str = "V1",
    ward: str = "",
    patient_class: str = "I",
    at: str = "20260401100000",
    message_id: str = "",
    account: str = "",
    movement: Movement | None = None,
    told: Demographics | None = None,
    **more: object,
) -> FeedOutcome:
    visit = Visit(
        patient_class=patient_class,
        location=Location(ward=ward),
        visit_number=Identifier(number, AssigningAuthority("1.2.3")) if number else None,
        **more,  # type: ignore[arg-type]
    )
    event = EncounterEvent(
        kind=kind,
        action=action,
        trigger=f"ADT^{kind.value}",
        message_id=message_id or f"E{next(_numbers)}",
        identifiers=(chart(HOSPITAL, patient),),
        demographics=somebody() if told is None else told,
        visit=visit,
        account=Identifier(account) if account else None,
        movement=movement,
        occurred_at=at,
    )
    return services.tell_encounter(event, HOSPITAL)


def stays() -> list[tuple[str, str]]:
    """(state, ward) of every stay, oldest first."""
    return list(Encounter.objects.order_by("id").values_list("state", "ward"))


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ([(K.ADMIT, INSERT, "A")], [("open", "A")]),
        ([(K.REGISTER, INSERT, "A")], [("open", "A")]),
        ([(K.PREADMIT, INSERT, "A")], [("planned", "A")]),
        ([(K.PREADMIT, INSERT, "A"), (K.ADMIT, INSERT, "B")], [("open", "B")]),
        ([(K.PENDING_ADMIT, INSERT, ""), (K.PENDING_ADMIT, CANCEL, "")], [("cancelled", "")]),
        ([(K.ADMIT, INSERT, "A"), (K.TRANSFER, INSERT, "B")], [("open", "B")]),
        ([(K.ADMIT, INSERT, "A"), (K.TRANSFER, INSERT, "B"), (K.TRANSFER, CANCEL, "")], [("open", "A")]),
        ([(K.ADMIT, INSERT, "A"), (K.DISCHARGE, INSERT, "")], [("closed", "A")]),
        ([(K.ADMIT, INSERT, "A"), (K.DISCHARGE, INSERT, ""), (K.DISCHARGE, CANCEL, "C")], [("open", "C")]),
        ([(K.ADMIT, INSERT, "A"), (K.ADMIT, CANCEL, "")], [("cancelled", "A")]),
        ([(K.REGISTER, INSERT, "A"), (K.ADMIT, CANCEL, "")], [("cancelled", "A")]),
        ([(K.ADMIT, INSERT, "A"), (K.REGISTER, INSERT, "B")], [("open", "B")]),
        ([(K.REGISTER, INSERT, "A"), (K.TO_INPATIENT, INSERT, "B")], [("open", "B")]),
        # what does not fit is discarded without an error
        ([(K.ADMIT, CANCEL, "")], []),
        ([(K.DISCHARGE, CANCEL, "")], []),
        ([(K.TRANSFER, INSERT, "B")], []),
        ([(K.DISCHARGE, INSERT, "")], []),
        ([(K.ADMIT, INSERT, "A"), (K.DISCHARGE, CANCEL, "")], [("open", "A")]),
        ([(K.ADMIT, INSERT, "A"), (K.DISCHARGE, INSERT, ""), (K.TRANSFER, INSERT, "B")], [("closed", "A")]),
        # only the current movement can be cancelled
        ([(K.ADMIT, INSERT, "A"), (K.TRANSFER, INSERT, "B"), (K.ADMIT, CANCEL, "")], [("open", "B")]),
    ],
)
def test_what_movements_make_of_a_stay(
    told: list[tuple[EncounterKind, MovementAction, str]], expected: list[tuple[str, str]]
) -> None:
    for kind, action, ward in told:
        said(kind, action, ward=ward)
    assert stays() == expected


def test_an_admission_while_another_is_open_is_refused_and_changes_nothing() -> None:
    said(K.ADMIT, ward="A")
    with pytest.raises(ExchangeError) as refusal:
        said(K.ADMIT, number="V2", ward="B", told=somebody("別 人"))
    assert (refusal.value.reason, refusal.value.findings[0].location) == (Reason.DUPLICATE_KEY, "visit")
    assert stays() == [("open", "A")]
    assert LocalIdentifier.objects.get().ideographic_family == "山田"


def test_an_outpatient_visit_beside_an_admission_is_recorded() -> None:
    said(K.ADMIT, ward="A")
    said(K.REGISTER, number="V2", ward="O", patient_class="O")
    assert stays() == [("open", "A"), ("open", "O")]


def test_the_same_message_again_does_nothing() -> None:
    said(K.ADMIT, message_id="X")
    assert said(K.ADMIT, message_id="X").repeated
    said(K.TRANSFER, ward="B")
    said(K.TRANSFER, ward="C")
    said(K.TRANSFER, CANCEL, message_id="Y")
    assert said(K.TRANSFER, CANCEL, message_id="Y").repeated
    assert stays() == [("open", "B")]


def test_who_is_told_of_becomes_known_but_not_by_a_cancellation() -> None:
    assert said(K.ADMIT).regional_id
    said(K.ADMIT, CANCEL, patient="2")
    assert list(LocalIdentifier.objects.values_list("value", flat=True)) == ["1"]


def test_a_message_without_visit_and_account_is_an_identity_feed() -> None:
    said(K.ADMIT, number="")
    said(K.ADMIT, number="")
    assert stays() == []
    assert LocalIdentifier.objects.count() == 1


def historic(number: str, action: MovementAction) -> Movement:
    return Movement((Identifier(number),), starts_at="20260401", action=action, historic=True, original_trigger="A02")


def test_a_historic_movement_is_corrected_and_an_unknown_one_refused() -> None:
    said(K.ADMIT, ward="A", movement=historic("M1", INSERT))
    said(K.TRANSFER, ward="B", movement=historic("M2", INSERT))
    said(K.ADMIT, UPDATE, ward="Z", movement=historic("M1", UPDATE))
    assert stays() == [("open", "B")]
    said(K.TRANSFER, UPDATE, ward="Y", movement=historic("M2", UPDATE))
    assert stays() == [("open", "Y")]
    for number, patient in (("M9", "1"), ("M2", "2")):
        with pytest.raises(ExchangeError) as refusal:
            said(K.TRANSFER, UPDATE, patient=patient, ward="X", movement=historic(number, UPDATE))
        assert (refusal.value.reason, refusal.value.findings[0].location) == (Reason.UNKNOWN_KEY, "movement")


def test_a_movement_is_cancelled_by_its_number() -> None:
    said(K.ADMIT, ward="A", movement=historic("M1", INSERT))
    said(K.TRANSFER, ward="B", movement=historic("M2", INSERT))
    said(K.TRANSFER, CANCEL, movement=historic("M1", CANCEL))
    assert stays() == [("open", "B")]
    said(K.TRANSFER, CANCEL, movement=historic("M2", CANCEL))
    assert stays() == [("open", "A")]


def test_stays_follow_a_merge_and_an_account() -> None:
    said(K.ADMIT, patient="1", account="A1")
    said(K.REGISTER, patient="2", number="V2", told=somebody("鈴木 花", "スズキ ハナ"))
    event = EncounterEvent(
        K.MOVE_ACCOUNT, INSERT, "ADT^A44", "E", (chart(HOSPITAL, "2"),),
        account=Identifier("A1"), prior_identifiers=(chart(HOSPITAL, "1"),), prior_account=Identifier("A1"),
    )  # fmt: skip
    services.tell_encounter(event, HOSPITAL)
    assert set(Encounter.objects.values_list("record__value", flat=True)) == {"2"}
    tell(HOSPITAL, "3")
    merge(HOSPITAL, subsumed="2", surviving="3", pam=True)
    assert set(Encounter.objects.values_list("record__value", flat=True)) == {"3"}


def test_a_visit_is_kept_whole() -> None:
    doctor = Practitioner("D1", "佐藤", "一", AssigningAuthority("1.2", "NS"))
    visit = Visit("I", Location("W", "R", "B", "F"), "E", Identifier("P", AssigningAuthority("1")), attending=(doctor,))
    assert read_visit(write_visit(visit)) == visit
    assert read_visit(write_visit(Visit())) == Visit()


# --- ITI-22


def criterion(text: str) -> TextCriterion:
    return TextCriterion.with_wildcards(text)


@pytest.mark.parametrize(
    ("visit", "found"),
    [
        (VisitCriteria(), ["V1", "V2"]),
        (VisitCriteria(patient_class="I"), ["V1"]),
        (VisitCriteria(patient_class="E"), []),
        (VisitCriteria(ward=criterion("W1")), ["V1"]),
        (VisitCriteria(ward=criterion("W*")), ["V1", "V2"]),
        (VisitCriteria(visit_number=Identifier("V2")), ["V2"]),
        (VisitCriteria(visit_number=Identifier("V2", AssigningAuthority("9.9"))), []),
        (VisitCriteria(attending=PractitionerCriterion(id=criterion("D1"))), ["V1"]),
        (VisitCriteria(attending=PractitionerCriterion(family=criterion("さと*"))), ["V2"]),
        (VisitCriteria(referring=PractitionerCriterion(id=criterion("D1"))), []),
        (VisitCriteria(hospital_service=criterion("01")), ["V1"]),
        (VisitCriteria(patient_class="I", ward=criterion("W2")), []),
    ],
)
def test_visits_are_found(visit: VisitCriteria, found: list[str]) -> None:
    said(K.ADMIT, ward="W1", hospital_service="01", attending=(Practitioner("D1", "山本"),))
    said(K.REGISTER, patient="2", number="V2", ward="W2", patient_class="O", told=somebody("鈴木 花", "スズキ ハナ"),
         attending=(Practitioner("D2", "サトウ"),))  # fmt: skip
    said(K.REGISTER, patient="3", number="V3", told=somebody("森 空", "モリ ソラ"))
    said(K.ADMIT, CANCEL, patient="3", number="V3")
    query = DemographicsQuery("Q", visit=visit)
    subjects = tuple(each.regional_id for each in services.subjects_of_search(query))
    open_permit = Permit(
        Caller(Node("n", CLINIC)), Access.IDENTIFY, subjects, dict.fromkeys(subjects, Decision(default=True))
    )
    matches = services.find_patients(query, open_permit).matches
    told = [each.visit_number.value for match in matches for each in match.visits if each.visit_number]
    assert sorted(told) == found
    assert OIDS[HOSPITAL] in {each.oid for match in matches for each in match.identifiers} or not found
    hidden = Permit(Caller(Node("n", CLINIC)), Access.IDENTIFY, subjects)
    assert services.find_patients(query, hidden).matches == ()
