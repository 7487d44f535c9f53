"""The objects of the registry: document entries, submission sets, folders and associations (ITI TF-3: 4.1)."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.xds.models.contents import Content
from apps.xds.models.shards import PatientRow
from hie.wire.ebxml.packing import pack, unpack

CODE_LENGTH = 514  # a code and a coding scheme of 256 characters each (rim.xsd: LongName), and ^^ between them


class Status(models.IntegerChoices):
    """availabilityStatus as a small number (ITI TF-3: 4.2.3.2.2)."""

    APPROVED = 0, _("Approved")
    DEPRECATED = 1, _("Deprecated")


class ObjectType(models.IntegerChoices):
    """objectType of a DocumentEntry as a small number (ITI TF-3: 4.2.3.2.30)."""

    STABLE = 0, _("Stable")
    ON_DEMAND = 1, _("On-demand")


class FragmentField(models.BinaryField):
    """A canonical ebRIM fragment, packed in its column (``hie.wire.ebxml.packing``)."""

    def from_db_value(self, value: Any, _expression: Any, _connection: Any) -> bytes | None:
        return None if value is None else unpack(bytes(value))

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        packed = None if value is None else pack(bytes(value))
        return super().get_db_prep_value(packed, connection, prepared)


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
    offline: documentAvailability is Offline, so that only consumers of metadata update are told of it.
    sources: of what the network itself makes from others' records, whose they are (``rules``); "" of all else.
    """

    logical_id = models.CharField(_("logical ID"), max_length=64)
    version = models.IntegerField(_("version"), default=1)
    unique_id = models.CharField(_("unique ID"), max_length=128)
    repository_unique_id = models.CharField(_("repository"), max_length=64)
    object_type = models.SmallIntegerField(_("type of entry"), choices=ObjectType.choices, default=ObjectType.STABLE)
    mime_type = models.CharField(_("MIME type"), max_length=256)
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
    offline = models.BooleanField(_("offline"), default=False, db_default=False)
    sources = models.TextField(_("made from"), blank=True, default="", db_default="")
    fragment = FragmentField(_("ebRIM"))

    class Meta:
        verbose_name = _("document entry")
        verbose_name_plural = _("document entries")
        indexes = [
            models.Index(fields=["shard_key", "patient_id", "status", "creation_time"], name="xds_entry_patient"),
            models.Index(fields=["entry_uuid", "shard_key"], name="xds_entry_uuid"),
            models.Index(fields=["unique_id", "shard_key"], name="xds_entry_unique_id"),
            models.Index(fields=["logical_id", "version"], name="xds_entry_logical"),
            models.Index(fields=["facility_code", "registered_at", "type_code"], name="xds_entry_figures"),
        ]


class SubmissionSet(RegistryRow):
    """One submission. digest: SHA-256 of what was submitted, by which a message sent again is recognised."""

    unique_id = models.CharField(_("unique ID"), max_length=128)
    source_id = models.CharField(_("source"), max_length=64)
    submission_time = models.CharField(_("submitted at"), max_length=14)
    content_type_code = models.CharField(_("content type"), max_length=CODE_LENGTH, blank=True)
    title = models.CharField(_("title"), max_length=256, blank=True)
    digest = models.CharField(_("digest"), max_length=64, blank=True)
    fragment = FragmentField(_("ebRIM"))

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
    fragment = FragmentField(_("ebRIM"))

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
    fragment = FragmentField(_("ebRIM"))

    class Meta:
        verbose_name = _("association")
        verbose_name_plural = _("associations")
        indexes = [
            models.Index(fields=["shard_key", "patient_id"], name="xds_association_patient"),
            models.Index(fields=["entry_uuid", "shard_key"], name="xds_association_uuid"),
            models.Index(fields=["source_uuid", "shard_key"], name="xds_association_source"),
            models.Index(fields=["target_uuid", "shard_key"], name="xds_association_target"),
        ]
