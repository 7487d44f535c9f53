"""Members' systems that do not give up: each message is sent again, byte for byte, until it is answered."""

from __future__ import annotations

import hashlib
import random
import ssl
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from hie.transport.mllp_client import MllpClient
from hie.transport.outside import Outside
from hie.transport.soap_client import CallError
from hie.transport.tls import client_context
from hie.values.codes import Code
from hie.values.documents import (
    HAS_MEMBER,
    RPLC,
    Association,
    Author,
    Content,
    DocumentEntry,
    Submission,
    SubmissionSet,
)
from hie.values.errors import ExchangeError, Reason
from hie.values.identifiers import Identifier, new_uuid_urn, uuid_oid
from hie.values.patients import FeedEvent, PatientFeed
from hie.values.people import Demographics, NameParts, PersonName
from hie.values.times import write_dtm
from hie.wire.hl7v2 import patient_feed
from hie.wire.hl7v2.message import Message
from hie.wire.hl7v2.writer import Parties

LOINC = "2.16.840.1.113883.6.1"
PAUSE_SECONDS = 0.02


@dataclass
class Sent:
    """What became of one message. attempts: how often it was sent; answers: how often it was accepted."""

    name: str
    attempts: int = 0
    answers: int = 0


@dataclass
class Sender:
    """One client in a thread: ``one()`` makes the next message and returns how to send it.

    sent: every message begun, in order. problems: refusals, which no kill may cause.
    """

    sent: list[Sent] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def run(self, stopping: threading.Event) -> None:
        """Send until told to stop; the message under way then is sent until it is answered."""
        while not stopping.is_set() and not self.problems:
            note, send = self.one()
            self.sent.append(note)
            self._until_answered(note, send)

    def one(self) -> tuple[Sent, Callable[[], None]]:
        """The next message: its name, and a function that sends it and raises where it was not accepted."""
        raise NotImplementedError

    def _until_answered(self, note: Sent, send: Callable[[], None]) -> None:
        pause = threading.Event()
        wanted = 2 if random.random() < 0.1 else 1  # some senders do not believe their first answer
        while note.answers < wanted:
            note.attempts += 1
            try:
                send()
            except (OSError, CallError, EOFError):
                pause.wait(PAUSE_SECONDS)
            except ExchangeError as refused:
                if refused.reason is Reason.BUSY:
                    continue
                self.problems.append(f"{note.name}: {refused}")
                return
            else:
                note.answers += 1


@dataclass
class Feeding(Sender):
    """Feeds one new patient after the other over MLLP with mutual TLS, on a connection kept open."""

    member: Outside | None = None
    context: ssl.SSLContext | None = None
    version: str = "2.5"
    prefix: str = "A"
    client: MllpClient | None = None

    @classmethod
    def of(cls, member: Outside, version: str, prefix: str) -> Feeding:
        return cls(member=member, context=client_context(member._credentials), version=version, prefix=prefix)

    def one(self) -> tuple[Sent, Callable[[], None]]:
        assert self.member is not None
        chart = f"{self.prefix}{len(self.sent):06d}"
        message = feed_message(self.member, chart, version=self.version, control_id=f"MSG-{chart}")
        return Sent(chart), lambda: self._send(message)

    def _send(self, message: bytes) -> None:
        assert self.member is not None
        if self.client is None:
            self.client = MllpClient("localhost", self.member.facts.mllps_port, self.context, timeout=30)
        patient_feed.read_response(Message.read(self.client.send(message)))


@dataclass
class Providing(Sender):
    """Provides one document after the other; every second one replaces the one before it."""

    member: Outside | None = None
    patient: Identifier | None = None
    directory: Path = Path()
    documents: dict[str, tuple[str, bytes, bool]] = field(default_factory=dict)
    last: DocumentEntry | None = None

    def one(self) -> tuple[Sent, Callable[[], None]]:
        assert self.member is not None
        assert self.patient is not None
        member, patient = self.member, self.patient
        content = random.randbytes(random.choice((100, 5_000, 300_000)))
        replaced = self.last
        each = submission(member, patient, content, self.directory, replaces=replaced)
        (entry,) = each.document_entries
        self.last = None if replaced else entry
        self.documents[entry.unique_id] = (each.submission_sets[0].unique_id, content, True)
        if replaced:
            kept = self.documents[replaced.unique_id]
            self.documents[replaced.unique_id] = (kept[0], kept[1], False)

        def send() -> None:
            member.provide(each)

        return Sent(each.submission_sets[0].unique_id), send


def person(number: int) -> Demographics:
    """A person of a name that no other has, so that nobody is taken for another."""
    rng = random.Random(number)
    kana = "".join(rng.choice("アイウエオカキクケコサシスセソタチツテト") for _ in range(12))
    return Demographics(
        name=PersonName(ideographic=NameParts("試験", f"患者{number}"), phonetic=NameParts("シケン", kana)),
        birth_date=f"{1930 + number % 90:04d}{1 + number % 12:02d}{1 + number % 28:02d}",
        sex="MF"[number % 2],
    )


def feed_message(member: Outside, chart: str, *, version: str = "2.5", control_id: str) -> bytes:
    """A registration of one patient as this member sends it."""
    feed = PatientFeed(
        FeedEvent.REGISTER,
        "",
        control_id,
        (member.chart_number(chart),),
        person(int.from_bytes(hashlib.sha1(chart.encode()).digest()[:4])),
    )
    facts = member.facts
    parties = Parties(facts.sending_application, facts.sending_facility, "HIE", "REGION")
    return patient_feed.write_request(feed, parties, version=version)


def submission(
    member: Outside,
    patient: Identifier,
    content: bytes,
    directory: Path,
    *,
    replaces: DocumentEntry | None = None,
    chart: str = "",
) -> Submission:
    """A complete submission of one document, with UUIDs and unique ids of its own."""
    now = write_dtm(datetime.now(UTC))
    author = Author(institutions=(f"{member.facts.node}^^^^^^^^^{member.facts.source_id}",))
    entry = DocumentEntry(
        entry_uuid=new_uuid_urn(),
        unique_id=uuid_oid(uuid.uuid4()),
        patient_id=patient.xds_cx,
        mime_type="application/octet-stream",
        creation_time=now,
        language_code="ja-JP",
        source_patient_id=member.chart_number(chart or "000111").xds_cx,
        title="検体検査結果",
        authors=(author,),
        class_code=Code("11502-2", LOINC, "検査"),
        type_code=Code("11502-2", LOINC, "検査"),
        format_code=Code("urn:ihe:iti:xds:2017:mimeTypeSufficient", "1.3.6.1.4.1.19376.1.2.3", "MIME"),
        healthcare_facility_type_code=Code("22232009", "2.16.840.1.113883.6.96", "Hospital"),
        practice_setting_code=Code("01", "1.2.392.200250.2.2.2", "内科"),
        confidentiality_codes=(Code("N", "2.16.840.1.113883.5.25", "normal"),),
    )
    its_set = SubmissionSet(
        entry_uuid=new_uuid_urn(),
        unique_id=uuid_oid(uuid.uuid4()),
        patient_id=patient.xds_cx,
        source_id=member.facts.source_id,
        submission_time=now,
        authors=(author,),
        content_type_code=Code("11502-2", LOINC, "検査"),
    )
    links = [Association(new_uuid_urn(), HAS_MEMBER, its_set.entry_uuid, entry.entry_uuid, "Original")]
    if replaces is not None:
        links.append(Association(new_uuid_urn(), RPLC, entry.entry_uuid, replaces.entry_uuid))
    path = directory / entry.unique_id
    path.write_bytes(content)
    sent = Content(
        path, len(content), hashlib.sha1(content).hexdigest(), hashlib.sha256(content).hexdigest(), entry.mime_type
    )
    return Submission((its_set,), (entry,), associations=tuple(links), contents={entry.entry_uuid: sent})
