"""ITI-54 from bytes to bytes: the hospital's own registry publishes, the clinic is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from apps.xds import models, services
from hie.transport.soap_client import FaultError
from hie.values.subscriptions import FULL_DOCUMENT_ENTRY, Publication
from hie.wire.soap.envelope import SoapBody
from hie.wire.wsnt import publish
from hie.wire.wsnt.names import NOTIFY
from tests.apps.xds.samples import entry, submission
from tests.apps.xds.test_subscriptions import Consumer, consumer
from tests.journeys.soap_region import Region, records
from tests.journeys.test_iti52 import ask

__all__ = ["consumer"]


def test_what_the_hospital_publishes_reaches_the_clinic(region: Region, consumer: Consumer) -> None:
    ask(region, consumer.url)
    region.consent()
    event = submission(region.regional_id, entry(region.regional_id))
    told = Publication(event, FULL_DOCUMENT_ENTRY)
    region.client("hospital", "broker").tell(NOTIFY, publish.write_request(told))
    assert services.deliver_due() == 1
    assert len(consumer.told()) == 1
    assert not models.DocumentEntry.objects.exists()
    (record,) = records("ITI-54")
    assert (record.event_id, record.action, record.outcome) == ("110107", "C", 0)


def test_a_broken_publication_is_a_fault(region: Region) -> None:
    client = region.client("hospital", "broker")
    unknown = submission("NOBODY", entry("NOBODY"))
    for body in (SoapBody((b"<nothing xmlns='urn:x'/>",)), publish.write_request(Publication(replace(unknown)))):
        with pytest.raises(FaultError):
            client.tell(NOTIFY, body)
    assert [each.outcome > 0 for each in records("ITI-54")] == [True, True]
