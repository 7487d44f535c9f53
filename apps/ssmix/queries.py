"""Questions about storages: what waits, what was found wrong, whether every file is accounted for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Count, Sum

from apps.ssmix.models import AcceptedDeviation, Directory, State, StorageRoot, StoredFile, Tally
from hie.exchange.remembered import remembered
from hie.wire.ssmix.rules import RULES, Severity

SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Report:
    """What became of the files of a root. found: in the folders as last listed, apart from missing ones.

    registered: current files that are documents or were fed to the patient index. reported: quarantined, rejected,
    foreign, cancellations and files still being written. unread: found and not yet judged, with which the next scan
    goes on. lost: found and in no state, which is 0 unless something is broken.
    """

    found: int
    registered: int
    superseded: int
    deleted: int
    excluded: int
    pending: int
    reported: int
    unread: int
    missing: int
    states: dict[str, int]

    @property
    def lost(self) -> int:
        accounted = self.registered + self.superseded + self.deleted + self.excluded + self.pending + self.reported
        return self.found - accounted - self.unread


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report of findings: a rule in a data type and month of one storage."""

    storage: str
    rule: str
    severity: Severity
    en: str
    ja: str
    data_type: str
    month: str
    count: int
    accepted: bool
    examples: tuple[tuple[str, str], ...]


@remembered(SECONDS)
def repositories_served() -> frozenset[str]:
    """The repositoryUniqueIds of the members whose storages are served from here, switched off or not."""
    return frozenset(StorageRoot.objects.values_list("facility__repository_oid", flat=True).order_by())


def report(root: StorageRoot) -> Report:
    """Reconcile the files of a root: every file that was found is in exactly one state."""
    rows = StoredFile.objects.filter(root=root).values_list("state").annotate(n=Count("id")).order_by("state")
    states = dict(rows)
    found = Directory.objects.filter(root=root).aggregate(n=Sum("files"))["n"] or 0

    def of(*wanted: State) -> int:
        return sum(states.get(state.value, 0) for state in wanted)

    return Report(
        found=found,
        registered=of(State.CURRENT),
        superseded=of(State.HISTORY),
        deleted=of(State.DELETED),
        excluded=of(State.EXCLUDED),
        pending=of(State.PENDING),
        reported=of(State.QUARANTINED, State.REJECTED, State.FOREIGN, State.CANCEL, State.UNSETTLED),
        unread=of(State.FOUND),
        missing=of(State.MISSING),
        states=states,
    )


def findings(roots: Sequence[StorageRoot]) -> list[Finding]:
    """What was found wrong in some storages, the weightiest and most frequent first."""
    accepted = {
        (facility, rule, data_type)
        for facility, rule, data_type in AcceptedDeviation.objects.filter(
            facility__in={root.facility_id for root in roots}
        ).values_list("facility_id", "rule", "data_type")
    }
    by_id = {root.pk: root for root in roots}
    found = [
        Finding(
            storage=by_id[tally.root_id].name,
            rule=tally.rule,
            severity=RULES[tally.rule].severity,
            en=RULES[tally.rule].en,
            ja=RULES[tally.rule].ja,
            data_type=tally.data_type,
            month=tally.month,
            count=tally.count,
            accepted=not accepted.isdisjoint(
                (by_id[tally.root_id].facility_id, tally.rule, each) for each in ("", tally.data_type)
            ),
            examples=tuple((each["path"], each["place"]) for each in tally.examples),
        )
        for tally in Tally.objects.filter(root__in=list(by_id), count__gt=0)
        if tally.rule in RULES
    ]
    order = {severity: number for number, severity in enumerate(Severity)}
    return sorted(found, key=lambda each: (order[each.severity], each.rule, -each.count, each.data_type, each.month))


def directories_to_recheck(root_id: int) -> list[int]:
    """Folders in which some file has to be looked at, whatever their time."""
    rows = StoredFile.objects.filter(root_id=root_id, recheck=True).values_list("directory_id", flat=True)
    return list(rows.distinct())


def waiting_patients(root_id: int) -> list[str]:
    """Patients whom a document of this root waits for."""
    rows = StoredFile.objects.filter(root_id=root_id, state=State.PENDING).values_list("patient_id", flat=True)
    return list(rows.distinct().order_by("patient_id"))


def waiting_counts(root: StorageRoot) -> tuple[int, int]:
    """(documents that wait, patients whom they wait for)."""
    rows = StoredFile.objects.filter(root=root, state=State.PENDING)
    return rows.count(), rows.values("patient_id").distinct().count()
