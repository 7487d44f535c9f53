"""The validator: what a receiver may refuse, and what it has to overlook."""

import pytest

from hie.values.errors import Reason
from hie.wire.hl7v2.message import Message
from hie.wire.hl7v2.structures import STRUCTURES, conformance, is_date, validate

HEAD = "MSH|^~\\&|HIS|HOSP1|HIE|R|20250401103000||ADT^A01|1|P|2.5"
EVENT, PATIENT, VISIT = "EVN||20250401", "PID|||1^^^A||Y^H||19600101|M", "PV1||I"
PRIOR = "MRG|2^^^A"


def _findings(check, structure, *segments):
    message = Message.read("\r".join(segments).encode())
    return [(finding.reason, finding.location) for finding in check(message, structure)]


@pytest.mark.parametrize("version", ["2.3.1", "2.5"])
@pytest.mark.parametrize("structure", ["ADT_A01", "ADT_A05", "ADT_A39", "ADT_A30"])
def test_a_right_message_has_no_findings(structure, version):
    rest = [PRIOR] if structure in ("ADT_A39", "ADT_A30") else [VISIT]
    assert _findings(conformance, structure, HEAD.replace("2.5", version), EVENT, PATIENT, *rest) == []


@pytest.mark.parametrize("structure", ["ADT_A24", "ADT_A37"])
def test_a_link_has_two_patients(structure):
    other = PATIENT.replace("1^^^A", "2^^^A")
    assert _findings(conformance, structure, HEAD, EVENT, PATIENT, other) == []
    assert _findings(validate, structure, HEAD, EVENT, PATIENT) == [(Reason.SEGMENT_SEQUENCE, "PID^2")]
    assert _findings(validate, structure, HEAD, EVENT, PATIENT, other, other) == [(Reason.SEGMENT_SEQUENCE, "PID^3")]
    assert _findings(validate, structure, HEAD, EVENT, PATIENT, "PID|||") == [(Reason.REQUIRED_MISSING, "PID^2^3")]


def test_a_right_query_has_no_findings():
    query = [HEAD, "QPD|IHE PIX Query|T|1^^^A", "RCP|I"]
    assert _findings(validate, "QBP_Q21", *query) == []
    assert "QBP_Q21" in STRUCTURES


@pytest.mark.parametrize(
    ("structure", "segments", "expected"),
    [
        ("ADT_A01", [HEAD, EVENT, VISIT], [(Reason.SEGMENT_SEQUENCE, "PID^1")]),
        ("ADT_A01", [HEAD, PATIENT, VISIT], [(Reason.SEGMENT_SEQUENCE, "EVN^1")]),
        ("ADT_A01", [HEAD, EVENT, PATIENT], [(Reason.SEGMENT_SEQUENCE, "PV1^1")]),
        ("ADT_A01", [HEAD, EVENT, VISIT, PATIENT], [(Reason.SEGMENT_SEQUENCE, "PV1^1")] ),
        ("ADT_A01", [HEAD, EVENT, PATIENT, PATIENT, VISIT], [(Reason.SEGMENT_SEQUENCE, "PID^2")]),
        ("ADT_A39", [HEAD, EVENT, PATIENT], [(Reason.SEGMENT_SEQUENCE, "MRG^1")]),
        ("ADT_A39", [HEAD, EVENT, PATIENT, PRIOR, PATIENT, PRIOR],
            [(Reason.SEGMENT_SEQUENCE, "PID^2"), (Reason.SEGMENT_SEQUENCE, "MRG^2")]),
        ("ADT_A01", [HEAD, "EVN|A01", PATIENT, VISIT], [(Reason.REQUIRED_MISSING, "EVN^1^2")]),
        ("ADT_A01", [HEAD, EVENT, "PID|||", VISIT],
            [(Reason.REQUIRED_MISSING, "PID^1^3"), (Reason.REQUIRED_MISSING, "PID^1^5")]),
        ("ADT_A01", [HEAD, EVENT, "PID|one||1||Y||1960/1/1|7", VISIT],
            [(Reason.WRONG_DATA_TYPE, "PID^1^1"), (Reason.WRONG_DATA_TYPE, "PID^1^7"),
             (Reason.NOT_IN_TABLE, "PID^1^8")]),
        ("ADT_A01", [HEAD, EVENT, PATIENT, "PV1||"], [(Reason.REQUIRED_MISSING, "PV1^1^2")]),
        ("QBP_Q21", [HEAD, "QPD|IHE PIX Query||", "RCP|I"],
            [(Reason.REQUIRED_MISSING, "QPD^1^2"), (Reason.REQUIRED_MISSING, "QPD^1^3")]),
        ("QBP_Q21", [HEAD, "QPD|Q|T|1"], [(Reason.SEGMENT_SEQUENCE, "RCP^1")]),
    ],
)  # fmt: skip
def test_what_may_be_refused(structure, segments, expected):
    assert _findings(validate, structure, *segments) == expected


@pytest.mark.parametrize(
    "segments",
    [
        [HEAD, EVENT, PATIENT, VISIT, "ZPI|x", "AAA|1|2|3"],
        [HEAD, "SFT|", EVENT, PATIENT, "PD1|", "NK1|", VISIT, "IN1|"],
        [HEAD, EVENT, PATIENT + "|" * 60 + "surplus", VISIT],
        [HEAD, EVENT, "PID|||1^^^A||Y^H||19600101~19600102|M", VISIT],
        [HEAD, EVENT, "PID|||1^^^A||Y^H||M|19600101", VISIT],
        [HEAD, EVENT, 'PID|||1^^^A||Y^H||""|""', VISIT],
        [HEAD, EVENT, "PID|0001||1^^^A||Y^H||00000000|U", VISIT],
        [HEAD, "EVN|A28|202504012530", PATIENT, VISIT],
    ],
)
def test_what_has_to_be_overlooked(segments):
    assert _findings(validate, "ADT_A01", *segments) == []


def test_conformance_tells_of_what_was_overlooked():
    found = _findings(conformance, "ADT_A01", HEAD, EVENT, "PID|||1||Y||1960~1961|M", VISIT, "AAA|1", "ZZ1|1")
    assert found == [(Reason.WRONG_DATA_TYPE, "PID^1^7^2"), (Reason.SEGMENT_SEQUENCE, "AAA^1")]


def test_a_merge_carries_no_demographics():
    assert _findings(validate, "ADT_A39", HEAD, EVENT, "PID|||1^^^A", PRIOR) == []


def test_findings_hold_no_values():
    message = Message.read(f"{HEAD}\r{EVENT}\rPID|||1||Y||SECRET|SECRET\r{VISIT}".encode())
    assert all("SECRET" not in finding.detail for finding in validate(message, "ADT_A01"))


@pytest.mark.parametrize(
    "text",
    ["2025", "202504", "20250401", "2025040110", "20250401103000.1234+0900", "20250401103000123", "202504012530",
     "00000000", "99999999", "99991231"],
)  # fmt: skip
def test_times_that_are_read(text):
    assert is_date(text)


@pytest.mark.parametrize("text", ["", "20251301", "20250230", "2025/04/01", "昭和35年", "202504014830", "20250401x"])
def test_times_that_are_none(text):
    assert not is_date(text)
