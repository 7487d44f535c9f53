"""Finding people: what is asked, what is found, what a permit hides, pages, and what it costs (ITI-21, 22, 47)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from apps.pix import services
from apps.pix.models import KeptAnswer
from apps.pix.queries import people
from hie.values.access import Access, Caller, Decision, Node, Permit
from hie.values.demographics_queries import (
    AddressCriterion,
    BirthCriterion,
    CancelRequest,
    ContinuationRequest,
    DemographicsQuery,
    DemographicsResult,
    NameCriterion,
    Representation,
    TextCriterion,
    TextMatch,
)
from hie.values.errors import ExchangeError, Reason
from hie.values.identifiers import AssigningAuthority, Identifier
from hie.values.people import Address, Demographics, NameParts, PersonName
from tests.apps.pix.told import CLINIC, HOSPITAL, OIDS, PHARMACY, chart, merge, somebody, tell

pytestmark = pytest.mark.usefixtures("facilities")

REGION = AssigningAuthority(oid=settings.AFFINITY_DOMAIN_OID)
PERSONS = {
    "yamada": somebody(
        addresses=(Address(postal_code="1000001", prefecture="東京都", city="千代田区", street="千代田1丁目1番"),),
        telephones=("03-1234-5678",),
    ),
    "takahashi": somebody(
        "髙橋 由美子", "タカハシ ユミコ", "19550317", "F",
        addresses=(Address(postal_code="4228033", text="静岡県静岡市登呂１−３−５"),),
        telephones=("０５４－２２２－３３３３", "090-1111-2222"),
    ),
    "yamazaki": somebody("山崎 京子", "ヤマザキ キョウコ", "19600101", "F"),
    "smith": Demographics(
        name=PersonName(alphabetic=NameParts("SMITH", "JOHN"), phonetic=NameParts("スミス", "ジョン")),
        birth_date="19800229",
        sex="M",
    ),
    "piece": somebody("佐藤花子", "サトウハナコ", "1990", "F"),
    "unknown": somebody("不明", "フメイ", "", ""),
}  # fmt: skip


@pytest.fixture
def known() -> dict[str, str]:
    """The persons of the table at the hospital: name in the table -> regional id."""
    return {name: tell(HOSPITAL, name, told=told).regional_id for name, told in PERSONS.items()}


def all_open(caller: str, persons: tuple[str, ...], *, default: bool = True, **closed: Decision) -> Permit:
    decisions = dict.fromkeys(persons, Decision(default=default, own_facility=caller))
    return Permit(Caller(Node(f"{caller}-system", caller)), Access.IDENTIFY, persons, decisions | closed)


def find(query: DemographicsQuery, *, caller: str = CLINIC, default: bool = True, **closed: Decision):  # type: ignore[no-untyped-def]
    query = services.search(query)
    subjects = tuple(each.regional_id for each in services.subjects_of_search(query))
    return services.find_patients(query, all_open(caller, subjects, default=default, **closed))


def asked(**criteria: object) -> DemographicsQuery:
    return DemographicsQuery("Q1", query_tag="T1", raw=b"query", **criteria)  # type: ignore[arg-type]


def name(family: str = "", given: str = "", match: TextMatch = TextMatch.EXACT, **more: object) -> DemographicsQuery:
    criterion = NameCriterion(
        TextCriterion.with_wildcards(family, match),
        TextCriterion.with_wildcards(given, match),
        **more,  # type: ignore[arg-type]
    )
    return asked(names=((criterion,),))


def born(first: str, last: str) -> DemographicsQuery:
    return asked(births=(BirthCriterion(first, last),))


def living(**parts: str) -> DemographicsQuery:
    criteria = {part: TextCriterion.with_wildcards(text) for part, text in parts.items()}
    return asked(addresses=((AddressCriterion(**criteria),),))


def calling(number: str) -> DemographicsQuery:
    return asked(telephones=((TextCriterion.with_wildcards(number),),))


def identified(*identifiers: Identifier) -> DemographicsQuery:
    return asked(identifiers=tuple((each,) for each in identifiers))


def names_of(result: DemographicsResult, known: dict[str, str]) -> list[str]:
    by_id = {regional_id: label for label, regional_id in known.items()}
    return sorted(by_id[match.regional_id] for match in result.matches)


FUZZY = TextMatch.FUZZY


def _named(family: str) -> NameCriterion:
    return NameCriterion(TextCriterion(family))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        # kanji: exact, variants, prefix, wildcards
        (name("山田", "健一"), ["yamada"]),
        (name("山田"), ["yamada"]),
        (name("山"), []),
        (name("山*"), ["yamada", "yamazaki"]),
        (name("高橋", "由美子"), ["takahashi"]),
        (name("*崎"), ["yamazaki"]),
        (name("山?", "京*"), ["yamazaki"]),
        (name("", "由美子"), ["takahashi"]),
        (name("", "由*"), ["takahashi"]),
        (name("山田", "京子"), []),
        # kana: strict, wide, half width, hiragana, with and without kanji beside it
        (name("ヤマダ"), ["yamada"]),
        (name("ﾔﾏﾀﾞ", "ｹﾝｲﾁ"), ["yamada"]),
        (name("やまだ", "けんいち"), ["yamada"]),
        (name("やま*"), ["yamada", "yamazaki"]),
        (name("ヤマザキ", "キヨウコ"), ["yamazaki"]),
        (asked(names=((_named("山崎"),), (_named("ヤマザキ"),))), ["yamazaki"]),
        (asked(names=((_named("山田"), _named("ヤマザキ")),)), ["yamada", "yamazaki"]),
        (name("山田", representation=Representation.PHONETIC), []),
        (name("ヤマダ", representation=Representation.PHONETIC), ["yamada"]),
        # Latin letters
        (name("smith"), ["smith"]),
        (name("SM*", "jo*"), ["smith"]),
        # in one piece, on either side
        (name("佐藤", "花子"), ["piece"]),
        (name("佐藤花子"), ["piece"]),
        (name("山田健一"), ["yamada"]),
        (name("山田　健一"), ["yamada"]),
        # near matches: voicing, long vowels, romanised
        (name("ヤマサキ", match=FUZZY), ["yamazaki"]),
        (name("Yamazaki", "Kyoko", match=FUZZY), ["yamazaki"]),
        (name("Satoh", "Hanako", match=FUZZY), ["piece"]),
        (name("", "Kyouko", match=FUZZY), ["yamazaki"]),
        # who has no name can be looked for, and signs of SQL are signs
        (name("不明"), ["unknown"]),
        (name("%*"), []),
        (name("_____*"), []),
        (name("' OR 1=1 --"), []),
        # birth and sex
        (born("19600101", "19600101"), ["yamazaki"]),
        (born("1960", "1960"), ["yamazaki"]),
        (born("195503", "196001"), ["takahashi", "yamazaki"]),
        (born("", "19500101"), ["yamada"]),
        (born("1980", ""), ["piece", "smith"]),
        (born("19900101", "19900101"), []),
        (asked(sexes=("F",)), ["piece", "takahashi", "yamazaki"]),
        (asked(sexes=("M", "F"), births=(BirthCriterion("1980", "1990"),)), ["piece", "smith"]),
        (replace(name("やま*"), sexes=("F",)), ["yamazaki"]),
        # address, told in parts or in one text
        (living(postal_code="100-0001"), ["yamada"]),
        (living(postal_code="422*"), ["takahashi"]),
        (living(city="千代田区"), ["yamada"]),
        (living(city="静岡市"), ["takahashi"]),
        (living(prefecture="静岡県"), ["takahashi"]),
        (living(prefecture="東京都", city="千代田*"), ["yamada"]),
        (living(text="東京都千代田区千代田１－１"), ["yamada"]),
        (living(street="登呂1-3-5"), ["takahashi"]),
        (living(text="登呂"), ["takahashi"]),
        (living(city="千代田区", postal_code="4228033"), []),
        # telephone
        (calling("0312345678"), ["yamada"]),
        (calling("+81-3-1234-5678"), ["yamada"]),
        (calling("090-1111-2222"), ["takahashi"]),
        (calling("054*"), ["takahashi"]),
        (calling("0000"), []),
        # identifiers
        (identified(chart(HOSPITAL, "yamada")), ["yamada"]),
        (identified(Identifier("yamada", AssigningAuthority(namespace=f"H{HOSPITAL}"))), ["yamada"]),
        (identified(Identifier("yamada")), ["yamada"]),
        (identified(chart(CLINIC, "yamada")), []),
        (identified(Identifier("yamada", AssigningAuthority(oid="9.9.9"))), []),
        (asked(identifiers=((chart(HOSPITAL, "yamada"), chart(HOSPITAL, "smith")),)), ["smith", "yamada"]),
        (identified(chart(HOSPITAL, "yamada"), chart(HOSPITAL, "smith")), []),
        (replace(identified(chart(HOSPITAL, "yamada")), sexes=("F",)), []),
    ],
)  # fmt: skip
def test_what_is_found(known: dict[str, str], query: DemographicsQuery, expected: list[str]) -> None:
    assert names_of(find(query), known) == expected


def test_the_regional_id_may_be_asked_for(known: dict[str, str]) -> None:
    assert names_of(find(identified(Identifier(known["smith"], REGION))), known) == ["smith"]


def test_a_later_change_is_found_and_what_was_is_not(known: dict[str, str]) -> None:
    tell(HOSPITAL, "smith", told=somebody("鈴木 順", "スズキ ジュン", "19800229", telephones=("0455556666",)))
    assert names_of(find(name("Smith")), known) == []
    assert names_of(find(name("すずき")), known) == ["smith"]
    assert names_of(find(calling("0455556666")), known) == ["smith"]


def test_a_merged_chart_finds_nobody(known: dict[str, str]) -> None:
    tell(HOSPITAL, "double", told=somebody("別名 一郎", "ベツメイ イチロウ", "19700101"))
    merge(HOSPITAL, subsumed="double", surviving="smith")
    assert find(name("別名")).matches == ()


@pytest.mark.parametrize("query", [asked(), asked(ignored=("mother's maiden name",)), name("*")])
def test_who_asks_for_everybody_is_refused(query: DemographicsQuery) -> None:
    with pytest.raises(ExchangeError) as refusal:
        find(query)
    assert (refusal.value.reason, refusal.value.findings[0].location) == (Reason.REQUIRED_MISSING, "parameters")


# --- domains


@pytest.fixture
def person() -> str:
    """One person: hospital 1, clinic a and b."""
    tell(HOSPITAL, "1")
    tell(CLINIC, "a")
    return tell(CLINIC, "b").regional_id


@pytest.mark.parametrize(
    ("domains", "identified_only", "told", "missing"),
    [
        ((), True, ["R", "a", "b", "1"], []),
        ((CLINIC,), True, ["a", "b"], []),
        ((CLINIC, HOSPITAL), True, ["a", "b", "1"], []),
        ((PHARMACY,), True, None, []),
        ((PHARMACY,), False, [], [PHARMACY]),
        ((CLINIC, PHARMACY), False, ["a", "b"], [PHARMACY]),
        (("R",), True, ["R"], []),
    ],
)
def test_identifiers_are_of_the_domains_asked_for(
    person: str, domains: tuple[str, ...], identified_only: bool, told: list[str] | None, missing: list[str]
) -> None:
    wanted = tuple(REGION if each == "R" else AssigningAuthority(OIDS[each]) for each in domains)
    result = find(replace(name("山田"), domains=wanted, identified_only=identified_only))
    if told is None:
        assert result.matches == ()
        return
    (match,) = result.matches
    values = ["R" if each.value == person else each.value for each in match.identifiers]
    assert sorted(values) == sorted(told)
    assert all(each.oid and each.assigning_authority.namespace for each in match.identifiers)
    assert [each.oid for each in match.missing] == [OIDS[each] for each in missing]


def test_every_unknown_domain_is_named(person: str) -> None:
    unknown = AssigningAuthority(oid="9.9.9")
    with pytest.raises(ExchangeError) as refusal:
        find(replace(name("山田"), domains=(unknown, AssigningAuthority(OIDS[CLINIC]), unknown)))
    assert [(each.reason, each.location) for each in refusal.value.findings] == [
        (Reason.UNKNOWN_DOMAIN, "domain[1]"),
        (Reason.UNKNOWN_DOMAIN, "domain[3]"),
    ]


# --- permits

HIDDEN = Decision(default=False, own_facility=CLINIC)


def test_who_is_only_known_where_the_caller_may_not_look_is_not_found(known: dict[str, str]) -> None:
    assert find(name("やま*"), default=False).matches == ()
    assert names_of(find(name("やま*"), default=False, caller=HOSPITAL), known) == ["yamada", "yamazaki"]
    assert names_of(find(name("やま*"), **{known["yamada"]: HIDDEN}), known) == ["yamazaki"]


def test_hidden_charts_neither_find_nor_show(person: str) -> None:
    tell(HOSPITAL, "1", told=somebody(telephones=("0311112222",)))
    assert find(calling("0311112222"), default=False).matches == ()
    assert find(identified(chart(HOSPITAL, "1")), default=False).matches == ()
    (match,) = find(name("山田"), default=False).matches
    assert [each.value for each in match.identifiers] == [person, "a", "b"]
    assert (match.facility_code, match.demographics.telephones) == (CLINIC, ())
    (match,) = find(calling("0311112222")).matches
    assert (match.facility_code, match.demographics.telephones) == (HOSPITAL, ("0311112222",))


def test_a_person_whom_the_gate_was_not_asked_about_is_closed(known: dict[str, str]) -> None:
    result = services.find_patients(name("やま*"), all_open(CLINIC, (known["yamada"],)))
    assert names_of(result, known) == ["yamada"]


def test_nothing_is_told_of_insurances(known: dict[str, str]) -> None:
    tell(HOSPITAL, "insured", told=somebody("保険 太郎", "ホケン タロウ", insurance="06139463:12:34:01"))
    assert find(name("保険")).matches[0].demographics.insurances == ()


# --- scores


def test_the_best_match_comes_first_and_a_threshold_cuts() -> None:
    tell(HOSPITAL, "near", told=somebody("山崎 一", "ヤマザキ ハジメ", "19600101"))
    tell(HOSPITAL, "exact", told=somebody("山﨑 二", "ヤマサキ ツギオ", "19610101"))
    query = name("ヤマサキ", match=TextMatch.FUZZY)
    assert [match.score for match in find(query).matches] == [100, 70]
    assert [match.score for match in find(replace(query, minimum_score=90)).matches] == [100]


# --- pages


@pytest.fixture
def many() -> list[str]:
    return [
        tell(
            HOSPITAL, f"m{number}", told=somebody(f"森 {number}号", f"モリ {number}", f"196001{number:02}")
        ).regional_id
        for number in range(1, 8)
    ]


def pages(query: DemographicsQuery, between: object = None) -> list[DemographicsResult]:
    told = [find(query)]
    while told[-1].pointer:
        if callable(between):
            between(len(told))
        told.append(find(replace(query, message_id=f"P{len(told)}", pointer=told[-1].pointer)))
    return told


def ids(told: list[DemographicsResult]) -> list[str]:
    return [match.regional_id for page in told for match in page.matches]


def test_pages_hold_everybody_once(many: list[str]) -> None:
    told = pages(replace(name("モリ"), page_size=3))
    assert [len(page.matches) for page in told] == [3, 3, 1]
    assert [(page.total, page.remaining) for page in told] == [(7, 4), (7, 1), (7, 0)]
    assert sorted(ids(told)) == sorted(many)
    assert told[-1].pointer == ""


def test_a_further_page_may_change_the_size_from_then_on(many: list[str]) -> None:
    told = [find(replace(name("モリ"), page_size=1))]
    for page_size in (2, 0, 0):
        subjects = services.subjects_of_continuation(ContinuationRequest("C", "T1", page_size=page_size))
        permit = all_open(CLINIC, tuple(each.regional_id for each in subjects))
        told.append(services.continue_search(ContinuationRequest("C", "T1", page_size=page_size), permit))
    assert [len(page.matches) for page in told] == [1, 2, 2, 2]
    assert sorted(ids(told)) == sorted(many)


def test_an_answer_of_one_page_keeps_nothing(many: list[str]) -> None:
    assert find(replace(name("モリ"), page_size=7)).pointer == ""
    assert find(name("モリ")).pointer == ""
    assert not KeptAnswer.objects.exists()


def test_pages_are_stable_while_people_come_and_change(many: list[str]) -> None:
    def change(page: int) -> None:
        tell(HOSPITAL, f"new{page}", told=somebody("森 新", "モリ シン", f"19700{page}01"))
        tell(HOSPITAL, "m1", told=somebody("林 改", "ハヤシ カイ", "19600101"))

    assert sorted(ids(pages(replace(name("モリ"), page_size=2), change))) == sorted(many)


def test_a_person_joined_meanwhile_is_told_once_under_the_surviving_id(many: list[str]) -> None:
    tell(HOSPITAL, "other", told=somebody("河 一", "カワ ハジメ", "19200101"))
    order = ids(pages(replace(name("モリ"), page_size=3)))
    last = order[-1]
    number = many.index(last) + 1

    def join(page: int) -> None:
        if page == 1:
            merge(HOSPITAL, subsumed=f"m{number}", surviving="other")

    told = ids(pages(replace(name("モリ"), page_size=3), join))
    assert len(told) == len(set(told)) == 7
    assert last not in told


def test_a_page_asked_for_again_is_the_same(many: list[str]) -> None:
    first = find(replace(name("モリ"), page_size=3))
    again = replace(name("モリ"), page_size=3, pointer=first.pointer)
    assert ids([find(again)]) == ids([find(again)])


def test_consent_withdrawn_between_pages_counts(many: list[str]) -> None:
    first = find(replace(name("モリ"), page_size=3))
    rest = replace(name("モリ"), page_size=9, pointer=first.pointer)
    assert ids([find(rest, default=False)]) == []


def refused(query: DemographicsQuery, caller: str = CLINIC) -> tuple[Reason, str]:
    with pytest.raises(ExchangeError) as refusal:
        find(query, caller=caller)
    return refusal.value.reason, refusal.value.findings[0].location


@pytest.mark.parametrize("pointer", ["x", "xP3", "P", "xP-1", "xP٣", "0" * 500])
def test_a_pointer_that_nobody_was_given(many: list[str], pointer: str) -> None:
    assert refused(replace(name("モリ"), pointer=pointer)) == (Reason.UNKNOWN_KEY, "pointer")


def test_a_pointer_belongs_to_its_node_and_expires(many: list[str]) -> None:
    query = replace(name("モリ"), page_size=3)
    query = replace(query, pointer=find(query).pointer)
    assert refused(query, caller=PHARMACY) == (Reason.UNKNOWN_KEY, "pointer")
    assert len(find(query).matches) == 3
    KeptAnswer.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert refused(query) == (Reason.UNKNOWN_KEY, "pointer")
    find(replace(query, pointer=""))
    assert KeptAnswer.objects.count() == 1  # the expired one is gone


def test_a_query_that_is_cancelled_goes_no_further(many: list[str]) -> None:
    query = replace(name("モリ"), page_size=3)
    query = replace(query, pointer=find(query).pointer)
    services.cancel_search(CancelRequest("C1", "T1"), all_open(PHARMACY, ()))
    assert len(find(query).matches) == 3
    services.cancel_search(CancelRequest("C1", "T1"), all_open(CLINIC, ()))
    assert refused(query) == (Reason.UNKNOWN_KEY, "pointer")


def continued(caller: str = CLINIC, query_id: str = "T1", **more: int) -> DemographicsResult:
    request = ContinuationRequest("N1", query_id, **more)
    subjects = tuple(each.regional_id for each in services.subjects_of_continuation(request))
    return services.continue_search(request, all_open(caller, subjects))


def test_a_query_is_continued_by_its_id(many: list[str]) -> None:
    first = find(replace(name("モリ"), page_size=3))
    second, third = continued(), continued()
    assert sorted(ids([first, second, third])) == sorted(many)
    assert (second.query_raw, third.remaining) == (b"query", 0)
    assert ids([continued(first=2, page_size=2)]) == ids([first])[1:3]
    for caller, query_id in ((PHARMACY, "T1"), (CLINIC, "other")):
        with pytest.raises(ExchangeError) as refusal:
            continued(caller, query_id)
        assert (refusal.value.reason, refusal.value.findings[0].location) == (Reason.UNKNOWN_KEY, "query")


# --- caps and cost


def test_the_cap_is_announced(many: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.pix.services.finding.MOST_TOLD", 5)
    result = find(name("モリ"))
    assert (len(result.matches), result.cap, result.total) == (5, 5, 5)


def test_own_patients_are_not_lost_behind_strangers(many: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("apps.pix.queries.people", "apps.pix.services.finding"):
        monkeypatch.setattr(f"{module}.CONSIDERED", 2)
    own = tell(CLINIC, "own", told=somebody("森 自院", "モリ ジイン", "19990101")).regional_id
    result = find(name("モリ"), default=False)
    assert (ids([result]), result.cap) == ([own], 1)


def test_a_search_is_one_statement(many: list[str], django_assert_num_queries) -> None:  # type: ignore[no-untyped-def]
    find(name("モリ"))
    for query in (name("モリ"), identified(chart(HOSPITAL, "m1")), replace(name("モ*"), sexes=("M",))):
        with django_assert_num_queries(1):
            find(query)


def test_the_most_selective_demand_drives() -> None:
    query = replace(
        name("や*"), identifiers=((chart(HOSPITAL, "1"),),), births=(BirthCriterion("19600101", "19600101"),)
    )
    assert [each.rank for each in people.demands_of(query).conditions] == [1, 4, 12]
