"""ITI-21 over a real socket, with an independent HL7 client: found, paged, hidden, refused, each recorded."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator

import hl7
import pytest
from hl7.client import MLLPClient

from apps.atna.models import AuditRecord
from hie.exchange.remembered import forget_all
from hie.transport.mllp_client import MllpClient
from hie.wire.hl7v2.message import Message
from tests.conformance import CONFORMANCE, needs_conformance
from tests.journeys.mllp import CLINIC, HOSPITAL, PHARMACY, answer, cx, errors, header, recorded, region, said, written

pytestmark = pytest.mark.django_db(transaction=True)

PEOPLE = (
    ("1", "山田^太郎", "ヤマダ^タロウ", "19600101", "M"),
    ("2", "山田^花子", "ヤマダ^ハナコ", "19620202", "F"),
    ("3", "山崎^京子", "ヤマザキ^キョウコ", "19700303", "F"),
    ("4", "山田^次郎", "ヤマダ^ジロウ", "19640404", "M"),
    ("5", "山田^三郎", "ヤマダ^サブロウ", "19660505", "M"),
)


@pytest.fixture
def client(settings: object) -> Iterator[MllpClient]:
    settings.MLLP_PLAIN = True  # type: ignore[attr-defined]
    settings.CONSENT_DEFAULT = "opt-out"  # type: ignore[attr-defined]
    with region() as client:
        for number, kanji, kana, born, sex in PEOPLE:
            told = written(
                header("ADT^A28^ADT_A05", f"F{number}"),
                "EVN||20260401103000+0900",
                f"PID|1||{cx(HOSPITAL, number)}||{kanji}^^^^^L^I~{kana}^^^^^L^P||{born}|{sex}",
                "PV1|1|N",
            )
            assert said(answer(client, told)) == "AA"
        yield client


def query(
    *parameters: str, domains: str = "", control_id: str = "Q1", quantity: str = "", pointer: str = "",
    tag: str = "T1", facility: str = HOSPITAL, trigger: str = "QBP^Q22^QBP_Q21",
) -> bytes:  # fmt: skip
    segments = [
        header(trigger, control_id, facility=facility),
        f"QPD|IHE PDQ Query|{tag}|{'~'.join(parameters)}|||||{domains}",
        f"RCP|I|{quantity}",
    ]
    return written(*segments, *([f"DSC|{pointer}|I"] if pointer else []))


def found(message: Message) -> list[str]:
    return sorted(each.repetitions(3)[-1].split("^")[0] for each in message.all("PID"))


def qak(message: Message) -> tuple[str, ...]:
    segment = message.first("QAK")
    assert segment is not None
    return tuple(segment.field(number) for number in (1, 2, 4, 5, 6))


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        (("@PID.5.1.1^山田", "@PID.8^F"), ["2"]),
        (("@PID.5.1.1^やま*",), ["1", "2", "3", "4", "5"]),
        (("@PID.5.1.1^ﾔﾏﾀﾞ", "@PID.7^1960"), ["1"]),
        (("@PID.3.1^3", f"@PID.3.4.2^1.2.392.100495.20.3.51.1{HOSPITAL}"), ["3"]),
    ],
)
def test_people_are_found(client: MllpClient, parameters: tuple[str, ...], expected: list[str]) -> None:
    reply = answer(client, query(*parameters))
    assert (said(reply), qak(reply)[:2], found(reply)) == ("AA", ("T1", "OK"), expected)


def test_an_independent_client_asks_and_reads(client: MllpClient) -> None:
    host, port = client._address
    with MLLPClient(host, port) as theirs:
        reply = hl7.parse(theirs.send_message(query("@PID.5.1.1^山田").decode()).strip(b"\x0b\x1c\r").decode())
    assert str(reply.segment("MSA")[1]) == "AA"
    assert str(reply.segment("MSH")[9]) == "RSP^K22^RSP_K21"
    assert len(reply.segments("PID")) == 4
    assert {str(each[5][0][0]) for each in reply.segments("PID")} == {"山田"}


def test_nobody(client: MllpClient) -> None:
    reply = answer(client, query("@PID.5.1.1^無い"))
    assert (said(reply), qak(reply)[1], found(reply)) == ("AA", "NF", [])
    assert recorded()[-1][:3] == ("ITI-21", "E", 0)


def test_domains(client: MllpClient) -> None:
    oid = f"^^^&1.2.392.100495.20.3.51.1{HOSPITAL}&ISO"
    reply = answer(client, query("@PID.5.1.1^山崎", domains=oid))
    assert [len(each.repetitions(3)) for each in reply.all("PID")] == [1]
    elsewhere = answer(client, query("@PID.5.1.1^山崎", domains=f"^^^&1.2.392.100495.20.3.51.1{CLINIC}&ISO"))
    assert (said(elsewhere), qak(elsewhere)[1], found(elsewhere)) == ("AA", "NF", [])
    unknown = answer(client, query("@PID.5.1.1^山崎", domains=f"^^^&9.9.8&ISO~{oid}~^^^&9.9.9&ISO"))
    assert (said(unknown), qak(unknown)[1], found(unknown)) == ("AE", "AE", [])
    assert errors(unknown) == [("QPD^1^8^1", "204"), ("QPD^1^8^3", "204")]


def test_four_hits_come_one_by_one(client: MllpClient) -> None:
    told, counts, pointer = [], [], ""
    for page in range(4):
        reply = answer(client, query("@PID.5.1.1^山田", control_id=f"P{page}", quantity="1^RD", pointer=pointer))
        segment = reply.first("DSC")
        pointer = segment.field(1) if segment else ""
        told += found(reply)
        counts.append(qak(reply)[2:])
    assert sorted(told) == ["1", "2", "4", "5"]
    assert counts == [("4", "1", "3"), ("4", "1", "2"), ("4", "1", "1"), ("4", "1", "0")]
    assert pointer == ""


def test_a_cancelled_query_goes_no_further(client: MllpClient) -> None:
    reply = answer(client, query("@PID.5.1.1^山田", quantity="1^RD"))
    pointer = reply.first("DSC").field(1)  # type: ignore[union-attr]
    cancelled = answer(client, written(header("QCN^J01^QCN_J01", "C1"), "QID|T1|IHE PDQ Query"))
    assert said(cancelled) == "AA"
    reply = answer(client, query("@PID.5.1.1^山田", control_id="P9", quantity="1^RD", pointer=pointer))
    assert (said(reply), errors(reply)) == ("AE", [("DSC^1^1", "204")])


def test_a_pointer_of_another_system_is_unknown(client: MllpClient) -> None:
    pointer = answer(client, query("@PID.5.1.1^山田", quantity="1^RD")).first("DSC").field(1)  # type: ignore[union-attr]
    reply = answer(client, query("@PID.5.1.1^山田", quantity="1^RD", pointer=pointer, facility=PHARMACY))
    assert (said(reply), errors(reply)) == ("AE", [("DSC^1^1", "204")])


def test_without_consent_strangers_find_nobody(client: MllpClient, settings: object) -> None:
    settings.CONSENT_DEFAULT = "opt-in"  # type: ignore[attr-defined]
    forget_all()
    reply = answer(client, query("@PID.5.1.1^山田", facility=CLINIC))
    assert (said(reply), qak(reply)[1], found(reply)) == ("AA", "NF", [])
    assert found(answer(client, query("@PID.5.1.1^山田"))) == ["1", "2", "4", "5"]


def test_the_record_names_who_was_told_and_the_query(client: MllpClient) -> None:
    message = query("@PID.5.1.1^山田", "@PID.8^M", control_id="Q77")
    before = AuditRecord.objects.count()
    answer(client, message)
    rows = list(AuditRecord.objects.order_by("id")[before:])
    assert [(row.transaction, row.event_id, row.action, row.outcome) for row in rows] == [
        ("ITI-21", "110112", "E", 0)
    ] * 3
    assert len({row.patient_regional_id for row in rows}) == 3
    text = bytes(rows[0].message).decode().split("<ParticipantObjectQuery>")[1].split("<")[0]
    assert b64decode(text) == message


@pytest.mark.parametrize("parameters", [("@PID.3.1^3",), ("@PID.5.1.1^*",), ("@PID.7^gestern",), ("PV1.3",)])
def test_broken_queries_get_an_answer_and_the_connection_lives(client: MllpClient, parameters: tuple[str, ...]) -> None:
    reply = answer(client, query(*parameters))
    assert said(reply) == "AE"
    assert recorded()[-1][2] >= 4
    assert found(answer(client, query("@PID.5.1.1^山崎"))) == ["3"]


@needs_conformance
@pytest.mark.parametrize("number", ["ITI-21", "ITI-22", "ITI-31", "ITI-64", "ITI-10"])
def test_the_published_acceptance_cases(client: MllpClient, number: str) -> None:
    """Wrong types, triggers, versions and structures are refused as the published cases say."""
    cases = json.loads((CONFORMANCE / "cases" / "hl7v2-acceptance.json").read_text(encoding="utf-8"))["cases"][number]
    for case in cases["nak"]:
        trigger, version = case.split(" ")[:2]
        # Of another transaction here: ADT^A02 is ITI-31's, 2.3.1 is what ITI-8 speaks (docs/conformance.md).
        if trigger == "ADT^A02" or (trigger.startswith("ADT^A01^ADT_A01") and version == "2.3.1"):
            continue
        reply = answer(client, written(header(trigger, "N1", version=version), "EVN||20260401", "PID|||1", "PV1||N"))
        assert said(reply) in ("AR", "AE"), case


@pytest.mark.parametrize("parameter", ["@PID.5.1.1^個人番号 983205673214", "@PID.11.8^マイナンバー9832-0567-3214"])
def test_a_query_with_a_national_number_is_refused_and_not_kept(client: MllpClient, parameter: str) -> None:
    reply = answer(client, query(parameter, control_id="N1"))
    assert said(reply) == "AE"
    (error,) = reply.all("ERR")  # beside it stands the question as it was asked (QPD)
    assert "must not keep" in "|".join(error.fields)
    assert "9832" not in "|".join(error.fields)
    record = AuditRecord.objects.get(transaction="ITI-21")
    assert (record.outcome, record.patient_identifier) == (8, "")
    kept = bytes(record.message).decode()
    assert "must not keep" in kept
    assert "<ParticipantObjectQuery>" not in kept
