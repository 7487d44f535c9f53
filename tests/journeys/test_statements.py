"""What a message costs in statements, whole road: the look-up, the directives, and one INSERT for its audit record."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.network.services import add_facility, add_node
from apps.network.services.members import set_own_rows
from apps.pix.transactions.iti09_pix_query import ITI_9
from apps.pix.transactions.iti21_patient_demographics_query import ITI_21
from apps.pix.transactions.iti22_patient_demographics_and_visit_query import ITI_22
from apps.pix.transactions.iti45_pixv3_query import ITI_45
from apps.pix.transactions.iti47_patient_demographics_query_v3 import ITI_47
from hie.exchange.connection import Connection
from hie.transport.mllp_server import handle
from hie.wire.hl7v2.message import Message
from tests.journeys.mllp import CLINIC, HOSPITAL, SENDERS, cx, header, said, written

pytestmark = pytest.mark.django_db

PEER = Connection(door="mllp", address="127.0.0.1:2575", remote="127.0.0.1")
LOOK_UP, DIRECTIVES, RECORD = "pix_localidentifier", "consent_directive", "INSERT INTO atna_auditrecord"


@pytest.fixture(autouse=True)
def _known(settings: Any) -> None:
    settings.MLLP_PLAIN = True
    settings.CONSENT_DEFAULT = "opt-out"
    set_own_rows()
    for code, sender in SENDERS.items():
        add_facility(code=code, name=sender, namespace=sender)
        add_node(facility_code=code, name=sender.lower(), sending_facility=sender, sending_application="HIS")
    for facility, value in ((HOSPITAL, "000111"), (CLINIC, "aa12")):
        told = written(
            header("ADT^A28^ADT_A05", f"F{value}", facility=facility),
            "EVN||20260401103000+0900",
            f"PID|1||{cx(facility, value)}||山田^健一^^^^^L^I~ヤマダ^ケンイチ^^^^^L^P||19410503|M",
            "PV1|1|N",
        )
        assert said(Message.read(handle(told, PEER))) == "AA"


def cross_references(identifier: str) -> bytes:
    return written(header("QBP^Q23^QBP_Q21", "Q1"), f"QPD|IHE PIX Query|T1|{identifier}", "RCP|I")


def demographics(*parameters: str) -> bytes:
    return written(header("QBP^Q22^QBP_Q21", "Q1"), f"QPD|IHE PDQ Query|T1|{'~'.join(parameters)}", "RCP|I")


def statements(message: bytes) -> list[str]:
    """What the second of two equal messages asks of the database; the first has small tables remembered."""
    handle(message, PEER)
    with CaptureQueriesContext(connection) as captured:
        handle(message, PEER)
    return [query["sql"] for query in captured.captured_queries]


BY_NUMBER = ("@PID.3.1^000111", "@PID.3.4.2^1.2.392.100495.20.3.51.1" + HOSPITAL, "@PID.3.4.3^ISO")


@pytest.mark.parametrize(
    "message",
    [cross_references(cx(HOSPITAL, "000111")), demographics(*BY_NUMBER), demographics("@PID.5.1.1^ヤマダ")],
    ids=["ITI-9", "ITI-21 by identifier", "ITI-21 by name"],
)
def test_a_query_is_a_look_up_the_directives_and_one_record(message: bytes) -> None:
    asked = statements(message)
    assert [mark in sql for mark, sql in zip((LOOK_UP, DIRECTIVES, RECORD), asked, strict=True)] == [True] * 3


def test_who_is_not_known_costs_no_question_of_consent() -> None:
    asked = statements(cross_references(cx(HOSPITAL, "nobody")))
    assert [mark in sql for mark, sql in zip((LOOK_UP, RECORD), asked, strict=True)] == [True] * 2


def test_the_same_road_in_every_dialect() -> None:
    """What ITI-9 and ITI-21 cost is what ITI-45, 22 and 47 cost: they look up, ask and tell by the same functions."""
    for declared, others in ((ITI_9, (ITI_45,)), (ITI_21, (ITI_22, ITI_47))):
        for other in others:
            assert (other.find, other.subject, other.execute) == (declared.find, declared.subject, declared.execute)
