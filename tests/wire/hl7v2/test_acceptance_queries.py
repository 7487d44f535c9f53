"""Public acceptance cases and messages of other implementations for PDQ, notifications, encounters and link changes."""

import json

import pytest
from lxml import etree

from hie.values.errors import ExchangeError
from hie.wire.hl7v2 import (
    cancel_query,
    demographics_query,
    encounter_feed,
    link_change,
    update_notification,
    visit_query,
)
from hie.wire.hl7v2.message import Message
from tests.conformance import CONFORMANCE, needs_conformance
from tests.wire.hl7v2.test_link_change import CHANGE, PARTIES

ID = "1^^^&1.2.3&ISO"
BODIES = {
    "QBP": "QPD|IHE PDQ Query|T|@PID.5.1.1^A\rRCP|I\r",
    "QCN": "QID|T|IHE PDQ Query\r",
    "ADT": f"EVN||20250401\rPID|||{ID}~{ID}||A\r{{merge}}PV1||O\r",
    "MDM": "",
}
CODECS = {
    "ITI-10": update_notification,
    "ITI-21": demographics_query,
    "ITI-22": visit_query,
    "ITI-31": encounter_feed,
    "ITI-64": link_change,
}


def _cases():
    place = CONFORMANCE / "cases" / "hl7v2-acceptance.json"
    if not place.is_file():
        return
    cases = json.loads(place.read_text(encoding="utf-8"))["cases"]
    for number in CODECS:
        for outcome in ("ok", "nak"):
            for case in cases[number][outcome]:
                yield number, case, outcome == "ok"


def _refusal(codec, message):
    try:
        codec.read_request(message)
    except ExchangeError as error:
        return Message.read(codec.write_error(message, error)).first("MSA").field(1)
    return None


@needs_conformance
@pytest.mark.parametrize(("number", "case", "accepted"), list(_cases()))
def test_type_trigger_structure_and_version(number, case, accepted):
    message_type, version = case.split(" ")[:2]
    body = BODIES[message_type[:3]].format(merge=f"MRG|{ID}\r" if "A43" in message_type else "")
    message = Message.read(f"MSH|^~\\&|A|B|C|D|20250401||{message_type}|1|P|{version}\r{body}".encode())
    codec = cancel_query if message_type.startswith("QCN") else CODECS[number]
    assert _refusal(codec, message) == (None if accepted else "AR")


HL7V2 = "hl7v2/"
V2_OF_V3 = "hl7v3/translation/"


@needs_conformance
@pytest.mark.parametrize(
    ("name", "codec", "answer"),
    [
        (HL7V2 + "from-tests/iti10-adt-a31-25.hl7", update_notification, None),
        (HL7V2 + "from-tests/iti21-qbp-q22-25.hl7", demographics_query, None),
        (HL7V2 + "from-tests/iti21-qbp-q22-continuation-1rd.hl7", demographics_query, None),
        (HL7V2 + "from-tests/iti21-qbp-q22-umlaut-utf8.hl7", demographics_query, None),
        (HL7V2 + "from-tests/iti21-qcn-j01-cancel.hl7", cancel_query, None),
        (HL7V2 + "from-tests/iti22-qbp-zv1-25.hl7", visit_query, None),
        (HL7V2 + "from-tests/iti31-adt-a01-25.hl7", encounter_feed, None),
        (HL7V2 + "from-tests/iti64-adt-a43-25.hl7", link_change, None),
        (HL7V2 + "camel-hl7/iti-10.hl7", update_notification, None),
        (HL7V2 + "camel-hl7/iti-21.hl7", demographics_query, None),
        (HL7V2 + "ihe-hl7v2/qbp.hl7", demographics_query, "AE"),  # MSH-7 is required (ITI TF-2: C.2.2) and absent
        (V2_OF_V3 + "pdq/v2/PDQ_ID_Query.hl7", demographics_query, None),
        (V2_OF_V3 + "pdq/v2/PDQ_Maximal_Query.hl7", demographics_query, None),
        (V2_OF_V3 + "pixupdatenotification/v2/adt-a31-1.hl7", update_notification, None),
        (V2_OF_V3 + "pixupdatenotification/v2/adt-a31-2.hl7", update_notification, None),
    ],
)
def test_messages_of_other_implementations(name, codec, answer):
    assert _refusal(codec, Message.read((CONFORMANCE / "messages" / name).read_bytes())) == answer


@needs_conformance
@pytest.mark.parametrize(
    ("name", "values", "pointer"),
    [
        (HL7V2 + "from-tests/iti21-rsp-k22-4hits.hl7", ["79471", "78001", "79653", "79233"], ""),
        (HL7V2 + "fhir-pixpdq/pdqquery/v2/ok-2_Response.hl7", ["79007"], "1"),
        (V2_OF_V3 + "pdq/v2/PDQ_Maximal_Query_Response.hl7", ["305013"], ""),
        (V2_OF_V3 + "pdq/v2/PDQ_with_PID4_Response.hl7", ["PDQ113XX0001", "78007"], ""),
    ],
)
def test_answers_of_other_suppliers(name, values, pointer):
    result = demographics_query.read_response(Message.read((CONFORMANCE / "messages" / name).read_bytes()))
    assert [match.identifiers[0].value for match in result.matches] == values
    assert result.pointer == pointer


@needs_conformance
def test_the_published_profile_of_a43_is_kept():
    """Segments and required fields of the Gazelle profile, read from it rather than remembered."""
    profile = next((CONFORMANCE / "hl7v2-profiles").glob("*ITI-64*.xml"))
    required = {
        (segment.get("Name"), number)
        for segment in etree.parse(str(profile)).getroot().iter("Segment")
        if segment.get("Usage") == "R"
        for number, field in enumerate(segment.findall("Field"), 1)
        if field.get("Usage") == "R"
    }
    message = Message.read(link_change.write_request(CHANGE, PARTIES))
    segments = {name: message.first(name) for name, _ in required}
    missing = {(name, number) for name, number in required if not (segments[name] and segments[name].field(number))}
    assert required
    assert missing == set()
