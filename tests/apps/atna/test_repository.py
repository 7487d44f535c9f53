"""Keeping records: what threads keep at the same moment is committed together, and each alone where that fails."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext

from apps.atna import repository
from apps.atna.models import AuditRecord
from apps.atna.recorder import record
from tests.apps.atna.samples import trail

in_turn = pytest.mark.skipif(connection.vendor != "sqlite", reason="only SQLite takes turns")


@in_turn
@pytest.mark.django_db(transaction=True)
def test_who_waits_is_taken_along(monkeypatch):
    """While one thread is at the disk three others arrive: they are kept by one statement."""
    statements, begun, may_go_on = [], threading.Event(), threading.Event()
    insert_all = repository._insert_all

    def slow(rows):
        statements.append(len(rows))
        begun.set()
        assert may_go_on.wait(10)
        insert_all(rows)

    monkeypatch.setattr(repository, "_insert_all", slow)
    with ThreadPoolExecutor(4) as pool:
        kept = [pool.submit(_record)]
        assert begun.wait(10)
        kept += [pool.submit(_record) for _ in range(3)]
        while len(repository._waiting) < 3:
            pass
        assert not any(each.done() for each in kept), "nobody returns before the rows are durable"
        may_go_on.set()
        for each in kept:
            each.result(10)
    assert statements == [1, 3]
    assert AuditRecord.objects.values("trail_uuid").distinct().count() == 4


@in_turn
@pytest.mark.django_db(transaction=True)
def test_a_record_that_cannot_be_kept_fails_nobody_else(monkeypatch):
    insert_all = repository._insert_all

    def refusing(rows):
        if any(row == ("refused",) for row in rows):
            raise DatabaseError("refused")
        insert_all(rows)

    monkeypatch.setattr(repository, "_insert_all", refusing)
    bad = repository._Waiting([("refused",)])
    repository._waiting.append(bad)
    record(*trail("ITI-18"))
    assert AuditRecord.objects.count() == 1
    assert not bad.kept
    assert isinstance(bad.error, DatabaseError)


@pytest.mark.django_db
def test_inside_a_transaction_a_record_belongs_to_it():
    with CaptureQueriesContext(connection) as queries:
        record(*trail("ITI-18"))
    assert len(queries) == 1
    assert not repository._waiting


def _record():
    try:
        record(*trail("ITI-18"))
    finally:
        connection.close()
