"""ITI-21 and ITI-22: what is asked, how it is answered, on both sides (ITI TF-2: 3.21, 3.22)."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hie.values.demographics_queries import (
    AddressCriterion,
    BirthCriterion,
    CancelRequest,
    DemographicsMatch,
    DemographicsQuery,
    DemographicsResult,
    Location,
    NameCriterion,
    Practitioner,
    PractitionerCriterion,
    Representation,
    TextCriterion,
    TextMatch,
    Visit,
    VisitCriteria,
)
from hie.values.errors import ExchangeError, Finding, Reason
from hie.values.identifiers import AssigningAuthority, Identifier
from hie.values.people import Address, Demographics, NameParts, PersonName
from hie.wire.hl7v2 import cancel_query, demographics_query, visit_query
from hie.wire.hl7v2.message import Message
from hie.wire.hl7v2.writer import Parties
from tests.wire.hl7v2.samples import sample

HOSPITAL = AssigningAuthority("1.2.392.100495.20.3.51.11311234567", "HOSP1")
REGION = AssigningAuthority("1.2.392.200250.9.1.1", "REGION")
PARTIES = Parties("HIS", "HOSP1", "PDQ", "RHIE")
NAME = PersonName(NameParts("山田", "太郎"), NameParts("ヤマダ", "タロウ"), NameParts("YAMADA", "TARO"))
TARO = DemographicsMatch(
    identifiers=(Identifier("0000123456", HOSPITAL, "PI"), Identifier("R1", REGION)),
    demographics=Demographics(
        name=NAME,
        birth_date="19600101",
        sex="M",
        addresses=(Address("1000001", "東京都", "千代田区", text="千代田1-1", country="JPN"),),
        telephones=("03-1234-5678",),
    ),
    score=97,
    account=Identifier("ACC9", AssigningAuthority("", "BILL")),
)
VISIT = Visit(
    patient_class="I",
    location=Location("3W", "389", "2", "HOSP1"),
    attending=(Practitioner("D12", "佐藤", "一郎"),),
    hospital_service="CAR",
    visit_number=Identifier("VN5", AssigningAuthority("", "HOSP1")),
    admitted_at="20250331090000+0900",
)


def exact(text):
    return TextCriterion(text)


def prefix(text):
    return TextCriterion(text, TextMatch.PREFIX)


ASKED = {
    "q22-kanji": {
        "names": ((NameCriterion(exact("山田"), prefix("太"), Representation.IDEOGRAPHIC),),),
        "births": (BirthCriterion("19600101", "19600101"),),
        "sexes": ("M",),
        "domains": (AssigningAuthority(HOSPITAL.oid), AssigningAuthority("", "REGION")),
        "page_size": 10,
    },
    "q22-jis-kana": {
        "names": ((NameCriterion(exact("ヤマダ")),),),
        "addresses": ((AddressCriterion(prefecture=exact("静岡県"), city=prefix("静岡市")),),),
        "telephones": ((exact("054-123-4567"),),),
    },
    "q22-identifiers": {
        "identifiers": (
            (Identifier("0000123456", AssigningAuthority(HOSPITAL.oid)),),
            (Identifier("R1", AssigningAuthority("", "REGION")),),
        ),
        "accounts": ((Identifier("ACC9", AssigningAuthority("", "BILL")),),),
        "page_size": 1,
    },
    "q22-fuzzy": {
        "names": ((NameCriterion(TextCriterion("斎藤", TextMatch.FUZZY), TextCriterion("はな子", TextMatch.FUZZY)),),),
        "births": (BirthCriterion("1960", "1960"),),
        "minimum_score": 75,
        "ignored": ("mother's maiden name",),
    },
    "q22-next-page": {"names": ((NameCriterion(exact("山田")),),), "page_size": 2, "pointer": "7f0c-2"},
}


@pytest.mark.parametrize("name", ASKED)
def test_what_a_query_asks(name):
    message = sample(f"ITI-21/{name}.hl7")
    expected = DemographicsQuery(
        message_id=message.control_id,
        query_tag=message.first("QPD").field(2),
        identified_only=True,
        source="PDQ",
        **ASKED[name],
    )
    query = demographics_query.read_request(message)
    assert query == expected
    assert query.raw == message.raw


@pytest.mark.parametrize(
    ("parameters", "names"),
    [
        ("@PID.5.1.1^A*B?", [NameCriterion(TextCriterion("A*B?", TextMatch.WILDCARD))]),
        ("@PID.5.1.1^A＊", [NameCriterion(prefix("A"))]),
        ("@PID.5.1^A~@PID.5.2^B", [NameCriterion(exact("A"), exact("B"))]),
        ("@PID.5.1.1^A~@PID.5.1.1^B~@PID.5.2^C", [NameCriterion(exact("A")), NameCriterion(exact("B"), exact("C"))]),
        ("@PID.5^A^B", [NameCriterion(exact("A"), exact("B"))]),
        ("@PID.5.1.1^A\\T\\B", [NameCriterion(exact("A&B"))]),
        ("@PID.5.8^P~@PID.5.1.1^A", [NameCriterion(exact("A"), representation=Representation.PHONETIC)]),
    ],
)
def test_names_are_put_together_from_their_parameters(parameters, names):
    header = "MSH|^~\\&|A|B|C|D|20250401||QBP^Q22^QBP_Q21|1|P|2.5"
    message = Message.read(f"{header}\rQPD|IHE PDQ Query|T|{parameters}\rRCP|I\r".encode())
    assert list(demographics_query.read_request(message).names) == [(name,) for name in names]


REFUSED = {
    "ITI-21/refused-id-without-domain": [("REQUIRED_MISSING", "QPD^1^3^1")],
    "ITI-21/refused-nothing-asked": [("REQUIRED_MISSING", "QPD^1^3")],
    "ITI-21/refused-version": [("UNSUPPORTED_VERSION", "MSH^1^12^1^1")],
    "ITI-21/refused-many-findings": [
        ("REQUIRED_MISSING", "QPD^1^2"),
        ("NOT_IN_TABLE", "RCP^1^1"),
        ("NOT_IN_TABLE", "RCP^1^2^1^2"),
        ("WRONG_DATA_TYPE", "RCP^1^2^1^1"),
        ("REQUIRED_MISSING", "QPD^1^8^2^4"),
        ("WRONG_DATA_TYPE", "QPD^1^4"),
        ("NOT_IN_TABLE", "QPD^1^3^3^1"),
        ("WRONG_DATA_TYPE", "QPD^1^3^1^2"),
        ("NOT_IN_TABLE", "QPD^1^3^2^2"),
    ],
    "ITI-22/refused-segment": [("NOT_IN_TABLE", "QPD^1^3^1^1"), ("REQUIRED_MISSING", "QPD^1^3")],
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_and_where(name):
    message = sample(f"{name}.hl7")
    codec = visit_query if "ITI-22" in name else demographics_query
    with pytest.raises(ExchangeError) as caught:
        codec.read_request(message)
    found = [(finding.reason.name, finding.location) for finding in caught.value.findings]
    expected = REFUSED[name]
    if name == "ITI-22/refused-segment":  # nothing is left to ask, which is told only when nothing else is wrong
        expected = expected[:1]
    assert found == expected
    answer = Message.read(codec.write_error(message, caught.value))
    assert [each.field(2) for each in answer.all("ERR")] == [location for _, location in expected] or (
        message.version != "2.5"
    )


def _lines(raw):
    return raw.decode().rstrip("\r").split("\r")


def test_case_1_people_are_told_with_all_that_is_known():
    message = sample("ITI-21/q22-kanji.hl7")
    written = demographics_query.write_response(message, DemographicsResult((TARO,), "p|2", total=3, remaining=2))
    lines = _lines(written)
    assert [line[:3] for line in lines] == ["MSH", "MSA", "QAK", "QPD", "PID", "QRI", "DSC"]
    assert lines[0].startswith("MSH|^~\\&|PDQ|RHIE|HIS|HOSP1|")
    assert "|RSP^K22^RSP_K21|" in lines[0]
    assert lines[1:3] == ["MSA|AA|M0001", "QAK|Q0001|OK|IHE PDQ Query|3|1|2"]
    assert lines[3] == message.text.split("\r")[1]
    assert lines[5:] == ["QRI|97", "DSC|p\\F\\2|I"]
    pid = Message.read(written).first("PID")
    assert pid.field(3) == f"0000123456^^^HOSP1&{HOSPITAL.oid}&ISO^PI~R1^^^REGION&{REGION.oid}&ISO"
    assert pid.field(5) == "山田^太郎^^^^^L^I~ヤマダ^タロウ^^^^^L^P~YAMADA^TARO^^^^^L^A"
    assert pid.field(18) == "ACC9^^^BILL"


def test_case_2_who_has_no_identifier_in_the_domains_is_left_out():
    message = sample("ITI-21/q22-kanji.hl7")
    answer = demographics_query.write_response(message, DemographicsResult((replace(TARO, identifiers=()),)))
    assert _lines(answer)[2] == "QAK|Q0001|NF|IHE PDQ Query|0|0|0"
    assert Message.read(answer).first("PID") is None


def test_nobody_is_not_an_error():
    lines = _lines(demographics_query.write_response(sample("ITI-21/q22-kanji.hl7"), DemographicsResult()))
    assert [line[:6] for line in lines[1:3]] == ["MSA|AA", "QAK|Q0"]
    assert lines[2].split("|")[2] == "NF"


def test_case_3_every_unknown_domain_has_its_error():
    error = ExchangeError.of(
        [Finding(Reason.UNKNOWN_DOMAIN, "Not known here.", f"domain[{number}]") for number in (1, 2)]
    )
    lines = _lines(demographics_query.write_error(sample("ITI-21/q22-kanji.hl7"), error))
    assert [line[:3] for line in lines] == ["MSH", "MSA", "ERR", "ERR", "QAK", "QPD"]
    assert [line.split("|")[2:4] for line in lines[2:4]] == [
        ["QPD^1^8^1", "204^Unknown key identifier^HL70357"],
        ["QPD^1^8^2", "204^Unknown key identifier^HL70357"],
    ]
    assert (lines[1], lines[4]) == ("MSA|AE|M0001", "QAK|Q0001|AE|IHE PDQ Query")


def test_an_unknown_pointer_is_located_in_dsc():
    error = ExchangeError(Reason.UNKNOWN_KEY, "Ask again from the first page.", "pointer")
    answer = Message.read(demographics_query.write_error(sample("ITI-21/q22-next-page.hl7"), error))
    assert answer.first("ERR").field(2) == "DSC^1^1"


def test_the_answer_is_in_the_character_set_of_the_question():
    message = sample("ITI-21/q22-jis-kana.hl7")
    written = demographics_query.write_response(message, DemographicsResult((TARO,), total=1))
    assert b"\x1b$B" in written
    answer = Message.read(written)
    assert (answer.header.field(18), answer.header.field(20)) == ("~ISO IR87", "ISO 2022-1994")
    assert demographics_query.read_response(answer).matches == (TARO,)


def test_what_is_not_told_is_announced():
    message = sample("ITI-21/q22-fuzzy.hl7")
    written = demographics_query.write_response(
        message, DemographicsResult((TARO,), total=900, cap=50, warnings=("W",))
    )
    warnings = Message.read(written).all("ERR")
    assert [each.field(4) for each in warnings] == ["W", "W", "W"]
    assert [each.field(8) for each in warnings] == [
        "W",
        "More were found than the 50 that are told; narrow the search.",
        "The search is not narrowed by mother's maiden name.",
    ]
    assert len(demographics_query.read_response(Message.read(written)).warnings) == 3


def test_a_person_without_a_name_still_has_the_required_field():
    nameless = replace(TARO, demographics=Demographics())
    written = demographics_query.write_response(sample("ITI-21/q22-kanji.hl7"), DemographicsResult((nameless,)))
    assert Message.read(written).first("PID").field(5) == "^^^^^^U"


def test_the_answer_of_another_supplier():
    result = demographics_query.read_response(sample("ITI-21/rsp-two-people.hl7"))
    assert result.matches[0] == TARO
    assert result.matches[1].identifiers == (Identifier("R2", REGION),)
    assert (result.pointer, result.total, result.remaining) == ("7f0c-2", 3, 1)
    assert result.warnings == ("Narrow the search.",)


def test_the_refusal_of_another_supplier():
    with pytest.raises(ExchangeError) as caught:
        demographics_query.read_response(sample("ITI-21/rsp-unknown-domains.hl7"))
    assert [finding.location for finding in caught.value.findings] == ["QPD^1^8^1", "QPD^1^8^2"]


@pytest.mark.parametrize("name", [*ASKED])
def test_a_query_of_ours_is_read_as_it_was_meant(name):
    query = replace(demographics_query.read_request(sample(f"ITI-21/{name}.hl7")), ignored=())
    written = Message.read(demographics_query.write_request(query, PARTIES))
    again = demographics_query.read_request(written)
    if query.pointer:
        assert written.control_id != query.message_id  # every page is asked for by a message of its own
        again = replace(again, message_id=query.message_id)
    assert again == query


def test_what_a_visit_query_asks():
    query = visit_query.read_request(sample("ITI-22/zv1-room.hl7"))
    assert query.visit == VisitCriteria(
        patient_class="I",
        ward=exact("3W"),
        room=exact("389"),
        bed=exact("2"),
        attending=PractitionerCriterion(exact("D12")),
        hospital_service=exact("CAR"),
        visit_number=Identifier("VN5", AssigningAuthority("", "HOSP1")),
    )
    assert visit_query.read_request(Message.read(visit_query.write_request(query, PARTIES))) == query
    assert visit_query.read_request(sample("ITI-22/zv1-person.hl7")).visit == VisitCriteria()


def test_each_visit_is_told_with_its_person():
    message = sample("ITI-22/zv1-person.hl7")
    two = replace(TARO, visits=(VISIT, replace(VISIT, patient_class="O")))
    written = visit_query.write_response(message, DemographicsResult((two,), total=1))
    answer = Message.read(written)
    assert (answer.trigger, answer.structure) == ("RSP^ZV2", "RSP_ZV2")
    assert [line[:3] for line in _lines(written)][4:] == ["PID", "PV1", "QRI", "PID", "PV1", "QRI"]
    assert [match.visits[0].patient_class for match in visit_query.read_response(answer).matches] == ["I", "O"]


def test_the_visit_of_another_supplier():
    assert visit_query.read_response(sample("ITI-22/rsp-zv2.hl7")).matches[0].visits == (VISIT,)


def test_a_demographics_query_is_no_visit_query():
    with pytest.raises(ExchangeError, match="UNSUPPORTED_EVENT"):
        visit_query.read_request(sample("ITI-21/q22-kanji.hl7"))
    with pytest.raises(ExchangeError, match="UNSUPPORTED_EVENT"):
        demographics_query.read_request(sample("ITI-22/zv1-person.hl7"))


def test_a_cancellation_names_the_query():
    message = sample("ITI-21/qcn-cancel.hl7")
    cancel = cancel_query.read_request(message)
    assert cancel == CancelRequest("M0006", "Q0001")
    assert Message.read(cancel_query.write_response(message)).first("MSA").field(1) == "AA"
    assert cancel_query.read_request(Message.read(cancel_query.write_request(cancel, PARTIES))) == cancel


def _query(parameters, rest=""):
    header = "MSH|^~\\&|A|B|C|D|20250401||QBP^Q22^QBP_Q21|1|P|2.5"
    return Message.read(f"{header}\rQPD|IHE PDQ Query|T|{parameters}{rest}\rRCP|I\r".encode())


@pytest.mark.parametrize(
    ("parameters", "rest"),
    [
        ("~".join(["@PID.5.1.1^A"] * 101), ""),
        ("~".join(["@PID.5.1.1^A"] * 1001), ""),
        ("@PID.5.1.1^A", "|||||" + "~".join(["^^^A"] * 101)),
    ],
)
def test_floods_are_refused(parameters, rest):
    with pytest.raises(ExchangeError) as caught:
        demographics_query.read_request(_query(parameters, rest))
    assert caught.value.reason is Reason.TOO_LARGE


def test_a_long_value_is_cut():
    query = demographics_query.read_request(_query("@PID.5.1.1^" + "A" * 100_000))
    assert len(query.names[0][0].family.text) == 256


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r\n\x0b\x1c\ufeff"), max_size=60))
def test_any_parameter_is_read_or_refused(text):
    message = _query(text)
    assert _answer_code(message) in ("asks", "AE", "AR")


def _answer_code(message):
    try:
        return "asks" if demographics_query.read_request(message).asks else "asks nothing"
    except ExchangeError as error:
        return Message.read(demographics_query.write_error(message, error)).first("MSA").field(1)


@given(
    st.text(st.characters(codec="utf-8", categories=("L", "N", "P")), min_size=1, max_size=20).filter(
        lambda text: TextCriterion.with_wildcards(text) == TextCriterion(text)
    )
)
def test_any_name_comes_back_from_the_wire(text):
    query = DemographicsQuery("M1", "T1", names=((NameCriterion(exact(text), exact(text)),),), identified_only=True)
    written = Message.read(demographics_query.write_request(query, PARTIES))
    assert demographics_query.read_request(written).names == query.names
