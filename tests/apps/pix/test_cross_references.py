"""ITI-9's verb: the six cases, what a permit hides, and how many statements it takes."""

from __future__ import annotations

import pytest
from django.conf import settings

from apps.pix import queries
from hie.values.errors import ExchangeError, Reason
from hie.values.identifiers import AssigningAuthority, Identifier
from hie.values.patients import CrossReferenceQuery
from tests.apps.pix.told import CLINIC, HOSPITAL, OIDS, PHARMACY, chart, merge, permit, somebody, tell

pytestmark = pytest.mark.usefixtures("facilities")

REGION = AssigningAuthority(oid=settings.AFFINITY_DOMAIN_OID)
UNKNOWN = AssigningAuthority(oid="9.9.9")


def authority(facility: str) -> AssigningAuthority:
    return AssigningAuthority(oid=OIDS[facility])


@pytest.fixture
def person() -> str:
    """One person: hospital 000111, clinic aa12 and aa13, pharmacy い312."""
    tell(HOSPITAL, "000111")
    tell(CLINIC, "aa12")
    tell(CLINIC, "aa13")
    return tell(PHARMACY, "い312").regional_id


def ask(
    identifier: Identifier,
    *domains: AssigningAuthority,
    caller: str = HOSPITAL,
    person: str | None = None,
    reveals: bool = True,
) -> list[str]:
    query = CrossReferenceQuery("Q1", identifier, domains)
    found = queries.cross_references(query, permit(caller, person, reveals=reveals)).identifiers
    return [each.value for each in found]


def refusals(identifier: Identifier, *domains: AssigningAuthority, **more: str) -> list[tuple[Reason, str]]:
    with pytest.raises(ExchangeError) as refusal:
        ask(identifier, *domains, **more)  # type: ignore[arg-type]
    return [(finding.reason, finding.location) for finding in refusal.value.findings]


def test_all_domains_are_answered_grouped_and_never_the_identifier_asked_with(person: str) -> None:
    assert ask(chart(HOSPITAL, "000111"), person=person) == [person, "aa12", "aa13", "い312"]


@pytest.mark.parametrize(
    ("domains", "expected"),
    [
        ((authority(CLINIC),), ["aa12", "aa13"]),
        ((authority(PHARMACY), authority(CLINIC)), ["aa12", "aa13", "い312"]),
        ((AssigningAuthority(namespace=f"H{PHARMACY}"),), ["い312"]),
        ((authority(HOSPITAL),), []),
    ],
)
def test_only_the_domains_asked_for(person: str, domains: tuple[AssigningAuthority, ...], expected: list[str]) -> None:
    assert ask(chart(HOSPITAL, "000111"), *domains, person=person) == expected


def test_the_regional_id_is_an_identifier_of_the_affinity_domain(person: str) -> None:
    assert ask(chart(HOSPITAL, "000111"), REGION, person=person) == [person]
    assert ask(Identifier(person, REGION), person=person) == ["000111", "aa12", "aa13", "い312"]
    assert ask(Identifier(person, REGION), REGION, person=person) == []


def test_answers_name_their_authority_completely(person: str) -> None:
    query = CrossReferenceQuery("Q1", chart(HOSPITAL, "000111"))
    for identifier in queries.cross_references(query, permit(HOSPITAL, person)).identifiers:
        assert identifier.assigning_authority.oid
        assert identifier.assigning_authority.namespace


def test_unknown_identifiers_and_domains_are_refused_each_at_its_place(person: str) -> None:
    assert refusals(chart(HOSPITAL, "999")) == [(Reason.UNKNOWN_KEY, "identifier")]
    assert refusals(Identifier("A" * 26, REGION)) == [(Reason.UNKNOWN_KEY, "identifier")]
    assert refusals(Identifier("1", UNKNOWN)) == [(Reason.UNKNOWN_DOMAIN, "identifier.authority")]
    assert refusals(Identifier("1")) == [(Reason.UNKNOWN_DOMAIN, "identifier.authority")]
    assert refusals(chart(HOSPITAL, "000111"), UNKNOWN, authority(CLINIC), UNKNOWN) == [
        (Reason.UNKNOWN_DOMAIN, "domain[1]"),
        (Reason.UNKNOWN_DOMAIN, "domain[3]"),
    ]


def test_a_subsumed_identifier_is_unknown(person: str) -> None:
    merge(CLINIC, subsumed="aa13", surviving="aa12")
    assert refusals(chart(CLINIC, "aa13")) == [(Reason.UNKNOWN_KEY, "identifier")]
    assert ask(chart(HOSPITAL, "000111"), person=person) == [person, "aa12", "い312"]


def test_a_subsumed_regional_id_is_unknown() -> None:
    tell(HOSPITAL, "1")
    subsumed = tell(HOSPITAL, "9", told=somebody(birth_date="19500101")).regional_id
    merge(HOSPITAL, subsumed="9", surviving="1")
    assert refusals(Identifier(subsumed, REGION)) == [(Reason.UNKNOWN_KEY, "identifier")]


def test_facilities_that_the_permit_withholds_are_left_out(person: str) -> None:
    assert ask(chart(HOSPITAL, "000111"), person=person, reveals=False) == [person]
    assert ask(chart(HOSPITAL, "000111"), authority(CLINIC), person=person, reveals=False) == []
    assert ask(chart(CLINIC, "aa12"), caller=CLINIC, person=person, reveals=False) == [person, "aa13"]


def test_a_withheld_chart_is_as_unknown_as_one_that_does_not_exist(person: str) -> None:
    query = CrossReferenceQuery("Q1", chart(CLINIC, "aa12"))
    errors = []
    for value in ("aa12", "nobody"):
        with pytest.raises(ExchangeError) as refusal:
            queries.cross_references(
                CrossReferenceQuery("Q1", chart(CLINIC, value)), permit(HOSPITAL, person, reveals=False)
            )
        errors.append(refusal.value.findings)
    assert errors[0] == errors[1]
    assert queries.cross_references(query, permit(HOSPITAL, person)).identifiers


def test_a_query_is_one_statement(person: str, django_assert_num_queries) -> None:  # type: ignore[no-untyped-def]
    ask(chart(HOSPITAL, "000111"), person=person)
    with django_assert_num_queries(1):
        ask(chart(HOSPITAL, "000111"), authority(CLINIC), person=person)
    with django_assert_num_queries(1):
        ask(Identifier(person, REGION), person=person)
    with django_assert_num_queries(1):
        assert queries.subject_of(chart(HOSPITAL, "000111")).regional_id == person


def test_subjects_know_their_person_where_there_is_one(person: str) -> None:
    known, unknown = queries.subjects_of((chart(HOSPITAL, "000111"), chart(HOSPITAL, "999")))
    assert (known.regional_id, unknown.regional_id) == (person, "")


def test_the_regional_ids_of_many_are_asked_for_at_once_and_are_those_of_each(person: str) -> None:
    merge(CLINIC, subsumed="aa12", surviving="aa13")
    charts = [chart(HOSPITAL, "000111"), chart(CLINIC, "aa12"), chart(CLINIC, "aa13"), chart(PHARMACY, "nobody")]
    expected = {each: found for each in charts if (found := queries.regional_id_of(each))}
    assert list(expected) == [charts[0], charts[2]]
    assert queries.regional_ids_of(charts) == expected
    assert queries.regional_ids_of([]) == {}
