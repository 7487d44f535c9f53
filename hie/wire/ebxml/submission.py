"""Submissions: ``lcm:SubmitObjectsRequest`` to and from ``Submission`` (ITI TF-3: 4.2.1.4; ITI TF-2: 3.42.4.1.2)."""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree

from hie.values.documents import Association, DocumentEntry, Folder, RegistryObject, Submission, SubmissionSet
from hie.values.errors import ExchangeError, Finding, Reason
from hie.wire.ebxml.attributes import MODELS, PACKAGE_OF_NODE, Model
from hie.wire.ebxml.fragments import write_fragment
from hie.wire.ebxml.names import LCM, RIM, RS, rim
from hie.wire.ebxml.reading import CLASSIFICATION, EXTERNAL_IDENTIFIER, read_object, uuid_of
from hie.wire.ebxml.structure import findings_of
from hie.wire.ebxml.values import home_community_id

SUBMIT_OBJECTS_REQUEST = f"{{{LCM}}}SubmitObjectsRequest"
_REQUEST_SLOTS, _HOME_SLOT = f"{{{RS}}}RequestSlotList", "homeCommunityId"
_OBJECT_LIST, _PACKAGE, _OBJECT_REF = rim("RegistryObjectList"), rim("RegistryPackage"), rim("ObjectRef")
_MODEL_OF_TAG: dict[str, Model] = {rim(model.element): model for model in MODELS if not model.node}


def read_submission(request: etree._Element) -> Submission:
    """The submission in a SubmitObjectsRequest, without contents. ``findings`` has everything that reading found wrong,
    and where that is nothing, in what it is built otherwise than ebRIM says.

    Raises ExchangeError where the element is no SubmitObjectsRequest with a RegistryObjectList.
    """
    objects = request.find(_OBJECT_LIST) if request.tag == SUBMIT_OBJECTS_REQUEST else None
    if objects is None:
        raise ExchangeError(Reason.UNREADABLE, "The body has to be lcm:SubmitObjectsRequest with a RegistryObjectList.")
    findings = _target_community(request)
    read: dict[type, list[RegistryObject]] = {model.type: [] for model in MODELS}
    for element, model, beside in _objects_of(objects, findings):
        read[model.type].append(read_object(element, model, findings, beside))
    return Submission(
        submission_sets=tuple(read[SubmissionSet]),  # type: ignore[arg-type]
        document_entries=tuple(read[DocumentEntry]),  # type: ignore[arg-type]
        folders=tuple(read[Folder]),  # type: ignore[arg-type]
        associations=tuple(read[Association]),  # type: ignore[arg-type]
        findings=tuple(findings or findings_of(request)),
    )


def write_submission(submission: Submission) -> bytes:
    """The submission as one lcm:SubmitObjectsRequest that declares its own namespaces."""
    objects: tuple[RegistryObject, ...] = (
        *submission.submission_sets,
        *submission.document_entries,
        *submission.folders,
        *submission.associations,
    )
    inside = b"".join(write_fragment(each) for each in objects)
    return b"".join(
        (
            f'<lcm:SubmitObjectsRequest xmlns:lcm="{LCM}" xmlns:rim="{RIM}"><rim:RegistryObjectList>'.encode(),
            inside,
            b"</rim:RegistryObjectList></lcm:SubmitObjectsRequest>",
        )
    )


def _target_community(request: etree._Element) -> list[Finding]:
    """A community that the submission is addressed to (ITI TF-2: 3.41.4.1.2, 3.80): read for its spelling alone."""
    slots = request.iterfind(f"{_REQUEST_SLOTS}/{rim('Slot')}[@name='{_HOME_SLOT}']")
    values = [(value.text or "").strip() for slot in slots for value in slot.iter(rim("Value"))]
    return [
        Finding(Reason.METADATA, f"The Slot {_HOME_SLOT} of the request {said}.", f"RequestSlotList: {_HOME_SLOT}")
        for value in values
        if (said := home_community_id(value))
    ]


def _objects_of(
    objects: etree._Element, findings: list[Finding]
) -> Iterator[tuple[etree._Element, Model, list[etree._Element]]]:
    """Each object with its row group and the classifications and identifiers that stand beside it."""
    beside: dict[str, list[etree._Element]] = {}
    elements = []
    for child in objects.iterchildren():
        if child.tag in (CLASSIFICATION, EXTERNAL_IDENTIFIER):
            owner = child.get("classifiedObject") or child.get("registryObject") or ""
            beside.setdefault(owner.strip(), []).append(child)
        elif child.tag in _MODEL_OF_TAG or child.tag == _PACKAGE:
            elements.append(child)
        elif child.tag != _OBJECT_REF:
            _say(findings, etree.QName(child).localname, "is no object of document sharing; leave it out", child)
    for element in elements:
        belongs = beside.pop((element.get("id") or "").strip(), [])
        model = _MODEL_OF_TAG.get(str(element.tag)) or _package_model(element, belongs, findings)
        if model is not None:
            yield element, model, belongs
    for strays in beside.values():
        for stray in strays:
            _say(findings, etree.QName(stray).localname, "has to name an object of this submission", stray)


def _package_model(package: etree._Element, beside: list[etree._Element], findings: list[Finding]) -> Model | None:
    """Whether a RegistryPackage is a SubmissionSet or a Folder: said by one Classification inside or beside it."""
    nodes = {
        uuid_of(each.get("classificationNode"))
        for each in (*package.iterchildren(CLASSIFICATION), *beside)
        if each.tag == CLASSIFICATION
    }
    models = [model for node, model in PACKAGE_OF_NODE.items() if node in nodes]
    if len(models) == 1:
        return models[0]
    said = "has to be classified as a SubmissionSet or as a Folder, by one Classification with a classificationNode"
    _say(findings, "RegistryPackage", said, package)
    return None


def _say(findings: list[Finding], what: str, sentence: str, element: etree._Element) -> None:
    object_id = (element.get("id") or "without id").strip()[:128]
    findings.append(Finding(Reason.METADATA, f"{what} {object_id} {sentence}.", f"{object_id}: {what}"))
