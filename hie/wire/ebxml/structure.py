"""Whether a body of document sharing is built as ebRIM and ebRS 3.0 and XDS.b say (``hie.wire.structure``).

The table has a row for each element that a request may hold: what it may have inside, in order, and its attributes.
Values are judged elsewhere (``reading``, ``validation``). Every deviation is one sentence that names the element, so
that a sender learns what its own schema would have told it.
"""

from __future__ import annotations

from lxml import etree

from hie.values.errors import Finding, Reason
from hie.wire.ebxml.names import LCM, QUERY, RIM, RMD, RS, XDSB, XML_LANG
from hie.wire.structure import Shape, Structure, any_number, at_least_one, at_most_one, one, shape

_SLOTS = any_number("Slot")
_OBJECT = (
    _SLOTS,
    at_most_one("Name"),
    at_most_one("Description"),
    at_most_one("VersionInfo"),
    any_number("Classification"),
    any_number("ExternalIdentifier"),
)
_REQUEST_SLOTS, _REQUEST = at_most_one("RequestSlotList"), "id comment"
_IDS = "home lid objectType status"
_LANG = XML_LANG
# An Association, Classification or ExternalIdentifier without id is no matter of structure: some senders leave it out.
# What a registry object list holds in document sharing; that anything else is no object of it is said where it is read.
_OBJECTS = ("ExtrinsicObject", "RegistryPackage", "Association", "Classification", "ExternalIdentifier", "ObjectRef")

SHAPES: dict[str, Shape] = {
    "RequestSlotList": shape(_SLOTS),
    "RegistryObjectList": shape(any_number(*_OBJECTS)),
    "ExtrinsicObject": shape(
        *_OBJECT, at_most_one("ContentVersionInfo"), required="id", optional=f"{_IDS} mimeType isOpaque"
    ),
    "RegistryPackage": shape(*_OBJECT, at_most_one("RegistryObjectList"), required="id", optional=_IDS),
    "Association": shape(*_OBJECT, required="associationType sourceObject targetObject", optional=f"id {_IDS}"),
    "Classification": shape(
        *_OBJECT,
        required="classifiedObject",
        optional=f"id {_IDS} classificationScheme classificationNode nodeRepresentation",
    ),
    "ExternalIdentifier": shape(*_OBJECT, required="registryObject identificationScheme value", optional=f"id {_IDS}"),
    "ObjectRef": shape(_SLOTS, required="id", optional="home createReplica"),
    "Slot": shape(one("ValueList"), required="name", optional="slotType"),
    "ValueList": shape(any_number("Value")),
    "Value": shape(text=True),
    "Name": shape(any_number("LocalizedString")),
    "Description": shape(any_number("LocalizedString")),
    "LocalizedString": shape(required="value", optional=f"charset {_LANG}"),
    "VersionInfo": shape(optional="versionName comment"),
    "ContentVersionInfo": shape(optional="versionName comment"),
    "AdhocQuery": shape(*_OBJECT, at_most_one("QueryExpression"), required="id", optional=_IDS),
    "ObjectRefList": shape(any_number("ObjectRef")),
    "ResponseOption": shape(optional="returnType returnComposedObjects"),
    "DocumentRequest": shape(at_most_one("HomeCommunityId"), one("RepositoryUniqueId"), one("DocumentUniqueId")),
    "HomeCommunityId": shape(text=True),
    "RepositoryUniqueId": shape(text=True),
    "DocumentUniqueId": shape(text=True),
    "SubmitObjectsRequest": shape(_REQUEST_SLOTS, one("RegistryObjectList"), optional=_REQUEST),
    "AdhocQueryRequest": shape(
        _REQUEST_SLOTS,
        one("ResponseOption"),
        one("AdhocQuery"),
        optional=f"{_REQUEST} federated federation startIndex maxResults",
    ),
    "RemoveObjectsRequest": shape(
        _REQUEST_SLOTS, at_most_one("AdhocQuery"), at_most_one("ObjectRefList"), optional=f"{_REQUEST} deletionScope"
    ),
    "RetrieveDocumentSetRequest": shape(at_least_one("DocumentRequest")),
    "RemoveDocumentsRequest": shape(at_least_one("DocumentRequest")),
}
# A request -> under which name its registry or repository answers that it is built otherwise.
_REASONS = {
    "SubmitObjectsRequest": Reason.METADATA,
    "AdhocQueryRequest": Reason.REGISTRY_ERROR,
    "RemoveObjectsRequest": Reason.REGISTRY_ERROR,
    "RetrieveDocumentSetRequest": Reason.REPOSITORY_ERROR,
    "RemoveDocumentsRequest": Reason.REPOSITORY_ERROR,
}
_NAMESPACES = {
    "RequestSlotList": RS,
    "SubmitObjectsRequest": LCM,
    "RemoveObjectsRequest": LCM,
    "AdhocQueryRequest": QUERY,
    "ResponseOption": QUERY,
    "RetrieveDocumentSetRequest": XDSB,
    "DocumentRequest": XDSB,
    "HomeCommunityId": XDSB,
    "RepositoryUniqueId": XDSB,
    "DocumentUniqueId": XDSB,
    "RemoveDocumentsRequest": RMD,
}
_FILTER = "AdhocQuery"  # of a subscription (ITI TF-2: 3.52): there it stands alone
STRUCTURE = Structure("ebRIM", SHAPES, (*_REASONS, _FILTER), RIM, _NAMESPACES)


def findings_of(request: etree._Element) -> list[Finding]:
    """What is built otherwise in one of the requests, or in the filter of a subscription, and of which object."""
    return [
        Finding(
            _REASONS.get(etree.QName(request).localname, Reason.INVALID_FILTER),
            f"{each.name} {each.sentence}.",
            f"{each.inside or 'without id'}: {each.name}",
        )
        for each in STRUCTURE.deviations(request)
    ]
