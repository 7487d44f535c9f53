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
"""

from __future__ import annotations

import zlib

from django.db import models
from django.utils.translation import gettext_lazy as _

SHARDS = 1024
PARTITIONS = 16  # of each patient table on PostgreSQL, each a range of shards; their names end in _p00 to _p15
CODE_LENGTH = 160
LOCATOR_LENGTH = 512


def shard_key_of(patient_id: str) -> int:
    """The shard of a patient: 0 to 1023, the same for ever (CRC-32 of the regional id)."""
    return zlib.crc32(patient_id.encode()) % SHARDS


class NameKind(models.IntegerChoices):
    """What a name of the id map is. A name of the first three stands there once (a folder's: once for each version)."""

    ENTRY_UUID = 0
    SUBMISSION_SET = 1
    FOLDER = 2
    DOCUMENT = 3
    LOGICAL_ID = 4
    END = 5


class MappedId(models.Model):
    """The id map: in which shard an object lies that bears this id, and that no other object bears it.

    place: what makes the row unique beside name and kind: a folder's version, the shard_key of a name that may stand
    for objects of several patients (unique id of a document, logicalID), else 0. END: associations of this shard touch
    the object of another. The map names every shard where something is, and may name one too many.
    """

    pk = models.CompositePrimaryKey("name", "kind", "place")
    name = models.CharField(max_length=128)
    kind = models.SmallIntegerField(choices=NameKind.choices)
    place = models.IntegerField(default=0)
    shard_key = models.SmallIntegerField()

    def __str__(self) -> str:
        return f"{self.name} in {self.shard_key}"


class Status(models.IntegerChoices):
    """availabilityStatus as a small number (ITI TF-3: 4.2.3.2.2)."""

    APPROVED = 0, _("Approved")
    DEPRECATED = 1, _("Deprecated")


class ObjectType(models.IntegerChoices):
    """objectType of a DocumentEntry as a small number (ITI TF-3: 4.2.3.2.30)."""

    STABLE = 0, _("Stable")
    ON_DEMAND = 1, _("On-demand")


class Content(models.Model):
    """Where the bytes of a document lie and what they were when they were taken in.

    locator: ``<scheme>:<place>``, read by the content store of its scheme (settings.CONTENT_STORES).
    """

    locator = models.CharField(_("locator"), max_length=LOCATOR_LENGTH)
    size = models.BigIntegerField(_("size in bytes"))
    sha1 = models.CharField(_("SHA-1"), max_length=40)
    sha256 = models.CharField(_("SHA-256"), max_length=64)
    created_at = models.DateTimeField(_("taken in at"), auto_now_add=True)

    class Meta:
        verbose_name = _("content")
        verbose_name_plural = _("contents")
        constraints = [models.UniqueConstraint(fields=["locator", "sha256"], name="xds_content_place")]

    def __str__(self) -> str:
        return f"{self.locator.partition(':')[0]} {self.sha256[:12]}"


class SealingKey(models.Model):
    """The key of one sealed content, sealed by a key of the operator (apps/xds/stores/sealing.py)."""

    content = models.OneToOneField(Content, primary_key=True, on_delete=models.CASCADE, related_name="sealing_key")
    key_name = models.CharField(_("key"), max_length=64, db_index=True)
    wrapped = models.BinaryField()

    def __str__(self) -> str:
        return f"{self.key_name} of {self.content_id}"


class BackupRun(models.Model):
    """A backup that was begun. While one is under way no document is removed, so that none is missing in it."""

    started_at = models.DateTimeField(_("begun"), auto_now_add=True)
    alive_at = models.DateTimeField(_("last sign"))
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)

    def __str__(self) -> str:
        return f"{type(self).__name__} {self.pk}"


class RepositoryCheck(models.Model):
    """What ``check_documents`` found in one repository: the last time, and nothing older."""

    repository_unique_id = models.CharField(_("repository"), max_length=64, unique=True)
    checked_at = models.DateTimeField(_("checked at"))
    read = models.BooleanField(_("every byte was read"))
    documents = models.BigIntegerField(_("documents"))
    size = models.BigIntegerField(_("size in bytes"))
    lost = models.BigIntegerField(_("lost"), default=0)
    altered = models.BigIntegerField(_("altered"), default=0)
    closed = models.BigIntegerField(_("key is missing"), default=0)

    class Meta:
        verbose_name = _("check of a repository")
        verbose_name_plural = _("checks of repositories")

    def __str__(self) -> str:
        return self.repository_unique_id


class DocumentCheck(models.Model):
    """One look at all documents (``check_documents``), and how far it has come, so that a killed one goes on.

    position: id of the last content that was looked at. faults: kind -> how many. by_repository: repositoryUniqueId ->
    the same. alive_at: its last sign while it goes on.
    """

    began_at = models.DateTimeField(_("begun"))
    alive_at = models.DateTimeField(_("last sign"))
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True, db_index=True)
    read = models.BooleanField(_("every byte was read"), default=True)
    position = models.BigIntegerField(default=0)
    contents = models.BigIntegerField(_("contents"), default=0)
    faults = models.JSONField(_("faults"), default=dict)
    by_repository = models.JSONField(default=dict)

    class Meta:
        verbose_name = _("check of documents")
        verbose_name_plural = _("checks of documents")

    def __str__(self) -> str:
        return f"{type(self).__name__} {self.pk}"


class PatientRow(models.Model):
    """What belongs to one patient: the surviving regional id, and the shard it puts the row in."""

    patient_id = models.CharField(_("regional ID"), max_length=128)
    shard_key = models.SmallIntegerField(_("shard"))

    class Meta:
        abstract = True


class RegistryRow(PatientRow):
    """What every registry object has: its id, whose record it is, its status.

    Each has its canonical ``fragment`` too, as its last column: the others are read without passing over its pages.
    """

    entry_uuid = models.CharField(_("entry UUID"), max_length=64)
    facility_code = models.CharField(_("facility"), max_length=10)
    status = models.SmallIntegerField(_("status"), choices=Status.choices, default=Status.APPROVED)
    registered_at = models.DateTimeField(_("registered at"), auto_now_add=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.entry_uuid


class DocumentEntry(RegistryRow):
    """One document. Codes are ``code^^scheme``; times are 14 digits in UTC, "" where absent.

    event_codes and confidentiality_codes repeat the side tables, one code a line, so that a permit is applied to a row
    without a second query; care_date is the day of care in Japan (of creation where the care has no time).
    sources: of what the network itself makes from others' records, whose they are (``rules``); "" of all else.
    """

    logical_id = models.CharField(_("logical ID"), max_length=64)
    version = models.IntegerField(_("version"), default=1)
    unique_id = models.CharField(_("unique ID"), max_length=128)
    repository_unique_id = models.CharField(_("repository"), max_length=64)
    object_type = models.SmallIntegerField(_("type of entry"), choices=ObjectType.choices, default=ObjectType.STABLE)
    mime_type = models.CharField(_("MIME type"), max_length=128)
    title = models.CharField(_("title"), max_length=256, blank=True)
    hash = models.CharField(_("SHA-1"), max_length=40, blank=True)
    size = models.BigIntegerField(_("size in bytes"), null=True)
    class_code = models.CharField(_("class code"), max_length=CODE_LENGTH, blank=True)
    type_code = models.CharField(_("type code"), max_length=CODE_LENGTH, blank=True)
    format_code = models.CharField(_("format code"), max_length=CODE_LENGTH, blank=True)
    healthcare_facility_type_code = models.CharField(_("facility type"), max_length=CODE_LENGTH, blank=True)
    practice_setting_code = models.CharField(_("practice setting"), max_length=CODE_LENGTH, blank=True)
    event_codes = models.TextField(_("event codes"), blank=True)
    confidentiality_codes = models.TextField(_("confidentiality codes"), blank=True)
    creation_time = models.CharField(_("created at"), max_length=14, blank=True)
    service_start_time = models.CharField(_("care from"), max_length=14, blank=True)
    service_stop_time = models.CharField(_("care until"), max_length=14, blank=True)
    care_date = models.CharField(_("day of care"), max_length=8, blank=True)
    content = models.ForeignKey(
        Content, verbose_name=_("content"), null=True, blank=True, on_delete=models.PROTECT, related_name="entries"
    )
    sources = models.TextField(_("made from"), blank=True, default="", db_default="")
    fragment = models.BinaryField(_("ebRIM"))

    class Meta:
        verbose_name = _("document entry")
        verbose_name_plural = _("document entries")
        indexes = [
            models.Index(fields=["shard_key", "patient_id", "status", "creation_time"], name="xds_entry_patient"),
            models.Index(fields=["entry_uuid", "shard_key"], name="xds_entry_uuid"),
            models.Index(fields=["unique_id", "shard_key"], name="xds_entry_unique_id"),
            models.Index(fields=["logical_id", "version"], name="xds_entry_logical"),
            models.Index(fields=["facility_code", "registered_at"], name="xds_entry_facility"),
        ]


class SubmissionSet(RegistryRow):
    """One submission. digest: SHA-256 of what was submitted, by which a message sent again is recognised."""

    unique_id = models.CharField(_("unique ID"), max_length=128)
    source_id = models.CharField(_("source"), max_length=64)
    submission_time = models.CharField(_("submitted at"), max_length=14)
    content_type_code = models.CharField(_("content type"), max_length=CODE_LENGTH, blank=True)
    title = models.CharField(_("title"), max_length=256, blank=True)
    digest = models.CharField(_("digest"), max_length=64, blank=True)
    fragment = models.BinaryField(_("ebRIM"))

    class Meta:
        verbose_name = _("submission set")
        verbose_name_plural = _("submission sets")
        indexes = [
            models.Index(fields=["shard_key", "patient_id", "status", "submission_time"], name="xds_set_patient"),
            models.Index(fields=["entry_uuid", "shard_key"], name="xds_set_uuid"),
            models.Index(fields=["unique_id", "shard_key"], name="xds_set_unique_id"),
            models.Index(fields=["facility_code", "registered_at"], name="xds_set_facility"),
        ]


class Folder(RegistryRow):
    """One folder."""

    logical_id = models.CharField(_("logical ID"), max_length=64)
    version = models.IntegerField(_("version"), default=1)
    unique_id = models.CharField(_("unique ID"), max_length=128)
    title = models.CharField(_("title"), max_length=256, blank=True)
    last_update_time = models.CharField(_("last updated at"), max_length=14)
    fragment = models.BinaryField(_("ebRIM"))

    class Meta:
        verbose_name = _("folder")
        verbose_name_plural = _("folders")
        indexes = [
            models.Index(fields=["shard_key", "patient_id", "status", "last_update_time"], name="xds_folder_patient"),
            models.Index(fields=["entry_uuid", "shard_key"], name="xds_folder_uuid"),
            models.Index(fields=["unique_id", "shard_key"], name="xds_folder_unique_id"),
            models.Index(fields=["logical_id", "version"], name="xds_folder_logical"),
        ]


class Association(RegistryRow):
    """One relationship between two objects, named by their entry UUIDs; it belongs to the patient of its submission."""

    association_type = models.CharField(_("type"), max_length=80)
    source_uuid = models.CharField(_("source"), max_length=64)
    target_uuid = models.CharField(_("target"), max_length=64)
    submission_set_status = models.CharField(_("status in the submission"), max_length=16, blank=True)
    fragment = models.BinaryField(_("ebRIM"))

    class Meta:
        verbose_name = _("association")
        verbose_name_plural = _("associations")
        indexes = [
            models.Index(fields=["shard_key", "patient_id"], name="xds_association_patient"),
            models.Index(fields=["entry_uuid", "shard_key"], name="xds_association_uuid"),
            models.Index(fields=["source_uuid", "shard_key"], name="xds_association_source"),
            models.Index(fields=["target_uuid", "shard_key"], name="xds_association_target"),
        ]


class EntryValue(PatientRow):
    """One value of a multi-valued attribute of a DocumentEntry. Probed inside the patient's range."""

    entry = models.ForeignKey(
        DocumentEntry, on_delete=models.CASCADE, db_index=False, db_constraint=False, related_name="+"
    )
    value = models.CharField(max_length=256)

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


class Withdrawn(PatientRow):
    """A document whose metadata were removed (ITI-62): its content waits for its own removal (ITI-86)."""

    unique_id = models.CharField(_("unique ID"), max_length=128)
    repository_unique_id = models.CharField(_("repository"), max_length=64)
    facility_code = models.CharField(_("facility"), max_length=10)
    content = models.ForeignKey(Content, verbose_name=_("content"), on_delete=models.PROTECT, related_name="+")
    withdrawn_at = models.DateTimeField(_("removed at"), auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["unique_id", "shard_key"], name="xds_withdrawn_unique_id")]

    def __str__(self) -> str:
        return self.unique_id


class Endpoint(models.Model):
    """An address at which a member's system takes answers and notifications. No other is ever called for it."""

    node_name = models.CharField(_("system"), max_length=100)
    url = models.CharField(_("address"), max_length=500)

    class Meta:
        verbose_name = _("address for answers")
        verbose_name_plural = _("addresses for answers")
        constraints = [models.UniqueConstraint(fields=["node_name", "url"], name="xds_endpoint_once")]

    def __str__(self) -> str:
        return f"{self.node_name} {self.url}"


class Subscription(models.Model):
    """Who wants to be told of what, where and until when (ITI TF-2: 3.52). query: slot name -> lists of values."""

    reference = models.CharField(_("reference"), max_length=32, unique=True)
    node_name = models.CharField(_("system"), max_length=100)
    facility_code = models.CharField(_("facility"), max_length=10)
    consumer = models.CharField(_("address"), max_length=500)
    consumer_parameters = models.JSONField(default=list, editable=False)
    topic = models.CharField(_("topic"), max_length=40)
    query_id = models.CharField(_("filter"), max_length=64)
    query = models.JSONField(default=dict, editable=False)
    any_patient = models.BooleanField(_("any patient"), default=False, db_index=True)
    ends_at = models.DateTimeField(_("ends at"), null=True, blank=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        verbose_name = _("subscription")
        verbose_name_plural = _("subscriptions")

    def __str__(self) -> str:
        return self.reference


class SubscriptionPatient(models.Model):
    """A patient of whom a subscription wants to be told: the surviving regional id."""

    subscription = models.ForeignKey(Subscription, on_delete=models.CASCADE, related_name="patients")
    patient_id = models.CharField(_("regional ID"), max_length=128, db_index=True)

    def __str__(self) -> str:
        return f"{type(self).__name__} of {self.subscription_id}"


class Outgoing(models.Model):
    """A message on its way out: a notification, or an answer that is wanted elsewhere. It goes when it is delivered.

    lane: messages of one lane are delivered in their order. attachments: [content id, path, size, MIME type] of files
    that belong to the row.
    """

    lane = models.CharField(_("lane"), max_length=64)
    number = models.CharField(_("transaction"), max_length=20, blank=True)
    url = models.CharField(_("address"), max_length=500)
    envelope = models.BinaryField(_("envelope"))
    attachments = models.JSONField(default=list, editable=False)
    mtom = models.BooleanField(default=False)
    patient_id = models.CharField(_("regional ID"), max_length=128, blank=True)
    facility_code = models.CharField(_("facility"), max_length=10, blank=True)
    objects_told = models.JSONField(default=list, editable=False)
    attempts = models.IntegerField(_("attempts"), default=0)
    due_at = models.DateTimeField(_("due at"))
    given_up = models.BooleanField(_("given up"), default=False)
    last_failure = models.CharField(_("last failure"), max_length=200, blank=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        verbose_name = _("outgoing message")
        verbose_name_plural = _("outgoing messages")
        indexes = [models.Index(fields=["given_up", "lane", "id"], name="xds_outgoing_lane")]

    def __str__(self) -> str:
        return f"{self.number} {self.pk}"


class AcceptedCode(models.Model):
    """A code that the network accepts for one attribute, as ``codes.xml`` lists it; of MIME types it has no scheme.

    An attribute without a row takes any code. A code that is no longer wanted is switched off: old documents carry it.
    """

    attribute = models.CharField(_("attribute"), max_length=40)
    code = models.CharField(_("code"), max_length=256)
    scheme = models.CharField(_("scheme"), max_length=256, blank=True)
    display = models.CharField(_("name"), max_length=256, blank=True)
    system = models.CharField(_("URI of the scheme"), max_length=256, blank=True)
    extension = models.CharField(_("file name extension"), max_length=256, blank=True)
    enabled = models.BooleanField(_("accepted"), default=True)

    class Meta:
        verbose_name = _("accepted code")
        verbose_name_plural = _("accepted codes")
        ordering = ["attribute", "id"]
        constraints = [models.UniqueConstraint(fields=["attribute", "code", "scheme"], name="xds_accepted_code")]

    def __str__(self) -> str:
        return f"{self.attribute} {self.code}"


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
