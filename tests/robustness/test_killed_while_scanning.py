"""``kill -9`` of a scan at random moments: after the last one the region knows what an undisturbed scan tells.

Half of the kills come while a storage is scanned for the first time, half while newer versions of what it held have
come since.
``HIE_KILLS=20`` is the full form; the suite kills fewer times to stay short.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.region import HOSPITAL, ROOT, Region, prepared_region

KILLS = int(os.environ.get("HIE_KILLS", "4"))
PATIENTS = 120

# What a scan leaves behind, without the numbers, times and UUIDs that are drawn anew each time.
LEFT_BEHIND = {
    "files": "SELECT d.path, f.name, f.state, f.rules, f.sha256, f.live, f.unique_id, f.generation"
    " FROM ssmix_storedfile f JOIN ssmix_directory d ON d.id = f.directory_id",
    "findings": "SELECT rule, data_type, month, count FROM ssmix_tally WHERE count <> 0",
    "patients": "SELECT authority_oid, value, status, kanji_key, kana_key, birth_date, sex FROM pix_localidentifier",
    "events": "SELECT kind, authority_oid, value, rule, facility_code FROM pix_linkevent",
    "documents": "SELECT e.unique_id, e.hash, e.size, e.status, e.title, e.type_code, e.service_start_time, c.locator"
    " FROM xds_documententry e JOIN xds_content c ON c.id = e.content_id",
    "relations": "SELECT a.association_type, s.unique_id, t.unique_id FROM xds_documententry s"
    " JOIN xds_association a ON a.source_uuid = s.entry_uuid"
    " JOIN xds_documententry t ON t.entry_uuid = a.target_uuid",
    "members": "SELECT e.unique_id FROM xds_submissionset s"
    " JOIN xds_association a ON a.source_uuid = s.entry_uuid"
    " JOIN xds_documententry e ON e.entry_uuid = a.target_uuid",
    "records": "SELECT action, outcome, patient_identifier FROM atna_auditrecord WHERE patient_identifier <> ''",
}


@dataclass(frozen=True, slots=True)
class Scanned:
    """Two regions with the same storage, one of which was left in peace."""

    undisturbed: Region
    killed: Region
    kills_under_way: int


@pytest.fixture(scope="module")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scanned]:
    storages = tmp_path_factory.mktemp("storages")
    with prepared_region() as undisturbed, prepared_region() as killed:
        made = ("make_storage", str(storages), "--facility", HOSPITAL, "--patients", str(PATIENTS), "--seed", "7")
        undisturbed.run("manage.py", *made)
        (storages / "later").mkdir()
        changes = _changes(storages / HOSPITAL, storages / "later")
        for region in (undisturbed, killed):
            path = str(storages / HOSPITAL)
            region.run("manage.py", "add_storage", HOSPITAL, path, "--quiet-seconds", "0")
        for before, after in changes:
            after.rename(before)
        under_way = _scan_both(undisturbed, killed, storages)
        for before, after in changes:
            before.rename(after)
        under_way += _scan_both(undisturbed, killed, storages)
        print(f"\n{KILLS} kills, {under_way} of them inside a scan")
        yield Scanned(undisturbed, killed, under_way)


def _changes(root: Path, later: Path) -> list[tuple[Path, Path]]:
    """What happens to a storage when each key's last version comes: (before, after) of the files that move.

    The last version comes from ``later``; the one before it gets the flag 2 of what is superseded.
    """
    versions = defaultdict(list)
    for path in root.rglob("*"):
        if path.is_file():
            versions[path.parent, *path.name.split("_")[:4]].append(path)
    changes = []
    for each in versions.values():
        *others, last = sorted(each)
        if others and others[-1].name.endswith("_2"):
            changes.append((later / last.name, last))
            changes.append((others[-1].with_name(others[-1].name[:-1] + "1"), others[-1]))
    return changes


def _scan_both(undisturbed: Region, killed: Region, place: Path) -> int:
    """Scan in peace, then again and again with a kill, and once to the end; how many kills hit a scan under way."""
    began = time.monotonic()
    undisturbed.run("manage.py", "scan_storage")
    seconds = time.monotonic() - began
    under_way = sum(_killed_scan(killed, place, seconds) for _ in range(KILLS // 2))
    _lock_expires(killed)
    killed.run("manage.py", "scan_storage")
    return under_way


def _killed_scan(region: Region, place: Path, seconds: float) -> bool:
    """Begin a scan and kill it at a random moment; whether it was under way then."""
    _lock_expires(region)
    command = [sys.executable, "manage.py", "scan_storage"]
    with (place / "log").open("ab") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=region.environment(), stdout=log, stderr=log)
    end = time.monotonic() + 60
    while not region.rows("SELECT 1 FROM ssmix_storageroot WHERE lock_token <> ''") and process.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.01)
    time.sleep(random.uniform(0, max(0.1, seconds / 3)))
    process.kill()
    return process.wait(20) != 0


def _lock_expires(region: Region) -> None:
    """The three minutes after which a scan that nobody ended may be taken up again."""
    region.rows("UPDATE ssmix_storageroot SET lock_token = '', lock_until = NULL")


@pytest.mark.parametrize("kind", LEFT_BEHIND)
def test_what_is_left_behind_is_that_of_an_undisturbed_scan(scanned: Scanned, kind: str) -> None:
    left, expected = (_rows(region, kind) for region in (scanned.killed, scanned.undisturbed))
    assert left - expected == Counter(), "doubled, or otherwise than undisturbed"
    assert expected - left == Counter(), "lost"
    assert expected


def _rows(region: Region, kind: str) -> Counter[tuple[object, ...]]:
    return Counter(region.rows(LEFT_BEHIND[kind]))


def test_the_kills_hit_scans_under_way(scanned: Scanned) -> None:
    assert scanned.kills_under_way, "every scan had ended before its kill: this run proved nothing"


def test_a_scan_after_all_that_finds_nothing_new(scanned: Scanned) -> None:
    _lock_expires(scanned.killed)
    before = {kind: _rows(scanned.killed, kind) for kind in LEFT_BEHIND}
    scanned.killed.run("manage.py", "scan_storage", "--full")
    assert {kind: _rows(scanned.killed, kind) for kind in LEFT_BEHIND} == before
