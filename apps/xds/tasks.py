"""Background work of the registry."""

from __future__ import annotations

import logging
import threading

from celery import shared_task
from django.db import connections

from apps.xds import services
from apps.xds.models import DocumentCheck
from apps.xds.services import rounds

log = logging.getLogger("apps.xds")


@shared_task
def deliver_due() -> int:
    """Deliver notifications and later answers that are due; returns how many were taken."""
    return services.deliver_due()


@shared_task
def sweep_assembled() -> None:
    """Remove documents that were made on demand for answers which have left."""
    services.sweep_assembled()


@shared_task
def forget_ended_subscriptions() -> int:
    """Remove subscriptions that ended long ago; returns how many."""
    return services.forget_ended()


@shared_task
def check_documents_when_due() -> bool:
    """Begin with a check of all documents where it is time (``services.rounds``); whether one was begun.

    It takes as long as reading them, so it has a thread of its own and nothing waits for it.
    """
    check = rounds.take()
    if check is None:
        return False
    threading.Thread(target=_check, args=(check,), name="check of documents", daemon=True).start()
    return True


def _check(check: DocumentCheck) -> None:
    try:
        rounds.carry_out(check)
    except Exception:
        log.exception("the check of documents stopped; it goes on where it was in %s", rounds.SILENCE)
    finally:
        connections.close_all()
