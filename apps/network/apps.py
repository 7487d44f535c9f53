"""Facilities, nodes and their certificates, communities, assigning authorities, authentication."""

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_delete, post_migrate, post_save
from django.utils.translation import gettext_lazy as _


class NetworkConfig(AppConfig):
    name = "apps.network"
    label = "network"
    verbose_name = _("Network")

    def ready(self) -> None:
        for model in self.get_models():
            post_save.connect(_forget, sender=model, dispatch_uid=f"network.{model.__name__}.saved")
            post_delete.connect(_forget, sender=model, dispatch_uid=f"network.{model.__name__}.deleted")
        post_migrate.connect(_set_own_rows, sender=self, dispatch_uid="network.own_rows")


def _forget(**_signal: Any) -> None:
    """This process sees a changed row at once; the others within ``queries.SECONDS``."""
    from hie.exchange.remembered import forget_all

    forget_all()


def _set_own_rows(**_signal: Any) -> None:
    from apps.network.services import set_own_rows

    set_own_rows()
