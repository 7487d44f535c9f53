"""The SOAP door over real sockets: answered, refused, broken; every refusal recorded."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from lxml import etree

from hie.transport import soap_server
from hie.transport.soap_client import CallError, FaultError, SoapClient
from hie.transport.soap_server import soap_application
from hie.wire.soap.envelope import Attachment
from hie.wire.soap.mtom import include
from tests.transport import soap_peers
from tests.transport.soap_peers import ECHO, FETCH, RECORDS

SOAP, WSA = "http://www.w3.org/2003/05/soap-envelope", "http://www.w3.org/2005/08/addressing"
SOAP_TYPE = {"Content-Type": "application/soap+xml"}


def envelope(header: str = "", body: str = '<t:Echo xmlns:t="urn:test"/>', soap: str = SOAP) -> bytes:
    head = f'<s:Envelope xmlns:s="{soap}" xmlns:a="{WSA}"><s:Header>{header}</s:Header>'
    return f"{head}<s:Body>{body}</s:Body></s:Envelope>".encode()


ACTION = f'<a:Action s:mustUnderstand="1">{ECHO}</a:Action>'
ADDRESSED = f"{ACTION}<a:MessageID>urn:uuid:1</a:MessageID>"


@pytest.fixture
def door(monkeypatch, tmp_path, settings):
    """The door with the echo service on a loopback port; its base URL."""
    soap_peers.install(monkeypatch.setattr)
    monkeypatch.setattr(soap_server, "between_messages", lambda: None)
    settings.DOCUMENT_STORE = str(tmp_path / "store")
    soap_server.spool_directory.cache_clear()
    RECORDS.clear()
    with soap_peers.running(soap_application) as url:
        yield url
    soap_server.spool_directory.cache_clear()


def spooled(settings) -> list[Path]:
    return list(Path(settings.DOCUMENT_STORE).glob("incoming/*"))


def post(url: str, body: bytes, headers: dict[str, str], method: str = "POST") -> tuple[int, str, bytes]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
    try:
        connection.request(method, parts.path, body=body, headers=headers)
        response = connection.getresponse()
        return response.status, response.headers["Content-Type"], response.read()
    finally:
        connection.close()


def test_simple_request_is_answered_by_its_action(door):
    status, content_type, raw = post(f"{door}/soap/test", envelope(ADDRESSED), SOAP_TYPE | {"SOAPAction": "urn:other"})
    root = etree.fromstring(raw)
    action = root.find(f".//{{{WSA}}}Action")
    assert (status, content_type) == (200, "application/soap+xml; charset=UTF-8")
    assert action.text == f"{ECHO}Response"
    assert action.get(f"{{{SOAP}}}mustUnderstand") == "1"
    assert root.findtext(f".//{{{WSA}}}RelatesTo") == "urn:uuid:1"
    assert root.find(".//{urn:test}Answer").get("mtom") == "False"
    assert RECORDS == ["ITI-0 0"]


FAULTS = {
    "no action": (envelope("<a:MessageID>urn:uuid:1</a:MessageID>"), 400, "Sender", "MessageAddressingHeaderRequired"),
    "no message id": (envelope(ACTION), 400, "Sender", "MessageAddressingHeaderRequired"),
    "no header": (envelope(), 400, "Sender", "MessageAddressingHeaderRequired"),
    "action twice": (envelope(ADDRESSED + ACTION), 400, "Sender", "InvalidCardinality"),
    "unknown action": (envelope(ADDRESSED.replace(ECHO, "urn:x")), 400, "Sender", "ActionNotSupported"),
    "other reply": (
        envelope(f"{ADDRESSED}<a:ReplyTo><a:Address>http://elsewhere/</a:Address></a:ReplyTo>"),
        400,
        "Sender",
        "OnlyAnonymousAddressSupported",
    ),
    "reply without address": (
        envelope(f"{ADDRESSED}<a:ReplyTo><a:Other/></a:ReplyTo>"),
        400,
        "Sender",
        "MissingAddressInEPR",
    ),
    "must understand": (
        envelope(f'{ADDRESSED}<x:Y xmlns:x="urn:x" s:mustUnderstand="true"/>'),
        500,
        "MustUnderstand",
        "",
    ),
    "other soap": (envelope(ADDRESSED, soap="urn:soap"), 500, "VersionMismatch", ""),
    "two children": (envelope(ADDRESSED, "<a/><b/>"), 400, "Sender", ""),
    "empty body": (envelope(ADDRESSED, ""), 400, "Sender", ""),
    "no envelope": (b"<a/>", 400, "Sender", ""),
    "empty": (b"", 400, "Sender", ""),
    "cut": (envelope(ADDRESSED)[:-20], 400, "Sender", ""),
    "entities": (
        b'<!DOCTYPE a [<!ENTITY x "xxxxxxxxxx"><!ENTITY y "&x;&x;&x;&x;&x;&x;&x;&x;">]>'
        + envelope(ADDRESSED, "<b>&y;</b>"),
        400,
        "Sender",
        "",
    ),
    "deep": (envelope(ADDRESSED, "<a>" * 400 + "</a>" * 400), 400, "Sender", ""),
    "many": (envelope(ADDRESSED, "<a/>" * 1_000_000), 413, "Sender", ""),
    "two assertions": (
        envelope(
            ADDRESSED
            + '<w:Security xmlns:w="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"'
            ' xmlns:m="urn:oasis:names:tc:SAML:2.0:assertion"><m:Assertion/><m:Assertion/></w:Security>'
        ),
        400,
        "Sender",
        "InvalidSecurity",
    ),
    "refused caller": (
        envelope(
            ADDRESSED
            + '<w:Security xmlns:w="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"'
            ' xmlns:m="urn:oasis:names:tc:SAML:2.0:assertion"><m:Assertion ID="wrong"/></w:Security>'
        ),
        400,
        "Sender",
        "FailedAuthentication",
    ),
}


@pytest.mark.parametrize("case", FAULTS)
def test_fault(door, case, settings):
    settings.EXCHANGE = {name: path for name, path in settings.EXCHANGE.items() if name not in ("later", "reachable")}
    raw, status, code, subcode = FAULTS[case]
    got = post(f"{door}/soap/test", raw, SOAP_TYPE)
    root = etree.fromstring(got[2])
    values = [value.text.split(":")[-1] for value in root.iter(f"{{{SOAP}}}Value")]
    assert (got[0], values[0]) == (status, code)
    assert subcode in ("", *values[1:])
    addressing = b"<soap:Value>wsa:" in got[2]
    assert root.findtext(f".//{{{WSA}}}Action") == (f"{WSA}/fault" if addressing else f"{WSA}/soap/fault")
    assert len(RECORDS) == 1
    assert " 8 " in RECORDS[0]
    assert not spooled(settings)


def test_fault_names_the_header_not_understood(door):
    raw = post(f"{door}/soap/test", FAULTS["must understand"][0], SOAP_TYPE)[2]
    block = etree.fromstring(raw).find(f".//{{{SOAP}}}NotUnderstood")
    prefix, name = block.get("qname").split(":")
    assert (block.nsmap[prefix], name) == ("urn:x", "Y")


def test_soap_1_1_is_told_in_soap_1_1(door):
    soap_1_1 = "http://schemas.xmlsoap.org/soap/envelope/"
    status, content_type, raw = post(
        f"{door}/soap/test", envelope(ADDRESSED, soap=soap_1_1), {"Content-Type": "text/xml"}
    )
    root = etree.fromstring(raw)
    assert (status, content_type, root.tag) == (500, "text/xml; charset=UTF-8", f"{{{soap_1_1}}}Envelope")
    assert root.findtext(".//faultcode").endswith(":VersionMismatch")
    assert root.find(f".//{{{SOAP}}}SupportedEnvelope") is not None


def test_crash_is_an_answer_without_a_trace(door):
    status, _, raw = post(f"{door}/soap/test", envelope(ADDRESSED, '<t:Crash xmlns:t="urn:test"/>'), SOAP_TYPE)
    assert status == 200
    assert b'reason="INTERNAL"' in raw
    assert b"purpose" not in raw


PROBLEMS = [
    ("GET", "/soap/test", {}, 405),
    ("PUT", "/soap/test", SOAP_TYPE, 405),
    ("POST", "/soap/none", SOAP_TYPE, 404),
    ("POST", "/soap/", SOAP_TYPE, 404),
    ("POST", "/soap/test", {"Content-Type": "application/json"}, 415),
    ("POST", "/soap/test", {}, 415),
    ("POST", "/soap/test", SOAP_TYPE | {"Content-Encoding": "gzip"}, 415),
    ("POST", "/soap/test", {"Content-Type": 'multipart/related; type="text/html"; boundary=b'}, 415),
    ("POST", "/soap/test", {"Content-Type": "text/xml"}, 415),
]


@pytest.mark.parametrize(("method", "path", "headers", "expected"), PROBLEMS)
def test_http_refusal_is_a_problem_document(door, method, path, headers, expected):
    status, content_type, raw = post(f"{door}{path}", envelope(ADDRESSED), headers, method)
    assert (status, content_type) == (expected, "application/problem+json")
    assert json.loads(raw)["status"] == expected
    assert json.loads(raw)["detail"]
    assert len(RECORDS) == 1


def test_message_above_the_limit_is_413(door, settings):
    settings.MAX_MESSAGE_BYTES = 1000
    status, _, raw = post(f"{door}/soap/test", envelope(ADDRESSED, f"<a>{'x' * 2000}</a>"), SOAP_TYPE)
    assert (status, b"Sender" in raw) == (413, True)
    assert "1000 bytes" in RECORDS[0]


def test_document_above_the_limit_is_413_and_leaves_nothing(door, settings, tmp_path):
    settings.MAX_DOCUMENT_BYTES = 1000
    with pytest.raises(FaultError) as refused:
        send_document(door, tmp_path, b"x" * 5000)
    assert refused.value.status == 413
    assert not spooled(settings)


def send_document(door: str, tmp_path: Path, content: bytes):
    path = tmp_path / "document"
    path.write_bytes(content)
    body = b'<t:Echo xmlns:t="urn:test"><t:Document>' + include("d@x") + b"</t:Document></t:Echo>"
    with SoapClient(f"{door}/soap/test", directory=tmp_path / "in") as client:
        return client.call(ECHO, body, attachments=(Attachment("d@x", path, len(content)),))


@pytest.mark.parametrize(
    "content", [b"", b"x", b"\r\n--", os.urandom(700_000)], ids=["empty", "one", "dashes", "large"]
)
def test_attachment_arrives_whole(door, tmp_path, settings, content):
    answer = send_document(door, tmp_path, content)
    got = answer.body.find("{urn:test}Got")
    assert (answer.mtom, int(got.get("size"))) == (True, len(content))
    assert got.get("sha256") == hashlib.sha256(content).hexdigest()
    assert not spooled(settings)


def test_mtom_request_without_attachment_gets_an_mtom_answer(door, tmp_path):
    with SoapClient(f"{door}/soap/test", directory=tmp_path) as client:
        answer = client.call(ECHO, b'<t:Echo xmlns:t="urn:test"/>', mtom=True)
    assert (answer.mtom, answer.body.get("mtom")) == (True, "True")
    assert b"Content-ID: <" in client.last_response


def test_inline_base64_is_content_as_well(door, tmp_path, settings):
    content = os.urandom(100_000)
    body = f'<t:Echo xmlns:t="urn:test"><t:Document>{base64.encodebytes(content).decode()}</t:Document></t:Echo>'
    with SoapClient(f"{door}/soap/test", directory=tmp_path) as client:
        answer = client.call(ECHO, body.encode())
    assert answer.body.find("{urn:test}Got").get("sha256") == hashlib.sha256(content).hexdigest()
    assert not spooled(settings)


@pytest.mark.parametrize("mtom", [True, False])
@pytest.mark.parametrize("size", [0, 1, 2, 3, 300_000])
def test_document_goes_out_in_the_encoding_of_the_request(door, tmp_path, monkeypatch, mtom, size):
    path = tmp_path / "out"
    path.write_bytes(os.urandom(size))
    monkeypatch.setenv("SOAP_PEERS_FILE", str(path))
    with SoapClient(f"{door}/soap/test", directory=tmp_path / "in") as client:
        answer = client.call(FETCH, b'<t:Fetch xmlns:t="urn:test"/>', mtom=mtom)
        assert answer.mtom is mtom
        if mtom:
            content = answer.attachments["doc@test"]
            assert content.path.read_bytes() == path.read_bytes()
            assert content.mime_type == "application/pdf"
        else:
            assert base64.b64decode(answer.body.findtext("{urn:test}Document") or "") == path.read_bytes()


def test_twenty_megabytes_both_ways_in_bounded_memory(door, tmp_path, monkeypatch):
    path = tmp_path / "large"
    path.write_bytes(os.urandom(20 * 1024 * 1024))
    monkeypatch.setenv("SOAP_PEERS_FILE", str(path))
    body = b'<t:Fetch xmlns:t="urn:test"><t:Document>' + include("d@x") + b"</t:Document></t:Fetch>"
    with SoapClient(f"{door}/soap/test", directory=tmp_path / "in") as client:
        tracemalloc.start()
        answer = client.call(FETCH, body, attachments=(Attachment("d@x", path, path.stat().st_size),))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert answer.attachments["doc@test"].sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert peak < 5 * 1024 * 1024


def test_broken_multipart_is_a_fault_in_multipart_and_leaves_nothing(door, settings):
    raw = b"--b\r\nContent-ID: <r>\r\n\r\n" + envelope(ADDRESSED) + b"\r\n--b\r\nContent-ID: <d>\r\n\r\n" + b"x" * 9000
    headers = {"Content-Type": 'multipart/related; type="application/xop+xml"; boundary=b; start="<r>"'}
    status, content_type, answer = post(f"{door}/soap/test", raw, headers)
    assert (status, content_type.partition(";")[0]) == (400, "multipart/related")
    assert b"closing delimiter" in answer
    assert not spooled(settings)


def test_body_shorter_than_announced(door):
    parts = urlsplit(door)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as peer:
        head = (
            "POST /soap/test HTTP/1.1\r\nHost: x\r\nContent-Type: application/soap+xml\r\nContent-Length: 5000\r\n\r\n"
        )
        peer.sendall(head.encode() + envelope(ADDRESSED))
        peer.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: peer.recv(65536), b""))
    assert b" 400 " in answer.splitlines()[0]
    assert b"ended before" in answer
    assert len(RECORDS) == 1


def test_client_says_what_came_instead_of_soap(door, tmp_path):
    with SoapClient(f"{door}/soap/none", directory=tmp_path) as client, pytest.raises(CallError) as refused:
        client.call(ECHO, b"<a/>")
    assert refused.value.status == 404


def test_zeep_talks_to_the_door(door, tmp_path):
    """An independent client library: its envelope and addressing headers, its reading of an answer and of a fault."""
    zeep = pytest.importorskip("zeep")
    description = Path(__file__).parent.parent / "samples" / "soap" / "echo.wsdl"
    client = zeep.Client(str(description))
    service = client.create_service("{urn:test}EchoBinding", f"{door}/soap/test")
    assert service.Echo(Note="山本") == "False"
    with pytest.raises(zeep.exceptions.Fault, match="not supported"):
        service.Unknown(Note="x")


# The real web server: gunicorn takes chunked bodies apart and keeps connections open.


WORKER = "hie.transport.web_server.Worker"


@pytest.fixture(scope="module")
def gunicorn(tmp_path_factory):
    """Our worker in gunicorn: what the servers of ``manage.py serve`` are."""
    data = tmp_path_factory.mktemp("gunicorn")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {
        "HIE_DATA_DIR": str(data),
        "HIE_MAX_MESSAGE_MB": "1",
        "DJANGO_SETTINGS_MODULE": "hie.settings",
    }
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--worker-class", WORKER),
            *("--threads", "4", "--log-level", "critical", "--no-control-socket"),
            "tests.transport.soap_peers:gunicorn_application()",
        ],
        env=environment,
        cwd=Path(__file__).parents[2],
    )
    try:
        wait_for(port, process)
        yield port, data
    finally:
        process.terminate()
        process.wait(timeout=20)


def wait_for(port: int, process: subprocess.Popen) -> None:
    for _ in range(200):
        assert process.poll() is None
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("gunicorn did not start")


def test_chunked_request(gunicorn):
    connection = http.client.HTTPConnection("127.0.0.1", gunicorn[0], timeout=60)
    raw = envelope(ADDRESSED)
    pieces = (raw[at : at + 7] for at in range(0, len(raw), 7))
    for _ in range(2):
        connection.request("POST", "/soap/test", body=pieces, headers=SOAP_TYPE, encode_chunked=True)
        response = connection.getresponse()
        assert (response.status, b"EchoResponse" in response.read()) == (200, True)
        pieces = iter([raw])
    connection.close()


def test_chunked_request_above_the_limit(gunicorn):
    connection = http.client.HTTPConnection("127.0.0.1", gunicorn[0], timeout=60)
    pieces = iter([b"x" * 100_000] * 12)
    connection.request("POST", "/soap/test", body=pieces, headers=SOAP_TYPE, encode_chunked=True)
    response = connection.getresponse()
    assert (response.status, b"Sender" in response.read()) == (413, True)
    connection.close()


def test_chunked_request_cut_off(gunicorn):
    with socket.create_connection(("127.0.0.1", gunicorn[0]), timeout=10) as peer:
        head = "POST /soap/test HTTP/1.1\r\nHost: x\r\nContent-Type: application/soap+xml\r\n"
        head += "Transfer-Encoding: chunked\r\n\r\n"
        peer.sendall(head.encode() + b"400\r\n" + envelope(ADDRESSED)[:100])
        peer.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: peer.recv(65536), b""))
    assert b" 400 " in answer.splitlines()[0]
    assert b"Sender" in answer


def test_more_peers_than_threads_are_all_answered(gunicorn):
    """A thread stays with a peer that it has answered only while nobody else waits for one."""
    peers = [http.client.HTTPConnection("127.0.0.1", gunicorn[0], timeout=60) for _ in range(9)]
    for _ in range(3):
        for peer in peers:
            peer.request("POST", "/soap/test", body=envelope(ADDRESSED), headers=SOAP_TYPE)
        for peer in peers:
            response = peer.getresponse()
            assert (response.status, b"EchoResponse" in response.read()) == (200, True)
    for peer in peers:
        peer.close()


def test_refusal_leaves_the_connection_usable(gunicorn):
    connection = http.client.HTTPConnection("127.0.0.1", gunicorn[0], timeout=60)
    for path, expected in [("/soap/none", 404), ("/soap/test", 200), ("/soap/none", 404), ("/soap/test", 200)]:
        connection.request("POST", path, body=envelope(ADDRESSED), headers=SOAP_TYPE)
        response = connection.getresponse()
        assert (response.status, bool(response.read())) == (expected, True)
    connection.close()


@pytest.mark.parametrize(
    ("path", "size", "expected"), [("/soap/none", 30_000_000, 404), ("/soap/test", 3_000_000, 413)]
)
def test_refusal_reaches_a_peer_that_is_still_sending(gunicorn, path, size, expected):
    status, _, raw = post(f"http://127.0.0.1:{gunicorn[0]}{path}", b"x" * size, SOAP_TYPE)
    assert (status, bool(raw)) == (expected, True)


def test_announced_length_above_the_limit_is_refused_before_it_is_read(gunicorn):
    connection = http.client.HTTPConnection("127.0.0.1", gunicorn[0], timeout=60)
    connection.putrequest("POST", "/soap/test")
    connection.putheader("Content-Type", "application/soap+xml")
    connection.putheader("Content-Length", str(1 << 50))
    connection.endheaders()
    response = connection.getresponse()
    assert (response.status, b"Sender" in response.read()) == (413, True)
    connection.close()


def test_mtom_through_gunicorn(gunicorn, tmp_path):
    answer = send_document(f"http://127.0.0.1:{gunicorn[0]}", tmp_path, os.urandom(3_000_000))
    assert answer.body.find("{urn:test}Got").get("size") == "3000000"
    assert not list(gunicorn[1].glob("documents/incoming/*"))


@pytest.mark.parametrize("chunked", [True, False])
def test_django_sees_the_body_of_a_form(gunicorn, chunked):
    """The login form shows the name that was typed in again, which it can only know from the body."""
    connection = http.client.HTTPConnection("127.0.0.1", gunicorn[0], timeout=60)
    connection.request("GET", "/admin/login/")
    response = connection.getresponse()
    page, cookie = response.read().decode(), response.headers["Set-Cookie"].partition(";")[0]
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[1]
    body = f"csrfmiddlewaretoken={token}&username=nobody".encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": cookie}
    connection.request(
        "POST", "/admin/login/", body=iter([body]) if chunked else body, headers=headers, encode_chunked=chunked
    )
    response = connection.getresponse()
    assert (response.status, 'value="nobody"' in response.read().decode()) == (200, True)
    connection.close()


def test_django_refuses_a_chunked_body_above_the_limit(gunicorn):
    connection = http.client.HTTPConnection("127.0.0.1", gunicorn[0], timeout=60)
    connection.request("POST", "/admin/login/", body=iter([b"x" * 100_000] * 12), encode_chunked=True)
    response = connection.getresponse()
    assert (response.status, response.headers["Content-Type"]) == (413, "application/problem+json")
    response.read()
    connection.close()
