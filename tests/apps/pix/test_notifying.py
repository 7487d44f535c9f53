"""Who is told of changed links: what is written down, what is sent, and what a consumer that is away costs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import transaction
from django.utils import timezone

from apps.atna.models import AuditRecord
from apps.network.models import Node
from apps.network.services import add_node
from apps.pix import outbox, queries, services
from apps.pix.models import Notification, Person, Subscription
from apps.pix.services import notifying
from hie.values.demographics_queries import LinkChange, UpdateNotification
from hie.values.errors import ExchangeError, Reason
from hie.values.identifiers import AssigningAuthority, Identifier
from tests.apps.pix.told import CLINIC, HOSPITAL, OIDS, PHARMACY, merge, rename, somebody, tell

pytestmark = pytest.mark.usefixtures("facilities")


class Peer:
    """Takes what is sent, or refuses it."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.error: Exception | None = None
        self.before: Any = None

    def __call__(self, message: Any) -> None:
        if self.before is not None:
            before, self.before = self.before, None
            before()
        if self.error is not None:
            raise self.error
        self.told.append(message)


@pytest.fixture
def peer(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[Peer]:
    settings.CONSENT_DEFAULT = "opt-out"
    peer = Peer()
    monkeypatch.setattr(notifying, "_sender", lambda subscription, opened: peer)
    return peer


def subscribe(kind: str = "ITI-10", *domains: str, facility: str = PHARMACY) -> Subscription:
    name = f"consumer-{facility}"
    if not Node.objects.filter(name=name).exists():
        add_node(facility_code=facility, name=name)
    row = Subscription.objects.create(
        node=Node.objects.get(name=name),
        kind=kind,
        address="mllp://127.0.0.1:1",
        domains=[OIDS.get(each, each) for each in domains],
    )
    outbox.forget_wishes()
    return row


def values(message: UpdateNotification) -> list[str]:
    return [each.value for each in message.identifiers]


def test_nothing_is_written_where_nobody_listens(django_assert_max_num_queries: Any) -> None:
    tell(HOSPITAL, "1")
    tell(CLINIC, "2")
    assert not Notification.objects.exists()


def test_a_link_is_told_with_all_identifiers(peer: Peer) -> None:
    subscribe()
    regional = tell(HOSPITAL, "1").regional_id
    tell(CLINIC, "2")
    assert services.send_due() == 1
    assert [values(each) for each in peer.told] == [[regional, "1", "2"]]
    assert services.send_due() == 0


def test_a_single_new_chart_is_told(peer: Peer) -> None:
    subscribe("ITI-10", HOSPITAL)
    tell(HOSPITAL, "1")
    tell(CLINIC, "2", told=somebody(birth_date="19990101"))
    services.send_due()
    assert [values(each) for each in peer.told] == [["1"]]
    tell(HOSPITAL, "1", told=somebody(telephones=("03-1234-5678",)))
    assert services.send_due() == 0  # no identifier changed


@pytest.mark.parametrize(
    "address", ["mllp://127.0.0.1:99999", "mllp://[::1", "mllps://" + "a" * 64 + ".example:1", "mllps://a..b:1"]
)
def test_an_address_that_is_none_holds_up_nobody_else(settings: Any, address: str) -> None:
    settings.CONSENT_DEFAULT = "opt-out"
    wrong = subscribe()
    Subscription.objects.filter(pk=wrong.pk).update(address=address)
    other = subscribe(facility=CLINIC)
    tell(HOSPITAL, "1")
    assert services.send_due() == 0
    for row in (wrong, other):
        row.refresh_from_db()
        assert (row.failures, bool(row.last_problem)) == (1, True)
    assert AuditRecord.objects.filter(transaction="ITI-10", outcome=8).count() == 2


def test_only_domains_of_interest_are_told(peer: Peer) -> None:
    subscribe("ITI-10", HOSPITAL, CLINIC)
    tell(HOSPITAL, "1")
    tell(CLINIC, "2")
    tell(PHARMACY, "3")
    services.send_due()
    assert [values(each) for each in peer.told] == [["1", "2"]]


def test_a_broken_link_is_told_for_each_group(peer: Peer) -> None:
    subscribe("ITI-10", HOSPITAL, CLINIC)
    tell(HOSPITAL, "1")
    tell(CLINIC, "2")
    services.send_due()
    tell(CLINIC, "2", told=somebody(birth_date="19990101"))
    services.send_due()
    assert sorted(values(each) for each in peer.told[1:]) == [["1"], ["2"]]


def test_what_consent_hides_is_not_told(peer: Peer, settings: Any) -> None:
    settings.CONSENT_DEFAULT = "opt-in"
    subscribe(facility=CLINIC)
    tell(HOSPITAL, "1")
    regional = tell(CLINIC, "2").regional_id
    services.send_due()
    assert [values(each) for each in peer.told] == [[regional, "2"]]


def test_who_may_see_nothing_is_told_nothing(peer: Peer, settings: Any) -> None:
    settings.CONSENT_DEFAULT = "opt-in"
    subscribe(facility=PHARMACY)
    tell(HOSPITAL, "1")
    tell(CLINIC, "2")
    services.send_due()
    assert peer.told == []
    assert set(Notification.objects.values_list("state", flat=True)) == {"nothing"}
    assert not AuditRecord.objects.filter(transaction="ITI-10").exists()


def test_a_change_that_is_undone_leaves_nothing_to_tell() -> None:
    tell(HOSPITAL, "1")
    subscribe()
    with transaction.atomic():
        tell(CLINIC, "2")
        assert Notification.objects.exists()
        transaction.set_rollback(True)
    assert not Notification.objects.exists()


def test_several_changes_before_the_first_message_are_one(peer: Peer) -> None:
    subscribe()
    tell(HOSPITAL, "1")
    for number in range(2, 6):
        tell(CLINIC, str(number))
    assert Notification.objects.count() == 1
    services.send_due()
    assert values(peer.told[0])[1:] == ["1", "2", "3", "4", "5"]


def test_a_change_while_it_is_being_sent_is_told_again(peer: Peer) -> None:
    subscribe()
    tell(HOSPITAL, "1")
    tell(CLINIC, "2")
    peer.before = lambda: tell(PHARMACY, "3")
    services.send_due()
    assert [values(each)[1:] for each in peer.told] == [["1", "2"], ["1", "2", "3"]]


def test_messages_wait_in_order_until_they_are_acknowledged(peer: Peer) -> None:
    row = subscribe("ITI-10", HOSPITAL, CLINIC)
    for number in range(3):
        tell(HOSPITAL, f"h{number}", told=somebody(birth_date=f"1950010{number + 1}"))
        tell(CLINIC, f"c{number}", told=somebody(birth_date=f"1950010{number + 1}"))
    peer.error = ConnectionRefusedError("nobody there")
    assert services.send_due() == 0
    ids = list(Notification.objects.order_by("id").values_list("message_id", flat=True))
    row.refresh_from_db()
    assert (row.failures, row.next_attempt_at > timezone.now()) == (1, True)
    assert list(Notification.objects.order_by("id").values_list("attempts", flat=True)) == [1, 0, 0]
    peer.error = None
    assert services.send_due() == 0  # it rests
    assert services.send_due(timezone.now() + timedelta(hours=1)) == 3
    assert [values(each) for each in peer.told] == [[f"h{n}", f"c{n}"] for n in range(3)]
    assert [each.message_id for each in peer.told] == [each.replace("-", "")[:20] for each in ids]
    row.refresh_from_db()
    assert (row.failures, row.last_problem) == (0, "")


@pytest.mark.parametrize(
    "error", [OSError("down"), ExchangeError(Reason.UNKNOWN_KEY, "not known"), TimeoutError("slow")]
)
def test_every_attempt_is_recorded(peer: Peer, error: Exception) -> None:
    subscribe("ITI-10", HOSPITAL, CLINIC)
    tell(HOSPITAL, "1")
    tell(CLINIC, "2")
    peer.error = error
    services.send_due()
    peer.error = None
    services.send_due(timezone.now() + timedelta(hours=1))
    records = AuditRecord.objects.filter(transaction="ITI-10").order_by("id")
    assert [(each.event_id, each.action, each.outcome) for each in records] == [("110110", "R", 8), ("110110", "R", 0)]
    assert bytes(records[1].message).count(b'ParticipantObjectTypeCodeRole="1"') == 2


def test_the_rest_grows_and_ends_at_an_hour() -> None:
    rests = [notifying.rest_after(count).total_seconds() for count in (1, 2, 3, 10, 1000)]
    assert rests == [10, 20, 40, 3600, 3600]


def test_a_tick_costs_one_statement_however_much_waits(peer: Peer, django_assert_num_queries: Any) -> None:
    subscribe("ITI-10", HOSPITAL, CLINIC)
    for number in range(5):
        tell(HOSPITAL, f"h{number}", told=somebody(birth_date=f"1950010{number + 1}"))
        tell(CLINIC, f"c{number}", told=somebody(birth_date=f"1950010{number + 1}"))
    peer.error = OSError()
    services.send_due()
    with django_assert_num_queries(1):
        assert services.send_due() == 0


def test_two_workers_do_not_send_for_one_subscription(peer: Peer) -> None:
    row = subscribe()
    tell(HOSPITAL, "1")
    tell(CLINIC, "2")
    now = timezone.now()
    assert outbox.claim(row.pk, now, timedelta(minutes=1))
    assert not outbox.claim(row.pk, now, timedelta(minutes=1))
    assert outbox.due(now) == []
    assert outbox.due(now + timedelta(minutes=2)) == [row.pk]  # whoever held it died


def test_an_administrator_retries_or_gives_up(peer: Peer) -> None:
    row = subscribe()
    tell(HOSPITAL, "1")
    tell(CLINIC, "2")
    peer.error = OSError()
    services.send_due()
    services.retry_now([row.pk])
    peer.error = None
    assert services.send_due() == 1
    tell(PHARMACY, "3")
    assert services.give_up(Notification.objects.values_list("pk", flat=True)) == 1
    assert services.send_due() == 0


def test_what_was_told_is_forgotten_after_a_month(peer: Peer) -> None:
    subscribe()
    tell(HOSPITAL, "1")
    tell(CLINIC, "2")
    services.send_due()
    assert services.forget_told() == 0
    assert services.forget_told(timezone.now() + timedelta(days=31)) == 1


# --- ITI-64


def changes(peer: Peer) -> list[tuple[str, str, str, str]]:
    """(new regional id, previous one, local id, subsumed local id)."""
    found: list[LinkChange] = peer.told
    return [
        (
            each.regional_id.value,
            each.previous_regional_id.value,
            each.local_identifier.value,
            each.subsumed_local_identifier.value if each.subsumed_local_identifier else "",
        )
        for each in found
    ]


def test_a_registry_learns_where_documents_go(peer: Peer) -> None:
    subscribe("ITI-64")
    first = tell(HOSPITAL, "1").regional_id
    second = tell(CLINIC, "2", told=somebody(birth_date="19990101")).regional_id
    tell(CLINIC, "2")
    services.send_due()
    assert changes(peer) == [(first, second, "2", "")]
    tell(CLINIC, "2", told=somebody(birth_date="19880101"))
    third = queries.regional_id_of(Identifier("2", AssigningAuthority(OIDS[CLINIC])))
    services.send_due()
    assert changes(peer)[1:] == [(third, first, "2", "")]


def test_a_merge_names_both_local_numbers(peer: Peer) -> None:
    subscribe("ITI-64")
    first = tell(HOSPITAL, "1").regional_id
    second = tell(HOSPITAL, "9", told=somebody(birth_date="19990101")).regional_id
    merge(HOSPITAL, subsumed="9", surviving="1")
    services.send_due()
    assert changes(peer) == [(first, second, "1", "9")]


def test_a_renamed_chart_names_its_old_number(peer: Peer) -> None:
    subscribe("ITI-64")
    first = tell(HOSPITAL, "1").regional_id
    rename(HOSPITAL, old="1", new="7")
    services.send_due()
    assert changes(peer) == [(first, first, "7", "1")]


def test_the_record_of_a_link_change_names_both_patients(peer: Peer) -> None:
    subscribe("ITI-64")
    tell(HOSPITAL, "1")
    tell(CLINIC, "2", told=somebody(birth_date="19990101"))
    tell(CLINIC, "2")
    services.send_due()
    (record,) = AuditRecord.objects.filter(transaction="ITI-64")
    assert (record.action, record.outcome) == ("U", 0)
    assert bytes(record.message).count(b'ParticipantObjectTypeCodeRole="1"') == 2


# --- a new regional id


def test_a_regional_id_is_issued_anew(peer: Peer) -> None:
    subscribe("ITI-64")
    subscribe("ITI-10", HOSPITAL, django_settings.AFFINITY_DOMAIN_OID)
    old = tell(HOSPITAL, "1").regional_id
    tell(CLINIC, "2")
    services.send_due()
    peer.told.clear()
    new = services.reissue(old, reason="shown on a public screen", by="officer")
    region = AssigningAuthority(django_settings.AFFINITY_DOMAIN_OID)
    assert new != old
    assert queries.regional_id_of(Identifier(old, region)) is None
    assert queries.regional_id_of(Identifier(new, region)) == new
    assert queries.surviving_of(old) == new
    assert [each.value for each in queries.identifiers_of(new)] == ["1", "2"]
    retired = Person.objects.get(regional__value=old).regional
    assert (retired.status, retired.events.get().reason) == ("retired", "shown on a public screen")
    services.send_due()
    moved = [each for each in peer.told if isinstance(each, LinkChange)]
    assert [(each.regional_id.value, each.previous_regional_id.value) for each in moved] == [(new, old)] * 2
    assert [values(each) for each in peer.told if isinstance(each, UpdateNotification)] == [[new, "1"]]
    assert tell(HOSPITAL, "1").regional_id == new


def test_who_is_not_active_gets_no_new_regional_id() -> None:
    old = tell(HOSPITAL, "1").regional_id
    services.reissue(old, reason="misuse", by="officer")
    with pytest.raises(services.NotActiveError):
        services.reissue(old, reason="misuse", by="officer")
    with pytest.raises(ValueError, match="reason"):
        services.reissue(old, reason=" ", by="officer")
