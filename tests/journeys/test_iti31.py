"""ITI-31 over a real socket: stays are recorded, conflicts discarded or refused, unknown events rejected."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from apps.pix.models import Encounter, LocalIdentifier, MatchDecision
from hie.transport.mllp_client import MllpClient
from tests.journeys.mllp import HOSPITAL, answer, cx, errors, header, recorded, region, said, sample, written

pytestmark = pytest.mark.django_db(transaction=True)

STRUCTURES = {
    "A01": "ADT_A01",
    "A02": "ADT_A02",
    "A03": "ADT_A03",
    "A11": "ADT_A09",
    "A12": "ADT_A12",
    "A13": "ADT_A01",
}
STRUCTURES |= {"A04": "ADT_A01", "A08": "ADT_A01", "Z99": "ADT_A01", "A60": "ADT_A60"}


@pytest.fixture
def client(settings: object) -> Iterator[MllpClient]:
    settings.MLLP_PLAIN = True  # type: ignore[attr-defined]
    with region() as client:
        yield client


def event(trigger: str, control_id: str, ward: str = "3W", zbe: str = "", visit: str = "V1") -> bytes:
    segments = [
        header(f"ADT^{trigger}^{STRUCTURES[trigger]}", control_id),
        "EVN||20260401103000+0900||||20260401100000+0900",
        f"PID|||{cx(HOSPITAL, '1')}||山田^太郎^^^^^L^I||19600101|M",
        f"PV1||I|{ward}" + "|" * 16 + visit,
    ]
    return written(*segments, *([zbe] if zbe else []))


def test_a_stay_from_admission_to_discharge_and_back(client: MllpClient) -> None:
    for number, (trigger, ward, state) in enumerate(
        [
            ("A01", "3W", "open"),
            ("A02", "4E", "open"),
            ("A12", "3W", "open"),
            ("A03", "3W", "closed"),
            ("A13", "3W", "open"),
            ("A11", "3W", "cancelled"),
        ]
    ):
        assert said(answer(client, event(trigger, f"E{number}", ward))) == "AA"
        row = Encounter.objects.get()
        assert (row.state, row.ward) == (state, ward)
    assert [row[:3] for row in recorded()] == [("ITI-31", action, 0) for action in ("C", "U", "D", "U", "D", "D")]


def test_conflicts(client: MllpClient) -> None:
    assert said(answer(client, event("A11", "E1"))) == "AA"
    assert said(answer(client, event("A01", "E2"))) == "AA"
    refused = answer(client, event("A01", "E3", visit="V2"))
    assert (said(refused), errors(refused)) == ("AE", [("PV1^1^19", "205")])
    assert said(answer(client, event("A04", "E4", visit="V3"))) == "AA"
    unknown = answer(client, event("Z99", "E5", zbe="ZBE|M9|20260401||UPDATE|Y|A02"))
    assert (said(unknown), errors(unknown)) == ("AE", [("ZBE^1^1^1", "204")])
    rejected = answer(client, event("A60", "E6"))
    assert (said(rejected), errors(rejected)) == ("AR", [("MSH^1^9^1^2", "201")])
    assert [row[2] for row in recorded()] == [0, 0, 4, 0, 4, 8]


def test_a_transfer_of_somebody_unknown_begins_a_stay(client: MllpClient) -> None:
    assert said(answer(client, event("A02", "E1", "4E"))) == "AA"
    assert (Encounter.objects.get().state, Encounter.objects.get().ward) == ("open", "4E")


def test_somebody_whom_nobody_knows_is_linked_with_nobody(client: MllpClient) -> None:
    for number, (value, unknown) in enumerate((("1", ""), ("T1", "|" * 23 + "Y|AL"))):
        message = event("A01", f"E{number}", visit=f"V{number}").replace(
            b"||19600101|M", f"||19600101|M{unknown}".encode()
        )
        assert said(answer(client, message.replace(cx(HOSPITAL, "1").encode(), cx(HOSPITAL, value).encode()))) == "AA"
    known, unknown = LocalIdentifier.objects.order_by("pk")
    assert known.person_id != unknown.person_id
    assert (unknown.ideographic_family, unknown.birth_date, unknown.sex) == ("", "", "M")
    assert not MatchDecision.objects.exists()


def test_a_sender_in_enhanced_mode(client: MllpClient) -> None:
    def enhanced(message: bytes) -> bytes:
        return message.replace(b"|P|2.5||||||UNICODE", b"|P|2.5|||AL|NE||UNICODE", 1)

    assert said(answer(client, enhanced(event("A01", "E1")))) == "CA"
    assert said(answer(client, enhanced(event("A01", "E2", visit="V2")))) == "CE"


def test_a_nul_in_a_name_is_no_reason_to_lose_the_patient(client: MllpClient) -> None:
    for number, nul in enumerate((b"\\X00\\", bytes(1))):
        name = "山".encode() + nul + "田".encode()
        message = event("A01", f"E{number}", visit=f"V{number}").replace("山田".encode(), name)
        assert said(answer(client, message.replace(b"PV1||I", b"PV1||O"))) == "AA"
    assert Encounter.objects.first().record.ideographic_family == "山田"  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["refused-event", "refused-movement", "refused-z99-without-zbe"])
def test_broken_events_get_an_answer_and_the_connection_lives(client: MllpClient, name: str) -> None:
    assert said(answer(client, sample(f"ITI-31/{name}.hl7"))) in ("AE", "AR")
    assert said(answer(client, event("A01", "E1"))) == "AA"
