"""The bytes of documents: where they lie, with which key, and what is known of their safekeeping."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.xds.models.shards import PatientRow

LOCATOR_LENGTH = 512


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
