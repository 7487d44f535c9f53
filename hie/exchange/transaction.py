"""A transaction as a value: endpoint, consent question, audit event and documentation are read off it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from hie.exchange.audit import AuditEvent
from hie.values.access import Access, Permit, Subject
from hie.values.errors import ExchangeError


@dataclass(frozen=True, slots=True)
class Mllp:
    """A door for HL7 v2 over MLLP: trigger events as ``ADT^A01``; version narrows to one MSH-12, "" takes any."""

    triggers: tuple[str, ...]
    version: str = ""

    def __str__(self) -> str:
        return f"MLLP {' '.join(self.triggers)}" + (f" ({self.version})" if self.version else "")


@dataclass(frozen=True, slots=True)
class Soap:
    """A door for SOAP 1.2 at ``/soap/<service>``: the wsa:Action asked and answered with; mtom: multipart/related."""

    service: str
    action: str
    response_action: str
    mtom: bool = False

    def __str__(self) -> str:
        return f"SOAP /soap/{self.service} {self.action}" + (" (MTOM)" if self.mtom else "")


Door = Mllp | Soap


class Codec(Protocol):
    """A module of ``hie.wire``: between a door's message and values. Raises ExchangeError where it cannot read."""

    def read_request(self, message: Any, /) -> Any: ...

    def write_response(self, message: Any, result: Any, /) -> Any: ...

    def write_error(self, message: Any, error: ExchangeError, /) -> Any: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """One IHE transaction as this server answers it.

    number: ``ITI-18``. subject: request -> the patients it is about. access: the consent question.
    execute: (request, permit) -> result, narrowing itself by the permit. audit: the event left behind.
    changes: the verb changes state; it is then committed together with its audit record, or not at all.
    prepare: request -> request, what can be judged and made durable before that database transaction opens.
    find: request -> request, looks up once what ``subject`` and ``execute`` both need and lets the request carry it;
    it is asked before the gate, so nothing of it may be told but what the permit opens.
    ``access``, ``subject`` and ``audit`` have no default: nobody can forget to ask.
    """

    number: str
    name: str
    door: Door
    codec: Codec
    subject: Callable[[Any], tuple[Subject, ...]]
    access: Access
    execute: Callable[[Any, Permit], Any]
    audit: AuditEvent
    changes: bool = False
    prepare: Callable[[Any], Any] | None = None
    find: Callable[[Any], Any] | None = None
