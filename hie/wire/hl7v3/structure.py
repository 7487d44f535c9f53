"""Whether a message to the patient index is built as the schemas of NE2008 say (``hie.wire.structure``).

The table has the wrapper of each interaction and the elements that the codecs read; what stands in any other element,
and in those of a data type, is not judged. Every deviation is told with the XPath of the element.
"""

from __future__ import annotations

from lxml import etree

from hie.values.errors import Finding, Reason
from hie.wire.hl7v3.datatypes import HL7
from hie.wire.hl7v3.wrapper import MOST_FINDINGS
from hie.wire.structure import NIL, Child, Shape, Structure, any_number, at_least_one, at_most_one, one, shape


def _row(*children: Child, required: str = "", optional: str = "") -> Shape:
    """A row, with what every element of HL7 v3 may begin with."""
    first = any_number("realmCode"), at_most_one("typeId"), any_number("templateId")
    return shape(*first, *children, required=required, optional=f"nullFlavor {optional}")


def _each(place: object, names: str) -> tuple[Child, ...]:
    return tuple(place(name) for name in names.split())  # type: ignore[operator]


_HEAD = (
    one("id"),
    one("creationTime"),
    *_each(at_most_one, "securityText versionCode"),
    one("interactionId"),
    any_number("profileId"),
    *_each(one, "processingCode processingModeCode acceptAckCode"),
)
_PARTIES = (
    any_number("attachmentText"),
    at_least_one("receiver"),
    any_number("respondTo"),
    one("sender"),
    any_number("attentionLine"),
)


def _message(control_act: str) -> Shape:
    return _row(*_HEAD, at_most_one("sequenceNumber"), *_PARTIES, one(f"controlActProcess:{control_act}"), **_ROOT)


def _control_act(*content: Child) -> Shape:
    return _row(
        any_number("id"),
        *_each(at_most_one, "code text effectiveTime"),
        *_each(any_number, "priorityCode reasonCode"),
        at_most_one("languageCode"),
        *_each(any_number, "overseer authorOrPerformer dataEnterer informationRecipient"),
        *content,
        required="classCode moodCode",
    )


def _subject(number: str) -> dict[str, Shape]:
    """What stands between a feed's control act and its patient. number: of the interaction."""
    return {
        f"PRPA_IN{number}UV02": _message(f"Feed{number}"),
        f"Feed{number}": _control_act(at_least_one(f"subject:Subject{number}"), any_number("reasonOf")),
        f"Subject{number}": _row(
            one(f"registrationEvent:Event{number}"), required="typeCode", optional="contextConductionInd"
        ),
        f"Event{number}": _row(
            any_number("id"),
            one("statusCode"),
            at_most_one("effectiveTime"),
            one(f"subject1:Registered{number}"),
            at_most_one("author"),
            one("custodian"),
            *_each(any_number, "inFulfillmentOf definition replacementOf"),
            required="classCode moodCode",
        ),
        f"Registered{number}": _row(one(f"patient:Patient{number}"), required="typeCode"),
        f"Patient{number}": _row(
            at_least_one("id"),
            *_each(any_number, "addr telecom"),
            one("statusCode"),
            at_most_one("effectiveTime"),
            any_number("confidentialityCode"),
            at_most_one("veryImportantPersonCode"),
            one("patientPerson", "patientNonPersonLivingSubject"),
            (one if number == _REGISTER else at_most_one)("providerOrganization"),
            *_each(any_number, "subjectOf coveredPartyOf"),
            required="classCode",
        ),
    }


_ROOT = {"required": "ITSVersion"}
_REGISTER = "201301"
_PARAMETERS = (
    "livingSubjectAdministrativeGender livingSubjectBirthPlaceAddress livingSubjectBirthPlaceName"
    " livingSubjectBirthTime livingSubjectDeceasedTime livingSubjectId livingSubjectName mothersMaidenName"
    " otherIDsScopingOrganization patientAddress"
)
_CARE = "principalCareProviderId"

SHAPES: dict[str, Shape] = {
    **_subject(_REGISTER),
    **_subject("201302"),
    **_subject("201304"),
    "patientPerson": _row(
        any_number("id"),
        at_least_one("name"),
        at_most_one("desc"),
        any_number("telecom"),
        *_each(
            at_most_one,
            "administrativeGenderCode birthTime deceasedInd deceasedTime multipleBirthInd multipleBirthOrderNumber"
            " organDonorInd",
        ),
        any_number("addr"),
        *_each(at_most_one, "maritalStatusCode educationLevelCode"),
        any_number("disabilityCode"),
        *_each(at_most_one, "livingArrangementCode religiousAffiliationCode"),
        *_each(
            any_number,
            "raceCode ethnicGroupCode asPatientOfOtherProvider asEmployee asCitizen asStudent asMember asOtherIDs"
            " contactParty guardian personalRelationship careGiver",
        ),
        at_most_one("birthPlace"),
        *_each(any_number, "guarantorRole languageCommunication"),
        optional="classCode determinerCode",
    ),
    "asOtherIDs": _row(
        at_least_one("id"),
        *_each(at_most_one, "statusCode effectiveTime"),
        one("scopingOrganization"),
        required="classCode",
    ),
    "replacementOf": _row(one("priorRegistration"), required="typeCode"),
    "priorRegistration": _row(
        any_number("id"),
        *_each(at_most_one, "statusCode subject1:Prior subject2"),
        required="classCode moodCode",
    ),
    "Prior": _row(one("priorRegisteredRole"), required="typeCode"),
    "priorRegisteredRole": _row(at_least_one("id"), required="classCode"),
    "PRPA_IN201309UV02": _message("CrossReferences"),
    "CrossReferences": _control_act(any_number("reasonOf"), at_most_one("queryByParameter:AskedReferences")),
    "AskedReferences": _row(
        *_each(one, "queryId statusCode"),
        at_most_one("modifyCode"),
        any_number("responseElementGroupId"),
        *_each(at_most_one, "responsePriorityCode executionAndDeliveryTime"),
        one("parameterList:References"),
    ),
    "References": _row(
        at_most_one("id"), any_number("dataSource:Parameter"), at_least_one("patientIdentifier:Parameter")
    ),
    "PRPA_IN201305UV02": _message("Demographics"),
    "Demographics": _control_act(any_number("reasonOf"), at_most_one("queryByParameter:AskedDemographics")),
    "AskedDemographics": _row(
        *_each(one, "queryId statusCode"),
        at_most_one("modifyCode"),
        any_number("responseElementGroupId"),
        *_each(
            at_most_one,
            "responseModalityCode responsePriorityCode initialQuantity initialQuantityCode executionAndDeliveryTime"
            " matchCriterionList",
        ),
        one("parameterList:People"),
        any_number("sortControl"),
    ),
    "matchCriterionList": _row(
        *_each(at_most_one, "id matchAlgorithm:Single matchWeight:Single minimumDegreeMatch:Single")
    ),
    "People": _row(
        at_most_one("id"),
        *(any_number(f"{name}:Parameter") for name in _PARAMETERS.split()),
        any_number("patientStatusCode:Single"),
        any_number("patientTelecom:Parameter"),
        any_number(f"{_CARE}:Care"),
        any_number("principalCareProvisionId:Parameter"),
    ),
    "Parameter": _row(at_least_one("value"), one("semanticsText")),
    "Single": _row(one("value"), one("semanticsText")),
    "Care": _row(at_least_one("value"), at_most_one("semanticsText")),
    "QUQI_IN000003UV01": _row(
        *_HEAD, *_PARTIES, any_number("acknowledgement"), one("controlActProcess:Continuation"), **_ROOT
    ),
    "acknowledgement": _row(
        one("typeCode"),
        *_each(at_most_one, "messageWaitingNumber messageWaitingPriorityCode"),
        one("targetMessage"),
        any_number("acknowledgementDetail"),
    ),
    "targetMessage": _row(one("id")),
    "Continuation": _control_act(any_number("reasonOf"), one("queryContinuation")),
    "queryContinuation": _row(*_each(at_most_one, "queryId startResultNumber continuationQuantity"), one("statusCode")),
    "receiver": _row(at_most_one("telecom"), one("device"), required="typeCode"),
    "sender": _row(at_most_one("telecom"), one("device"), required="typeCode"),
    "device": _row(
        at_least_one("id"),
        any_number("name"),
        *_each(at_most_one, "desc existenceTime"),
        any_number("telecom"),
        *_each(at_most_one, "manufacturerModelName softwareName asAgent"),
        any_number("asLocatedEntity"),
        required="classCode determinerCode",
    ),
}
INTERACTIONS = tuple(name for name in SHAPES if "_IN" in name)
_DATA_TYPES = "AD ANY BL CD CE CS CV ED EN II INT IVL_TS ON PN REAL SC ST TEL TN TS"
STRUCTURE = Structure("HL7 v3", SHAPES, INTERACTIONS, HL7, nulls=frozenset((NIL, "nullFlavor")), types=_DATA_TYPES)


def findings_of(message: etree._Element) -> list[Finding]:
    """What is built otherwise in a message of one of the INTERACTIONS, each at the XPath of the element.

    Those beyond MOST_FINDINGS, which an answer does not list but counts, have no place.
    """
    return [
        Finding(
            Reason.SEGMENT_SEQUENCE,
            f"{each.name} {each.sentence}.",
            _path(each.element, message) if number < MOST_FINDINGS else "",
        )
        for number, each in enumerate(STRUCTURE.deviations(message))
    ]


def _path(element: etree._Element, message: etree._Element) -> str:
    """The XPath of an element below the message, with a number where siblings of its name are before it."""
    steps = []
    while element is not message:
        name = etree.QName(element).localname
        before = int(element.xpath("count(preceding-sibling::*[local-name() = $name])", name=name))  # type: ignore[arg-type]
        steps.append(f"{name}[{before + 1}]" if before else name)
        element = element.getparent()  # type: ignore[assignment]
    return "/".join(("", etree.QName(message).localname, *reversed(steps)))
