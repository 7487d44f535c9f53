"""Another system feeds the regional ids over the doors; documents, consent and identity queries follow it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from apps.ids.models import is_provisional
from apps.network.services import add_facility, add_node
from apps.network.services.certificates import issue_certificate
from apps.network.services.members import set_own_rows
from apps.pix.queries import regional_id_of
from apps.ssmix.services import add_storage, scan
from apps.xds.models import DocumentEntry
from hie.exchange.remembered import forget_all
from hie.values.documents import RegistryResult, StoredQuery
from hie.values.errors import ExchangeError
from hie.values.identifiers import AssigningAuthority, Identifier
from hie.values.patients import FeedEvent, PatientFeed
from hie.values.people import Demographics
from hie.wire.ebxml import stored_query
from hie.wire.hl7v3 import patient_feed
from tests.apps.ssmix.storage import Storage
from tests.journeys import mllp, soap_region, test_iti42, test_iti43, test_iti45, v3
from tests.journeys.mllp import answer, cx, errors, header, recorded, said, written
from tests.journeys.soap_region import HOSPITAL, PERSON, Region, running

pytestmark = pytest.mark.django_db(transaction=True)

OFFICE, NODE = "1311239999", "master-index"
DOMAIN = AssigningAuthority("1.2.392.200250.9.1.1")


@pytest.fixture(autouse=True)
def source(settings: Any) -> None:
    settings.AFFINITY_DOMAIN_OID, settings.IDENTITY_SOURCE = DOMAIN.oid, NODE
    settings.CONSENT_DEFAULT, settings.MLLP_PLAIN = "opt-out", True
    set_own_rows()
    add_facility(code=OFFICE, name="連携事務局")
    add_node(facility_code=OFFICE, name=NODE, sending_facility="OFFICE", sending_application="MPI")
    forget_all()


@pytest.fixture
def region(tmp_path: Path, settings: Any) -> Iterator[Region]:
    with running(tmp_path, settings) as region:
        issued = issue_certificate(node_name=NODE)
        (tmp_path / f"{NODE}.pem").write_bytes(issued.certificate + issued.key)
        yield region


def tell(region: Region, event: FeedEvent, value: str, prior: str = "", node: str = NODE) -> None:
    """ITI-44 about a regional id."""
    told = Demographics() if prior else PERSON
    feed = PatientFeed(event, "", "", (Identifier(value, DOMAIN),), told, (Identifier(prior, DOMAIN),) if prior else ())
    body = patient_feed.write_request(feed, v3.DEVICES)
    patient_feed.read_response(v3.call(region, node, "pix", patient_feed.action_of(feed), body))


def found(region: Region, patient: str, node: str = "clinic") -> int:
    """How many documents ITI-18 finds of a patient."""
    cx_of = Identifier(patient, DOMAIN).xds_cx
    query = StoredQuery(
        "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d",
        {"$XDSDocumentEntryPatientId": ((cx_of,),), "$XDSDocumentEntryStatus": ((_APPROVED,),)},
    )
    reply = region.client(node, "registry").call(
        "urn:ihe:iti:2007:RegistryStoredQuery", stored_query.write_request(query)
    )
    return len(stored_query.read_response(reply).fragments)


_APPROVED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"


def test_over_soap_documents_follow_the_ids_that_are_fed(region: Region) -> None:
    with pytest.raises(ExchangeError, match="UNKNOWN_PATIENT"):
        test_iti42.call(region, test_iti42.metadata(region, regional_id="R1"))
    tell(region, FeedEvent.REGISTER, "R1")
    assert test_iti42.call(region, test_iti42.metadata(region, regional_id="R1")) == RegistryResult()
    assert found(region, "R1") == 1
    region.regional_id = "R1"
    region.consent(permits=False)
    assert found(region, "R1") == 0
    tell(region, FeedEvent.REGISTER, "R2")
    tell(region, FeedEvent.MERGE, "R2", prior="R1")
    assert DocumentEntry.objects.get().patient_id == "R2"
    assert (found(region, "R1", "hospital"), found(region, "R2", "hospital"), found(region, "R2")) == (0, 1, 0)
    with pytest.raises(ExchangeError, match="UNKNOWN_PATIENT"):
        test_iti42.call(region, test_iti42.metadata(region, regional_id="R1"))


def test_over_soap_what_a_storage_holds_of_nobody_known_is_seen_by_nobody(region: Region, tmp_path: Path) -> None:
    storage = Storage(tmp_path / "STD01")
    file = storage.write(region.charts[HOSPITAL].value)
    scan(add_storage(facility_code=HOSPITAL, path=str(storage.path), quiet_seconds=0))
    row = DocumentEntry.objects.get()
    assert is_provisional(row.patient_id)
    wanted = (row.repository_unique_id, row.unique_id)
    for node in ("clinic", "hospital"):
        assert _by_uuid(region, node, row) == 0
        with pytest.raises(ExchangeError, match="DOCUMENT_NOT_AVAILABLE"):
            test_iti43.ask(region, wanted, node=node)
    tell(region, FeedEvent.REGISTER, "R1")
    assert DocumentEntry.objects.get().patient_id == "R1"
    for node in ("clinic", "hospital"):
        assert (_by_uuid(region, node, row), found(region, "R1", node)) == (1, 1)
        (document,) = test_iti43.ask(region, wanted, node=node).documents
        assert document.path.read_bytes() == file.read_bytes()


def _by_uuid(region: Region, node: str, row: DocumentEntry) -> int:
    """How many documents GetDocuments finds by an entry UUID."""
    uuids = {"$XDSDocumentEntryEntryUUID": ((row.entry_uuid,),)}
    query = StoredQuery("urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4", uuids)
    reply = region.client(node, "registry").call(
        "urn:ihe:iti:2007:RegistryStoredQuery", stored_query.write_request(query)
    )
    return len(stored_query.read_response(reply).fragments)


def test_over_soap_the_fed_id_is_told_and_asked_with(region: Region) -> None:
    chart = region.charts[HOSPITAL]
    assert test_iti45.ask(region, chart) == ["aa12"]
    tell(region, FeedEvent.REGISTER, "R1")
    assert test_iti45.ask(region, chart) == ["R1", "aa12"]
    assert test_iti45.ask(region, Identifier("R1", DOMAIN), chart.assigning_authority) == ["000111"]


def test_over_soap_nobody_else_feeds_the_domain(region: Region) -> None:
    with pytest.raises(ExchangeError, match="not one that this sender may tell of"):
        tell(region, FeedEvent.REGISTER, "R1", node="hospital")
    assert regional_id_of(Identifier("R1", DOMAIN)) is None
    assert [(each.action, each.outcome) for each in soap_region.records("ITI-44")] == [("C", 4)]


def adt(trigger: str, control_id: str, *segments: str, version: str = "2.3.1") -> bytes:
    first = header(trigger, control_id, version=version).replace("HIS|HOSP1", "MPI|OFFICE")
    return written(first, "EVN||20260401103000+0900", *segments)


def pid(value: str, name: str = "山田^健一^^^^^L^I") -> str:
    return f"PID|1||{value}^^^&{DOMAIN.oid}&ISO||{name}||19410503|M"


def test_over_mllp_merges_and_link_changes_are_obeyed() -> None:
    with mllp.region() as client:
        assert said(answer(client, adt("ADT^A04^ADT_A01", "M1", pid("R1"), "PV1|1|O"))) == "AA"
        assert said(answer(client, adt("ADT^A04^ADT_A01", "M2", pid("R2", "佐藤^花子^^^^^L^I"), "PV1|1|O"))) == "AA"
        link = adt("ADT^A43^ADT_A43", "M3", _moved("R2"), f"MRG|R1^^^&{DOMAIN.oid}&ISO", version="2.5")
        assert said(answer(client, link)) == "AA"
        merge = adt("ADT^A40^ADT_A39", "M4", pid("R2"), f"MRG|R1^^^&{DOMAIN.oid}&ISO")
        assert said(answer(client, merge)) == "AA"
        again = answer(client, merge.replace(b"M4", b"M5"))
        assert (said(again), len(errors(again))) == ("AE", 1)
        unknown = answer(client, link.replace(b"M3", b"M6").replace(b"MRG|R1", b"MRG|R7"))
        assert (said(unknown), errors(unknown)) == ("AE", [("MRG^1^1^1^1", "204")])
        hospital = answer(client, link.replace(b"M3", b"M7").replace(b"MPI|OFFICE", b"HIS|HOSP1"))
        assert said(hospital) == "AR"
    assert regional_id_of(Identifier("R1", DOMAIN)) is None
    assert [(number, action, outcome) for number, action, outcome, _ in recorded()] == [
        ("ITI-8", "C", 0), ("ITI-8", "C", 0), ("ITI-64", "U", 0), ("ITI-64", "U", 0),
        ("ITI-8", "D", 0), ("ITI-8", "U", 0), ("ITI-8", "D", 4), ("ITI-8", "U", 4),
        ("ITI-64", "U", 4), ("ITI-64", "U", 4), ("ITI-64", "U", 8), ("ITI-64", "U", 8),
    ]  # fmt: skip


def _moved(regional_id: str) -> str:
    return f"PID|||{regional_id}^^^&{DOMAIN.oid}&ISO~{cx(mllp.HOSPITAL, '000111')}|| "
