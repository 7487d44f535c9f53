"""Every published message of the ebXML family through the real doors; each answer is by the schemas.

That an answer obeys the schemas is judged by the client of ``soap_region``; here stands what it says, and why.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from lxml import etree

from apps.network.queries import facility
from hie.values.documents import RegistryResult
from hie.wire.ebxml import register, stored_query
from hie.wire.ebxml.fragments import read_fragment
from hie.wire.ebxml.names import RS
from hie.wire.ebxml.submission import read_submission
from hie.wire.xml import parse
from tests.apps.xds.samples import cx, get_all
from tests.conformance import CONFORMANCE, needs_conformance
from tests.journeys.soap_region import HOSPITAL, Region

pytestmark = [needs_conformance, pytest.mark.django_db(transaction=True)]

_MESSAGES = CONFORMANCE / "messages"
QUERY = "urn:ihe:iti:2007:RegistryStoredQuery"
SEVERAL = "urn:ihe:iti:2009:MultiPatientStoredQuery"
REGISTER = "urn:ihe:iti:2007:RegisterDocumentSet-b"
PROVIDE = "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b"
UPDATE = "urn:ihe:iti:2010:UpdateDocumentSet"

Said = set[tuple[str, str]]  # (errorCode, location)

# The patients of the messages are known to nobody here, and so are their repositories and the documents they name.
STRANGER: Said = {("XDSUnknownPatientId", "patientId")}
# What ITI-42 has to have, and messages lack that were written for ITI-41; their sourceId is no OID.
OF_ITI_41: Said = {
    ("XDSRegistryMetadataError", place)
    for place in (
        "SubmissionSet01: sourceId",
        "Document01: hash",
        "Document01: size",
        "Document01: repositoryUniqueId",
    )
}
UNRESOLVED: Said = {("UnresolvedReferenceException", "as02: targetObject")}
# Its association has no id, which rim:IdentifiableType requires; its repository is not entered here.
WITHOUT_ID: Said = {
    ("XDSRegistryMetadataError", "Association without id: entryUUID"),
    ("XDSRegistryMetadataError", "urn:uuid:5162d183-cfce-4c7b-be6b-10278f43e542: repositoryUniqueId"),
}
UPDATE_OF_NOTHING: Said = {("UnresolvedReferenceException", "Assoc2: targetObject")}

PUBLISHED: tuple[tuple[str, str, str, Said], ...] = (
    # A quote in the patient id is closed, and more follows: refused as a value, and looked up nowhere.
    ("xds/iti18request.xml", "registry", QUERY, {("XDSRegistryError", "$XDSDocumentEntryPatientId")}),
    ("xds/iti51request.xml", "registry", SEVERAL, set()),
    ("xds/SubmitObjectsRequest_ebrs30.xml", "registry", REGISTER, STRANGER | OF_ITI_41 | UNRESOLVED),
    ("xds/SubmitObjectsRequest_ebrs30_2.xml", "registry", REGISTER, STRANGER | OF_ITI_41 | UNRESOLVED),
    ("xds/SubmitObjectsRequest_ebrs3_extra_metadata.xml", "registry", REGISTER, STRANGER | OF_ITI_41 | UNRESOLVED),
    (
        "xds/submission-set.xml",
        "registry",
        REGISTER,
        STRANGER | {("XDSRegistryMetadataError", "Document01: repositoryUniqueId")},
    ),
    ("xds-registry-to-fhir/iti-42.xml", "registry", REGISTER, STRANGER | WITHOUT_ID),
    ("xds-registry-to-fhir/iti-42-invalid-token.xml", "registry", REGISTER, STRANGER | WITHOUT_ID),
    # Its hash and size are not those of the document that it brings.
    (
        "continua/ProvideAndRegisterDocumentSet.xml",
        "repository",
        PROVIDE,
        STRANGER | {("XDSRepositoryMetadataError", f"Document01: {each}") for each in ("hash", "size")},
    ),
    (
        "xds/SubmitObjectsRequest_ebrs30_update.xml",
        "registry",
        UPDATE,
        STRANGER | UPDATE_OF_NOTHING | {("XDSMetadataUpdateError", "Document01: logicalID")},
    ),
    # The association asks for an update that is another country's own.
    (
        "xds/SubmitObjectsRequest_ebrs30_update_nonstandard_association.xml",
        "registry",
        UPDATE,
        STRANGER
        | {
            (
                "XDSMetadataUpdateOperationError",
                "urn:uuid:8a41c23b-221b-485f-b129-cd3dff8bb7a7: associationType",
            )
        },
    ),
    # Two entries with one logicalID, and one of them is no member of the submission set.
    (
        "xds/SubmitObjectsRequest_ebrs30_update_sameLid.xml",
        "registry",
        UPDATE,
        STRANGER
        | UPDATE_OF_NOTHING
        | {
            ("XDSMetadataUpdateError", "Document02: logicalID"),
            ("XDSMetadataUpdateError", "urn:uuid:3add0984-7adf-4e05-913d-20c65ef6a464: logicalID"),
            ("XDSMetadataAnnotationError", "Document02: HasMember"),
        },
    ),
)


def body_of(name: str) -> bytes:
    """The message, taken out of its envelope where it has one."""
    root = parse((_MESSAGES / name).read_bytes())
    body = root.find("{http://www.w3.org/2003/05/soap-envelope}Body")
    return etree.tostring(root if body is None else body[0])


@pytest.mark.parametrize(("name", "service", "action", "said"), PUBLISHED, ids=[each[0] for each in PUBLISHED])
def test_a_published_message_is_answered_as_stated(
    region: Region, name: str, service: str, action: str, said: Said
) -> None:
    answer = region.client("hospital", service).call(action, body_of(name), mtom=service == "repository")
    errors = answer.body.iter(f"{{{RS}}}RegistryError")
    assert {(each.get("errorCode"), each.get("location")) for each in errors} == said


def test_a_published_submission_of_our_patient_is_registered_with_its_extra_slots(region: Region) -> None:
    """xds/submission-set.xml expects Success: with a patient and a repository that are known here it gets it."""
    hospital = facility(HOSPITAL)
    assert hospital is not None
    published = read_submission(parse(body_of("xds/submission-set.xml")))
    patient = cx(region.regional_id)
    entries = tuple(
        replace(
            each,
            patient_id=patient,
            repository_unique_id=hospital.repository_oid,
            source_patient_id=region.charts[HOSPITAL].xds_cx,
        )
        for each in published.document_entries
    )
    sets = tuple(replace(each, patient_id=patient) for each in published.submission_sets)
    ours = replace(published, submission_sets=sets, document_entries=entries)
    client = region.client("hospital", "registry")
    assert register.read_response(client.call(REGISTER, register.write_request(ours))) == RegistryResult()
    asked = stored_query.write_request(get_all(region.regional_id, leaf_class=True))
    found = [read_fragment(each) for each in stored_query.read_response(client.call(QUERY, asked)).fragments]
    slots = {name for each in found for name, _ in each.extra_slots}
    assert slots == {"urn:nist:extraDESlot", "urn:nist:extraSSSlot", "urn:nist:extraAssocSlot"}


def test_no_published_message_is_forgotten() -> None:
    there = {f"{of}/{each.name}" for of in ("xds", "continua") for each in (_MESSAGES / of).glob("*.xml")}
    there |= {f"xds-registry-to-fhir/{each.name}" for each in (_MESSAGES / "xds-registry-to-fhir").glob("iti-*.xml")}
    assert there - {"continua/HL7_CDA_PHMR_Rich_Rodgers.xml"} == {name for name, *_ in PUBLISHED}, "that is a document"
