"""ITI-8 over a real socket: answered, refused, broken; one audit record each time, two of a merge."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from apps.pix import queries
from apps.pix.models import LocalIdentifier
from hie.transport.mllp_client import MllpClient
from hie.values.identifiers import AssigningAuthority, Identifier
from tests.journeys.mllp import (
    CLINIC,
    HOSPITAL,
    PHARMACY,
    answer,
    cx,
    errors,
    header,
    recorded,
    region,
    said,
    sample,
    written,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def client(settings: object) -> Iterator[MllpClient]:
    settings.MLLP_PLAIN = True  # type: ignore[attr-defined]
    with region() as client:
        yield client


def registration(
    control_id: str, facility: str, value: str, name: str, kana: str, birth_date: str = "19410503"
) -> bytes:
    names = f"{name}^^^^^L^I~{kana}^^^^^L^P"
    return written(
        header("ADT^A04^ADT_A01", control_id, version="2.3.1", facility=facility),
        "EVN||20260401103000+0900",
        f"PID|1||{cx(facility, value)}||{names}||{birth_date}|M",
        "PV1|1|O",
    )


def merge(control_id: str, survivor: str, subsumed: str, facility: str = HOSPITAL) -> bytes:
    return written(
        header("ADT^A40^ADT_A39", control_id, version="2.3.1"),
        "EVN||20260401103000+0900",
        f"PID|1||{cx(facility, survivor)}||YAMADA^KENICHI",
        f"MRG|{cx(facility, subsumed)}",
    )


def person_of(facility: str, value: str) -> str | None:
    oid = f"1.2.392.100495.20.3.51.1{facility}"
    return queries.regional_id_of(Identifier(value, AssigningAuthority(oid=oid)))


def test_the_customers_person_is_one_person(client: MllpClient) -> None:
    for control_id, facility, value, name, kana in (
        ("M1", HOSPITAL, "000111", "山田^健一", "ヤマダ^ケンイチ"),
        ("M2", CLINIC, "aa12", "山田^健一", "ﾔﾏﾀﾞ^ｹﾝｲﾁ"),
        ("M3", PHARMACY, "い312", "山田　健一", "やまだ^けんいち"),
    ):
        assert said(answer(client, registration(control_id, facility, value, name, kana))) == "AA"
    (person,) = {person_of(HOSPITAL, "000111"), person_of(CLINIC, "aa12"), person_of(PHARMACY, "い312")}
    assert person is not None
    assert [(transaction, action, outcome) for transaction, action, outcome, _ in recorded()] == [("ITI-8", "C", 0)] * 3
    assert recorded()[2][3].startswith("い312^^^")


@pytest.mark.parametrize("name", ["a01-ascii-ids-only", "a04-jis", "a04-25-utf8", "a05-lf", "a08-deletes"])
def test_samples_are_taken(client: MllpClient, name: str) -> None:
    assert said(answer(client, sample(f"ITI-8/{name}.hl7"))) == "AA"
    row = LocalIdentifier.objects.get()
    assert (row.value[:9], row.facility_code) == ("000012345", HOSPITAL)
    assert len(recorded()) == 1


def test_japanese_in_two_character_sets_is_one_patient(client: MllpClient) -> None:
    answer(client, sample("ITI-8/a04-jis.hl7"))
    first = LocalIdentifier.objects.values().get()
    answer(client, sample("ITI-8/a04-25-utf8.hl7"))
    second = LocalIdentifier.objects.values().get()
    assert first["ideographic_family"] == "山本"
    assert {key: first[key] for key in first if key != "last_seen"} == {
        key: second[key] for key in second if key != "last_seen"
    }


def test_a_merge_leaves_two_records(client: MllpClient) -> None:
    answer(client, registration("M1", HOSPITAL, "1", "山田^健一", "ヤマダ^ケンイチ"))
    answer(client, registration("M2", HOSPITAL, "9", "山田^健", "ヤマダ^ケン", "19410504"))
    survivor = person_of(HOSPITAL, "1")
    assert said(answer(client, merge("M3", "1", "9"))) == "AA"
    assert (person_of(HOSPITAL, "1"), person_of(HOSPITAL, "9")) == (survivor, None)
    (_, deleted, _, subsumed), (_, updated, _, surviving) = recorded()[2:]
    assert (deleted, subsumed[:4]) == ("D", "9^^^")
    assert (updated, surviving[:4]) == ("U", "1^^^")


def test_a_repeated_message_is_accepted_and_does_nothing(client: MllpClient) -> None:
    first = registration("M1", HOSPITAL, "1", "山田^健一", "ヤマダ^ケンイチ")
    answer(client, first)
    answer(client, registration("M2", HOSPITAL, "1", "山田^健一", "ヤマダ^ケンイチ", "19410504"))
    assert said(answer(client, first)) == "AA"
    assert LocalIdentifier.objects.get().birth_date == "19410504"
    assert len(recorded()) == 3


REFUSALS = {
    "the merge names an unknown number": (merge("M9", "1", "99"), "AE", "MRG^1^1^204&"),
    "the merge names an unknown survivor": (merge("M9", "99", "1"), "AE", "PID^1^3^204&"),
    "both numbers are the same": (merge("M9", "1", "1"), "AE", "MRG^1^1^204&"),
    "the number is of another facility": (
        registration("M9", CLINIC, "1", "山田^健一", "ヤマダ^ケンイチ").replace(b"|CLIN1|HIE", b"|HOSP1|HIE"),
        "AE",
        "PID^1^3^204&",
    ),
    "the number's domain is unknown": (
        registration("M9", HOSPITAL, "1", "山田^健一", "ヤマダ^ケンイチ")
        .replace(b"1311234567", b"9999999999")
        .replace(b"^^^HOSP1&", b"^^^&"),
        "AE",
        "PID^1^3^204&",
    ),
    "nobody sends under this name": (
        registration("M9", HOSPITAL, "1", "山田^健一", "ヤマダ^ケンイチ").replace(b"|HIS|HOSP1|", b"|HIS|NOBODY|"),
        "AR",
        "",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals_change_nothing_and_are_recorded(client: MllpClient, case: str) -> None:
    answer(client, registration("M1", HOSPITAL, "1", "山田^健一", "ヤマダ^ケンイチ"))
    before = list(LocalIdentifier.objects.values())
    message, acknowledgement, place = REFUSALS[case]
    refused = answer(client, message)
    assert said(refused) == acknowledgement
    assert place in refused.text
    assert list(LocalIdentifier.objects.values()) == before
    assert all(outcome for _, _, outcome, _ in recorded()[1:])
    assert len(recorded()) > 1


@pytest.mark.parametrize("name", ["many-findings", "structure", "version", "without-pid"])
def test_broken_messages_get_an_answer_and_the_connection_lives(client: MllpClient, name: str) -> None:
    assert said(answer(client, sample(f"ITI-8/refused-{name}.hl7"))) in ("AE", "AR")
    assert LocalIdentifier.objects.count() == 0
    assert recorded()[-1][2] >= 4
    assert said(answer(client, registration("M1", HOSPITAL, "1", "山田^健一", "ヤマダ^ケンイチ"))) == "AA"


def test_bytes_that_are_no_message_are_answered(client: MllpClient) -> None:
    assert said(answer(client, b"\xff\xfe not HL7")) == "AR"
    assert said(answer(client, registration("M1", HOSPITAL, "1", "山田^健一", "ヤマダ^ケンイチ"))) == "AA"


def test_a_my_number_is_refused_and_kept_nowhere(client: MllpClient) -> None:
    name = "山田^健一 個人番号 983205673214"
    refused = answer(client, registration("M1", HOSPITAL, "1", name, "ヤマダ^ケンイチ"))
    assert said(refused) == "AE"
    assert "983205673214" not in refused.text
    assert LocalIdentifier.objects.count() == 0
    assert errors(refused)
