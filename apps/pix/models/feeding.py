"""What was fed: messages that are known again, lists of patients, and what their insurances show."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.pix.models.persons import LocalIdentifier


class PatientLoad(models.Model):
    """How far a list of a facility's patients has come into the index, so that it can go on after a stop.

    source: SHA-256 of the list. position: entries of it that are done, in their order; it changes in the database
    transaction that does them. entered, updated, unchanged, refused: what became of them.
    """

    facility_code = models.CharField(_("facility"), max_length=10)
    source = models.CharField(max_length=64)
    position = models.PositiveBigIntegerField(_("entries done"), default=0)
    entered = models.PositiveBigIntegerField(_("new charts"), default=0)
    updated = models.PositiveBigIntegerField(_("changed charts"), default=0)
    unchanged = models.PositiveBigIntegerField(_("unchanged charts"), default=0)
    refused = models.PositiveBigIntegerField(_("refused"), default=0)
    started_at = models.DateTimeField(_("begun"), auto_now_add=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    class Meta:
        verbose_name = _("list of patients")
        verbose_name_plural = _("lists of patients")
        constraints = (models.UniqueConstraint(name="pix_loaded_once", fields=("facility_code", "source")),)

    def __str__(self) -> str:
        return f"{self.facility_code} {self.position}"


class CoverageFinding(models.Model):
    """Two charts whose insurances cannot both be right, for an administrator to look at (``services.coverage``)."""

    class Kind(models.TextChoices):
        TWO_CARDS = "two cards", _("one person, two insurances at one time")
        ONE_CARD = "one card", _("one insured person's number, two persons")

    kind = models.CharField(_("finding"), max_length=10, choices=Kind.choices)
    first = models.ForeignKey(LocalIdentifier, on_delete=models.PROTECT, related_name="+")
    second = models.ForeignKey(LocalIdentifier, on_delete=models.PROTECT, related_name="+")
    found_at = models.DateTimeField(_("found"))
    gone_at = models.DateTimeField(_("gone"), null=True, blank=True)
    settled_by = models.CharField(_("settled by"), max_length=150, blank=True)
    settled_at = models.DateTimeField(_("settled"), null=True, blank=True)

    class Meta:
        verbose_name = _("insurance finding")
        verbose_name_plural = _("insurance findings")
        constraints = (models.UniqueConstraint(name="pix_coverage_once", fields=("kind", "first", "second")),)
        indexes = (models.Index(name="pix_coverage_open", fields=("gone_at", "settled_at", "found_at")),)

    def __str__(self) -> str:
        return str(self.pk)


class FeedMessage(models.Model):
    """A feed that was carried out, so that the same message sent again does nothing twice.

    key: SHA-256 of sender, message id and content. Forgotten after ``services.REMEMBERED`` (tasks.py).
    """

    key = models.CharField(max_length=64, unique=True)
    received_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.key[:8]
