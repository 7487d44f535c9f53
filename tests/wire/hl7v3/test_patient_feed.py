"""ITI-44: feeds, merges and their acknowledgement (ITI TF-2: 3.44)."""

from dataclasses import replace

import pytest

from hie.values.errors import ExchangeError, Finding, Reason
from hie.values.identifiers import AssigningAuthority, Identifier
from hie.values.patients import FeedEvent, PatientFeed
from hie.values.people import Address, Demographics, NameParts, PersonName
from hie.wire.hl7v3 import patient_feed
from hie.wire.hl7v3.wrapper import Devices
from tests.wire.hl7v3.messages import at_location, code_at, details, message_of, sample, sent

HOSPITAL = AssigningAuthority("1.2.392.100495.20.3.51.11311234567", "HOSP1")
UUID = "11111111-2222-3333-4444-555555555555"
DEVICES = Devices("1.2.392.200250.9.3.7", "1.2.392.200250.9.2.1", "1.2.392.200250.9.3", "1.2.392.200250.9.2")
REGISTRATION = PatientFeed(
    event=FeedEvent.REGISTER,
    trigger="PRPA_IN201301UV02",
    message_id=UUID,
    identifiers=(Identifier("0000123456", HOSPITAL),),
    demographics=Demographics(
        name=PersonName(NameParts("山田", "太郎"), NameParts("ヤマダ", "タロウ"), NameParts("YAMADA", "TARO")),
        birth_date="19600101",
        sex="M",
        addresses=(
            Address("1000001", "東京都", "千代田区", "千代田1-1", country="JPN"),
            Address("4228033", text="静岡県静岡市登呂１−３−５"),
        ),
        telephones=("03-1234-5678",),
    ),
    occurred_at="20250401100000+0900",
)
MERGE = PatientFeed(
    event=FeedEvent.MERGE,
    trigger="PRPA_IN201304UV02",
    message_id=UUID,
    identifiers=REGISTRATION.identifiers,
    prior_identifiers=(Identifier("0000999999", AssigningAuthority(HOSPITAL.oid)),),
    occurred_at="20250401100000+0900",
)


def test_a_registration():
    assert patient_feed.read_request(sample("ITI-44/register.xml")) == REGISTRATION


@pytest.mark.parametrize(("said", "is_cleared"), [("false", True), ("true", False)])
def test_who_is_said_to_live_is_not_dead(said, is_cleared):
    body = b"".join(patient_feed.write_request(REGISTRATION, DEVICES).parts)
    birth = b'<birthTime value="19600101"/>'
    body = body.replace(birth, birth + f'<deceasedInd value="{said}"/>'.encode())
    feed = patient_feed.read_request(message_of(body))
    assert feed.demographics.cleared == (frozenset({"death_time"}) if is_cleared else frozenset())


def test_a_merge_has_survivor_and_subsumed_and_no_demographics():
    assert patient_feed.read_request(sample("ITI-44/merge.xml")) == MERGE


def test_representations_by_qualifier_and_names_without_parts():
    feed = patient_feed.read_request(sample("ITI-44/update-qualifiers.xml"))
    assert feed.event is FeedEvent.UPDATE
    assert feed.demographics.name == PersonName(
        NameParts("サラ", "ジョーンズ"), NameParts("さら", ""), NameParts("JONES", "SARAH")
    )
    assert feed.demographics.sex == "O"


@pytest.mark.parametrize("feed", [REGISTRATION, replace(REGISTRATION, event=FeedEvent.UPDATE), MERGE])
def test_what_is_written_is_read(feed):
    written = sent(patient_feed.write_request(feed, DEVICES))
    again = patient_feed.read_request(written)
    action = patient_feed.action_of(feed)
    assert action == f"urn:hl7-org:v3:{again.trigger}"
    assert again == replace(feed, trigger=again.trigger, occurred_at="")


@pytest.mark.parametrize("name", ["register", "merge"])
def test_a_feed_is_accepted(name):
    message = sample(f"ITI-44/{name}.xml")
    answer = sent(patient_feed.write_response(message))
    assert answer.body.tag == "{urn:hl7-org:v3}MCCI_IN000002UV01"
    assert code_at(answer, "acknowledgement", "typeCode") == "CA"
    assert code_at(answer, "acceptAckCode") == "NE"
    ids = [each.get("root") for each in answer.body.iter("{urn:hl7-org:v3}id")]
    assert ids[1:] == ["1.2.392.200250.9.3.7", "1.2.392.200250.9.2.1", UUID]  # receiver, sender, the message it answers
    patient_feed.read_response(answer)


_EVENT = "controlActProcess/subject/registrationEvent"
_PATIENT = f"{_EVENT}/subject1/patient"
REFUSED = {
    "refused-merge-without-prior": (
        "CE",
        "SYN105",
        f"/PRPA_IN201304UV02/{_EVENT}/replacementOf/priorRegistration/subject1/priorRegisteredRole/id",
    ),
    "refused-two-subjects": ("CE", "SYN", "/PRPA_IN201301UV02/controlActProcess/subject[2]"),
    "refused-without-extension": ("CE", "SYN105", f"/PRPA_IN201301UV02/{_PATIENT}/id"),
    "refused-processing-code": ("CR", "NS202", "/PRPA_IN201301UV02/processingCode"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_and_where(name):
    message = sample(f"ITI-44/{name}.xml")
    with pytest.raises(ExchangeError) as caught:
        patient_feed.read_request(message)
    kind, code, location = REFUSED[name]
    answer = sent(patient_feed.write_error(message, caught.value))
    assert code_at(answer, "acknowledgement", "typeCode") == kind
    assert details(answer) == [("E", code, location)]
    with pytest.raises(ExchangeError) as learned:
        patient_feed.read_response(answer)
    assert [(each.detail, each.location) for each in learned.value.findings] == [
        (each.detail, each.location) for each in caught.value.findings
    ]


@pytest.mark.parametrize("place", patient_feed.PLACES)
def test_every_place_is_found_in_a_message_by_its_xpath(place):
    message = sample("ITI-44/merge.xml" if place.startswith("prior") else "ITI-44/register.xml")
    error = ExchangeError(Reason.UNKNOWN_KEY, "Not known here.", place)
    ((_, code, location),) = details(sent(patient_feed.write_error(message, error)))
    assert code == "204"
    assert at_location(message, location) or place == "death_time"


def test_all_findings_are_told_and_a_flood_is_cut():
    findings = [Finding(Reason.WRONG_DATA_TYPE, "Wrong.", f"address[{number}]") for number in range(1, 301)]
    answer = sent(patient_feed.write_error(sample("ITI-44/register.xml"), ExchangeError.of(findings)))
    told = details(answer)
    assert len(told) == 201
    assert told[1][2].endswith("patientPerson/addr[2]")
    assert told[-1][:2] == ("W", "")


def test_a_body_of_another_kind_is_refused_in_the_dialect():
    message = message_of(b"<x xmlns='urn:x'/>")
    with pytest.raises(ExchangeError) as caught:
        patient_feed.read_request(message)
    assert caught.value.reason is Reason.UNSUPPORTED_MESSAGE
    answer = sent(patient_feed.write_error(message, caught.value))
    assert code_at(answer, "acknowledgement", "typeCode") == "CR"


def test_too_many_ids_are_refused():
    raw = b"".join(patient_feed.write_request(REGISTRATION, DEVICES).parts)
    one = b'<id root="1.2.3" extension="1"/>'
    with pytest.raises(ExchangeError) as caught:
        patient_feed.read_request(message_of(raw.replace(b"<statusCode", one * 1001 + b"<statusCode", 2)))
    assert caught.value.reason is Reason.TOO_LARGE
