"""Side tables: the several values of one attribute of an object, each a row beside the patient it is searched by."""

from __future__ import annotations

from django.db import models

from apps.xds.models.objects import CODE_LENGTH, DocumentEntry, Folder, SubmissionSet
from apps.xds.models.shards import PatientRow


class EntryValue(PatientRow):
    """One value of a multi-valued attribute of a DocumentEntry. Probed inside the patient's range."""

    entry = models.ForeignKey(
        DocumentEntry, on_delete=models.CASCADE, db_index=False, db_constraint=False, related_name="+"
    )
    value = models.CharField(max_length=CODE_LENGTH)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{type(self).__name__} of {self.entry_id}"


class EventCode(EntryValue):
    """eventCodeList, ``code^^scheme``."""

    class Meta:
        indexes = [models.Index(fields=["shard_key", "patient_id", "value", "entry"], name="xds_event_code")]


class ConfidentialityCode(EntryValue):
    """confidentialityCode, ``code^^scheme``."""

    class Meta:
        indexes = [models.Index(fields=["shard_key", "patient_id", "value", "entry"], name="xds_confidentiality_code")]


class AuthorPerson(EntryValue):
    """author.authorPerson, XCN as written; compared with a pattern, hence found by its entry."""

    value = models.TextField()

    class Meta:
        indexes = [models.Index(fields=["shard_key", "patient_id", "entry"], name="xds_author_person")]


class ReferenceId(EntryValue):
    """referenceIdList, CXi as written; also found without a patient."""

    value = models.CharField(max_length=256)

    class Meta:
        indexes = [
            models.Index(fields=["shard_key", "patient_id", "value", "entry"], name="xds_reference_id"),
            models.Index(fields=["value"], name="xds_reference_id_value"),
        ]


class SubmissionSetAuthorPerson(PatientRow):
    """author.authorPerson of a submission set, XCN as written."""

    submission_set = models.ForeignKey(
        SubmissionSet, on_delete=models.CASCADE, db_index=False, db_constraint=False, related_name="+"
    )
    value = models.TextField()

    class Meta:
        indexes = [models.Index(fields=["shard_key", "patient_id", "submission_set"], name="xds_set_author_person")]

    def __str__(self) -> str:
        return f"{type(self).__name__} of {self.submission_set_id}"


class IntendedRecipient(PatientRow):
    """intendedRecipient of a submission set, XON|XCN|XTN as written."""

    submission_set = models.ForeignKey(
        SubmissionSet, on_delete=models.CASCADE, db_index=False, db_constraint=False, related_name="+"
    )
    value = models.TextField()

    class Meta:
        indexes = [models.Index(fields=["shard_key", "patient_id", "submission_set"], name="xds_set_recipient")]

    def __str__(self) -> str:
        return f"{type(self).__name__} of {self.submission_set_id}"


class FolderCode(PatientRow):
    """Folder.codeList, ``code^^scheme``."""

    folder = models.ForeignKey(Folder, on_delete=models.CASCADE, db_index=False, db_constraint=False, related_name="+")
    value = models.CharField(max_length=CODE_LENGTH)

    class Meta:
        indexes = [models.Index(fields=["shard_key", "patient_id", "value", "folder"], name="xds_folder_code")]

    def __str__(self) -> str:
        return f"{type(self).__name__} of {self.folder_id}"


# The side tables of each kind of object, with their column that names it.
SIDE_TABLES: dict[type[models.Model], tuple[tuple[type[PatientRow], str], ...]] = {
    DocumentEntry: (
        (EventCode, "entry"),
        (ConfidentialityCode, "entry"),
        (AuthorPerson, "entry"),
        (ReferenceId, "entry"),
    ),
    SubmissionSet: ((SubmissionSetAuthorPerson, "submission_set"), (IntendedRecipient, "submission_set")),
    Folder: ((FolderCode, "folder"),),
}
