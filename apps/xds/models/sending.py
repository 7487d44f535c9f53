"""What is told to others: addresses, subscriptions, and messages on their way out."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


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
    that belong to the row. of_registry: it tells of objects of the registry, where they are looked up when it leaves.
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
    of_registry = models.BooleanField(default=False, editable=False)
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
