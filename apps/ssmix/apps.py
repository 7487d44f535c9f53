"""SS-MIX2 storages: walk, validate, index, serve in place."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class SsmixConfig(AppConfig):
    name = "apps.ssmix"
    label = "ssmix"
    verbose_name = _("SS-MIX2 storages")
