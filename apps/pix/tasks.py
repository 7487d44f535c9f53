"""Background work of the patient index."""

from __future__ import annotations

import threading

from celery import shared_task
from django.db import connections

from apps.pix import services
from apps.pix.services import coverage, trials


@shared_task
def forget_old_messages() -> int:
    """Forget feeds that nobody will send again and notifications told long ago; returns how many."""
    return services.forget_old_messages() + services.forget_told()


@shared_task
def send_notifications() -> int:
    """Send the notifications that are due (``services.notifying``); returns how many were acknowledged."""
    return services.send_due()


@shared_task
def carry_out_rules_runs() -> bool:
    """Begin with the trials and adoptions of matching rules that wait, beside the other tasks; whether there are any.

    They take minutes on a large population, so they have a thread of their own and nothing waits for them.
    """
    if not trials.waiting():
        return False
    threading.Thread(target=_carry_out_runs, name="rules runs", daemon=True).start()
    return True


def _carry_out_runs() -> None:
    try:
        trials.carry_out()
    finally:
        connections.close_all()


@shared_task
def look_for_coverage_conflicts() -> int:
    """Insurances that cannot both be right (``services.coverage``); returns how many findings wait."""
    return coverage.look()
