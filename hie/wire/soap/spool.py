"""Where the documents of a message lie while it is answered: files written and hashed as the bytes come."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from pathlib import Path

from hie.values.documents import Content
from hie.values.errors import ExchangeError, Reason


class Spool:
    """The files of one message in a directory that the caller chose. ``discard`` removes what nobody has moved away."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._paths: list[Path] = []

    def new_file(self, max_bytes: int) -> SpoolFile:
        """A fresh file, readable by its owner alone, that takes at most max_bytes."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix="part-", dir=self.directory)
        self._paths.append(Path(name))
        return SpoolFile(descriptor, Path(name), max_bytes)

    def discard(self) -> None:
        """Remove the files. Whoever wanted to keep one has moved or linked it by now."""
        while self._paths:
            self._paths.pop().unlink(missing_ok=True)


class SpoolFile:
    """One document on its way in. Not synced to disk: whoever stores it for good does that."""

    def __init__(self, descriptor: int, path: Path, max_bytes: int) -> None:
        self._file = os.fdopen(descriptor, "wb", buffering=0)
        self._path = path
        self._left = max_bytes
        self._max_bytes = max_bytes
        self._sha1 = hashlib.sha1(usedforsecurity=False)
        self._sha256 = hashlib.sha256()

    def write(self, piece: bytes | bytearray | memoryview) -> None:
        """Append. Raises ExchangeError TOO_LARGE above the limit."""
        self._left -= len(piece)
        if self._left < 0:
            raise ExchangeError(Reason.TOO_LARGE, f"A document exceeds the {self._max_bytes} bytes allowed for it.")
        self._sha1.update(piece)
        self._sha256.update(piece)
        written = self._file.write(piece)
        while written < len(piece):
            written += self._file.write(memoryview(piece)[written:])

    def finish(self, mime_type: str = "") -> Content:
        """Close the file; its content."""
        self._file.close()
        return Content(
            path=self._path,
            size=self._max_bytes - self._left,
            sha1=self._sha1.hexdigest(),
            sha256=self._sha256.hexdigest(),
            mime_type=mime_type,
        )

    def close(self) -> None:
        self._file.close()


def sweep(directory: Path, older_than_seconds: int) -> None:
    """Remove what a process that was killed has left behind."""
    limit = time.time() - older_than_seconds
    for path in directory.glob("part-*"):
        if path.stat().st_mtime < limit:
            path.unlink(missing_ok=True)
