"""What the processes of the server have in common: they are told to stop by SIGTERM and do not outlive their parent."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

PR_SET_PDEATHSIG = 1


def on_stop(stop: Callable[[], Any]) -> None:
    """Call this when the process is told to stop."""

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop()

    signal.signal(signal.SIGTERM, on_signal)


def die_with(parent: int) -> None:
    """Ask the kernel to stop this process when its parent is gone, whatever took it (Linux; elsewhere no-op)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
