"""ITI-52 and ITI-53 from bytes to bytes: the clinic subscribes, is told of what it may see, and ends it."""

from __future__ import annotations

import pytest

from apps.xds import models, services
from apps.xds.services import submit
from hie.transport.soap_client import FaultError
from hie.values.documents import APPROVED
from hie.values.subscriptions import FULL_DOCUMENT_ENTRY, Subscription, Unsubscription
from hie.wire.wsnt import subscribe, unsubscribe
from hie.wire.wsnt.names import SUBSCRIBE, UNSUBSCRIBE
from tests.apps.xds.test_subscriptions import ENTRIES, Consumer, consumer, of_entries
from tests.journeys.soap_region import HOSPITAL, Region, records

__all__ = ["consumer"]


def ask(region: Region, url: str) -> str:
    asked = Subscription(url, FULL_DOCUMENT_ENTRY, of_entries(region.regional_id))
    answer = region.client("clinic", "broker").call(SUBSCRIBE, subscribe.write_request(asked))
    return subscribe.read_response(answer).reference


def test_the_clinic_is_told_what_it_may_see(region: Region, consumer: Consumer) -> None:
    reference = ask(region, consumer.url)
    (record,) = records("ITI-52")
    assert (record.event_id, record.action, record.outcome) == ("110112", "C", 0)
    assert record.patient_regional_id == region.regional_id
    assert all(each.encode() in bytes(record.message) for each in (ENTRIES, reference.rpartition("=")[2]))
    submit(region.document(b"abc"), facility_code=HOSPITAL)
    assert services.deliver_due() == 0, "without consent there is nothing to tell"
    region.consent()
    submit(region.document(b"abcd"), facility_code=HOSPITAL)
    assert services.deliver_due() == 1
    (told,) = consumer.told()
    row = models.DocumentEntry.objects.latest("id")
    assert row.entry_uuid.encode() in told.fragments[0]
    assert APPROVED.encode() in told.fragments[0]


def test_it_ends(region: Region, consumer: Consumer) -> None:
    reference = ask(region, consumer.url)
    client = region.client("clinic", "broker")
    client.url = reference
    end = unsubscribe.write_request(Unsubscription(reference))
    unsubscribe.read_response(client.call(UNSUBSCRIBE, end))
    assert not models.Subscription.objects.exists()
    with pytest.raises(FaultError):
        client.call(UNSUBSCRIBE, end)
    assert [(each.action, each.outcome) for each in records("ITI-52")] == [("C", 0), ("D", 0), ("D", 4)]


def test_an_address_that_nobody_registered_is_refused(region: Region) -> None:
    with pytest.raises(FaultError):
        ask(region, "https://elsewhere.example/")
    assert [each.outcome for each in records("ITI-52")] == [8]
