"""Code systems, value sets and maps that the network chose."""

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_delete, post_migrate, post_save
from django.utils.translation import gettext_lazy as _


class TerminologyConfig(AppConfig):
    name = "apps.terminology"
    label = "terminology"
    verbose_name = _("Terminology")

    def ready(self) -> None:
        for model in self.get_models():
            post_save.connect(_forget, sender=model, dispatch_uid=f"terminology.{model.__name__}.saved")
            post_delete.connect(_forget, sender=model, dispatch_uid=f"terminology.{model.__name__}.deleted")
        post_migrate.connect(_load_defaults, sender=self, dispatch_uid="terminology.defaults")


def _forget(**_signal: Any) -> None:
    """This process sees a changed row at once; the others within ``queries.SECONDS``."""
    from hie.exchange.remembered import forget_all

    forget_all()


def _load_defaults(**_signal: Any) -> None:
    from apps.terminology.services import load_defaults

    load_defaults()
