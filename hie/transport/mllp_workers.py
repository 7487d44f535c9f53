"""Several processes that listen at the same MLLP doors, because one process of Python uses one processor at a time.

The doors are bound once, before the processes are forked off; whoever connects is taken by the process that has the
fewest connections (``mllp_server.Share``) and stays with it. One that ends by itself is started again.
"""

from __future__ import annotations

import logging
import mmap
import os
import signal
import time

from django.db import connection

from hie.transport.mllp_server import STOP_SECONDS, MllpServer, Share
from hie.transport.processes import die_with, on_stop

log = logging.getLogger("hie.transport.mllp")

MOST_BY_THEMSELVES = 4
RESTART_PAUSE_SECONDS = 1.0
ROUND_SECONDS = 0.2


def serve(server: MllpServer, workers: int) -> None:
    """Serve in so many processes, one of them being this one if it is alone, until SIGTERM. 0: as ``usual_number``."""
    number = workers or usual_number()
    if number == 1:
        on_stop(server.stop)
        server.run()
    else:
        _Workers(server, number).run()


def usual_number() -> int:
    """One a processor, at most four, on PostgreSQL; one on SQLite, whose writers wait for each other anyway."""
    if connection.vendor == "sqlite":
        return 1
    return min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1, MOST_BY_THEMSELVES)


class _Workers:
    """The process that binds the doors, watches those that answer, and does nothing else."""

    def __init__(self, server: MllpServer, number: int) -> None:
        self._server = server
        self._counts = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("i")[:number]
        self._places: dict[int, int] = {}  # pid -> place among the counts
        self._is_stopping = False

    def run(self) -> None:
        self._server.open()
        on_stop(self._stop)
        for place in range(len(self._counts)):
            self._begin(place)
        while not self._is_stopping:
            time.sleep(ROUND_SECONDS)
            self._begin_again()
        self._server.close()
        for pid in self._places:
            os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + STOP_SECONDS + 3
        for pid in self._places:
            while os.waitpid(pid, os.WNOHANG) == (0, 0):
                if time.monotonic() > end:
                    os.kill(pid, signal.SIGKILL)
                time.sleep(0.02)

    def _begin(self, place: int) -> None:
        parent = os.getpid()
        pid = os.fork()
        if pid:
            self._places[pid] = place
            return
        status = 1
        try:
            die_with(parent)
            self._server.share = Share(self._counts, place)
            on_stop(self._server.stop)
            self._server.run()
            status = 0
        except Exception:
            log.exception("a process that answers MLLP cannot go on")
        finally:
            os._exit(status)

    def _begin_again(self) -> None:
        """Start anew what ended by itself; its connections are lost, and their peers connect again."""
        for pid, place in list(self._places.items()):
            if os.waitpid(pid, os.WNOHANG) == (0, 0):
                continue
            del self._places[pid]
            self._counts[place] = 0
            log.error("A process that answers MLLP ended by itself and is started again.")
            time.sleep(RESTART_PAUSE_SECONDS)
            if not self._is_stopping:
                self._begin(place)

    def _stop(self) -> None:
        self._is_stopping = True
