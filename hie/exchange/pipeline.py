"""The road of every inbound message, whatever its dialect:

    authenticate the caller -> read the message -> (find) -> whose data is it? -> may they?
        -> (prepare) -> execute -> record -> write the answer

An answer never leaves before its audit record is durable: a verb that changes state is committed together with
its record, every other record is committed before the answer is written. Where no record can be kept, the answer
is an error (decision 0002).
"""

from __future__ import annotations

import contextlib
import logging
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cache
from typing import Any

from django.conf import settings
from django.db import OperationalError
from django.db import transaction as database
from django.utils.module_loading import import_string

from hie.exchange.audit import EXECUTE, AuditEntry
from hie.exchange.connection import Connection
from hie.exchange.trail import Trail
from hie.exchange.transaction import Transaction
from hie.values.access import Permit
from hie.values.errors import ExchangeError, Reason

log = logging.getLogger("hie.exchange")


@cache
def _part(name: str) -> Any:
    """The gate, the recorder and the authentication, named by dotted path in ``settings.EXCHANGE``."""
    return import_string(settings.EXCHANGE[name])


def answer(transaction: Transaction, message: Any, connection: Connection) -> Any:
    """Answer one message that a door has recognised as this transaction; what comes back is the codec's.

    Never raises: what cannot be done is answered with the dialect's own error and recorded.
    """
    trail = Trail(transaction=transaction, connection=connection)
    try:
        permit = _ask(trail, transaction, message)
        with _together(transaction):
            result = transaction.execute(trail.request, permit)
            _part("recorder")(trail, transaction.audit.entries_of(trail.request, result, trail.subjects))
        return transaction.codec.write_response(message, result)
    except ExchangeError as error:
        return _refuse(trail, message, error)
    except OperationalError as busy:
        log.warning("%s: the database is busy: %s", transaction.number, type(busy).__name__)
        return _refuse(trail, message, ExchangeError(Reason.BUSY, "The database is busy; send the message again."))
    except Exception:
        log.exception("%s failed, record %s", transaction.number, trail.number)
        return _refuse(trail, message, ExchangeError(Reason.INTERNAL, f"Internal error, record {trail.number}."))


def record_refusal(connection: Connection, error: ExchangeError) -> ExchangeError:
    """Keep the record of a message that no transaction could take; return the error that has to be answered."""
    trail = Trail(transaction=None, connection=connection)
    try:
        trail.caller = _part("authenticate")(connection)
    except ExchangeError:
        pass  # a stranger's message is recorded as well, without a name
    except Exception:
        log.exception("the caller could not be established, record %s", trail.number)
    return _record_failure(trail, error)


def record_activity(*, start: bool) -> None:
    """Keep the record that the application begins or ends (DICOM Application Activity 110100)."""
    _part("activity")(start=start)


def _together(transaction: Transaction) -> AbstractContextManager[None]:
    return database.atomic() if transaction.changes else contextlib.nullcontext()


def _ask(trail: Trail, transaction: Transaction, message: Any) -> Permit:
    """Who asks what of whom, and may they? No database transaction is open meanwhile."""
    trail.caller = _part("authenticate")(trail.connection)
    trail.request = transaction.codec.read_request(message)
    _part("entitle")(trail.caller, transaction.access)
    if transaction.find is not None:
        trail.request = transaction.find(trail.request)
    trail.subjects = transaction.subject(trail.request)
    permit: Permit = _part("gate")(trail.caller, transaction.access, trail.subjects)
    if transaction.prepare is not None:
        trail.request = transaction.prepare(trail.request)
    return permit


def _refuse(trail: Trail, message: Any, error: ExchangeError) -> Any:
    assert trail.transaction is not None
    return trail.transaction.codec.write_error(message, _record_failure(trail, error))


def _record_failure(trail: Trail, error: ExchangeError) -> ExchangeError:
    """Keep the record of a refused or failed message. Where even that fails, the sender learns that we are unable.

    Of a message that carries a national number nothing is kept but why it was refused: neither query nor identifier.
    """
    kept = not any(finding.reason is Reason.NATIONAL_NUMBER for finding in error.findings)
    request, subjects = (trail.request, trail.subjects) if kept else (None, ())
    description = "; ".join(finding.detail for finding in error.findings[:5])
    outcome = error.reason.value.outcome or 8
    try:
        if trail.transaction is None:
            entries: tuple[AuditEntry, ...] = (AuditEntry(action=EXECUTE),)
        else:
            entries = trail.transaction.audit.entries_of(request, None, subjects)
        entries = tuple(replace(entry, outcome=outcome, description=description) for entry in entries)
        _part("recorder")(trail, entries)
    except Exception:
        log.exception("no audit record could be kept, record %s", trail.number)
        return ExchangeError(Reason.BUSY, "The message could not be recorded and was not answered; send it again.")
    return error
