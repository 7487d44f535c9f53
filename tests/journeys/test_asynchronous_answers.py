"""Answers to a ReplyTo of the asker's own, through the real door (ITI TF-2: V.3): ITI-18, 41, 42 and 43."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from apps.xds import models, services
from apps.xds.services import submit
from hie.transport.soap_client import DEFAULT_LIMITS, FaultError
from hie.values.documents import DocumentRequest, RegistryResult, RetrieveRequest
from hie.wire.ebxml import provide, register, retrieve, stored_query
from hie.wire.soap.envelope import SoapBody, SoapMessage, read_envelope, write_request
from hie.wire.soap.mtom import read_multipart
from hie.wire.soap.spool import Spool
from tests.apps.xds.samples import find
from tests.journeys import test_iti18, test_iti41, test_iti42, test_iti43
from tests.journeys.consumers import Consumer, answers_consumer
from tests.journeys.soap_region import HOSPITAL, Region, records

pytestmark = pytest.mark.django_db(transaction=True)


def ask(region: Region, address: str, service: str, action: str, body: SoapBody, *, mtom: bool) -> str:
    """The hospital asks and wants the answer elsewhere; the MessageID. What comes at once is empty, or a fault."""
    client = region.client("hospital", service)
    envelope, message_id = write_request(action, client.url, body, reply_to=address)
    client.deliver(envelope, body.attachments, mtom=mtom)
    assert client.last_response == b""
    return message_id


def registered(address: str) -> None:
    models.Endpoint.objects.create(node_name="hospital", url=address)


def arrived(told: tuple[str, bytes], directory: Path) -> SoapMessage:
    """The answer as it came, with its documents."""
    content_type, raw = told
    if not content_type.startswith("multipart/related"):
        return read_envelope(raw)
    spool = Spool(directory)
    parts = read_multipart(content_type, iter((raw,)), spool, DEFAULT_LIMITS)
    message = read_envelope(parts.root, attachments=parts.attachments, spool=spool)
    return replace(message, mtom=True)


def _query(region: Region) -> SoapBody:
    submit(region.document(b"abc"), facility_code=HOSPITAL)
    return stored_query.write_request(find(region.regional_id, leaf_class=True))


def _retrieval(region: Region) -> SoapBody:
    submit(region.document(b"abc" * 999, unique_id="1.2.3"), facility_code=HOSPITAL)
    row = models.DocumentEntry.objects.get()
    return retrieve.write_request(RetrieveRequest((DocumentRequest(row.repository_unique_id, "1.2.3"),)))


def _found(message: SoapMessage) -> bool:
    return len(stored_query.read_response(message).fragments) == 1


def _retrieved(message: SoapMessage) -> bool:
    (document,) = retrieve.read_response(message).documents
    return document.path.read_bytes() == b"abc" * 999


def _registered(message: SoapMessage) -> bool:
    return register.read_response(message) == RegistryResult()


Body, Check = Callable[[Region], SoapBody], Callable[[SoapMessage], bool]
TRANSACTIONS: list[Any] = [
    pytest.param("ITI-18", "registry", test_iti18.ACTION, False, _query, _found, id="ITI-18"),
    pytest.param(
        "ITI-41", "repository", test_iti41.ACTION, True,
        lambda region: provide.write_request(region.document(b"abc")), _registered, id="ITI-41",
    ),
    pytest.param(
        "ITI-42", "registry", test_iti42.ACTION, False,
        lambda region: register.write_request(test_iti42.metadata(region)), _registered, id="ITI-42",
    ),
    pytest.param("ITI-43", "repository", test_iti43.ACTION, True, _retrieval, _retrieved, id="ITI-43"),
]  # fmt: skip


@pytest.mark.parametrize(("number", "service", "action", "mtom", "body", "check"), TRANSACTIONS)
def test_the_answer_goes_where_it_is_wanted(
    region: Region, tmp_path: Path, number: str, service: str, action: str, mtom: bool, body: Body, check: Check
) -> None:
    with answers_consumer() as consumer:
        registered(consumer.address)
        message_id = ask(region, consumer.address, service, action, body(region), mtom=mtom)
        assert services.deliver_due() == 1
        assert services.deliver_due() == 0
    (told,) = consumer.told
    message = arrived(told, tmp_path / "answers")
    assert (message.action, message.relates_to, message.to) == (f"{action}Response", message_id, consumer.address)
    assert message.mtom is mtom
    assert check(message)
    assert [each.outcome for each in records(number)] == [0]
    assert not list((tmp_path / "documents" / "outgoing").iterdir())


@pytest.mark.parametrize(("number", "service", "action", "mtom", "body", "check"), TRANSACTIONS)
def test_it_waits_for_a_consumer_that_is_down(
    region: Region, tmp_path: Path, number: str, service: str, action: str, mtom: bool, body: Body, check: Check
) -> None:
    with answers_consumer() as consumer:
        port = int(consumer.address.rpartition(":")[2].partition("/")[0])
        registered(consumer.address)
    ask(region, consumer.address, service, action, body(region), mtom=mtom)
    assert services.deliver_due() == 0
    with answers_consumer(port) as back:
        back.refuses = True
        assert _tried_again(back) == 0
        back.refuses = False
        assert _tried_again(back) == 1
    (told,) = back.told
    assert check(arrived(told, tmp_path / "answers"))
    assert not models.Outgoing.objects.exists()


def _tried_again(consumer: Consumer) -> int:
    """Deliver as though the pause were over."""
    (row,) = models.Outgoing.objects.all()
    assert row.due_at > timezone.now()
    assert row.url == consumer.address
    models.Outgoing.objects.update(due_at=timezone.now())
    return services.deliver_due()


def test_an_address_that_nobody_registered_is_refused_and_nothing_is_done(region: Region) -> None:
    body = provide.write_request(region.document(b"abc"))
    with answers_consumer() as consumer:
        address = consumer.address
        with pytest.raises(FaultError):
            ask(region, address, "repository", test_iti41.ACTION, body, mtom=True)
    assert not models.DocumentEntry.objects.exists()
    assert not models.Outgoing.objects.exists()
