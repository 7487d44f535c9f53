"""The one table of metadata attributes (ITI TF-3 tables 4.2.3.2-1, 4.2.3.3-1, 4.2.3.4-1 and 4.2.2; decision 0006).

A row says everything the codecs need to know of an attribute: its field in ``hie.values.documents``, where it stands in
ebRIM, how often a submission has to have it, which rule each value obeys, and which stored-query parameters ask
for it. Reading, writing, validating and querying are loops over these rows; none of them knows an attribute by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from hie.values.documents import Association, DocumentEntry, Folder, RegistryObject, SubmissionSet
from hie.wire.ebxml import values
from hie.wire.ebxml.names import ASSOCIATION_TYPE, REGISTRY_PACKAGE_TYPE
from hie.wire.ebxml.values import Rule


class Form(Enum):
    """Where in ebRIM an attribute stands. ``key`` of the row: the name or UUID that singles it out there."""

    SLOT = "Slot"
    NUMBER_SLOT = "Slot with a whole number"
    CODE = "Classification with nodeRepresentation and codingScheme"
    AUTHOR = "Classification with slots"
    EXTERNAL_IDENTIFIER = "ExternalIdentifier"
    XML_ATTRIBUTE = "attribute of the element"
    STATUS = "attribute of the element that may be written short"
    NAME = "Name"
    DESCRIPTION = "Description"
    VERSION = "VersionInfo"
    NODE = "Classification with classificationNode"


class Kind(Enum):
    """How the values of a stored-query parameter are written and compared (ITI TF-2: 3.18.4.1.2.3)."""

    TEXT = "equal"
    CODE = "equal to code^^scheme"
    PATTERN = "LIKE, with % and _"
    TIME_FROM = "at or after"
    TIME_TO = "before"
    PATIENT_ID = "equal, a CX"
    STATUS = "equal, an availabilityStatus; values nobody knows are ignored"
    LEVEL = "1: latest versions only, 2: every version (XDS Metadata Update: 3.18.4.1.2.3.5.1.1)"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of stored queries: its slot name, the field that it restricts, and how.

    repeatable: the field has several values, so that several Slots of this name are ANDed (those inside one are ORed).
    """

    name: str
    field: str
    kind: Kind = Kind.TEXT
    repeatable: bool = False


@dataclass(frozen=True, slots=True)
class Attribute:
    """One row. name: as the Technical Framework calls it, without the object. most: None is unbounded.

    by_repository: a repository fills it in before it registers, so that ITI-41 need not have it.
    """

    field: str
    name: str
    form: Form
    key: str = ""
    least: int = 0
    most: int | None = 1
    rule: Rule | None = None
    by_repository: bool = False
    parameters: tuple[Parameter, ...] = ()


@dataclass(frozen=True, slots=True)
class Model:
    """One kind of object: its value class, its ebRIM element and, of a RegistryPackage, the node that classifies it.

    object_type: the constant objectType that is written; "" where the objectType is an attribute of the object.
    """

    type: type
    name: str
    element: str
    attributes: tuple[Attribute, ...]
    node: str = ""
    object_type: str = ""

    def label(self, attribute: Attribute) -> str:
        """The full name of an attribute: ``XDSDocumentEntry.uniqueId``."""
        return f"XDS{self.name}.{attribute.name}"


def _slot(field: str, name: str, rule: Rule | None = None, *parameters: Parameter, **more: object) -> Attribute:
    return Attribute(field, name, Form.SLOT, str(more.pop("key", name)), rule=rule, parameters=parameters, **more)  # type: ignore[arg-type]


def _code(field: str, name: str, scheme: str, least: int, most: int | None, parameter: str = "") -> Attribute:
    asked = (Parameter(parameter, field, Kind.CODE, repeatable=most is None),) if parameter else ()
    return Attribute(field, name, Form.CODE, f"urn:uuid:{scheme}", least, most, parameters=asked)


def _identifier(field: str, name: str, scheme: str, rule: Rule, *parameters: Parameter) -> Attribute:
    return Attribute(field, name, Form.EXTERNAL_IDENTIFIER, f"urn:uuid:{scheme}", 1, 1, rule, parameters=parameters)


def _times(prefix: str, field: str) -> tuple[Parameter, Parameter]:
    return Parameter(f"{prefix}From", field, Kind.TIME_FROM), Parameter(f"{prefix}To", field, Kind.TIME_TO)


_ID = "entry_uuid"
_HOME = Attribute("home_community_id", "homeCommunityId", Form.XML_ATTRIBUTE, "home", rule=values.home_community_id)


def _logical_id(prefix: str) -> Attribute:
    asked = (Parameter(f"{prefix}LogicalID", "logical_id"),)
    return Attribute("logical_id", "logicalID", Form.XML_ATTRIBUTE, "lid", rule=values.object_id, parameters=asked)


_VERSION = Attribute("version", "version", Form.VERSION, "versionName", rule=values.size)
_TITLE = Attribute("title", "title", Form.NAME, rule=values.title)
_COMMENTS = Attribute("comments", "comments", Form.DESCRIPTION)


def _limited(node: str) -> Attribute:
    return Attribute("limited_metadata", "limitedMetadata", Form.NODE, f"urn:uuid:{node}")


def _entry_uuid(*parameters: Parameter) -> Attribute:
    return Attribute(_ID, "entryUUID", Form.XML_ATTRIBUTE, "id", 1, 1, values.object_id, parameters=parameters)


def _status(parameter: str) -> Attribute:
    asked = (Parameter(parameter, "availability_status", Kind.STATUS),)
    return Attribute(
        "availability_status", "availabilityStatus", Form.STATUS, "status", rule=values.approved, parameters=asked
    )


DOCUMENT_ENTRY = Model(
    DocumentEntry,
    "DocumentEntry",
    "ExtrinsicObject",
    (
        _entry_uuid(Parameter("$XDSDocumentEntryEntryUUID", _ID)),
        _logical_id("$XDSDocumentEntry"),
        _HOME,
        Attribute(
            "object_type",
            "objectType",
            Form.XML_ATTRIBUTE,
            "objectType",
            1,
            parameters=(Parameter("$XDSDocumentEntryType", "object_type"),),
        ),
        _status("$XDSDocumentEntryStatus"),
        Attribute("mime_type", "mimeType", Form.XML_ATTRIBUTE, "mimeType", 1, rule=values.mime_type),
        _slot(
            "creation_time",
            "creationTime",
            values.dtm,
            *_times("$XDSDocumentEntryCreationTime", "creation_time"),
            least=1,
        ),
        _slot("hash", "hash", values.sha1, least=1, by_repository=True),
        _slot("language_code", "languageCode", values.language, least=1),
        _slot("legal_authenticator", "legalAuthenticator", values.xcn),
        _slot("repository_unique_id", "repositoryUniqueId", values.oid, least=1, by_repository=True),
        _slot(
            "service_start_time",
            "serviceStartTime",
            values.dtm,
            *_times("$XDSDocumentEntryServiceStartTime", "service_start_time"),
        ),
        _slot(
            "service_stop_time",
            "serviceStopTime",
            values.dtm,
            *_times("$XDSDocumentEntryServiceStopTime", "service_stop_time"),
        ),
        Attribute("size", "size", Form.NUMBER_SLOT, "size", 1, rule=values.size, by_repository=True),
        _slot("source_patient_id", "sourcePatientId", values.source_cx, least=1),
        _slot("source_patient_info", "sourcePatientInfo", values.source_patient_info, most=None),
        _slot("uri", "URI", values.uri),
        _slot("document_availability", "documentAvailability", values.document_availability),
        _slot(
            "reference_id_list",
            "referenceIdList",
            values.cxi,
            Parameter("$XDSDocumentEntryReferenceIdList", "reference_id_list", Kind.PATTERN, repeatable=True),
            key="urn:ihe:iti:xds:2013:referenceIdList",
            most=None,
        ),
        _TITLE,
        _COMMENTS,
        _VERSION,
        Attribute(
            "authors",
            "author",
            Form.AUTHOR,
            "urn:uuid:93606bcf-9494-43ec-9b4e-a7748d1a838d",
            most=None,
            parameters=(Parameter("$XDSDocumentEntryAuthorPerson", "authors", Kind.PATTERN),),
        ),
        _code("class_code", "classCode", "41a5887f-8865-4c09-adf7-e362475b143a", 1, 1, "$XDSDocumentEntryClassCode"),
        _code(
            "confidentiality_codes",
            "confidentialityCode",
            "f4f85eac-e6cb-4883-b524-f2705394840f",
            1,
            None,
            "$XDSDocumentEntryConfidentialityCode",
        ),
        _code(
            "event_code_list",
            "eventCodeList",
            "2c6b8cb7-8b2a-4051-b291-b1ae6a575ef4",
            0,
            None,
            "$XDSDocumentEntryEventCodeList",
        ),
        _code("format_code", "formatCode", "a09d5840-386c-46f2-b5ad-9c3699a4309d", 1, 1, "$XDSDocumentEntryFormatCode"),
        _code(
            "healthcare_facility_type_code",
            "healthcareFacilityTypeCode",
            "f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1",
            1,
            1,
            "$XDSDocumentEntryHealthcareFacilityTypeCode",
        ),
        _code(
            "practice_setting_code",
            "practiceSettingCode",
            "cccf5598-8b07-4b77-a05e-ae952c785ead",
            1,
            1,
            "$XDSDocumentEntryPracticeSettingCode",
        ),
        _code("type_code", "typeCode", "f0306f51-975f-434e-a61c-c59651d33983", 1, 1, "$XDSDocumentEntryTypeCode"),
        _identifier(
            "patient_id",
            "patientId",
            "58a6f841-87b3-4a3e-92fd-a8ffeff98427",
            values.cx,
            Parameter("$XDSDocumentEntryPatientId", "patient_id", Kind.PATIENT_ID),
        ),
        _identifier(
            "unique_id",
            "uniqueId",
            "2e82c1f6-a085-4c72-9da3-8640a32e42ab",
            values.unique_id,
            Parameter("$XDSDocumentEntryUniqueId", "unique_id"),
        ),
        _limited("ab9b591b-83ab-4d03-8f5d-f93b1fb92e85"),
    ),
)

SUBMISSION_SET = Model(
    SubmissionSet,
    "SubmissionSet",
    "RegistryPackage",
    (
        _entry_uuid(Parameter("$XDSSubmissionSetEntryUUID", _ID)),
        _HOME,
        _status("$XDSSubmissionSetStatus"),
        _slot(
            "submission_time",
            "submissionTime",
            values.dtm,
            *_times("$XDSSubmissionSetSubmissionTime", "submission_time"),
            least=1,
        ),
        _slot(
            "intended_recipients",
            "intendedRecipient",
            values.intended_recipient,
            Parameter("$XDSSubmissionSetIntendedRecipient", "intended_recipients", Kind.PATTERN),
            most=None,
        ),
        _TITLE,
        _COMMENTS,
        Attribute(
            "authors",
            "author",
            Form.AUTHOR,
            "urn:uuid:a7058bb9-b4e4-4307-ba5b-e3f0ab85e12d",
            most=None,
            parameters=(Parameter("$XDSSubmissionSetAuthorPerson", "authors", Kind.PATTERN),),
        ),
        _code(
            "content_type_code",
            "contentTypeCode",
            "aa543740-bdda-424e-8c96-df4873be8500",
            1,
            1,
            "$XDSSubmissionSetContentType",
        ),
        _identifier(
            "patient_id",
            "patientId",
            "6b5aea1a-874d-4603-a4bc-96a0a7b38446",
            values.cx,
            Parameter("$XDSSubmissionSetPatientId", "patient_id", Kind.PATIENT_ID),
        ),
        _identifier(
            "source_id",
            "sourceId",
            "554ac39e-e3fe-47fe-b233-965d2a147832",
            values.oid,
            Parameter("$XDSSubmissionSetSourceId", "source_id"),
        ),
        _identifier(
            "unique_id",
            "uniqueId",
            "96fdda7c-d067-4183-912e-bf5ee74998a8",
            values.oid,
            Parameter("$XDSSubmissionSetUniqueId", "unique_id"),
        ),
        _limited("5003a9db-8d8d-49e6-bf0c-990e34ac7707"),
    ),
    node="urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd",
    object_type=REGISTRY_PACKAGE_TYPE,
)

FOLDER = Model(
    Folder,
    "Folder",
    "RegistryPackage",
    (
        _entry_uuid(Parameter("$XDSFolderEntryUUID", _ID)),
        _logical_id("$XDSFolder"),
        _HOME,
        _status("$XDSFolderStatus"),
        _slot(
            "last_update_time",
            "lastUpdateTime",
            values.dtm_to_the_second,
            *_times("$XDSFolderLastUpdateTime", "last_update_time"),
        ),
        Attribute("title", "title", Form.NAME, least=1, rule=values.title),
        _COMMENTS,
        _VERSION,
        _code("code_list", "codeList", "1ba97051-7806-41a8-a48b-8fce7af683c5", 1, None, "$XDSFolderCodeList"),
        _identifier(
            "patient_id",
            "patientId",
            "f64ffdf0-4b97-4e06-b79f-a52b38ec2f8a",
            values.cx,
            Parameter("$XDSFolderPatientId", "patient_id", Kind.PATIENT_ID),
        ),
        _identifier(
            "unique_id",
            "uniqueId",
            "75df8f67-9973-4fbe-a900-df66cefecc5a",
            values.oid,
            Parameter("$XDSFolderUniqueId", "unique_id"),
        ),
        _limited("2c144a76-29a9-4b7c-af54-b25409fe7d03"),
    ),
    node="urn:uuid:d9d542f3-6cc4-48b6-8870-ea235fbc94c2",
    object_type=REGISTRY_PACKAGE_TYPE,
)

ASSOCIATION = Model(
    Association,
    "Association",
    "Association",
    (
        _entry_uuid(),
        _HOME,
        _status("$XDSAssociationStatus"),
        Attribute(
            "association_type",
            "associationType",
            Form.XML_ATTRIBUTE,
            "associationType",
            1,
            parameters=(Parameter("$AssociationTypes", "association_type"),),
        ),
        Attribute("source_object", "sourceObject", Form.XML_ATTRIBUTE, "sourceObject", 1, rule=values.object_id),
        Attribute("target_object", "targetObject", Form.XML_ATTRIBUTE, "targetObject", 1, rule=values.object_id),
        _slot("submission_set_status", "SubmissionSetStatus"),
        _code("documentation", "associationDocumentation", "abd807a3-4432-4053-87b4-fd82c643d1f3", 0, 1),
    ),
    object_type=ASSOCIATION_TYPE,
)

MODELS = (DOCUMENT_ENTRY, SUBMISSION_SET, FOLDER, ASSOCIATION)
MODEL_OF: dict[type, Model] = {model.type: model for model in MODELS}
PACKAGE_OF_NODE: dict[str, Model] = {model.node: model for model in MODELS if model.node}


def model_of(registry_object: RegistryObject) -> Model:
    """The row group of an object."""
    return MODEL_OF[type(registry_object)]


def attribute(model: Model, field: str) -> Attribute:
    """The row of a field. Raises KeyError where the object has none."""
    for row in model.attributes:
        if row.field == field:
            return row
    raise KeyError(field)
