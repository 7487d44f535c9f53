"""ITI-47 over mutual TLS: found, paged, cancelled, null ids, unknown domains, what consent hides; each recorded."""

from __future__ import annotations

from typing import Any

import pytest

from apps.pix.services import feed
from hie.exchange.remembered import forget_all
from hie.values.demographics_queries import (
    CancelRequest,
    ContinuationRequest,
    DemographicsQuery,
    DemographicsResult,
    NameCriterion,
    TextCriterion,
)
from hie.values.errors import ExchangeError
from hie.values.identifiers import AssigningAuthority, Identifier
from hie.values.patients import FeedEvent, PatientFeed
from hie.values.people import Demographics, NameParts, PersonName
from hie.wire.hl7v3 import cancel_query, continue_query, demographics_query
from tests.journeys import v3
from tests.journeys.soap_region import CLINIC, HOSPITAL, Region, records

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def people(region: Region, settings: Any) -> Region:
    settings.CONSENT_DEFAULT = "opt-out"
    forget_all()
    authority = region.charts[HOSPITAL].assigning_authority
    for number in range(1, 5):
        name = PersonName(phonetic=NameParts("モリ", f"タロウ{number}"))
        told = Demographics(name=name, birth_date=f"1960010{number}", sex="M")
        feed(PatientFeed(FeedEvent.REGISTER, "", f"m{number}", (Identifier(f"m{number}", authority),), told), HOSPITAL)
    return region


def ask(
    region: Region,
    family: str,
    *domains: AssigningAuthority,
    page_size: int = 0,
    tag: str = "1.2.3^Q1",
    node: str = "clinic",
) -> DemographicsResult:
    query = DemographicsQuery(
        "", query_tag=tag, names=((NameCriterion(TextCriterion.with_wildcards(family)),),), domains=domains,
        page_size=page_size,
    )  # fmt: skip
    body = demographics_query.write_request(query, v3.DEVICES)
    return demographics_query.read_response(v3.call(region, node, "pdq", demographics_query.ACTION, body))


def more(region: Region, node: str = "clinic", first: int = 0, page_size: int = 0) -> DemographicsResult:
    request = ContinuationRequest("", "1.2.3^Q1", first, page_size)
    body = continue_query.write_request(request, v3.DEVICES, answered="1.2.3")
    return continue_query.read_response(v3.call(region, node, "pdq", continue_query.ACTION, body))


def values(result: DemographicsResult) -> list[str]:
    return [each.value for match in result.matches for each in match.identifiers if each.value[:1] == "m"]


def test_people_are_found(people: Region) -> None:
    result = ask(people, "もり")
    assert sorted(values(result)) == ["m1", "m2", "m3", "m4"]
    assert (result.total, result.remaining) == (4, 0)
    assert ask(people, "ナイ").matches == ()
    assert {(row.event_id, row.action, row.outcome) for row in records("ITI-47")} == {("110112", "E", 0)}
    assert len(records("ITI-47")) == 5


def test_who_has_no_identifier_there_stays_with_a_null_id(people: Region) -> None:
    domains = [people.charts[code].assigning_authority for code in (HOSPITAL, CLINIC)]
    result = ask(people, "モリ", *domains)
    assert [[each.oid for each in match.missing] for match in result.matches] == [[domains[1].oid]] * 4


def test_every_unknown_domain_is_named(people: Region) -> None:
    with pytest.raises(ExchangeError) as refused:
        ask(people, "モリ", AssigningAuthority("9.9.8"), AssigningAuthority("9.9.9"))
    assert [each.reason.value.hl7 for each in refused.value.findings] == ["204", "204"]
    assert records("ITI-47")[0].outcome == 4


def test_pages_continue_and_end(people: Region) -> None:
    first = ask(people, "モリ", page_size=3)
    assert (len(first.matches), first.remaining) == (3, 1)
    second = more(people)
    assert (len(second.matches), second.remaining) == (1, 0)
    assert sorted(values(first) + values(second)) == ["m1", "m2", "m3", "m4"]
    assert values(more(people, first=2)) == values(first)[1:] + values(second)
    with pytest.raises(ExchangeError):
        more(people, node="hospital")


def test_several_names_are_alternatives(people: Region) -> None:
    names = tuple(NameCriterion(given=TextCriterion(f"タロウ{number}")) for number in (1, 3))
    body = demographics_query.write_request(DemographicsQuery("", "1.2.3^Q1", names=(names,)), v3.DEVICES)
    assert b"".join(body.parts).count(b"<livingSubjectName>") == 2  # one value in each (3.47.4.1.2.2)
    result = demographics_query.read_response(v3.call(people, "clinic", "pdq", demographics_query.ACTION, body))
    assert sorted(values(result)) == ["m1", "m3"]


def test_a_new_size_holds_for_the_pages_after_it_too(people: Region) -> None:
    ask(people, "モリ", page_size=2)
    assert [len(more(people, page_size=1).matches), len(more(people).matches)] == [1, 1]


def test_the_record_calls_it_by_the_name_of_its_audit_table(people: Region) -> None:
    ask(people, "モリ")
    message = bytes(records("ITI-47")[0].message)
    assert b'originalText="Patient Demographics Query"' in message
    assert b"HL7 V3" not in message


def test_a_cancelled_query_goes_no_further(people: Region) -> None:
    ask(people, "モリ", page_size=3)
    body = cancel_query.write_request(CancelRequest("", "1.2.3^Q1"), v3.DEVICES, answered="1.2.3")
    cancel_query.read_response(v3.call(people, "clinic", "pdq", cancel_query.ACTION, body))
    with pytest.raises(ExchangeError) as refused:
        more(people)
    assert refused.value.findings[0].reason.value.hl7 == "204"


def test_without_consent_strangers_find_nobody(people: Region, settings: Any) -> None:
    settings.CONSENT_DEFAULT = "opt-in"
    forget_all()
    assert ask(people, "モリ").matches == ()
    assert len(ask(people, "モリ", node="hospital").matches) == 4
