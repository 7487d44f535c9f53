"""Background work of the patient index."""

from __future__ import annotations

from celery import shared_task

from apps.pix import services


@shared_task
def forget_old_messages() -> int:
    """Forget feeds that nobody will send again (``services.REMEMBERED``); returns how many."""
    return services.forget_old_messages()
