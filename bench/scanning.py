"""The scan of a storage, lane by lane, against a walk that only reads and hashes the same files.

"found and indexed" is the fast lane alone; "judged and told" is what follows it: every rule, patients fed, documents
registered. "first scan" is both together, which is what a hospital waits for. The floor is measured anew before each
line, because a shared machine is not the same from minute to minute.
"""

from __future__ import annotations

import hashlib
import os
import time
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
    floor = count / _timed(lambda: _plain_walk(directory))
    told: list[Progress] = []
    first = count / _timed(lambda: scan(root, told.append))
    last = told[-1]
    print(f"scan: {count} files, the floor is a plain walk + read + SHA-256")
    _show("first scan", first, floor)
    _show("  found and indexed", last.discovered / last.discovering, floor)
    _show("  judged and told", last.settled / last.settling, floor)
    for name, again in (
        ("scan with nothing new", lambda: scan(root)),
        ("full reconcile", lambda: scan(root, full=True)),
        ("check without database", lambda: check_storage(str(directory))),
    ):
        floor = count / _timed(lambda: _plain_walk(directory))
        _show(name, count / _timed(again), floor)


def _show(name: str, rate: float, floor: float) -> None:
    print(f"  {name:24} {rate:9,.0f} files/s   floor {floor:9,.0f}   ratio {rate / floor:5.2f}", flush=True)


def _plain_walk(directory: Path) -> int:
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            with Path(folder, name).open("rb") as file:
                total += len(hashlib.sha256(file.read()).digest())
    return total


def _timed(work) -> float:  # type: ignore[no-untyped-def]
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin
