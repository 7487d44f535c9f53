"""Answers that are wanted elsewhere, and messages without one: what is acknowledged, kept and refused."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

import pytest
from lxml import etree

from hie.transport import soap_server
from hie.transport.soap_client import CallError, FaultError, SoapClient
from hie.transport.soap_server import soap_application
from hie.wire.soap.envelope import SoapBody, read_envelope
from tests.transport import soap_peers
from tests.transport.soap_peers import ECHO, FETCH, KEPT, RECORDS, REGISTERED, TELL

SOAP, WSA = "http://www.w3.org/2003/05/soap-envelope", "http://www.w3.org/2005/08/addressing"
OUTBOX = {"later": "tests.transport.soap_peers.later", "reachable": "tests.transport.soap_peers.reachable"}


@pytest.fixture
def door(monkeypatch, tmp_path, settings):
    soap_peers.install(monkeypatch.setattr)
    monkeypatch.setattr(soap_server, "between_messages", lambda: None)
    settings.DOCUMENT_STORE = str(tmp_path / "store")
    settings.EXCHANGE = settings.EXCHANGE | OUTBOX
    caches = (soap_server.spool_directory, soap_server._part)
    for each in caches:
        each.cache_clear()
    RECORDS.clear()
    KEPT.clear()
    with soap_peers.running(soap_application) as url:
        yield url
    for each in caches:
        each.cache_clear()


def envelope(reply_to: str, action: str = ECHO, body: str = "Echo", more: str = "", parameters: str = "") -> bytes:
    return (
        f'<s:Envelope xmlns:s="{SOAP}" xmlns:a="{WSA}"><s:Header><a:Action>{action}</a:Action>'
        f"<a:MessageID>urn:uuid:1</a:MessageID><a:ReplyTo><a:Address>{reply_to}</a:Address>{parameters}</a:ReplyTo>"
        f'{more}</s:Header><s:Body><t:{body} xmlns:t="urn:test"/></s:Body></s:Envelope>'
    ).encode()


def post(door: str, raw: bytes) -> tuple[int, bytes]:
    parts = urlsplit(door)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
    try:
        connection.request("POST", "/soap/test", body=raw, headers={"Content-Type": "application/soap+xml"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def subcodes(raw: bytes) -> list[str]:
    values = etree.fromstring(raw).iter(f"{{{SOAP}}}Value")
    return [value.text.split(":")[1] for value in values]


def test_an_answer_to_a_registered_address_is_kept_and_acknowledged(door):
    assert post(door, envelope(REGISTERED)) == (202, b"")
    ((url, action, kept, attachments, mtom),) = KEPT
    message = read_envelope(kept)
    assert (url, action, attachments, mtom) == (REGISTERED, f"{ECHO}Response", (), False)
    assert (message.action, message.to, message.relates_to) == (action, REGISTERED, "urn:uuid:1")
    assert message.body.tag == "{urn:test}Answer"
    assert RECORDS == ["ITI-0 0"]


def test_what_the_reply_to_wants_to_find_is_in_the_header(door):
    wanted = '<a:ReferenceParameters><x:Ticket xmlns:x="urn:x">17&amp;</x:Ticket></a:ReferenceParameters>'
    assert post(door, envelope(REGISTERED, parameters=wanted))[0] == 202
    ticket = etree.fromstring(KEPT[0][2]).find(f"{{{SOAP}}}Header/{{urn:x}}Ticket")
    assert (ticket.text, ticket.get(f"{{{WSA}}}IsReferenceParameter")) == ("17&", "true")


@pytest.mark.parametrize(
    "inside",
    [
        "<a:To>http://elsewhere/</a:To>",
        f'<s:Body xmlns:s="{SOAP}"/>',
        '<x:a xmlns:x="urn:x"/>' * 17,
        f'<x:a xmlns:x="urn:x">{"x" * 9000}</x:a>',
    ],
)
def test_parameters_speak_for_nobody_else(door, inside):
    wanted = f"<a:ReferenceParameters>{inside}</a:ReferenceParameters>"
    status, raw = post(door, envelope(REGISTERED, parameters=wanted))
    assert (status, subcodes(raw)) == (400, ["Sender", "InvalidAddressingHeader", "InvalidAddress"])
    assert not KEPT


def test_an_answer_with_a_document_is_kept_with_it(door, tmp_path, monkeypatch):
    path = tmp_path / "document"
    path.write_bytes(b"12345")
    monkeypatch.setenv("SOAP_PEERS_FILE", str(path))
    assert post(door, envelope(REGISTERED, FETCH, "Fetch"))[0] == 202
    assert [(each.path, each.size) for each in KEPT[0][3]] == [(path, 5)]


@pytest.mark.parametrize(
    "address",
    [
        "https://peer.example/elsewhere",
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "urn:x",
        "http://[",
        f"{WSA}/none",
    ],
)
def test_no_other_address_is_ever_used(door, address):
    status, raw = post(door, envelope(address))
    assert (status, subcodes(raw)[-1]) == (400, "OnlyAnonymousAddressSupported")
    assert not KEPT
    assert len(RECORDS) == 1
    assert RECORDS[0].startswith("- 8")


def test_faults_come_on_the_connection(door):
    elsewhere = "<a:FaultTo><a:Address>{}</a:Address></a:FaultTo>"
    assert post(door, envelope(REGISTERED, more=elsewhere.format("https://x.example/")))[0] == 400
    assert post(door, envelope(REGISTERED, more=elsewhere.format(REGISTERED)))[0] == 202
    KEPT.clear()
    status, raw = post(door, envelope(REGISTERED, "urn:unknown"))
    assert (status, subcodes(raw)) == (400, ["Sender", "ActionNotSupported"])
    assert not KEPT


def test_what_cannot_be_kept_is_not_acknowledged(door, settings):
    settings.EXCHANGE = settings.EXCHANGE | {"later": "tests.transport.soap_peers.full"}
    status, raw = post(door, envelope(REGISTERED))
    assert (status, subcodes(raw)) == (500, ["Receiver"])
    assert b"send the message again" in raw


def test_without_an_outbox_every_answer_comes_at_once(door, settings):
    settings.EXCHANGE = {name: path for name, path in settings.EXCHANGE.items() if name != "later"}
    assert subcodes(post(door, envelope(REGISTERED))[1])[-1] == "OnlyAnonymousAddressSupported"


def test_a_message_without_answer_is_only_acknowledged(door, tmp_path):
    assert post(door, envelope(f"{WSA}/none", TELL)) == (202, b"")
    with SoapClient(f"{door}/soap/test", directory=tmp_path) as client:
        client.tell(TELL, SoapBody((b'<t:Echo xmlns:t="urn:test"/>',)))
        assert b"ReplyTo" not in client.last_request
        with pytest.raises(FaultError) as raised:
            client.tell("urn:unknown", SoapBody((b'<t:Echo xmlns:t="urn:test"/>',)))
        assert raised.value.fault.subcodes == ("ActionNotSupported",)
        assert client.call(ECHO, b'<t:Echo xmlns:t="urn:test"/>').action == f"{ECHO}Response"
    with SoapClient(f"{door}/elsewhere", directory=tmp_path) as client, pytest.raises(CallError):
        client.tell(TELL, SoapBody((b"<a/>",)))


def test_a_kept_answer_is_delivered_as_it_is(door, tmp_path):
    assert post(door, envelope(REGISTERED))[0] == 202
    told = KEPT[0][2].replace(f"{ECHO}Response".encode(), TELL.encode())
    with SoapClient(f"{door}/soap/test?subscription=1", directory=tmp_path) as client:
        client.deliver(told)
        client.deliver(told, mtom=True)
        assert client.last_request.startswith(b"\r\n--")
    assert RECORDS == ["ITI-0 0"] * 3
