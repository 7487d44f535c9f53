"""The SOAP door: ``POST /soap/<service>``, SOAP 1.2 and MTOM, mounted in front of Django (ITI TF-2 Appendix V).

Between the socket and the pipeline stand three questions: is it HTTP as it has to be (else a problem document), is it
SOAP as it has to be (else a fault), and which transaction does its wsa:Action name? The answer comes in the encoding of
the request, MTOM or plain. Whatever is refused here is recorded by the pipeline before the refusal leaves.

An answer may be wanted elsewhere: a wsa:ReplyTo with an address of its own (ITI TF-2: V.3, asynchronous web services).
The order then is: may we write to that address? answer the request (work and audit record are durable), hand the
answer to an outbox (durable too), say 202. Whoever has the 202 gets the answer; whoever has not, sends the request
again, which finds its work done. Faults are never sent elsewhere: they say that nothing was accepted, on the
connection that is there. What an app provides, by dotted path in ``settings.EXCHANGE``:

``later(url, action, envelope, attachments, *, mtom)``: keep the envelope (bytes), with its attachments
(``tuple[Attachment, ...]``, files that it has to hold on to), until it has been delivered; return when it is durable.
``reachable(connection, url) -> bool``: whether the caller's node has registered this address for its answers. Asked
before anything else is done. No address is ever called because a message names it (server-side request forgery).
Without both of them every ReplyTo has to be anonymous.

A door without a response action is one way (ITI-53, ITI-54): its ReplyTo means nothing, and 202 is all that is said.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.module_loading import import_string

from hie.exchange import pipeline, registry
from hie.exchange.connection import Connection
from hie.exchange.rows import between_messages
from hie.exchange.transaction import Codec, Soap, Transaction
from hie.transport.problems import HttpAnswer, StartResponse, problem
from hie.transport.request_bodies import Environ, drain, pieces_of
from hie.values.errors import ExchangeError, Reason
from hie.wire.soap.envelope import (
    ANONYMOUS,
    SoapBody,
    SoapMessage,
    invalid_header,
    missing_header,
    read_envelope,
    write_answer,
    write_fault,
)
from hie.wire.soap.faults import SoapFault
from hie.wire.soap.mtom import Limits, Outgoing, media_type, read_multipart, write_inlined, write_multipart
from hie.wire.soap.spool import Spool, sweep

log = logging.getLogger("hie.soap")

PREFIX = "/soap/"
_SOAP, _SOAP_1_1, _MULTIPART = "application/soap+xml", "text/xml", "multipart/related"
_LEFT_BEHIND_SECONDS = 24 * 60 * 60

# Who asks could not be established: XUA (ITI TF-2: 3.40) wants a fault of WS-Security, no answer of the application.
_ANSWERED_BY_FAULT = frozenset((Reason.SECURITY, Reason.UNKNOWN_CALLER))


def soap_application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """WSGI (PEP 3333): one request under ``/soap/``."""
    between_messages()
    connection = _connection(environ)
    service = environ.get("PATH_INFO", "")[len(PREFIX) :]
    try:
        if environ["REQUEST_METHOD"] != "POST":
            raise _HttpRefusal(405, "SOAP messages are sent by POST.", ("Allow", "POST"))
        headers = {"content-type": environ.get("CONTENT_TYPE", "")}
        if encoding := environ.get("HTTP_CONTENT_ENCODING"):
            headers["content-encoding"] = encoding
        answer = handle(service, headers, pieces_of(environ, _max_request_bytes()), connection)
    except _HttpRefusal as refusal:
        answer = _refuse_http(refusal, connection)
    if answer.status >= 400:
        drain(environ)
    return answer.send(start_response)


def handle(service: str, headers: Mapping[str, str], pieces: Iterable[bytes], connection: Connection) -> HttpAnswer:
    """Answer one request, whatever carried it.

    service: what follows ``/soap/``. headers: names in lower case; read are content-type and content-encoding.
    pieces: the body as it comes; reading it may raise ExchangeError. Never raises.
    """
    spool = Spool(spool_directory())
    message: SoapMessage | None = None
    mtom = headers.get("content-type", "")[:17].lower() == _MULTIPART
    try:
        _check_http(service, headers)
        message = _read(headers["content-type"], pieces, spool)
        if message.assertion:
            connection = replace(connection, assertion=message.assertion)
        transaction = _transaction_of(service, message)
        assert isinstance(transaction.door, Soap)
        reply_to = _reply_to(message, connection) if transaction.door.response_action else ""
        body = pipeline.answer(_with_faults(transaction), message, connection)
        if isinstance(body, SoapFault):
            return _fault(body, message, mtom)
        if not transaction.door.response_action:
            return _ACCEPTED
        if reply_to:
            return _answer_later(reply_to, transaction.door, message, body, mtom)
        return _send(200, write_answer(transaction.door.response_action, message.message_id, body), body, mtom)
    except _HttpRefusal as refusal:
        return _refuse_http(refusal, connection)
    except ExchangeError as error:
        return _fault(pipeline.record_refusal(connection, error), message, mtom)
    except Exception:
        log.exception(
            "a SOAP request to %s failed", service if service in registry.services() else "an unknown service"
        )
        unexpected = ExchangeError(Reason.INTERNAL, "Internal error; the message was not answered.")
        return _fault(pipeline.record_refusal(connection, unexpected), message, mtom)
    finally:
        spool.discard()


@cache
def spool_directory() -> Path:
    """Where documents lie while their message is answered: beside the store, so that keeping one is a rename."""
    directory = Path(settings.DOCUMENT_STORE) / "incoming"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    sweep(directory, _LEFT_BEHIND_SECONDS)
    return directory


class _HttpRefusal(Exception):  # noqa: N818 - it is an answer
    """A request that is no SOAP message for us at all."""

    def __init__(self, status: int, detail: str, *headers: tuple[str, str]) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers


@dataclass(frozen=True, slots=True)
class _FaultingCodec:
    """A codec whose refusals of the caller become faults; everything else stays the dialect's own answer."""

    codec: Codec

    def read_request(self, message: Any, /) -> Any:
        return self.codec.read_request(message)

    def write_response(self, message: Any, result: Any, /) -> Any:
        return self.codec.write_response(message, result)

    def write_error(self, message: Any, error: ExchangeError, /) -> Any:
        if isinstance(error, SoapFault) or error.reason in _ANSWERED_BY_FAULT:
            return SoapFault.of(error)
        return self.codec.write_error(message, error)


@cache
def _with_faults(transaction: Transaction) -> Transaction:
    return replace(transaction, codec=_FaultingCodec(transaction.codec))


def _check_http(service: str, headers: Mapping[str, str]) -> None:
    if service not in registry.services():
        raise _HttpRefusal(404, f"There is no such service. There are: {', '.join(sorted(registry.services()))}.")
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise _HttpRefusal(415, "Content-Encoding is not read here; send the message as it is.")
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type not in (_SOAP, _SOAP_1_1, _MULTIPART):
        raise _HttpRefusal(415, f"The Content-Type has to be {_SOAP}, or {_MULTIPART} for MTOM.")


def _read(content_type: str, pieces: Iterable[bytes], spool: Spool) -> SoapMessage:
    name, parameters = media_type(content_type)
    if name == _MULTIPART:
        root_type = parameters.get("type", "application/xop+xml").lower()
        if root_type not in ("application/xop+xml", _SOAP):
            raise _HttpRefusal(415, "The parameter type of multipart/related has to be application/xop+xml.")
        multipart = read_multipart(content_type, pieces, spool, _limits())
        return read_envelope(multipart.root, settings.MAX_MESSAGE_BYTES, attachments=multipart.attachments, spool=spool)
    message = read_envelope(b"".join(_bounded(pieces)), settings.MAX_MESSAGE_BYTES, spool=spool)
    if name == _SOAP_1_1:
        raise _HttpRefusal(415, f"SOAP 1.2 is sent as {_SOAP}; text/xml belongs to SOAP 1.1.")
    return message


def _bounded(pieces: Iterable[bytes]) -> Iterator[bytes]:
    left = settings.MAX_MESSAGE_BYTES
    for piece in pieces:
        left -= len(piece)
        if left < 0:
            detail = f"The SOAP message is larger than the {settings.MAX_MESSAGE_BYTES} bytes allowed without MTOM."
            raise ExchangeError(Reason.TOO_LARGE, detail)
        yield piece


def _transaction_of(service: str, message: SoapMessage) -> Transaction:
    """What the wsa:Action asks for; the action parameter of the Content-Type counts for nothing (ITI TF-2: V.3)."""
    if not message.action:
        raise missing_header("Action")
    if not message.message_id:
        raise missing_header("MessageID")
    transaction = registry.for_action(service, message.action)
    if transaction is None:
        detail = "The wsa:Action is not supported at this service."
        raise SoapFault(
            "Sender",
            detail,
            "wsa:ActionNotSupported",
            reason=Reason.UNKNOWN_ACTION,
            problem_action=message.action,
        )
    return transaction


def _reply_to(message: SoapMessage, connection: Connection) -> str:
    """Where the answer is wanted, if not on this connection: an address that the caller's node has registered.

    A FaultTo of the same address is granted with it, though our faults come on the connection; any other is refused.
    """
    address = "" if message.reply_to == ANONYMOUS else message.reply_to
    if message.fault_to not in ("", ANONYMOUS, address):
        detail = f"wsa:FaultTo has to be {ANONYMOUS}: faults come on the same connection."
        raise invalid_header("FaultTo", detail, "wsa:OnlyAnonymousAddressSupported")
    if not address:
        return ""
    if not {"later", "reachable"} <= settings.EXCHANGE.keys():
        detail = f"wsa:ReplyTo has to be {ANONYMOUS}: the answer comes on the same connection."
        raise invalid_header("ReplyTo", detail, "wsa:OnlyAnonymousAddressSupported")
    if not _is_url(address) or not _part("reachable")(connection, address):
        detail = f"wsa:ReplyTo has to be {ANONYMOUS}, or an address registered here for the answers to your system."
        raise invalid_header("ReplyTo", detail, "wsa:OnlyAnonymousAddressSupported")
    return address


def _is_url(address: str) -> bool:
    try:
        return urlsplit(address).scheme in ("http", "https")
    except ValueError:
        return False


@cache
def _part(name: str) -> Any:
    """What an app provides for later answers, named by dotted path in ``settings.EXCHANGE``."""
    return import_string(settings.EXCHANGE[name])


def _answer_later(url: str, door: Soap, message: SoapMessage, body: SoapBody, mtom: bool) -> HttpAnswer:
    """Hand the answer to the outbox. Only what is durable there is acknowledged; else the sender has to come again."""
    _check_files(body)
    action = door.response_action
    envelope = write_answer(action, message.message_id, body, to=url, parameters=message.reply_parameters)
    try:
        _part("later")(url, action, envelope, body.attachments, mtom=mtom)
    except Exception:
        log.exception("an answer for later could not be kept")
        detail = "The answer could not be kept for its ReplyTo; send the message again."
        raise ExchangeError(Reason.BUSY, detail) from None
    return _ACCEPTED


_ACCEPTED = HttpAnswer(202, (("Content-Length", "0"),), ())


def _fault(error: ExchangeError, message: SoapMessage | None, mtom: bool) -> HttpAnswer:
    fault = SoapFault.of(error)
    envelope = write_fault(fault, message.message_id if message else "")
    if fault.soap_1_1:
        return _answer(fault.status, Outgoing("text/xml; charset=UTF-8", len(envelope), (envelope,)))
    return _send(fault.status, envelope, SoapBody(()), mtom)


def _send(status: int, envelope: bytes, body: SoapBody, mtom: bool) -> HttpAnswer:
    """The answer in the encoding of the request."""
    _check_files(body)
    return _answer(status, (write_multipart if mtom else write_inlined)(envelope, body.attachments))


def _check_files(body: SoapBody) -> None:
    """A file that is gone is noticed while a fault can still be sent."""
    for attachment in body.attachments:
        if not isinstance(attachment.path, Path):
            attachment.path.open("rb").close()
        elif attachment.path.stat().st_size != attachment.size:
            raise OSError("a document is not as long as its record says")


def _answer(status: int, outgoing: Outgoing) -> HttpAnswer:
    headers = (("Content-Type", outgoing.content_type), ("Content-Length", str(outgoing.length)))
    return HttpAnswer(status, headers, outgoing.pieces)


def _refuse_http(refusal: _HttpRefusal, connection: Connection) -> HttpAnswer:
    error = ExchangeError(Reason.UNSUPPORTED_MESSAGE, refusal.detail)
    recorded = pipeline.record_refusal(connection, error)
    if recorded is not error:
        return problem(recorded.reason.value.http, recorded.detail)
    return problem(refusal.status, refusal.detail, refusal.headers)


def _connection(environ: Environ) -> Connection:
    return Connection(
        door="soap",
        address=f"{environ['wsgi.url_scheme']}://{_host(environ)}{environ.get('PATH_INFO', '')}"[:1000],
        remote=environ.get("REMOTE_ADDR", ""),
        certificate=_certificate(environ),
    )


def _host(environ: Environ) -> str:
    return environ.get("HTTP_HOST") or f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"


def _certificate(environ: Environ) -> bytes:
    """The certificate that the TLS handshake has verified. What a header claims is never believed."""
    socket = environ.get("gunicorn.socket")
    if not isinstance(socket, ssl.SSLSocket) or socket.context.verify_mode == ssl.CERT_NONE:
        return b""
    return socket.getpeercert(binary_form=True) or b""


def _limits() -> Limits:
    documents = 2 * settings.MAX_DOCUMENT_BYTES
    return Limits(root=settings.MAX_MESSAGE_BYTES, document=settings.MAX_DOCUMENT_BYTES, documents=documents)


def _max_request_bytes() -> int:
    """The largest body worth reading: root part, documents, and a MiB for the headers of the parts."""
    limits = _limits()
    return limits.root + limits.documents + 1024 * 1024
