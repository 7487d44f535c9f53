"""ITI-44 over mutual TLS: added, revised, merged; refused ones change nothing; each with its record."""

from __future__ import annotations

from dataclasses import replace

import pytest

from apps.pix.models import LocalIdentifier
from apps.pix.queries import regional_id_of
from hie.values.errors import ExchangeError
from hie.values.identifiers import Identifier
from hie.values.patients import FeedEvent, PatientFeed
from hie.values.people import Demographics, NameParts
from hie.wire.hl7v3 import patient_feed
from tests.journeys import v3
from tests.journeys.soap_region import CLINIC, HOSPITAL, PERSON, Region, records

pytestmark = pytest.mark.django_db(transaction=True)


def tell(
    region: Region, event: FeedEvent, value: str, told: Demographics = PERSON, prior: str = "", node: str = "hospital"
) -> None:
    authority = region.charts[HOSPITAL].assigning_authority
    feed = PatientFeed(
        event, "", "", (Identifier(value, authority),), told, (Identifier(prior, authority),) if prior else ()
    )
    body = patient_feed.write_request(feed, v3.DEVICES)
    patient_feed.read_response(v3.call(region, node, "pix", patient_feed.action_of(feed), body))


def test_added_revised_and_merged(region: Region) -> None:
    other = replace(PERSON, birth_date="19880808")
    tell(region, FeedEvent.REGISTER, "X1", other)
    tell(region, FeedEvent.REGISTER, "X2", replace(PERSON, birth_date="19770707"))
    renamed = replace(other, name=replace(other.name, ideographic=NameParts("鈴木", "太郎")))
    tell(region, FeedEvent.UPDATE, "X1", renamed)
    assert LocalIdentifier.objects.get(value="X1").ideographic_family == "鈴木"
    tell(region, FeedEvent.MERGE, "X1", prior="X2")
    authority = region.charts[HOSPITAL].assigning_authority
    assert regional_id_of(Identifier("X2", authority)) is None
    assert regional_id_of(Identifier("X1", authority))
    assert [(row.action, row.outcome) for row in records("ITI-44")] == [
        ("C", 0), ("C", 0), ("U", 0), ("D", 0), ("U", 0),
    ]  # fmt: skip
    assert b'type="II"' in bytes(records("ITI-44")[0].message)


def test_what_cannot_be_merged_is_refused(region: Region) -> None:
    with pytest.raises(ExchangeError) as refused:
        tell(region, FeedEvent.MERGE, "000111", prior="nobody")
    assert refused.value.findings[0].reason.value.hl7 == "204"
    assert [row.outcome for row in records("ITI-44")] == [4, 4]


def test_nobody_tells_of_another_facilitys_patients(region: Region) -> None:
    with pytest.raises(ExchangeError):
        tell(region, FeedEvent.REGISTER, "Y1", node="clinic")
    assert not LocalIdentifier.objects.filter(value="Y1").exists()
    assert records("ITI-44")[0].facility_code == CLINIC
