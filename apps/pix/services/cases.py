"""The queue of doubtful pairs follows the charts: a question comes up, stays with its persons, and goes by itself.

Two persons are in question where the machine decided anything but "separate" of a chart of one and a chart of the
other, and no clerk keeps them apart. Of all such pairs the best stands for the question.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from apps.pix.models import ReviewCase
from hie.exchange.rows import fetch, listed, numbers

State = ReviewCase.State

_DOUBTFUL = """
    SELECT d.first_id, d.second_id, d.score, d.rule, a.person_id, b.person_id
    FROM pix_matchdecision d JOIN pix_localidentifier a ON a.id = d.first_id
    JOIN pix_localidentifier b ON b.id = d.second_id
    WHERE {side} AND a.person_id <> b.person_id
"""
_APART = """
    SELECT a.person_id, b.person_id
    FROM pix_assertion s JOIN pix_localidentifier a ON a.id = s.first_id
    JOIN pix_localidentifier b ON b.id = s.second_id
    WHERE {side} AND s.ended_at IS NULL AND NOT s.one_human
"""


@dataclass(frozen=True, slots=True)
class _Doubt:
    first: int
    second: int
    score: float
    rule: str


def follow(person_of: Mapping[int, int], at: datetime) -> None:
    """Make the queue fit these charts (id -> person): whole persons, as they stand now."""
    charts = list(person_of)
    wanted = _doubts(charts)
    asked: set[tuple[int, int]] = set()
    before: dict[tuple[int, int], ReviewCase] = {}
    for case, persons in _waiting(charts):
        doubt = wanted.get(persons)
        if doubt is not None and (case.first_id, case.second_id) == (doubt.first, doubt.second):
            asked.add(persons)
            if (case.score, case.rule) != (doubt.score, doubt.rule):
                ReviewCase.objects.filter(pk=case.pk).update(score=doubt.score, rule=doubt.rule)
        else:
            before.setdefault(persons, case)
            ReviewCase.objects.filter(pk=case.pk).update(state=State.CLOSED, decided_at=at)
    for persons, doubt in wanted.items():
        if persons not in asked:
            _open(doubt, before.get(persons), at)


def _doubts(charts: list[int]) -> dict[tuple[int, int], _Doubt]:
    """Two persons, the smaller id first -> the pair that speaks most for their being one."""
    found: dict[tuple[int, int], _Doubt] = {}
    for first, second, score, rule, one, other in _of("d", _DOUBTFUL, charts):
        persons = min(one, other), max(one, other)
        best = found.get(persons)
        if best is None or (-score, first, second) < (-best.score, best.first, best.second):
            found[persons] = _Doubt(first, second, score, rule)
    if found:
        for one, other in _of("s", _APART, charts):
            found.pop((min(one, other), max(one, other)), None)
    return found


def _waiting(charts: list[int]) -> Iterator[tuple[ReviewCase, tuple[int, int]]]:
    """The cases of these charts that wait, the longest first, each with its two persons."""
    known = [
        pk for (pk,) in fetch(" UNION ".join(_WAITING.format(listed(each)) for each in _SIDES), [numbers(charts)] * 2)
    ]
    if not known:
        return
    waiting = ReviewCase.objects.filter(pk__in=known).select_related("first", "second")
    for case in sorted(waiting, key=lambda case: (case.opened_at, case.pk)):
        persons = sorted((case.first.person_id, case.second.person_id))
        yield case, (persons[0], persons[1])


_SIDES = ("first_id", "second_id")
_WAITING = "SELECT id FROM pix_reviewcase WHERE {} AND state IN ('open', 'postponed')"


def _open(doubt: _Doubt, before: ReviewCase | None, at: datetime) -> None:
    """Ask by this pair. before: a case of the same persons that stood for the question, and has waited since."""
    kept = {"state": before.state, "opened_at": before.opened_at, "note": before.note} if before else {}
    ReviewCase.objects.update_or_create(
        first_id=doubt.first,
        second_id=doubt.second,
        defaults={
            "state": State.OPEN,
            "score": doubt.score,
            "rule": doubt.rule,
            "opened_at": at,
            "decided_by": "",
            "decided_at": None,
            **kept,
        },
    )


def _of(table: str, sql: str, charts: list[int]) -> Iterator[tuple[Any, ...]]:
    """The rows of a statement with one of these charts on either side of a table."""
    sides = [sql.format(side=listed(f"{table}.{side}_id")) for side in ("first", "second")]
    yield from fetch(" UNION ALL ".join(sides), [numbers(charts)] * 2)
