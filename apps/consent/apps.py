"""Patients' directives, the network's policy, and the gate that every transaction passes."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

from hie.values.identifiers import Identifier


class ConsentConfig(AppConfig):
    name = "apps.consent"
    label = "consent"
    verbose_name = _("Consent")

    def ready(self) -> None:
        """Wishes follow the person: listen to what the patient index joins and moves."""
        from apps.pix.models import persons_joined, records_moved

        persons_joined.connect(_joined, dispatch_uid="consent")
        records_moved.connect(_moved, dispatch_uid="consent")


def _joined(subsumed: str, surviving: str, **_: Any) -> None:
    from apps.consent.services import carry_directives

    carry_directives(subsumed=subsumed, surviving=surviving)


def _moved(identifiers: Collection[Identifier], previous: str, current: str, **_: Any) -> None:
    from apps.consent.services import follow_charts

    follow_charts(identifiers=identifiers, previous=previous, current=current)
