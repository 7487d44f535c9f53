"""The sentences of apps/consent/rules.py as a table: wishes and a record in, shown or withheld out."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from apps.consent.rules import Policy, Wish, decide, opened_by_emergency
from hie.values.access import Disclosure

CLINIC, HOSPITAL, PHARMACY = "1310000002", "1310000001", "1340000003"
LAB = Disclosure(HOSPITAL, frozenset({"LAB", "OML-11"}), frozenset({"N"}), "20260401")
PSY = Disclosure(HOSPITAL, frozenset({"NOTE"}), frozenset({"R", "PSY"}), "20260401")
UNDATED = Disclosure(HOSPITAL, frozenset({"LAB"}))
OWN = Disclosure(CLINIC, frozenset({"LAB"}), frozenset({"N"}), "20260401")
DRUGS = Disclosure(PHARMACY, frozenset({"PRES"}), frozenset({"N"}), "20260401")

# Noon in Japan on 2026-05-10; 15:30 UTC is half past midnight of the next day in Japan.
NOON = datetime(2026, 5, 10, 3, 0, tzinfo=UTC)
AFTER_MIDNIGHT = datetime(2026, 5, 9, 15, 30, tzinfo=UTC)
BEFORE_MIDNIGHT = datetime(2026, 5, 9, 14, 30, tzinfo=UTC)

OPT_IN, OPT_OUT = Policy(), Policy(opt_out=True)
PERMIT, DENY = Wish(permits=True), Wish(permits=False)


def permit(**described):
    return Wish(permits=True, **described)


def deny(**described):
    return Wish(permits=False, **described)


one = frozenset

CASES = {
    # name: (policy, wishes, record, shown)
    "opt-in, no directive": (OPT_IN, [], LAB, False),
    "opt-out, no directive": (OPT_OUT, [], LAB, True),
    "one's own needs no directive": (OPT_IN, [], OWN, True),
    "one's own withstands a denial": (OPT_IN, [DENY], OWN, True),
    "one's own, where the policy says otherwise": (Policy(own_always=False), [], OWN, False),
    "permission of everything": (OPT_IN, [PERMIT], LAB, True),
    "denial of everything": (OPT_OUT, [DENY], LAB, False),
    "denial outweighs permission": (OPT_IN, [PERMIT, DENY], LAB, False),
    "denial outweighs permission in any order": (OPT_IN, [DENY, PERMIT], LAB, False),
    "permission to this facility": (OPT_IN, [permit(recipients=one({CLINIC}))], LAB, True),
    "permission to another facility": (OPT_IN, [permit(recipients=one({PHARMACY}))], LAB, False),
    "denial to another facility": (OPT_OUT, [deny(recipients=one({PHARMACY}))], LAB, True),
    "all but this facility": (OPT_IN, [PERMIT, deny(recipients=one({CLINIC}))], LAB, False),
    "permission of this source": (OPT_IN, [permit(sources=one({HOSPITAL}))], LAB, True),
    "permission of another source": (OPT_IN, [permit(sources=one({PHARMACY}))], LAB, False),
    "directional: A to B is not B to A": (
        OPT_IN,
        [permit(sources=one({CLINIC}), recipients=one({HOSPITAL}))],
        LAB,
        False,
    ),
    "permission of this kind": (OPT_IN, [permit(kinds=one({"LAB"}))], LAB, True),
    "permission of this kind by its type": (OPT_IN, [permit(kinds=one({"OML-11"}))], LAB, True),
    "permission of another kind": (OPT_IN, [permit(kinds=one({"PRES"}))], LAB, False),
    "denial of one kind leaves the others": (OPT_IN, [PERMIT, deny(kinds=one({"NOTE"}))], LAB, True),
    "denial of one kind": (OPT_IN, [PERMIT, deny(kinds=one({"NOTE"}))], PSY, False),
    "denial by confidentiality": (OPT_IN, [PERMIT, deny(confidentiality=one({"PSY"}))], PSY, False),
    "denial by confidentiality, another record": (OPT_IN, [PERMIT, deny(confidentiality=one({"PSY"}))], LAB, True),
    "care inside the period": (OPT_IN, [permit(first_date="20260401", last_date="20260401")], LAB, True),
    "care before the period": (OPT_IN, [permit(first_date="20260402")], LAB, False),
    "care after the period": (OPT_IN, [permit(last_date="20260331")], LAB, False),
    "a record without a date is in no period": (OPT_IN, [permit(first_date="19000101")], UNDATED, False),
    "first day of validity": (OPT_IN, [permit(valid_from=date(2026, 5, 10))], LAB, True),
    "last day of validity": (OPT_IN, [permit(valid_until=date(2026, 5, 10))], LAB, True),
    "the day before validity": (OPT_IN, [permit(valid_from=date(2026, 5, 11))], LAB, False),
    "the day after validity": (OPT_IN, [permit(valid_until=date(2026, 5, 9))], LAB, False),
    "a denial that is over": (OPT_OUT, [deny(valid_until=date(2026, 5, 9))], LAB, True),
    "every part has to match": (OPT_IN, [permit(sources=one({HOSPITAL}), kinds=one({"PRES"}))], LAB, False),
    "source and kind, another source": (OPT_IN, [permit(sources=one({HOSPITAL}), kinds=one({"PRES"}))], DRUGS, False),
}


@pytest.mark.parametrize("case", CASES)
def test_ordinary_access(case):
    policy, wishes, record, shown = CASES[case]
    decision = decide(policy, wishes, facility_code=CLINIC, emergency=False, now=NOON)
    assert decision.allows(record) is shown
    assert not decision.emergency


EMERGENCIES = {
    # name: (policy, wishes, record, shown, has to be reviewed)
    "opens without a directive": (OPT_IN, [], LAB, True, True),
    "lifts a denial": (OPT_OUT, [DENY], LAB, True, True),
    "does not lift a denial that is meant to hold": (OPT_IN, [deny(in_emergency=True)], LAB, False, True),
    "holds only what it describes": (OPT_IN, [deny(kinds=one({"NOTE"}), in_emergency=True)], LAB, True, True),
    "opens nothing in an open network": (OPT_OUT, [], LAB, True, False),
    "a lasting denial alone opens nothing": (OPT_OUT, [deny(in_emergency=True)], LAB, False, False),
    "not in a network that grants none": (Policy(emergency_allowed=False), [], LAB, False, False),
}


@pytest.mark.parametrize("case", EMERGENCIES)
def test_emergency_access(case):
    policy, wishes, record, shown, reviewed = EMERGENCIES[case]
    decision = decide(policy, wishes, facility_code=CLINIC, emergency=True, now=NOON)
    assert decision.allows(record) is shown
    assert opened_by_emergency(decision) is reviewed


@pytest.mark.parametrize(("now", "shown"), [(BEFORE_MIDNIGHT, False), (AFTER_MIDNIGHT, True)])
def test_days_change_at_midnight_in_japan(now, shown):
    wishes = [permit(valid_from=date(2026, 5, 10))]
    assert decide(OPT_IN, wishes, facility_code=CLINIC, emergency=False, now=now).allows(LAB) is shown


REVEALED = {
    # name: (policy, wishes, emergency, facility, revealed)
    "nothing is permitted": (OPT_IN, [], False, HOSPITAL, False),
    "one's own": (OPT_IN, [DENY], False, CLINIC, True),
    "open network": (OPT_OUT, [], False, HOSPITAL, True),
    "everything is denied": (OPT_OUT, [DENY], False, HOSPITAL, False),
    "this facility is denied": (OPT_OUT, [deny(sources=one({HOSPITAL}))], False, HOSPITAL, False),
    "another facility is denied": (OPT_OUT, [deny(sources=one({PHARMACY}))], False, HOSPITAL, True),
    "some of it is denied": (OPT_OUT, [deny(kinds=one({"NOTE"}))], False, HOSPITAL, True),
    "one kind of it is permitted": (OPT_IN, [permit(kinds=one({"LAB"}))], False, HOSPITAL, True),
    "what is permitted of it is denied": (
        OPT_IN,
        [permit(kinds=one({"LAB"})), deny(kinds=one({"LAB", "NOTE"}))],
        False,
        HOSPITAL,
        False,
    ),
    "what is permitted is denied for a part": (
        OPT_IN,
        [permit(kinds=one({"LAB", "NOTE"})), deny(kinds=one({"NOTE"}))],
        False,
        HOSPITAL,
        True,
    ),
    "permitted period inside the denied one": (
        OPT_IN,
        [permit(first_date="20260401", last_date="20260430"), deny(first_date="20260101")],
        False,
        HOSPITAL,
        False,
    ),
    "permitted period longer than the denied one": (
        OPT_IN,
        [permit(first_date="20260401"), deny(first_date="20260101", last_date="20260601")],
        False,
        HOSPITAL,
        True,
    ),
    "another facility is permitted": (OPT_IN, [permit(sources=one({PHARMACY}))], False, HOSPITAL, False),
    "emergency": (OPT_IN, [DENY], True, HOSPITAL, True),
    "emergency with a denial that holds": (OPT_IN, [deny(in_emergency=True)], True, HOSPITAL, False),
}


@pytest.mark.parametrize("case", REVEALED)
def test_which_facilities_an_answer_of_pix_reveals(case):
    policy, wishes, emergency, facility, revealed = REVEALED[case]
    decision = decide(policy, wishes, facility_code=CLINIC, emergency=emergency, now=NOON)
    assert decision.reveals(facility) is revealed
