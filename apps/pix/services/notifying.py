"""Telling others that links have changed: ITI-10, ITI-46 and ITI-64, in order, until it is acknowledged.

What a consumer is told is read when it is sent and limited by its domains of interest and by the gate, as if it had
asked itself (ITI-9). A registry needs every link of its documents, so the gate does not stand before ITI-64. Each
attempt leaves an audit record, the failed ones too. After a failure the subscription rests, longer each time, at most
an hour: a consumer that is down for a day costs some thirty attempts and nothing between them.
"""

from __future__ import annotations

import os
import ssl
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.utils import timezone
from django.utils.module_loading import import_string

from apps.atna.repository import NewRecord, keep
from apps.ids.models import is_provisional
from apps.network import queries as network
from apps.pix import outbox
from apps.pix.models import LocalIdentifier, Notification, Subscription
from apps.pix.services.charts import is_fed
from hie.exchange.audit import PATIENT_RECORD, READ, UPDATE
from hie.transport.mllp_client import MllpClient
from hie.transport.soap_client import CallError, SoapClient
from hie.transport.tls import MissingCredentialsError, client_context, server_credentials
from hie.values.access import Access, Caller, Node, Subject
from hie.values.audit import (
    DESTINATION_ROLE,
    MACHINE_NAME,
    PATIENT_NUMBER,
    SOURCE_ROLE,
    AuditMessage,
    AuditSource,
    Participant,
    ParticipantObject,
    transaction_type,
)
from hie.values.demographics_queries import LinkChange, UpdateNotification
from hie.values.errors import ExchangeError, Reason
from hie.values.identifiers import AssigningAuthority, Identifier
from hie.values.times import write_ts
from hie.wire.hl7v2 import link_change
from hie.wire.hl7v2 import update_notification as notification_v2
from hie.wire.hl7v2.message import Message
from hie.wire.hl7v2.writer import APPLICATION, Parties
from hie.wire.hl7v3 import update_notification as notification_v3
from hie.wire.hl7v3.wrapper import Devices

SHORTEST_REST, LONGEST_REST = timedelta(seconds=10), timedelta(hours=1)
ANSWER_SECONDS = 10.0
LEASE = timedelta(minutes=10)
# One run for one subscription: so many messages, so long; the rest is for the next run.
MOST_AT_ONCE, SECONDS_AT_ONCE = 500, 20.0
# How long what was told is kept to be looked at.
KEPT_DAYS = 30

State = Notification.State
_NAMES = {
    "ITI-10": "PIX Update Notification",
    "ITI-46": "PIX Update Notification",  # 3.46.5.1
    "ITI-64": "Notify XAD-PID Link Change",
}


def send_due(now: datetime | None = None) -> int:
    """Send what is due, subscription by subscription; returns how many messages were acknowledged."""
    moment = now or timezone.now()
    return sum(_send_to(pk) for pk in outbox.due(moment) if outbox.claim(pk, moment, LEASE))


def retry_now(subscription_ids: Iterable[int]) -> int:
    """Let rest no longer; returns how many subscriptions that were."""
    return Subscription.objects.filter(pk__in=list(subscription_ids)).update(next_attempt_at=timezone.now(), failures=0)


def give_up(notification_ids: Iterable[int]) -> int:
    """Never send these again, so that what stands behind them goes on; returns how many were still waiting."""
    rows = Notification.objects.filter(pk__in=list(notification_ids), done_at=None)
    return rows.update(state=State.DROPPED, done_at=timezone.now())


def forget_told(now: datetime | None = None) -> int:
    """Forget what was told long ago; the audit records stay. Returns how many rows that were."""
    before = (now or timezone.now()) - timedelta(days=KEPT_DAYS)
    return Notification.objects.filter(done_at__lt=before).delete()[0]


def rest_after(failures: int) -> timedelta:
    """How long a subscription rests after so many failures in a row."""
    return min(SHORTEST_REST * 2 ** min(failures - 1, 20), LONGEST_REST)


# --- one subscription


def _send_to(subscription_id: int) -> int:
    subscription = Subscription.objects.select_related("node__facility").get(pk=subscription_id)
    sent, end = 0, time.monotonic() + SECONDS_AT_ONCE
    try:
        with ExitStack() as opened:
            send = _sender(subscription, opened)
            for _ in range(MOST_AT_ONCE):
                row = outbox.head(subscription_id)
                if row is None or time.monotonic() > end or not _send_one(subscription, row, send):
                    break
                sent += row.state == State.SENT
    finally:
        Subscription.objects.filter(pk=subscription_id).update(claimed_until=None)
    return sent


def _send_one(subscription: Subscription, row: Notification, send: _Send) -> bool:
    """Tell one thing; False where it has to wait. The row knows its new state afterwards."""
    row.attempts += 1
    told: tuple[Identifier, ...] = ()
    try:
        message = _MESSAGES[subscription.kind](subscription, row)
        if message is None:
            return _done(row, State.NOTHING)
        told = _identifiers(message)
        send(message)
    except (OSError, CallError, ExchangeError, MissingCredentialsError, UnicodeError) as error:
        problem = _problem(error)
        _record(subscription, row, told, problem)
        _rest(subscription, row, problem)
        return False
    _record(subscription, row, told)
    subscription.failures = 0
    Subscription.objects.filter(pk=subscription.pk).update(failures=0, last_problem="", last_sent_at=timezone.now())
    return _done(row, State.SENT)


def _done(row: Notification, state: Notification.State) -> bool:
    row.state, row.done_at, row.problem = state, timezone.now(), ""
    row.save(update_fields=["state", "done_at", "problem", "attempts"])
    return True


def _rest(subscription: Subscription, row: Notification, problem: str) -> None:
    subscription.failures += 1
    row.problem = problem
    row.save(update_fields=["problem", "attempts"])
    Subscription.objects.filter(pk=subscription.pk).update(
        failures=subscription.failures,
        last_problem=problem,
        next_attempt_at=timezone.now() + rest_after(subscription.failures),
    )


def _problem(error: Exception) -> str:
    """What stood in the way, without what was sent."""
    if isinstance(error, ExchangeError):
        return f"{error.reason.name}: {error.detail}"[:300]
    return f"{type(error).__name__}: {error}"[:300]


# --- what is told

_Told = UpdateNotification | LinkChange


def _update(subscription: Subscription, row: Notification) -> UpdateNotification | None:
    """The identifiers of the person that the consumer wants and may know; None where there is nothing to tell."""
    assert row.person is not None
    regional_id = row.person.regional_id
    charts = LocalIdentifier.objects.filter(person=row.person, status=LocalIdentifier.Status.ACTIVE).order_by("id")
    node = subscription.node
    caller = Caller(Node(node.name, node.facility.code, node.facility.name, node.accesses))
    subject = Subject(Identifier(regional_id, network.affinity_domain()), regional_id)
    permit = import_string(settings.EXCHANGE["gate"])(caller, Access.IDENTIFY, (subject,))
    visible = [
        _identifier(chart)
        for chart in charts
        if _wanted(subscription, chart.authority_oid)
        and not is_fed(chart)
        and (chart.facility_code == node.facility.code or permit.reveals(regional_id, chart.facility_code))
    ]
    if not visible:
        return None
    if _wanted(subscription, settings.AFFINITY_DOMAIN_OID) and not is_provisional(regional_id):
        visible.insert(0, subject.identifier)
    return UpdateNotification(tuple(visible), _message_id(subscription, row), write_ts(row.changed_at))


def _link_change(subscription: Subscription, row: Notification) -> LinkChange | None:
    """Where the documents of the chart stand now; None where they stand where they stood."""
    assert row.record is not None
    assert row.previous is not None
    record, subsumed = row.record, None
    if row.subsumed_value:
        subsumed = Identifier(row.subsumed_value, _authority(row.subsumed_authority))
    while record.merged_into is not None:
        subsumed = subsumed or _identifier(record)
        record = record.merged_into
    if record.person_id == row.previous_id and subsumed is None:
        return None
    if is_fed(record) or any(map(is_provisional, (record.person.regional_id, row.previous.regional_id))):
        return None
    domain = network.affinity_domain()
    return LinkChange(
        regional_id=Identifier(record.person.regional_id, domain),
        previous_regional_id=Identifier(row.previous.regional_id, domain),
        local_identifier=_identifier(record),
        subsumed_local_identifier=subsumed,
        manager_oid=settings.OID_ROOT,
        message_id=_message_id(subscription, row),
        occurred_at=write_ts(row.changed_at),
    )


_MESSAGES: dict[str, Callable[[Subscription, Notification], _Told | None]] = {
    "ITI-10": _update,
    "ITI-46": _update,
    "ITI-64": _link_change,
}


def _wanted(subscription: Subscription, oid: str) -> bool:
    return not subscription.domains or oid in subscription.domains


def _identifier(chart: LocalIdentifier) -> Identifier:
    return Identifier(chart.value, _authority(chart.authority_oid), chart.type_code)


def _authority(oid: str) -> AssigningAuthority:
    return network.authority(oid) or AssigningAuthority(oid)


def _message_id(subscription: Subscription, row: Notification) -> str:
    """The same at every attempt, so that a consumer knows it again. MSH-10 takes twenty characters."""
    return row.message_id if subscription.kind == "ITI-46" else row.message_id.replace("-", "")[:20]


def _identifiers(message: _Told) -> tuple[Identifier, ...]:
    if isinstance(message, UpdateNotification):
        return message.identifiers
    return (message.regional_id, message.previous_regional_id)


# --- how it is sent

_Send = Callable[[_Told], None]


def _sender(subscription: Subscription, opened: ExitStack) -> _Send:
    """Send over a connection that is opened at the first message and closed with ``opened``."""
    return (_soap if subscription.kind == "ITI-46" else _mllp)(subscription, opened)


def _mllp(subscription: Subscription, opened: ExitStack) -> _Send:
    codec = link_change if subscription.kind == "ITI-64" else notification_v2
    clients: list[MllpClient] = []

    def send(message: _Told) -> None:
        if not clients:
            parts = _address(subscription, "mllp")
            context = _context() if parts.scheme == "mllps" else None
            clients.append(
                opened.enter_context(MllpClient(parts.hostname or "", parts.port or 0, context, ANSWER_SECONDS))
            )
        request = codec.write_request(message, _parties(subscription))
        codec.read_response(Message.read(clients[0].send(request)))

    return send


def _soap(subscription: Subscription, opened: ExitStack) -> _Send:
    clients: list[SoapClient] = []

    def send(message: _Told) -> None:
        assert isinstance(message, UpdateNotification)
        if not clients:
            parts = _address(subscription, "http")
            directory = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="hie-notifying-")))
            context = _context() if parts.scheme == "https" else None
            client = SoapClient(subscription.address, directory=directory, ssl_context=context, timeout=ANSWER_SECONDS)
            clients.append(opened.enter_context(client))
        receiver = subscription.node.facility.patient_id_oid
        body = notification_v3.write_request(message, Devices(settings.OID_ROOT, receiver))
        notification_v3.read_response(clients[0].call(notification_v3.ACTION, body))

    return send


_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def _address(subscription: Subscription, scheme: str):  # type: ignore[no-untyped-def]
    """The parts of the address. Without TLS nothing leaves this machine."""
    try:
        parts = urlsplit(subscription.address)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ExchangeError(Reason.SECURITY, f"The address is none: {error}.") from error
    secure = parts.scheme == f"{scheme}s"
    if not host or not (secure or (parts.scheme == scheme and host in _LOOPBACK)):
        detail = f"The address has to begin with {scheme}s:// (or {scheme}:// on this machine) and name a host."
        raise ExchangeError(Reason.SECURITY, detail)
    return parts


def _context() -> ssl.SSLContext:
    return client_context(server_credentials())


def _parties(subscription: Subscription) -> Parties:
    return Parties(
        APPLICATION,
        network.affinity_domain().namespace,
        subscription.receiving_application or subscription.node.sending_application,
        subscription.receiving_facility or subscription.node.sending_facility,
    )


# --- the record of an attempt


@dataclass(frozen=True, slots=True)
class _Ends:
    """Source and destination as the record names them: ``facility|application``, or the URL."""

    source: str
    destination: str
    host: str


def _ends(subscription: Subscription) -> _Ends:
    host = _host(subscription.address)
    if subscription.kind == "ITI-46":
        return _Ends(settings.HOME_COMMUNITY_OID, subscription.address, host)
    parties = _parties(subscription)
    return _Ends(
        f"{parties.sending_facility}|{parties.sending_application}",
        f"{parties.receiving_facility}|{parties.receiving_application}",
        host,
    )


def _host(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def _record(subscription: Subscription, row: Notification, told: tuple[Identifier, ...], problem: str = "") -> None:
    """The record of the source: 110110 with R (ITI-10, 46) or U (ITI-64), every identifier told as a patient object."""
    ends = _ends(subscription)
    detail = "II" if subscription.kind == "ITI-46" else "MSH-10"
    message_id = _message_id(subscription, row).encode()
    regional_id = _regional_id(row)
    patients = tuple(
        ParticipantObject(_cx(each), PATIENT_NUMBER, type_code=1, role=1, details=((detail, message_id),))
        for each in told
    )
    message = AuditMessage(
        event_id=PATIENT_RECORD,
        action=UPDATE if subscription.kind == "ITI-64" else READ,
        occurred_at=datetime.now(UTC),
        outcome=8 if problem else 0,
        source=AuditSource(settings.HOME_COMMUNITY_OID, settings.NETWORK_NAME),
        participants=(
            Participant(ends.source, requestor=True, alternative_user_id=str(os.getpid()), roles=(SOURCE_ROLE,)),
            Participant(
                ends.destination,
                requestor=False,
                roles=(DESTINATION_ROLE,),
                access_point=ends.host,
                access_point_type=MACHINE_NAME,
            ),
        ),
        types=(transaction_type(subscription.kind, _NAMES[subscription.kind]),),
        description=problem,
        objects=patients,
    )
    identifier = _cx(told[0]) if told else ""
    keep(
        [
            NewRecord(
                message,
                row.message_id,
                transaction=subscription.kind,
                caller_name="hie",
                facility_code=subscription.node.facility.code,
                patient_regional_id=regional_id,
                patient_identifier=identifier,
            )
        ]
    )


def _regional_id(row: Notification) -> str:
    if row.person is not None:
        return str(row.person.regional_id)
    return str(row.record.person.regional_id) if row.record is not None else ""


def _cx(identifier: Identifier) -> str:
    return f"{identifier.value}^^^{identifier.assigning_authority.hd}"
