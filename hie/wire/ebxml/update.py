"""The codec of ITI-57, Update Document Set (XDS Metadata Update: 3.57); ITI-92 stands in ``restricted_update.py``."""

from __future__ import annotations

from hie.values.documents import (
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
    RegistryResult,
    Submission,
    SubmissionSet,
    UpdateOperation,
)
from hie.values.errors import ExchangeError
from hie.values.identifiers import new_uuid_urn
from hie.wire.ebxml import register
from hie.wire.ebxml.submission import read_submission, write_submission
from hie.wire.ebxml.update_rules import read_update
from hie.wire.ebxml.validation import NEW_STATUS, ORIGINAL, ORIGINAL_STATUS, PREVIOUS_VERSION, PROPAGATION
from hie.wire.soap.envelope import SoapBody, SoapMessage


def read_request(message: SoapMessage) -> MetadataUpdate:
    """The update in the body; what is wrong with it stands in its ``findings`` and is the verb's to refuse.

    Raises ExchangeError where the body is no SubmitObjectsRequest.
    """
    return read_update(read_submission(message.body), restricted=False)


def write_response(message: SoapMessage, result: RegistryResult) -> SoapBody:
    """Success: everything that was asked for is done. The answer is that of ITI-42."""
    return register.write_response(message, result)


def write_error(message: SoapMessage, error: ExchangeError) -> SoapBody:
    """Failure, with one RegistryError for each finding. Nothing was updated."""
    return register.write_error(message, error)


def write_request(update: MetadataUpdate) -> SoapBody:
    """The request of a client."""
    return SoapBody((write_submission(update.submission),))


def read_response(message: SoapMessage) -> RegistryResult:
    """The answer as a client reads it. A Failure is raised as ExchangeError with its findings."""
    return register.read_response(message)


def new_version(
    submission_set: SubmissionSet,
    updated: DocumentEntry | Folder,
    previous_version: int,
    *,
    propagate: bool = True,
) -> NewVersion:
    """Ask for a new version. updated: whole, with its own entry_uuid and the logical_id of the object."""
    slots = [(PREVIOUS_VERSION, (str(previous_version),))]
    if not propagate:
        slots.append((PROPAGATION, ("no",)))
    status = ORIGINAL if isinstance(updated, DocumentEntry) else ""
    member = _asking(HAS_MEMBER, submission_set, updated.entry_uuid, status, tuple(slots))
    return NewVersion(member, updated, previous_version, propagate)


def new_status(submission_set: SubmissionSet, target: str, original_status: str, new_status: str) -> NewStatus:
    """Ask for another status of the object with this entryUUID; both are full URNs."""
    slots = ((ORIGINAL_STATUS, (original_status,)), (NEW_STATUS, (new_status,)))
    asked_by = _asking(UPDATE_AVAILABILITY_STATUS, submission_set, target, "", slots)
    return NewStatus(asked_by, target, original_status, new_status)


def new_association(submission_set: SubmissionSet, submitted: Association) -> NewAssociation:
    """Ask for an association between two objects of the registry."""
    return NewAssociation(_asking(SUBMIT_ASSOCIATION, submission_set, submitted.entry_uuid, "", ()), submitted)


def compose(submission_set: SubmissionSet, *operations: UpdateOperation, restricted: bool = False) -> MetadataUpdate:
    """The update that asks for these operations, for ``write_request``."""
    entries, folders, associations = [], [], []
    for operation in operations:
        if isinstance(operation, NewVersion):
            associations.append(operation.member)
            if isinstance(operation.updated, DocumentEntry):
                entries.append(operation.updated)
            else:
                folders.append(operation.updated)
        elif isinstance(operation, NewStatus):
            associations.append(operation.asked_by)
        else:
            associations += [operation.asked_by, operation.submitted]
    submission = Submission((submission_set,), tuple(entries), tuple(folders), tuple(associations))
    return MetadataUpdate(submission, operations, restricted)


def _asking(
    association_type: str,
    submission_set: SubmissionSet,
    target: str,
    submission_set_status: str,
    slots: tuple[tuple[str, tuple[str, ...]], ...],
) -> Association:
    return Association(
        new_uuid_urn(),
        association_type,
        submission_set.entry_uuid,
        target,
        submission_set_status,
        extra_slots=slots,
    )
