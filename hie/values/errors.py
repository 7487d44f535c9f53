"""The one error table: a row a reason, a column a dialect.

Sources of the columns: HL7 table 0357 and ITI TF-2 Appendix C.2 (HL7 v2), ITI TF-2 Appendix O (HL7 v3),
ITI TF-3 table 4.2.4.1-2 (registry errors), SOAP 1.2 part 1 section 5.4.6 and ITI TF-2 Appendix V (faults),
RFC 9110 (HTTP status), HL7 FHIR R4 issue-type (OperationOutcome), DICOM PS3.15 A.5.2 (audit outcome).

Code raises ``ExchangeError(Reason.X, detail)``; the codec of the door the message came through writes
the column of its dialect. ``detail`` goes to the sender and into the audit record: it names the field and
the rule, and never carries a patient's data.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True, eq=False)  # two reasons may have the same answers and stay two reasons
class Answers:
    """What one reason is called in each dialect.

    hl7: code of HL7 table 0357; the text follows from the table.
    acknowledgement: MSA-1 and v3 acknowledgement code, ``AE`` (content) or ``AR`` (rejected).
    registry: errorCode of an ebRS RegistryError; of a submission or query at a registry.
    fault: SOAP 1.2 fault code, ``Sender`` or ``Receiver``; used where no application answer is possible.
    http: status code of a REST door, and of an HTTP answer that carries a fault.
    issue: FHIR issue-type code.
    outcome: DICOM EventOutcomeIndicator: 4 minor, 8 serious, 12 major failure.
    """

    hl7: str
    acknowledgement: str
    registry: str
    fault: str
    http: int
    issue: str
    outcome: int


class Reason(Enum):
    """Why a message could not be answered as asked."""

    # name              HL7   ack   registry error                        fault       http issue         outcome
    UNREADABLE = Answers("100", "AR", "XDSRegistryError", "Sender", 400, "structure", 8)
    UNSUPPORTED_MESSAGE = Answers("200", "AR", "XDSRegistryError", "Sender", 400, "not-supported", 8)
    UNSUPPORTED_EVENT = Answers("201", "AR", "XDSRegistryError", "Sender", 400, "not-supported", 8)
    UNSUPPORTED_PROCESSING_ID = Answers("202", "AR", "XDSRegistryError", "Sender", 400, "not-supported", 8)
    UNSUPPORTED_VERSION = Answers("203", "AR", "XDSRegistryError", "Sender", 400, "not-supported", 8)
    SEGMENT_SEQUENCE = Answers("100", "AE", "XDSRegistryError", "Sender", 400, "structure", 8)
    REQUIRED_MISSING = Answers("101", "AE", "XDSRegistryMetadataError", "Sender", 400, "required", 8)
    WRONG_DATA_TYPE = Answers("102", "AE", "XDSRegistryMetadataError", "Sender", 400, "value", 8)
    NOT_IN_TABLE = Answers("103", "AE", "XDSRegistryMetadataError", "Sender", 400, "code-invalid", 8)
    TOO_LARGE = Answers("102", "AR", "XDSRepositoryOutOfResources", "Sender", 413, "too-long", 8)
    UNKNOWN_KEY = Answers("204", "AE", "XDSUnknownPatientId", "Sender", 404, "not-found", 4)
    UNKNOWN_DOMAIN = Answers("204", "AE", "XDSUnknownPatientId", "Sender", 400, "code-invalid", 4)
    DUPLICATE_KEY = Answers("205", "AE", "XDSRegistryError", "Sender", 409, "duplicate", 4)
    MERGE_REFUSED = Answers("204", "AE", "XDSRegistryError", "Sender", 422, "business-rule", 4)
    UNKNOWN_CALLER = Answers("207", "AR", "XDSRegistryError", "Sender", 403, "unknown", 8)
    CALLER_NOT_ENTITLED = Answers("207", "AR", "XDSRegistryError", "Sender", 403, "forbidden", 8)
    SECURITY = Answers("207", "AR", "XDSRegistryError", "Sender", 403, "security", 8)
    BUSY = Answers("207", "AR", "XDSRegistryBusy", "Receiver", 503, "throttled", 8)
    INTERNAL = Answers("207", "AE", "XDSRegistryError", "Receiver", 500, "exception", 12)
    UNKNOWN_ACTION = Answers("200", "AR", "XDSRegistryError", "Sender", 400, "not-supported", 8)
    NATIONAL_NUMBER = Answers("102", "AE", "XDSRegistryMetadataError", "Sender", 422, "business-rule", 8)

    # Subscriptions: faults of WS-BaseNotification 1.3 (ITI TF-2: 3.52.4.1.3). HL7 columns are never read for these.
    INVALID_FILTER = Answers("102", "AE", "XDSRegistryError", "Sender", 400, "invalid", 8)
    TOPIC_DIALECT_UNKNOWN = Answers("103", "AE", "XDSRegistryError", "Sender", 400, "not-supported", 8)
    INVALID_TOPIC = Answers("103", "AE", "XDSRegistryError", "Sender", 400, "value", 8)
    TOPIC_NOT_SUPPORTED = Answers("103", "AE", "XDSRegistryError", "Sender", 400, "not-supported", 8)
    TERMINATION_TIME = Answers("102", "AE", "XDSRegistryError", "Sender", 400, "value", 8)
    SUBSCRIPTION_POLICY = Answers("102", "AE", "XDSRegistryError", "Sender", 400, "not-supported", 8)
    POLICY_NOT_SUPPORTED = Answers("102", "AE", "XDSRegistryError", "Sender", 400, "not-supported", 8)
    SUBSCRIPTION_REFUSED = Answers("207", "AE", "XDSRegistryError", "Sender", 400, "processing", 8)
    UNKNOWN_SUBSCRIPTION = Answers("204", "AE", "XDSRegistryError", "Sender", 404, "not-found", 4)
    SUBSCRIPTION_KEPT = Answers("207", "AE", "XDSRegistryError", "Receiver", 500, "processing", 8)

    # Registry and repository: ITI TF-3 table 4.2.4.1-2. HL7 columns are never read for these.
    MISSING_DOCUMENT = Answers("101", "AE", "XDSMissingDocument", "Sender", 400, "required", 8)
    MISSING_DOCUMENT_METADATA = Answers("101", "AE", "XDSMissingDocumentMetadata", "Sender", 400, "required", 8)
    REGISTRY_ERROR = Answers("207", "AE", "XDSRegistryError", "Sender", 400, "processing", 8)
    REPOSITORY_ERROR = Answers("207", "AE", "XDSRepositoryError", "Receiver", 500, "processing", 8)
    DUPLICATE_ID_IN_MESSAGE = Answers(
        "205", "AE", "XDSRegistryDuplicateUniqueIdInMessage", "Sender", 400, "duplicate", 8
    )
    DUPLICATE_ID_IN_REGISTRY = Answers("205", "AE", "XDSDuplicateUniqueIdInRegistry", "Sender", 409, "duplicate", 8)
    NON_IDENTICAL_HASH = Answers("205", "AE", "XDSNonIdenticalHash", "Sender", 409, "conflict", 8)
    NON_IDENTICAL_SIZE = Answers("205", "AE", "XDSNonIdenticalSize", "Sender", 409, "conflict", 8)
    METADATA = Answers("102", "AE", "XDSRegistryMetadataError", "Sender", 400, "invariant", 8)
    REPOSITORY_METADATA = Answers("102", "AE", "XDSRepositoryMetadataError", "Sender", 400, "invariant", 8)
    TOO_MANY_RESULTS = Answers("207", "AE", "XDSTooManyResults", "Sender", 413, "too-costly", 4)
    UNKNOWN_PATIENT = Answers("204", "AE", "XDSUnknownPatientId", "Sender", 404, "not-found", 4)
    PATIENT_MISMATCH = Answers("204", "AE", "XDSPatientIdDoesNotMatch", "Sender", 400, "invariant", 8)
    UNKNOWN_QUERY = Answers("200", "AE", "XDSUnknownStoredQuery", "Sender", 400, "not-supported", 8)
    QUERY_PARAMETER_MISSING = Answers("101", "AE", "XDSStoredQueryMissingParam", "Sender", 400, "required", 8)
    QUERY_PARAMETER_NUMBER = Answers("102", "AE", "XDSStoredQueryParamNumber", "Sender", 400, "value", 8)
    DEPRECATED_DOCUMENT = Answers("204", "AE", "XDSRegistryDeprecatedDocumentError", "Sender", 409, "conflict", 8)
    UNRESOLVED_REFERENCE = Answers("204", "AE", "UnresolvedReferenceException", "Sender", 404, "not-found", 8)
    UNKNOWN_REPOSITORY = Answers("204", "AE", "XDSUnknownRepositoryId", "Sender", 404, "not-found", 8)
    DOCUMENT_NOT_AVAILABLE = Answers("204", "AE", "XDSDocumentUniqueIdError", "Sender", 404, "not-found", 4)
    NOT_ONE_PATIENT = Answers("207", "AE", "XDSResultNotSinglePatient", "Sender", 403, "business-rule", 4)
    UNKNOWN_COMMUNITY = Answers("204", "AE", "XDSUnknownCommunity", "Sender", 404, "not-found", 4)
    MISSING_COMMUNITY = Answers("101", "AE", "XDSMissingHomeCommunityId", "Sender", 400, "required", 8)

    # Update and removal: the rows of the same table that ITI-57, 92, 62 and 86 answer with.
    METADATA_UPDATE = Answers("207", "AE", "XDSMetadataUpdateError", "Sender", 400, "business-rule", 8)
    UPDATE_OPERATION = Answers("200", "AE", "XDSMetadataUpdateOperationError", "Sender", 400, "not-supported", 8)
    VERSION_CONFLICT = Answers("205", "AE", "XDSMetadataVersionError", "Sender", 409, "conflict", 8)
    PATIENT_RECONCILIATION = Answers("204", "AE", "XDSPatientIDReconciliationError", "Sender", 409, "conflict", 8)
    IDENTIFIER_CONFLICT = Answers("205", "AE", "XDSMetadataIdentifierError", "Sender", 409, "conflict", 8)
    OBJECT_TYPE = Answers("103", "AE", "XDSObjectTypeError", "Sender", 400, "not-supported", 8)
    INITIAL_VERSION = Answers("200", "AE", "XDSInvalidRequestException", "Sender", 400, "business-rule", 8)
    UNMODIFIABLE = Answers("207", "AE", "UnmodifiableMetadataError", "Sender", 422, "business-rule", 8)
    LOCAL_POLICY = Answers("207", "AE", "LocalPolicyRestrictionError", "Sender", 403, "forbidden", 8)
    UPDATE_ANNOTATION = Answers("207", "AE", "XDSMetadataAnnotationError", "Sender", 400, "invariant", 8)
    REFERENCES_EXIST = Answers("207", "AE", "ReferencesExistException", "Sender", 409, "conflict", 8)
    UNREFERENCED_OBJECT = Answers("207", "AE", "XDSUnreferencedObjectException", "Sender", 409, "conflict", 8)
    DOCUMENT_NOT_REMOVED = Answers("207", "AE", "XDSRemoveDocumentsError", "Receiver", 500, "processing", 8)
    REGISTRY_NOT_AVAILABLE = Answers("207", "AE", "XDSRegistryNotAvailable", "Receiver", 503, "transient", 8)
    INVALID_DOCUMENT_CONTENT = Answers("102", "AE", "InvalidDocumentContent", "Sender", 422, "invalid", 8)

    # Warnings: they accompany a success and change nothing else.
    EXTRA_METADATA_NOT_SAVED = Answers("0", "AA", "XDSExtraMetadataNotSaved", "Sender", 200, "informational", 0)


HL7_TABLE_0357 = {
    "0": "Message accepted",
    "100": "Segment sequence error",
    "101": "Required field missing",
    "102": "Data type error",
    "103": "Table value not found",
    "200": "Unsupported message type",
    "201": "Unsupported trigger event",  # as ITI TF-2: C.2.3 has it
    "202": "Unsupported processing id",
    "203": "Unsupported version id",
    "204": "Unknown key identifier",
    "205": "Duplicate key identifier",
    "206": "Application record locked",
    "207": "Application internal error",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong with one place of a message.

    detail: a sentence that tells the sender what to change; no patient data.
    location: where, in the dialect's own notation (``PID^1^3^1^4``; an XPath; ``<object id>: <slot>``), or "".
    """

    reason: Reason
    detail: str
    location: str = ""


class ExchangeError(Exception):
    """A message cannot be answered as asked. Carries one or more findings, the weightiest first."""

    def __init__(self, reason: Reason, detail: str, location: str = "") -> None:
        super().__init__(f"{reason.name}: {detail}")
        self.findings: tuple[Finding, ...] = (Finding(reason, detail, location),)

    @classmethod
    def of(cls, findings: list[Finding] | tuple[Finding, ...]) -> ExchangeError:
        """Make one error of all findings of a message (at least one)."""
        first = findings[0]
        error = cls(first.reason, first.detail, first.location)
        error.findings = tuple(findings)
        return error

    @property
    def reason(self) -> Reason:
        return self.findings[0].reason

    @property
    def detail(self) -> str:
        return self.findings[0].detail
