"""Persons, their charts, and the history of who was linked to whom."""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn

from django.db import models
from django.dispatch import Signal
from django.utils.translation import gettext_lazy as _

from hie.values.identifiers import masked

# Two persons turned out to be one. Sent with (subsumed: str, surviving: str), regional ids, inside the transaction.
persons_joined = Signal()
# Charts went from one person to another that stays a different person (a link was undone). Sent with
# (identifiers: tuple[Identifier, ...], previous: str, current: str, submitted: bool), regional ids, inside the
# transaction. identifiers: every number that the charts have or had. submitted: what was submitted under the previous
# id goes along; else only what the index filed there.
records_moved = Signal()
# The identity source says that a facility merged two of its chart numbers. Sent with (subsumed: Identifier, surviving:
# Identifier, patient: str), the regional id of their documents, inside the transaction.
chart_renamed = Signal()
# Identifiers changed their person, number or state. Sent with (events: Sequence[LinkEvent]), inside the transaction.
links_changed = Signal()


class AppendOnly(models.QuerySet["Any"]):
    """Rows that are written once."""

    def delete(self) -> NoReturn:
        raise TypeError("The history of links is kept; rows are never deleted.")

    def update(self, **kwargs: Any) -> NoReturn:
        raise TypeError("The history of links is kept; rows are never changed.")

    def bulk_create(self, objs: Any, *args: Any, **kwargs: Any) -> Any:
        """Add rows and tell of them (``links_changed``): whoever writes history tells it."""
        written = super().bulk_create(objs, *args, **kwargs)
        if written:
            links_changed.send(sender=self.model, events=written)
        return written


class Person(models.Model):
    """One human as the network knows them, under one regional id (``apps.ids``)."""

    class Status(models.TextChoices):
        ACTIVE = "active", _("active")
        SUBSUMED = "subsumed", _("joined with another")
        REISSUED = "reissued", _("has a new regional id")

    regional = models.OneToOneField(
        "ids.RegionalIdentifier",
        verbose_name=_("regional id"),
        to_field="value",
        db_column="regional_id",
        on_delete=models.PROTECT,
        related_name="person",
    )
    status = models.CharField(_("status"), max_length=10, choices=Status.choices, default=Status.ACTIVE)
    surviving = models.ForeignKey(
        "self",
        verbose_name=_("joined with"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="joined",
        db_index=False,
    )
    created_at = models.DateTimeField(_("first known"), auto_now_add=True)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)

    class Meta:
        verbose_name = _("person")
        verbose_name_plural = _("persons")
        indexes = (models.Index(name="pix_joined", fields=("surviving",), condition=models.Q(surviving__isnull=False)),)

    def __str__(self) -> str:
        return masked(self.regional_id)


class LocalIdentifier(models.Model):
    """One chart number of one facility and what the facility says of its patient.

    addresses, telephones, insurances: as ``hie.values.people`` has them, written as JSON. kanji_key and kana_key:
    the names as matching compares them. past_insurances: ``[{"insurance": …, "since": date, "until": date}]``, what the
    facility told before (ISO 8601, until what day); null where it never told another. A chart merged into another keeps
    its row; its number is not free again.
    """

    class Status(models.TextChoices):
        ACTIVE = "active", _("active")
        MERGED = "merged", _("merged into another")

    authority_oid = models.CharField(_("assigning authority"), max_length=64)
    value = models.CharField(_("identifier"), max_length=64)
    type_code = models.CharField(_("identifier type"), max_length=5, blank=True)
    facility_code = models.CharField(_("facility"), max_length=10)
    person = models.ForeignKey(Person, verbose_name=_("person"), on_delete=models.PROTECT, related_name="identifiers")
    status = models.CharField(_("status"), max_length=10, choices=Status.choices, default=Status.ACTIVE)
    merged_into = models.ForeignKey(
        "self",
        verbose_name=_("merged into"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="merged",
        db_index=False,
    )
    ideographic_family = models.CharField(_("family name"), max_length=120, blank=True)
    ideographic_given = models.CharField(_("given name"), max_length=120, blank=True)
    phonetic_family = models.CharField(_("family name (kana)"), max_length=120, blank=True)
    phonetic_given = models.CharField(_("given name (kana)"), max_length=120, blank=True)
    alphabetic_family = models.CharField(_("family name (Latin)"), max_length=120, blank=True)
    alphabetic_given = models.CharField(_("given name (Latin)"), max_length=120, blank=True)
    birth_date = models.CharField(_("birth date"), max_length=26, blank=True)
    sex = models.CharField(_("sex"), max_length=1, blank=True)
    addresses = models.JSONField(_("addresses"), default=list, blank=True)
    telephones = models.JSONField(_("telephones"), default=list, blank=True)
    insurances = models.JSONField(_("insurances"), default=list, blank=True)
    insurances_since = models.DateField(_("insurances told since"), null=True, blank=True)
    past_insurances = models.JSONField(_("insurances told before"), null=True, blank=True)
    death_time = models.CharField(_("time of death"), max_length=26, blank=True)
    kanji_key = models.CharField(max_length=240, blank=True, editable=False)
    kana_key = models.CharField(max_length=240, blank=True, editable=False)
    first_seen = models.DateTimeField(_("first seen"), auto_now_add=True)
    last_seen = models.DateTimeField(_("last seen"))

    class Meta:
        verbose_name = _("local identifier")
        verbose_name_plural = _("local identifiers")
        constraints = (
            models.UniqueConstraint(name="pix_one_row_per_identifier", fields=("authority_oid", "value")),
            models.CheckConstraint(
                name="pix_merged_names_survivor",
                condition=models.Q(status="merged", merged_into__isnull=False)
                | models.Q(status="active", merged_into__isnull=True),
            ),
        )
        indexes = (
            models.Index(name="pix_born", fields=("birth_date",), opclasses=("varchar_pattern_ops",)),
            models.Index(name="pix_facility", fields=("facility_code",)),
            models.Index(name="pix_kanji", fields=("kanji_key",), opclasses=("varchar_pattern_ops",)),
            models.Index(name="pix_kana", fields=("kana_key",), opclasses=("varchar_pattern_ops",)),
            models.Index(name="pix_merged", fields=("merged_into",), condition=models.Q(merged_into__isnull=False)),
        )

    def __str__(self) -> str:
        return self.value


class LinkEvent(models.Model):
    """One change of one identifier's person, written once: who was linked to whom on any past day, and why.

    authority_oid and value: the identifier as it was then. person: whom it belonged to from then on; none after
    it was merged away or renamed. rule: name and version of the rule that decided, or what the sender stated.
    evidence: chart rows (ids) and fields that agreed; no patient data.
    """

    class Kind(models.TextChoices):
        REGISTERED = "registered", _("registered")
        LINKED = "linked", _("linked")
        UNLINKED = "unlinked", _("link undone")
        JOINED = "joined", _("persons joined")
        MERGED = "merged", _("merged away")
        CHANGED = "changed", _("identifier changed")
        REISSUED = "reissued", _("regional id issued anew")

    record = models.ForeignKey(
        LocalIdentifier, verbose_name=_("local identifier"), on_delete=models.PROTECT, related_name="events"
    )
    kind = models.CharField(_("event"), max_length=10, choices=Kind.choices)
    authority_oid = models.CharField(_("assigning authority"), max_length=64)
    value = models.CharField(_("identifier"), max_length=64)
    person = models.ForeignKey(
        Person, verbose_name=_("person"), null=True, on_delete=models.PROTECT, related_name="events"
    )
    previous_person = models.ForeignKey(
        Person, verbose_name=_("previous person"), null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    rule = models.CharField(_("rule"), max_length=60)
    evidence = models.JSONField(_("evidence"), default=dict)
    facility_code = models.CharField(_("sender"), max_length=10)
    message_id = models.CharField(_("message"), max_length=199, blank=True)
    at = models.DateTimeField(_("time"), db_index=True)

    objects: ClassVar[Any] = AppendOnly.as_manager()

    class Meta:
        verbose_name = _("link event")
        verbose_name_plural = _("link events")
        ordering = ("-id",)
        indexes = (
            models.Index(name="pix_event_of", fields=("authority_oid", "value", "at")),
            models.Index(
                name="pix_left", fields=("previous_person",), condition=models.Q(previous_person__isnull=False)
            ),
        )

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.value}"
