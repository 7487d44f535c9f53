"""Regional identifiers: issued once, kept for ever (ID-system requirements: invisible, meaningless, never reused)."""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn

from django.db import models
from django.utils.translation import gettext_lazy as _

from hie.values.identifiers import masked

# How the id of a person begins whom the identity source of the affinity domain has not told of yet.
PROVISIONAL = "provisional:"


def is_provisional(regional_id: str) -> bool:
    """Whether a regional id only stands for one that the identity source has not told yet; nobody is shown it."""
    return regional_id.startswith(PROVISIONAL)


class KeptForEver(models.QuerySet["Any"]):
    """Rows that may be added and changed, but never taken away."""

    def delete(self) -> NoReturn:
        raise TypeError("An identifier that was issued once is kept for ever; retire it instead.")


class RegionalIdentifier(models.Model):
    """One regional id that was ever issued. The unique constraint covers retired ones too: none is issued twice.

    value: 26 characters of base32 (RFC 4648, without padding), 128 random bits; says nothing about its person. Where
    another system is the identity source of the affinity domain: as that system issued it.
    """

    class Status(models.TextChoices):
        ACTIVE = "active", _("active")
        RETIRED = "retired", _("retired")
        SUBSUMED = "subsumed", _("subsumed by another")

    value = models.CharField(_("regional id"), max_length=64, unique=True, editable=False)
    status = models.CharField(_("status"), max_length=10, choices=Status.choices, default=Status.ACTIVE)
    surviving = models.ForeignKey(
        "self", verbose_name=_("surviving id"), null=True, blank=True, on_delete=models.PROTECT, related_name="subsumed"
    )
    issued_at = models.DateTimeField(_("issued"), auto_now_add=True)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)

    objects: ClassVar[Any] = KeptForEver.as_manager()

    class Meta:
        verbose_name = _("regional identifier")
        verbose_name_plural = _("regional identifiers")
        constraints = (
            models.CheckConstraint(
                name="ids_subsumed_names_survivor",
                condition=models.Q(status="subsumed", surviving__isnull=False)
                | (~models.Q(status="subsumed") & models.Q(surviving__isnull=True)),
            ),
        )

    def __str__(self) -> str:
        return masked(self.value)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("An identifier that was issued once is kept for ever; retire it instead.")


class RegionalIdentifierEvent(models.Model):
    """What happened to a regional id, and why. Rows are only ever added."""

    identifier = models.ForeignKey(
        RegionalIdentifier, verbose_name=_("regional id"), on_delete=models.PROTECT, related_name="events"
    )
    status = models.CharField(_("status"), max_length=10, choices=RegionalIdentifier.Status.choices)
    surviving = models.ForeignKey(
        RegionalIdentifier, verbose_name=_("surviving id"), null=True, on_delete=models.PROTECT, related_name="+"
    )
    reason = models.CharField(_("reason"), max_length=200)
    at = models.DateTimeField(_("time"), auto_now_add=True)

    objects: ClassVar[Any] = KeptForEver.as_manager()

    class Meta:
        verbose_name = _("history of a regional identifier")
        verbose_name_plural = _("history of regional identifiers")
        ordering = ("id",)

    def __str__(self) -> str:
        return f"{self.identifier} {self.status}"
