"""Persons, the identifiers they are known by, who is who, and who is told (ITI-8 9 10 21 22 30 31 44-47 64)."""

from django.apps import AppConfig
from django.core import checks
from django.utils.translation import gettext_lazy as _


class PixConfig(AppConfig):
    name = "apps.pix"
    label = "pix"
    verbose_name = _("Patient index")

    def ready(self) -> None:
        """Whoever writes the history of links tells those who want to know, in the same transaction."""
        from apps.pix.models import links_changed
        from apps.pix.outbox import note_changes
        from apps.pix.queries.domain import check_regional_ids

        checks.register(check_regional_ids, checks.Tags.database)
        links_changed.connect(note_changes, dispatch_uid="pix.outbox")
