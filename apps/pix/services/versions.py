"""The versions of the matching rules: which one is in force, and how another one comes to be."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from django.db import transaction

from apps.pix import matching
from apps.pix.matching import Chart, Decision, Outcome, RuleVersion, Scorer
from apps.pix.models import MatchRules
from hie.exchange.rows import fetch

_IN_FORCE = "SELECT id, name FROM pix_matchrules WHERE in_force"
# Versions never change, so a scorer once made is right for good. There are few of them.
_scorers: dict[tuple[int, str], Scorer] = {}


def in_force() -> Scorer:
    """The version by which charts are decided now; the shipped one where none was adopted yet."""
    found = fetch(_IN_FORCE, [])
    if not found:
        row = load_defaults()
        return _scorer(row.pk, row.name)
    return _scorer(*found[0])


def scorer_of(name: str) -> Scorer:
    """The version with this name. Raises MatchRules.DoesNotExist."""
    return _scorer(MatchRules.objects.only("pk").get(name=name).pk, name)


# A pair of whom nothing is known besides name, birth date and sex is for a clerk, unless all of it is equal (below).
DEFAULT = replace(matching.SHIPPED, hard_rules=matching.SHIPPED.hard_rules | {"bare name"})


def with_name_and_birth(decision: Decision, one: Chart, other: Chart) -> Decision:
    """The decision, raised to a link where it waits only because no more is known than what is all equal (0030)."""
    rule = matching.NAME_AND_BIRTH
    if decision.verdict.rule != "bare name" or set(rule.keys(one)).isdisjoint(rule.keys(other)):
        return decision
    return replace(decision, verdict=replace(decision.verdict, outcome=Outcome.LINK, rule=rule.name))


def load_defaults(now: datetime | None = None) -> MatchRules:
    """Keep the shipped version where it is missing, and put it in force where none is; returns the one in force."""
    with transaction.atomic():
        shipped, _ = MatchRules.objects.get_or_create(
            name=DEFAULT.name, defaults={"rules": DEFAULT.as_json(), "note": "shipped"}
        )
        row = MatchRules.objects.filter(in_force=True).first()
        if row is None:
            MatchRules.objects.filter(pk=shipped.pk).update(in_force=True, adopted_at=now)
            shipped.in_force = True
    return row or shipped


def _scorer(pk: int, name: str) -> Scorer:
    if (pk, name) not in _scorers:
        _scorers[pk, name] = Scorer(RuleVersion.from_json(MatchRules.objects.get(pk=pk).rules))
    return _scorers[pk, name]
