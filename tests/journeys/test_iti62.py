"""ITI-62 from bytes to bytes: metadata leave the registry, all or nothing."""

from __future__ import annotations

import pytest

from apps.xds import models
from apps.xds.services import submit
from hie.values.documents import RemoveObjects
from hie.values.errors import ExchangeError
from hie.wire.ebxml import remove_metadata
from tests.journeys.soap_region import HOSPITAL, Region, records

ACTION = "urn:ihe:iti:2010:DeleteDocumentSet"


def submitted(region: Region) -> tuple[str, ...]:
    submit(region.document(b"abc"), facility_code=HOSPITAL)
    kinds = (models.DocumentEntry, models.SubmissionSet, models.Association)
    return tuple(uuid for kind in kinds for uuid in kind._default_manager.values_list("entry_uuid", flat=True))


def ask(region: Region, uuids: tuple[str, ...], node: str = "hospital") -> None:
    asked = remove_metadata.write_request(RemoveObjects(uuids))
    remove_metadata.read_response(region.client(node, "registry").call(ACTION, asked))


def test_a_submission_goes(region: Region) -> None:
    uuids = submitted(region)
    ask(region, uuids)
    assert not models.DocumentEntry.objects.exists()
    (record,) = records("ITI-62")
    assert (record.event_id, record.action, record.outcome) == ("110110", "D", 0)
    assert record.patient_regional_id == region.regional_id
    assert all(each.encode() in bytes(record.message) for each in uuids)


@pytest.mark.parametrize("node", ["hospital", "clinic"])
def test_what_is_named_elsewhere_and_what_is_anothers_stays(region: Region, node: str) -> None:
    uuids = submitted(region)
    with pytest.raises(ExchangeError):
        ask(region, uuids[:1] if node == "hospital" else uuids, node)
    assert models.DocumentEntry.objects.exists()
    assert [each.outcome for each in records("ITI-62")] == [8]
