"""What an update asks for, and its rules that need no registry (XDS Metadata Update: 3.57.4.1.3; RMU: 3.92.4.1).

Theory: nothing in an update says "change this". The SubmissionSet has an association to each object that it is about,
and the type of the association and its Slots are the operation. A HasMember whose target is in the message with a
logicalID of its own asks for a new version; UpdateAvailabilityStatus and SubmitAssociation ask for what they are
called. These associations are instructions; the registry keeps none of the last two.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from hie.values.documents import (
    APPROVED,
    DEPRECATED,
    HAS_MEMBER,
    SUBMIT_ASSOCIATION,
    UPDATE_AVAILABILITY_STATUS,
    Association,
    DocumentEntry,
    Folder,
    MetadataUpdate,
    NewAssociation,
    NewStatus,
    NewVersion,
    RegistryObject,
    Submission,
    UpdateOperation,
)
from hie.values.errors import Finding, Reason
from hie.values.identifiers import is_uuid_urn
from hie.wire.ebxml.attributes import attribute, model_of
from hie.wire.ebxml.reading import long_status
from hie.wire.ebxml.validation import (
    ASSOCIATION_TYPES,
    NEW_STATUS,
    ORIGINAL,
    ORIGINAL_STATUS,
    PREVIOUS_VERSION,
    PROPAGATION,
    UPDATE,
    validate,
)

_PROPAGATION = {"": True, "yes": True, "no": False}
_MOST_DIGITS = 9

# What no version changes: it would be another document (XDS Metadata Update: 3.57.4.1.3.3.1.3).
_SAME_DOCUMENT = ("unique_id", "object_type", "hash", "size", "repository_unique_id")
_SAME_FOLDER = ("unique_id",)
# What a restricted update leaves alone besides: whose document it is, and where and when it arose (RMU: 3.92.4.1.2.1).
_SAME_SOURCE = (
    "home_community_id",
    "mime_type",
    "creation_time",
    "source_patient_id",
    "source_patient_info",
    "reference_id_list",
    "document_availability",
    "uri",
)


def read_update(submission: Submission, *, restricted: bool) -> MetadataUpdate:
    """The update that a submission asks for, with all that is wrong with it.

    restricted: by the rules of ITI-92, which updates DocumentEntries and nothing else.
    """
    reading = _Reading(submission, restricted)
    operations = tuple(reading.operations())
    findings = (*submission.findings, *validate(submission, wanted=UPDATE), *reading.findings)
    return MetadataUpdate(submission, operations, restricted, findings)


def unmodifiable(
    before: DocumentEntry | Folder, after: DocumentEntry | Folder, *, restricted: bool = False
) -> list[Finding]:
    """What a new version must not change of the version before it: one finding for each attribute that it does.

    An objectType, a uniqueId and, in a restricted update, a patientId and the other attributes of the source have their
    own codes in ITI-92; ITI-57 says XDSMetadataUpdateError of all. What ITI-57 leaves to the registry (patientId
    against the associations that stay) is not judged here.
    """
    if type(before) is not type(after):
        return [_finding(Reason.OBJECT_TYPE, after, "objectType", "has to be that of the version before")]
    same = _SAME_DOCUMENT if isinstance(after, DocumentEntry) else _SAME_FOLDER
    if restricted:
        same = (*same, "patient_id", *_SAME_SOURCE)
    return [
        _finding(
            _RESTRICTED_REASONS.get(name, Reason.UNMODIFIABLE) if restricted else Reason.METADATA_UPDATE,
            after,
            attribute(model_of(after), name).name,
            "has to be that of the version before; it cannot be updated",
        )
        for name in same
        if not _is_same(name, getattr(before, name), getattr(after, name))
    ]


_RESTRICTED_REASONS = {
    "object_type": Reason.OBJECT_TYPE,
    "unique_id": Reason.IDENTIFIER_CONFLICT,
    "patient_id": Reason.PATIENT_RECONCILIATION,
}


@dataclass(slots=True)
class _Reading:
    """A submission on the way to its operations."""

    submission: Submission
    restricted: bool
    findings: list[Finding] = field(default_factory=list)
    members: dict[str, DocumentEntry | Folder] = field(init=False)
    associations: dict[str, Association] = field(init=False)

    def __post_init__(self) -> None:
        self.members = {each.entry_uuid: each for each in self.submission.folders}
        self.members |= {each.entry_uuid: each for each in self.submission.document_entries}
        self.associations = {each.entry_uuid: each for each in self.submission.associations}

    def operations(self) -> Iterator[UpdateOperation]:
        """Each association of the SubmissionSet as an operation; what is none is a finding."""
        sets = {each.entry_uuid for each in self.submission.submission_sets}
        asked = [each for each in self.submission.associations if each.source_object in sets]
        made = [operation for each in asked if (operation := self._operation(each))]
        self._once(made)
        self._left_over(sets, made)
        self._restrictions()
        if not made and not self.findings:
            detail = "The update asks for nothing; a SubmissionSet has to have an association to what is updated."
            self.findings.append(Finding(Reason.UPDATE_OPERATION, detail, ""))
        yield from made

    def _operation(self, asked_by: Association) -> UpdateOperation | None:
        if asked_by.association_type == HAS_MEMBER:
            return self._new_version(asked_by)
        if asked_by.association_type == UPDATE_AVAILABILITY_STATUS:
            return self._new_status(asked_by)
        if asked_by.association_type == SUBMIT_ASSOCIATION:
            return self._new_association(asked_by)
        self._say(Reason.UPDATE_OPERATION, asked_by, "associationType", "asks for no update that is known")
        return None

    def _new_version(self, member: Association) -> NewVersion | None:
        updated = self.members.get(member.target_object)
        if updated is None:
            sentence = "of a HasMember has to be a DocumentEntry or Folder of this message"
            self._say(Reason.METADATA_UPDATE, member, "targetObject", sentence)
            return None
        if not self._is_update(updated):
            return None
        if isinstance(updated, DocumentEntry) and member.submission_set_status != ORIGINAL:
            sentence = "has to be Original, for the version is new in this message"
            self._say(self._annotation_reason, member, "SubmissionSetStatus", sentence)
        propagation = self._slot(member, PROPAGATION, self._annotation_reason, needed=False)
        if propagation not in _PROPAGATION:
            self._say(self._annotation_reason, member, PROPAGATION, "has to be yes or no")
        elif self.restricted and not _PROPAGATION[propagation]:
            self._say(Reason.UPDATE_ANNOTATION, member, PROPAGATION, "has to be yes in a restricted update")
        version = self._version(member)
        return NewVersion(member, updated, version, _PROPAGATION.get(propagation, True))

    def _is_update(self, updated: DocumentEntry | Folder) -> bool:
        """A first version has no logicalID, or that of its own entryUUID; it belongs to ITI-42."""
        if not updated.logical_id or updated.logical_id == updated.entry_uuid:
            sentence = "has to be that of an object in the registry, and another than its entryUUID; this is no update"
            self._say(Reason.INITIAL_VERSION, updated, "logicalID", sentence)
            return False
        if not is_uuid_urn(updated.logical_id):
            self._say(Reason.METADATA_UPDATE, updated, "logicalID", "has to be a urn:uuid:, never a symbolic name")
        return True

    def _version(self, member: Association) -> int | None:
        text = self._slot(member, PREVIOUS_VERSION, Reason.VERSION_CONFLICT)
        if text and not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS and int(text)):
            sentence = "has to be the number of the version that is updated, 1 or more"
            self._say(Reason.VERSION_CONFLICT, member, PREVIOUS_VERSION, sentence)
            return None
        return int(text) if text else None

    def _new_status(self, asked_by: Association) -> NewStatus:
        if not (asked_by.target_object in self.members or is_uuid_urn(asked_by.target_object)):
            sentence = "has to be the entryUUID of an object in the registry, or an object of this message"
            self._say(Reason.UNRESOLVED_REFERENCE, asked_by, "targetObject", sentence)
        statuses = [self._status(asked_by, name) for name in (ORIGINAL_STATUS, NEW_STATUS)]
        return NewStatus(asked_by, asked_by.target_object, *statuses)

    def _status(self, asked_by: Association, name: str) -> str:
        status = long_status(self._slot(asked_by, name, Reason.METADATA_UPDATE))
        if status and status not in (APPROVED, DEPRECATED):
            self._say(Reason.METADATA_UPDATE, asked_by, name, f"has to be {APPROVED} or {DEPRECATED}")
            return ""
        return status

    def _new_association(self, asked_by: Association) -> NewAssociation | None:
        submitted = self.associations.get(asked_by.target_object)
        if submitted is None or submitted.source_object == asked_by.source_object:
            sentence = "has to be an Association of this message that does not touch the SubmissionSet"
            self._say(Reason.METADATA_UPDATE, asked_by, "targetObject", sentence)
            return None
        if submitted.association_type not in ASSOCIATION_TYPES:
            sentence = "is not one of document sharing (ITI TF-3: 4.2.2)"
            self._say(Reason.METADATA_UPDATE, submitted, "associationType", sentence)
        for where, end in (("sourceObject", submitted.source_object), ("targetObject", submitted.target_object)):
            if not is_uuid_urn(end):
                self._say(Reason.METADATA_UPDATE, submitted, where, "has to be the entryUUID of an object, urn:uuid:")
        return NewAssociation(asked_by, submitted)

    def _once(self, made: list[UpdateOperation]) -> None:
        """One new version of a logical object, one new status of an object, in one request."""
        changed: list[tuple[object, RegistryObject, str]] = [
            (("version", each.logical_id), each, "logicalID") for each in self.members.values() if each.logical_id
        ]
        for operation in made:
            if not isinstance(operation, NewVersion):
                asked_by = operation.asked_by
                changed.append(((type(operation), asked_by.target_object), asked_by, "targetObject"))
        seen = set()
        for key, place, name in changed:
            if key in seen:
                self._say(Reason.METADATA_UPDATE, place, name, "is named twice; ask for one change of an object")
            seen.add(key)

    def _left_over(self, sets: set[str], made: list[UpdateOperation]) -> None:
        """What the message has and no operation uses would be lost without a word."""
        members = {
            each.target_object
            for each in self.submission.associations
            if each.association_type == HAS_MEMBER and each.source_object in sets
        }
        for member in self.members.values():
            if member.entry_uuid not in members:
                sentence = "is missing; the SubmissionSet has to have it as a member, with PreviousVersion"
                self._say(Reason.UPDATE_ANNOTATION, member, "HasMember", sentence)
        submitted = {each.submitted.entry_uuid for each in made if isinstance(each, NewAssociation)}
        for each in self.submission.associations:
            if each.source_object in sets or each.entry_uuid in submitted:
                continue
            if each.association_type in (UPDATE_AVAILABILITY_STATUS, SUBMIT_ASSOCIATION):
                self._say(self._annotation_reason, each, "sourceObject", "has to be the SubmissionSet")
            else:
                sentence = "has to be asked for by a SubmitAssociation of the SubmissionSet"
                self._say(Reason.UPDATE_OPERATION, each, "Association", sentence)

    def _restrictions(self) -> None:
        """ITI-92 updates DocumentEntries of a named community, and nothing else."""
        if not self.restricted:
            return
        for submission_set in self.submission.submission_sets:
            if not submission_set.home_community_id:
                sentence = "is missing; a restricted update has to say which community it is for"
                self._say(Reason.MISSING_COMMUNITY, submission_set, "homeCommunityId", sentence)
        for folder in self.submission.folders:
            self._say(Reason.OBJECT_TYPE, folder, "Folder", "cannot be updated by a restricted update")
        for each in self.submission.associations:
            if each.association_type in (UPDATE_AVAILABILITY_STATUS, SUBMIT_ASSOCIATION):
                sentence = "cannot be asked for in a restricted update, which changes DocumentEntries alone"
                self._say(Reason.OBJECT_TYPE, each, "associationType", sentence)

    @property
    def _annotation_reason(self) -> Reason:
        """Slots that steer an update have a code of their own in ITI-92 only."""
        return Reason.UPDATE_ANNOTATION if self.restricted else Reason.METADATA_UPDATE

    def _slot(self, association: Association, name: str, reason: Reason, *, needed: bool = True) -> str:
        values = dict(association.extra_slots).get(name, ())
        if len(values) == 1:
            return values[0]
        if values or needed:
            self._say(reason, association, f"Slot {name}", f"has to have one value, not {len(values)}")
        return ""

    def _say(self, reason: Reason, registry_object: RegistryObject, where: str, sentence: str) -> None:
        self.findings.append(_finding(reason, registry_object, where, sentence))


def _finding(reason: Reason, registry_object: RegistryObject, where: str, sentence: str) -> Finding:
    object_id = registry_object.entry_uuid or f"{model_of(registry_object).name} without id"
    return Finding(reason, f"{where} of {object_id} {sentence}.", f"{object_id}: {where}")


def _is_same(name: str, before: object, after: object) -> bool:
    """Hexadecimal digits have no case (ITI TF-3: 4.2.3.2.10)."""
    return str(before).lower() == str(after).lower() if name == "hash" else before == after
