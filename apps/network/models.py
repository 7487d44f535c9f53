"""Who belongs to the network: facilities, the nodes that speak for them, certificates, authorities, communities."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from hie.values import facilities
from hie.values.access import Access
from hie.values.identifiers import is_oid


def validate_facility_code(value: str) -> None:
    """Refuse what has not the shape of a medical institution code. The check digit is only warned of."""
    if not facilities.is_facility_code(value):
        raise ValidationError(_("A facility code has ten digits and begins with a prefecture, 01 to 47."))


def validate_oid(value: str) -> None:
    """Refuse what is no object identifier."""
    if not is_oid(value):
        raise ValidationError(_("An OID is digits between dots, without leading zeros, of at most 64 characters."))


class FacilityKind(models.TextChoices):
    HOSPITAL = facilities.HOSPITAL, _("Hospital")
    CLINIC = facilities.CLINIC, _("Clinic")
    DENTAL = facilities.DENTAL, _("Dental clinic")
    PHARMACY = facilities.PHARMACY, _("Pharmacy")
    HOME_NURSING = facilities.HOME_NURSING, _("Home-visit nursing")
    INSURER = facilities.INSURER, _("Insurer")
    OTHER = facilities.OTHER, _("Other")


class Facility(models.Model):
    """A member of the network. Its code never changes; a facility that leaves is switched off, not deleted."""

    code = models.CharField(
        _("facility code"),
        max_length=10,
        unique=True,
        validators=[validate_facility_code],
        help_text=_("Medical institution code of ten digits: prefecture, point table, seven-digit code."),
    )
    kind = models.CharField(_("kind"), max_length=12, choices=FacilityKind, blank=True)
    name = models.CharField(_("name"), max_length=200)
    kana = models.CharField(_("name in kana"), max_length=200, blank=True)
    contact = models.TextField(
        _("contact"), blank=True, help_text=_("Whom to call when its systems misbehave: name, telephone, e-mail.")
    )
    enabled = models.BooleanField(
        _("enabled"), default=True, help_text=_("A facility that is switched off is refused at every door.")
    )
    patient_id_oid = models.CharField(
        _("patient ID OID"),
        max_length=64,
        unique=True,
        blank=True,
        validators=[validate_oid],
        help_text=_("Authority that assigns its chart numbers. Empty: derived from the facility code."),
    )
    repository_oid = models.CharField(
        _("repository OID"),
        max_length=64,
        unique=True,
        blank=True,
        validators=[validate_oid],
        help_text=_("repositoryUniqueId of its documents. Empty: derived from the facility code."),
    )
    hosted_repository = models.BooleanField(
        _("hosted repository"),
        default=False,
        help_text=_(
            "What it submits is kept here under its own repository OID, as if it had a repository. Off: under that of"
            " the network, or in the repository that it runs itself. What was submitted before stays where it was."
        ),
    )
    patient_id_length = models.PositiveSmallIntegerField(
        _("chart number length"), default=0, help_text=_("Digits of a complete chart number; 0 where it varies.")
    )
    patient_id_pad = models.BooleanField(
        _("pad with zeros"), default=False, help_text=_("Fill shorter chart numbers with zeros up to the length.")
    )
    patient_id_strip_zeros = models.BooleanField(
        _("ignore leading zeros"), default=False, help_text=_("00012 and 12 are the same chart number.")
    )
    patient_id_uppercase = models.BooleanField(
        _("ignore case"), default=False, help_text=_("a12 and A12 are the same chart number.")
    )
    created_at = models.DateTimeField(_("added"), auto_now_add=True)

    class Meta:
        verbose_name = _("facility")
        verbose_name_plural = _("facilities")
        ordering = ["code"]
        constraints = [
            models.CheckConstraint(condition=~Q(name=""), name="network_facility_named"),
            models.CheckConstraint(
                condition=Q(patient_id_pad=False) | Q(patient_id_length__gt=0),
                name="network_facility_pad_has_length",
                violation_error_message=_("Padding needs the length of a chart number."),
            ),
            models.CheckConstraint(
                condition=Q(patient_id_pad=False) | Q(patient_id_strip_zeros=False),
                name="network_facility_pad_or_strip",
                violation_error_message=_("Chart numbers are either padded or freed of leading zeros, not both."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.code})"

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.kind = self.kind or facilities.kinds_of(self.code)[0]
        self.patient_id_oid = self.patient_id_oid or facilities.patient_id_oid(self.code)
        self.repository_oid = self.repository_oid or facilities.repository_oid(settings.OID_ROOT, self.code)
        super().save(*args, **kwargs)

    @property
    def patient_id_profile(self) -> facilities.PatientIdProfile:
        return facilities.PatientIdProfile(
            self.patient_id_length, self.patient_id_pad, self.patient_id_strip_zeros, self.patient_id_uppercase
        )


# Which column of a node says yes to which consent question.
ENTITLEMENTS: dict[Access, str] = {
    Access.FEED: "may_feed",
    Access.IDENTIFY: "may_identify",
    Access.FIND: "may_find",
    Access.RETRIEVE: "may_retrieve",
    Access.SUBMIT: "may_submit",
    Access.ADMINISTER: "may_administer",
}


class Node(models.Model):
    """A system that speaks for a facility. It is known by its certificates, or by MSH-3 and MSH-4 without TLS."""

    name = models.CharField(
        _("name"),
        max_length=40,
        unique=True,
        validators=[RegexValidator(r"^[a-z0-9][a-z0-9-]*$", _("Small letters, digits and hyphens."))],
        help_text=_("Short name, small letters, digits and hyphens; it also names the certificate files."),
    )
    facility = models.ForeignKey(Facility, models.PROTECT, related_name="nodes", verbose_name=_("facility"))
    sending_facility = models.CharField(
        _("sending facility (MSH-4)"), max_length=180, blank=True, help_text=_("First component of MSH-4.")
    )
    sending_application = models.CharField(
        _("sending application (MSH-3)"), max_length=180, blank=True, help_text=_("First component of MSH-3.")
    )
    may_feed = models.BooleanField(_("feeds patients"), default=False)
    may_identify = models.BooleanField(_("asks for identifiers"), default=False)
    may_find = models.BooleanField(_("finds documents"), default=False)
    may_retrieve = models.BooleanField(_("retrieves documents"), default=False)
    may_submit = models.BooleanField(_("submits documents"), default=False)
    may_administer = models.BooleanField(_("administers"), default=False)
    limited_metadata = models.BooleanField(
        _("limited metadata"),
        default=False,
        help_text=_("It may submit documents whose metadata say that they are limited (ITI-41)."),
    )
    enabled = models.BooleanField(
        _("enabled"), default=True, help_text=_("A node that is switched off is refused within seconds.")
    )
    created_at = models.DateTimeField(_("added"), auto_now_add=True)

    class Meta:
        verbose_name = _("node")
        verbose_name_plural = _("nodes")
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["sending_facility", "sending_application"],
                condition=~Q(sending_application=""),
                name="network_node_sender_unique",
                violation_error_message=_("Another node already sends under these MSH-3 and MSH-4."),
            ),
            models.CheckConstraint(
                condition=(Q(sending_facility="") & Q(sending_application=""))
                | (~Q(sending_facility="") & ~Q(sending_application="")),
                name="network_node_sender_whole",
                violation_error_message=_("Give both MSH-3 and MSH-4, or neither."),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def accesses(self) -> frozenset[Access]:
        return frozenset(access for access, column in ENTITLEMENTS.items() if getattr(self, column))


class NodeCertificate(models.Model):
    """A certificate that stands for a node. Rows stay as history; several may be valid while one is renewed."""

    node = models.ForeignKey(Node, models.PROTECT, related_name="certificates", verbose_name=_("node"))
    fingerprint = models.CharField(
        _("SHA-256 fingerprint"), max_length=64, unique=True, help_text=_("Of the certificate in DER, 64 hex digits.")
    )
    subject = models.CharField(_("subject"), max_length=500)
    issuer = models.CharField(_("issuer"), max_length=500)
    valid_from = models.DateTimeField(_("valid from"))
    valid_until = models.DateTimeField(_("valid until"), db_index=True)
    pem = models.TextField(_("certificate"), help_text=_("PEM; the key is never kept here."))
    revoked_at = models.DateTimeField(_("withdrawn"), null=True, blank=True)
    created_at = models.DateTimeField(_("added"), auto_now_add=True)

    class Meta:
        verbose_name = _("certificate")
        verbose_name_plural = _("certificates")
        ordering = ["-valid_until"]
        constraints = [
            models.CheckConstraint(
                condition=Q(valid_until__gt=models.F("valid_from")), name="network_certificate_period"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.node_id and self.node.name} {self.fingerprint[:16]}"


class AssigningAuthority(models.Model):
    """Who assigns identifiers: facilities their chart numbers, this network its regional identifiers (one row)."""

    oid = models.CharField(_("OID"), max_length=64, unique=True, validators=[validate_oid])
    namespace = models.CharField(
        _("namespace"), max_length=20, unique=True, help_text=_("Local name (HL7 v2 HD-1), at most 20 characters.")
    )
    name = models.CharField(_("name"), max_length=200)
    facility = models.ForeignKey(
        Facility, models.PROTECT, null=True, blank=True, related_name="authorities", verbose_name=_("facility")
    )

    class Meta:
        verbose_name = _("assigning authority")
        verbose_name_plural = _("assigning authorities")
        ordering = ["oid"]
        constraints = [
            models.CheckConstraint(condition=~Q(namespace=""), name="network_authority_namespace"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.oid})"

    @property
    def is_affinity_domain(self) -> bool:
        """Whether this is the authority of the regional identifiers (XDS affinity domain)."""
        return self.oid == str(settings.AFFINITY_DOMAIN_OID)


class Community(models.Model):
    """A regional network: our own (one row) and the others we exchange with through gateways (XCA)."""

    home_community_oid = models.CharField(
        _("home community OID"),
        max_length=64,
        unique=True,
        validators=[validate_oid],
        help_text=_("Without the urn:oid: prefix."),
    )
    name = models.CharField(_("name"), max_length=200)
    is_own = models.BooleanField(_("this network"), default=False)
    discovery_address = models.URLField(_("patient discovery address"), blank=True, help_text=_("XCPD, ITI-55."))
    query_address = models.URLField(_("query address"), blank=True, help_text=_("XCA, ITI-38."))
    retrieve_address = models.URLField(_("retrieve address"), blank=True, help_text=_("XCA, ITI-39."))
    enabled = models.BooleanField(_("enabled"), default=True)

    class Meta:
        verbose_name = _("community")
        verbose_name_plural = _("communities")
        ordering = ["-is_own", "home_community_oid"]
        constraints = [
            models.UniqueConstraint(fields=["is_own"], condition=Q(is_own=True), name="network_community_one_own"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.home_community_oid})"

    @property
    def home_community_id(self) -> str:
        """homeCommunityId as XDS metadata write it: ``urn:oid:<OID>``."""
        return f"urn:oid:{self.home_community_oid}"


def kind_label(kind: str) -> str | Promise:
    """What a person reads for a kind of facility."""
    return FacilityKind(kind).label if kind in FacilityKind.values else kind
