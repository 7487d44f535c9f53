"""Reading ahead: other processes read and judge the files of the batches to come while this one tells and stores.

The order stays that of the scan, because a batch waits for its own readings. At most two batches are under way, so
memory is bounded. A helper only reads: it has no database, and ends when the process that started it ends, however
that ends. What no helper has read is read where it is needed, so helpers are never necessary.
"""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import django

from apps.ssmix.services.comparing import Listed
from apps.ssmix.services.examining import examine
from apps.ssmix.services.reading import Options, Reading
from apps.ssmix.services.sites import Site
from hie.wire.ssmix.names import is_foreign, read_file_name

log = logging.getLogger("apps.ssmix")

MOST_HELPERS = 4
FILES_FROM = 4000  # a helper takes a second to start
_AT_ONCE = 50  # files of one message to a helper

Place = tuple[bytes, str]  # path of the folder, name of the file
Wanted = Sequence[Place]
Readings = Mapping[Place, Reading]


class Helpers:
    """Processes that read for one scan, one for each other processor, started when there is enough to read."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None
        self._first: Future[int] | None = None  # done when the first helper is up

    def start(self, files: int) -> None:
        """Start them for so many files, unless they would not pay or this process may have none."""
        number = min(MOST_HELPERS, len(os.sched_getaffinity(0)) - 1)
        if files < FILES_FROM or number < 1 or multiprocessing.current_process().daemon or self._first is not None:
            return
        self._pool = ProcessPoolExecutor(number, multiprocessing.get_context("spawn"), initializer=django.setup)
        self._first = self._pool.submit(_prepare)

    @property
    def pool(self) -> ProcessPoolExecutor | None:
        """Where to ask; None as long as none is up, so that nobody waits for one to start."""
        return self._pool if self._first is not None and self._first.done() else None

    def lose(self) -> None:
        """Ask none of them any more."""
        log.warning("the helpers of a scan are lost; it reads on without them")
        self.stop()
        self._pool = None

    def stop(self) -> None:
        """End them."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)


class ReadAhead:
    """The readings of the batches of one slice, asked for one batch before they are needed."""

    def __init__(self, helpers: Helpers, site: Site, parts: Sequence[Sequence[Listed]]) -> None:
        self._helpers = helpers
        self._site = site
        self._parts = parts
        self._asked: dict[int, list[Future[list[tuple[Place, Reading]]]]] = {}

    def take(self, number: int, unread: set[int]) -> Readings:
        """The readings of one batch; the next one's are asked for. unread: ids of the folders that were just found.

        What no helper has begun with is left to the caller, who reads it while the helpers go on with the next batch.
        """
        for each in (number, number + 1):
            pool = self._helpers.pool
            if pool is not None and each not in self._asked and each < len(self._parts):
                self._ask(pool, each, unread)
        found: dict[Place, Reading] = {}
        begun = [future for future in self._asked.get(number, ()) if not future.cancel()]
        try:
            for future in begun:
                found.update(future.result())
        except (BrokenProcessPool, OSError):
            self._helpers.lose()
        self._asked[number] = []
        return found

    def _ask(self, pool: ProcessPoolExecutor, number: int, unread: set[int]) -> None:
        wanted = [
            (each.leaf.path, name) for each in self._parts[number] if each.directory.pk in unread for name in each.names
        ]
        options = self._site.options()
        try:
            self._asked[number] = [
                pool.submit(read_files, self._site.place, wanted[at : at + _AT_ONCE], options)
                for at in range(0, len(wanted), _AT_ONCE)
            ]
        except BrokenProcessPool:
            self._helpers.lose()


def read_files(root: bytes, wanted: Wanted, options: Options) -> list[tuple[Place, Reading]]:
    """Read and judge some files of a standard storage, in a helper. What has no readable name is left out."""
    _end_with_parent()
    found = []
    for folder, name in wanted:
        parsed = None if is_foreign(name) else read_file_name(name)
        if parsed is not None:
            found.append(((folder, name), examine(root, folder, name, parsed, options, extended=False)))
    return found


def _prepare() -> int:
    """The first work of a helper: what is loaded by now stays, so the collector need not look at it again."""
    gc.freeze()
    return os.getpid()


_watching = threading.Event()


def _end_with_parent() -> None:
    """A helper whose parent was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is None or _watching.is_set():
        return
    _watching.set()

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
