"""The patient summary from bytes to bytes: found, made for its reader, kept, and found again as a snapshot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from apps.network.queries import facility
from apps.network.services import members
from apps.pix.queries import regional_id_of
from apps.pix.services import feed
from apps.ssmix.models import StorageRoot
from apps.ssmix.services import add_storage, scan
from hie.values.documents import (
    IS_SNAPSHOT_OF,
    ON_DEMAND,
    DocumentEntry,
    DocumentRequest,
    QueryResult,
    RetrievedDocument,
    RetrieveRequest,
)
from hie.values.errors import ExchangeError, Reason
from hie.values.identifiers import Identifier
from hie.values.patients import FeedEvent, PatientFeed
from hie.wire.ebxml import retrieve, stored_query
from hie.wire.ebxml.fragments import read_fragment
from hie.wire.soap.envelope import SoapMessage
from tests.apps.ssmix.storage import Storage, message
from tests.apps.xds.samples import find, query
from tests.conformance import needs_conformance
from tests.journeys.soap_region import HOSPITAL, PERSON, Region, records
from tests.wire.ebxml.messages import violations

OTHER = "1310000037"
GET_RELATED = "urn:uuid:d90e5407-b356-4d91-a89f-873917b4b0e6"


@pytest.fixture
def storages(region: Region, settings: Any) -> dict[str, Storage]:
    """The hospital and another one each have prescribed the person a drug of their own."""
    settings.SUMMARY, settings.SUMMARY_SNAPSHOTS = True, True
    members.add_facility(code=OTHER, name="隠れ病院")
    made = {}
    for code, chart, drug in ((HOSPITAL, "000111", "公開薬"), (OTHER, "000777", "秘密薬")):
        its = facility(code)
        assert its is not None
        identifier = Identifier(chart, its.authority)
        if code == OTHER:
            feed(PatientFeed(FeedEvent.REGISTER, "ADT^A28", code, (identifier,), PERSON), code)
        assert regional_id_of(identifier) == region.regional_id
        storage = made[code] = Storage(region.directory / code)
        raw = message(chart).decode("iso2022_jp").replace("試験薬", drug).encode("iso2022_jp")
        storage.write(chart, raw=raw)
        scan(add_storage(facility_code=code, path=str(storage.path), quiet_seconds=0))
    return made


def found(region: Region, each: Any) -> QueryResult:
    answer = region.client("clinic", "registry").call(
        "urn:ihe:iti:2007:RegistryStoredQuery", stored_query.write_request(each)
    )
    return stored_query.read_response(answer)


def offer(region: Region) -> DocumentEntry:
    (fragment,) = found(region, find(region.regional_id, leaf_class=True, Type=ON_DEMAND)).fragments
    entry = read_fragment(fragment)
    assert isinstance(entry, DocumentEntry)
    return entry


def answered(region: Region, repository: str, unique_id: str) -> SoapMessage:
    request = RetrieveRequest((DocumentRequest(repository, unique_id),))
    client = region.client("clinic", "repository")
    return client.call("urn:ihe:iti:2007:RetrieveDocumentSet", retrieve.write_request(request), mtom=True)


def read(region: Region, repository: str, unique_id: str) -> RetrievedDocument:
    (document,) = retrieve.read_response(answered(region, repository, unique_id)).documents
    return document


@pytest.mark.usefixtures("storages")
def test_with_consent_it_is_found_read_and_found_again(region: Region) -> None:
    region.consent(sources=[HOSPITAL])
    entry = offer(region)
    document = read(region, entry.repository_unique_id, entry.unique_id)
    content = document.path.read_bytes().decode()
    assert "公開薬" in content
    assert "中央病院" in content
    for hidden in ("秘密薬", "隠れ病院", OTHER, "000777"):
        assert hidden not in content
    assert (document.mime_type, document.size) == ("text/xml", len(content.encode()))
    related = query(GET_RELATED, XDSDocumentEntryEntryUUID=entry.entry_uuid, AssociationTypes=IS_SNAPSHOT_OF)
    objects = [read_fragment(each) for each in found(region, related).fragments]
    (snapshot,) = [each for each in objects if isinstance(each, DocumentEntry) and each.unique_id != entry.unique_id]
    assert snapshot.unique_id == document.new_document_unique_id
    kept = read(region, document.new_repository_unique_id, document.new_document_unique_id)
    assert kept.path.read_bytes().decode() == content
    assert kept.new_document_unique_id == ""
    retrieved, again = records("ITI-43")
    assert (retrieved.event_id, retrieved.outcome, retrieved.patient_regional_id) == ("110106", 0, region.regional_id)
    assert b"New Document Unique ID" in bytes(retrieved.message)
    assert b"New Document Unique ID" not in bytes(again.message)


@needs_conformance
@pytest.mark.usefixtures("storages")
def test_the_answer_is_valid_with_its_new_ids(region: Region) -> None:
    region.consent()
    entry = offer(region)
    body = answered(region, entry.repository_unique_id, entry.unique_id).body
    assert violations(body) == []
    names = [each.tag.rpartition("}")[2] for each in body.iter() if isinstance(each.tag, str)]
    assert {"NewRepositoryUniqueId", "NewDocumentUniqueId"} <= set(names)


@pytest.mark.usefixtures("storages")
def test_without_consent_there_is_none(region: Region) -> None:
    assert found(region, find(region.regional_id, Type=ON_DEMAND)).object_refs == ()
    region.consent()
    entry = offer(region)
    read(region, entry.repository_unique_id, entry.unique_id)
    region.consent(permits=False)
    with pytest.raises(ExchangeError) as refused:
        read(region, entry.repository_unique_id, entry.unique_id)
    assert [each.reason for each in refused.value.findings] == [Reason.DOCUMENT_NOT_AVAILABLE]
    assert records("ITI-43")[-1].outcome != 0
    assert found(region, find(region.regional_id)).object_refs == ()


def test_a_storage_that_is_gone_is_named(region: Region, storages: dict[str, Storage]) -> None:
    region.consent()
    Path(storages[OTHER].path).rename(region.directory / "elsewhere")
    assert StorageRoot.objects.count() == 2
    entry = offer(region)
    content = read(region, entry.repository_unique_id, entry.unique_id).path.read_bytes().decode()
    assert "公開薬" in content
    assert "秘密薬" not in content
    assert "隠れ病院" in content
