"""Stays that facilities tell of (PAM, ITI-31)."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.pix.models.persons import LocalIdentifier


class Encounter(models.Model):
    """One stay or visit of a chart, as it stands after the movements told so far.

    number and account: PV1-19 and PID-18 with the OID or namespace of their authority, "" where not told. visit: the
    whole PV1 (``hie.values.demographics_queries.Visit``) as JSON; the columns beside it are what can be asked for.
    """

    class State(models.TextChoices):
        PLANNED = "planned", _("planned")
        OPEN = "open", _("open")
        CLOSED = "closed", _("closed")
        CANCELLED = "cancelled", _("cancelled")

    record = models.ForeignKey(
        LocalIdentifier, verbose_name=_("local identifier"), on_delete=models.PROTECT, related_name="encounters"
    )
    state = models.CharField(_("state"), max_length=10, choices=State.choices)
    number = models.CharField(_("visit number"), max_length=64, blank=True)
    number_authority = models.CharField(max_length=64, blank=True)
    account = models.CharField(_("account"), max_length=64, blank=True, db_index=True)
    account_authority = models.CharField(max_length=64, blank=True)
    patient_class = models.CharField(_("patient class"), max_length=4, blank=True)
    ward = models.CharField(_("ward"), max_length=80, blank=True, db_index=True)
    room = models.CharField(_("room"), max_length=80, blank=True)
    bed = models.CharField(_("bed"), max_length=80, blank=True)
    place = models.CharField(_("facility of the location"), max_length=80, blank=True)
    hospital_service = models.CharField(_("hospital service"), max_length=80, blank=True)
    visit = models.JSONField(default=dict)
    admitted_at = models.CharField(_("admitted"), max_length=26, blank=True)
    discharged_at = models.CharField(_("discharged"), max_length=26, blank=True)
    changed_at = models.DateTimeField(_("last told"))

    class Meta:
        verbose_name = _("encounter")
        verbose_name_plural = _("encounters")
        indexes = (
            models.Index(name="pix_encounter_of", fields=("record", "state")),
            models.Index(name="pix_visit_number", fields=("number", "number_authority")),
        )

    def __str__(self) -> str:
        return self.number or str(self.pk)


class EncounterDoctor(models.Model):
    """One doctor of an encounter in one role (``attending referring consulting admitting``), to be asked for."""

    encounter = models.ForeignKey(Encounter, on_delete=models.CASCADE, related_name="doctors")
    role = models.CharField(max_length=10)
    code = models.CharField(max_length=80, blank=True)
    family = models.CharField(max_length=255, blank=True)
    given = models.CharField(max_length=255, blank=True)

    class Meta:
        indexes = (models.Index(name="pix_doctor", fields=("code", "role")),)

    def __str__(self) -> str:
        return self.role


class Movement(models.Model):
    """One movement within a stay. The newest that is in force is the current one; only it can be cancelled.

    historic: it was told when the current one had been told already, and lies before it (ZBE-5).

    number, number_authority: ZBE-1, "" without the Historic Movement option. before: the encounter's state, visit and
    times ahead of it, to which its cancellation returns. kind: name of ``EncounterKind``.
    """

    encounter = models.ForeignKey(Encounter, on_delete=models.CASCADE, related_name="movements")
    kind = models.CharField(_("kind"), max_length=20)
    number = models.CharField(_("movement id"), max_length=199, blank=True)
    number_authority = models.CharField(max_length=64, blank=True)
    starts_at = models.CharField(_("begins"), max_length=26, blank=True)
    ends_at = models.CharField(_("ends"), max_length=26, blank=True)
    ward = models.CharField(_("responsible ward"), max_length=80, blank=True)
    nursing_ward = models.CharField(_("nursing ward"), max_length=80, blank=True)
    cancelled = models.BooleanField(_("cancelled"), default=False)
    historic = models.BooleanField(_("of the past"), default=False)
    visit = models.JSONField(default=dict)
    before = models.JSONField(default=dict)
    facility_code = models.CharField(_("sender"), max_length=10)
    message_id = models.CharField(_("message"), max_length=199, blank=True)
    at = models.DateTimeField(_("told"))

    class Meta:
        verbose_name = _("movement")
        verbose_name_plural = _("movements")
        indexes = (models.Index(name="pix_movement_number", fields=("number", "number_authority")),)

    def __str__(self) -> str:
        return self.kind
