"""Persons, the identifiers they are known by, and who is who (ITI-8, 9, 30)."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class PixConfig(AppConfig):
    name = "apps.pix"
    label = "pix"
    verbose_name = _("Patient index")
