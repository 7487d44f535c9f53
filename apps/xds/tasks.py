"""Background work of the registry."""

from __future__ import annotations

from celery import shared_task

from apps.xds import outbox, services


@shared_task
def deliver_due() -> int:
    """Deliver notifications and later answers that are due; returns how many were taken."""
    return outbox.deliver_due()


@shared_task
def sweep_assembled() -> None:
    """Remove documents that were made on demand for answers which have left."""
    services.sweep_assembled()
