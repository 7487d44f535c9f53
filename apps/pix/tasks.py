"""Background work of the patient index."""

from __future__ import annotations

from celery import shared_task

from apps.pix import services


@shared_task
def forget_old_messages() -> int:
    """Forget feeds that nobody will send again and notifications told long ago; returns how many."""
    return services.forget_old_messages() + services.forget_told()


@shared_task
def send_notifications() -> int:
    """Send the notifications that are due (``services.notifying``); returns how many were acknowledged."""
    return services.send_due()
