"""The codec of ITI-62, Remove Metadata (RMD: 3.62): objects leave the registry all together, or none does."""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree

from hie.values.documents import RegistryResult, RemoveObjects
from hie.values.errors import ExchangeError, Finding, Reason
from hie.values.identifiers import is_uuid_urn
from hie.wire.ebxml import register
from hie.wire.ebxml.names import LCM, RIM, rim
from hie.wire.ebxml.structure import findings_of
from hie.wire.soap.envelope import SoapBody, SoapMessage
from hie.wire.xml import escape

_REQUEST = f"{{{LCM}}}RemoveObjectsRequest"
_QUERY, _REFERENCES = rim("AdhocQuery"), f"{rim('ObjectRefList')}/{rim('ObjectRef')}"
_DELETE_ALL = "urn:oasis:names:tc:ebxml-regrep:DeletionScopeType:DeleteAll"


def read_request(message: SoapMessage) -> RemoveObjects:
    """The entryUUIDs in the body, each once and in order; what is wrong stands in ``findings``.

    Raises ExchangeError where the body is no RemoveObjectsRequest.
    """
    request = message.body
    if request.tag != _REQUEST:
        raise ExchangeError(Reason.UNREADABLE, "The body has to be lcm:RemoveObjectsRequest.")
    object_ids = dict.fromkeys((each.get("id") or "").strip() for each in request.iterfind(_REFERENCES))
    findings = list(_judge(request, tuple(object_ids)))
    return RemoveObjects(tuple(object_ids), tuple(findings or findings_of(request)))


def write_response(message: SoapMessage, result: RegistryResult) -> SoapBody:
    """Success: every object that was named is gone."""
    return register.write_response(message, result)


def write_error(message: SoapMessage, error: ExchangeError) -> SoapBody:
    """Failure, with one RegistryError for each finding. Nothing was removed."""
    return register.write_error(message, error)


def write_request(removal: RemoveObjects) -> SoapBody:
    """The request of a client."""
    references = "".join(f'<rim:ObjectRef id="{escape(each)}"/>' for each in removal.object_ids)
    root = "lcm:RemoveObjectsRequest"
    declared = f'xmlns:lcm="{LCM}" xmlns:rim="{RIM}"'
    return SoapBody((f"<{root} {declared}><rim:ObjectRefList>{references}</rim:ObjectRefList></{root}>".encode(),))


def read_response(message: SoapMessage) -> RegistryResult:
    """The answer as a client reads it. A Failure is raised as ExchangeError with its findings."""
    return register.read_response(message)


def _judge(request: etree._Element, object_ids: tuple[str, ...]) -> Iterator[Finding]:
    if request.find(_QUERY) is not None:
        detail = "An AdhocQuery cannot say what is removed; name each object by an ObjectRef."
        yield Finding(Reason.REGISTRY_ERROR, detail, "AdhocQuery")
    if request.get("deletionScope", _DELETE_ALL).strip() != _DELETE_ALL:
        yield Finding(Reason.REGISTRY_ERROR, f"deletionScope has to be {_DELETE_ALL}.", "deletionScope")
    if not object_ids:
        detail = "The ObjectRefList names no object; it has to have an ObjectRef for each that shall be removed."
        yield Finding(Reason.REGISTRY_ERROR, detail, "ObjectRefList")
    for object_id in object_ids:
        if not is_uuid_urn(object_id):
            detail = "ObjectRef/@id has to be the entryUUID of an object, written urn:uuid:."
            yield Finding(Reason.UNRESOLVED_REFERENCE, detail, f"{object_id[:128]}: ObjectRef")
