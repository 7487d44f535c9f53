"""ITI-86 from bytes to bytes: documents leave the repository after their metadata."""

from __future__ import annotations

import pytest
from django.conf import settings

from apps.xds import models
from apps.xds.services import remove_objects
from hie.values.documents import DocumentRequest, RemovalResult, RemoveDocuments, RemoveObjects
from hie.values.errors import ExchangeError
from hie.wire.ebxml import remove_documents
from tests.apps.xds.samples import path_of
from tests.journeys.soap_region import HOSPITAL, Region, records
from tests.journeys.test_iti62 import submitted

ACTION = "urn:ihe:iti:2017:RemoveDocuments"


def ask(region: Region, *unique_ids: str) -> RemovalResult:
    requests = tuple(DocumentRequest(settings.REPOSITORY_OID, each) for each in unique_ids)
    asked = remove_documents.write_request(RemoveDocuments(requests))
    return remove_documents.read_response(region.client("hospital", "repository").call(ACTION, asked))


def test_a_document_goes(region: Region) -> None:
    uuids = submitted(region)
    row = models.DocumentEntry.objects.get()
    assert row.content is not None
    with pytest.raises(ExchangeError):
        ask(region, row.unique_id)
    remove_objects(RemoveObjects(uuids), facility_code=HOSPITAL)
    assert len(ask(region, row.unique_id, "9.9.9").findings) == 1
    assert not path_of(row.content.locator).exists()
    kept = records("ITI-86")
    assert [(each.event_id, each.action, each.outcome) for each in kept] == [
        ("110110", "D", 8),
        ("110110", "D", 0),
        ("110110", "D", 8),
    ]
    assert row.unique_id.encode() in bytes(kept[1].message)
