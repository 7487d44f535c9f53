"""ITI-47 with continuation and cancellation: what is asked and how it is answered (ITI TF-2: 3.47)."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from hie.values.demographics_queries import (
    AddressCriterion,
    BirthCriterion,
    CancelRequest,
    ContinuationRequest,
    DemographicsMatch,
    DemographicsQuery,
    DemographicsResult,
    NameCriterion,
    Representation,
    TextCriterion,
    TextMatch,
)
from hie.values.errors import ExchangeError, Finding, Reason
from hie.values.identifiers import AssigningAuthority, Identifier
from hie.values.people import Address, Demographics, NameParts, PersonName
from hie.wire.hl7v3 import cancel_query, continue_query, demographics_query
from hie.wire.hl7v3.datatypes import tag
from hie.wire.hl7v3.wrapper import Devices
from tests.wire.hl7v3.messages import at_location, code_at, details, message_of, sample, sent

HOSPITAL = AssigningAuthority("1.2.392.100495.20.3.51.11311234567", "HOSP1")
REGION = AssigningAuthority("1.2.392.200250.9.1.1", "REGION")
NOWHERE = AssigningAuthority("2.999.9")
UUID = "11111111-2222-3333-4444-555555555555"
TAG = "1.2.392.200250.9.3.7.1^D0001"
DEVICES = Devices("1.2.392.200250.9.3.7", "1.2.392.200250.9.2.1")
QUERY = "/PRPA_IN201305UV02/controlActProcess/queryByParameter"
PARAMETERS = f"{QUERY}/parameterList"
TARO = DemographicsMatch(
    identifiers=(Identifier("0000123456", HOSPITAL),),
    demographics=Demographics(
        name=PersonName(NameParts("山田", "太郎"), NameParts("ヤマダ", "タロウ"), NameParts("YAMADA", "TARO")),
        birth_date="19600101",
        sex="O",
        addresses=(Address("1000001", "東京都", "千代田区", "千代田1-1", country="JPN"), Address(text="登呂１−３−５")),
        telephones=("03-1234 5678",),
        death_time="20240101",
    ),
    score=97,
    facility_name="第一病院",
    missing=(NOWHERE,),
)


def fuzzy(text):
    return TextCriterion(text, TextMatch.FUZZY)


def prefix(text):
    return TextCriterion(text, TextMatch.PREFIX)


ALL = DemographicsQuery(
    message_id=UUID,
    query_tag=TAG,
    names=(
        (
            NameCriterion(fuzzy("山田"), fuzzy("太郎"), Representation.IDEOGRAPHIC),
            NameCriterion(fuzzy("ヤマダ"), representation=Representation.PHONETIC),
            NameCriterion(prefix("YAMA"), representation=Representation.ALPHABETIC),
        ),
    ),
    births=(BirthCriterion("19591201", "196003"),),
    sexes=("M",),
    addresses=(
        (
            AddressCriterion(
                postal_code=TextCriterion("1000001"), prefecture=TextCriterion("東京都"), city=prefix("千代田")
            ),
        ),
    ),
    telephones=((TextCriterion("03-1234-5678"),),),
    identifiers=(
        (Identifier("0000123456", AssigningAuthority(HOSPITAL.oid)),),
        (Identifier("R1", AssigningAuthority(REGION.oid)),),
    ),
    domains=(AssigningAuthority(REGION.oid), NOWHERE),
    page_size=2,
    minimum_score=75,
    source="1.2.392.200250.9.2.1",
    ignored=("mother's maiden name",),
)


def test_what_a_query_asks():
    assert demographics_query.read_request(sample("ITI-47/all-parameters.xml")) == ALL


@pytest.mark.parametrize("query", [replace(ALL, ignored=()), replace(ALL, ignored=(), births=(), page_size=0)])
def test_a_query_of_ours_is_read_as_it_was_meant(query):
    assert demographics_query.read_request(sent(demographics_query.write_request(query, DEVICES))) == query


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        ('"19600228" inclusive="false"', '"19600301" inclusive="false"', ("19600229", "19600229")),
        ('"195912" inclusive="false"', '"1961" inclusive="false"', ("196001", "1960")),
        ('"19591201" inclusive="true"', '"196003"', ("19591201", "196003")),
        ('"19591231" inclusive="0"', '"196001" inclusive="0"', ("19600101", "195912")),
    ],
)
def test_the_end_of_an_interval_may_be_out_of_it(low, high, expected):
    text = sample("ITI-47/all-parameters.xml")
    body = etree.tostring(text.body).decode().replace('"19591201"', low).replace('"196003"', high)
    assert demographics_query.read_request(message_of(body.encode())).births == (BirthCriterion(*expected),)


def test_an_algorithm_that_nobody_agreed_is_announced():
    body = etree.tostring(sample("ITI-47/all-parameters.xml").body).decode()
    algorithm = (
        '<matchAlgorithm><value xsi:type="ST">X</value><semanticsText>MatchAlgorithm</semanticsText></matchAlgorithm>'
    )
    message = message_of(body.replace("<minimumDegreeMatch>", algorithm + "<minimumDegreeMatch>").encode())
    answer = sent(demographics_query.write_response(message, DemographicsResult()))
    assert any("matchAlgorithm" in each for each in demographics_query.read_response(answer).warnings)


def test_a_date_stands_for_itself():
    query = demographics_query.read_request(sample("ITI-47/birth-date.xml"))
    assert query.births == (BirthCriterion("19600101", "19600101"),)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("refused-nothing-asked", [("REQUIRED_MISSING", PARAMETERS)]),
        (
            "refused-many-findings",
            [
                ("NOT_IN_TABLE", f"{QUERY}/responsePriorityCode"),
                ("WRONG_DATA_TYPE", f"{PARAMETERS}/livingSubjectBirthTime[1]/value"),
                ("REQUIRED_MISSING", f"{PARAMETERS}/livingSubjectId[1]/value"),
                ("REQUIRED_MISSING", f"{PARAMETERS}/otherIDsScopingOrganization[1]/value"),
                ("WRONG_DATA_TYPE", f"{QUERY}/initialQuantity"),
            ],
        ),
    ],
)
def test_what_is_refused_and_where(name, found):
    message = sample(f"ITI-47/{name}.xml")
    with pytest.raises(ExchangeError) as caught:
        demographics_query.read_request(message)
    assert [(each.reason.name, each.location) for each in caught.value.findings] == found
    assert all(at_location(message, location) for _, location in found)


def _ack(answer):
    ack = answer.body.find(f"{tag('controlActProcess')}/{tag('queryAck')}")
    return [child.get("code") or child.get("value") for child in ack[1:]]


def test_people_are_told_with_all_that_is_known_and_a_null_id_for_what_is_missing():
    message = sample("ITI-47/all-parameters.xml")
    other = replace(TARO, identifiers=(), score=40)
    result = DemographicsResult((TARO, other), "next", total=5, remaining=3, cap=5, warnings=("W",))
    answer = sent(demographics_query.write_response(message, result))
    assert code_at(answer, "acknowledgement", "typeCode") == "AA"
    assert _ack(answer) == ["waitContinuedQueryResponse", "OK", "5", "2", "3"]
    null, scope = answer.body.find(f".//{tag('asOtherIDs')}")
    assert (null.get("nullFlavor"), scope[0].get("root")) == ("NA", NOWHERE.oid)
    assert [name.get("use") for name in answer.body.iter(tag("name"))][:3] == ["L IDE", "L SYL", "L ABC"]
    again = demographics_query.read_response(answer)
    assert again.matches == (TARO, other)
    assert (again.pointer, again.total, again.remaining) == (TAG, 5, 3)
    assert again.warnings == (
        "W",
        "More were found than the 5 that are told; narrow the search.",
        "The search is not narrowed by mother's maiden name.",
    )


def test_a_person_without_a_name_is_told_by_the_identifier():
    nameless = replace(TARO, demographics=Demographics())
    answer = sent(demographics_query.write_response(sample("ITI-47/birth-date.xml"), DemographicsResult((nameless,))))
    assert demographics_query.read_response(answer).matches == (nameless,)


def test_nobody_is_not_an_error():
    answer = sent(demographics_query.write_response(sample("ITI-47/birth-date.xml"), DemographicsResult()))
    assert code_at(answer, "acknowledgement", "typeCode") == "AA"
    assert _ack(answer) == ["deliveredResponse", "NF", "0", "0", "0"]
    assert demographics_query.read_response(answer) == DemographicsResult()


def test_every_unknown_domain_has_its_detail():
    message = sample("ITI-47/all-parameters.xml")
    error = ExchangeError.of(
        [Finding(Reason.UNKNOWN_DOMAIN, "Not known here.", f"domain[{number}]") for number in (1, 2)]
    )
    answer = sent(demographics_query.write_error(message, error))
    locations = [f"{PARAMETERS}/otherIDsScopingOrganization[{number}]/value" for number in (1, 2)]
    assert details(answer) == [("E", "204", location) for location in locations]
    assert [each.get("root") for location in locations for each in at_location(message, location)] == [
        REGION.oid,
        NOWHERE.oid,
    ]
    assert _ack(answer) == ["aborted", "AE", "0", "0", "0"]
    assert code_at(answer, "acknowledgement", "typeCode") == "AE"


def test_a_continuation_names_the_query_and_is_answered_by_its_next_page():
    message = sample("ITI-47/continue.xml")
    request = continue_query.read_request(message)
    assert request == ContinuationRequest(UUID, TAG, 3, 2)
    asked = demographics_query.read_request(sample("ITI-47/all-parameters.xml"))
    result = DemographicsResult((TARO,), total=3, query_raw=asked.raw)
    answer = sent(continue_query.write_response(message, result))
    assert _ack(answer) == ["deliveredResponse", "OK", "3", "1", "0"]
    assert answer.body.find(f".//{tag('queryByParameter')}/{tag('queryId')}").get("extension") == "D0001"
    assert continue_query.read_response(answer).matches == (TARO,)
    written = sent(continue_query.write_request(request, DEVICES, answered=UUID))
    assert continue_query.read_request(written) == request


def test_an_unknown_pointer_is_located():
    error = ExchangeError(Reason.UNKNOWN_KEY, "Ask again from the first page.", "pointer")
    answer = sent(continue_query.write_error(sample("ITI-47/continue.xml"), error))
    place = "/QUQI_IN000003UV01/controlActProcess/queryContinuation/queryId"
    assert details(answer) == [("E", "204", place)]
    assert _ack(answer)[:2] == ["aborted", "AE"]


def test_a_cancellation_is_accepted():
    message = sample("ITI-47/cancel.xml")
    cancel = cancel_query.read_request(message)
    assert cancel == CancelRequest(UUID, TAG)
    answer = sent(cancel_query.write_response(message))
    assert code_at(answer, "acknowledgement", "typeCode") == "CA"
    cancel_query.read_response(answer)
    assert cancel_query.read_request(sent(cancel_query.write_request(cancel, DEVICES, answered=UUID))) == cancel


@pytest.mark.parametrize(
    ("codec", "name", "places"),
    [
        (continue_query, "refused-continue", ["queryId", "statusCode", "startResultNumber"]),
        (continue_query, "cancel", ["statusCode"]),
        (cancel_query, "continue", ["statusCode"]),
    ],
)
def test_continuations_that_are_refused(codec, name, places):
    message = sample(f"ITI-47/{name}.xml")
    with pytest.raises(ExchangeError) as caught:
        codec.read_request(message)
    assert [each.location.rsplit("/", 1)[1] for each in caught.value.findings] == places
    sent(codec.write_error(message, caught.value))


@pytest.mark.parametrize("names", [((NameCriterion(prefix("A")),) * 101,)])
def test_floods_are_refused(names):
    query = DemographicsQuery(UUID, TAG, names=names)
    with pytest.raises(ExchangeError) as caught:
        demographics_query.read_request(sent(demographics_query.write_request(query, DEVICES)))
    assert caught.value.reason is Reason.TOO_LARGE


PRINTABLE = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1, max_size=20).filter(
    lambda text: TextCriterion.with_wildcards(text) == TextCriterion(text)
)


@given(PRINTABLE, PRINTABLE)
def test_any_name_comes_back_from_the_wire(family, given_name):
    query = DemographicsQuery(UUID, TAG, names=((NameCriterion(TextCriterion(family), TextCriterion(given_name)),),))
    written = message_of(b"".join(demographics_query.write_request(query, DEVICES).parts))
    assert demographics_query.read_request(written).names == query.names


@given(PRINTABLE, st.text(max_size=30))
def test_any_person_comes_back_from_the_wire(text, anything):
    match = DemographicsMatch(
        (Identifier("1", HOSPITAL),),
        Demographics(PersonName(ideographic=NameParts(text, text)), telephones=(text,)),
        facility_name=anything,
    )
    body = demographics_query.write_response(sample("ITI-47/birth-date.xml"), DemographicsResult((match,)))
    (again,) = demographics_query.read_response(message_of(b"".join(body.parts))).matches
    assert again.demographics == match.demographics
