"""A backup of a running exchange: database, documents, keys, configuration (docs/operations.md).

The order is the whole of it. Documents are durable before the database names them, and while a backup is under way none
is removed (``BackupRun``): so whatever a copy of the database names can be copied after it. The manifest is written
last; a directory without one is no backup.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils import timezone

from apps.xds import stores
from apps.xds.models import BackupRun, Outgoing, SealingKey
from apps.xds.services.database_copies import CopyProblem, database_copied

FORMAT = 1
MANIFEST = "manifest.json"
CONFIGURATION = ("secret_key", "oid_root", "environment", "tls", "clients")
_PIECE = 1024 * 1024
_ALIVE_EACH = 200


@dataclass(frozen=True, slots=True)
class Copied:
    """How far a backup is: contents copied and their bytes as they lie, and those that the exchange itself has lost."""

    contents: int
    size: int
    lost: tuple[str, ...] = ()


def backup(
    directory: Path, *, previous: Path | None = None, documents: bool = True, with_keys: bool = True
) -> Iterator[Copied]:
    """Write a backup into a new or empty directory; a report for each 200 contents and at the end.

    previous: an older backup, whose documents are linked where they are the same, not copied. documents, with_keys:
    False leaves them to other means. Raises CopyProblem; then the directory is no backup.
    """
    _check_target(directory, previous)
    with _under_way() as run:
        with database_copied(directory) as (migrations, contents):
            schemes: set[str] = set()
            copied = Copied(0, 0)
            for locator, size, _sha256 in contents if documents else ():
                schemes.add(locator.partition(":")[0])
                copied = _with(copied, locator, _copy(locator, size, directory, previous))
                if copied.contents % _ALIVE_EACH == 0:
                    BackupRun.objects.filter(pk=run.pk).update(alive_at=timezone.now())
                    yield copied
        _copy_outgoing(directory)
    _copy_configuration(directory, with_keys=with_keys)
    _write_manifest(
        directory,
        format=FORMAT,
        made_at=timezone.now().isoformat(),
        database=connection.vendor,
        migrations=migrations,
        documents=documents,
        schemes=sorted(schemes),
        contents=copied.contents,
        size=copied.size,
        lost=list(copied.lost),
        keys=with_keys,
        keys_needed=list(SealingKey.objects.order_by("key_name").values_list("key_name", flat=True).distinct()),
    )
    yield copied


def content_path(directory: Path, locator: str) -> Path:
    """Where the bytes of a locator lie in a backup, sealed or not as they lay in their store."""
    scheme, _, name = locator.partition(":")
    return directory / "content" / scheme / name[:2] / name[2:4] / name


def _check_target(directory: Path, previous: Path | None) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    if any(directory.iterdir()):
        raise CopyProblem(f"{directory} is not empty; a backup gets a directory of its own.")
    if previous is not None and not (previous / MANIFEST).exists():
        raise CopyProblem(f"{previous} is no complete backup: it has no {MANIFEST}.")


@contextmanager
def _under_way() -> Iterator[BackupRun]:
    """From now on no document is removed."""
    run = BackupRun.objects.create(alive_at=timezone.now())
    try:
        yield run
    finally:
        BackupRun.objects.filter(pk=run.pk).update(ended_at=timezone.now())


def _copy(locator: str, size: int, directory: Path, previous: Path | None) -> int | None:
    """The bytes of one content as they lie; how many, or None where the exchange itself has lost them."""
    target = content_path(directory, locator)
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    wanted = stores.lying_size(locator, size)
    if previous is not None and _linked(content_path(previous, locator), target, wanted):
        return wanted
    try:
        with stores.source(locator).open("rb") as source, target.open("xb") as file:
            shutil.copyfileobj(source, file, _PIECE)
            file.flush()
            os.fsync(file.fileno())
    except (TimeoutError, ConnectionError) as failure:
        raise CopyProblem(f"{failure}; begin the backup again when the storage answers.") from None
    except OSError as failure:
        if isinstance(failure, FileNotFoundError):
            return None
        raise CopyProblem(f"{failure.strerror}: {target}") from None
    if target.stat().st_size != wanted:
        target.unlink()
        return None
    return wanted


def _linked(old: Path, new: Path, size: int) -> bool:
    try:
        if old.stat().st_size != size:
            return False
        os.link(old, new)
    except OSError:
        return False
    return True


def _with(copied: Copied, locator: str, size: int | None) -> Copied:
    if size is None:
        return Copied(copied.contents, copied.size, (*copied.lost, locator))
    return Copied(copied.contents + 1, copied.size + size, copied.lost)


def _copy_outgoing(directory: Path) -> None:
    """Files of answers that wait for delivery. One that was delivered meanwhile is gone, and nobody misses it."""
    target = directory / "outgoing"
    target.mkdir(mode=0o700)
    for attachments in Outgoing.objects.values_list("attachments", flat=True).iterator(_ALIVE_EACH):
        for _, path, *_ in attachments:
            with suppress(FileNotFoundError):
                shutil.copyfile(path, target / Path(path).name)


def _copy_configuration(directory: Path, *, with_keys: bool) -> None:
    target = directory / "configuration"
    target.mkdir(mode=0o700)
    for name in CONFIGURATION:
        source = Path(settings.DATA_DIR) / name
        if source.is_dir():
            shutil.copytree(source, target / name)
        elif source.exists():
            shutil.copy2(source, target / name)
    chosen = sorted(f"{name}={value}\n" for name, value in os.environ.items() if name.startswith("HIE_"))
    path = target / "environment.process"
    path.touch(mode=0o600)
    path.write_text("".join(chosen), encoding="utf-8")
    if with_keys and Path(settings.DOCUMENT_KEYS).is_dir():
        shutil.copytree(settings.DOCUMENT_KEYS, directory / "keys")


def _write_manifest(directory: Path, **values: Any) -> None:
    beside = directory / f".{MANIFEST}"
    with beside.open("x", encoding="utf-8") as file:
        json.dump(values, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(directory / MANIFEST)
