"""Background work without a broker: the tasks of ``settings.SCHEDULE``, each in its rhythm, in one process.

The same functions are Celery tasks in production (hie/celery.py); the table is the same.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import close_old_connections
from django.utils.module_loading import import_string

log = logging.getLogger("hie.transport.background")


@dataclass(slots=True)
class _Due:
    name: str
    task: Any
    every: float
    at: float


def run(stopping: threading.Event) -> None:
    """Run every scheduled task when it is due, until ``stopping`` is set. A failing task is logged and tried again."""
    now = time.monotonic()
    plan = [_Due(name, import_string(path), every, now) for name, (path, every) in settings.SCHEDULE.items()]
    while plan and not stopping.is_set():
        due = min(plan, key=lambda each: each.at)
        if stopping.wait(max(0.0, due.at - time.monotonic())):
            return
        close_old_connections()
        try:
            due.task()
        except Exception:
            log.exception("the background task %r failed; it is tried again in %s s", due.name, due.every)
        due.at = time.monotonic() + due.every
