"""What a clerk decides of two charts. The machine never overwrites it; another decision of a clerk takes it back.

Each decision is one transaction: the statement is kept, the persons follow, the queue is brought up to date. Audit
records are kept by whoever calls (``apps.pix.admin``), in the same transaction.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from apps.pix import matching
from apps.pix.matching import Explanation
from apps.pix.models import Assertion, Encounter, LinkEvent, LocalIdentifier, ReviewCase
from apps.pix.queries.reviewing import APART_TAKEN_BACK, KEPT_APART, LINKED_BY_CLERK, MERGE_TAKEN_BACK
from apps.pix.services import linking, versions
from apps.pix.services.charts import is_fed
from apps.pix.services.linking import Cause
from apps.pix.services.pairs import DatabaseStore
from hie.values.errors import ExchangeError

State = ReviewCase.State
LONGEST_REASON = 200


class StatedElsewhereError(Exception):
    """Other statements say that the two are one human: a facility's merge, or other links of a clerk."""


class AlreadyDecidedError(Exception):
    """The case waits no more: somebody else decided it, or the question is gone."""


@transaction.atomic
def link(first: LocalIdentifier, second: LocalIdentifier, *, by: str) -> None:
    """State that two charts are of one human, and join their persons; the older person survives.

    It ends what clerks said against it: that charts of these two persons be kept apart. by: account of the clerk.
    Raises StatedElsewhereError where another system issues the regional ids and says that they are two.
    """
    first, second = _locked(first, second)
    cause = Cause("", "", timezone.now(), by, LINKED_BY_CLERK)
    one, other = first.person_id, second.person_id
    Assertion.objects.filter(
        Q(first__person_id=one, second__person_id=other) | Q(first__person_id=other, second__person_id=one),
        one_human=False,
        ended_at=None,
    ).update(ended_at=cause.at)
    linking.write_statement(first, second, Assertion.Basis.CLERK, cause, one_human=True)
    older, younger = (first, second) if one <= other else (second, first)
    try:
        linking.settle(older, younger, cause)
    except ExchangeError as refused:  # two patients of the affinity domain, whom its identity source has not merged
        raise StatedElsewhereError(refused.detail) from refused


@transaction.atomic
def keep_apart(first: LocalIdentifier, second: LocalIdentifier, *, by: str) -> None:
    """State that two charts are of two humans; where they stand under one person, they part.

    It ends a clerk's statement that they are one. Raises StatedElsewhereError where others still say so.
    """
    first, second = _locked(first, second)
    if linking.tied_by_others(first.pk, second.pk, but=(Assertion.Basis.CLERK,)):
        raise StatedElsewhereError("Other statements say that these two are one human.")
    cause = Cause("", "", timezone.now(), by, KEPT_APART)
    linking.write_statement(first, second, Assertion.Basis.CLERK, cause, one_human=False)
    older, younger = (first, second) if first.pk < second.pk else (second, first)
    linking.settle(older, younger, cause)


@transaction.atomic
def part(chart_id: int, *, by: str, reason: str) -> None:
    """Take a chart away from its person: it is kept apart from every chart that nobody stated to be of the same human.

    What is stated to be one with it goes with it. by: account of the clerk. reason: in words, kept with the history; it
    names no patient. Raises ValueError without a reason, StatedElsewhereError where statements tie it to all of the
    person's charts.
    """
    if not reason.strip():
        raise ValueError("A link is undone for a reason.")
    chart = LocalIdentifier.objects.get(pk=chart_id)
    others = LocalIdentifier.objects.filter(person_id=chart.person_id, status=LocalIdentifier.Status.ACTIVE)
    linking.lock(f"{each.authority_oid}|{each.value}" for each in (chart, *others))
    chart.refresh_from_db()
    apart = [each for each in others.exclude(pk=chart.pk).order_by("pk") if not _stated_one(chart, each)]
    if not apart:
        raise StatedElsewhereError("Statements tie this chart to all of its person's charts.")
    cause = Cause("", "", timezone.now(), by, KEPT_APART, reason.strip()[:LONGEST_REASON])
    for each in apart:
        linking.write_statement(chart, each, Assertion.Basis.CLERK, cause, one_human=False)
    linking.settle(apart[0], chart, cause, besides=[each.pk for each in apart])


def _stated_one(chart: LocalIdentifier, other: LocalIdentifier) -> bool:
    return linking.tied_by_others(chart.pk, other.pk, but=(Assertion.Basis.CLERK,))


@transaction.atomic
def rejoin(chart_id: int, other_id: int, *, by: str, reason: str) -> None:
    """Take back that two charts be kept apart: the rules decide again, and every "apart" of a clerk between the two
    persons ends. Raises ValueError without a reason, AlreadyDecidedError where nobody keeps them apart.
    """
    if not reason.strip():
        raise ValueError("What is kept apart is joined for a reason.")
    rows = LocalIdentifier.objects.in_bulk([chart_id, other_id])
    first, second = _locked(rows[chart_id], rows[other_id])
    cause = Cause("", "", timezone.now(), by, APART_TAKEN_BACK, reason.strip()[:LONGEST_REASON])
    if not _end_apart(first.person_id, second.person_id, cause):
        raise AlreadyDecidedError("Nobody keeps these two apart any more.")
    older, younger = (first, second) if first.person_id <= second.person_id else (second, first)
    linking.settle(older, younger, cause)


@transaction.atomic
def unmerge(chart_id: int, *, by: str, reason: str) -> None:
    """Take back a facility's merge, which it asks for because it was an error: no message says so (ITI TF-2: 3.8).

    The number is active again and kept apart from the one it was merged into; its stays of then, documents and wishes
    go with it. by: account of the clerk. reason: in words, kept with the history; it names no patient. Raises
    ValueError without a reason, AlreadyDecidedError where the chart is not merged, StatedElsewhereError where other
    statements tie the two, or for an id that another system issues.
    """
    if not reason.strip():
        raise ValueError("A merge is taken back for a reason.")
    chart = LocalIdentifier.objects.get(pk=chart_id)
    if is_fed(chart):
        raise StatedElsewhereError("Only its identity source takes back a merge of regional ids.")
    survivor = chart.merged_into
    linking.lock(f"{each.authority_oid}|{each.value}" for each in (chart, survivor) if each is not None)
    chart.refresh_from_db()
    if survivor is None or chart.merged_into_id != survivor.pk:
        raise AlreadyDecidedError("This chart is not merged into another any more.")
    if linking.tied_by_others(chart.pk, survivor.pk, but=Assertion.Basis.values):
        raise StatedElsewhereError("Other statements tie this chart to the one it was merged into.")
    cause = Cause("", "", timezone.now(), by, MERGE_TAKEN_BACK, reason.strip()[:LONGEST_REASON])
    chart.status, chart.merged_into = LocalIdentifier.Status.ACTIVE, None
    chart.save(update_fields=["status", "merged_into"])
    merged = LinkEvent.objects.filter(record=chart, kind=LinkEvent.Kind.MERGED).order_by("-pk")
    stays = (merged.values_list("evidence", flat=True).first() or {}).get("stays", [])
    Encounter.objects.filter(pk__in=stays, record=survivor).update(record=chart)
    linking.write_statement(survivor, chart, Assertion.Basis.CLERK, cause, one_human=False)
    linking.decide_anew(survivor, chart, cause)


def _end_apart(one: int, other: int, cause: Cause) -> int:
    """End what clerks said against two persons' being one; how many statements that were."""
    return Assertion.objects.filter(
        Q(first__person_id=one, second__person_id=other) | Q(first__person_id=other, second__person_id=one),
        basis=Assertion.Basis.CLERK,
        one_human=False,
        ended_at=None,
    ).update(ended_at=cause.at)


def decide(case_id: int, *, one_human: bool, by: str, note: str = "") -> None:
    """Decide a case that waits. Raises AlreadyDecidedError, StatedElsewhereError."""
    with transaction.atomic():
        case = _waiting(case_id)
        state = State.LINKED if one_human else State.APART
        _write(case, state, by, note)
        (link if one_human else keep_apart)(case.first, case.second, by=by)


def postpone(case_id: int, *, by: str, note: str = "") -> None:
    """Put a case behind the others. Raises AlreadyDecidedError."""
    with transaction.atomic():
        _write(_waiting(case_id), State.POSTPONED, by, note)


def annotate(case_id: int, *, note: str) -> None:
    """Replace the note of a case, whatever its state."""
    ReviewCase.objects.filter(pk=case_id).update(note=note)


def after(case: ReviewCase) -> ReviewCase | None:
    """The case to look at next: the one that has waited longest among the open ones, then among the postponed."""
    rest = ReviewCase.objects.exclude(pk=case.pk)
    return (
        rest.filter(state=State.OPEN).order_by("opened_at", "pk").first()
        or rest.filter(state=State.POSTPONED).order_by("decided_at", "pk").first()
    )


def take_back(case_id: int, *, by: str) -> None:
    """Decide a decided case the other way: what was linked is kept apart, what was kept apart is linked.

    Raises AlreadyDecidedError where it was not decided by a clerk, StatedElsewhereError.
    """
    with transaction.atomic():
        case = ReviewCase.objects.select_for_update().get(pk=case_id)
        if case.state not in (State.LINKED, State.APART):
            raise AlreadyDecidedError("Only a decision can be taken back.")
        one_human = case.state == State.APART
        _write(case, State.LINKED if one_human else State.APART, by, "")
        (link if one_human else keep_apart)(case.first, case.second, by=by)


def _waiting(case_id: int) -> ReviewCase:
    case = ReviewCase.objects.select_for_update().get(pk=case_id)
    if case.state not in (State.OPEN, State.POSTPONED):
        raise AlreadyDecidedError("This case is not waiting any more.")
    return case


def _write(case: ReviewCase, state: str, by: str, note: str) -> None:
    case.state, case.decided_by, case.decided_at = state, by, timezone.now()
    case.note = note or case.note
    case.save(update_fields=["state", "decided_by", "decided_at", "note"])


def _locked(first: LocalIdentifier, second: LocalIdentifier) -> tuple[LocalIdentifier, LocalIdentifier]:
    """Both charts as they stand, with nobody else changing what is said of them until the transaction ends."""
    linking.lock(f"{each.authority_oid}|{each.value}" for each in (first, second))
    rows = LocalIdentifier.objects.in_bulk([first.pk, second.pk])
    return rows[first.pk], rows[second.pk]


@dataclass(frozen=True, slots=True)
class ExplainedPair:
    """Why the machine decided two charts as it did, by the version that did. score: rounded."""

    version: str
    score: float
    explanation: Explanation


def explain_pair(first: LocalIdentifier, second: LocalIdentifier) -> ExplainedPair | None:
    """Field by field; None where the machine takes the two for separate."""
    store, pair = DatabaseStore(), (min(first.pk, second.pk), max(first.pk, second.pk))
    for decision in store.decisions([first.pk]):
        if (decision.first, decision.second) == pair:
            charts = store.charts(pair)
            scorer = versions.scorer_of(decision.version)
            explanation = matching.explain(scorer, charts[pair[0]], charts[pair[1]], decision.verdict)
            return ExplainedPair(decision.version, round(decision.verdict.score, 1), explanation)
    return None
