"""What the schemas refuse of the wrapper and of what the codecs read is refused by us, and nothing that they take."""

from __future__ import annotations

import re
from copy import deepcopy

import pytest
from lxml import etree

from hie.values.errors import ExchangeError
from hie.wire.hl7v3 import cancel_query, continue_query, demographics_query, patient_feed, pix_query
from hie.wire.hl7v3.structure import INTERACTIONS, STRUCTURE, findings_of
from hie.wire.hl7v3.wrapper import MOST_FINDINGS
from hie.wire.soap.envelope import SoapMessage
from tests.conformance import needs_conformance
from tests.wire.hl7v3.messages import at_location, details, message_of, sample, schema_of, sent
from tests.wire.mutations import add_attribute, changed, drop, extended, move, repeat

CODECS = {
    "ITI-44/register.xml": patient_feed,
    "ITI-44/update-qualifiers.xml": patient_feed,
    "ITI-44/merge.xml": patient_feed,
    "ITI-45/two-domains.xml": pix_query,
    "ITI-47/all-parameters.xml": demographics_query,
    "ITI-47/continue.xml": continue_query,
    "ITI-47/cancel.xml": cancel_query,
}

# docs/conformance.md: what stands in other elements than these is not judged.
JUDGED = {
    *INTERACTIONS,
    *re.findall(
        r"\w+",
        """receiver sender device controlActProcess subject registrationEvent subject1 patient patientPerson
        replacementOf priorRegistration priorRegisteredRole queryByParameter parameterList dataSource patientIdentifier
        matchCriterionList minimumDegreeMatch livingSubjectAdministrativeGender livingSubjectBirthTime livingSubjectId
        livingSubjectName mothersMaidenName otherIDsScopingOrganization patientAddress patientTelecom acknowledgement
        targetMessage queryContinuation""",
    ),
}


def valid(name: str) -> etree._Element:
    """A sample without the qualifiers that Japanese senders write and the schema lacks."""
    body = sample(name).body
    for part in body.iter(etree.Element):
        part.attrib.pop("qualifier", None)
    return body


def is_judged(what: str) -> bool:
    """Whether a change touches what is judged: ``drop patient/id`` does, ``rename name/family`` does not."""
    how, _, place = what.partition(" ")
    around, _, inner = place.rpartition("/")
    return (inner if how in ("attribute", "text") else around) in JUDGED


@needs_conformance
@pytest.mark.parametrize("name", CODECS)
def test_what_the_schema_refuses_is_refused_with_the_name_of_the_element(name: str) -> None:
    whole = valid(name)
    schema = schema_of(etree.QName(whole).localname)
    assert schema is not None
    assert schema.validate(whole)
    refused = 0
    for what, body in changed(whole):
        found = findings_of(body)
        if is_judged(what) or found:
            assert schema.validate(body) is not bool(found), what
        refused += bool(found)
    assert refused > 90


@needs_conformance
@pytest.mark.parametrize("name", CODECS)
def test_the_codecs_refuse_it_with_an_answer_that_the_schema_takes(name: str) -> None:
    codec, whole = CODECS[name], valid(name)
    schema = schema_of(etree.QName(whole).localname)
    assert schema is not None
    for what, body in changed(whole):
        if not is_judged(what) or schema.validate(body):
            continue
        message = SoapMessage("", "", body)
        with pytest.raises(ExchangeError) as caught:
            codec.read_request(message)
        if what.startswith("repeat"):
            sent(codec.write_error(message, caught.value))


@pytest.mark.parametrize("name", CODECS)
def test_the_samples_are_as_they_should_be(name: str) -> None:
    body = sample(name).body
    assert STRUCTURE.fits(body)  # the quick way, which nearly all take
    assert findings_of(body) == []
    assert findings_of(extended(body)) == []


@pytest.mark.parametrize(
    ("name", "path", "how", "sentence", "place"),
    [
        ("ITI-44/register.xml", ".//{*}birthTime", move, "patientPerson has", "patient/patientPerson"),
        (
            "ITI-44/register.xml",
            ".//{*}custodian",
            drop,
            "registrationEvent has to have a custodian",
            "registrationEvent",
        ),
        ("ITI-45/two-domains.xml", ".//{*}dataSource[2]/{*}semanticsText", drop, "a semanticsText", "dataSource[2]"),
        (
            "ITI-47/all-parameters.xml",
            ".//{*}queryByParameter",
            add_attribute,
            "no attribute other",
            "queryByParameter",
        ),
        ("ITI-47/continue.xml", ".//{*}sender", repeat, "QUQI_IN000003UV01 has sender at a place", "QUQI_IN000003UV01"),
    ],
)
def test_the_sender_is_told_what_to_change(name: str, path: str, how: object, sentence: str, place: str) -> None:
    message = message_of(etree.tostring(sample(name).body))
    element = message.body.find(path)
    assert element is not None
    how(element)  # type: ignore[operator]
    with pytest.raises(ExchangeError) as caught:
        CODECS[name].read_request(message)
    finding = next(each for each in caught.value.findings if sentence in each.detail)
    assert finding.location.endswith(place)
    assert len(at_location(message, finding.location)) == 1
    assert ("E", "SYN", finding.location) in details(sent(CODECS[name].write_error(message, caught.value)))


@pytest.mark.parametrize("null", ["nullFlavor", "{http://www.w3.org/2001/XMLSchema-instance}nil"])
def test_what_says_that_it_has_nothing_may_lack_anything(null: str) -> None:
    body = deepcopy(sample("ITI-47/all-parameters.xml").body)
    asked = body.find(".//{*}minimumDegreeMatch")
    assert asked is not None
    asked[:] = []
    assert findings_of(body) != []
    asked.set(null, "true" if null.endswith("nil") else "NI")
    assert findings_of(body) == []


def test_findings_beyond_those_that_are_listed_are_counted_without_a_place() -> None:
    body = deepcopy(sample("ITI-45/all-domains.xml").body)
    receiver = body.find("{*}receiver")
    assert receiver is not None
    receiver.attrib.pop("typeCode")
    for _ in range(MOST_FINDINGS):
        repeat(receiver)
    found = findings_of(body)
    assert len(found) == MOST_FINDINGS + 1
    assert [found[0].location, found[-2].location, found[-1].location] == [
        "/PRPA_IN201309UV02/receiver",
        f"/PRPA_IN201309UV02/receiver[{MOST_FINDINGS}]",
        "",
    ]
