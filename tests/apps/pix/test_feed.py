"""What a feed does to the index: persons, links, merges, changes of number, refusals, repetition."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.ids.models import RegionalIdentifier
from apps.network import queries as network
from apps.network.models import Facility
from apps.pix import queries, services
from apps.pix.models import (
    FeedMessage,
    LinkEvent,
    LocalIdentifier,
    MatchKey,
    Person,
    persons_joined,
    records_moved,
)
from apps.pix.queries.cross_references import find_authority
from hie.exchange.remembered import forget_all
from hie.values.errors import ExchangeError, Reason
from hie.values.identifiers import AssigningAuthority, Identifier
from hie.values.patients import FeedEvent
from hie.values.people import Address, Demographics
from tests.apps.pix.told import CLINIC, HOSPITAL, OIDS, PHARMACY, chart, merge, message, rename, somebody, tell

pytestmark = pytest.mark.usefixtures("facilities")

INSURED = "33120015:123:4567890:01"


def person_of(facility: str, value: str) -> str | None:
    return queries.regional_id_of(chart(facility, value))


@pytest.fixture
def joined() -> Iterator[list[tuple[str, str]]]:
    heard: list[tuple[str, str]] = []

    def listen(subsumed: str, surviving: str, **_: Any) -> None:
        heard.append((subsumed, surviving))

    persons_joined.connect(listen)
    yield heard
    persons_joined.disconnect(listen)


@pytest.fixture
def moved() -> Iterator[list[tuple[tuple[str, ...], str, str]]]:
    heard: list[tuple[tuple[str, ...], str, str]] = []

    def listen(identifiers: tuple[Identifier, ...], previous: str, current: str, **_: Any) -> None:
        heard.append((tuple(each.value for each in identifiers), previous, current))

    records_moved.connect(listen)
    yield heard
    records_moved.disconnect(listen)


# --- registering


def test_the_example_of_the_customer_three_charts_are_one_person() -> None:
    tell(HOSPITAL, "000111", told=somebody("山田 健一", "ヤマダ ケンイチ"))
    tell(CLINIC, "aa12", told=somebody("山田　健一", "ﾔﾏﾀﾞ ｹﾝｲﾁ"))
    tell(PHARMACY, "い312", told=somebody("山田健一", "やまだ けんいち"))
    (person,) = {person_of(HOSPITAL, "000111"), person_of(CLINIC, "aa12"), person_of(PHARMACY, "い312")}
    assert person is not None
    assert {each.value for each in queries.identifiers_of(person)} == {"000111", "aa12", "い312"}
    assert RegionalIdentifier.objects.count() == 1


def test_an_update_of_an_unknown_patient_registers_it() -> None:
    outcome = tell(HOSPITAL, "1", event=FeedEvent.UPDATE, trigger="ADT^A31")
    assert outcome.regional_id == person_of(HOSPITAL, "1") is not None


def test_a_missing_authority_is_the_callers() -> None:
    outcome = services.feed(replace(message(HOSPITAL), identifiers=(Identifier("7"),)), HOSPITAL)
    assert outcome.identifiers[0].oid == OIDS[HOSPITAL]
    assert person_of(HOSPITAL, "7") == outcome.regional_id


def test_an_authority_may_be_known_by_its_namespace() -> None:
    identifier = Identifier("7", AssigningAuthority(namespace=f"H{HOSPITAL}"))
    services.feed(replace(message(HOSPITAL), identifiers=(identifier,)), HOSPITAL)
    assert person_of(HOSPITAL, "7") == queries.regional_id_of(identifier) is not None


def test_spellings_that_the_facility_holds_equal_are_one_chart() -> None:
    Facility.objects.filter(code=HOSPITAL).update(patient_id_strip_zeros=True)
    forget_all()
    tell(HOSPITAL, "00012")
    tell(HOSPITAL, "12", told=somebody(birth_date="19410504"))
    assert LocalIdentifier.objects.count() == 1
    assert person_of(HOSPITAL, "0012") == person_of(HOSPITAL, "12") is not None


def test_two_numbers_of_one_message_are_one_person() -> None:
    outcome = tell(HOSPITAL, "1", "2", told=Demographics())
    assert person_of(HOSPITAL, "1") == person_of(HOSPITAL, "2") == outcome.regional_id


def test_empty_leaves_and_null_clears() -> None:
    tell(HOSPITAL, "1", told=somebody(addresses=(Address(text="一丁目"),), telephones=("03",), insurance=INSURED))
    tell(HOSPITAL, "1", told=Demographics(cleared=frozenset({"telephones"}), sex="F"))
    row = LocalIdentifier.objects.get()
    assert row.ideographic_family == "山田"
    assert row.birth_date == "19410503"
    assert row.addresses[0]["text"] == "一丁目"
    assert row.insurances[0]["branch"] == "01"
    assert row.telephones == []
    assert row.sex == "F"


# --- linking and unlinking


def test_a_later_update_links(joined: list[tuple[str, str]]) -> None:
    first = tell(HOSPITAL, "1").regional_id
    second = tell(CLINIC, "2", told=somebody(birth_date="19410530")).regional_id
    assert first != second
    tell(CLINIC, "2", told=somebody())
    assert person_of(CLINIC, "2") == person_of(HOSPITAL, "1") == first
    assert joined == [(second, first)]
    assert queries.regional_id_of(Identifier(second, network.affinity_domain())) is None
    assert queries.surviving_of(second) == first


def test_one_chart_may_join_two_persons(joined: list[tuple[str, str]]) -> None:
    first = tell(HOSPITAL, "1", told=somebody()).regional_id
    second = tell(CLINIC, "2", told=somebody("山田 健一郎", kana="", insurance=INSURED, sex="")).regional_id
    third = tell(PHARMACY, "3", told=somebody(insurance=INSURED)).regional_id
    assert (first, third) != (second, second)
    assert first == third
    tell(CLINIC, "2", told=somebody("山田 健一", kana="", insurance=INSURED, sex=""))
    assert person_of(CLINIC, "2") == first
    assert joined == [(second, first)]


def test_a_corrected_birth_date_undoes_the_link(moved: list[tuple[tuple[str, ...], str, str]]) -> None:
    first = tell(HOSPITAL, "1").regional_id
    tell(CLINIC, "2")
    second = tell(CLINIC, "2", told=somebody(birth_date="19410504")).regional_id
    assert person_of(HOSPITAL, "1") == first
    assert person_of(CLINIC, "2") == second != first
    assert moved == [(("2",), first, second)]
    event = LinkEvent.objects.filter(value="2").first()
    assert (event.kind, event.previous_person.regional_id, event.person.regional_id) == ("unlinked", first, second)


def test_the_person_stays_with_the_charts_that_did_not_change() -> None:
    first = tell(HOSPITAL, "1").regional_id
    tell(CLINIC, "2")
    tell(PHARMACY, "3")
    tell(HOSPITAL, "1", told=somebody(birth_date="19410504"))
    assert person_of(CLINIC, "2") == person_of(PHARMACY, "3") == first
    assert person_of(HOSPITAL, "1") != first


def test_a_chart_that_held_two_others_together_leaves_three_persons() -> None:
    other = "06139463:9:8765432:01"
    both = somebody("山田 健一", "", "19410503", "")
    tell(HOSPITAL, "1", told=replace(both, insurances=somebody(insurance=INSURED).insurances))
    tell(PHARMACY, "3", told=replace(both, insurances=somebody(insurance=other).insurances))
    insurances = somebody(insurance=INSURED).insurances + somebody(insurance=other).insurances
    tell(CLINIC, "2", told=replace(both, insurances=insurances))
    assert person_of(HOSPITAL, "1") == person_of(CLINIC, "2") == person_of(PHARMACY, "3")
    tell(CLINIC, "2", told=Demographics(cleared=frozenset({"insurances"})))
    assert len({person_of(HOSPITAL, "1"), person_of(CLINIC, "2"), person_of(PHARMACY, "3")}) == 3


def test_an_update_that_matching_does_not_see_writes_no_history() -> None:
    tell(HOSPITAL, "1")
    events, keys = LinkEvent.objects.count(), list(MatchKey.objects.values_list("pk"))
    tell(HOSPITAL, "1", told=somebody(death_time="20260101"))
    assert LinkEvent.objects.count() == events
    assert list(MatchKey.objects.values_list("pk")) == keys


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])
def test_the_order_of_arrival_does_not_change_the_persons(order: tuple[int, ...]) -> None:
    feeds: list[tuple[str, str, Demographics]] = [
        (HOSPITAL, "1", somebody("佐藤 一郎", "サトウ イチロウ", insurance=INSURED)),
        (CLINIC, "2", somebody("佐藤 二郎", "サトウ ジロウ", insurance=INSURED)),
        (PHARMACY, "3", somebody("", "", insurance=INSURED)),
    ]
    for index in order:
        facility, value, told = feeds[index]
        tell(facility, value, told=told)
    assert len({person_of(facility, value) for facility, value, _ in feeds}) == 3


# --- merging


def test_a_merge_joins_the_persons_and_the_charts_of_others_follow(joined: list[tuple[str, str]]) -> None:
    married = somebody("鈴木 花子", "スズキ ハナコ", "19600101", "F")
    maiden = somebody("山田 花子", "ヤマダ ハナコ", "19600101", "F")
    survivor = tell(HOSPITAL, "1", told=married).regional_id
    tell(CLINIC, "2", told=married)
    subsumed = tell(HOSPITAL, "9", told=maiden).regional_id
    tell(PHARMACY, "3", told=maiden)
    outcome = merge(HOSPITAL, subsumed="9", surviving="1")
    assert (outcome.regional_id, outcome.subsumed) == (survivor, (subsumed,))
    assert joined == [(subsumed, survivor)]
    assert person_of(PHARMACY, "3") == person_of(CLINIC, "2") == person_of(HOSPITAL, "1") == survivor
    assert person_of(HOSPITAL, "9") is None
    assert {each.value for each in queries.identifiers_of(survivor)} == {"1", "2", "3"}


def test_the_survivors_person_survives_even_if_it_is_the_younger_one() -> None:
    old = tell(HOSPITAL, "9", told=somebody(birth_date="19500101")).regional_id
    young = tell(HOSPITAL, "1").regional_id
    assert merge(HOSPITAL, subsumed="9", surviving="1").regional_id == young
    assert Person.objects.get(regional__value=old).surviving.regional_id == young


def test_a_subsumed_chart_is_still_evidence_of_who_somebody_was() -> None:
    maiden = somebody("山田 花子", "ヤマダ ハナコ", "19600101", "F")
    person = tell(HOSPITAL, "1", told=somebody("鈴木 花子", "スズキ ハナコ", "19600101", "F")).regional_id
    tell(HOSPITAL, "9", told=maiden)
    merge(HOSPITAL, subsumed="9", surviving="1")
    assert tell(PHARMACY, "3", told=maiden).regional_id == person


def test_a_chain_of_merges_is_followed() -> None:
    for number in range(1, 5):
        tell(HOSPITAL, str(number), told=somebody(birth_date=f"1950010{number}"))
    merge(HOSPITAL, subsumed="1", surviving="2")
    merge(HOSPITAL, subsumed="2", surviving="3")
    merge(HOSPITAL, subsumed="4", surviving="3")
    person = person_of(HOSPITAL, "3")
    assert [each.value for each in queries.identifiers_of(str(person))] == ["3"]
    assert {person_of(HOSPITAL, each) for each in "124"} == {None}
    survivors = {queries.surviving_of(each) for each in RegionalIdentifier.objects.values_list("value", flat=True)}
    assert survivors == {person}


def _refused(action: Callable[[], object]) -> tuple[Reason, str]:
    before = _state()
    with pytest.raises(ExchangeError) as refusal:
        action()
    assert _state() == before, "a refused feed changes nothing"
    finding = refusal.value.findings[0]
    return finding.reason, finding.location


def _state() -> list[Any]:
    tables = (LocalIdentifier, Person, LinkEvent, MatchKey, FeedMessage)
    return [list(table.objects.order_by("pk").values_list()) for table in tables]


@pytest.mark.parametrize("pam", [False, True])
@pytest.mark.parametrize(
    ("subsumed", "surviving", "by_iti_8", "by_pam"),
    [
        ("1", "1", (Reason.MERGE_REFUSED, "prior identifier"), (Reason.MERGE_REFUSED, "prior identifier")),
        ("unknown", "1", (Reason.UNKNOWN_KEY, "prior identifier"), "nothing"),
        ("1", "unknown", (Reason.UNKNOWN_KEY, "identifier"), "renamed"),
        ("unknown", "nobody", (Reason.UNKNOWN_KEY, "prior identifier"), "nothing"),
        ("gone", "1", (Reason.MERGE_REFUSED, "prior identifier"), "nothing"),
        ("1", "gone", (Reason.MERGE_REFUSED, "identifier"), (Reason.MERGE_REFUSED, "identifier")),
    ],
)
def test_merges_that_cannot_be_carried_out(
    subsumed: str, surviving: str, by_iti_8: Any, by_pam: Any, pam: bool
) -> None:
    tell(HOSPITAL, "1")
    tell(HOSPITAL, "2", told=somebody(birth_date="19500101"))
    tell(HOSPITAL, "gone", told=somebody(birth_date="19500101"))
    merge(HOSPITAL, subsumed="gone", surviving="2")
    expected = by_pam if pam else by_iti_8
    person = person_of(HOSPITAL, "1")
    if isinstance(expected, tuple):
        assert _refused(lambda: merge(HOSPITAL, subsumed=subsumed, surviving=surviving, pam=pam)) == expected
        return
    merge(HOSPITAL, subsumed=subsumed, surviving=surviving, pam=pam)
    if expected == "renamed":
        assert (person_of(HOSPITAL, surviving), person_of(HOSPITAL, subsumed)) == (person, None)
    else:
        assert (person_of(HOSPITAL, "1"), person_of(HOSPITAL, surviving) or person) == (person, person)


def test_a_merge_across_domains_is_refused() -> None:
    tell(HOSPITAL, "1")
    tell(CLINIC, "2")
    across = replace(message(HOSPITAL, "1"), prior_identifiers=(chart(CLINIC, "2"),))
    refusal = _refused(lambda: services.feed(replace(across, event=FeedEvent.MERGE), HOSPITAL))
    assert refusal == (Reason.UNKNOWN_DOMAIN, "prior identifier.authority")


def test_a_subsumed_number_cannot_be_fed_again() -> None:
    tell(HOSPITAL, "1")
    tell(HOSPITAL, "9")
    merge(HOSPITAL, subsumed="9", surviving="1")
    assert _refused(lambda: tell(HOSPITAL, "9")) == (Reason.UNKNOWN_KEY, "identifier")


def test_merges_in_a_circle_end_with_a_refusal() -> None:
    for value in "12":
        tell(HOSPITAL, value, told=somebody(birth_date=f"1950010{value}"))
    merge(HOSPITAL, subsumed="1", surviving="2")
    assert _refused(lambda: merge(HOSPITAL, subsumed="2", surviving="1")) == (Reason.MERGE_REFUSED, "identifier")


# --- change of number


def test_a_changed_number_takes_the_person_along() -> None:
    person = tell(HOSPITAL, "1").regional_id
    assert rename(HOSPITAL, old="1", new="100").regional_id == person
    assert (person_of(HOSPITAL, "1"), person_of(HOSPITAL, "100")) == (None, person)
    assert tell(HOSPITAL, "1", told=somebody(birth_date="20000101")).regional_id not in (None, person)


def test_a_change_of_an_unknown_number_does_nothing() -> None:
    assert rename(HOSPITAL, old="1", new="100").regional_id == ""
    assert LocalIdentifier.objects.count() == 0


def test_a_change_onto_another_patients_number_is_refused() -> None:
    tell(HOSPITAL, "1")
    tell(HOSPITAL, "2", told=somebody(birth_date="19500101"))
    assert _refused(lambda: rename(HOSPITAL, old="1", new="2")) == (Reason.DUPLICATE_KEY, "identifier")


def test_a_change_onto_a_number_of_the_same_person_merges_the_charts() -> None:
    tell(HOSPITAL, "1")
    person = tell(HOSPITAL, "2").regional_id
    rename(HOSPITAL, old="1", new="2")
    assert [each.value for each in queries.identifiers_of(person)] == ["2"]


# --- refusals


FOREIGN = Identifier("1", AssigningAuthority(oid="9.9.9"))
NATIONAL = Address(text="マイナンバー 9832-0567-3214")


@pytest.mark.parametrize(
    ("change", "reason", "location"),
    [
        ({"identifiers": (chart(CLINIC, "2"),)}, Reason.UNKNOWN_DOMAIN, "identifier.authority"),
        ({"identifiers": (chart(HOSPITAL, "1"), chart(CLINIC, "2"))}, Reason.UNKNOWN_DOMAIN, "identifier[2].authority"),
        ({"identifiers": (chart(HOSPITAL, "1"), chart(HOSPITAL, " "))}, Reason.REQUIRED_MISSING, "identifier[2]"),
        ({"identifiers": (FOREIGN,)}, Reason.UNKNOWN_DOMAIN, "identifier.authority"),
        ({"identifiers": (chart(HOSPITAL, " "),)}, Reason.REQUIRED_MISSING, "identifier"),
        ({"identifiers": (chart(HOSPITAL, "1" * 65),)}, Reason.WRONG_DATA_TYPE, "identifier"),
        ({"demographics": somebody("山" * 121)}, Reason.WRONG_DATA_TYPE, "name"),
        ({"demographics": somebody(addresses=(NATIONAL,))}, Reason.NATIONAL_NUMBER, "address"),
        ({"demographics": somebody("山田 983205673214")}, Reason.NATIONAL_NUMBER, "name"),
    ],
)
def test_what_is_refused(change: dict[str, Any], reason: Reason, location: str) -> None:
    feed = replace(message(HOSPITAL, "1"), **change)
    assert _refused(lambda: services.feed(feed, HOSPITAL)) == (reason, location)


def test_a_foreign_identifier_beside_an_own_one_is_left_out_with_a_warning() -> None:
    outcome = services.feed(replace(message(HOSPITAL), identifiers=(FOREIGN, chart(HOSPITAL, "1"))), HOSPITAL)
    assert [each.value for each in outcome.identifiers] == ["1"]
    assert len(outcome.warnings) == 1
    assert LocalIdentifier.objects.count() == 1


def test_an_error_never_carries_the_national_number() -> None:
    feed = replace(message(HOSPITAL, "1"), demographics=somebody(addresses=(NATIONAL,)))
    with pytest.raises(ExchangeError) as refusal:
        services.feed(feed, HOSPITAL)
    assert "9832" not in str(refusal.value)


def test_a_chart_number_that_only_looks_like_a_national_number_is_warned_of() -> None:
    outcome = tell(HOSPITAL, "983205673214")
    assert outcome.regional_id
    assert len(outcome.warnings) == 1


# --- the same message again


def test_the_same_message_again_does_nothing_twice() -> None:
    feed = message(HOSPITAL, "1")
    first = services.feed(feed, HOSPITAL)
    tell(HOSPITAL, "1", told=somebody(sex="F"))
    again = services.feed(feed, HOSPITAL)
    assert (first.repeated, again.repeated) == (False, True)
    assert again.regional_id == first.regional_id
    assert LocalIdentifier.objects.get().sex == "F"


def test_a_merge_sent_again_is_accepted_again() -> None:
    tell(HOSPITAL, "1")
    tell(HOSPITAL, "9", told=somebody(birth_date="19500101"))
    feed = message(HOSPITAL, "1", event=FeedEvent.MERGE, prior_identifiers=(chart(HOSPITAL, "9"),))
    services.feed(feed, HOSPITAL)
    assert services.feed(feed, HOSPITAL).repeated


def test_another_message_with_the_same_id_is_carried_out() -> None:
    feed = message(HOSPITAL, "1")
    services.feed(feed, HOSPITAL)
    assert not services.feed(replace(feed, demographics=somebody(sex="F")), HOSPITAL).repeated
    assert LocalIdentifier.objects.get().sex == "F"


def test_message_ids_are_the_senders_own() -> None:
    feed = message(HOSPITAL, "1")
    services.feed(feed, HOSPITAL, sender="one system")
    assert not services.feed(feed, HOSPITAL, sender="another system").repeated


def test_a_refused_message_may_be_sent_again() -> None:
    feed = message(HOSPITAL, "1", event=FeedEvent.MERGE, prior_identifiers=(chart(HOSPITAL, "9"),))
    with pytest.raises(ExchangeError):
        services.feed(feed, HOSPITAL)
    tell(HOSPITAL, "1")
    tell(HOSPITAL, "9")
    assert not services.feed(feed, HOSPITAL).repeated


def test_old_messages_are_forgotten() -> None:
    tell(HOSPITAL, "1")
    assert services.forget_old_messages() == 0
    assert services.forget_old_messages(timezone.now() + services.REMEMBERED + timedelta(days=1)) == 1


# --- the past


def test_who_was_linked_to_whom_on_a_past_day() -> None:
    days = [datetime(2026, 1, day, tzinfo=UTC) for day in range(1, 6)]

    def on(day: int, action: Callable[[], object]) -> None:
        last = LinkEvent.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
        action()
        with_time = LinkEvent.objects.filter(pk__gt=last)
        super(type(with_time), with_time).update(at=days[day])

    on(0, lambda: tell(HOSPITAL, "1"))
    on(1, lambda: tell(CLINIC, "2"))
    on(2, lambda: tell(CLINIC, "2", told=somebody(birth_date="19500101")))
    on(3, lambda: rename(HOSPITAL, old="1", new="100"))
    noon = timedelta(hours=12)

    def linked(facility: str, value: str, day: int) -> list[str]:
        return [each.value for each in queries.linked_with(chart(facility, value), days[day] + noon)]

    assert queries.person_on(chart(HOSPITAL, "1"), days[0] - noon) is None
    assert [linked(HOSPITAL, "1", day) for day in range(4)] == [[], ["2"], [], []]
    assert linked(CLINIC, "2", 1) == ["1"]
    assert queries.person_on(chart(HOSPITAL, "1"), days[2] + noon) == person_of(HOSPITAL, "100")
    assert queries.person_on(chart(HOSPITAL, "1"), days[3] + noon) is None
    assert queries.person_on(chart(HOSPITAL, "100"), days[3] + noon) == person_of(HOSPITAL, "100")


def test_a_change_that_waited_for_another_is_the_later_one() -> None:
    """Its message came first, so it carries the earlier time; it was written last, so it is what stands."""
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)

    def after(seconds: int, action: Callable[[], object]) -> None:
        last = LinkEvent.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
        action()
        written = LinkEvent.objects.filter(pk__gt=last)
        assert super(type(written), written).update(at=noon + timedelta(seconds=seconds)) > 0

    after(0, lambda: tell(HOSPITAL, "1"))
    after(1, lambda: tell(CLINIC, "2"))
    after(3, lambda: tell(CLINIC, "2", told=somebody(birth_date="19500101")))
    after(2, lambda: tell(CLINIC, "2"))
    assert queries.person_on(chart(CLINIC, "2"), noon + timedelta(hours=1)) == person_of(HOSPITAL, "1")


def test_the_history_cannot_be_changed() -> None:
    tell(HOSPITAL, "1")
    with pytest.raises(TypeError):
        LinkEvent.objects.all().delete()
    with pytest.raises(TypeError):
        LinkEvent.objects.update(kind="linked")


def test_a_link_keeps_its_rule_and_its_evidence() -> None:
    tell(HOSPITAL, "1")
    tell(CLINIC, "2")
    event = LinkEvent.objects.get(value="2")
    assert (event.kind, event.rule, event.facility_code) == ("linked", "shipped-1 name and birth", CLINIC)
    assert event.evidence["chart"] == LocalIdentifier.objects.get(value="1").pk
    assert event.evidence["rules"] == "shipped-1"
    assert event.evidence["score"] > 3
    assert [field for field, _level, _bits in event.evidence["fields"]] == [
        "given name",
        "family name",
        "birth date",
        "sex",
        "source",
    ]
    assert "山田" not in str(event.evidence)


def test_figures_of_the_index() -> None:
    tell(HOSPITAL, "1")
    tell(CLINIC, "2")
    tell(HOSPITAL, "3", told=somebody(birth_date="19500101"))
    found = queries.overview()
    review = found.pop("review")
    assert found == {"persons": 2, "identifiers": 3, "by_facility": {HOSPITAL: 2, CLINIC: 1}}
    assert (review.waiting, review.oldest, review.linked, review.overturned) == (0, None, 1, 0)


def test_an_authority_whose_two_names_mean_two_is_none() -> None:
    clinic = network.authority(OIDS[CLINIC])
    assert clinic is not None
    torn = Identifier("1", AssigningAuthority(OIDS[HOSPITAL], clinic.namespace))
    with pytest.raises(ExchangeError) as refusal:
        tell(HOSPITAL, "1", identifiers=(torn,))
    assert (refusal.value.reason, refusal.value.findings[0].location) == (Reason.UNKNOWN_DOMAIN, "identifier.authority")
    assert find_authority(torn.assigning_authority) is None
    own = Identifier("1", AssigningAuthority(OIDS[HOSPITAL], "a name of its own"))
    assert tell(HOSPITAL, "1", identifiers=(own,)).regional_id


def test_of_two_lists_those_of_one_type_are_merged() -> None:
    def typed(value: str, type_code: str) -> Identifier:
        return replace(chart(HOSPITAL, value), type_code=type_code)

    for number, value in enumerate(("p1", "p2", "v1", "v2")):
        tell(HOSPITAL, value, told=somebody(birth_date=f"1950010{number + 1}"))
    prior = (typed("v1", "VN"), typed("p1", "PI"))
    feed = replace(message(HOSPITAL, told=Demographics()), event=FeedEvent.MERGE, prior_identifiers=prior)
    services.feed(replace(feed, identifiers=(typed("p2", "PI"), typed("v2", "VN"))), HOSPITAL)
    merged = LocalIdentifier.objects.filter(status="merged").values_list("value", "merged_into__value")
    assert sorted(merged) == [("p1", "p2"), ("v1", "v2")]
