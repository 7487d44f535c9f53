"""Checking a storage without registering it, and comparing a transaction storage with the tree: reports only."""

from __future__ import annotations

import os
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from apps.network.queries import Facility
from apps.ssmix import rules
from apps.ssmix.models import StorageRoot, StoredFile
from apps.ssmix.rules import Version
from apps.ssmix.services.reading import Options, Reading, read_file, read_folder
from apps.ssmix.services.walking import Leaf, branches, files_of, leaves
from hie.values.facilities import PatientIdProfile
from hie.values.identifiers import AssigningAuthority
from hie.wire.ssmix.names import (
    Key,
    StorageName,
    check_location,
    is_foreign,
    path_text,
    read_content_folder,
    read_file_name,
)
from hie.wire.ssmix.rules import Deviation
from hie.wire.ssmix.transaction_log import FILE_NAME, Record, compare, read_records

EXAMPLES = 3
Place = tuple[str, str, str]  # rule, data type, month


@dataclass(slots=True)
class Check:
    """What a check found: files by flag-derived state, findings with up to three examples (path, place) each."""

    files: int = 0
    states: Counter[str] = field(default_factory=Counter)
    counts: Counter[Place] = field(default_factory=Counter)
    examples: dict[Place, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))
    verdicts: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)

    def add(self, place: Place, path: str, where: str) -> None:
        """Count one finding of one file."""
        self.counts[place] += 1
        if len(self.examples[place]) < EXAMPLES:
            self.examples[place].append((path, where))


def check_storage(
    path: str, *, extended: bool = False, trust_folder: bool = False, keep_verdicts: bool = False
) -> Check:
    """Read every file under a path and apply every rule. Nothing is stored.

    keep_verdicts: keep state and rules of each file, by path below ``path``; memory grows with the storage then.
    Raises OSError where the path cannot be listed.
    """
    root, found = os.fsencode(path), Check()
    options = Options(_ANYBODY, frozenset(), time.time_ns(), 0, trust_folder)
    is_unit = _is_unit if extended else None
    problems: list[bytes] = []
    for branch in branches(root):
        for leaf in leaves(root, branch, {}, problems, is_unit, set(), full=True):
            _check_leaf(found, root, leaf, options, extended=extended, keep=keep_verdicts)
    for problem in problems:
        found.add(("OWN-02", "", ""), path_text(problem), "folder")
    return found


def check_transactions(root: StorageRoot, path: str) -> Check:
    """Compare the transaction storage under a path with the index of its facility's storages: TR-01 and TR-02.

    The last word of the log on every key is held in memory: some hundred bytes a key.
    """
    found = Check()
    last: dict[Key, Record] = {}
    for file in sorted(each for each in Path(path).rglob("*") if FILE_NAME.fullmatch(each.name)):
        found.files += 1
        for record in read_records(file.read_bytes()):
            if record.deviations:
                found.add(("TR-01", "", record.written_at[:6]), file.name, f"offset {record.offset}")
            else:
                last[record.key] = record
    for key, deviation in compare(list(last.values()), _alive(root)):
        found.add((deviation.rule, key[2], key[1][:6]), "_".join(key), deviation.place)
    return found


def _alive(root: StorageRoot) -> set[Key]:
    rows = StoredFile.objects.filter(
        root__facility=root.facility, flag="1", state__in=("current", "excluded", "pending")
    ).values_list("patient_id", "care_date", "data_type", "order_number")
    return set(rows.iterator())


_ANYBODY = Facility(
    code="",
    name="",
    kana="",
    kind="",
    enabled=True,
    authority=AssigningAuthority(),
    repository_oid="",
    patient_ids=PatientIdProfile(),
)


def _is_unit(name: bytes, parent: bytes) -> bool:
    return read_content_folder(path_text(name), path_text(parent)) is not None


def _check_leaf(found: Check, root: bytes, leaf: Leaf, options: Options, *, extended: bool, keep: bool) -> None:
    read: list[tuple[str, StorageName, Reading]] = []
    folder = path_text(leaf.path)
    for raw in leaf.names:
        name = path_text(raw)
        found.files += 1
        path = f"{folder}/{name}" if folder else name
        parsed = _parse(name, folder, extended=extended)
        if parsed is None:
            rule = "PATH-10" if is_foreign(name) or not name.startswith(_patient(folder) + "_") else "PATH-01"
            found.states["foreign"] += 1
            found.add((rule, "", ""), path, "")
            continue
        before = parsed.deviations + check_location(parsed, tuple(folder.split("/")))
        place = root + b"/" + leaf.path + b"/" + raw
        read.append((path, parsed, _read(place, parsed, before, options, extended=extended)))
    _judge(found, read, keep=keep)


def _parse(name: str, folder: str, *, extended: bool) -> StorageName | None:
    if extended:
        return read_content_folder(name, folder.rsplit("/", 1)[-1])
    return None if is_foreign(name) else read_file_name(name)


def _patient(folder: str) -> str:
    parts = folder.split("/")
    return parts[-3] if len(parts) >= 3 else "\0"


def _read(
    place: bytes, name: StorageName, before: tuple[Deviation, ...], options: Options, *, extended: bool
) -> Reading:
    return read_folder(place, files_of(place), before, options) if extended else read_file(place, name, before, options)


def _judge(found: Check, read: list[tuple[str, StorageName, Reading]], *, keep: bool) -> None:
    by_key: dict[Key, list[tuple[str, StorageName, Reading]]] = defaultdict(list)
    for each in read:
        by_key[each[1].key].append(each)
    for key, same in by_key.items():
        versions = [
            Version(
                path, name.flag, name.written_at, name.department, reading.mtime_ns, reading.cancels, not reading.fatal
            )
            for path, name, reading in same
        ]
        verdicts = rules.judge(versions, several=rules.keeps_several(key[2], key[3]))
        for path, name, reading in same:
            verdict = verdicts.get(path)
            state = "quarantined" if reading.fatal or verdict is None else verdict.state.value
            found.states[state] += 1
            deviations = [(each.rule, each.place) for each in reading.deviations]
            deviations += [(rule, "") for rule in (verdict.rules if verdict and not reading.fatal else ())]
            by_rule: dict[str, list[str]] = defaultdict(list)
            for rule, where in deviations:
                by_rule[rule].append(where)
            for rule, places in by_rule.items():
                found.add((rule, name.data_type, name.month), path, ", ".join(filter(None, dict.fromkeys(places))))
            if keep:
                found.verdicts[path] = (state, tuple(by_rule))


def lines(found: Check) -> Iterator[tuple[str, str, str, int, str]]:
    """(rule, data type, month, files, examples) in the order of the rules."""
    for (rule, data_type, month), count in sorted(found.counts.items()):
        shown = [f"{path} [{where}]" if where else path for path, where in found.examples[rule, data_type, month]]
        yield rule, data_type, month, count, "; ".join(shown)
