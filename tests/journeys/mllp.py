"""A small region behind a real MLLP socket, and a hospital's way to speak to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from apps.atna.models import AuditRecord
from apps.network.services import add_facility, add_node
from apps.network.services.members import set_own_rows
from hie.transport.mllp_client import MllpClient
from hie.transport.mllp_conversation import MllpDoor
from hie.transport.mllp_server import MllpServer
from hie.wire.hl7v2.message import Message

SAMPLES = Path(__file__).resolve().parent.parent / "samples"
HOSPITAL, CLINIC, PHARMACY = "1311234567", "1311234568", "1341234569"
SENDERS = {HOSPITAL: "HOSP1", CLINIC: "CLIN1", PHARMACY: "PHAR1"}


@contextmanager
def region() -> Iterator[MllpClient]:
    """Three facilities whose systems are HIS at HOSP1, CLIN1 and PHAR1, and a connection to the region's door."""
    set_own_rows()
    for code, sender in SENDERS.items():
        add_facility(code=code, name=sender, namespace=sender)
        add_node(
            facility_code=code, name=f"{sender.lower()}-system", sending_facility=sender, sending_application="HIS"
        )
    server = MllpServer([MllpDoor("127.0.0.1", 0)], threads=2).start()
    client = MllpClient("127.0.0.1", server.ports[0])
    try:
        yield client
    finally:
        client.close()
        server.stop()


def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


def written(*segments: str, charset: str = "utf-8") -> bytes:
    return ("\r".join(segments) + "\r").encode(charset)


def header(trigger: str, control_id: str, *, version: str = "2.5", facility: str = HOSPITAL) -> str:
    return (
        rf"MSH|^~\&|HIS|{SENDERS[facility]}|HIE|REGION|20260401103000+0900||{trigger}|{control_id}|P|{version}"
        "||||||UNICODE UTF-8"
    )


def cx(facility: str, value: str) -> str:
    return f"{value}^^^{SENDERS[facility]}&1.2.392.100495.20.3.51.1{facility}&ISO^PI"


def answer(client: MllpClient, message: bytes) -> Message:
    return Message.read(client.send(message))


def said(message: Message) -> str:
    """MSA-1 of an answer."""
    segment = message.first("MSA")
    return segment.field(1) if segment else ""


def errors(message: Message) -> list[tuple[str, str]]:
    """ERR-2 and the code of ERR-3 (2.5), or ERR-1 whole (2.3.1)."""
    return [(each.field(2) or each.field(1), each.component(3, 1)) for each in message.all("ERR")]


def recorded() -> list[tuple[str, str, int, str]]:
    """(transaction, action, outcome, patient identifier) of every audit record kept, oldest first."""
    rows = AuditRecord.objects.order_by("id").values_list("transaction", "action", "outcome", "patient_identifier")
    return list(rows)
