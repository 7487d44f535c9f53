"""ITI-61 from bytes to bytes: a hospital's on-demand document is registered, and found by whoever asks for such."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings

from apps.network.queries import facility
from apps.xds import models
from apps.xds.models import ObjectType
from apps.xds.stored_queries import answer
from hie.values.documents import ON_DEMAND, DocumentEntry
from hie.values.errors import ExchangeError
from hie.wire.ebxml import on_demand
from tests.apps.xds.samples import entry, find, permit, submission
from tests.journeys.soap_region import HOSPITAL, Region, records

ACTION = "urn:ihe:iti:2010:RegisterOnDemandDocumentEntry"


def ask(region: Region, **changes: Any) -> str:
    """Register one; the wsa:Action of the answer."""
    values: dict[str, Any] = {"object_type": ON_DEMAND, "hash": "", "size": None, "creation_time": ""}
    row = facility(HOSPITAL)
    assert row is not None
    values |= {"repository_unique_id": row.repository_oid or settings.REPOSITORY_OID}
    values |= {"source_patient_id": region.charts[HOSPITAL].xds_cx}
    each: DocumentEntry = entry(region.regional_id, **(values | changes))
    asked = on_demand.write_request(submission(region.regional_id, each))
    answered = region.client("hospital", "registry").call(ACTION, asked)
    on_demand.read_response(answered)
    return answered.action


def test_an_on_demand_entry_is_registered(region: Region) -> None:
    assert ask(region) == "urn:ihe:iti:2010:RegisterOnDemandDocumentResponse", "ITI TF-2: 3.61.4.2.2"
    row = models.DocumentEntry.objects.get()
    assert (row.object_type, row.creation_time, row.content) == (ObjectType.ON_DEMAND, "", None)
    patient = region.regional_id
    assert answer(find(patient, Type=ON_DEMAND), permit(patient)).object_refs == (row.entry_uuid,)
    assert answer(find(patient), permit(patient)).object_refs == ()
    (record,) = records("ITI-61")
    assert (record.event_id, record.action, record.outcome) == ("110107", "C", 0)


@pytest.mark.parametrize("changes", [{"hash": "0" * 40}, {"size": 3}, {"creation_time": "2026"}])
def test_what_is_not_there_yet_is_not_described(region: Region, changes: dict[str, Any]) -> None:
    with pytest.raises(ExchangeError):
        ask(region, **changes)
    assert not models.DocumentEntry.objects.exists()
    assert [each.outcome for each in records("ITI-61")] == [8]
