"""Reading ahead: other processes read and judge the files of the batches to come while this one tells and stores.

The order stays that of the scan, because a batch waits for its own readings. At most two batches are under way, so
memory is bounded. A helper only reads: it has no database, and ends when the process that started it ends, however
that ends. What no helper has read is read where it is needed, so helpers are never necessary.
"""

from __future__ import annotations

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
_AT_ONCE = 100  # files of one message to a helper

Place = tuple[bytes, str]  # path of the folder, name of the file
Wanted = Sequence[Place]
Readings = Mapping[Place, Reading]


class Helpers:
    """Processes that read for one scan, one for each other processor, started when there is enough to read."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None

    def start(self, files: int) -> ProcessPoolExecutor | None:
        """The helpers for so many files; None where they would not pay or this process may have none."""
        number = min(MOST_HELPERS, len(os.sched_getaffinity(0)) - 1)
        if files < FILES_FROM or number < 1 or multiprocessing.current_process().daemon:
            return self._pool
        if self._pool is None:
            self._pool = ProcessPoolExecutor(number, multiprocessing.get_context("spawn"), initializer=django.setup)
        return self._pool

    def stop(self) -> None:
        """End them."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)


class ReadAhead:
    """The readings of the batches of one slice, asked for one batch before they are needed."""

    def __init__(self, pool: ProcessPoolExecutor | None, site: Site, parts: Sequence[Sequence[Listed]]) -> None:
        self._pool = pool
        self._site = site
        self._parts = parts
        self._asked: dict[int, list[Future[list[tuple[Place, Reading]]]]] = {}

    def take(self, number: int, unread: set[int]) -> Readings:
        """The readings of one batch; the next one's are asked for. unread: ids of the folders that were just found."""
        for each in (number, number + 1):
            if self._pool is not None and each not in self._asked and each < len(self._parts):
                self._ask(self._pool, each, unread)
        found: dict[Place, Reading] = {}
        try:
            for future in self._asked.get(number, ()):
                found.update(future.result())
        except (BrokenProcessPool, OSError):
            log.warning("the helpers of a scan are lost; it reads on without them")
            self._pool = None
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
            self._pool = None


def read_files(root: bytes, wanted: Wanted, options: Options) -> list[tuple[Place, Reading]]:
    """Read and judge some files of a standard storage, in a helper. What has no readable name is left out."""
    _end_with_parent()
    found = []
    for folder, name in wanted:
        parsed = None if is_foreign(name) else read_file_name(name)
        if parsed is not None:
            found.append(((folder, name), examine(root, folder, name, parsed, options, extended=False)))
    return found


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
