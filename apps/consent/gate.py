"""The gate: may this caller do this, and what may it see of these patients? Asked for every transaction.

Feeding and submitting are granted by the node's entitlement; that a facility speaks only of its own patients is
checked where the assigning authority is known, in ``apps.pix`` and ``apps.xds``. Identifying, finding and retrieving
are decided patient by patient from directives and the network's policy (``apps.consent.rules``). Documents of a person
whom the identity source of the affinity domain has not told of yet are closed to everybody, their own facility too: who
is no patient of the registry has no documents in it (decision 0046).

Cost: one indexed query for the directives of all patients of the message, and at most one for the policy, which is
kept for five seconds; one INSERT more where an emergency opened something.
"""

from __future__ import annotations

from datetime import UTC, datetime

from apps.consent import rules
from apps.consent.models import EmergencyAccess
from apps.consent.queries import policy, wishes_of
from apps.ids.models import is_provisional
from hie.values.access import Access, Caller, Decision, Permit, Subject
from hie.values.errors import ExchangeError, Reason

_DECIDED_BY_PATIENT = frozenset({Access.IDENTIFY, Access.FIND, Access.RETRIEVE})


def decide(caller: Caller, access: Access, subjects: tuple[Subject, ...]) -> Permit:
    """Grant, grant in part, or refuse.

    The permit holds a decision for each patient whose regional ID is known; any other patient is closed. What is
    withheld is not said. Raises ExchangeError(CALLER_NOT_ENTITLED) where the node may not ask this at all, or asks
    in an emergency without a reason or against the network's policy.
    """
    entitle(caller, access)
    regional_ids = tuple(dict.fromkeys(subject.regional_id for subject in subjects if subject.regional_id))
    if access not in _DECIDED_BY_PATIENT:
        return Permit(caller, access, regional_ids)
    _check_emergency(caller)
    decisions = _decisions(caller, _patients_of_the_registry(access, regional_ids))
    _record_emergency(caller, access, decisions)
    return Permit(caller, access, regional_ids, decisions)


def _patients_of_the_registry(access: Access, regional_ids: tuple[str, ...]) -> tuple[str, ...]:
    """Without those who have a provisional id only, where documents are asked for."""
    if access is Access.IDENTIFY:
        return regional_ids
    return tuple(each for each in regional_ids if not is_provisional(each))


def entitle(caller: Caller, access: Access) -> None:
    """Refuse a system that may not ask this at all, before anything is looked up for it.

    Raises ExchangeError(CALLER_NOT_ENTITLED).
    """
    if access not in caller.node.accesses:
        raise ExchangeError(
            Reason.CALLER_NOT_ENTITLED,
            f"This system is not entitled to {access.value}; ask the network's administrator.",
        )


def _check_emergency(caller: Caller) -> None:
    if not caller.purpose.emergency:
        return
    if not policy().emergency_allowed:
        raise ExchangeError(Reason.CALLER_NOT_ENTITLED, "This network grants no emergency access.")
    if not caller.reason.strip():
        raise ExchangeError(Reason.CALLER_NOT_ENTITLED, "An emergency access needs a reason in words.")


def _decisions(caller: Caller, regional_ids: tuple[str, ...]) -> dict[str, Decision]:
    if not regional_ids:
        return {}
    network_policy = policy()
    wishes = wishes_of(regional_ids)
    now = datetime.now(UTC)
    return {
        regional_id: rules.decide(
            network_policy,
            wishes.get(regional_id, ()),
            facility_code=caller.node.facility_code,
            emergency=caller.purpose.emergency,
            now=now,
        )
        for regional_id in regional_ids
    }


def _record_emergency(caller: Caller, access: Access, decisions: dict[str, Decision]) -> None:
    """List for review what the emergency opened. Where that cannot be kept, nothing is opened: the error propagates."""
    opened = [regional_id for regional_id, decision in decisions.items() if rules.opened_by_emergency(decision)]
    if not opened:
        return
    now = datetime.now(UTC)
    EmergencyAccess.objects.bulk_create(
        EmergencyAccess(
            patient_regional_id=regional_id,
            node_name=caller.node.name,
            facility_code=caller.node.facility_code,
            person_user_id=caller.person.user_id,
            person_name=caller.person.name,
            purpose=caller.purpose.value,
            access=access.name,
            reason=caller.reason,
            occurred_at=now,
        )
        for regional_id in opened
    )
