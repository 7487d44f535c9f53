"""ITI-45 over mutual TLS: identifiers found, none, unknown ones, what consent hides, and the record of each."""

from __future__ import annotations

from typing import Any

import pytest

from hie.exchange.remembered import forget_all
from hie.values.errors import ExchangeError
from hie.values.identifiers import AssigningAuthority, Identifier
from hie.values.patients import CrossReferenceQuery
from hie.wire.hl7v3 import pix_query
from tests.journeys import v3
from tests.journeys.soap_region import CLINIC, HOSPITAL, Region, records

pytestmark = pytest.mark.django_db(transaction=True)


def ask(region: Region, identifier: Identifier, *domains: AssigningAuthority, node: str = "hospital") -> list[str]:
    query = CrossReferenceQuery("", identifier, domains)
    body = pix_query.write_request(query, v3.DEVICES)
    answer = v3.call(region, node, "pix", pix_query.ACTION, body)
    return [each.value for each in pix_query.read_response(answer).identifiers]


def test_identifiers_are_found_never_the_one_asked_with(region: Region, settings: Any) -> None:
    settings.CONSENT_DEFAULT = "opt-out"
    forget_all()
    asked = region.charts[HOSPITAL]
    assert ask(region, asked) == [region.regional_id, "aa12"]
    assert ask(region, asked, region.charts[CLINIC].assigning_authority) == ["aa12"]
    assert ask(region, asked, asked.assigning_authority) == []
    assert [(row.event_id, row.action, row.outcome) for row in records("ITI-45")] == [("110112", "E", 0)] * 3


@pytest.mark.parametrize("number", [0, 1, 2])
def test_what_is_unknown_is_refused(region: Region, number: int) -> None:
    known = region.charts[HOSPITAL]
    unknown = AssigningAuthority("9.9.9")
    wrong = [(Identifier("999", known.assigning_authority),), (Identifier("1", unknown),), (known, unknown, unknown)]
    with pytest.raises(ExchangeError) as refused:
        ask(region, *wrong[number])  # type: ignore[arg-type]
    assert [each.reason.value.hl7 for each in refused.value.findings] == (["204"] * 2 if number == 2 else ["204"])
    assert records("ITI-45")[0].outcome == 4


def test_without_consent_other_facilities_stay_hidden(region: Region) -> None:
    assert ask(region, region.charts[HOSPITAL]) == [region.regional_id]
    with pytest.raises(ExchangeError):
        ask(region, region.charts[CLINIC])


def test_who_may_not_ask_is_refused(region: Region) -> None:
    with pytest.raises(ExchangeError):
        ask(region, region.charts[HOSPITAL], node="reader")
    assert records("ITI-45")[0].outcome == 8
