"""Messages on their way out: notifications (ITI-53), and answers that are wanted elsewhere (ITI TF-2: V.3).

A row is written in the database transaction of what it tells, and goes when the other side has taken it. Of a lane only
the first message is tried; what fails is tried again after 5 seconds, 10, 20, up to an hour, and given up after a week,
which is logged and stays visible. Nothing is sent to an address that no system has registered (``Endpoint``), or whose
systems are switched off: it waits.

One that is silent does not hold up the others. What was not tried yet goes first, an address that did not answer is
asked once in a round, and a round ends after ``ROUND_SECONDS``. A delivery is broken off before its lease ends, so that
no two processes are at the same message.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Min
from django.utils import timezone
from django.utils.module_loading import import_string

from apps.atna.services import record_own_work
from apps.network.queries import node_named
from apps.xds.models import Endpoint, Outgoing
from apps.xds.rules import subjects_of_patients
from hie.exchange.audit import EXPORT, READ
from hie.exchange.connection import Connection
from hie.transport.soap_client import CallError, SoapClient
from hie.transport.tls import client_context, server_credentials
from hie.values.audit import ParticipantObject
from hie.values.codes import Code
from hie.wire.soap.envelope import Attachment

log = logging.getLogger("apps.xds.outbox")

FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=5), timedelta(hours=1)
PATIENCE = timedelta(days=7)
LEASE = timedelta(minutes=5)  # a delivery that takes longer is taken for dead
SLOWEST = 256 * 1024  # bytes a second of attachments; a large answer has as much more time
ROUND_SECONDS = 20.0
AT_ONCE = 100
_MOST_DOUBLINGS = 16
_MARGIN_SECONDS = 30.0
_OBJECT = Code("urn:ihe:iti:2017:ObjectRef", "IHE XDS Metadata", "registry object reference")


def reachable(connection: Connection, url: str) -> bool:
    """Whether the caller's system has registered this address for its answers (settings.EXCHANGE["reachable"])."""
    caller = import_string(settings.EXCHANGE["authenticate"])(connection)
    return is_registered(caller.node.name, url)


def is_registered(node_name: str, url: str) -> bool:
    """Whether a system has registered this address."""
    return Endpoint.objects.filter(node_name=node_name, url=url).exists()


def later(url: str, action: str, envelope: bytes, attachments: Sequence[Attachment], *, mtom: bool) -> None:
    """Keep an answer until it is delivered (settings.EXCHANGE["later"]); durable when this returns.

    action: of the answer, which the envelope has too. The files are linked or copied beside the store, so that they
    stay whatever becomes of their documents.
    """
    kept = [_keep_file(each) for each in attachments]
    put(lane=f"answer {secrets.token_hex(8)}", url=url, envelope=envelope, attachments=kept, mtom=mtom)


def put(*, lane: str, url: str, envelope: bytes, **more: Any) -> None:
    """Write one message into the outbox, in the caller's database transaction."""
    Outgoing.objects.create(lane=lane, url=url, envelope=envelope, due_at=timezone.now(), **more)


class NotCalledError(Exception):
    """Nothing may be sent to the address now: nobody has registered it any more, or its systems are switched off."""


def discard(rows: Iterable[Outgoing]) -> None:
    """Remove messages that nobody shall get any more, in the caller's database transaction, and then their files."""
    for row in rows:
        paths = _files_of(row)
        row.delete()
        transaction.on_commit(partial(_remove, paths))


def deliver_due(as_of_now: Callable[[Outgoing], Outgoing | None]) -> int:
    """Deliver the first message of every lane that is due; returns how many were taken by the other side.

    as_of_now: a notification as it may leave now, or None where there is nothing left to tell.
    """
    heads = Outgoing.objects.filter(given_up=False).values("lane").annotate(first=Min("id")).values("first")
    due = Outgoing.objects.filter(pk__in=heads, due_at__lte=timezone.now()).order_by("attempts", "due_at")
    ends, silent, taken = time.monotonic() + ROUND_SECONDS, set(), 0
    for row in due[:AT_ONCE]:
        if time.monotonic() > ends:
            break
        if row.url in silent:
            continue
        outcome = _deliver(row, as_of_now)
        taken += outcome is _TAKEN
        if outcome is _SILENT:
            silent.add(row.url)
    return taken


_TAKEN, _REFUSED, _SILENT = "taken", "refused", "silent"


def _deliver(row: Outgoing, as_of_now: Callable[[Outgoing], Outgoing | None]) -> str:
    leased = timezone.now() + _lease(row)
    if not _claim(row, leased):
        return _REFUSED
    try:
        current = as_of_now(row) if row.number else row
        if current is not None:
            _send(current, leased)
    except Exception as failure:
        if not isinstance(failure, CallError | NotCalledError | OSError | ValueError):
            log.exception("message %s of lane %s could not be sent", row.pk, row.lane)
        _put_off(row, failure)
        return _REFUSED if getattr(failure, "status", 0) else _SILENT
    paths = _files_of(row)
    with transaction.atomic():
        if current is not None:
            _record(current, outcome=0)
        row.delete()
    _remove(paths)
    return _TAKEN if current is not None else _REFUSED


def _files_of(row: Outgoing) -> list[Path]:
    return [Path(path) for _, path, _, _ in row.attachments]


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _lease(row: Outgoing) -> timedelta:
    return LEASE + timedelta(seconds=sum(size for _, _, size, _ in row.attachments) / SLOWEST)


def _claim(row: Outgoing, leased: datetime) -> bool:
    """Take the row for this process alone: whoever moves its time first has it."""
    return bool(Outgoing.objects.filter(pk=row.pk, due_at=row.due_at).update(due_at=leased))


def _send(row: Outgoing, leased: datetime) -> None:
    _check_address(row.url)
    context = client_context(server_credentials()) if row.url.startswith("https:") else None
    files = tuple(Attachment(name, Path(path), size, kind) for name, path, size, kind in row.attachments)
    directory = _directory()
    with SoapClient(row.url, directory=directory, ssl_context=context) as client:
        watch = threading.Timer((leased - timezone.now()).total_seconds() - _MARGIN_SECONDS, client.abort)
        watch.daemon = True
        watch.start()
        try:
            client.deliver(bytes(row.envelope), files, mtom=row.mtom)
        finally:
            watch.cancel()


def _check_address(url: str) -> None:
    """Raises NotCalledError. A system is asked about that the network does not know: then it is nobody's."""
    nodes = [node_named(name) for name in Endpoint.objects.filter(url=url).values_list("node_name", flat=True)]
    if not any(each is not None and each.enabled for each in nodes):
        raise NotCalledError("no system that is switched on has registered this address")


def _put_off(row: Outgoing, failure: Exception) -> None:
    """Later again, unless the row has gone meanwhile: its subscription was ended."""
    now = timezone.now()
    attempts = row.attempts + 1
    given_up = now - row.created_at > PATIENCE
    with transaction.atomic():
        there = Outgoing.objects.filter(pk=row.pk).update(
            attempts=attempts,
            due_at=now + min(FIRST_PAUSE * 2 ** min(attempts - 1, _MOST_DOUBLINGS), LONGEST_PAUSE),
            last_failure=f"{type(failure).__name__} {getattr(failure, 'status', '') or ''}".strip(),
            given_up=given_up,
        )
        if there and given_up:
            _record(row, outcome=8)
    if there and given_up:
        log.error("message %s of lane %s was not taken for a week and is given up", row.pk, row.lane)


def _record(row: Outgoing, *, outcome: int) -> None:
    """The record of the notification that we sent (3.53.5.1); an answer was recorded when it was made."""
    if row.number:
        objects = tuple(ParticipantObject(each, _OBJECT, type_code=2, role=3) for each in row.objects_told)
        record_own_work(
            EXPORT,
            READ,
            f"{row.number} to {row.url}",
            subjects_of_patients((row.patient_id,)) if row.patient_id else (),
            facility_code=row.facility_code,
            objects=objects,
            outcome=outcome,
        )


def _keep_file(each: Attachment) -> list[Any]:
    directory = _directory()
    place = directory / secrets.token_hex(16)
    try:
        if not isinstance(each.path, Path):
            raise OSError("nothing to link to")
        os.link(each.path, place)
    except OSError:
        with each.path.open("rb") as source, place.open("xb") as target:
            shutil.copyfileobj(source, target)
    for written in (place, directory):
        descriptor = os.open(written, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    return [each.content_id, str(place), each.size, each.mime_type]


def _directory() -> Path:
    directory = Path(settings.DOCUMENT_STORE) / "outgoing"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return directory
