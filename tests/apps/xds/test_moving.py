"""A link of charts is undone: documents, wishes and subscriptions are where they were before it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from apps.consent import queries as consent
from apps.consent.models import Directive
from apps.consent.services import record_directive, revoke_directive
from apps.network.models import Facility
from apps.pix import services
from apps.pix.models import LocalIdentifier
from apps.xds import models
from apps.xds.services import register
from hie.values.people import Demographics
from hie.values.subscriptions import FULL_DOCUMENT_ENTRY
from tests.apps.pix.told import CLINIC, HOSPITAL, OIDS, link, merge, open_facilities, rename, somebody, tell
from tests.apps.xds.samples import cx, entry, new_oid, submission
from tests.apps.xds.test_subscriptions import ENTRIES

pytestmark = pytest.mark.django_db
OTHER = somebody("鈴木 花子", "スズキ ハナコ", "19500101", "F")


@pytest.fixture(autouse=True)
def two_persons(db: None) -> None:
    """Somebody at the hospital (1), somebody else at the clinic (2)."""
    open_facilities()
    tell(HOSPITAL, "1")
    tell(CLINIC, "2", told=OTHER)


def row(value: str) -> LocalIdentifier:
    return LocalIdentifier.objects.select_related("person").get(value=value)


def regional(value: str) -> str:
    return str(row(value).person.regional_id)


def filed(value: str, facility: str, number: str = "") -> str:
    """A document that a facility registers of its chart; number: as it writes it. Its unique id."""
    unique_id = new_oid()
    source = f"{number or value}^^^&{OIDS[facility]}&ISO"
    told = submission(regional(value), entry(regional(value), unique_id=unique_id, source_patient_id=source))
    register(told, facility_code=facility)
    return unique_id


def owner(unique_id: str) -> str:
    return str(models.DocumentEntry.objects.get(unique_id=unique_id).patient_id)


def link_and_part(chart: str = "2") -> None:
    """The wrong link of a clerk, and its end."""
    services.link(row("1"), row(chart), by="clerk")
    assert regional("1") == regional(chart)
    services.part(row(chart).pk, by="clerk", reason="they are two")
    assert regional("1") != regional(chart)


# --- documents


def test_documents_of_a_chart_that_was_merged_before_go_along() -> None:
    tell(CLINIC, "3", told=OTHER)
    document = filed("3", CLINIC)
    merge(CLINIC, subsumed="3", surviving="2")
    stays = filed("1", HOSPITAL)
    link_and_part()
    assert (owner(document), owner(stays)) == (regional("2"), regional("1"))


def test_documents_under_a_number_of_before_go_along() -> None:
    document = filed("2", CLINIC)
    rename(CLINIC, old="2", new="200")
    link_and_part("200")
    assert owner(document) == regional("200")


def test_a_number_that_was_given_to_somebody_else_is_theirs() -> None:
    rename(CLINIC, old="2", new="200")
    tell(CLINIC, "2")  # the clinic had mistyped the number of somebody who is the hospital's patient, too
    assert regional("2") == regional("1")
    document = filed("2", CLINIC)
    link_and_part("200")
    assert owner(document) == regional("1")


def test_documents_go_along_however_the_number_is_spelled() -> None:
    clinic = Facility.objects.get(code=CLINIC)
    clinic.patient_id_strip_zeros = True
    clinic.save()
    document = filed("2", CLINIC, "0002")
    link_and_part()
    assert owner(document) == regional("2")


# --- wishes


def wish(value: str, permits: bool = True) -> Directive:
    return record_directive(
        patient_regional_id=regional(value), permits=permits, legal_basis="consent", obtained="written", recorded_by="c"
    )


def wishes(value: str) -> list[bool]:
    return sorted(each.permits for each in consent.wishes_of([regional(value)]).get(regional(value), []))


def test_a_permission_goes_back_with_whom_gave_it() -> None:
    wish("2")
    link_and_part()
    assert (wishes("1"), wishes("2")) == ([], [True])


def test_whose_charts_did_not_move_keeps_the_wish_alone() -> None:
    wish("1")
    wish("1", permits=False)
    link_and_part()
    assert (wishes("1"), wishes("2")) == ([False, True], [])


def test_what_was_said_while_they_were_one_nobody_can_tell() -> None:
    services.link(row("1"), row("2"), by="clerk")
    wish("1")
    wish("1", permits=False)
    services.part(row("2").pk, by="clerk", reason="they are two")
    assert (wishes("1"), wishes("2")) == ([False, True], [False])


def test_a_wish_comes_and_goes_as_often_as_the_link() -> None:
    given = wish("2")
    link_and_part()
    link_and_part()
    assert (wishes("1"), wishes("2")) == ([], [True])
    services.link(row("1"), row("2"), by="clerk")
    assert wishes("1") == [True]
    assert revoke_directive(given.directive_id, revoked_by="clerk") > 0
    services.part(row("2").pk, by="clerk", reason="they are two")
    assert (wishes("1"), wishes("2")) == ([], [])


def test_a_permission_of_charts_that_went_two_ways_is_nobodys() -> None:
    tell(CLINIC, "3", told=Demographics())
    link(CLINIC, "2", "3")
    wish("2")
    wish("2", permits=False)
    services.link(row("1"), row("2"), by="clerk")
    link(CLINIC, "2", "3", undo=True)  # 3 leaves: whose wish it was nobody can tell
    assert (wishes("1"), wishes("3")) == ([False, True], [False])
    services.part(row("2").pk, by="clerk", reason="they are two")
    assert (wishes("1"), wishes("2")) == ([], [False])


def test_a_wish_outlives_a_new_regional_id() -> None:
    wish("2")
    services.reissue(regional("2"), reason="seen by others", by="clerk")
    link_and_part()
    assert (wishes("1"), wishes("2")) == ([], [True])


# --- subscriptions


def subscribed(value: str, *others: str) -> models.Subscription:
    named = [regional(each) for each in (value, *others)]
    made = models.Subscription.objects.create(
        reference=new_oid(),
        node_name="clinic",
        facility_code=CLINIC,
        consumer="http://127.0.0.1/",
        topic=FULL_DOCUMENT_ENTRY,
        query_id=ENTRIES,
        query={"$XDSDocumentEntryPatientId": [[cx(each) for each in named]]},
    )
    for each in named:
        made.patients.create(patient_id=each)
    return made


def told_of(subscription: models.Subscription) -> set[str]:
    return set(subscription.patients.values_list("patient_id", flat=True))


def test_subscriptions_go_back_with_whom_they_named() -> None:
    first, second, both = subscribed("1"), subscribed("2"), subscribed("1", "2")
    link_and_part()
    assert told_of(first) == {regional("1")}
    assert told_of(second) == {regional("2")}
    assert told_of(both) == {regional("1"), regional("2")}


def test_a_subscription_made_while_they_were_one_is_of_both() -> None:
    services.link(row("1"), row("2"), by="clerk")
    made = subscribed("1")
    assert made.created_at <= datetime.now(UTC)
    services.part(row("2").pk, by="clerk", reason="they are two")
    assert told_of(made) == {regional("1"), regional("2")}
