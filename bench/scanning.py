"""The scan of a storage, lane by lane, against a walk that only reads and hashes the same files.

"found and indexed" is the fast lane alone; "judged and told" is what follows it: every rule, patients fed, documents
registered. "first scan" is both together, which is what a hospital waits for. The floor is measured anew before each
line, because a shared machine is not the same from minute to minute.
"""

from __future__ import annotations

import hashlib
import os
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from apps.network import services as network
from apps.network.models import Facility
from apps.ssmix.models import StorageRoot
from apps.ssmix.services import Progress, check_storage, scan
from bench.region import Region
from hie.wire.ssmix.fictional.messages import Place
from hie.wire.ssmix.fictional.people import make_people
from hie.wire.ssmix.fictional.storage import make_storage

CODE = "1349999035"
PATIENTS = 500


def run(region: Region) -> None:
    """Make a storage, walk it plainly, scan it first and again, full and changed; print files a second."""
    from apps.ssmix.management.commands.make_storage import write_files

    today = date(2026, 11, 1)
    people = [(person, f"{person.number:010d}") for person in make_people(PATIENTS, 7, today)]
    directory = region.directory / "storage"
    count = write_files(directory, make_storage(Place(CODE, "測定病院"), people, 7, today))
    network.set_own_rows()
    facility: Facility = network.add_facility(code=CODE, name="測定病院")
    root = StorageRoot.objects.create(facility=facility, path=str(directory), name="STD01", quiet_seconds=0)
    _plain_walk(directory)
    floor = _timed(lambda: _plain_walk(directory))
    told: list[Progress] = []
    first = _timed(lambda: scan(root, told.append))
    last = told[-1]
    print(f"scan: {count} files, the floor is a plain walk + read + SHA-256")
    _show("first scan", count, first, count, floor)
    _show("  found and indexed", last.discovered, Spent(last.discovering), count, floor)
    _show("  judged and told", last.settled, Spent(last.settling), count, floor)
    for name, again in (
        ("scan with nothing new", lambda: scan(root)),
        ("full reconcile", lambda: scan(root, full=True)),
        ("check without database", lambda: check_storage(str(directory))),
    ):
        floor = _timed(lambda: _plain_walk(directory))
        _show(name, count, _timed(again), count, floor)
    print(f"  peak memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB")


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds by the clock, and by the processors (helpers included; 0 where they cannot be told apart)."""

    clock: float
    processors: float = 0.0


def _show(name: str, count: int, spent: Spent, files: int, floor: Spent) -> None:
    """One line: what was done with how many files, beside the floor, which read all of them."""
    rate, least = count / spent.clock, files / floor.clock
    ratio = f"ratio {rate / least:5.2f}"
    if spent.processors:
        ratio += f"   by processor time {count / spent.processors:9,.0f} of {files / floor.processors:9,.0f} files/s"
    print(f"  {name:24} {rate:9,.0f} files/s   floor {least:9,.0f}   {ratio}", flush=True)


def _plain_walk(directory: Path) -> int:
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            with Path(folder, name).open("rb") as file:
                total += len(hashlib.sha256(file.read()).digest())
    return total


def _timed(work: Callable[[], object]) -> Spent:
    before, begin = os.times(), time.perf_counter()
    work()
    after = os.times()
    return Spent(time.perf_counter() - begin, sum(after[:4]) - sum(before[:4]))
