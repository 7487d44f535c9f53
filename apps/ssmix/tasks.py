"""Background work: scan the storages that are due. Called every few seconds; costs one query when nothing is."""

from __future__ import annotations

import logging

from django.conf import settings
from django.utils import timezone

from apps.ssmix.models import StorageRoot
from apps.ssmix.services import ScanRefusedError, is_due, scan

log = logging.getLogger("apps.ssmix")


def scan_due_storages() -> int:
    """Scan every root whose pause is over or that was asked for, one after another; returns how many.

    A root that another process scans is passed over. A root that cannot be scanned does not stop the others.
    """
    now = timezone.now()
    roots = StorageRoot.objects.filter(enabled=True, facility__enabled=True).select_related("facility")
    done = 0
    for root in roots.order_by("facility__code", "position", "id"):
        if not is_due(root, now, settings.SCAN_SECONDS):
            continue
        try:
            scan(root)
            done += 1
        except ScanRefusedError:
            continue
        except Exception:
            log.exception("the scan of storage %s failed and goes on next time", root.pk)
    return done
