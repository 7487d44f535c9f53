"""ITI-30 over a real socket: create, update, merge by PAM's rules, change of number, link and unlink."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from apps.pix.models import LocalIdentifier
from hie.transport.mllp_client import MllpClient
from tests.journeys.mllp import HOSPITAL, answer, cx, errors, header, recorded, region, said, sample, written

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def client(settings: object) -> Iterator[MllpClient]:
    settings.MLLP_PLAIN = True  # type: ignore[attr-defined]
    with region() as client:
        yield client


def told(trigger: str, control_id: str, value: str, birth_date: str = "19410503") -> bytes:
    return written(
        header(f"ADT^{trigger}^ADT_A05", control_id),
        "EVN||20260401103000+0900",
        f"PID|1||{cx(HOSPITAL, value)}||山田^健一^^^^^L^I~ヤマダ^ケンイチ^^^^^L^P||{birth_date}|M",
        "PV1|1|N",
    )


def pair(trigger: str, structure: str, control_id: str, new: str, old: str) -> bytes:
    return written(
        header(f"ADT^{trigger}^{structure}", control_id),
        "EVN||20260401103000+0900",
        f"PID|1||{cx(HOSPITAL, new)}||山田^健一^^^^^L^I",
        f"MRG|{cx(HOSPITAL, old)}",
    )


def charts() -> list[tuple[str, str]]:
    return list(LocalIdentifier.objects.order_by("pk").values_list("value", "status"))


@pytest.mark.parametrize(("name", "action"), [("a28-jis", "C"), ("a31-utf8", "U")])
def test_samples_are_taken_known_or_not(client: MllpClient, name: str, action: str) -> None:
    taken = answer(client, sample(f"ITI-30/{name}.hl7"))
    assert said(taken) == "AA"
    assert LocalIdentifier.objects.get().ideographic_family == "山本"
    assert [(each[0], each[1], each[2]) for each in recorded()] == [("ITI-30", action, 0)]


def test_pam_merges_by_its_own_rules(client: MllpClient) -> None:
    answer(client, told("A28", "M1", "1"))
    assert said(answer(client, pair("A40", "ADT_A39", "M2", "1", "unknown"))) == "AA"
    assert charts() == [("1", "active")]
    assert said(answer(client, pair("A40", "ADT_A39", "M3", "2", "1"))) == "AA"
    assert charts() == [("2", "active")]
    answer(client, told("A28", "M4", "3", "19500101"))
    assert said(answer(client, pair("A40", "ADT_A39", "M5", "3", "2"))) == "AA"
    assert charts() == [("2", "merged"), ("3", "active")]
    assert [each[1] for each in recorded()[-2:]] == ["D", "U"]
    assert {each[0] for each in recorded()} == {"ITI-30"}


def test_a_changed_number(client: MllpClient) -> None:
    answer(client, told("A28", "M1", "1"))
    assert said(answer(client, pair("A47", "ADT_A30", "M2", "100", "1"))) == "AA"
    assert charts() == [("100", "active")]
    assert recorded()[-1][1:3] == ("U", 0)


def test_a_change_onto_another_patients_number_is_refused(client: MllpClient) -> None:
    answer(client, told("A28", "M1", "1"))
    answer(client, told("A28", "M2", "2", "19500101"))
    refused = answer(client, pair("A47", "ADT_A30", "M3", "2", "1"))
    assert said(refused) == "AE"
    assert errors(refused) == [("PID^1^3^1^1", "205")]
    assert charts() == [("1", "active"), ("2", "active")]
    assert recorded()[-1][2] == 4


def two(trigger: str, control_id: str, one: str, other: str) -> bytes:
    return written(
        header(f"ADT^{trigger}^ADT_{trigger}", control_id),
        "EVN||20260401103000+0900",
        f"PID|1||{cx(HOSPITAL, one)}||山田^健一^^^^^L^I",
        f"PID|2||{cx(HOSPITAL, other)}||山田^健一^^^^^L^I",
    )


def persons() -> list[int]:
    return list(LocalIdentifier.objects.order_by("pk").values_list("person_id", flat=True))


def test_a_link_is_kept_and_undone(client: MllpClient) -> None:
    answer(client, told("A28", "M1", "1"))
    answer(client, told("A28", "M2", "2", "19500101"))
    assert len(set(persons())) == 2
    assert said(answer(client, two("A24", "M3", "1", "2"))) == "AA"
    assert charts() == [("1", "active"), ("2", "active")]
    assert len(set(persons())) == 1
    assert [(each[0], each[1], each[2]) for each in recorded()[-2:]] == [("ITI-30", "U", 0)] * 2
    assert [each[3].split("^")[0] for each in recorded()[-2:]] == ["1", "2"]
    assert said(answer(client, two("A37", "M4", "1", "2"))) == "AA"
    assert len(set(persons())) == 2
    assert [(each[1], each[2], each[3].split("^")[0]) for each in recorded()[-2:]] == [("U", 0, "1"), ("U", 0, "2")]


def test_a_link_of_unknown_patients_waits_for_them(client: MllpClient) -> None:
    assert said(answer(client, sample("ITI-30/a24.hl7"))) == "AA"
    assert charts() == []
    answer(client, told("A28", "M1", "0000123456"))
    answer(client, told("A28", "M2", "0000999999", "19500101"))
    assert len(set(persons())) == 1
    assert said(answer(client, sample("ITI-30/a37.hl7"))) == "AA"
    assert len(set(persons())) == 2


def test_a_link_of_a_patient_with_itself_is_refused(client: MllpClient) -> None:
    answer(client, told("A28", "M1", "1"))
    refused = answer(client, two("A24", "M2", "1", "1"))
    assert said(refused) == "AE"
    assert errors(refused)[0][0] == "PID^2^3^1^1"
    assert recorded()[-1][2] == 4


@pytest.mark.parametrize("name", ["refused-a47-without-mrg", "refused-a24-one-patient", "refused-version"])
def test_broken_messages_get_an_answer_and_the_connection_lives(client: MllpClient, name: str) -> None:
    assert said(answer(client, sample(f"ITI-30/{name}.hl7"))) in ("AE", "AR")
    assert charts() == []
    assert recorded()[-1][2] >= 4
    assert said(answer(client, told("A28", "M1", "1"))) == "AA"
