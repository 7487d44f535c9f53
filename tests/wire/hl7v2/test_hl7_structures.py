"""What the checker of written messages finds wrong, so that its silence says something."""

from __future__ import annotations

import pytest

from hie.wire.hl7v2.message import Message
from tests.hl7_structures import departures

HEADER = "MSH|^~\\&|A|B|C|D|20260401093000||{}|M1|P|2.5"
ANSWER = [HEADER.format("RSP^K22^RSP_K21"), "MSA|AA|M0", "QAK|T|OK|N", "QPD|N|T|@PID.5.1^A", "PID|1||7||A^B", "QRI|9"]
UPDATE = [HEADER.format("ADT^A31^ADT_A05"), "EVN||20260401", "PID|||7||A^B", "PV1||N"]


def found(*segments: str) -> list[str]:
    return departures(Message.read("\r".join(segments).encode()))


def test_what_is_right() -> None:
    assert found(*ANSWER) == []
    assert found(*ANSWER, *ANSWER[4:]) == []
    assert found(*UPDATE) == []
    assert (
        found(HEADER.format("ACK^A31^ACK"), "MSA|AE|M0", "ERR||PID^1|204^x^HL70357|E", "ERR||PID^1|204^x^HL70357|E")
        == []
    )


@pytest.mark.parametrize(
    ("segments", "said"),
    [
        ([*ANSWER[:2], *ANSWER[3:]], "QAK is missing"),
        ([ANSWER[0], ANSWER[2], ANSWER[1], *ANSWER[3:]], "MSA is missing"),
        ([*ANSWER, "PV1||N"], "PV1 is not expected here"),
        (ANSWER[:5], "QRI is missing"),
        ([*UPDATE[:2], "PID|||7", UPDATE[3]], "PID-5 is required"),
        ([*UPDATE[:2], "PID||7~8|7||A^B", UPDATE[3]], "PID-2 repeats too often"),
        ([*UPDATE[:1], "EVN||1|2|3|4|5|6|7|8", *UPDATE[2:]], "EVN has more than 7 fields"),
    ],
)
def test_what_is_wrong(segments: list[str], said: str) -> None:
    assert said in found(*segments)
