"""Whatever a schema of document sharing refuses of a request is refused by us, and the other way round."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import pytest
from lxml import etree

from hie.values.errors import ExchangeError, Finding
from hie.wire.ebxml import multi_patient_query, remove_documents, remove_metadata, retrieve, stored_query
from hie.wire.ebxml.names import LCM, QUERY, RIM, RMD, RS, XDSB
from hie.wire.ebxml.structure import STRUCTURE, findings_of
from hie.wire.ebxml.submission import read_submission, write_submission
from hie.wire.soap.envelope import SoapMessage
from tests.apps.xds.samples import entry, folder, member, submission
from tests.conformance import needs_conformance
from tests.wire.ebxml.messages import message_of, schema
from tests.wire.ebxml.messages import sample as message_of_sample
from tests.wire.mutations import add_attribute, changed, drop, extended, move, repeat

WHOLE = "1.2.3"


def sample() -> etree._Element:
    """A submission with every kind of object."""
    its_folder, document = folder(WHOLE), entry(WHOLE, comments="a", service_start_time="2026")
    membership = member(its_folder.entry_uuid, document.entry_uuid)
    return etree.fromstring(
        write_submission(submission(WHOLE, document, folders=(its_folder,), associations=(membership,)))
    )


# docs/conformance.md: ebRIM 3.0.
TOLERATED = {"drop Association/@id", "drop Classification/@id", "drop ExternalIdentifier/@id"}

_NAMES = f'xmlns:query="{QUERY}" xmlns:rim="{RIM}" xmlns:rs="{RS}" xmlns:lcm="{LCM}" xmlns:x="{XDSB}"'
_SLOT = '<rim:Slot name="$a" slotType="b"><rim:ValueList><rim:Value>1</rim:Value></rim:ValueList></rim:Slot>'
_DOCUMENTS = (
    "<x:DocumentRequest><x:HomeCommunityId>urn:oid:1.2</x:HomeCommunityId><x:RepositoryUniqueId>1.2"
    "</x:RepositoryUniqueId><x:DocumentUniqueId>1.2.3</x:DocumentUniqueId></x:DocumentRequest>" * 2
)
_SLOTS = f"<rs:RequestSlotList>{_SLOT}</rs:RequestSlotList>"
REQUESTS = {
    "ITI-18": f"""<query:AdhocQueryRequest {_NAMES} id="a" comment="b" federated="false" federation="c" startIndex="0"
        maxResults="-1">{_SLOTS}<query:ResponseOption returnType="LeafClass" returnComposedObjects="true"/>
        <rim:AdhocQuery id="urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d" home="urn:oid:1.2">{_SLOT}<rim:Name>
        <rim:LocalizedString value="a" charset="UTF-8" xml:lang="ja"/></rim:Name><rim:Description/>
        <rim:VersionInfo versionName="1"/></rim:AdhocQuery></query:AdhocQueryRequest>""",
    "ITI-43": f"<x:RetrieveDocumentSetRequest {_NAMES}>{_DOCUMENTS}</x:RetrieveDocumentSetRequest>",
    "ITI-62": f"""<lcm:RemoveObjectsRequest {_NAMES} id="a" comment="b" deletionScope="c">{_SLOTS}
        <rim:AdhocQuery id="urn:uuid:1"/><rim:ObjectRefList><rim:ObjectRef id="urn:uuid:2" home="urn:oid:1.2"
        createReplica="false">{_SLOT}</rim:ObjectRef><rim:ObjectRef id="urn:uuid:3"/></rim:ObjectRefList>
        </lcm:RemoveObjectsRequest>""",
    "ITI-86": f'<r:RemoveDocumentsRequest xmlns:r="{RMD}" {_NAMES}>{_DOCUMENTS}</r:RemoveDocumentsRequest>',
}
SAMPLES = {"ITI-42": sample()} | {name: etree.fromstring(written) for name, written in REQUESTS.items()}
LEAST = {"ITI-42": 80, "ITI-18": 40, "ITI-43": 15, "ITI-62": 30, "ITI-86": 15}


def against_schema(request: etree._Element) -> bool:
    """Whether the published schema takes it. That of ITI-86, which is not at hand, has the type of ITI-43's request."""
    copy = deepcopy(request)
    if copy.tag == f"{{{RMD}}}RemoveDocumentsRequest":
        copy.tag = f"{{{XDSB}}}RetrieveDocumentSetRequest"
    return schema().validate(copy)


@needs_conformance
@pytest.mark.parametrize("name", SAMPLES)
def test_what_the_schema_refuses_is_refused_with_the_name_of_the_element(name: str) -> None:
    assert against_schema(SAMPLES[name])
    refused = 0
    for what, request in changed(SAMPLES[name]):
        found = findings_of(request)
        if what in TOLERATED:
            assert not found, what
            continue
        assert against_schema(request) is not bool(found), what
        refused += bool(found)
    assert refused > LEAST[name]


@pytest.mark.parametrize("name", SAMPLES)
def test_the_samples_are_as_they_should_be(name: str) -> None:
    assert STRUCTURE.fits(SAMPLES[name])  # the quick way, which nearly all take
    assert findings_of(SAMPLES[name]) == []
    assert findings_of(extended(SAMPLES[name])) == []
    if name == "ITI-42":
        assert read_submission(SAMPLES[name]).findings == ()


@pytest.mark.parametrize(
    ("name", "path", "how", "sentence"),
    [
        ("ITI-42", ".//{*}ExtrinsicObject/{*}Name", move, "ExtrinsicObject has Name at a place"),
        ("ITI-42", ".//{*}ExternalIdentifier", add_attribute, "ExternalIdentifier has no attribute other"),
        ("ITI-42", ".//{*}Slot/{*}ValueList", drop, "Slot has to have a ValueList"),
        ("ITI-42", ".//{*}ExternalIdentifier", lambda each: each.attrib.pop("registryObject"), "attribute registryO"),
        ("ITI-18", "{*}ResponseOption", move, "AdhocQueryRequest has ResponseOption at a place"),
        (
            "ITI-18",
            "{*}AdhocQuery/{*}Slot",
            lambda each: each.attrib.pop("name"),
            "Slot has to have the attribute",
        ),
        ("ITI-43", "{*}DocumentRequest/{*}HomeCommunityId", move, "the order is: HomeCommunityId"),
        ("ITI-62", "{*}ObjectRefList", repeat, "RemoveObjectsRequest has ObjectRefList at a place"),
        ("ITI-86", "{*}DocumentRequest/{*}DocumentUniqueId", drop, "DocumentRequest has to have a DocumentUniqueId"),
    ],
)
def test_the_sender_is_told_what_to_change(name: str, path: str, how: object, sentence: str) -> None:
    request = deepcopy(SAMPLES[name])
    element = request.find(path)
    assert element is not None
    how(element)  # type: ignore[operator]
    assert any(sentence in each.detail for each in findings_of(request))


READ = {
    ("ITI-18", "find-documents.xml"): stored_query.read_request,
    ("ITI-51", "find-documents.xml"): multi_patient_query.read_request,
    ("ITI-43", "two-documents.xml"): retrieve.read_request,
    ("ITI-62", "remove.xml"): remove_metadata.read_request,
    ("ITI-86", "remove.xml"): remove_documents.read_request,
}


@needs_conformance
@pytest.mark.parametrize(("transaction", "name"), READ)
def test_the_codecs_refuse_what_the_schema_refuses(transaction: str, name: str) -> None:
    """Under a name of their dialect, whether the finding is of the structure or of what was read."""
    whole = message_of_sample(f"{transaction}/{name}").body
    for what, request in changed(whole):
        if not against_schema(request):
            assert _refusal(READ[transaction, name], request), what


def _refusal(read: Callable[[SoapMessage], object], request: etree._Element) -> tuple[Finding, ...]:
    try:
        found = read(message_of(request))
    except ExchangeError as error:
        return error.findings
    return getattr(found, "findings", ())
