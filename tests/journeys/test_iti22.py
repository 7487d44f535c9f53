"""ITI-22 over a real socket: visits told by ITI-31 are found with their patients; hidden and refused ones are not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hie.exchange.remembered import forget_all
from hie.transport.mllp_client import MllpClient
from tests.journeys.mllp import CLINIC, HOSPITAL, answer, cx, errors, header, recorded, region, said, written

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def client(settings: object) -> Iterator[MllpClient]:
    settings.MLLP_PLAIN = True  # type: ignore[attr-defined]
    settings.CONSENT_DEFAULT = "opt-out"  # type: ignore[attr-defined]
    with region() as client:
        for number, name, ward, doctor in (("1", "山田^太郎", "3W", "D1"), ("2", "鈴木^花", "4E", "D2")):
            told = written(
                header("ADT^A01^ADT_A01", f"F{number}"),
                "EVN||20260401103000+0900||||20260401100000+0900",
                f"PID|||{cx(HOSPITAL, number)}||{name}^^^^^L^I||1960010{number}|M",
                f"PV1||I|{ward}^1^2||||{doctor}^佐藤^一|||01|||||||||V{number}",
            )
            assert said(answer(client, told)) == "AA"
        yield client


def query(*parameters: str, facility: str = CLINIC) -> bytes:
    head = header("QBP^ZV1^QBP_Q21", "Q1", facility=facility)
    return written(head, f"QPD|IHE PDQ Query|T1|{'~'.join(parameters)}", "RCP|I")


@pytest.mark.parametrize(
    ("parameters", "visits"),
    [
        (("@PV1.3.1^3W",), ["V1"]),
        (("@PV1.2^I",), ["V1", "V2"]),
        (("@PV1.7.1^D2",), ["V2"]),
        (("@PV1.10^01", "@PID.5.1.1^山田"), ["V1"]),
        (("@PV1.19.1^V2",), ["V2"]),
        (("@PV1.2^E",), []),
    ],
)
def test_visits_are_found(client: MllpClient, parameters: tuple[str, ...], visits: list[str]) -> None:
    reply = answer(client, query(*parameters))
    assert (said(reply), reply.trigger) == ("AA", "RSP^ZV2")
    assert sorted(each.component(19, 1) for each in reply.all("PV1")) == visits
    assert recorded()[-1][:3] == ("ITI-22", "E", 0)


def test_a_page_is_of_so_many_visits(client: MllpClient) -> None:
    for number in (3, 4):
        told = written(
            header("ADT^A04^ADT_A01", f"F{number}"),
            "EVN||20260402103000+0900",
            f"PID|||{cx(HOSPITAL, '1')}||山田^太郎^^^^^L^I||19600101|M",
            f"PV1||O|OPD{'|' * 16}V{number}",
        )
        assert said(answer(client, told)) == "AA"
    asked = query("@PID.5.1.1^山田").replace(b"RCP|I", b"RCP|I|2^RD")
    counts, visits, pointer = [], [], b""
    while True:
        reply = answer(client, asked.replace(b"|Q1|", f"|Q{len(counts)}|".encode()) + pointer)
        counts.append([reply.first("QAK").field(number) for number in (4, 5, 6)])  # type: ignore[union-attr]
        visits += [each.component(19, 1) for each in reply.all("PV1")]
        if reply.first("DSC") is None:
            break
        pointer = f"DSC|{reply.first('DSC').field(1)}|I\r".encode()  # type: ignore[union-attr]
    assert counts == [["3", "2", "1"], ["3", "1", "0"]]
    assert sorted(visits) == ["V1", "V3", "V4"]
    assert [each[0] for each in recorded()[-2:]] == ["ITI-22", "ITI-22"]  # one record a patient, not a visit


def test_without_consent_visits_stay_hidden(client: MllpClient, settings: object) -> None:
    settings.CONSENT_DEFAULT = "opt-in"  # type: ignore[attr-defined]
    forget_all()
    assert answer(client, query("@PV1.2^I")).all("PID") == ()
    assert len(answer(client, query("@PV1.2^I", facility=HOSPITAL)).all("PID")) == 2


def test_a_broken_query_is_refused(client: MllpClient) -> None:
    reply = answer(client, query("@ZZZ.1^x"))
    assert said(reply) == "AE"
    assert errors(reply)[0][0].startswith("QPD^1^3")
    assert recorded()[-1][2] == 8
