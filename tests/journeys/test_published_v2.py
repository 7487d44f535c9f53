"""Every published HL7 v2 request of the patient index through the real MLLP door; answers obey published profiles."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from apps.network.models import AssigningAuthority, Facility
from hie.transport.mllp_client import MllpClient
from hie.wire.hl7v2.demographics import read_identifiers
from hie.wire.hl7v2.message import Message
from tests.conformance import CONFORMANCE, needs_conformance
from tests.journeys.mllp import HOSPITAL, SAMPLES, answer, cx, header, region, said, written
from tests.profiles import departures

pytestmark = [needs_conformance, pytest.mark.django_db(transaction=True)]
FOLDER = CONFORMANCE / "messages"
PROFILES = CONFORMANCE / "hl7v2-profiles"
FILES = sorted(FOLDER.rglob("*.hl7"))


@pytest.fixture
def client(settings: object) -> Iterator[MllpClient]:
    settings.MLLP_PLAIN = True  # type: ignore[attr-defined]
    with region() as client:
        yield client


def from_the_hospital(raw: bytes) -> bytes:
    """The message with the sender that the region knows, and nothing else changed."""
    head, rest = raw[: raw.index(b"\r")], raw[raw.index(b"\r") :]
    fields = head.split(b"|")
    fields[2], fields[3] = b"HIS", b"HOSP1"
    return b"|".join(fields) + rest


def authorities(message: Message) -> set[tuple[str, str]]:
    """(namespace, OID) of the patient identifiers of a feed."""
    places = [(segment, 3) for segment in message.all("PID")] + [(segment, 1) for segment in message.all("MRG")]
    found = {each.assigning_authority for segment, field in places for each in read_identifiers(segment, field)}
    return {(each.namespace, each.oid) for each in found if each}


def belong_to_the_hospital(names: set[tuple[str, str]]) -> None:
    facility = Facility.objects.get(code=HOSPITAL)
    for namespace, oid in sorted(names):
        known = AssigningAuthority.objects
        if not known.filter(oid=oid).exists() and not known.filter(namespace=namespace).exists():
            number = known.count()
            known.create(
                oid=oid or f"2.999.{number}",
                namespace=(namespace or f"N{number}")[:20],
                name="published",
                facility=facility,
            )


# What is not answered AA, and why: (acknowledgement, code). Everything else that a feeder or asker sends is accepted.
EXPECTED = {
    # the numbers are told of for the first time, and a merge wants known ones
    "hl7v2/camel-hl7/iti-8.hl7": ("AE", "204"),
    "hl7v3/translation/pixsource/v2/A40.hl7": ("AE", "204"),
    # the number that is merged is of another domain than the surviving one
    "hl7v2/mllp-iti8/iti8-a40.hl7": ("AE", "204"),
    "hl7v2/mllp-iti8/iti8-a40-iso-8859-1.hl7": ("AE", "204"),
    "hl7v3/translation/pixfeed/v2/PIX_FEED_MERGE_Maximal_Request.hl7": ("AE", "204"),
    # versions before 2.3.1
    "hl7v2/camel-hl7/msg-01.hl7": ("AR", "203"),
    "hl7v2/camel-hl7/msg-01-utf8.hl7": ("AR", "203"),
    "hl7v2/camel-hl7/msg-03.hl7": ("AR", "203"),
    "hl7v2/modules-hl7/msg-01.hl7": ("AR", "203"),
    "hl7v2/modules-hl7/dsl/msg-01.hl7": ("AR", "203"),
    # a notification to a consumer, with the domains of several facilities: no feed of this hospital
    "hl7v2/from-tests/iti10-adt-a31-25.hl7": ("AE", "204"),
    "hl7v2/from-tests/iti64-adt-a43-25.hl7": (
        "AR",
        "207",
    ),  # only the identity source of the affinity domain may move documents
    "hl7v2/from-tests/iti8-adt-a01-without-pid.hl7": ("AE", "100"),
    "hl7v2/mllp-iti8/iti8-a01-incomplete.hl7": ("AE", "100"),
    "hl7v2/from-tests/iti8-wrong-event-a02.hl7": ("AR", "201"),
    "hl7v3/translation/pixsource/v2/A10.hl7": ("AR", "201"),
    "hl7v2/from-tests/iti8-wrong-structure.hl7": ("AR", "200"),
    "hl7v2/from-tests/iti9-qbp-q23-25.hl7": ("AE", "204"),  # an unknown patient
    # no MSH-7
    "hl7v2/ihe-hl7v2/qbp.hl7": ("AE", "101"),
    "hl7v2/modules-hl7/dsl/msg-05.hl7": ("AE", "101"),
    "hl7v2/modules-hl7/msg-03.hl7": ("AE", "101"),
    "xds-registry-to-fhir/msg-01.hl7": ("AE", "204"),  # its assigning authority is an OID that is none
}


def published() -> Iterator[tuple[str, bytes, Message]]:
    """Every published request to an index: name, bytes, and the message. Answers and other message types are not."""
    for path in FILES:
        raw = path.read_bytes().replace(b"\r\n", b"\r").replace(b"\n", b"\r")
        message = Message.read(raw)
        if message.header.component(9, 1) in ("ADT", "QBP", "QCN"):
            yield str(path.relative_to(FOLDER)), raw, message


def test_every_published_request_is_answered_as_stated(client: MllpClient) -> None:
    answers = {}
    for name, raw, message in published():
        belong_to_the_hospital(authorities(message))
        answered = answer(client, from_the_hospital(raw))
        assert answered.first("MSA") is not None
        assert answered.first("MSA").field(2) == message.control_id  # type: ignore[union-attr]
        answers[name] = said(answered), _code(answered)
    assert len(answers) > 40
    assert {name: found for name, found in answers.items() if found != ("AA", "")} == EXPECTED


def _code(answered: Message) -> str:
    error = answered.first("ERR")
    return (error.component(3, 1) or error.component(1, 4, sub=1)) if error is not None else ""


def test_answers_and_link_changes_obey_the_published_profiles(client: MllpClient) -> None:
    for control_id, value in (("M1", "1"), ("M2", "2")):
        answer(client, from_the_hospital(_told(control_id, value)))
    for value, status in (("1", "OK"), ("7", "AE")):
        asked = written(header("QBP^Q23^QBP_Q21", f"Q{value}"), f"QPD|IHE PIX Query|T|{cx(HOSPITAL, value)}", "RCP|I")
        answered = answer(client, asked)
        assert answered.first("QAK").field(2) == status  # type: ignore[union-attr]
        assert departures(answered, PROFILES / "1.3.6.1.4.12559.11.1.1.30_ITI-9_RSP-K23.xml") == []
    for path in sorted((SAMPLES / "ITI-64").glob("a43*.hl7")):
        profile = PROFILES / "1.3.6.1.4.12559.11.1.1.213_ITI-64_ADT-A43.xml"
        # HD has a namespace or a universal id (ITI TF-2: Appendix C); the profile wants the namespace in any case.
        assert set(departures(Message.read(path.read_bytes()), profile)) <= {"MSH-3.1 is required"}


def test_the_profiles_find_what_is_wrong(client: MllpClient) -> None:
    profile = PROFILES / "1.3.6.1.4.12559.11.1.1.30_ITI-9_RSP-K23.xml"
    wrong = written(header("RSP^K23^RSP_K23", "1"), "MSA|AA|1", "QPD|IHE PIX Query|T|1^^^A", "ZZZ|1")
    assert "the segment QAK is missing" in departures(Message.read(wrong), profile)
    assert "ZZZ is not expected here" in departures(Message.read(wrong), profile)


def _told(control_id: str, value: str) -> bytes:
    return written(
        header("ADT^A28^ADT_A05", control_id),
        "EVN||20260401103000+0900",
        f"PID|1||{cx(HOSPITAL, value)}||山田^健一^^^^^L^I||19410503|M",
        "PV1|1|N",
    )
