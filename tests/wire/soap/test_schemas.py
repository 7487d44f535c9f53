"""What we write and read, held against the published schemas and samples."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lxml import etree

from hie.wire.saml.assertion import write_assertion
from hie.wire.soap.envelope import SoapBody, read_envelope, write_answer, write_fault, write_request
from hie.wire.soap.faults import SoapFault
from tests.conformance import CONFORMANCE, needs_conformance
from tests.wire.saml.test_assertion import CERTIFICATE, RSA_KEY
from tests.wire.saml.test_assertion import WRITTEN as FULL

pytestmark = needs_conformance

# Without the coded values: their xsi:type names a type of HL7 v3, which the schema of SAML cannot resolve.
SIGNED = write_assertion(replace(FULL, roles=(), purpose_of_use=None), RSA_KEY, CERTIFICATE)

WRITTEN = {
    "request": write_request("urn:a", "http://x/", SoapBody((b"<b/>",)), SIGNED)[0],
    "answer": write_answer("urn:a", "urn:uuid:1", SoapBody((b"<b/>",))),
    "fault": write_fault(SoapFault("Sender", "x", "wsa:One", "wsa:Two", problem_header="To"), "urn:uuid:1"),
    "not understood": write_fault(SoapFault("MustUnderstand", "x", not_understood=("{urn:x}y", "z"))),
    "version": write_fault(SoapFault("VersionMismatch", "x")),
}


@pytest.mark.parametrize("case", WRITTEN)
def test_envelope_obeys_its_schema(case):
    schema = etree.XMLSchema(file=str(CONFORMANCE / "schema/hl7v3/schema/soap-1.2-envelope.xsd"))
    schema.assertValid(etree.fromstring(WRITTEN[case]))


def test_assertion_obeys_its_schema():
    schema = etree.XMLSchema(file=str(CONFORMANCE / "schema/xacml20/schema/sstc-saml-schema-assertion-2.0.xsd"))
    schema.assertValid(etree.fromstring(SIGNED))


SAMPLES = ["iti-42.xml", "iti-42-invalid-token.xml"]


@pytest.mark.parametrize("name", SAMPLES)
def test_envelope_of_another_implementation(name):
    message = read_envelope((CONFORMANCE / "messages/xds-registry-to-fhir" / name).read_bytes())
    assert message.action == "urn:ihe:iti:2007:RegisterDocumentSet-b"
    assert etree.QName(message.body).localname == "SubmitObjectsRequest"
