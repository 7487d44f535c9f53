"""However a storage is scanned, file by file or by the thousand, with helpers or without: the same rows come of it."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction

from apps.network.services import add_facility
from apps.ssmix.management.commands.make_storage import write_files
from apps.ssmix.models import StorageRoot
from apps.ssmix.services import add_storage, ahead, scan, scanning
from apps.xds.models import DocumentEntry, shard_key_of
from apps.xds.services import storing
from hie.exchange.remembered import forget_all
from hie.values.documents import DocumentEntry as Entry
from hie.wire.ebxml.fragments import read_fragment, write_fragment
from hie.wire.ebxml.packing import unpack
from hie.wire.ssmix.fictional.messages import Place
from hie.wire.ssmix.fictional.people import make_people
from hie.wire.ssmix.fictional.storage import make_storage
from tests.conformance import CONFORMANCE, needs_conformance

FACILITY = "1319999998"
SSMIX = CONFORMANCE / "ssmix2"

# Everything that is stored of a scan, without the numbers, moments and regional ids that are drawn anew each time, and
# without the submission sets, which are one for each patient of a batch.
ROWS = {
    "folders": "SELECT path, branch, names, files, has_folders FROM ssmix_directory",
    "files": "SELECT d.path, f.name, f.patient_id, f.care_date, f.data_type, f.order_number, f.written_at,"
    " f.department, f.flag, f.size, f.mtime_ns, f.inode, f.sha256, f.sha1, f.state, f.rules, f.cancels,"
    " f.entry_uuid, f.unique_id, f.live, f.generation, f.recheck, f.accepted, f.files"
    " FROM ssmix_storedfile f JOIN ssmix_directory d ON d.id = f.directory_id",
    "findings": "SELECT rule, data_type, month, count FROM ssmix_tally WHERE count <> 0",
    "charts": "SELECT authority_oid, value, status, kanji_key, kana_key, birth_date, sex FROM pix_localidentifier",
    "entries": "SELECT e.entry_uuid, e.patient_id, e.facility_code, e.status, e.logical_id, e.version, e.unique_id,"
    " e.repository_unique_id, e.object_type, e.mime_type, e.title, e.hash, e.size, e.class_code, e.type_code,"
    " e.format_code, e.healthcare_facility_type_code, e.practice_setting_code, e.event_codes,"
    " e.confidentiality_codes, e.creation_time, e.service_start_time, e.service_stop_time, e.care_date, c.locator,"
    " c.size, c.sha1, c.sha256, e.fragment FROM xds_documententry e JOIN xds_content c ON c.id = e.content_id",
    "replacements": "SELECT entry_uuid, patient_id, association_type, source_uuid, target_uuid,"
    " submission_set_status, fragment FROM xds_association WHERE association_type LIKE '%%:RPLC'",
    "members": "SELECT e.entry_uuid, a.patient_id, a.submission_set_status, a.status FROM xds_submissionset s"
    " JOIN xds_association a ON a.source_uuid = s.entry_uuid AND a.patient_id = s.patient_id"
    " JOIN xds_documententry e ON e.entry_uuid = a.target_uuid AND e.patient_id = a.patient_id",
    "event codes": "SELECT e.entry_uuid, v.patient_id, v.value"
    " FROM xds_eventcode v JOIN xds_documententry e ON e.id = v.entry_id",
    "confidentiality codes": "SELECT e.entry_uuid, v.patient_id, v.value"
    " FROM xds_confidentialitycode v JOIN xds_documententry e ON e.id = v.entry_id",
    "authors": "SELECT e.entry_uuid, v.patient_id, v.value"
    " FROM xds_authorperson v JOIN xds_documententry e ON e.id = v.entry_id",
    "references": "SELECT e.entry_uuid, v.patient_id, v.value"
    " FROM xds_referenceid v JOIN xds_documententry e ON e.id = v.entry_id",
}

pytestmark = pytest.mark.django_db
Rows = dict[str, Counter[tuple[Any, ...]]]


def fictional(directory: Path) -> Path:
    people = [(person, f"{person.number:010d}") for person in make_people(12, 7, date(2026, 11, 1))]
    write_files(directory / "made", make_storage(Place(FACILITY, "架空病院"), people, 7, date(2026, 11, 1)))
    return directory / "made"


STORAGES: dict[str, Callable[[Path], Path]] = {
    "made": fictional,
    "edge": lambda _: SSMIX / "edge" / "STD01",
    "generated": lambda _: SSMIX / "generated" / "216",
}


@needs_conformance
@pytest.mark.parametrize("storage", STORAGES)
def test_the_fast_path_leaves_the_rows_of_the_one_by_one_path(
    storage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_facility(code=FACILITY, name="架空病院", kind="hospital")
    path = str(STORAGES[storage](tmp_path))
    root = add_storage(facility_code=FACILITY, path=path, quiet_seconds=0, trust_folder=True)
    with monkeypatch.context() as one_by_one:
        one_by_one.setattr(scanning, "BATCH_FILES", 1)
        one_by_one.setattr(scanning, "FIND_FROM", 10**9)
        slow = rows_of_a_scan(root)
    monkeypatch.setattr(scanning, "FIND_FROM", 1)
    monkeypatch.setattr(ahead, "FILES_FROM", 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    fast = rows_of_a_scan(root)
    for kind in ROWS:
        assert fast[kind] == slow[kind], kind
    assert slow["files"]
    assert sum(fast["members"].values()) == sum(fast["entries"].values()), "every document is in one submission"


def rows_of_a_scan(root: StorageRoot) -> Rows:
    """Scan a root as if for the first time and take everything back again."""
    with transaction.atomic():
        forget_all()
        scan(StorageRoot.objects.get(pk=root.pk))
        check_entries()
        found = {kind: Counter(map(comparable(), fetch(sql))) for kind, sql in ROWS.items()}
        transaction.set_rollback(True)
    return found


def check_entries() -> None:
    """The columns and the fragment of an entry say the same, and the fragment is the one of the general writer."""
    for row in DocumentEntry.objects.all():
        entry = read_fragment(bytes(row.fragment))
        assert isinstance(entry, Entry)
        assert write_fragment(entry) == bytes(row.fragment)
        wanted = storing._entry_columns(entry, {row.entry_uuid: row.content_id or 0})
        assert {name: getattr(row, name) for name in wanted} == wanted
        assert row.patient_id == storing.patient_of(entry)
        assert row.shard_key == shard_key_of(row.patient_id)


def fetch(sql: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, [])
        return list(cursor.fetchall())


def comparable() -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
    """Puts the chart number in the place of a regional id, in columns and in fragments."""
    sql = "SELECT p.regional_id, l.value FROM pix_person p JOIN pix_localidentifier l ON l.person_id = p.id"
    charts: dict[str, str] = {}
    for regional_id, value in sorted(fetch(sql)):
        charts[regional_id] = f"{charts.get(regional_id, '')}<{value}>"
    anyone = re.compile("|".join(map(re.escape, charts)) or "(?!)")

    def read(value: Any) -> Any:
        if isinstance(value, (bytes, memoryview)):
            value = unpack(bytes(value)).decode()
        return anyone.sub(lambda found: charts[found[0]], value) if isinstance(value, str) else value

    return lambda row: tuple(map(read, row))
