"""The kept audit record (ITI TF-2: 3.20): the DICOM message, and the columns by which it is found.

A record has no foreign key: it outlives the facility, the user and the patient it speaks of. Rows are added and
never changed; migration 0002 lets the database itself refuse UPDATE, DELETE and TRUNCATE (decision 0020).
"""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Left
from django.utils.translation import gettext_lazy as _

INDEXED_CHARACTERS = 64
FEEDS = ("ITI-8", "ITI-30", "ITI-44")

# The conditions of the two partial indexes as a query has to state them.
FAILED = '"outcome" > 0'
FED = "\"outcome\" = 0 AND \"transaction\" IN ('ITI-8', 'ITI-30', 'ITI-44')"


class Outcome(models.IntegerChoices):
    """EventOutcomeIndicator (DICOM PS3.15 A.5.2.1)."""

    SUCCESS = 0, _("Success")
    MINOR_FAILURE = 4, _("Minor failure")
    SERIOUS_FAILURE = 8, _("Serious failure")
    MAJOR_FAILURE = 12, _("Major failure")


class Action(models.TextChoices):
    """EventActionCode."""

    CREATE = "C", _("Create")
    READ = "R", _("Read")
    UPDATE = "U", _("Update")
    DELETE = "D", _("Delete")
    EXECUTE = "E", _("Execute")


class AuditRecord(models.Model):
    """One audit message and the columns it is searched by.

    id and trail_uuid begin with the time (``new_ordered_uuid``): a record is written for every message, and what is
    appended to an index costs less than what is scattered over it.
    trail_uuid: the message answered; all records of one message share it, and an error names it to the sender. It has
    no index: they are found among the records that were made soon after the time with which it begins.
    Texts that a sender chose are unbounded columns: no length may keep a record from being kept.
    """

    id = models.UUIDField(_("record number"), primary_key=True)
    trail_uuid = models.UUIDField(_("message number"))
    occurred_at = models.DateTimeField(_("time"))
    transaction = models.CharField(_("transaction"), max_length=32)
    event_id = models.CharField(_("event"), max_length=16)
    action = models.CharField(_("action"), max_length=1, choices=Action.choices)
    outcome = models.PositiveSmallIntegerField(_("outcome"), choices=Outcome.choices)
    caller_name = models.TextField(_("system"))
    facility_code = models.CharField(_("facility"), max_length=10)
    person_user_id = models.TextField(_("person"))
    patient_regional_id = models.CharField(_("regional ID"), max_length=64)
    patient_identifier = models.TextField(_("patient as sent"))
    remote_address = models.TextField(_("network address"))
    purpose = models.CharField(_("purpose of use"), max_length=16)
    description = models.TextField(_("description"))
    message = models.BinaryField(_("audit message"))

    class Meta:
        verbose_name = _("audit record")
        verbose_name_plural = _("audit records")
        ordering = ("-occurred_at", "-id")
        default_permissions = ("view",)
        # Each answers one search of the admin, newest first; the last three find a chart number as it was sent, what
        # failed, and the last feed of a facility. Those two are partial, so that the usual record does not pay for
        # them; a query that wants them states ``FAILED`` or ``FED`` word for word, because a planner cannot prove a
        # bound parameter. An identifier is indexed by its beginning, because a sender chooses how long it is.
        indexes = (
            models.Index("patient_regional_id", "occurred_at", name="atna_patient"),
            models.Index("facility_code", "occurred_at", name="atna_facility"),
            models.Index("transaction", "occurred_at", name="atna_transaction"),
            models.Index("occurred_at", name="atna_time"),
            models.Index(Left("patient_identifier", INDEXED_CHARACTERS), name="atna_identifier"),
            models.Index("outcome", "occurred_at", name="atna_outcome", condition=models.Q(outcome__gt=0)),
            models.Index(
                "facility_code", "occurred_at", name="atna_feed", condition=models.Q(outcome=0, transaction__in=FEEDS)
            ),
        )

    def __str__(self) -> str:
        return f"{self.transaction or self.event_id} {self.id}"
