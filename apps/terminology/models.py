"""Codes that the network chose: code systems, codes, what maps to them, and which SS-MIX2 data types are registered."""

from __future__ import annotations

from django.db import models
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _


class CodeSystem(models.Model):
    """A coding scheme, by the OID, URN or name that stands in messages."""

    scheme = models.CharField(
        _("scheme"), max_length=200, unique=True, help_text=_("OID, URN or name, as it stands in messages.")
    )
    name = models.CharField(_("name"), max_length=200)

    class Meta:
        verbose_name = _("code system")
        verbose_name_plural = _("code systems")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Code(models.Model):
    """One code with what a person reads. A code that is no longer wanted is switched off: old documents carry it."""

    system = models.ForeignKey(CodeSystem, models.PROTECT, related_name="codes", verbose_name=_("code system"))
    code = models.CharField(_("code"), max_length=200)
    display_ja = models.CharField(_("name in Japanese"), max_length=200)
    display_en = models.CharField(_("name in English"), max_length=200, blank=True)
    enabled = models.BooleanField(_("enabled"), default=True, help_text=_("Offered for new documents and filters."))

    class Meta:
        verbose_name = _("code")
        verbose_name_plural = _("codes")
        ordering = ["system", "code"]
        constraints = [models.UniqueConstraint(fields=["system", "code"], name="terminology_code_unique")]

    def __str__(self) -> str:
        return f"{self.display} ({self.code})"

    @property
    def display(self) -> str:
        """The name in the language of the page."""
        return self.display_ja if (get_language() or "ja").startswith("ja") else self.display_en or self.display_ja


class Kind(models.TextChoices):
    """What a map is asked for: an attribute of XDS metadata, and what its key is."""

    CLASS = "class", _("classCode of a data type or document type")
    TYPE = "type", _("typeCode of a data type or document type")
    FORMAT = "format", _("formatCode of a data type; * for any other content")
    EVENT = "event", _("eventCodeList of a data type")
    CONTENT_TYPE = "content-type", _("contentTypeCode of a data type")
    FACILITY_TYPE = "facility-type", _("healthcareFacilityTypeCode of a kind of facility")
    PRACTICE_SETTING = "practice-setting", _("practiceSettingCode of a department")
    CONFIDENTIALITY = "confidentiality", _("confidentialityCode")
    PURPOSE_OF_USE = "purpose-of-use", _("purpose of use")


class CodeMap(models.Model):
    """What the network calls one key of one kind. A row of a key that should map to nothing is switched off."""

    kind = models.CharField(_("kind"), max_length=20, choices=Kind)
    key = models.CharField(_("key"), max_length=200)
    code = models.ForeignKey(Code, models.PROTECT, related_name="maps", verbose_name=_("code"))
    enabled = models.BooleanField(_("enabled"), default=True)

    class Meta:
        verbose_name = _("code map")
        verbose_name_plural = _("code maps")
        ordering = ["kind", "key"]
        constraints = [models.UniqueConstraint(fields=["kind", "key"], name="terminology_map_unique")]

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"


class DataType(models.Model):
    """An SS-MIX2 data type, and whether its messages become documents of the registry."""

    class Rule(models.TextChoices):
        DEFAULT = "default", _("documents by default")
        CHOICE = "choice", _("the network's choice")
        NEVER = "never", _("not documents by default")

    code = models.CharField(_("data type"), max_length=20, unique=True)
    display_ja = models.CharField(_("name in Japanese"), max_length=200)
    display_en = models.CharField(_("name in English"), max_length=200, blank=True)
    rule = models.CharField(_("recommendation"), max_length=8, choices=Rule, default=Rule.CHOICE)
    registered = models.BooleanField(
        _("registered"),
        default=False,
        help_text=_("Messages of this type become documents. A change works on what the next scans find."),
    )

    class Meta:
        verbose_name = _("SS-MIX2 data type")
        verbose_name_plural = _("SS-MIX2 data types")
        ordering = ["code"]

    def __str__(self) -> str:
        return self.code
