"""The document registry and repository (ITI-18, 41, 42, 43)."""

from typing import Any

from django.apps import AppConfig
from django.core import checks
from django.db.backends.signals import connection_created
from django.utils.translation import gettext_lazy as _


class XdsConfig(AppConfig):
    name = "apps.xds"
    label = "xds"
    verbose_name = _("Documents")

    def ready(self) -> None:
        """Documents follow their patient, in the transaction in which the patient index joins or parts persons."""
        connection_created.connect(_keep_prepared, dispatch_uid="xds")
        from apps.pix.models import chart_renamed, persons_joined, records_moved
        from apps.xds.queries.keys import check_document_keys
        from apps.xds.services.moving import on_chart_renamed, on_persons_joined, on_records_moved

        checks.register(check_document_keys, checks.Tags.database)
        persons_joined.connect(on_persons_joined, dispatch_uid="xds")
        records_moved.connect(on_records_moved, dispatch_uid="xds")
        chart_renamed.connect(on_chart_renamed, dispatch_uid="xds")


# A statement of one patient is prepared once for each partition (decision 0042); the driver forgets above 100 in all.
_PREPARED_STATEMENTS = 500


def _keep_prepared(connection: Any, **_: Any) -> None:
    if connection.vendor == "postgresql":
        connection.connection.prepared_max = _PREPARED_STATEMENTS
