"""Who is told of changed links (ITI-10, 46, 64), and what is still to be told."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.pix.models.persons import LocalIdentifier, Person


class Subscription(models.Model):
    """A consumer that is told when links change, or a registry that is told where documents go.

    address: ``mllps://host:port`` (``mllp://`` on loopback) or the https URL of a SOAP endpoint. domains: OIDs of
    interest, empty for all. next_attempt_at: not before then; put off after each failure. claimed_until: a worker is
    at it.
    """

    class Kind(models.TextChoices):
        PIX_V2 = "ITI-10", _("PIX update notification, HL7 v2 (ITI-10)")
        PIX_V3 = "ITI-46", _("PIX update notification, HL7 v3 (ITI-46)")
        LINK_CHANGE = "ITI-64", _("XAD-PID link change to a registry (ITI-64)")

    node = models.ForeignKey(
        "network.Node", verbose_name=_("node"), on_delete=models.PROTECT, related_name="index_subscriptions"
    )
    kind = models.CharField(_("notification"), max_length=6, choices=Kind.choices)
    address = models.CharField(_("address"), max_length=500, help_text=_("mllps://host:port, or the https URL"))
    domains = models.JSONField(
        _("domains of interest"), default=list, blank=True, help_text=_("List of OIDs; empty for all domains.")
    )
    receiving_application = models.CharField(_("receiving application (MSH-5)"), max_length=180, blank=True)
    receiving_facility = models.CharField(_("receiving facility (MSH-6)"), max_length=180, blank=True)
    enabled = models.BooleanField(_("enabled"), default=True)
    failures = models.PositiveIntegerField(_("failures in a row"), default=0, editable=False)
    last_problem = models.CharField(_("last problem"), max_length=300, blank=True, editable=False)
    last_sent_at = models.DateTimeField(_("last acknowledged"), null=True, blank=True, editable=False)
    next_attempt_at = models.DateTimeField(_("next attempt"), auto_now_add=True, db_index=True, editable=False)
    claimed_until = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("subscription")
        verbose_name_plural = _("subscriptions")

    def __str__(self) -> str:
        return f"{self.kind} {self.node}"


class Notification(models.Model):
    """One thing that one subscriber is still to be told, or was; rows of one subscription are sent in their order.

    person: whose identifiers are told (ITI-10, 46). record, previous, subsumed_*: the chart whose documents move, the
    person it came from, and the chart number that was merged or renamed with it (ITI-64). What is told is read when
    it is sent, so a consumer that was away learns what holds now. A person who changes again before that needs no
    second row; from ``SENDING`` on they do.
    """

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        SENDING = "sending", _("being sent")
        SENT = "sent", _("acknowledged")
        NOTHING = "nothing", _("nothing to tell")
        DROPPED = "dropped", _("given up by an administrator")

    subscription = models.ForeignKey(
        Subscription, verbose_name=_("subscription"), on_delete=models.PROTECT, related_name="notifications"
    )
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.WAITING)
    person = models.ForeignKey(Person, verbose_name=_("person"), null=True, on_delete=models.PROTECT, related_name="+")
    record = models.ForeignKey(
        LocalIdentifier, verbose_name=_("local identifier"), null=True, on_delete=models.PROTECT, related_name="+"
    )
    previous = models.ForeignKey(
        Person, verbose_name=_("previous person"), null=True, on_delete=models.PROTECT, related_name="+"
    )
    subsumed_authority = models.CharField(max_length=64, blank=True)
    subsumed_value = models.CharField(_("merged number"), max_length=64, blank=True)
    message_id = models.CharField(_("message"), max_length=64)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    problem = models.CharField(_("last problem"), max_length=300, blank=True)
    changed_at = models.DateTimeField(_("changed"), db_index=True)
    done_at = models.DateTimeField(_("done"), null=True, blank=True)

    class Meta:
        verbose_name = _("notification")
        verbose_name_plural = _("notifications")
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(
                name="pix_waiting_once", fields=("subscription", "person"), condition=models.Q(state="waiting")
            ),
        )
        indexes = (
            models.Index(name="pix_unsent", fields=("subscription", "id"), condition=models.Q(done_at__isnull=True)),
        )

    def __str__(self) -> str:
        return self.message_id
