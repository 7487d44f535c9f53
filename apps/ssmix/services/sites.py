"""What stays the same during a scan of a root: where it lies, whose it is, how its names and files are read."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass

from apps.network import queries as network
from apps.network.queries import Facility
from apps.ssmix.models import StorageKind, StorageRoot
from apps.ssmix.services.locking import ScanRefusedError
from apps.ssmix.services.reading import Options
from apps.ssmix.services.rows import Row
from apps.terminology import queries as terminology
from hie.wire.ssmix.names import StorageName, is_foreign, path_bytes, read_content_folder, read_file_name


@dataclass(frozen=True, slots=True)
class Site:
    """One root. family: the ids of the other roots of its facility and kind. places: id -> path of all of them."""

    root_id: int
    place: bytes
    facility: Facility
    extended: bool
    quiet_seconds: int
    trust_folder: bool
    family: tuple[int, ...]
    places: Mapping[int, bytes]

    def path_of(self, folder: bytes, name: str) -> bytes:
        """Where a file of this root lies."""
        return b"/".join(part for part in (self.place, folder, path_bytes(name)) if part)

    def path_of_row(self, row: Row) -> bytes | None:
        """Where the file of a row lies, of this root or another of its family; None where its root is gone."""
        place = self.places.get(row.root_id)
        if place is None:
            return None
        return b"/".join(part for part in (place, path_bytes(row.path), path_bytes(row.name)) if part)

    def read_name(self, name: str, folder: str) -> StorageName | None:
        """What a name says, None where it is no name of this kind of storage. folder: the path it lies in."""
        if self.extended:
            return read_content_folder(name, folder.rsplit("/", 1)[-1])
        return None if is_foreign(name) else read_file_name(name)

    def options(self) -> Options:
        """How its files are read at this moment."""
        registered = None if self.extended else frozenset(filter(terminology.is_registered, _data_types()))
        return Options(self.facility, registered, time.time_ns(), self.quiet_seconds, self.trust_folder)


def site_of(root: StorageRoot) -> Site:
    """The site of a root. Raises ScanRefusedError where its facility does not belong to the network."""
    facility = network.facility(root.facility.code)
    if facility is None:
        raise ScanRefusedError("The facility of the storage does not belong to this network.")
    rows = StorageRoot.objects.filter(facility=root.facility, kind=root.kind).values_list("pk", "path")
    places = {pk: os.fsencode(path) for pk, path in rows}
    return Site(
        root_id=root.pk,
        place=os.fsencode(root.path),
        facility=facility,
        extended=root.kind == StorageKind.EXTENDED,
        quiet_seconds=root.quiet_seconds,
        trust_folder=root.trust_folder,
        family=tuple(pk for pk in places if pk != root.pk),
        places=places,
    )


def _data_types() -> tuple[str, ...]:
    return tuple(each.code for each in terminology.data_types())
