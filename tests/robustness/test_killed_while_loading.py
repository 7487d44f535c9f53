"""``kill -9`` of ``load_patients`` at random moments: once it has come to its end, the index is that of an undisturbed
load, and no process of a killed one is left.

``HIE_KILLS=20`` is the full form; the suite kills fewer times to stay short.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from accuracy.population import describe
from bench.index import _line
from hie.wire.patient_list import COLUMNS
from tests.region import HOSPITAL, ROOT, Region, prepared_region

KILLS = int(os.environ.get("HIE_KILLS", "4"))
HUMANS = 400
# The command, with portions and slices so small that a kill finds many behind it and many to come.
LOAD = """
import django, sys
django.setup()
from django.core.management import call_command
from apps.pix.services import ahead, loading
loading.PORTION, ahead.SLICE = 40, 10
call_command("load_patients", sys.argv[1], sys.argv[2], "--processes", "1")
"""

# What a load leaves behind, without the numbers, times and regional ids that are drawn anew each time.
LEFT_BEHIND = {
    "charts": "SELECT value, status, kanji_key, kana_key, birth_date, sex FROM pix_localidentifier",
    "persons": "SELECT MIN(l.value), COUNT(*) FROM pix_localidentifier l GROUP BY l.person_id",
    "candidate keys": "SELECT l.value, k.value FROM pix_matchkey k JOIN pix_localidentifier l ON l.id = k.record_id",
    "search keys": "SELECT l.value, k.whole FROM pix_namekey k JOIN pix_localidentifier l ON l.id = k.record_id",
    "decisions": "SELECT a.value, b.value, d.outcome, d.rule FROM pix_matchdecision d"
    " JOIN pix_localidentifier a ON a.id = d.first_id JOIN pix_localidentifier b ON b.id = d.second_id",
    "history": "SELECT kind, authority_oid, value, rule, facility_code FROM pix_linkevent",
    "how far it came": "SELECT position, entered, updated, unchanged, refused FROM pix_patientload"
    " WHERE finished_at IS NOT NULL",
    "records": "SELECT description FROM atna_auditrecord WHERE description LIKE 'List of patients%'",
}


@dataclass(frozen=True, slots=True)
class Loaded:
    """Two regions with the same list, one of which was left in peace."""

    undisturbed: Region
    killed: Region
    kills_under_way: int


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    path = tmp_path_factory.mktemp("lists") / "patients.csv"
    lines = [_line(f"{number:06}", told) for number, (_, _, told) in enumerate(describe(HUMANS, 20260401))]
    path.write_text(",".join(COLUMNS) + "\n" + "".join(lines), encoding="utf-8")
    with prepared_region() as undisturbed, prepared_region() as killed:
        began = time.monotonic()
        _load(undisturbed, path).wait(300)
        seconds = time.monotonic() - began
        under_way = sum(_killed_load(killed, path, seconds) for _ in range(KILLS))
        assert _load(killed, path).wait(300) == 0
        print(f"\n{KILLS} kills, {under_way} of them inside a load")
        yield Loaded(undisturbed, killed, under_way)


def _load(region: Region, path: Path) -> subprocess.Popen[bytes]:
    with path.with_suffix(".log").open("ab") as log:
        command = [sys.executable, "-c", LOAD, HOSPITAL, str(path)]
        environment = region.environment() | {"DJANGO_SETTINGS_MODULE": "hie.settings"}
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)


def _killed_load(region: Region, path: Path, seconds: float) -> bool:
    """Begin a load and kill it at a random moment after it has come further; whether it was under way then."""
    before = _position(region)
    process = _load(region, path)
    end = time.monotonic() + 120
    while _position(region) == before and process.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.02)
    time.sleep(random.uniform(0, seconds / KILLS / 4))
    process.kill()
    was_under_way = process.wait(20) != 0
    end = time.monotonic() + 20
    while _processes_with(path):
        assert time.monotonic() < end, "a process that worked ahead outlived the one that writes"
        time.sleep(0.05)
    return was_under_way


def _position(region: Region) -> int:
    return sum(position for (position,) in region.rows("SELECT position FROM pix_patientload"))


def _processes_with(path: Path) -> list[str]:
    """The processes that were started with this list."""
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(path).encode() in each.read_bytes():
                found.append(each.parent.name)
        except OSError:
            continue
    return found


@pytest.mark.parametrize("kind", LEFT_BEHIND)
def test_what_is_left_behind_is_that_of_an_undisturbed_load(loaded: Loaded, kind: str) -> None:
    left, expected = (Counter(region.rows(LEFT_BEHIND[kind])) for region in (loaded.killed, loaded.undisturbed))
    assert left - expected == Counter(), "doubled, or otherwise than undisturbed"
    assert expected - left == Counter(), "lost"
    assert expected


def test_the_kills_hit_loads_under_way(loaded: Loaded) -> None:
    assert loaded.kills_under_way, "every load had ended before its kill: this run proved nothing"
