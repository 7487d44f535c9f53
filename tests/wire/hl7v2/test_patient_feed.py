"""ITI-8 and ITI-30: samples to values, values to bytes, and every refusal with its code and place."""

import pytest

from hie.values.errors import ExchangeError, Finding, Reason
from hie.values.identifiers import AssigningAuthority, Identifier
from hie.values.patients import FeedEvent, PatientFeed
from hie.values.people import Demographics, NameParts, PersonName
from hie.wire.hl7v2 import patient_feed
from hie.wire.hl7v2.message import Message
from hie.wire.hl7v2.writer import Parties
from tests.wire.hl7v2.samples import sample

OID = "1.2.392.100495.20.3.51.11311234567"
PARTIES = Parties("HIE", "REGION", "HIS", "HOSP1")
REGISTER, UPDATE, MERGE, CHANGE, LINK, UNLINK = FeedEvent


def _chart(value, type_code=""):
    return Identifier(value, AssigningAuthority(OID), type_code)


@pytest.mark.parametrize(
    ("name", "event", "pam", "identifiers", "prior"),
    [
        ("ITI-8/a04-jis.hl7", REGISTER, False, ("0000123456", "R0000001"), ()),
        ("ITI-8/a04-25-utf8.hl7", REGISTER, False, ("0000123456", "R0000001"), ()),
        ("ITI-8/a01-ascii-ids-only.hl7", REGISTER, False, ("0000123457",), ()),
        ("ITI-8/a05-lf.hl7", REGISTER, False, ("0000123458",), ()),
        ("ITI-8/a08-deletes.hl7", UPDATE, False, ("0000123456",), ()),
        ("ITI-8/a40.hl7", MERGE, False, ("0000123456",), ("0000999999",)),
        ("ITI-30/a28-jis.hl7", REGISTER, True, ("0000123456", "R0000001"), ()),
        ("ITI-30/a31-utf8.hl7", UPDATE, True, ("0000123456", "R0000001"), ()),
        ("ITI-30/a40.hl7", MERGE, True, ("0000123456",), ("0000999999",)),
        ("ITI-30/a47.hl7", CHANGE, True, ("0000123456",), ("0000123499",)),
    ],
)
def test_what_a_feed_says(name, event, pam, identifiers, prior):
    feed = patient_feed.read_request(sample(name))
    assert (feed.event, feed.pam) == (event, pam)
    assert tuple(each.value for each in feed.identifiers) == identifiers
    assert tuple(each.value for each in feed.prior_identifiers) == prior
    assert feed.message_id == sample(name).control_id
    assert feed.occurred_at == ("20250401090000+0900" if "a31" in name else "20250401102959+0900")


@pytest.mark.parametrize(("name", "event"), [("ITI-30/a24.hl7", LINK), ("ITI-30/a37.hl7", UNLINK)])
def test_two_patients_of_a_link(name, event):
    feed = patient_feed.read_request(sample(name))
    assert (feed.event, feed.pam, feed.demographics) == (event, True, Demographics())
    assert [each.value for each in feed.identifiers + feed.other_identifiers] == ["0000123456", "0000999999"]
    written = Message.read(patient_feed.write_request(feed, PARTIES))
    again = patient_feed.read_request(written)
    assert (again.event, again.identifiers, again.other_identifiers) == (
        event,
        feed.identifiers,
        feed.other_identifiers,
    )


def test_a_link_with_one_patient_is_refused_at_the_second():
    message = sample("ITI-30/refused-a24-one-patient.hl7")
    with pytest.raises(ExchangeError) as refused:
        patient_feed.read_request(message)
    answer = Message.read(patient_feed.write_error(message, refused.value))
    assert [(each.field(2), each.component(3, 1)) for each in answer.all("ERR")] == [("PID^2", "100")]


@pytest.mark.parametrize(
    ("name", "msa", "errors"),
    [
        ("ITI-8/refused-without-pid.hl7", "AE", ["PID^1^^100"]),
        ("ITI-8/refused-two-patients.hl7", "AE", ["PID^2^^100"]),
        ("ITI-8/refused-many-findings.hl7", "AE",
            ["EVN^1^2^102", "PID^1^7^102", "PID^1^8^103", "PV1^1^2^101", "PID^1^3^101"]),
        ("ITI-8/refused-version.hl7", "AR", ["MSH^1^12^203"]),
        ("ITI-8/refused-processing-id.hl7", "AR", ["MSH^1^11^202"]),
        ("ITI-8/refused-structure.hl7", "AR", ["MSH^1^9^200"]),
        ("ITI-30/refused-version.hl7", "AR", ["MSH^1^12^203"]),
    ],
)  # fmt: skip
def test_a_refusal_before_2_5_repeats_err_1(name, msa, errors):
    message = sample(name)
    with pytest.raises(ExchangeError) as refused:
        patient_feed.read_request(message)
    answer = Message.read(patient_feed.write_error(message, refused.value))
    assert answer.first("MSA").fields[1:] == [msa, message.control_id]
    assert answer.version == message.version
    (error,) = answer.all("ERR")
    assert ["^".join(each.split("&")[0].split("^")) for each in error.repetitions(1)] == errors
    assert error.component(1, 4, sub=3) == "HL70357"
    assert error.component(1, 4, sub=5)


def test_a_refusal_of_2_5_has_a_segment_for_each_finding():
    message = sample("ITI-30/refused-a47-without-mrg.hl7")
    with pytest.raises(ExchangeError) as refused:
        patient_feed.read_request(message)
    answer = Message.read(patient_feed.write_error(message, refused.value))
    assert answer.header.field(9) == "ACK^A47^ACK"
    assert [(each.field(1), each.field(2), each.field(3), each.field(4)) for each in answer.all("ERR")] == [
        ("", "MRG^1", "100^Segment sequence error^HL70357", "E")
    ]
    assert "MRG" in answer.first("ERR").component(8, 1)


@pytest.mark.parametrize(
    ("location", "erl"),
    [
        ("identifier", "PID^1^3^1^1"),
        ("identifier[2].authority", "PID^1^3^2^4"),
        ("prior identifier", "MRG^1^1^1^1"),
        ("prior identifier.authority", "MRG^1^1^1^4"),
        ("other identifier", "PID^2^3^1^1"),
        ("PID^1^7", "PID^1^7"),
        ("birth_date", "PID^1^7"),
        ("insurance[2]", "IN1^2"),
        ("telephone", "PID^1^13^1"),
        ("domain[2]", ""),
        ("nowhere known", ""),
        ("", ""),
    ],
)
def test_a_verb_names_places_without_a_dialect(location, erl):
    error = ExchangeError(Reason.UNKNOWN_KEY, "Unknown.", location)
    answer = Message.read(patient_feed.write_error(sample("ITI-30/a40.hl7"), error))
    assert answer.first("ERR").field(2) == erl


def test_an_acceptance_goes_back_to_its_sender():
    message = sample("ITI-8/a04-jis.hl7")
    answer = Message.read(patient_feed.write_response(message, None))
    header = answer.header
    assert [header.field(number) for number in (3, 4, 5, 6)] == ["HIE", "REGION", "HIS", "HOSP1"]
    assert (header.field(9), header.field(11), header.field(12)) == ("ACK^A04", "P", "2.3.1")
    assert (header.field(18), header.field(20)) == ("~ISO IR87", "ISO 2022-1994")
    assert answer.first("MSA").fields[1:] == ["AA", "F0001"]
    assert len(answer.control_id) == 20
    assert patient_feed.read_response(answer) is None


@pytest.mark.parametrize("version", ["2.3.1", "2.5"])
def test_the_client_learns_what_was_wrong(version):
    request = Message.read(patient_feed.write_request(_feed(MERGE, "ADT^A40"), PARTIES, version=version))
    findings = [
        Finding(Reason.UNKNOWN_KEY, "MRG-1.1 is unknown here.", "prior identifier"),
        Finding(Reason.REQUIRED_MISSING, "PID-3.4 is required.", "identifier.authority"),
    ]
    answer = patient_feed.write_error(request, ExchangeError.of(findings))
    with pytest.raises(ExchangeError) as refused:
        patient_feed.read_response(Message.read(answer))
    assert [each.reason for each in refused.value.findings] == [each.reason for each in findings]
    assert [each.detail for each in refused.value.findings] == [each.detail for each in findings]


def _feed(event, trigger, **more):
    has_prior = event in (MERGE, CHANGE)
    return PatientFeed(
        event=event,
        trigger=trigger,
        message_id="M1",
        identifiers=(_chart("0000123456", "PI"), Identifier("R1", AssigningAuthority("1.2.3", "REGION"))),
        demographics=Demographics(name=PersonName(NameParts("山本", "日出美"), NameParts("ヤマモト", "ヒデミ"))),
        prior_identifiers=(_chart("9", "PI"),) if has_prior else (),
        occurred_at="20250401",
        **more,
    )


@pytest.mark.parametrize("character_set", ["ISO IR87", "UNICODE UTF-8"])
@pytest.mark.parametrize(
    ("event", "trigger", "version", "pam"),
    [
        (REGISTER, "ADT^A04", "2.3.1", False),
        (UPDATE, "ADT^A08", "2.3.1", False),
        (MERGE, "ADT^A40", "2.3.1", False),
        (REGISTER, "ADT^A28", "2.5", True),
        (UPDATE, "ADT^A31", "2.5", True),
        (MERGE, "ADT^A40", "2.5", True),
        (CHANGE, "ADT^A47", "2.5", True),
    ],
)
def test_what_is_written_is_read_again(event, trigger, version, pam, character_set):
    feed = _feed(event, trigger, pam=pam)
    written = patient_feed.write_request(feed, PARTIES, version=version, character_set=character_set)
    message = Message.read(written)
    assert message.warnings == ()
    assert message.charset == character_set
    assert patient_feed.read_request(message) == feed


def test_a_trigger_of_another_dialect_is_written_as_the_usual_one():
    written = patient_feed.write_request(_feed(UPDATE, "PRPA_IN201302UV02"), PARTIES, version="2.3.1")
    assert Message.read(written).trigger == "ADT^A08"
