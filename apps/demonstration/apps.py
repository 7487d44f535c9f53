"""The demonstration as a Django app: it stands on everything and nothing stands on it."""

from django.apps import AppConfig


class DemonstrationConfig(AppConfig):
    name = "apps.demonstration"
    label = "demonstration"
