"""The public storages: every verdict of the edge tree, the specification's examples, 1,330 generated files."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from apps.network.services import add_facility
from apps.ssmix import queries
from apps.ssmix.models import StorageRoot, StoredFile
from apps.ssmix.services import add_storage, check_storage, scan
from hie.wire.ssmix.rules import RULES, Severity
from tests.conformance import CONFORMANCE, needs_conformance

SSMIX = CONFORMANCE / "ssmix2"
pytestmark = [needs_conformance, pytest.mark.django_db]

STATES = {
    "current": {"current", "excluded", "pending"},
    "history": {"history"},
    "deleted": {"deleted"},
    "history-or-deleted": {"history", "deleted"},
    "current-cancel": {"cancel"},
}


def root_of(path: Path, *, trust_folder: bool = False) -> StorageRoot:
    add_facility(code="1319999998", name="架空病院", kind="hospital")
    return add_storage(facility_code="1319999998", path=str(path), quiet_seconds=0, trust_folder=trust_folder)


def weighty(rules: set[str]) -> set[str]:
    return {rule for rule in rules if RULES[rule].severity is not Severity.INFO}


def test_every_verdict_of_the_edge_tree_holds() -> None:
    root = root_of(SSMIX / "edge" / "STD01")
    scan(root)
    found = {
        f"STD01/{row.directory.path}/{row.name}": (row.state, set(row.rules.split()))
        for row in StoredFile.objects.select_related("directory")
    }
    with (SSMIX / "edge" / "EXPECTED.tsv").open(encoding="utf-8") as table:
        expected = list(csv.DictReader(table, delimiter="\t"))
    assert len(expected) == len(found) == 26
    for row in expected:
        state, rules = found[row["path"]]
        wanted = set(filter(None, (row["rules"] or "").split(",")))
        assert state in STATES[row["verdict"]], row["path"]
        assert wanted <= rules, row["path"]
        assert weighty(rules) == weighty(wanted), row["path"]


def test_the_check_without_registering_says_the_same() -> None:
    checked = check_storage(str(SSMIX / "edge" / "STD01"), keep_verdicts=True)
    assert checked.files == 26
    assert not StoredFile.objects.exists()
    with (SSMIX / "edge" / "EXPECTED.tsv").open(encoding="utf-8") as table:
        for row in csv.DictReader(table, delimiter="\t"):
            state, rules = checked.verdicts[row["path"].removeprefix("STD01/")]
            assert state in STATES[row["verdict"]]
            assert weighty(set(rules)) == weighty(set(filter(None, (row["rules"] or "").split(","))))


@pytest.mark.parametrize(("trust", "quarantined"), [(False, 12), (True, 2)])
def test_the_examples_of_the_specification(trust: bool, quarantined: int) -> None:
    root = root_of(SSMIX / "spec_examples", trust_folder=trust)
    scan(root)
    report = queries.report(root)
    assert (report.found, report.lost, report.pending) == (22, 0, 0)
    assert report.states["quarantined"] == quarantined
    wrong_folder = StoredFile.objects.get(directory__path__endswith="ADT-31")
    assert "PATH-02" in wrong_folder.rules


def test_the_generated_storages_lose_nothing() -> None:
    root = root_of(SSMIX / "generated")
    scan(root)
    report = queries.report(root)
    assert (report.found, report.lost) == (1330, 0)
    assert report.states == {"current": 997, "excluded": 333}
    rules = {(each.rule, each.data_type) for each in queries.findings([root])}
    assert ("MSH-02", "ADT-12") in rules
    assert {rule for rule, _ in rules} == {"MSH-02", "TERM-01", "TERM-03"}
    again = scan(StorageRoot.objects.get(pk=root.pk), full=True)
    assert {name: number for name, number in again.counts.items() if number} == {"found": 1330}
