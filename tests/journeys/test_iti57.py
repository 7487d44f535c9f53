"""ITI-57 from bytes to bytes: a hospital corrects what it has submitted."""

from __future__ import annotations

from typing import Any

import pytest

from apps.xds import models
from apps.xds.services import submit
from hie.values.documents import MetadataUpdate
from hie.values.errors import ExchangeError, Reason
from hie.values.identifiers import new_uuid_urn
from hie.wire.ebxml import update
from hie.wire.ebxml.fragments import read_fragment
from tests.apps.xds.samples import submission_set
from tests.apps.xds.test_updating import version
from tests.journeys.soap_region import HOSPITAL, Region, records

ACTION = "urn:ihe:iti:2010:UpdateDocumentSet"


def corrected(region: Region, previous: int = 1) -> MetadataUpdate:
    each = region.document(b"abc")
    submit(each, facility_code=HOSPITAL)
    before: Any = read_fragment(bytes(models.DocumentEntry.objects.get().fragment))
    its_set = submission_set(region.regional_id, entry_uuid=new_uuid_urn())
    return update.compose(its_set, version(before, previous, title="訂正")(its_set))


def ask(region: Region, each: MetadataUpdate, node: str = "hospital") -> None:
    update.read_response(region.client(node, "registry").call(ACTION, update.write_request(each)))


def test_a_document_is_corrected(region: Region) -> None:
    each = corrected(region)
    ask(region, each)
    assert models.DocumentEntry.objects.get(version=2).title == "訂正"
    (record,) = records("ITI-57")
    assert (record.event_id, record.action, record.outcome) == ("110107", "U", 0)
    assert record.patient_regional_id == region.regional_id
    assert each.submission.submission_sets[0].unique_id.encode() in bytes(record.message)


def test_another_facility_and_another_version_are_refused(region: Region) -> None:
    with pytest.raises(ExchangeError) as refusal:
        ask(region, corrected(region, 7), "clinic")
    assert {each.reason for each in refusal.value.findings} >= {Reason.VERSION_CONFLICT, Reason.REGISTRY_ERROR}
    assert not models.DocumentEntry.objects.filter(version=2).exists()
    assert [each.outcome for each in records("ITI-57")] == [8]


def test_a_broken_body(region: Region) -> None:
    answer = region.client("hospital", "registry").call(ACTION, b"<nothing xmlns='urn:x'/>")
    with pytest.raises(ExchangeError):
        update.read_response(answer)
    assert [each.outcome for each in records("ITI-57")] == [8]
