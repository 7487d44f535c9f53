"""The codes that the network accepts (the rows of ``codes.xml``)."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class AcceptedCode(models.Model):
    """A code that the network accepts for one attribute, as ``codes.xml`` lists it; of MIME types it has no scheme.

    An attribute without a row takes any code. A code that is no longer wanted is switched off: old documents carry it.
    """

    attribute = models.CharField(_("attribute"), max_length=40)
    code = models.CharField(_("code"), max_length=256)
    scheme = models.CharField(_("scheme"), max_length=256, blank=True)
    display = models.CharField(_("name"), max_length=256, blank=True)
    system = models.CharField(_("URI of the scheme"), max_length=256, blank=True)
    extension = models.CharField(_("file name extension"), max_length=256, blank=True)
    enabled = models.BooleanField(_("accepted"), default=True)

    class Meta:
        verbose_name = _("accepted code")
        verbose_name_plural = _("accepted codes")
        ordering = ["attribute", "id"]
        constraints = [models.UniqueConstraint(fields=["attribute", "code", "scheme"], name="xds_accepted_code")]

    def __str__(self) -> str:
        return f"{self.attribute} {self.code}"
