"""Every published HL7 v3 request of the patient index through the real doors; each answer obeys its schema."""

from __future__ import annotations

import pytest
from lxml import etree

from apps.network.models import AssigningAuthority, Facility
from hie.wire.hl7v3.datatypes import tag
from hie.wire.soap.envelope import SoapBody, SoapMessage
from tests.conformance import CONFORMANCE, needs_conformance
from tests.journeys.soap_region import HOSPITAL, Region, records
from tests.wire.hl7v3.messages import code_at, message_of
from tests.wire.hl7v3.test_acceptance import ALL, REQUESTS

pytestmark = [needs_conformance, pytest.mark.django_db(transaction=True)]

_SCHEMAS = CONFORMANCE / "schema/hl7v3/schema/HL7V3/NE2008/multicacheschemas"
_SERVICE = {"PRPA_IN201305UV02": "pdq"}  # the others are the cross-reference manager's
_ANSWER = {"PRPA_IN201305UV02": "PRPA_IN201306UV02", "PRPA_IN201309UV02": "PRPA_IN201310UV02"}
PUBLISHED = [each for each in ALL if each[1] in REQUESTS]
# (acknowledgement, detail codes) of what is not simply accepted, by the kind of the message: why is said beside it.
EXPECTED = {
    # the patient is not known, the other domains asked for neither
    "translation/pixquery/v3/NistPixpdq_Mesa10501-04_Example_01.xml": ("AE", {"204"}),
    "translation/pixquery/v3/NistPixpdq_Mesa10501-05_Example_01.xml": ("AE", {"204"}),
    "translation/pixquery/v3/NistPixpdq_Mesa10502-03~UnknownId_Example_01.xml": ("AE", {"204"}),
    "translation/pixquery/v3/NistPixpdq_Mesa10503-01~UnknownAssigningAuth_Example_01.xml": ("AE", {"204"}),
    "tutorial-iheclient/PIXv3_QUERY.xml": ("AE", {"204"}),
    # domains whose identifiers are asked for, and that the network does not know
    "iti47/01_PDQQuery1.xml": ("AE", {"204"}),
    "translation/pdq/v3/PDQ.xml": ("AE", {"204"}),
    "translation/pdq/v3/PDQ_Maximal_Query.xml": ("AE", {"204"}),
    # merges of a number that nobody told of
    "translation/pixfeed/v3/PIX_FEED_MERGE_Maximal_Request.xml": ("CE", {"204"}),
    "tutorial-iheclient/PIXv3_FEED_MERGE_Maximal_Request.xml": ("CE", {"204"}),
    "translation/pixsource/v3/A40_Response.xml": ("CE", {"204"}),
    "iti55/iti55-sample-request-deferred.xml": ("AE", {"SYN103"}),  # XCPD's deferred mode
    "validation/iti44-multipatient-request-1.xml": ("CE", {"SYN"}),  # two subjects
    "xsd/prpa-invalid.xml": ("CE", {"SYN105"}),  # not by the schema
}
_ACCEPTED = {"PRPA_IN201305UV02": "AA", "PRPA_IN201309UV02": "AA"}  # feeds: CA


def _authorities(message: SoapMessage) -> set[str]:
    """Every OID that the message gives to identifiers of patients."""
    ids = message.body.iter(tag("id"), tag("value"))
    return {each.get("root") for each in ids if each.get("root") and each.get("extension")}


def _belong_to_the_hospital(oids: set[str]) -> None:
    facility = Facility.objects.get(code=HOSPITAL)
    known = set(AssigningAuthority.objects.values_list("oid", flat=True))
    for oid in sorted(oids - known):
        namespace = f"PUBLISHED{AssigningAuthority.objects.count()}"
        AssigningAuthority.objects.create(oid=oid, namespace=namespace, name="published", facility=facility)


def ask(region: Region, interaction: str, message: SoapMessage) -> SoapMessage:
    """Send it from the hospital's system; the answer, checked against its schema."""
    service, action = _SERVICE.get(interaction, "pix"), f"urn:hl7-org:v3:{interaction}"
    body = SoapBody((etree.tostring(message.body),))
    answered = region.client("hospital", service).call(action, body)
    name = etree.QName(answered.body).localname
    assert name == _ANSWER.get(interaction, "MCCI_IN000002UV01")
    etree.XMLSchema(file=str(_SCHEMAS / f"{name}.xsd")).assertValid(message_of(etree.tostring(answered.body)).body)
    return answered


def said(answered: SoapMessage) -> tuple[str, set[str]]:
    details = answered.body.findall(f"{tag('acknowledgement')}/{tag('acknowledgementDetail')}/{tag('code')}")
    acknowledgement = answered.body.find(tag("acknowledgement"))
    kind = acknowledgement.get("typeCode") or code_at(answered, "acknowledgement", "typeCode")
    return kind, {each.get("code") for each in details}


def test_every_published_request_is_answered_as_stated_and_by_its_schema(region: Region) -> None:
    answers = {}
    for name, interaction, message in PUBLISHED:
        _belong_to_the_hospital(_authorities(message))
        expected = EXPECTED.get(name, (_ACCEPTED.get(interaction, "CA"), set()))
        found = said(ask(region, interaction, message))
        if found != expected:
            answers[name] = found
    assert len(PUBLISHED) > 25
    assert answers == {}
    assert len(records("ITI-44")) >= 12
    assert len(records("ITI-45")) == 5


def test_what_nobody_belongs_to_is_refused_by_the_schema_too(region: Region) -> None:
    for name, interaction, message in PUBLISHED:
        if interaction.startswith("PRPA_IN20130") and interaction not in _ACCEPTED and name not in EXPECTED:
            assert said(ask(region, interaction, message)) == ("CE", {"204"})
