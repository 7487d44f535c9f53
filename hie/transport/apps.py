"""The transport as a Django app: it owns the commands that serve."""

from django.apps import AppConfig


class TransportConfig(AppConfig):
    name = "hie.transport"
    label = "transport"
