"""What a message leaves in PostgreSQL: bytes of its log (WAL), and bytes of tables and indexes with the audit record.

``sh tests/with_services.sh python -m bench growth``. Messages go through their doors one after the other, so many of
each kind; after a checkpoint and with small tables, so that the log is the least that a message writes. What an
installation of a given size needs is reckoned from it in docs/operations.md.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace

from django.db import connection

from accuracy.population import ORDINARY, describe
from apps.pix.matching import birth_day
from bench import doors
from bench.doors import Fixture
from bench.load import Send
from bench.region import Region
from bench.wire import https_sender, mllp_sender
from hie.values.identifiers import Identifier
from hie.wire.hl7v2 import patient_feed

MESSAGES = 500
SEED = 20260401


def run(region: Region, fixture: Fixture) -> None:
    """A line for each kind of message, and the connections that the served tree holds."""
    if connection.vendor != "postgresql":
        print("growth: measured on PostgreSQL alone")
        return
    for name, send in _cases(region, fixture):
        for number in range(20):
            send(number)
        _one("CHECKPOINT")
        before = (
            _one("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn"),
            _one("SELECT pg_database_size(current_database())"),
        )
        for number in range(20, 20 + MESSAGES):
            send(number)
        after = _one("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn"), _one("SELECT pg_database_size(current_database())")
        log, rows = ((end - begin) / MESSAGES / 1024 for begin, end in zip(before, after, strict=True))
        print(f"{name:24} {log:8.1f} KB of log, {rows:6.1f} KB of tables and indexes a message", flush=True)
    each = _size("atna_auditrecord") / _one("SELECT count(*) FROM atna_auditrecord")
    print(f"an audit record with its indexes: {each:.0f} bytes")
    _connections(region, fixture)


def _cases(region: Region, fixture: Fixture) -> Iterator[tuple[str, Send]]:
    """What is sent: a name, and how the message of a number is sent."""
    for name, message, expected, callers, _ in doors._hl7v2(fixture):
        if callers != 1:
            yield name, mllp_sender(region.mllp_port, message, expected)()
    yield "ITI-8, a new chart", _new_charts(region, fixture)
    context = doors._tls_context(region)
    for name, service, content_type, message, callers, _ in doors._soap(region, fixture):
        if callers != 1 and "MB" not in name:
            path = f"/soap/{service}"
            yield (
                name,
                https_sender(region.https_port, context, path, content_type, message, b"ResponseStatusType:Success")(),
            )


def _new_charts(region: Region, fixture: Fixture) -> Send:
    """Charts of the generator's population, each told of for the first time."""
    parties = fixture.outside._parties()
    told_of = (told for _, _, told in describe(MESSAGES, SEED, replace(ORDINARY, towns=500)))
    people = [told for told in told_of if birth_day(told.birth_date)]  # a slip may make a date that HL7 refuses

    def send(number: int) -> int:
        known = doors._feed(doors.CODE, 0, f"G{number}")
        chart = (Identifier(f"G{number:05d}", known.identifiers[0].assigning_authority),)
        told = replace(known, identifiers=chart, demographics=people[number])
        message = patient_feed.write_request(told, parties, version="2.3.1")
        return mllp_sender(region.mllp_port, message, b"MSA|AA")()(number)

    return send


def _connections(region: Region, fixture: Fixture) -> None:
    """How many connections the doors hold when as many callers ask as there are threads."""
    context = doors._tls_context(region)
    senders: list[Callable[[], Send]] = []
    for _, message, expected, _, _ in list(doors._hl7v2(fixture))[:1]:
        senders += [mllp_sender(region.mllp_port, message, expected)] * 32
    for _, service, content_type, message, _, _ in list(doors._soap(region, fixture))[:1]:
        sender = https_sender(
            region.https_port, context, f"/soap/{service}", content_type, message, b"ResponseStatusType:Success"
        )
        senders += [sender] * 32
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(len(senders)) as pool:
        list(pool.map(lambda make: [make()(number) for number in range(10)], senders))
    others = _one(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND backend_type = 'client backend'"
    )
    print(f"connections of the doors after 64 callers: {others} ({os.cpu_count()} processors)")


def _size(table: str) -> int:
    return _one(f"SELECT pg_total_relation_size('{table}')")


def _one(sql: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        found = cursor.fetchone() if cursor.description else None
    return int(found[0]) if found else 0
