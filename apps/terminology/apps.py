"""Code systems, value sets and maps that the network chose."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class TerminologyConfig(AppConfig):
    name = "apps.terminology"
    label = "terminology"
    verbose_name = _("Terminology")
