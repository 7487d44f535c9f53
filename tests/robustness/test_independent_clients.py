"""Clients that others wrote, over real sockets with mutual TLS: zeep for SOAP, python-hl7 for MLLP."""

from __future__ import annotations

import hl7
import pytest
import requests
import zeep
from hl7.client import MLLPClient
from lxml import etree
from zeep.transports import Transport

from hie.transport.outside import FIND_DOCUMENTS
from hie.values.documents import APPROVED, DEPRECATED
from hie.values.identifiers import Identifier
from tests.conformance import CONFORMANCE, needs_conformance
from tests.region import Region
from tests.robustness.clients import feed_message, submission
from tests.robustness.observing import Watch

WSDL = CONFORMANCE / "schema" / "xds" / "iti18.wsdl"
BINDING = "{urn:ihe:iti:xds-b:2007}DocumentRegistry_Binding_Soap12"
RIM = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"


class Offline(Transport):
    """zeep's transport with our certificate; a description that would have to come from outside is an error."""

    def __init__(self, region: Region, node: str) -> None:
        session = requests.Session()
        credentials = region.credentials(node)
        session.cert = (str(credentials.certificate), str(credentials.key))
        session.verify = str(credentials.authorities)
        session.trust_env = False
        super().__init__(session=session, timeout=30)

    def load(self, url: str) -> bytes:
        assert not url.startswith("http"), f"{url} is not on this machine"
        return super().load(url)


@pytest.fixture(scope="module")
def patient(region: Region) -> Identifier:
    """A patient fed by python-hl7's client over the plain door."""
    member = region.member("hospital")
    watch = Watch(region)
    with MLLPClient("127.0.0.1", region.ports["mllp"]) as client:
        answer = client.send_message(feed_message(member, "77001", control_id="HL7LIB").decode())
    acknowledgement = hl7.parse(answer.strip(b"\x0b\x1c\r").decode())
    assert str(acknowledgement.segment("MSA")[1]) == "AA"
    assert str(acknowledgement.segment("MSA")[2]) == "HL7LIB"
    assert str(acknowledgement.segment("MSH")[9]) == "ACK^A28^ACK"
    assert [(each.transaction, each.outcome, each.caller) for each in watch.records()] == [("ITI-30", 0, "hospital")]
    found = member.regional_id("77001")
    assert found is not None
    return found


def test_python_hl7_reads_our_errors(region: Region) -> None:
    with MLLPClient("127.0.0.1", region.ports["mllp"]) as client:
        answer = client.send_message(
            "MSH|^~\\&|EHR|HOSP|HIE|REGION|20260401||ADT^A28^ADT_A05|E1|P|2.5\rEVN||20260401\rPV1|1|N\r"
        )
    read = hl7.parse(answer.strip(b"\x0b\x1c\r").decode())
    assert str(read.segment("MSA")[1]) == "AE"
    assert str(read.segment("ERR")[2]) == "PID^1"
    assert str(read.segment("ERR")[3][0][0]) == "100"


@needs_conformance
@pytest.mark.parametrize("return_type", ["ObjectRef", "LeafClass"])
def test_zeep_finds_a_document_by_the_published_wsdl(region, patient, tmp_path, return_type):
    member = region.member("hospital")
    sent = submission(member, patient, b"zeep", tmp_path, chart="77001")
    member.provide(sent)
    watch = Watch(region)
    client, service = _client(region, "hospital")
    with client.settings(raw_response=True):  # zeep reads no substitution groups, which rim:Identifiable heads
        answer = service.DocumentRegistry_RegistryStoredQuery(
            ResponseOption={"returnType": return_type, "returnComposedObjects": True},
            AdhocQuery={"id": FIND_DOCUMENTS, "Slot": _slots(patient)},
        )
    body = etree.fromstring(answer.content).find("{http://www.w3.org/2003/05/soap-envelope}Body")[0]
    etree.XMLSchema(etree.parse(WSDL.parent / "schema" / "xds-all-lxml.xsd")).assertValid(body)
    assert body.get("status").endswith("ResponseStatusType:Success")
    assert sent.document_entries[0].entry_uuid in [each.get("id") for each in body.iter(f"{{{RIM}}}*")]
    assert [(each.transaction, each.outcome) for each in watch.records()] == [("ITI-18", 0)]


@needs_conformance
def test_zeep_reads_our_errors_by_the_published_schema(region, patient):
    answer = _client(region, "clinic")[1].DocumentRegistry_RegistryStoredQuery(
        ResponseOption={"returnType": "ObjectRef", "returnComposedObjects": True},
        AdhocQuery={"id": FIND_DOCUMENTS, "Slot": _slots(patient)[:1]},
    )
    assert answer.status.endswith("ResponseStatusType:Failure")
    (error,) = answer.RegistryErrorList.RegistryError
    assert error.errorCode == "XDSStoredQueryMissingParam"
    assert "$XDSDocumentEntryStatus" in error.codeContext


@needs_conformance
def test_zeep_reads_our_faults(region, patient):
    with pytest.raises(zeep.exceptions.Fault, match="switched off"):
        _client(region, "stranger")[1].DocumentRegistry_RegistryStoredQuery(
            ResponseOption={"returnType": "ObjectRef", "returnComposedObjects": True},
            AdhocQuery={"id": FIND_DOCUMENTS, "Slot": _slots(patient)},
        )


def _client(region: Region, node: str):
    client = zeep.Client(str(WSDL), transport=Offline(region, node))
    return client, client.create_service(BINDING, f"https://localhost:{region.ports['https']}/soap/registry")


def _slots(patient: Identifier) -> list[dict]:
    return [
        {"name": "$XDSDocumentEntryPatientId", "ValueList": {"_value_1": [{"Value": f"'{patient.xds_cx}'"}]}},
        {"name": "$XDSDocumentEntryStatus", "ValueList": {"_value_1": [{"Value": f"('{APPROVED}','{DEPRECATED}')"}]}},
    ]
