"""Stays told by ITI-31: what each movement does, what is discarded, what is refused, and how ITI-22 finds them."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from apps.pix import services
from apps.pix.models import Encounter, LocalIdentifier
from apps.pix.services import finding
from apps.pix.services.visits import read_visit, write_visit
from hie.values.access import Access, Caller, Decision, Node, Permit
from hie.values.demographics_queries import (
    DemographicsQuery,
    DemographicsResult,
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
    prior_account: str = "",
    movement: Movement | None = None,
    told: Demographics | None = None,
    **more: object,
) -> FeedOutcome:
    visit = Visit(
        patient_class=patient_class,
        location=Location(ward),
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
        prior_account=Identifier(prior_account) if prior_account else None,
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
        # a transfer or a change to outpatient of a stay that nobody told of begins it (3.31.7.10, 3.31.7.11)
        ([(K.TRANSFER, INSERT, "B")], [("open", "B")]),
        ([(K.TO_OUTPATIENT, INSERT, "B")], [("open", "B")]),
        ([(K.PREADMIT, INSERT, "A"), (K.TRANSFER, INSERT, "B")], [("open", "B")]),
        # what does not fit is discarded without an error
        ([(K.ADMIT, CANCEL, "")], []),
        ([(K.DISCHARGE, CANCEL, "")], []),
        ([(K.LEAVE, INSERT, "B")], []),
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


def test_a_message_id_that_comes_again_with_another_movement_is_another_message() -> None:
    said(K.ADMIT, ward="A", message_id="1")
    said(K.TRANSFER, ward="B", message_id="2")
    assert not said(K.TRANSFER, ward="C", message_id="2").repeated
    assert stays() == [("open", "C")]


def test_who_is_told_of_becomes_known_but_not_by_a_cancellation() -> None:
    assert said(K.ADMIT).regional_id
    said(K.ADMIT, CANCEL, patient="2")
    assert list(LocalIdentifier.objects.values_list("value", flat=True)) == ["1"]


def test_a_message_without_visit_and_account_is_an_identity_feed() -> None:
    said(K.ADMIT, number="")
    said(K.ADMIT, number="")
    assert stays() == []
    assert LocalIdentifier.objects.count() == 1


def stay() -> Encounter:
    return Encounter.objects.get()


@pytest.mark.parametrize("kind", [K.TO_INPATIENT, K.TO_OUTPATIENT])
def test_a_change_of_class_may_change_the_account_of_the_stay(kind: EncounterKind) -> None:
    said(K.REGISTER, number="", account="OLD", ward="A", patient_class="O")
    said(kind, number="", account="NEW", prior_account="OLD", ward="B", patient_class="I")
    assert (stay().account, stay().ward, stay().patient_class) == ("NEW", "B", "I")
    said(K.DISCHARGE, number="", account="NEW")
    assert stays() == [("closed", "B")]


def test_a_stay_that_was_told_by_account_gets_its_number_later() -> None:
    said(K.PREADMIT, number="", account="A1", ward="A")
    said(K.ADMIT, number="V1", account="A1", ward="B")
    said(K.REGISTER, number="V2", account="A1", ward="C", patient_class="O")  # an account may have several
    assert (stays(), list(Encounter.objects.order_by("id").values_list("number", flat=True))) == (
        [("open", "B"), ("open", "C")],
        ["V1", "V2"],
    )


def test_a_discharge_that_is_named_by_account_alone_is_taken_back() -> None:
    said(K.ADMIT, number="", account="A1", ward="A")
    said(K.DISCHARGE, number="", account="A1")
    said(K.DISCHARGE, CANCEL, number="", account="A1", ward="A")
    assert stays() == [("open", "A")]


def test_a_cancellation_that_names_no_stay_is_about_the_latest() -> None:
    said(K.ADMIT, ward="A")
    said(K.DISCHARGE)
    said(K.DISCHARGE, CANCEL, number="")
    assert stays() == [("open", "A")]


def test_times_in_pv1_are_those_of_the_stay_whenever_they_come() -> None:
    said(K.ADMIT, ward="A")
    assert stay().admitted_at == "20260401100000"
    said(K.TRANSFER, ward="B", at="20260402100000", admitted_at="20260331090000")
    assert (stay().admitted_at, read_visit(stay().visit).admitted_at) == ("20260331090000",) * 2
    said(K.DISCHARGE, at="20260405100000")
    assert stay().discharged_at == "20260405100000"


def test_a_transfer_that_begins_a_stay_does_not_say_when_it_began() -> None:
    said(K.TRANSFER, ward="B")
    assert stay().admitted_at == ""


def test_whoever_is_back_on_the_ward_has_left_the_temporary_place() -> None:
    said(K.ADMIT, ward="A")
    said(K.PENDING_TRANSFER, ward="A", pending_location=Location("C"))
    said(K.DEPART, ward="A", temporary_location=Location("EKG"))
    assert read_visit(stay().visit).temporary_location == Location("EKG")
    said(K.ARRIVE, ward="A")
    visit = read_visit(stay().visit)
    assert (visit.temporary_location, visit.pending_location, visit.location) == (Location(), Location(), Location("A"))


def test_a_cancellation_says_where_the_patient_is_and_whose() -> None:
    said(K.ADMIT, ward="A", attending=(Practitioner("D1"),))
    said(K.DEPART, ward="A", temporary_location=Location("EKG"))
    said(K.ARRIVE, ward="A")
    said(K.ARRIVE, CANCEL, temporary_location=Location("XRAY"))
    assert read_visit(stay().visit).temporary_location == Location("XRAY")
    said(K.CHANGE_DOCTOR, attending=(Practitioner("D2"),))
    said(K.CHANGE_DOCTOR, CANCEL, attending=(Practitioner("D3"),))
    assert list(stay().doctors.values_list("code", flat=True)) == ["D3"]


def test_what_pv1_deletes_goes_and_what_it_leaves_empty_stays() -> None:
    said(K.ADMIT, ward="A", hospital_service="01", attending=(Practitioner("D1"),), referring=(Practitioner("D2"),))
    said(K.UPDATE_PATIENT, cleared=("hospital_service", "referring", "location"))
    assert (stay().hospital_service, stay().ward) == ("", "")
    assert list(stay().doctors.values_list("code", flat=True)) == ["D1"]


@pytest.mark.parametrize(
    ("more", "location"),
    [
        ({"number": "9" * 65}, "visit"),
        ({"account": "9" * 65}, "account"),
        ({"movement": Movement((Identifier("9" * 200),), "20260401")}, "movement"),
    ],
)
def test_numbers_that_no_column_takes_are_refused(more: dict[str, Any], location: str) -> None:
    with pytest.raises(ExchangeError) as refusal:
        said(K.ADMIT, **more)
    assert (refusal.value.reason, refusal.value.findings[0].location) == (Reason.WRONG_DATA_TYPE, location)
    assert stays() == []


def moved(number: str, action: MovementAction = INSERT, at: str = "20260401", *, past: bool = False) -> Movement:
    return Movement((Identifier(number),), starts_at=at, action=action, historic=past, original_trigger="A02")


def test_a_movement_of_the_past_that_is_told_late_moves_nobody() -> None:
    said(K.ADMIT, ward="A", movement=moved("M1", at="20260401"))
    said(K.TRANSFER, ward="C", movement=moved("M3", at="20260403"))
    said(K.TRANSFER, ward="B", movement=moved("M2", at="20260402", past=True))
    assert stays() == [("open", "C")]
    assert stay().movements.count() == 3
    said(K.TRANSFER, CANCEL, movement=moved("M2", CANCEL, past=True))
    assert stays() == [("open", "C")]  # only the current one can be cancelled
    said(K.TRANSFER, UPDATE, ward="X", movement=moved("M2", UPDATE, at="20260402", past=True))
    assert stays() == [("open", "C")]
    said(K.TRANSFER, CANCEL, ward="A", movement=moved("M3", CANCEL))
    assert stays() == [("open", "A")]


def test_a_movement_after_the_current_one_is_none_of_the_past_whatever_its_sender_says() -> None:
    said(K.ADMIT, ward="A", movement=moved("M1", at="20260401"))
    said(K.TRANSFER, ward="B", movement=moved("M2", at="20260402", past=True))
    assert stays() == [("open", "B")]


def test_a_correction_reaches_what_nothing_later_told_anew() -> None:
    said(K.ADMIT, ward="A", attending=(Practitioner("D1"),), hospital_service="01", movement=moved("M1"))
    said(K.TRANSFER, ward="B", hospital_service="02", movement=moved("M2", at="20260402"))
    said(
        K.ADMIT, UPDATE, ward="Z", attending=(Practitioner("D9"),), hospital_service="09",
        movement=moved("M1", UPDATE, at="20260330", past=True),
    )  # fmt: skip
    assert (stay().ward, stay().hospital_service, stay().admitted_at) == ("B", "02", "20260330")
    assert list(stay().doctors.values_list("code", flat=True)) == ["D9"]
    said(K.TRANSFER, CANCEL, movement=moved("M2", CANCEL))
    assert (stay().ward, stay().hospital_service, stay().admitted_at) == ("Z", "09", "20260330")


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


def asked_visits(**more: object) -> DemographicsQuery:
    return DemographicsQuery("Q", query_tag="T", visit=VisitCriteria(), **more)  # type: ignore[arg-type]


def find(query: DemographicsQuery) -> DemographicsResult:
    query = services.search(query)
    subjects = tuple(each.regional_id for each in services.subjects_of_search(query))
    decisions = dict.fromkeys(subjects, Decision(default=True))
    return services.find_patients(query, Permit(Caller(Node("n", CLINIC)), Access.IDENTIFY, subjects, decisions))


def test_pages_and_counts_are_of_visits() -> None:
    for number in range(3):
        said(K.REGISTER, number=f"V{number}", patient_class="O")
    said(K.REGISTER, patient="2", number="V9", patient_class="O", told=somebody("鈴木 花", "スズキ ハナ"))
    told = [find(asked_visits(page_size=2))]
    while told[-1].pointer:
        assert told[-1].pointer.isalnum()
        told.append(find(asked_visits(page_size=2, pointer=told[-1].pointer)))
    assert [(len(each.matches), each.total, each.remaining) for each in told] == [(2, 4, 2), (2, 4, 0)]
    visits = [visit.visit_number for each in told for match in each.matches for visit in match.visits]
    assert sorted(each.value for each in visits if each) == ["V0", "V1", "V2", "V9"]


def test_the_cap_is_of_visits_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "MOST_TOLD", 2)
    for number in range(3):
        said(K.REGISTER, number=f"V{number}", patient_class="O")
    result = find(asked_visits())
    assert (len(result.matches), result.total, result.cap) == (2, 2, 2)


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
