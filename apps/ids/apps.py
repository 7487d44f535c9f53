"""Identifiers that the network issues."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class IdsConfig(AppConfig):
    name = "apps.ids"
    label = "ids"
    verbose_name = _("Identifiers")
