"""The DICOM audit message: value to XML to value, valid by schema, hostile text included; and read leniently."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from lxml import etree

from hie.values.audit import (
    APPLICATION_ROLE,
    DESTINATION_ROLE,
    LOGIN,
    PATIENT_NUMBER,
    SOURCE_ROLE,
    AuditMessage,
    AuditSource,
    Participant,
    ParticipantObject,
    transaction_type,
)
from hie.values.codes import Code
from hie.values.errors import ExchangeError, Reason
from hie.wire.atna.audit_message import read_message, write_message
from tests.conformance import CONFORMANCE, needs_conformance

MOMENT = datetime(2026, 5, 10, 12, 0, 0, 123000, tzinfo=UTC)
SOURCE = AuditSource("1.2.3", "地域医療連携ネットワーク")
MINIMAL = AuditMessage(
    Code("110114", "DCM", "User Authentication"), "E", MOMENT, 0, SOURCE, (Participant("u", True),), types=(LOGIN,)
)
FULL = AuditMessage(
    event_id=Code("110112", "DCM", "Query"),
    action="E",
    occurred_at=MOMENT,
    outcome=8,
    source=SOURCE,
    participants=(
        Participant("HOSP|EHR", True, "", "中央病院", (SOURCE_ROLE,), "192.0.2.7", 2),
        Participant(
            "https://hie.example.jp/soap/registry", False, "4711", "", (DESTINATION_ROLE,), "hie.example.jp", 1
        ),
        Participant("doctor7", True, "", "dr<doctor7@https://idp>", (APPLICATION_ROLE, Code("1", "2", "医師"))),
    ),
    types=(transaction_type("ITI-18", "Registry Stored Query"),),
    description='PID-3: <unknown> & "odd"',
    purposes=(Code("TREAT", "2.16.840.1.113883.5.8", "treatment"),),
    objects=(
        ParticipantObject("000111^^^HOSP&1.2.3&ISO", PATIENT_NUMBER, 1, 1, details=(("MSH-10", "電文1".encode()),)),
        ParticipantObject("urn:uuid:1", Code("ITI-18", "IHE Transactions", "q"), 2, 24, query=b"\x00\xff<query/>"),
        ParticipantObject("1.2.4", Code("9", "RFC-3881", "Report Number"), 2, 3, life_cycle=6, name="検査結果"),
    ),
)


@pytest.mark.parametrize("message", [MINIMAL, FULL], ids=["minimal", "full"])
def test_what_is_written_is_read_back(message):
    assert read_message(write_message(message)) == message


@needs_conformance
@pytest.mark.parametrize("message", [MINIMAL, FULL], ids=["minimal", "full"])
def test_what_is_written_is_valid(message):
    schema = etree.XMLSchema(file=str(CONFORMANCE / "schema" / "atna" / "atna2.xsd"))
    schema.assertValid(etree.fromstring(write_message(message)))


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("a\x00b", "a\ufffdb"),
        ("\ud800", "\ufffd"),
        ("\ufffe", "\ufffd"),
        ('"/><ActiveParticipant UserID="x', '"/><ActiveParticipant UserID="x'),
        ("a\r\nb\tc", "a\r\nb\tc"),
        ("&amp;<![CDATA[x]]>", "&amp;<![CDATA[x]]>"),
        ("𠮷", "𠮷"),
    ],
)
def test_hostile_text_stays_text(sent, kept):
    message = AuditMessage(MINIMAL.event_id, "E", MOMENT, 4, SOURCE, (Participant(sent, True),), description=sent)
    read = read_message(write_message(message))
    assert [each.user_id for each in read.participants] == [kept]
    assert read.description == kept


def test_the_time_is_written_in_utc():
    japan = timezone(timedelta(hours=9))
    message = AuditMessage(MINIMAL.event_id, "E", datetime(2026, 5, 10, 21, tzinfo=japan), 0, SOURCE, ())
    assert b'EventDateTime="2026-05-10T12:00:00.000Z"' in write_message(message)


def test_rfc_3881_codes_are_read():
    raw = (
        b'<AuditMessage><EventIdentification EventDateTime="2026-05-10T12:00:00+09:00" EventOutcomeIndicator="0">'
        b'<EventID code="110112" codeSystemName="DCM" displayName="Query"/></EventIdentification>'
        b'<ActiveParticipant UserID="u"/><AuditSourceIdentification AuditSourceID="s">'
        b'<AuditSourceTypeCode code="4"/></AuditSourceIdentification></AuditMessage>'
    )
    message = read_message(raw)
    assert message.event_id == Code("110112", "DCM", "Query")
    assert message.source.types == ("4",)
    assert message.participants[0].requestor is True


BOMB = b'<!DOCTYPE a [<!ENTITY b "cc">]><AuditMessage>&b;</AuditMessage>'


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"not xml",
        b"<AuditMessage/>",
        b"<Other/>",
        BOMB,
        BOMB.decode().encode("utf-16"),
        write_message(MINIMAL).replace(b'EventOutcomeIndicator="0"', b'EventOutcomeIndicator="zero"'),
        write_message(MINIMAL).replace(b"2026-05-10T", b"yesterday T"),
        write_message(FULL).replace(b'value="', b'value="!'),
    ],
)
def test_what_is_no_audit_message_is_refused(raw):
    with pytest.raises(ExchangeError) as refused:
        read_message(raw)
    assert refused.value.reason is Reason.UNREADABLE
