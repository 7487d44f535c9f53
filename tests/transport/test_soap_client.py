"""The SOAP client against partners that misbehave, and over mutual TLS."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import ssl
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hie.transport.soap_client import CallError, SoapClient
from hie.transport.soap_server import _certificate
from hie.wire.soap.envelope import SoapBody, read_envelope, write_answer, write_fault
from hie.wire.soap.faults import SoapFault


def http(body: bytes, content_type: str = "application/soap+xml", status: str = "200 OK", extra: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
    return head.encode() + body


def answer(request: bytes) -> bytes:
    message = read_envelope(request)
    return http(write_answer(f"{message.action}Response", message.message_id, SoapBody((b"<b/>",))))


@contextmanager
def partner(script, context: ssl.SSLContext | None = None):
    """A partner that answers the requests of each connection by the functions of one row of the script."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(10)
    seen: list[bytes] = []

    def serve() -> None:
        for row in script:
            peer, _ = listener.accept()
            with context.wrap_socket(peer, server_side=True) if context else peer as stream:
                if context:
                    seen.append(_certificate({"gunicorn.socket": stream}))
                for reply in row:
                    stream.sendall(reply(read_request(stream)))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    scheme = "https" if context else "http"
    try:
        yield f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/soap/x", seen
    finally:
        thread.join(10)
        listener.close()
    assert not thread.is_alive()


def read_request(stream) -> bytes:
    raw = b""
    while b"\r\n\r\n" not in raw:
        raw += stream.recv(65536)
    head, _, body = raw.partition(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.splitlines() if line.lower().startswith(b"content-length"))
    while len(body) < length:
        body += stream.recv(65536)
    return body


def test_connection_is_kept_and_shown(tmp_path):
    with partner([[answer, answer]]) as (url, _), SoapClient(url, directory=tmp_path) as client:
        assert client.call("urn:a", b"<x/>").action == "urn:aResponse"
        assert client.call("urn:b", b"<y/>").action == "urn:bResponse"
        assert b"<y/>" in client.last_request
        assert b"urn:bResponse" in client.last_response


def test_connection_that_the_partner_has_closed_is_opened_again(tmp_path):
    with partner([[answer], [answer]]) as (url, _), SoapClient(url, directory=tmp_path) as client:
        client.call("urn:a", b"<x/>")
        client._connection.sock.settimeout(10)
        assert client._connection.sock.recv(1, socket.MSG_PEEK) == b""
        assert client.call("urn:a", b"<x/>").action == "urn:aResponse"


BROKEN = {
    "other relation": lambda _: http(write_answer("urn:r", "urn:uuid:other", SoapBody((b"<b/>",)))),
    "not xml": lambda _: http(b"hello"),
    "entities": lambda _: http(b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'),
    "html": lambda _: http(b"<html/>", "text/html", "502 Bad Gateway"),
    "half": lambda request: answer(request)[:-10],
    "half of a multipart": lambda _: http(b"--b\r\nContent-ID: <a>\r\n\r\nx", "multipart/related; boundary=b"),
    "no http": lambda _: b"\x16\x03\x01",
    "nothing": lambda _: b"",
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_answer(tmp_path, case):
    with partner([[BROKEN[case]]]) as (url, _), SoapClient(url, directory=tmp_path) as client:
        with pytest.raises(CallError):
            client.call("urn:a", b"<x/>")
        client.discard()
    assert not list(tmp_path.iterdir())


EMPTY_BODY = b'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Header/><s:Body/></s:Envelope>'
TAKEN = {
    "no content": lambda _: http(b"", "text/plain", "202 Accepted"),
    "no content that calls itself SOAP": lambda _: http(b"", "application/soap+xml", "202 Accepted"),
    "no content that calls itself MTOM": lambda _: http(b"", "multipart/related", "202 Accepted"),
    "an empty SOAP body": lambda _: http(EMPTY_BODY),
    "a page": lambda _: http(b"<html/>", "text/html"),
    "an answer": answer,
}


@pytest.mark.parametrize("case", TAKEN)
def test_whoever_answers_with_success_has_taken_a_message(tmp_path, case):
    with partner([[TAKEN[case]]]) as (url, _), SoapClient(url, directory=tmp_path) as client:
        client.tell("urn:a", SoapBody((b"<x/>",)))


NOT_TAKEN = {
    "a fault": lambda _: http(write_fault(SoapFault("Sender", "no")), status="400 Bad Request"),
    "a fault with success": lambda _: http(write_fault(SoapFault("Sender", "no"))),
    "no content": lambda _: http(b"", "application/soap+xml", "503 Service Unavailable"),
    "elsewhere": lambda _: http(b"", "text/html", "302 Found", "Location: http://127.0.0.1:9/\r\n"),
}


@pytest.mark.parametrize("case", NOT_TAKEN)
def test_a_fault_and_any_other_status_say_that_a_message_was_not_taken(tmp_path, case):
    with partner([[NOT_TAKEN[case]]]) as (url, _), SoapClient(url, directory=tmp_path) as client:
        with pytest.raises(CallError) as refusal:
            client.tell("urn:a", SoapBody((b"<x/>",)))
        assert refusal.value.status


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nContent-Type: application/soap+xml\r\n\r\n<a>"])
def test_a_call_is_broken_off_from_another_thread(tmp_path, said):
    """A partner that says nothing, or never comes to an end, holds its caller as long as the caller wants."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"

        def serve() -> None:
            peer, _ = listener.accept()
            with peer:
                read_request(peer)
                peer.sendall(said)
                client.abort()

        with SoapClient(url, directory=tmp_path, timeout=60) as client:
            thread = threading.Thread(target=serve, daemon=True)
            thread.start()
            with contextlib.suppress(CallError):
                client.tell("urn:a", SoapBody((b"<x/>",)))
                assert said, "nothing was answered, so nothing was taken"
            thread.join(10)
        assert not thread.is_alive()


def test_nobody_there(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with SoapClient(f"http://127.0.0.1:{port}/", directory=tmp_path) as client, pytest.raises(CallError):
        client.call("urn:a", b"<x/>")


def test_slow_partner_is_not_waited_for(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        with SoapClient(url, directory=tmp_path, timeout=0.2) as client, pytest.raises(CallError, match="No answer"):
            client.call("urn:a", b"<x/>")


def certificate(tmp_path, name: str):
    """A self-signed certificate for 127.0.0.1, in one PEM file with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
    made = builder.not_valid_after(now + timedelta(days=1)).add_extension(address, False).sign(key, hashes.SHA256())
    path = tmp_path / f"{name}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path, made.public_bytes(serialization.Encoding.DER)


@pytest.mark.parametrize("shown", [True, False])
def test_mutual_tls_tells_the_door_who_calls(tmp_path, shown):
    ours, der = certificate(tmp_path, "caller")
    theirs, _ = certificate(tmp_path, "door")
    door = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    door.load_cert_chain(theirs)
    door.load_verify_locations(ours)
    door.verify_mode = ssl.CERT_OPTIONAL
    caller = ssl.create_default_context(cafile=str(theirs))
    if shown:
        caller.load_cert_chain(ours)
    with partner([[answer]], door) as (url, seen):
        with SoapClient(url, directory=tmp_path / "in", ssl_context=caller) as client:
            client.call("urn:a", b"<x/>")
        assert seen == [der if shown else b""]


@pytest.mark.parametrize("url", ["ftp://x/", "soap", "https://x/"])
def test_endpoint_that_cannot_be_called(tmp_path, url):
    with pytest.raises(ValueError, match=r"URL|TLS"):
        SoapClient(url, directory=tmp_path)
