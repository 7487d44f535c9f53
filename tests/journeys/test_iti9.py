"""ITI-9 over a real socket: the cases of the PIX query, what consent hides, and the record of each."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator

import pytest
from django.conf import settings as django_settings

from apps.atna.models import AuditRecord
from apps.network import queries as network
from hie.exchange.remembered import forget_all
from hie.transport.mllp_client import MllpClient
from hie.wire.hl7v2.message import Message
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

KNOWN = {HOSPITAL: "000111", CLINIC: "aa12", PHARMACY: "い312"}


@pytest.fixture
def client(settings: object) -> Iterator[MllpClient]:
    settings.MLLP_PLAIN = True  # type: ignore[attr-defined]
    settings.CONSENT_DEFAULT = "opt-out"  # type: ignore[attr-defined]
    with region() as client:
        for number, (facility, value) in enumerate(KNOWN.items()):
            told = written(
                header("ADT^A28^ADT_A05", f"F{number}", facility=facility),
                "EVN||20260401103000+0900",
                f"PID|1||{cx(facility, value)}||山田^健一^^^^^L^I~ヤマダ^ケンイチ^^^^^L^P||19410503|M",
                "PV1|1|N",
            )
            assert said(answer(client, told)) == "AA"
        yield client


def query(identifier: str, *domains: str, control_id: str = "Q1", facility: str = HOSPITAL) -> bytes:
    return written(
        header("QBP^Q23^QBP_Q21", control_id, facility=facility),
        f"QPD|IHE PIX Query|T1|{identifier}|{'~'.join(domains)}",
        "RCP|I",
    )


def domain(facility: str) -> str:
    return f"^^^&1.2.392.100495.20.3.51.1{facility}&ISO"


def found(message: Message) -> list[str]:
    segment = message.first("PID")
    return [each.split("^")[0] for each in segment.repetitions(3)] if segment else []


def status(message: Message) -> str:
    segment = message.first("QAK")
    return segment.field(2) if segment else ""


def test_all_other_identifiers_and_never_the_one_asked_with(client: MllpClient) -> None:
    reply = answer(client, query(cx(HOSPITAL, "000111")))
    assert (said(reply), status(reply)) == ("AA", "OK")
    assert found(reply)[1:] == ["aa12", "い312"]
    assert len(found(reply)[0]) == 26
    pid = reply.first("PID")
    assert pid is not None
    assert pid.field(5) == "~^^^^^^S"
    assert all("&" in each.split("^")[3] and each.split("^")[3].split("&")[0] for each in pid.repetitions(3))


def test_no_identifier_in_the_domain_asked_for(client: MllpClient) -> None:
    reply = answer(client, query(cx(HOSPITAL, "000111"), domain(HOSPITAL)))
    assert (said(reply), status(reply), found(reply), errors(reply)) == ("AA", "NF", [], [])


@pytest.mark.parametrize(
    ("identifier", "domains", "places"),
    [
        (cx(HOSPITAL, "999"), (), ["QPD^1^3^1^1"]),
        ("000111^^^&9.9.9&ISO", (), ["QPD^1^3^1^4"]),
        (cx(HOSPITAL, "000111"), (domain(CLINIC), "^^^&9.9.9&ISO"), ["QPD^1^4^2"]),
        (cx(HOSPITAL, "000111"), ("^^^&9.9.8&ISO", domain(CLINIC), "^^^&9.9.9&ISO"), ["QPD^1^4^1", "QPD^1^4^3"]),
    ],
)
def test_unknown_identifiers_and_domains(
    client: MllpClient, identifier: str, domains: tuple[str, ...], places: list[str]
) -> None:
    reply = answer(client, query(identifier, *domains))
    assert (said(reply), status(reply), found(reply)) == ("AE", "AE", [])
    assert errors(reply) == [(place, "204") for place in places]
    assert recorded()[-1][:3] == ("ITI-9", "E", 4)


def test_without_consent_other_facilities_stay_hidden(client: MllpClient, settings: object) -> None:
    settings.CONSENT_DEFAULT = "opt-in"  # type: ignore[attr-defined]
    forget_all()
    reply = answer(client, query(cx(HOSPITAL, "000111"), domain(CLINIC), domain(PHARMACY)))
    assert (said(reply), status(reply), found(reply)) == ("AA", "NF", [])
    hidden = answer(client, query(cx(CLINIC, "aa12")))
    unknown = answer(client, query(cx(CLINIC, "nobody")))
    assert errors(hidden) == errors(unknown) == [("QPD^1^3^1^1", "204")]


def test_the_record_keeps_the_query_and_the_patient(client: MllpClient) -> None:
    message = query(cx(HOSPITAL, "000111"), control_id="Q77")
    answer(client, message)
    row = AuditRecord.objects.order_by("-id").first()
    assert row is not None
    assert (row.transaction, row.event_id, row.action, row.outcome) == ("ITI-9", "110112", "E", 0)
    assert row.patient_identifier.startswith("000111^^^")
    assert row.patient_regional_id
    text = bytes(row.message).decode()
    encoded = text.split("<ParticipantObjectQuery>")[1].split("<")[0]
    assert b64decode(encoded) == message


@pytest.mark.parametrize("name", ["refused-version", "refused-without-id", "refused-without-rcp"])
def test_broken_queries_get_an_answer_and_the_connection_lives(client: MllpClient, name: str) -> None:
    assert said(answer(client, sample(f"ITI-9/{name}.hl7"))) in ("AE", "AR")
    assert recorded()[-1][2] >= 4
    assert found(answer(client, query(cx(HOSPITAL, "000111"), domain(CLINIC)))) == ["aa12"]


def test_the_regional_id_may_be_asked_with(client: MllpClient) -> None:
    regional = found(answer(client, query(cx(HOSPITAL, "000111"), f"^^^&{django_settings.AFFINITY_DOMAIN_OID}&ISO")))
    authority = network.affinity_domain()
    reply = answer(client, query(f"{regional[0]}^^^{authority.hd}"))
    assert found(reply) == ["000111", "aa12", "い312"]


@pytest.mark.parametrize("trigger", ["query", "feed"])
def test_a_national_number_is_refused_and_not_kept(client: MllpClient, trigger: str) -> None:
    number, before = "983205673214^^^NNJPN", AuditRecord.objects.count()
    feed = written(
        header("ADT^A28^ADT_A05", "N1"), "EVN||20260401103000+0900", f"PID|1||{number}||山田^健一^^^^^L^I||19410503|M",
        "PV1|1|N",
    )  # fmt: skip
    reply = answer(client, query(number) if trigger == "query" else feed)
    assert said(reply) == "AE"
    (error,) = reply.all("ERR")  # beside it stands the question as it was asked (QPD)
    assert "must not keep" in "|".join(error.fields)
    assert "9832" not in "|".join(error.fields)
    (record,) = AuditRecord.objects.order_by("id")[before:]
    kept = bytes(record.message).decode()
    assert "must not keep" in kept
    for what in (kept, record.patient_identifier, str(record)):
        assert "9832" not in what
        assert "ODMyMDU2NzMy" not in what
    assert "<ParticipantObjectQuery>" not in kept
