"""Make a new installation of a backup: into an empty data directory, an empty database and an empty store.

Documents come first and the database last, so that a restore that was stopped has left nothing that looks restored.
What tells an installation where others are is not taken over: a copy that is tried out must not write into the database
or the bucket of the one it was made of.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection, connections
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone

from apps.xds import stores
from apps.xds.models import BackupRun, Content, Outgoing
from apps.xds.services.backing_up import CONFIGURATION, FORMAT, MANIFEST, Copied
from apps.xds.services.database_copies import CopyProblem, file_name, is_empty, put_back

_EACH = 200
_PIECE = 1024 * 1024
_ELSEWHERE = re.compile(r"\s*(HIE_(?:DATA_DIR|DATABASE_URL|BROKER_URL|DOCUMENT_STORE|DOCUMENT_KEYS|S3_[A-Z_]+)\s*=.*)")


def restore(directory: Path) -> Iterator[Copied]:
    """Restore a backup into this installation; a report for each 200 contents and at the end.

    The last report tells what the database names and neither the backup nor the exchange it was made of had. Raises
    CopyProblem with a sentence that tells the operator what to do.
    """
    manifest = _manifest(directory)
    _check(directory, manifest)
    _put_configuration(directory)
    copied = Copied(0, 0)
    for locator, path in _contents(directory):
        stores.put_lying(locator, path)
        copied = Copied(copied.contents + 1, copied.size + path.stat().st_size)
        if copied.contents % _EACH == 0:
            yield copied
    _put_outgoing(directory)
    put_back(directory)
    connections.close_all()
    BackupRun.objects.filter(ended_at=None).update(ended_at=timezone.now())
    _point_outgoing_here()
    yield Copied(copied.contents, copied.size, tuple(_missing()) if manifest["documents"] else ())


def _manifest(directory: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise CopyProblem(f"{directory} is no complete backup: it has no readable {MANIFEST}.") from None
    return found


def _check(directory: Path, manifest: dict[str, Any]) -> None:
    if manifest["format"] != FORMAT:
        raise CopyProblem(f"The backup has format {manifest['format']}; this software reads {FORMAT}.")
    if manifest["database"] != connection.vendor:
        raise CopyProblem(
            f"The backup is of {manifest['database']} and this installation has {connection.vendor}: set"
            " HIE_DATABASE_URL to an empty database of the same kind, or leave it empty for SQLite."
        )
    unknown = {tuple(each) for each in manifest["migrations"]} - set(MigrationLoader(None).disk_migrations)
    if unknown:
        raise CopyProblem("The backup is of a newer version of this software; install that one, or a later one.")
    if not (directory / file_name(connection.vendor)).exists():
        raise CopyProblem(f"The backup lacks {file_name(connection.vendor)}.")
    if not is_empty():
        raise CopyProblem("The database of this installation is not empty; a backup is restored into an empty one.")
    kept = Path(settings.DOCUMENT_STORE)
    if any(path.is_file() for path in kept.rglob("*")):
        raise CopyProblem(f"{kept} is not empty; a backup is restored into an empty data directory.")
    if settings.DOCUMENT_STORAGE != "s3" and any(each.endswith("object") for each in manifest["schemes"]):
        raise CopyProblem("The backup has documents of a bucket: set HIE_DOCUMENT_STORAGE=s3 and a bucket for them.")


def _put_configuration(directory: Path) -> None:
    here = Path(settings.DATA_DIR)
    for name in CONFIGURATION:
        source = directory / "configuration" / name
        if source.is_dir():
            shutil.copytree(source, here / name, dirs_exist_ok=True)
        elif source.exists():
            shutil.copy2(source, here / name)
    kept = here / "environment"
    if kept.exists():
        kept.write_text(_without_places(kept.read_text(encoding="utf-8")), encoding="utf-8")
    if (directory / "keys").is_dir():
        shutil.copytree(directory / "keys", settings.DOCUMENT_KEYS, dirs_exist_ok=True)


def _without_places(text: str) -> str:
    """The choices of the old installation, those commented out that say where its parts are."""
    return "".join(_ELSEWHERE.sub(r"# not taken over by the restore: \1", line) for line in text.splitlines(True))


def _contents(directory: Path) -> Iterator[tuple[str, Path]]:
    for folder in sorted((directory / "content").glob("*/*/*")):
        scheme = folder.parent.parent.name
        for path in sorted(folder.iterdir()):
            yield f"{scheme}:{path.name}", path


def _put_outgoing(directory: Path) -> None:
    for path in (directory / "outgoing").glob("*"):
        target = Path(settings.DOCUMENT_STORE) / "outgoing"
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copyfile(path, target / path.name)


def _point_outgoing_here() -> None:
    """Rows of messages on their way out name their files by full path."""
    here = Path(settings.DOCUMENT_STORE) / "outgoing"
    for row in Outgoing.objects.exclude(attachments=[]).iterator(_EACH):
        row.attachments = [[name, str(here / Path(path).name), *rest] for name, path, *rest in row.attachments]
        row.save(update_fields=["attachments"])


def _missing() -> Iterator[str]:
    for row in Content.objects.order_by("id").iterator(_EACH):
        if row.locator.partition(":")[0] in stores.FORMS and not stores.is_there(row.locator, row.size):
            yield row.locator
