"""Where kept documents stand: a directory of this machine, or a bucket. Both take a name and bytes, and give them back.

What bears its name is whole: a local file is written beside its place, synced, renamed and its directory synced, in
this order; that the directory itself is there for good is seen to once in a process. An object appears when its last
part has come. Errors are those of a file system: FileNotFoundError where nothing has the name, any other OSError where
the shelf does not answer as it should.
"""

from __future__ import annotations

import os
import secrets
import shutil
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Literal, Protocol

from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import storages

from hie.values.documents import Readable

_PIECE = 1024 * 1024


class Shelf(Protocol):
    """Names are hex digits; how they are spread over folders is the shelf's own affair."""

    def put(self, name: str, pieces: Path | Iterable[bytes], /) -> None:
        """Keep a file, or bytes as they come; durable when this returns. What had the name is replaced."""

    def get(self, name: str, /) -> Readable:
        """What bears the name; from a bucket it is fetched to this machine first, for as long as it is needed."""

    def size(self, name: str, /) -> int: ...

    def remove(self, name: str, /) -> None:
        """Nothing bears the name any more; no error where nothing did."""

    def walk(self) -> Iterator[tuple[str, str, float]]:
        """Everything that stands here: name, place for the operator, when it was written (seconds since 1970).

        The name is "" for a file that is half-written.
        """


class LocalShelf:
    """A folder of settings.DOCUMENT_STORE: ``<folder>/ab/cd/<name>``."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._kept: set[Path] = set()

    def put(self, name: str, pieces: Path | Iterable[bytes], /) -> None:
        place = self.path(name)
        if not place.parent.is_dir():
            self._kept.difference_update([each for each in list(place.parents)[:3] if not each.is_dir()])
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = place.parent / f".{name[:16]}.{secrets.token_hex(8)}"
        try:
            _write(beside, pieces)
            _sync(beside)
            beside.replace(place)  # also over the same bytes: what lies there might be damaged
        finally:
            beside.unlink(missing_ok=True)
        _sync(place.parent)
        self._keep_directory(place.parent)

    def _keep_directory(self, directory: Path) -> None:
        """Make it durable that a directory is there, and those above it up to the store, unless it was done before."""
        while directory not in self._kept and directory != Path(settings.DOCUMENT_STORE):
            _sync(directory.parent)
            self._kept.add(directory)
            directory = directory.parent

    def get(self, name: str, /) -> Path:
        return self.path(name)

    def size(self, name: str, /) -> int:
        return self.path(name).stat().st_size

    def remove(self, name: str, /) -> None:
        self.path(name).unlink(missing_ok=True)

    def walk(self) -> Iterator[tuple[str, str, float]]:
        store = Path(settings.DOCUMENT_STORE)
        for directory in sorted((store / self._folder).glob("*/*")):
            for path in sorted(directory.iterdir()):
                try:
                    written = path.stat().st_ctime
                except FileNotFoundError:
                    continue
                yield "" if path.name.startswith(".") else path.name, str(path.relative_to(store)), written

    def path(self, name: str) -> Path:
        return Path(settings.DOCUMENT_STORE) / self._folder / name[:2] / name[2:4] / name


class ObjectShelf:
    """A prefix of the bucket behind Django's storage ``documents``: ``<prefix>/ab/cd/<name>``."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def put(self, name: str, pieces: Path | Iterable[bytes], /) -> None:
        if not isinstance(pieces, Path):
            _storage()._save(self._key(name), iter(pieces))  # chunks of unknown number: no File can say its size
            return
        with pieces.open("rb") as file:
            _storage().save(self._key(name), File(file))

    def get(self, name: str, /) -> Fetched:
        fetched = Fetched()
        with fetched.place.open("wb") as target, _storage().open(self._key(name)) as source:
            shutil.copyfileobj(source, target, _PIECE)
        return fetched

    def size(self, name: str, /) -> int:
        return int(_storage().size(self._key(name)))

    def remove(self, name: str, /) -> None:
        _storage().delete(self._key(name))

    def walk(self) -> Iterator[tuple[str, str, float]]:
        for key, _, written in _storage().walk(self._prefix):
            yield key.rpartition("/")[2], key, written.timestamp()

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name[:2]}/{name[2:4]}/{name}"


class Fetched:
    """A file that was fetched for one answer and goes with the last that knows of it; a killed process leaves it to
    the sweep of ``incoming``."""

    def __init__(self) -> None:
        directory = Path(settings.DOCUMENT_STORE) / "incoming"
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.place = directory / f"part-{secrets.token_hex(16)}"
        self.place.touch(mode=0o600, exist_ok=False)
        weakref.finalize(self, self.place.unlink, missing_ok=True)

    def open(self, mode: Literal["rb"] = "rb", /) -> IO[bytes]:
        return self.place.open(mode)


def _storage() -> Any:
    return storages["documents"]


def _write(target: Path, pieces: Path | Iterable[bytes]) -> None:
    """Link where the spool lies on the same file system, else copy: a large document is moved without being read."""
    if isinstance(pieces, Path):
        try:
            os.link(pieces, target)
        except OSError:
            shutil.copyfile(pieces, target)
        return
    with target.open("xb") as file:
        for piece in pieces:
            file.write(piece)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
