"""The operator's keys: one file for each, ``<name>.key`` with 32 random bytes as base64, in one directory.

settings.DOCUMENT_KEYS is the directory, settings.DOCUMENT_KEY the name of the key that new documents are sealed with,
"" where they are kept as they came. Old keys stay in the directory until no document needs them.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from functools import lru_cache
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from apps.xds.stores.sealing import KeyProblem

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_BYTES = 32


def current_key_name() -> str:
    """The name of the key that new documents are sealed with, or ""."""
    return str(settings.DOCUMENT_KEY)


def key_names() -> list[str]:
    """The names of the keys that are there, sorted."""
    return sorted(path.stem for path in _directory().glob("*.key"))


def operators_key(name: str) -> bytes:
    """The bytes of a key. Raises KeyProblem where it is not there or its file is not readable as a key."""
    path = _directory() / f"{name}.key"
    try:
        status = path.stat()
        return _read(path, status.st_mtime_ns, status.st_size)
    except (OSError, ValueError, binascii.Error):
        said = "" if _NAME.fullmatch(name) else " (HIE_DOCUMENT_KEY has to be the name of a key, without .key)"
        raise KeyProblem(
            f"The key {name!r} of sealed documents cannot be read from {_directory()}{said}."
            f" Put the file {name}.key back there, from the place where your keys are kept or from a backup;"
            " documents sealed with it stay closed until then, none is lost."
        ) from None


def make_key(name: str) -> Path:
    """Write a fresh key, readable by its owner alone; return its file. Raises ValueError for a name that is taken."""
    if not _NAME.fullmatch(name):
        raise ValueError("The name of a key has letters, digits, dots, hyphens and underscores, 64 at most.")
    directory = _directory()
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / f"{name}.key"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ValueError(f"There is a key of this name: {path}.") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(base64.b64encode(AESGCM.generate_key(_BYTES * 8)) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return path


@lru_cache(64)
def _read(path: Path, _changed: int, _size: int) -> bytes:
    key = base64.b64decode(path.read_bytes().strip(), validate=True)
    if len(key) != _BYTES:
        raise ValueError("a key has 32 bytes")
    return key


def _directory() -> Path:
    return Path(settings.DOCUMENT_KEYS)
