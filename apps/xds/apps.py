"""The document registry and repository (ITI-18, 41, 42, 43)."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class XdsConfig(AppConfig):
    name = "apps.xds"
    label = "xds"
    verbose_name = _("Documents")

    def ready(self) -> None:
        """The documents of a person who turns out to be another follow them, in the transaction of the merge."""
        from apps.pix.models import persons_joined
        from apps.xds.services.moving import on_persons_joined

        persons_joined.connect(on_persons_joined, dispatch_uid="xds")
