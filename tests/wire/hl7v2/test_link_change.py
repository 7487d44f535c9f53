"""ITI-64: documents of a local identifier change their person (ITI TF-2: 3.64)."""

import pytest

from hie.values.demographics_queries import LinkChange
from hie.values.errors import ExchangeError, Reason
from hie.values.identifiers import AssigningAuthority, Identifier
from hie.wire.hl7v2 import link_change
from hie.wire.hl7v2.message import Message
from hie.wire.hl7v2.structures import conformance
from hie.wire.hl7v2.writer import Parties
from tests.wire.hl7v2.samples import sample

HOSPITAL = AssigningAuthority("1.2.392.100495.20.3.51.11311234567", "HOSP1")
REGION = AssigningAuthority("1.2.392.200250.9.1.1", "REGION")
CHANGE = LinkChange(
    regional_id=Identifier("R2", REGION),
    previous_regional_id=Identifier("R1", REGION),
    local_identifier=Identifier("0000123456", HOSPITAL),
    manager_oid="2.25.4711",
    message_id="L0001",
    occurred_at="20250401103001+0900",
)
PARTIES = Parties("PIX", "RHIE", "REG", "RHIE")
MERGED = Identifier("0000999999", HOSPITAL)


@pytest.mark.parametrize(("name", "subsumed"), [("a43", None), ("a43-subsumed", MERGED)])
def test_what_is_read(name, subsumed):
    change = link_change.read_request(sample(f"ITI-64/{name}.hl7"))
    assert change.subsumed_local_identifier == subsumed
    assert (change.regional_id, change.previous_regional_id) == (CHANGE.regional_id, CHANGE.previous_regional_id)
    assert (change.local_identifier, change.manager_oid) == (CHANGE.local_identifier, CHANGE.manager_oid)


@pytest.mark.parametrize("subsumed", [None, MERGED])
def test_what_is_written_is_read(subsumed):
    change = LinkChange(
        CHANGE.regional_id,
        CHANGE.previous_regional_id,
        CHANGE.local_identifier,
        subsumed,
        "2.25.4711",
        "L0001",
        "20250401103001+0900",
    )
    message = Message.read(link_change.write_request(change, PARTIES))
    assert link_change.read_request(message) == change
    assert message.first("PID").field(5) == " "
    assert message.header.field(3) == "^2.25.4711^ISO"
    assert conformance(message, "ADT_A43") == []


@pytest.mark.parametrize(("name", "accepted"), [("a43", "CA"), ("a43-subsumed", "AA")])
def test_the_acknowledgement_is_of_the_mode_that_was_asked_for(name, accepted):
    message = sample(f"ITI-64/{name}.hl7")
    answer = Message.read(link_change.write_response(message))
    assert answer.first("MSA").field(1) == accepted
    link_change.read_response(answer)


def test_ids_without_oid_and_too_few_of_them_are_refused():
    message = sample("ITI-64/refused-one-id.hl7")
    with pytest.raises(ExchangeError) as caught:
        link_change.read_request(message)
    assert [finding.location for finding in caught.value.findings] == ["PID^1^3", "PID^1^3^1^4"]
    assert caught.value.reason is Reason.REQUIRED_MISSING
    answer = Message.read(link_change.write_error(message, caught.value))
    assert answer.first("MSA").field(1) == "CE"


def test_names_of_places():
    error = ExchangeError(Reason.UNKNOWN_KEY, "Not known here.", "prior identifier[1]")
    answer = Message.read(link_change.write_error(sample("ITI-64/a43-subsumed.hl7"), error))
    assert (answer.first("MSA").field(1), answer.first("ERR").field(2)) == ("AE", "MRG^1^1^1^1")


def test_a_subsumed_number_is_of_the_domain_of_the_surviving_one():
    text = sample("ITI-64/a43-subsumed.hl7").text
    foreign = text.replace("~0000999999^^^HOSP1&1.2.392.100495.20.3.51.11311234567&ISO", "~9^^^&1.2.3&ISO")
    with pytest.raises(ExchangeError) as caught:
        link_change.read_request(Message.read(foreign.encode()))
    assert [(each.reason, each.location) for each in caught.value.findings] == [(Reason.UNKNOWN_DOMAIN, "MRG^1^1^2^4")]
