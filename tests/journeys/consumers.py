"""Consumers of notifications on loopback: an MLLP receiver and a SOAP endpoint that keep what they were told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from apps.network.models import Node
from apps.network.services import add_facility, add_node
from apps.network.services.members import set_own_rows
from apps.pix import outbox
from apps.pix.models import Subscription
from apps.pix.services import feed
from hie.transport.mllp_conversation import MllpDoor
from hie.transport.mllp_server import MllpServer
from hie.values.errors import ExchangeError, Reason
from hie.values.identifiers import AssigningAuthority, Identifier
from hie.values.patients import FeedEvent, PatientFeed
from hie.values.people import Demographics, NameParts, PersonName
from hie.wire.hl7v2.message import Message
from hie.wire.hl7v3 import update_notification
from hie.wire.soap.envelope import read_envelope, write_answer

HOSPITAL, CLINIC = "1311234567", "1311234568"


@dataclass
class Consumer:
    """What was told. refuses: answer AE."""

    address: str = ""
    told: list[Any] = field(default_factory=list)
    refuses: bool = False


def members() -> None:
    set_own_rows()
    for code, name in ((HOSPITAL, "市民病院"), (CLINIC, "駅前医院")):
        add_facility(code=code, name=name)
        add_node(facility_code=code, name=f"n{code}", sending_facility=f"F{code}", sending_application="HIS")


def tell(facility: str, value: str, birth_date: str = "19600101", message_id: str = "") -> str:
    """A feed of the facility about the same person; another birth date makes it another person."""
    name = PersonName(ideographic=NameParts("山田", "太郎"), phonetic=NameParts("ヤマダ", "タロウ"))
    chart = Identifier(value, AssigningAuthority(f"1.2.392.100495.20.3.51.1{facility}"))
    told = Demographics(name=name, birth_date=birth_date, sex="M")
    message_id = message_id or f"{facility}{value}{birth_date}"
    return feed(PatientFeed(FeedEvent.REGISTER, "ADT^A28", message_id, (chart,), told), facility).regional_id


def subscribe(kind: str, address: str) -> Subscription:
    row = Subscription.objects.create(
        node=Node.objects.get(name=f"n{CLINIC}"), kind=kind, address=address, receiving_application="CONSUMER"
    )
    outbox.forget_wishes()
    return row


@contextmanager
def mllp_consumer(codec: Any) -> Iterator[Consumer]:
    """Receives over MLLP with the consumer's side of a codec."""
    consumer = Consumer()

    def answer(received: bytes | ExchangeError, _connection: Any) -> bytes:
        assert isinstance(received, bytes)
        message = Message.read(received)
        if consumer.refuses:
            return bytes(codec.write_error(message, ExchangeError(Reason.UNKNOWN_KEY, "not wanted", "identifier")))
        consumer.told.append((message, codec.read_request(message)))
        return bytes(codec.write_response(message))

    server = MllpServer([MllpDoor("127.0.0.1", 0)], threads=1, answer=answer).start()
    consumer.address = f"mllp://127.0.0.1:{server.ports[0]}"
    try:
        yield consumer
    finally:
        server.stop()


@contextmanager
def soap_consumer() -> Iterator[Consumer]:
    """A PIXv3 consumer behind plain HTTP on loopback."""
    consumer = Consumer()

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        # Chunked bodies are read by their last chunk.
        stream, body = environ["wsgi.input"], b""
        if environ.get("CONTENT_LENGTH"):
            body = stream.read(int(environ["CONTENT_LENGTH"]))
        message = read_envelope(body)
        if consumer.refuses:
            error = ExchangeError(Reason.UNKNOWN_KEY, "not wanted", "identifier")
            answered = update_notification.write_error(message, error)
        else:
            consumer.told.append((message, update_notification.read_request(message)))
            answered = update_notification.write_response(message)
        content = write_answer(update_notification.RESPONSE_ACTION, message.message_id, answered)
        start_response("200 OK", [("Content-Type", "application/soap+xml; charset=UTF-8")])
        return [content]

    with _serving(application, consumer):
        yield consumer


@contextmanager
def answers_consumer(port: int = 0) -> Iterator[Consumer]:
    """Takes answers that were wanted at an address of its own; told: (Content-Type, body) of each.

    refuses: answer 503, as a system that is being restarted.
    """
    consumer = Consumer()

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        if not consumer.refuses:
            consumer.told.append((environ["CONTENT_TYPE"], body))
        start_response("503 Service Unavailable" if consumer.refuses else "202 Accepted", [("Content-Length", "0")])
        return []

    with _serving(application, consumer, port):
        yield consumer


@contextmanager
def _serving(application: Any, consumer: Consumer, port: int = 0) -> Iterator[None]:
    server = WSGIServer(("127.0.0.1", port), _Quiet)
    server.set_app(application)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    consumer.address = f"http://127.0.0.1:{server.server_port}/consumer"
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Quiet(WSGIRequestHandler):
    def log_message(self, *arguments: Any) -> None:
        pass
