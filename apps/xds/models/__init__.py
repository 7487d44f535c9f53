"""Tables of the registry and repository (ITI TF-3: 4.1, 4.2.3).

An object's canonical ebRIM fragment lies beside the columns it is searched by, so that an answer is joined from
bytes and no object is built (decision 0009). Multi-valued attributes lie in side tables.

Index plan. Every stored query by patient is one range of ``(shard_key, patient_id, ...)``; a query by id is one point
of a unique index; a restriction on a multi-valued attribute is a probe of a side table inside the patient's range.

Growth. ``shard_key`` is a stable hash of the patient id and stands in every table and every query by patient, side
tables included. On PostgreSQL the tables are partitioned by it (decision 0042): a query of one patient meets one
partition. A partitioned table has no unique constraint and no foreign key that leaves the key out; what is unique is
therefore held by the id map (``MappedId``), on both databases, and a read by id asks it first where to look. A side
table's reference to its object is kept true by the services, not by the database.

shards    which rows lie together, and the id map
objects   entries, submission sets, folders, associations
values    the several values of one attribute
contents  the bytes of documents, and their safekeeping
sending   subscriptions, and messages on their way out
codes     the codes that the network accepts
"""

from __future__ import annotations

from apps.xds.models.codes import AcceptedCode
from apps.xds.models.contents import (
    LOCATOR_LENGTH,
    BackupRun,
    Content,
    DocumentCheck,
    RepositoryCheck,
    SealingKey,
    Withdrawn,
)
from apps.xds.models.objects import (
    CODE_LENGTH,
    Association,
    DocumentEntry,
    Folder,
    ObjectType,
    RegistryRow,
    Status,
    SubmissionSet,
)
from apps.xds.models.sending import Endpoint, Outgoing, Subscription, SubscriptionPatient
from apps.xds.models.shards import PARTITIONS, SHARDS, MappedId, NameKind, PatientRow, shard_key_of
from apps.xds.models.values import (
    SIDE_TABLES,
    AuthorPerson,
    ConfidentialityCode,
    EntryValue,
    EventCode,
    FolderCode,
    IntendedRecipient,
    ReferenceId,
    SubmissionSetAuthorPerson,
)

__all__ = [
    "CODE_LENGTH",
    "LOCATOR_LENGTH",
    "PARTITIONS",
    "PATIENT_TABLES",
    "SHARDS",
    "SIDE_TABLES",
    "AcceptedCode",
    "Association",
    "AuthorPerson",
    "BackupRun",
    "ConfidentialityCode",
    "Content",
    "DocumentCheck",
    "DocumentEntry",
    "Endpoint",
    "EntryValue",
    "EventCode",
    "Folder",
    "FolderCode",
    "IntendedRecipient",
    "MappedId",
    "NameKind",
    "ObjectType",
    "Outgoing",
    "PatientRow",
    "ReferenceId",
    "RegistryRow",
    "RepositoryCheck",
    "SealingKey",
    "Status",
    "SubmissionSet",
    "SubmissionSetAuthorPerson",
    "Subscription",
    "SubscriptionPatient",
    "Withdrawn",
    "shard_key_of",
]

# Every table that is partitioned by the shard of its patient.
PATIENT_TABLES: tuple[type[PatientRow], ...] = (
    DocumentEntry,
    SubmissionSet,
    Folder,
    Association,
    EventCode,
    ConfidentialityCode,
    AuthorPerson,
    ReferenceId,
    SubmissionSetAuthorPerson,
    IntendedRecipient,
    FolderCode,
    Withdrawn,
)
