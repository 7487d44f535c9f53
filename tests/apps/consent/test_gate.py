"""The gate on the database: entitlement, decisions by patient, emergencies, and how many queries they take."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.consent import queries
from apps.consent.gate import decide
from apps.consent.models import Directive, EmergencyAccess, NetworkPolicy
from hie.values.access import Access, Caller, Disclosure, Node, PurposeOfUse, Subject
from hie.values.errors import ExchangeError, Reason
from hie.values.identifiers import Identifier

pytestmark = pytest.mark.django_db

CLINIC = Caller(Node("clinic", "1310000002", accesses=frozenset(Access)))
PATIENT, OTHER = "r" * 32, "s" * 32
SUBJECTS = (Subject(Identifier("1"), PATIENT), Subject(Identifier("2"), OTHER))
HOSPITAL = Disclosure("1310000001", frozenset({"LAB"}), date="20260101")
OWN = Disclosure("1310000002")


@pytest.fixture(autouse=True)
def opt_in(settings):
    settings.CONSENT_DEFAULT = "opt-in"


def directive(effect="permit", patient=PATIENT, **rest):
    return Directive.objects.create(
        patient_regional_id=patient,
        effect=effect,
        legal_basis="consent",
        obtained="written",
        recorded_by="clerk",
        recorded_at=datetime.now(UTC),
        **rest,
    )


def test_without_a_directive_opt_in_discloses_only_ones_own():
    permit = decide(CLINIC, Access.FIND, SUBJECTS)
    assert not permit.allows(PATIENT, HOSPITAL)
    assert permit.allows(PATIENT, OWN)
    assert permit.subjects == (PATIENT, OTHER)


def test_a_directive_counts_from_the_moment_it_is_recorded():
    assert not decide(CLINIC, Access.FIND, SUBJECTS).allows(PATIENT, HOSPITAL)
    directive()
    permit = decide(CLINIC, Access.FIND, SUBJECTS)
    assert permit.allows(PATIENT, HOSPITAL)
    assert not permit.allows(OTHER, HOSPITAL)
    assert permit.reveals(PATIENT, "1310000001")
    assert not permit.reveals(OTHER, "1310000001")


def test_the_network_default_comes_from_the_settings_until_the_database_says_otherwise(settings):
    settings.CONSENT_DEFAULT = "opt-out"
    assert decide(CLINIC, Access.FIND, SUBJECTS).allows(PATIENT, HOSPITAL)
    NetworkPolicy.objects.create(default_rule="opt-in", decided_at=datetime.now(UTC))
    queries.policy.forget()
    assert not decide(CLINIC, Access.FIND, SUBJECTS).allows(PATIENT, HOSPITAL)


def test_one_query_for_all_patients_and_one_for_the_policy_at_most():
    directive()
    directive("deny", OTHER)
    subjects = SUBJECTS + tuple(Subject(Identifier(str(n)), f"{n:032}") for n in range(20))
    with CaptureQueriesContext(connection) as first:
        decide(CLINIC, Access.FIND, subjects)
    with CaptureQueriesContext(connection) as second:
        decide(CLINIC, Access.RETRIEVE, subjects)
    assert (len(first), len(second)) == (2, 1)


@pytest.mark.parametrize("access", [Access.FEED, Access.SUBMIT, Access.ADMINISTER])
def test_entitlement_alone_decides_where_no_data_leave(access):
    with CaptureQueriesContext(connection) as counted:
        permit = decide(CLINIC, access, SUBJECTS)
    assert len(counted) == 0
    assert permit.access is access
    assert not permit.allows(PATIENT, OWN)


@pytest.mark.parametrize("access", list(Access))
def test_a_node_without_the_entitlement_is_refused(access):
    stranger = replace(CLINIC, node=replace(CLINIC.node, accesses=frozenset(Access) - {access}))
    with pytest.raises(ExchangeError) as refused:
        decide(stranger, access, SUBJECTS)
    assert refused.value.reason is Reason.CALLER_NOT_ENTITLED


def test_a_patient_who_is_not_known_is_closed():
    permit = decide(CLINIC, Access.FIND, (Subject(Identifier("9")),))
    assert permit.subjects == ()
    assert not permit.allows("", HOSPITAL)


def test_an_emergency_opens_and_is_listed_for_review():
    directive("deny")
    directive("deny", kinds=["PSY"], in_emergency=True)
    caller = replace(CLINIC, purpose=PurposeOfUse.EMERGENCY, reason="意識不明")
    permit = decide(caller, Access.RETRIEVE, SUBJECTS[:1])
    assert permit.allows(PATIENT, HOSPITAL)
    assert not permit.allows(PATIENT, replace(HOSPITAL, kinds=frozenset({"PSY"})))
    listed = EmergencyAccess.objects.get()
    assert (listed.patient_regional_id, listed.reason, listed.access) == (PATIENT, "意識不明", "RETRIEVE")
    assert (listed.node_name, listed.facility_code, listed.purpose) == ("clinic", "1310000002", "ETREAT")


def test_an_emergency_that_opened_nothing_is_not_listed(settings):
    settings.CONSENT_DEFAULT = "opt-out"
    decide(replace(CLINIC, purpose=PurposeOfUse.EMERGENCY, reason="x"), Access.FIND, SUBJECTS)
    assert not EmergencyAccess.objects.exists()


@pytest.mark.parametrize("purpose", [PurposeOfUse.EMERGENCY, PurposeOfUse.BREAK_GLASS])
@pytest.mark.parametrize("reason", ["", "  \n"])
def test_an_emergency_without_a_reason_is_refused(purpose, reason):
    with pytest.raises(ExchangeError) as refused:
        decide(replace(CLINIC, purpose=purpose, reason=reason), Access.FIND, SUBJECTS)
    assert refused.value.reason is Reason.CALLER_NOT_ENTITLED
    assert not EmergencyAccess.objects.exists()


def test_an_emergency_in_a_network_that_grants_none_is_refused():
    NetworkPolicy.objects.create(emergency_allowed=False, decided_at=datetime.now(UTC))
    with pytest.raises(ExchangeError) as refused:
        decide(replace(CLINIC, purpose=PurposeOfUse.BREAK_GLASS, reason="x"), Access.FIND, SUBJECTS)
    assert refused.value.reason is Reason.CALLER_NOT_ENTITLED
