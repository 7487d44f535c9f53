"""The checks of all documents that the server makes itself, every settings.CHECK_HOURS (``checking``).

One goes on at a time, wherever: its row says by its last sign that it is alive. A killed one is taken up where it was.
It works at most half of the time, so that documents come and go beside it.
"""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from apps.xds.models import DocumentCheck
from apps.xds.services.checking import Checked, check_documents

log = logging.getLogger("apps.xds")

SILENCE = timedelta(minutes=15)  # without a sign it was killed
_BETWEEN_SIGNS = 10.0  # seconds; reading the largest document takes less than the silence


def take(now: datetime | None = None) -> DocumentCheck | None:
    """The check that is to be carried out now: an interrupted one, or a new one where it is time; else None."""
    now = now or timezone.now()
    if not settings.CHECK_HOURS:
        return None
    open_ones = DocumentCheck.objects.filter(ended_at=None)
    silent = open_ones.filter(alive_at__lt=now - SILENCE).order_by("pk").first()
    if silent is not None:
        taken = open_ones.filter(pk=silent.pk, alive_at=silent.alive_at).update(alive_at=now)
        return DocumentCheck.objects.get(pk=silent.pk) if taken else None
    pause = timedelta(hours=settings.CHECK_HOURS)
    if open_ones.exists() or DocumentCheck.objects.filter(ended_at__gt=now - pause).exists():
        return None
    return DocumentCheck.objects.create(began_at=now, alive_at=now)


def carry_out(check: DocumentCheck) -> None:
    """Look at all documents, each fault a line of the log without its patient."""
    pace = _Pace()
    for found in check_documents(check=check, after_each=pace):
        if isinstance(found, Checked):
            said = ", ".join(f"{kind} {count}" for kind, count in sorted(found.faults.items())) or "no faults"
            log.info("%s contents checked: %s", found.contents, said)
        else:
            log.error("a document or what belongs to it is %s: %s", found.kind, found.place)


class _Pace:
    """Rests as long as the last content took, and keeps how far the check has come."""

    def __init__(self) -> None:
        self._from = self._kept = time.monotonic()

    def __call__(self, check: DocumentCheck) -> None:
        now = time.monotonic()
        if now - self._kept >= _BETWEEN_SIGNS:
            check.alive_at = timezone.now()
            check.save()
            self._kept = now
        time.sleep(now - self._from)
        self._from = time.monotonic()
