"""One process at a time scans a root: a lock that is a row's column with an end.

Every batch moves the end inside its own database transaction, so that a scan which lost its lock cannot commit. The
lock of a process of this machine that is no more is taken over at once.
"""

from __future__ import annotations

import os
import platform
import time
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from apps.ssmix.models import StorageRoot

LOCK_TIME = timedelta(minutes=3)
HEARTBEAT_SECONDS = 20
HERE = platform.node()[:40]


class ScanRefusedError(Exception):
    """The root is being scanned by another process, or the lock was lost to one."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds the lock of a root: machine and process, seconds since its last sign, and when the lock ends.

    gone: a process of this machine that is no more; the next scan takes the lock over at once.
    """

    host: str
    process: str
    silent_seconds: int
    ends_at: datetime
    gone: bool

    @property
    def is_silent(self) -> bool:
        """Whether it should have given a sign since: it works hard, or was killed on another machine."""
        return self.silent_seconds > 2 * HEARTBEAT_SECONDS


def holder_of(root: StorageRoot) -> Holder | None:
    """Who scans a root, None where nobody does or the lock has ended."""
    now = timezone.now()
    if not root.lock_token or root.lock_until is None or root.lock_until <= now:
        return None
    host, process, _ = root.lock_token.rsplit(":", 2) if root.lock_token.count(":") >= 2 else (root.lock_token, "", "")
    silent = max(0, int((now - (root.lock_until - LOCK_TIME)).total_seconds()))
    return Holder(host, process, silent, root.lock_until, is_abandoned(root.lock_token))


class Lock:
    """The lock of one root, held by this scan."""

    def __init__(self, root_id: int, token: str) -> None:
        self._rows = StorageRoot.objects.filter(pk=root_id, lock_token=token)
        self._beaten = time.monotonic()

    def hold(self) -> None:
        """Move the end of the lock, inside the caller's transaction. Raises ScanRefusedError where it was lost."""
        if not self._rows.all().update(lock_until=timezone.now() + LOCK_TIME):
            raise ScanRefusedError("The scan lost its lock to another process.")
        self._beaten = time.monotonic()

    @property
    def is_due(self) -> bool:
        """Whether nothing has moved the end for a while."""
        return time.monotonic() - self._beaten >= HEARTBEAT_SECONDS

    def beat(self) -> None:
        """Move the end where that is due; for work that commits nothing for long."""
        if self.is_due:
            with transaction.atomic():
                self.hold()

    def release(self) -> None:
        """Let others scan the root."""
        self._rows.all().update(lock_token="", lock_until=None)


def acquire(root: StorageRoot) -> Lock:
    """Take the lock of a root. Raises ScanRefusedError where another process has it."""
    token, now = f"{HERE}:{os.getpid()}:{uuid.uuid4().hex}", timezone.now()
    free = Q(lock_until__isnull=True) | Q(lock_until__lt=now)
    holder = StorageRoot.objects.filter(pk=root.pk).values_list("lock_token", flat=True).first() or ""
    if is_abandoned(holder):
        free |= Q(lock_token=holder)
    taken = StorageRoot.objects.filter(free, pk=root.pk).update(lock_token=token, lock_until=now + LOCK_TIME)
    root.refresh_from_db()
    if not taken:
        raise ScanRefusedError(_refusal(holder_of(root)))
    return Lock(root.pk, token)


def _refusal(holder: Holder | None) -> str:
    if holder is None:
        return "The storage was being scanned by another process until this moment; try again."
    left = max(1, int((holder.ends_at - timezone.now()).total_seconds()))
    return (
        f"The storage is being scanned by another process ({holder.host}, process {holder.process}), which gave its"
        f" last sign {holder.silent_seconds} s ago. Where that process was killed, its lock ends at"
        f" {timezone.localtime(holder.ends_at):%H:%M:%S}, in {left} s: a scan can begin then."
    )


def is_abandoned(token: str) -> bool:
    """Whether a lock was held by a process of this machine that is no more: nobody has to wait for its end."""
    host, _, rest = token.rpartition(":")[0].rpartition(":")
    if host != HERE or not rest.isdigit():
        return False
    try:
        os.kill(int(rest), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
