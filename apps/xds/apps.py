"""The document registry and repository (ITI-18, 41, 42, 43)."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class XdsConfig(AppConfig):
    name = "apps.xds"
    label = "xds"
    verbose_name = _("Documents")
