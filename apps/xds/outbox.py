"""Messages on their way out: notifications (ITI-53), and answers that are wanted elsewhere (ITI TF-2: V.3).

A row is written in the database transaction of what it tells, and goes when the other side has taken it. Of a lane only
the first message is tried; what fails is tried again after 5 seconds, 10, 20, up to an hour, and given up after a week,
which is logged and stays visible. Nothing is sent to an address that its system has not registered (``Endpoint``).
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Min
from django.utils import timezone
from django.utils.module_loading import import_string

from apps.atna.services import record_own_work
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
AT_ONCE = 100
_MOST_DOUBLINGS = 16
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


def deliver_due() -> int:
    """Deliver the first message of every lane that is due; returns how many were taken by the other side."""
    heads = Outgoing.objects.filter(given_up=False).values("lane").annotate(first=Min("id")).values("first")
    due = Outgoing.objects.filter(pk__in=heads, due_at__lte=timezone.now()).order_by("due_at")
    return sum(_deliver(row) for row in due[:AT_ONCE])


def _deliver(row: Outgoing) -> bool:
    if not _claim(row):
        return False
    try:
        _send(row)
    except (CallError, OSError, ValueError) as failure:
        _put_off(row, failure)
        return False
    paths = [Path(path) for _, path, _, _ in row.attachments]
    with transaction.atomic():
        _record(row, outcome=0)
        row.delete()
    for path in paths:
        path.unlink(missing_ok=True)
    return True


def _claim(row: Outgoing) -> bool:
    """Take the row for this process alone: whoever moves its time first has it."""
    leased = timezone.now() + LEASE
    return bool(Outgoing.objects.filter(pk=row.pk, due_at=row.due_at).update(due_at=leased))


def _send(row: Outgoing) -> None:
    context = client_context(server_credentials()) if row.url.startswith("https:") else None
    files = tuple(Attachment(name, Path(path), size, kind) for name, path, size, kind in row.attachments)
    directory = _directory()
    with SoapClient(row.url, directory=directory, ssl_context=context) as client:
        client.deliver(bytes(row.envelope), files, mtom=row.mtom)


def _put_off(row: Outgoing, failure: Exception) -> None:
    now = timezone.now()
    row.attempts += 1
    row.due_at = now + min(FIRST_PAUSE * 2 ** min(row.attempts - 1, _MOST_DOUBLINGS), LONGEST_PAUSE)
    row.last_failure = f"{type(failure).__name__} {getattr(failure, 'status', '') or ''}".strip()
    row.given_up = now - row.created_at > PATIENCE
    with transaction.atomic():
        row.save(update_fields=["attempts", "due_at", "last_failure", "given_up"])
        if row.given_up:
            _record(row, outcome=8)
    if row.given_up:
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
