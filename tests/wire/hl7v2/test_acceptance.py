"""The public acceptance cases of other implementations; where we differ, the reason stands beside the case."""

import json

import pytest

from hie.values.errors import ExchangeError
from hie.wire.hl7v2 import patient_feed, pix_query
from hie.wire.hl7v2.message import Message
from tests.conformance import CONFORMANCE, needs_conformance

BODIES = {
    "ADT": "EVN||20250401\rPID|||1^^^A||Y^H||19600101|M\r{second}PV1||O\r",
    "QBP": "QPD|IHE PIX Query|T|1^^^A\rRCP|I\r",
    "MDM": "",
}
SECOND = {"A40": "MRG|2^^^A\r", "A24": "PID|||2^^^A||Y^H\r"}
DIFFERENCES = {
    ("ITI-8", "ADT^A01 2.5"): "Japanese hospitals send the triggers of ITI-8 in HL7 2.5; they are taken.",
}
CODECS = {"ITI-8": patient_feed, "ITI-30": patient_feed, "ITI-9": pix_query}


def _cases():
    place = CONFORMANCE / "cases" / "hl7v2-acceptance.json"
    if not place.is_file():
        return
    cases = json.loads(place.read_text(encoding="utf-8"))["cases"]
    for number in CODECS:
        for outcome in ("ok", "nak"):
            for case in cases[number][outcome]:
                yield number, case, (outcome == "ok") != ((number, case) in DIFFERENCES)


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
    body = BODIES[message_type[:3]].format(second=SECOND.get(message_type[4:7], ""))
    message = Message.read(f"MSH|^~\\&|A|B|C|D|20250401||{message_type}|1|P|{version}\r{body}".encode())
    assert _refusal(CODECS[number], message) == (None if accepted else "AR")


@needs_conformance
@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("from-tests/iti8-adt-a01-231.hl7", None),
        ("from-tests/iti8-adt-a01-unknown-segment.hl7", None),  # a receiver ignores unknown segments (TF-2: C.1)
        ("from-tests/iti8-adt-a01-without-pid.hl7", "AE"),
        ("from-tests/iti8-wrong-event-a02.hl7", "AR"),
        ("from-tests/iti8-wrong-structure.hl7", "AR"),
        ("from-tests/iti8-wrong-version-25.hl7", None),  # DIFFERENCES
        ("from-tests/iti9-qbp-q23-25.hl7", None),
        ("from-tests/iti30-adt-a28-25.hl7", None),
        ("mllp-iti8/hl7v2message.hl7", None),
        ("mllp-iti8/iti8-a01-incomplete.hl7", "AE"),
        ("mllp-iti8/iti8-a40.hl7", None),
        ("mllp-iti8/iti8-a40-iso-8859-1.hl7", None),
        ("camel-hl7/iti-8.hl7", None),
    ],
)
def test_messages_of_other_implementations(name, answer):
    message = Message.read((CONFORMANCE / "messages" / "hl7v2" / name).read_bytes())
    codec = pix_query if message.trigger.startswith("QBP") else patient_feed
    assert _refusal(codec, message) == answer


@needs_conformance
@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("fhir-pixpdq/pixquery/v2/ok-1_Response.hl7", ["78912"]),
        ("fhir-pixpdq/pixquery/v2/nf-1_Response.hl7", []),
        ("fhir-pixpdq/pixquery/v2/err-1_Response.hl7", None),
        ("from-tests/iti9-rsp-k23-ok.hl7", ["79471", "78912"]),
    ],
)
def test_answers_of_other_managers(name, values):
    message = Message.read((CONFORMANCE / "messages" / "hl7v2" / name).read_bytes())
    if values is None:
        with pytest.raises(ExchangeError, match="UNKNOWN_KEY"):
            pix_query.read_response(message)
        return
    assert [each.value for each in pix_query.read_response(message).identifiers] == values


@needs_conformance
def test_every_public_v2_message_can_be_read():
    files = sorted((CONFORMANCE / "messages").rglob("*.hl7"))
    assert len(files) > 50
    for path in files:
        assert Message.read(path.read_bytes()).segments
