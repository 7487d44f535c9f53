"""SS-MIX2 storages: walk, validate, index, serve in place."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class SsmixConfig(AppConfig):
    name = "apps.ssmix"
    label = "ssmix"
    verbose_name = _("SS-MIX2 storages")

    def ready(self) -> None:
        """Summaries that are offered follow their patient; connected after ``apps.xds``: the documents go first."""
        from apps.pix.models import persons_joined, records_moved
        from apps.ssmix.services.offering import on_persons_joined, on_records_moved

        persons_joined.connect(on_persons_joined, dispatch_uid="ssmix")
        records_moved.connect(on_records_moved, dispatch_uid="ssmix")
