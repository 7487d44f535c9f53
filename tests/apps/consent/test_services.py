"""Recording, revoking, carrying wishes; deciding the policy; reviewing broken glass."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from apps.consent import queries, services
from apps.consent.models import Directive, EmergencyAccess, NetworkPolicy
from apps.pix.models import persons_joined, records_moved

pytestmark = pytest.mark.django_db

PATIENT, OTHER = "r" * 32, "s" * 32


def wish(patient=PATIENT, permits=True, **rest):
    return services.record_directive(
        patient_regional_id=patient,
        permits=permits,
        **{"legal_basis": "consent", "obtained": "written", "recorded_by": "clerk", **rest},
    )


def in_force(patient):
    return sorted(each.permits for each in queries.wishes_of([patient]).get(patient, []))


def test_a_recorded_wish_is_what_the_gate_reads():
    wish(
        recipients=["1310000002"],
        sources=("1310000001",),
        kinds={"LAB"},
        confidentiality=["R"],
        first_care_date=date(2026, 1, 1),
        last_care_date=date(2026, 12, 31),
        valid_until=date(2030, 1, 1),
    )
    (read,) = queries.wishes_of([PATIENT])[PATIENT]
    assert (read.recipients, read.sources, read.kinds) == ({"1310000002"}, {"1310000001"}, {"LAB"})
    assert (read.first_date, read.last_date, read.valid_until) == ("20260101", "20261231", date(2030, 1, 1))


@pytest.mark.parametrize(
    "wrong",
    [
        {"patient": ""},
        {"first_care_date": date(2026, 2, 1), "last_care_date": date(2026, 1, 1)},
        {"valid_from": date(2026, 2, 1), "valid_until": date(2026, 1, 1)},
        {"permits": True, "in_emergency": True},
    ],
)
def test_a_wish_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError):
        wish(**wrong)
    assert not Directive.objects.exists()


def test_revoking_keeps_the_row_and_ends_its_force():
    directive = wish()
    assert services.revoke_directive(directive.directive_id, revoked_by="clerk 2") == 1
    assert in_force(PATIENT) == []
    directive.refresh_from_db()
    assert directive.revoked_by == "clerk 2"
    assert directive.revoked_at is not None
    assert services.revoke_directive(directive.directive_id, revoked_by="clerk 3") == 0


def test_a_new_version_is_a_new_row():
    first = wish()
    second = wish(permits=False, replaces=first.directive_id)
    assert (second.directive_id, second.version) == (first.directive_id, 2)
    assert in_force(PATIENT) == [False]
    assert Directive.objects.count() == 2
    third = wish(replaces=first.directive_id)
    assert third.version == 3
    services.revoke_directive(first.directive_id, revoked_by="clerk")
    with pytest.raises(ValueError):
        wish(replaces=first.directive_id)


@pytest.mark.parametrize("delete", [lambda row: row.delete(), lambda row: Directive.objects.all().delete()])
def test_nothing_is_deleted(delete):
    row = wish()
    with pytest.raises(TypeError):
        delete(row)


def test_wishes_follow_a_person_who_is_joined_with_another():
    wish(OTHER)
    denial = wish(OTHER, permits=False)
    services.revoke_directive(wish(OTHER, permits=False).directive_id, revoked_by="clerk")
    wish(PATIENT)
    persons_joined.send(None, subsumed=OTHER, surviving=PATIENT)
    persons_joined.send(None, subsumed=OTHER, surviving=PATIENT)
    assert in_force(PATIENT) == [False, True, True]
    assert Directive.objects.filter(patient_regional_id=PATIENT, carried_from=OTHER).count() == 2
    services.revoke_directive(denial.directive_id, revoked_by="clerk")
    assert in_force(PATIENT) == [True, True]
    assert in_force(OTHER) == [True]


def test_only_denials_follow_charts_that_move_to_another_person():
    wish(PATIENT)
    wish(PATIENT, permits=False)
    records_moved.send(None, identifiers=(), previous=PATIENT, current=OTHER)
    assert in_force(OTHER) == [False]


def test_the_newest_policy_counts_and_the_old_ones_stay(settings, django_capture_on_commit_callbacks):
    settings.CONSENT_DEFAULT = "opt-in"
    assert queries.policy().opt_out is False
    with django_capture_on_commit_callbacks(execute=True):
        services.decide_policy(default_rule="opt-out", emergency_allowed=False, own_always=True, decided_by="board")
    assert (queries.policy().opt_out, queries.policy().emergency_allowed) == (True, False)
    with django_capture_on_commit_callbacks(execute=True):
        services.decide_policy(default_rule="", emergency_allowed=True, own_always=False, decided_by="board")
    assert (queries.policy().opt_out, queries.policy().own_always) == (False, False)
    assert NetworkPolicy.objects.count() == 2


def test_an_emergency_is_reviewed_once():
    row = EmergencyAccess.objects.create(
        patient_regional_id=PATIENT, node_name="n", facility_code="1", reason="x", occurred_at=datetime.now(UTC)
    )
    assert services.review_emergency(row.pk, reviewed_by="officer", finding="justified")
    assert not services.review_emergency(row.pk, reviewed_by="somebody", finding="other")
    row.refresh_from_db()
    assert (row.reviewed_by, row.finding) == ("officer", "justified")
