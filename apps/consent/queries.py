"""What the gate reads: the wishes of patients in one indexed query, and the network's policy."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from typing import Any

from django.conf import settings

from apps.consent.models import DefaultRule, Effect, NetworkPolicy
from apps.consent.rules import Policy, Wish
from hie.exchange import rows
from hie.exchange.remembered import remembered

POLICY_SECONDS = 5.0

_COLUMNS = (
    "patient_regional_id",
    "effect",
    "recipients",
    "sources",
    "kinds",
    "confidentiality",
    "first_care_date",
    "last_care_date",
    "valid_from",
    "valid_until",
    "in_emergency",
)
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM consent_directive WHERE revoked_at IS NULL AND patient_regional_id IN "  # noqa: S608


def wishes_of(regional_ids: Iterable[str]) -> dict[str, list[Wish]]:
    """The wishes not revoked, by regional ID; one query for all patients.

    Never cached: a directive counts from the moment it is committed, in every process. Plain SQL, because every
    disclosing message asks it and building the query would cost ten times what answering it does.
    """
    wanted = list(dict.fromkeys(regional_ids))
    wishes: dict[str, list[Wish]] = defaultdict(list)
    for row in rows.fetch(f"{_SELECT} ({', '.join(['%s'] * len(wanted))})", wanted):
        wishes[row[0]].append(_wish(*row[1:]))
    return wishes


@remembered(POLICY_SECONDS)
def policy() -> Policy:
    """The network's policy: its newest row, else the settings. At most five seconds old."""
    row = NetworkPolicy.objects.order_by("-id").first()
    default = (row.default_rule if row else "") or settings.CONSENT_DEFAULT
    return Policy(
        opt_out=default == DefaultRule.OPT_OUT,
        emergency_allowed=row.emergency_allowed if row else True,
        own_always=row.own_always if row else True,
    )


def _wish(
    effect: str,
    recipients: str,
    sources: str,
    kinds: str,
    confidentiality: str,
    first_care_date: date | None,
    last_care_date: date | None,
    valid_from: date | None,
    valid_until: date | None,
    in_emergency: bool,
) -> Wish:
    return Wish(
        permits=effect == Effect.PERMIT,
        recipients=_set(recipients),
        sources=_set(sources),
        kinds=_set(kinds),
        confidentiality=_set(confidentiality),
        first_date=_day(first_care_date),
        last_date=_day(last_care_date),
        valid_from=valid_from,
        valid_until=valid_until,
        in_emergency=in_emergency,
    )


def _set(written: str) -> frozenset[str]:
    """A JSON list as the database keeps it; on both vendors the cursor answers with its text."""
    return frozenset() if written == "[]" else frozenset(json.loads(written))


def _day(day: Any) -> str:
    return day.strftime("%Y%m%d") if day else ""
