"""What patients wished, what the network decided, and where the glass was broken.

Nothing here is ever deleted or overwritten: a wish that changes is a new version, a policy that changes a new row.
A directive has no foreign key to the patient: it is kept under the regional ID, which outlives a person's record.
"""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from hie.values.identifiers import masked


class NeverDeleted(models.QuerySet[Any]):
    """Rows that stay: deletion is refused here, whoever asks."""

    def delete(self) -> tuple[int, dict[str, int]]:
        raise TypeError("Rows of consent are never deleted; a directive is revoked.")


class Effect(models.TextChoices):
    PERMIT = "permit", _("may be disclosed")
    DENY = "deny", _("must not be disclosed")


class LegalBasis(models.TextChoices):
    """Why the disclosure is lawful (Act on the Protection of Personal Information)."""

    CONSENT = "consent", _("the patient's consent")
    IMPLIED = "implied", _("implied consent after posted notice")
    LAW = "law", _("required by law")
    LIFE = "life", _("protection of life or body")
    PUBLIC_HEALTH = "public-health", _("public health")


class Obtained(models.TextChoices):
    """How the patient's word came to us."""

    WRITTEN = "written", _("signed form")
    ELECTRONIC = "electronic", _("electronic signature")
    VERBAL = "verbal", _("spoken, noted in the chart")
    PORTAL = "portal", _("by the patient in the portal")
    PROXY = "proxy", _("by a guardian or proxy")


class Directive(models.Model):
    """One version of one wish of one patient.

    directive_id names the wish: its versions and the copies carried to another regional ID share it. A copy ends
    without an account (revoked_by) where the charts of whom gave it went to another person.
    Empty lists describe all. first_care_date and last_care_date bound the date of care, valid_from and valid_until
    the days (in Japan) on which the wish counts.
    """

    directive_id = models.UUIDField(_("directive"), default=uuid.uuid4, editable=False)
    version = models.PositiveIntegerField(_("version"), default=1, editable=False)
    patient_regional_id = models.CharField(_("patient"), max_length=64, editable=False)
    effect = models.CharField(_("effect"), max_length=8, choices=Effect.choices)
    recipients = models.JSONField(_("to these facilities"), default=list, blank=True)
    sources = models.JSONField(_("records of these facilities"), default=list, blank=True)
    kinds = models.JSONField(_("kinds of documents"), default=list, blank=True)
    confidentiality = models.JSONField(_("confidentiality codes"), default=list, blank=True)
    first_care_date = models.DateField(_("care from"), null=True, blank=True)
    last_care_date = models.DateField(_("care until"), null=True, blank=True)
    valid_from = models.DateField(_("valid from"), null=True, blank=True)
    valid_until = models.DateField(_("valid until"), null=True, blank=True)
    in_emergency = models.BooleanField(_("withheld even in an emergency"), default=False)
    legal_basis = models.CharField(_("legal basis"), max_length=16, choices=LegalBasis.choices)
    obtained = models.CharField(_("how it was given"), max_length=16, choices=Obtained.choices)
    note = models.TextField(_("note"), blank=True)
    recorded_by = models.CharField(_("recorded by"), max_length=150, editable=False)
    recorded_at = models.DateTimeField(_("recorded at"), editable=False)
    revoked_by = models.CharField(_("revoked by"), max_length=150, blank=True, editable=False)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True, editable=False)
    carried_from = models.CharField(_("carried over from"), max_length=64, blank=True, editable=False)

    objects = NeverDeleted.as_manager()

    class Meta:
        verbose_name = _("consent directive")
        verbose_name_plural = _("consent directives")
        ordering = ("-id",)
        default_permissions = ("add", "view", "change")
        constraints = (
            models.UniqueConstraint(
                fields=("directive_id", "version", "patient_regional_id"),
                name="consent_directive_version",
                condition=Q(revoked_at__isnull=True),
            ),
        )
        indexes = (
            models.Index("patient_regional_id", name="consent_active", condition=Q(revoked_at__isnull=True)),
            models.Index("patient_regional_id", "recorded_at", name="consent_history"),
        )

    def __str__(self) -> str:
        return f"{self.get_effect_display()} {masked(self.patient_regional_id)}"

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise TypeError("A directive is never deleted; it is revoked.")


class DefaultRule(models.TextChoices):
    SETTING = "", _("as the installation is set")
    OPT_IN = "opt-in", _("opt-in: without a directive nothing is disclosed")
    OPT_OUT = "opt-out", _("opt-out: without a directive everything is disclosed")


class NetworkPolicy(models.Model):
    """What the network decided; the newest row counts, the older ones are its history."""

    default_rule = models.CharField(_("without a directive"), max_length=8, choices=DefaultRule.choices, blank=True)
    emergency_allowed = models.BooleanField(_("emergency access is possible"), default=True)
    own_always = models.BooleanField(_("a facility always sees its own records"), default=True)
    decided_by = models.CharField(_("decided by"), max_length=150, editable=False)
    decided_at = models.DateTimeField(_("decided at"), editable=False)
    note = models.TextField(_("note"), blank=True)

    objects = NeverDeleted.as_manager()

    class Meta:
        verbose_name = _("network policy")
        verbose_name_plural = _("network policy")
        ordering = ("-id",)
        default_permissions = ("add", "view")

    def __str__(self) -> str:
        return f"{self.get_default_rule_display()} ({self.decided_at:%Y-%m-%d})"

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise TypeError("A policy is never deleted; a new one replaces it.")


class EmergencyAccess(models.Model):
    """The glass was broken: who opened whose record, why, and whether somebody looked into it afterwards."""

    patient_regional_id = models.CharField(_("patient"), max_length=64)
    node_name = models.CharField(_("system"), max_length=200)
    facility_code = models.CharField(_("facility"), max_length=10)
    person_user_id = models.TextField(_("person"), blank=True)
    person_name = models.TextField(_("name"), blank=True)
    purpose = models.CharField(_("purpose of use"), max_length=16)
    access = models.CharField(_("question"), max_length=16)
    reason = models.TextField(_("reason given"))
    occurred_at = models.DateTimeField(_("time"))
    reviewed_by = models.CharField(_("reviewed by"), max_length=150, blank=True)
    reviewed_at = models.DateTimeField(_("reviewed at"), null=True, blank=True)
    finding = models.TextField(_("finding of the review"), blank=True)

    objects = NeverDeleted.as_manager()

    class Meta:
        verbose_name = _("emergency access")
        verbose_name_plural = _("emergency accesses")
        ordering = ("-id",)
        default_permissions = ("view", "change")
        indexes = (
            models.Index("occurred_at", name="consent_emergency_open", condition=Q(reviewed_at__isnull=True)),
            models.Index("patient_regional_id", "occurred_at", name="consent_emergency_patient"),
        )

    def __str__(self) -> str:
        return f"{self.facility_code} {masked(self.patient_regional_id)} {self.occurred_at:%Y-%m-%d %H:%M}"

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise TypeError("An emergency access is never deleted.")
