"""Audit records: kept, searched (ITI-19, ITI-20)."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AtnaConfig(AppConfig):
    name = "apps.atna"
    label = "atna"
    verbose_name = _("Audit")
