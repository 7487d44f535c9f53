"""ITI-45: the six cases of ITI TF-2: 3.45.4.2.3, on both sides."""

import pytest
from lxml import etree

from hie.values.errors import ExchangeError, Finding, Reason
from hie.values.identifiers import AssigningAuthority, Identifier
from hie.values.patients import CrossReferenceQuery, CrossReferences
from hie.wire.hl7v3 import pix_query
from hie.wire.hl7v3.datatypes import tag
from hie.wire.hl7v3.wrapper import Devices
from tests.wire.hl7v3.messages import at_location, code_at, details, sample, sent

OID = "1.2.392.100495.20.3.51.11311234567"
REGION = AssigningAuthority("1.2.392.200250.9.1.1", "REGION")
CLINIC = AssigningAuthority("1.2.3.4", "CLINIC")
ASKED = Identifier("0000123456", AssigningAuthority(OID))
UUID = "11111111-2222-3333-4444-555555555555"
TAG = "1.2.392.200250.9.3.7.1^Q0001"
DEVICES = Devices("1.2.392.200250.9.3.7", "1.2.392.200250.9.2.1")
PARAMETERS = "/PRPA_IN201309UV02/controlActProcess/queryByParameter/parameterList"


@pytest.mark.parametrize(
    ("name", "domains"),
    [("all-domains", ()), ("two-domains", (REGION.oid, "2.999.9")), ("prefixed", (REGION.oid,))],
)
def test_what_a_query_asks(name, domains):
    query = pix_query.read_request(sample(f"ITI-45/{name}.xml"))
    assert query == CrossReferenceQuery(UUID, ASKED, tuple(map(AssigningAuthority, domains)), TAG)
    assert etree.fromstring(query.raw).tag == tag("queryByParameter")
    assert pix_query.read_request(sent(pix_query.write_request(query, DEVICES))) == query


FOUND = {
    "1 and 2 found": (Identifier("R1", REGION),),
    "6 several in one domain": (Identifier("77", CLINIC), Identifier("78", CLINIC)),
}


@pytest.mark.parametrize("name", ["two-domains", "prefixed"])
@pytest.mark.parametrize("case", FOUND)
def test_identifiers_are_told_in_one_registration(case, name):
    message = sample(f"ITI-45/{name}.xml")
    answer = sent(pix_query.write_response(message, CrossReferences(FOUND[case])))
    assert code_at(answer, "acknowledgement", "typeCode") == "AA"
    assert code_at(answer, "controlActProcess", "queryAck", "queryResponseCode") == "OK"
    assert len(list(answer.body.iter(tag("registrationEvent")))) == 1
    assert pix_query.read_response(answer).identifiers == FOUND[case]
    provider = answer.body.find(f".//{tag('providerOrganization')}/{tag('id')}")
    assert (provider.get("root"), provider.get("extension")) == (FOUND[case][0].oid, None)
    ours, theirs = (
        etree.tostring(each.body.find(f".//{tag('queryByParameter')}"), method="c14n", exclusive=True, with_tail=False)
        for each in (answer, message)
    )
    assert ours == theirs


def test_case_3_known_but_nothing_there():
    answer = sent(pix_query.write_response(sample("ITI-45/two-domains.xml"), CrossReferences()))
    assert code_at(answer, "acknowledgement", "typeCode") == "AA"
    assert code_at(answer, "controlActProcess", "queryAck", "queryResponseCode") == "NF"
    assert not list(answer.body.iter(tag("subject")))
    assert pix_query.read_response(answer) == CrossReferences()


@pytest.mark.parametrize(
    ("case", "raised", "locations"),
    [
        ("4 unknown id", [(Reason.UNKNOWN_KEY, "identifier")], ["patientIdentifier/value"]),
        ("4 unknown domain of id", [(Reason.UNKNOWN_DOMAIN, "identifier.authority")], ["patientIdentifier/value"]),
        ("5 one unknown domain", [(Reason.UNKNOWN_DOMAIN, "domain[2]")], ["dataSource[2]/value"]),
        (
            "5 two unknown domains",
            [(Reason.UNKNOWN_DOMAIN, "domain[1]"), (Reason.UNKNOWN_DOMAIN, "domain[2]")],
            ["dataSource[1]/value", "dataSource[2]/value"],
        ),
    ],
)
def test_unknown_ids_and_domains(case, raised, locations):
    message = sample("ITI-45/two-domains.xml")
    error = ExchangeError.of([Finding(reason, "Not known here.", place) for reason, place in raised])
    answer = sent(pix_query.write_error(message, error))
    assert code_at(answer, "acknowledgement", "typeCode") == "AE"
    assert code_at(answer, "controlActProcess", "queryAck", "queryResponseCode") == "AE"
    assert details(answer) == [("E", "204", f"{PARAMETERS}/{place}") for place in locations]
    assert all(len(at_location(message, f"{PARAMETERS}/{place}")) == 1 for place in locations)
    issue = answer.body.find(f".//{tag('detectedIssueEvent')}/{tag('code')}")
    assert issue.get("code") == "KEY204"
    assert not list(answer.body.iter(tag("subject")))
    with pytest.raises(ExchangeError, match="UNKNOWN_KEY"):
        pix_query.read_response(answer)


def test_everything_that_is_wrong_is_told():
    with pytest.raises(ExchangeError) as caught:
        pix_query.read_request(sample("ITI-45/refused-without-id.xml"))
    assert [(each.reason.name, each.location.rsplit("/", 2)[-2:]) for each in caught.value.findings] == [
        ("REQUIRED_MISSING", ["patientIdentifier", "value"]),
        ("NOT_IN_TABLE", ["queryByParameter", "responsePriorityCode"]),
        ("REQUIRED_MISSING", ["dataSource[1]", "value"]),
    ]


def test_a_flood_of_domains_is_refused():
    query = CrossReferenceQuery(UUID, ASKED, (REGION,) * 101, TAG)
    with pytest.raises(ExchangeError) as caught:
        pix_query.read_request(sent(pix_query.write_request(query, DEVICES)))
    assert caught.value.reason is Reason.TOO_LARGE
