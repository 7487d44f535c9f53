"""My Number and resident codes are refused wherever patients are told of or asked for, and nothing of them is kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from apps.pix import queries, services
from apps.pix.models import LinkEvent, LocalIdentifier, ReviewCase
from apps.xds.services.judging import national_numbers
from hie.values.demographics_queries import (
    AddressCriterion,
    DemographicsQuery,
    EncounterEvent,
    EncounterKind,
    MovementAction,
    NameCriterion,
    TextCriterion,
    Visit,
    VisitCriteria,
)
from hie.values.errors import ExchangeError, Reason
from hie.values.identifiers import AssigningAuthority, Identifier
from hie.values.patients import CrossReferenceQuery
from hie.values.people import Address, Insurance
from hie.wire.hl7v2 import patient_feed as v2
from hie.wire.hl7v2.message import Message
from hie.wire.hl7v2.writer import Parties
from hie.wire.hl7v3 import patient_feed as v3
from hie.wire.hl7v3.wrapper import Devices
from tests.apps.pix.told import CLINIC, HOSPITAL, chart, message, somebody, tell
from tests.apps.xds.samples import entry, folder, submission
from tests.wire.hl7v3.messages import sent

pytestmark = pytest.mark.usefixtures("facilities")
MY_NUMBER, RESIDENT_CODE = "マイナンバー 9832-0567-3214", "住民票コード 24727059608"


def refused(verb) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ExchangeError) as error:
        verb()
    assert error.value.reason is Reason.NATIONAL_NUMBER
    assert "9832" not in str(error.value)
    assert "2472" not in str(error.value)
    assert not LocalIdentifier.objects.exists()


@pytest.mark.parametrize("number", [MY_NUMBER, RESIDENT_CODE])
def test_feeds_of_both_dialects(number: str) -> None:
    told = somebody(addresses=(Address(text=number),))
    feed = message(HOSPITAL, "1", told=told)
    by_v2 = v2.read_request(Message.read(v2.write_request(feed, Parties("A", "B", "C", "D"))))
    by_v3 = v3.read_request(sent(v3.write_request(feed, Devices("1.2.3.1", "1.2.3.2"))))
    for each in (by_v2, by_v3):
        refused(lambda each=each: services.feed(each, HOSPITAL))


@pytest.mark.parametrize("field", ["symbol", "number"])
def test_an_insurance(field: str) -> None:
    insurance = replace(Insurance("06139463", "1", "2"), **{field: "個人番号 983205673214"})
    refused(lambda: tell(HOSPITAL, "1", told=replace(somebody(), insurances=(insurance,))))


def test_an_identifier_that_says_what_it_is() -> None:
    number = Identifier("983205673214", AssigningAuthority(namespace="NNJPN"))
    refused(lambda: tell(HOSPITAL, "1", identifiers=(chart(HOSPITAL, "1"), number)))


@pytest.mark.parametrize("place", ["account", "visit"])
def test_an_encounter(place: str) -> None:
    number = Identifier("983205673214", AssigningAuthority(namespace="NNJPN"))
    visit = Visit("I", visit_number=number if place == "visit" else None)
    event = EncounterEvent(
        EncounterKind.ADMIT,
        MovementAction.INSERT,
        "ADT^A01",
        "M1",
        (chart(HOSPITAL, "1"),),
        demographics=somebody(),
        visit=visit,
        account=number if place == "account" else None,
    )
    refused(lambda: services.tell_encounter(event, HOSPITAL))


def test_notes_and_reasons_of_clerks(client: Client) -> None:
    client.force_login(User.objects.create_superuser("operator", "", "a long password"))
    tell(HOSPITAL, "1")
    tell(CLINIC, "2", told=somebody("山田 健壱", telephones=("03-9999-1111",)))
    case = ReviewCase.objects.get()
    url = reverse("admin:pix_reviewcase_decide", args=[case.pk])
    assert client.post(url, {"verb": "note", "note": MY_NUMBER}).status_code == 422
    case.refresh_from_db()
    assert case.note == ""
    row = LocalIdentifier.objects.order_by("pk")[0]
    url = reverse("admin:pix_person_undo_link", args=[row.person_id])
    assert client.post(url, {"chart": row.pk, "reason": MY_NUMBER}).status_code == 422
    assert LinkEvent.objects.filter(kind=LinkEvent.Kind.UNLINKED).count() == 0


def test_what_a_document_says_of_its_patient(facilities: None) -> None:
    clean = entry("R1")
    assert national_numbers(submission("R1", clean)) == []
    for changes in (
        {"source_patient_info": (f"PID-11|^^^^^^^{MY_NUMBER}",)},
        {"title": RESIDENT_CODE},
        {"comments": MY_NUMBER},
        {"source_patient_info": ("PID-3|983205673214^^^NNJPN",)},
    ):
        found = national_numbers(submission("R1", entry("R1", **changes)))
        assert [each.reason for each in found] == [Reason.NATIONAL_NUMBER]
        assert "9832" not in found[0].detail + found[0].location


def test_what_a_set_and_a_folder_say(facilities: None) -> None:
    told = submission("R1", entry("R1"), folders=(folder("R1", title=MY_NUMBER),))
    told = replace(told, submission_sets=tuple(replace(each, comments=RESIDENT_CODE) for each in told.submission_sets))
    places = [each.location.partition(": ")[2] for each in national_numbers(told)]
    assert places == ["title", "comments"]


@pytest.mark.parametrize(
    "asked",
    [
        {"identifiers": ((Identifier("983205673214", AssigningAuthority(namespace="NNJPN")),),)},
        {"accounts": ((Identifier("983205673214", AssigningAuthority(namespace="NNJPN")),),)},
        {"names": ((NameCriterion(given=TextCriterion("983205673214")), NameCriterion(TextCriterion(MY_NUMBER))),)},
        {"addresses": ((AddressCriterion(text=TextCriterion(RESIDENT_CODE)),),)},
        {"visit": VisitCriteria(visit_number=Identifier("983205673214", AssigningAuthority(namespace="NNJPN")))},
    ],
)
def test_a_question_about_people(facilities: None, asked: dict[str, Any]) -> None:
    refused(lambda: services.search(DemographicsQuery("Q", **asked)))
    refused(lambda: services.subjects_of_search(DemographicsQuery("Q", **asked)))


def test_a_question_by_number(facilities: None) -> None:
    number = Identifier("983205673214", AssigningAuthority(namespace="NNJPN"))
    refused(lambda: queries.with_person(CrossReferenceQuery("Q", number)))
    refused(lambda: queries.subject_of(number))
