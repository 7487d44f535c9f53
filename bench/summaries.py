"""Patient summaries: assembled and kept, and assembled again while nothing has changed, without the door around it.

The floor is reading and hashing the very files that the summaries are made from. Processor seconds of this process are
printed beside the rate, because they say the same on a crowded machine.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

from django.conf import settings

from apps.network import services as network
from apps.network.models import Facility
from apps.ssmix.models import StorageRoot
from apps.ssmix.services import scan
from apps.xds.models import DocumentEntry, ObjectType
from apps.xds.rules import is_snapshot, origins_of
from apps.xds.services import retrieve
from bench.region import Region
from hie.values.access import Access, Caller, Decision, Node, Permit
from hie.values.documents import DocumentRequest, RetrieveRequest
from hie.wire.ssmix.fictional.messages import Place
from hie.wire.ssmix.fictional.people import make_people
from hie.wire.ssmix.fictional.storage import make_storage

CODE = "1349999043"
PATIENTS = 40


def run(region: Region) -> None:
    """Make a storage, scan it, retrieve everybody's summary twice; print summaries a second."""
    from apps.ssmix.management.commands.make_storage import write_files

    today = date(2026, 11, 1)
    people = [(person, f"{person.number:010d}") for person in make_people(PATIENTS, 11, today)]
    directory = region.directory / "summaries"
    write_files(directory, make_storage(Place(CODE, "要約病院"), people, 11, today, years=3))
    settings.SUMMARY = settings.SUMMARY_SNAPSHOTS = True
    network.set_own_rows()
    facility: Facility = network.add_facility(code=CODE, name="要約病院")
    root = StorageRoot.objects.create(facility=facility, path=str(directory), name="STD01", quiet_seconds=0)
    scan(root)
    offers = list(
        DocumentEntry.objects.filter(object_type=ObjectType.ON_DEMAND, sources=CODE).values_list(
            "patient_id", "unique_id"
        )
    )
    print(f"summaries: {len(offers)} persons, the floor is read + SHA-256 of the files that they are made from")
    for name in ("made and kept", "made, nothing has changed"):
        _show(name, len(offers), lambda: _retrieve(offers), lambda: _plain_read(directory))
    made = DocumentEntry.objects.filter(object_type=ObjectType.STABLE, facility_code="")
    used = [len(origins_of(sources)) for sources in made.values_list("sources", flat=True) if is_snapshot(sources)]
    print(f"  files in each, on average {sum(used) / len(used):.1f}")


def _retrieve(offers: list[tuple[str, str]]) -> None:
    caller = Caller(Node("bench", "1310000009", accesses=frozenset(Access)))
    for patient_id, unique_id in offers:
        permit = Permit(caller, Access.RETRIEVE, (patient_id,), {patient_id: Decision(default=True)})
        asked = RetrieveRequest((DocumentRequest(settings.REPOSITORY_OID, unique_id),))
        assert retrieve(asked, permit).documents


def _plain_read(directory: Path) -> None:
    for path in directory.rglob("*"):
        if path.is_file() and "OML-01" not in path.name:
            hashlib.sha256(path.read_bytes()).digest()


def _show(name: str, count: int, work: Callable[[], None], plain: Callable[[], None]) -> None:
    begin = time.perf_counter()
    plain()
    floor = count / (time.perf_counter() - begin)
    begin, used = time.perf_counter(), time.process_time()
    work()
    rate, processor = count / (time.perf_counter() - begin), (time.process_time() - used) / count * 1000
    print(
        f"  {name:26} {rate:9,.0f}/s   floor {floor:9,.0f}   ratio {rate / floor:5.2f}   {processor:5.1f} ms processor",
        flush=True,
    )
