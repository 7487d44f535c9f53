"""Consent as sentences: which directives are in force, and what they let one caller see of one patient.

1. A facility sees its own records; no directive withholds them from it, unless the network's policy says otherwise.
2. Without a directive the network's default decides: opt-in discloses nothing, opt-out everything.
3. A directive speaks to the facilities it names as recipients; naming none, it speaks to all.
4. A directive speaks of the records it describes: of these source facilities, kinds, confidentiality codes and
   dates of care; a description left out describes every record.
5. A permission opens what it describes. A denial closes what it describes, whatever permits it: denial outweighs.
6. In an emergency everything is open, except what a denial closes that the patient wants to hold even then.
7. A directive is in force from its first day to its last day, both included, in Japan Standard Time, until it is
   revoked; a revocation takes effect at once.

No framework here: values in, ``hie.values.access.Decision`` out. Sources: issue "consent", facts of practice in Japan
(opt-in written consent, facility and person level, effect of withdrawal), IHE BPPC.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from hie.values.access import Decision, Rule
from hie.values.times import JST


@dataclass(frozen=True, slots=True)
class Policy:
    """What the network decided for all: disclose without a directive? emergencies? a facility's own records?"""

    opt_out: bool = False
    emergency_allowed: bool = True
    own_always: bool = True


@dataclass(frozen=True, slots=True)
class Wish:
    """One directive as a rule reads it. Empty sets and None stand for "all" and "open".

    first_date, last_date: of the care, ``YYYYMMDD`` or "". valid_from, valid_until: days in Japan.
    """

    permits: bool
    recipients: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()
    confidentiality: frozenset[str] = frozenset()
    first_date: str = ""
    last_date: str = ""
    valid_from: date | None = None
    valid_until: date | None = None
    in_emergency: bool = False


def decide(policy: Policy, wishes: Iterable[Wish], *, facility_code: str, emergency: bool, now: datetime) -> Decision:
    """What the facility may see of the patient who has these wishes. now: an aware moment.

    emergency: the caller asks with an emergency purpose; whether the network grants that at all is the gate's question.
    """
    return Decision(
        default=policy.opt_out,
        rules=_rules(wishes, now.astimezone(JST).date(), facility_code) if wishes else (),
        own_facility=facility_code if policy.own_always else "",
        emergency=emergency and policy.emergency_allowed,
    )


def _rules(wishes: Iterable[Wish], today: date, facility_code: str) -> tuple[Rule, ...]:
    return tuple(_rule(wish) for wish in wishes if in_force(wish, today) and speaks_to(wish, facility_code))


def in_force(wish: Wish, today: date) -> bool:
    """Whether the wish is valid on this day in Japan."""
    return (wish.valid_from is None or wish.valid_from <= today) and (
        wish.valid_until is None or today <= wish.valid_until
    )


def speaks_to(wish: Wish, facility_code: str) -> bool:
    """Whether the wish is about disclosure to this facility."""
    return not wish.recipients or facility_code in wish.recipients


def opened_by_emergency(decision: Decision) -> bool:
    """Whether the emergency opens anything that would be closed without it: the access is then to be reviewed."""
    if not decision.emergency:
        return False
    return not decision.default or any(not rule.permits and not rule.in_emergency for rule in decision.rules)


def _rule(wish: Wish) -> Rule:
    return Rule(
        permits=wish.permits,
        facilities=wish.sources,
        kinds=wish.kinds,
        confidentiality=wish.confidentiality,
        first_date=wish.first_date,
        last_date=wish.last_date,
        in_emergency=wish.in_emergency,
    )
