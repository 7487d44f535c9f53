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
    "translation/pixquery/v3/NistPixpdq_Mesa10502-03~UnknownId_Example_01.xml": ("AE", {"204"}),
    "translation/pixquery/v3/NistPixpdq_Mesa10503-01~UnknownAssigningAuth_Example_01.xml": ("AE", {"204"}),
}


def _authorities(message: SoapMessage) -> set[str]:
    """Every OID that the message gives to identifiers of patients."""
    ids = message.body.iter(tag("id"), tag("value"))
    return {each.get("root") for each in ids if each.get("root") and each.get("extension")}


def _belong_to_the_hospital(oids: set[str]) -> None:
    facility = Facility.objects.get(code=HOSPITAL)
    for number, oid in enumerate(sorted(oids)):
        AssigningAuthority.objects.get_or_create(
            oid=oid, defaults={"namespace": f"PUBLISHED{number}", "name": "published", "facility": facility}
        )


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
    return code_at_type(answered), {each.get("code") for each in details}


def code_at_type(answered: SoapMessage) -> str:
    return answered.body.find(f"{tag('acknowledgement')}").get("typeCode") or code_at(
        answered, "acknowledgement", "typeCode"
    )


@pytest.mark.parametrize(("name", "interaction", "message"), PUBLISHED, ids=[each[0] for each in PUBLISHED])
def test_a_published_request_is_answered_by_its_schema(
    region: Region, name: str, interaction: str, message: SoapMessage
) -> None:
    answered = ask(region, interaction, message)
    print(name, said(answered))
    assert len(records(f"ITI-{ {'PRPA_IN201305UV02': 47, 'PRPA_IN201309UV02': 45}.get(interaction, 44) }")) >= 1
