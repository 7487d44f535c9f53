"""DocumentEntry, SubmissionSet, Folder, Association (ITI TF-3: 4.2), and what is asked of them.

Attribute names are the Technical Framework's in snake case. Times are HL7 DTM in UTC as text, codes are ``Code``.
Patient ids are in the XDS form of CX (``Identifier.xds_cx``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal, Protocol

from hie.values.codes import Code
from hie.values.errors import Finding

APPROVED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"
DEPRECATED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Deprecated"
STABLE = "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1"
ON_DEMAND = "urn:uuid:34268e47-fdf5-41a6-ba33-82133c465248"
ONLINE = "urn:ihe:iti:2010:DocumentAvailability:Online"
OFFLINE = "urn:ihe:iti:2010:DocumentAvailability:Offline"

HAS_MEMBER = "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember"
RPLC = "urn:ihe:iti:2007:AssociationType:RPLC"
APND = "urn:ihe:iti:2007:AssociationType:APND"
XFRM = "urn:ihe:iti:2007:AssociationType:XFRM"
XFRM_RPLC = "urn:ihe:iti:2007:AssociationType:XFRM_RPLC"
SIGNS = "urn:ihe:iti:2007:AssociationType:signs"
IS_SNAPSHOT_OF = "urn:ihe:iti:2010:AssociationType:IsSnapshotOf"

# What an update asks for, said by associations that are not kept (XDS Metadata Update: 3.57.4.1.3.3).
UPDATE_AVAILABILITY_STATUS = "urn:ihe:iti:2010:AssociationType:UpdateAvailabilityStatus"
SUBMIT_ASSOCIATION = "urn:ihe:iti:2010:AssociationType:SubmitAssociation"


@dataclass(frozen=True, slots=True)
class Author:
    """An author: XCN of the person, XON of the institutions, free roles, specialties and XTN telecoms, as written."""

    person: str = ""
    institutions: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    specialties: tuple[str, ...] = ()
    telecommunications: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DocumentEntry:
    """What the registry knows of one document (ITI TF-3 table 4.2.3.2-1). size is in bytes, hash the hex SHA-1.

    limited_metadata: the source says that it could not fill in all attributes (ITI TF-3: 4.2.1.5); of a SubmissionSet
    and a Folder as well.
    """

    entry_uuid: str
    unique_id: str = ""
    patient_id: str = ""
    logical_id: str = ""
    version: int = 1
    availability_status: str = APPROVED
    object_type: str = STABLE
    mime_type: str = ""
    hash: str = ""
    size: int | None = None
    repository_unique_id: str = ""
    home_community_id: str = ""
    creation_time: str = ""
    service_start_time: str = ""
    service_stop_time: str = ""
    language_code: str = ""
    source_patient_id: str = ""
    source_patient_info: tuple[str, ...] = ()
    title: str = ""
    comments: str = ""
    uri: str = ""
    document_availability: str = ""
    legal_authenticator: str = ""
    authors: tuple[Author, ...] = ()
    class_code: Code | None = None
    type_code: Code | None = None
    format_code: Code | None = None
    healthcare_facility_type_code: Code | None = None
    practice_setting_code: Code | None = None
    confidentiality_codes: tuple[Code, ...] = ()
    event_code_list: tuple[Code, ...] = ()
    reference_id_list: tuple[str, ...] = ()
    extra_slots: tuple[tuple[str, tuple[str, ...]], ...] = ()
    limited_metadata: bool = False


@dataclass(frozen=True, slots=True)
class SubmissionSet:
    """One submission (ITI TF-3 table 4.2.3.3-1). source_id is the OID of the sending system."""

    entry_uuid: str
    unique_id: str = ""
    patient_id: str = ""
    source_id: str = ""
    submission_time: str = ""
    availability_status: str = APPROVED
    home_community_id: str = ""
    title: str = ""
    comments: str = ""
    authors: tuple[Author, ...] = ()
    content_type_code: Code | None = None
    intended_recipients: tuple[str, ...] = ()
    extra_slots: tuple[tuple[str, tuple[str, ...]], ...] = ()
    limited_metadata: bool = False


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder (ITI TF-3 table 4.2.3.4-1)."""

    entry_uuid: str
    unique_id: str = ""
    patient_id: str = ""
    logical_id: str = ""
    version: int = 1
    availability_status: str = APPROVED
    home_community_id: str = ""
    last_update_time: str = ""
    title: str = ""
    comments: str = ""
    code_list: tuple[Code, ...] = ()
    extra_slots: tuple[tuple[str, tuple[str, ...]], ...] = ()
    limited_metadata: bool = False


@dataclass(frozen=True, slots=True)
class Association:
    """A relationship of two objects (ITI TF-3: 4.2.2). submission_set_status: ``Original``, ``Reference`` or ""."""

    entry_uuid: str
    association_type: str
    source_object: str
    target_object: str
    submission_set_status: str = ""
    availability_status: str = APPROVED
    documentation: Code | None = None
    home_community_id: str = ""
    extra_slots: tuple[tuple[str, tuple[str, ...]], ...] = ()


RegistryObject = DocumentEntry | SubmissionSet | Folder | Association


class Readable(Protocol):
    """A file, or what opens like one: the bytes of a document, from the first one on, each time it is opened."""

    def open(self, mode: Literal["rb"], /) -> IO[bytes]: ...


@dataclass(frozen=True, slots=True)
class DataKey:
    """The key that one content is sealed with, itself sealed: name of the key that opens it, and the bytes."""

    key_name: str
    wrapped: bytes


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of one document on their way in: spooled to a file and hashed while they came.

    path: the spooled file, owned by whoever receives the value. size in bytes; sha1 and sha256 in hex, of the plain
    bytes. locator: where they have been kept for good, "" before; data_key: of bytes that lie sealed there;
    kept_before: an earlier submission had brought them there; instead_of: the locator at which the same bytes should
    have lain and did not.
    """

    path: Path
    size: int
    sha1: str
    sha256: str
    mime_type: str = ""
    locator: str = ""
    data_key: DataKey | None = None
    kept_before: bool = False
    instead_of: str = ""


@dataclass(frozen=True, slots=True)
class Submission:
    """ITI-42, and ITI-41 with ``contents`` (entry UUID as written in the message -> content).

    findings: what the reading of the metadata already found wrong; the verb adds its own and refuses them together.
    """

    submission_sets: tuple[SubmissionSet, ...]
    document_entries: tuple[DocumentEntry, ...] = ()
    folders: tuple[Folder, ...] = ()
    associations: tuple[Association, ...] = ()
    contents: Mapping[str, Content] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class NewVersion:
    """One operation of an update: another version of a DocumentEntry or Folder, whose ``logical_id`` says of which.

    member: the HasMember of the SubmissionSet that asks for it. previous_version: the version that this one follows,
    which the registry has to hold as the latest; None where the request does not say it readably (a finding).
    propagate: the relationships and folders of the version before are kept by this one (AssociationPropagation).
    """

    member: Association
    updated: DocumentEntry | Folder
    previous_version: int | None
    propagate: bool = True


@dataclass(frozen=True, slots=True)
class NewStatus:
    """One operation of an update: another availabilityStatus of the object ``target`` (an entryUUID in the registry).

    original_status: what the object has to have now. Both are full URNs, or "" where the request lacks one (a finding).
    asked_by: the UpdateAvailabilityStatus association of the request, which is not kept.
    """

    asked_by: Association
    target: str
    original_status: str
    new_status: str


@dataclass(frozen=True, slots=True)
class NewAssociation:
    """One operation of an update: an association between objects of the registry.

    asked_by: the SubmitAssociation association of the request. submitted: what becomes a part of the registry.
    """

    asked_by: Association
    submitted: Association


UpdateOperation = NewVersion | NewStatus | NewAssociation


@dataclass(frozen=True, slots=True)
class MetadataUpdate:
    """ITI-57 and ITI-92: one SubmissionSet and what it asks for; all of it is done, or nothing.

    submission: the objects as read. operations: in the order of the associations that ask for them. restricted: the
    request is ITI-92, which may change a few attributes only. findings: what reading and the rules that need no
    registry found wrong; the verb adds its own and refuses them together.
    """

    submission: Submission
    operations: tuple[UpdateOperation, ...]
    restricted: bool = False
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class RemoveObjects:
    """ITI-62: the entryUUIDs of the objects that shall leave the registry, all together or not at all."""

    object_ids: tuple[str, ...]
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class RemoveDocuments:
    """ITI-86: the documents that shall leave their repository, each for itself."""

    documents: tuple[DocumentRequest, ...]


@dataclass(frozen=True, slots=True)
class RemovalResult:
    """The answer to ITI-86: what was removed, and a finding (location: unique id) for each that was not."""

    removed: tuple[DocumentRequest, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class RegistryResult:
    """The answer to a submission. warnings accompany a success (severity Warning)."""

    warnings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredQuery:
    """ITI-18, 38, 51: a stored query as written.

    parameters: slot name -> one tuple of values for each Slot of that name (several Slots are ANDed,
    values inside one are ORed). Values are text, already unquoted and split from their lists.
    leaf_class: returnType LeafClass, else ObjectRef. home: AdhocQuery/@home or "". raw: the AdhocQueryRequest
    element as received, which the audit record keeps.
    """

    query_id: str
    parameters: Mapping[str, tuple[tuple[str, ...], ...]]
    leaf_class: bool = True
    home: str = ""
    raw: bytes = b""
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class QueryResult:
    """The answer: ebRIM fragments with the prefix ``rim`` (leaf class) or ids of objects (object refs), in order.

    patients: of a query for several patients, the regional ids of those whose objects are answered; the audit record
    names them.
    """

    fragments: tuple[bytes, ...] = ()
    object_refs: tuple[str, ...] = ()
    home: str = ""
    findings: tuple[Finding, ...] = ()
    patients: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DocumentRequest:
    """One document asked for in ITI-43 or ITI-39."""

    repository_unique_id: str
    document_unique_id: str
    home_community_id: str = ""


@dataclass(frozen=True, slots=True)
class RetrieveRequest:
    """ITI-43: documents by repository and unique id."""

    documents: tuple[DocumentRequest, ...]


@dataclass(frozen=True, slots=True)
class RetrievedDocument:
    """One document of the answer: its bytes are read from ``path``, a file or what opens like one, when the answer is
    written; size in bytes.

    new_document_unique_id: of an on-demand document, the unique id that this very content has got; where it was kept,
    new_repository_unique_id says in which repository (ITI TF-2: 3.43.4.2.3). Else both are "".
    """

    request: DocumentRequest
    mime_type: str
    path: Readable
    size: int
    new_document_unique_id: str = ""
    new_repository_unique_id: str = ""


@dataclass(frozen=True, slots=True)
class RetrieveResult:
    """The answer to ITI-43: what could be retrieved, and a finding (location: unique id) for each that could not."""

    documents: tuple[RetrievedDocument, ...] = ()
    findings: tuple[Finding, ...] = ()
