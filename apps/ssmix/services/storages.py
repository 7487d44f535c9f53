"""Adding a storage, and asking for a scan of it."""

from __future__ import annotations

from pathlib import Path

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from apps.network.models import Facility
from apps.ssmix.models import StorageKind, StorageRoot


def add_storage(
    *,
    facility_code: str,
    path: str,
    kind: str = StorageKind.STANDARD,
    name: str = "",
    quiet_seconds: int | None = None,
    trust_folder: bool = False,
) -> StorageRoot:
    """Add a root of a facility, or return the one that is there already under this path and kind.

    Raises ValidationError, by field, where the facility is unknown or the path is no readable folder.
    """
    facility = Facility.objects.filter(code=facility_code).first()
    if facility is None:
        raise ValidationError({"facility": _("There is no facility with this code.")})
    place = Path(path).resolve()
    if not place.is_dir():
        raise ValidationError({"path": _("The path is not a folder that this server can read.")})
    present = StorageRoot.objects.filter(path=str(place), kind=kind).first()
    if present is not None:
        return present
    root = StorageRoot(
        facility=facility,
        kind=kind,
        name=name or place.name,
        path=str(place),
        position=StorageRoot.objects.filter(facility=facility, kind=kind).count(),
        trust_folder=trust_folder,
    )
    if quiet_seconds is not None:
        root.quiet_seconds = quiet_seconds
    root.full_clean()
    root.save()
    return root


def request_scan(root: StorageRoot, *, full: bool = False) -> None:
    """Have a root scanned at the next occasion."""
    StorageRoot.objects.filter(pk=root.pk).update(scan_requested=True, **({"full_requested": True} if full else {}))
