"""Trials and adoptions of matching rules that an administrator asks for: rows that a worker carries out.

One at a time; a run whose worker died is begun again by the next one. A version is adopted only after it was tried: who
adopts it has seen what it would change.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from apps.pix.models import LocalIdentifier, MatchRules, RulesRun
from apps.pix.services import training
from apps.pix.services.training import Difference

log = logging.getLogger("hie.pix.runs")
Kind, State = RulesRun.Kind, RulesRun.State
# Longer than any worker is silent: progress is written after every portion of charts.
_CLAIM = timedelta(minutes=10)
_EXAMPLES = 50  # changed persons that a result keeps
LONGEST_REASON = 200


class NotTriedError(Exception):
    """Nobody has seen yet what this version would change."""


class AlreadyAskedError(Exception):
    """The same work waits or runs already, or the version is in force."""


def ask_trial(rules_id: int, *, by: str) -> RulesRun:
    """Have a version tried on the whole population; nothing changes. Raises AlreadyAskedError."""
    return _ask(rules_id, Kind.TRIAL, by, "")


def ask_adoption(rules_id: int, *, by: str, reason: str) -> RulesRun:
    """Have a version put in force, and everybody decided by it.

    reason: in words, kept with the run. Raises ValueError without one, NotTriedError, AlreadyAskedError.
    """
    if not reason.strip():
        raise ValueError("Rules are adopted for a reason.")
    if MatchRules.objects.filter(pk=rules_id, in_force=True).exists():
        raise AlreadyAskedError("This version is in force.")
    if not RulesRun.objects.filter(rules_id=rules_id, kind=Kind.TRIAL, state=State.DONE).exists():
        raise NotTriedError("This version was not tried yet.")
    return _ask(rules_id, Kind.ADOPTION, by, reason.strip()[:LONGEST_REASON])


def _ask(rules_id: int, kind: str, by: str, reason: str) -> RulesRun:
    try:
        with transaction.atomic():
            return RulesRun.objects.create(rules_id=rules_id, kind=kind, asked_by=by, reason=reason)
    except IntegrityError as error:
        raise AlreadyAskedError("This waits already.") from error


def carry_out(now: datetime | None = None) -> int:
    """Work off the runs that wait, the oldest first; how many were carried out. None while another worker is at one."""
    done = 0
    while run := _claimed(now or timezone.now()):
        _carry_out(run)
        done += 1
    return done


def waiting(now: datetime | None = None) -> bool:
    """Whether there is a run that a worker may take."""
    return _open(now or timezone.now()).exists() and not _busy(now or timezone.now())


def _claimed(now: datetime) -> RulesRun | None:
    """The next run, claimed for this worker; None where there is none, or somebody is at one."""
    with transaction.atomic():
        if _busy(now):
            return None
        run = _open(now).order_by("pk").first()
        if run is None:
            return None
        total = LocalIdentifier.objects.count()
        taken = _open(now).filter(pk=run.pk, claimed_until=run.claimed_until)
        claim = {"state": State.RUNNING, "claimed_until": now + _CLAIM, "total": total, "done": 0}
        return RulesRun.objects.get(pk=run.pk) if taken.update(**claim) else None


def _open(now: datetime) -> Any:
    return RulesRun.objects.filter(Q(claimed_until=None) | Q(claimed_until__lt=now), ended_at=None)


def _busy(now: datetime) -> bool:
    return RulesRun.objects.filter(ended_at=None, claimed_until__gte=now).exists()


def _carry_out(run: RulesRun) -> None:
    def progress(done: int) -> None:
        RulesRun.objects.filter(pk=run.pk).update(done=done, claimed_until=timezone.now() + _CLAIM)

    try:
        result = _WORK[Kind(run.kind)](run, progress)
        ended: dict[str, Any] = {"state": State.DONE, "done": run.total, "result": result}
    except Exception:
        log.exception("a run of matching rules failed")
        ended = {"state": State.FAILED}
    RulesRun.objects.filter(pk=run.pk).update(**ended, ended_at=timezone.now(), claimed_until=None)


def _try(run: RulesRun, progress: Callable[[int], None]) -> dict[str, Any]:
    return _as_json(training.what_if(run.rules.name, progress))


def _adopt(run: RulesRun, progress: Callable[[int], None]) -> dict[str, Any]:
    return {"decided": training.adopt(run.rules.name, by=run.asked_by, progress=progress)}


_WORK: dict[str, Callable[[RulesRun, Callable[[int], None]], dict[str, Any]]] = {
    Kind.TRIAL: _try,
    Kind.ADOPTION: _adopt,
}


def _as_json(found: Difference) -> dict[str, Any]:
    """Counts, and chart rows (ids) of the first persons that would change; no patient data."""
    return {
        "charts": found.charts,
        "persons_now": found.persons_now,
        "persons": found.persons,
        "review_now": found.review_now,
        "review": found.review,
        "joined": len(found.joined),
        "parted": len(found.parted),
        "joined_charts": [list(each) for each in found.joined[:_EXAMPLES]],
        "parted_charts": [list(each) for each in found.parted[:_EXAMPLES]],
    }
