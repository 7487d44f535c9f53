"""The content store ``ssmix``: documents served where they lie in a hospital's storage, never copied, never written to.

A locator is ``ssmix:<root id>/<relative path>`` with the path in the escaped form of the index. The condition flag may
have changed since it was given: the same file then has the same name with another flag, and nothing else. What lies
outside the root, or behind a link, is not opened.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from apps.ssmix.models import StorageRoot
from hie.exchange.remembered import remembered
from hie.values.errors import ExchangeError, Reason
from hie.wire.ssmix.names import FLAGS, path_bytes

SECONDS = 5.0
_FLAGGED = re.compile(rb"((?:[^_]*_){5,})([012])((?:\.(?i:txt|hl7|dat))?)", re.DOTALL)
_NOT_THERE = "The document is not in its storage any more."


def open_file(locator: str) -> Path:
    """The path of the file that a locator names.

    Raises ExchangeError(DOCUMENT_NOT_AVAILABLE) where it is gone, behind a link or outside its root.
    """
    root_id, _, relative = locator.removeprefix("ssmix:").partition("/")
    place = _place(int(root_id)) if root_id.isdigit() else None
    parts = path_bytes(relative).split(b"/")
    if place is None or not relative or any(part in (b"", b".", b"..") for part in parts):
        raise _not_available()
    found = _find(os.fsencode(place), parts)
    if found is None:
        raise _not_available()
    return Path(os.fsdecode(found))


def _find(folder: bytes, parts: list[bytes]) -> bytes | None:
    """Follow the parts one by one; a part that is gone may bear another flag."""
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        found = next((name for name in _spellings(part) if _is_plain(folder + b"/" + name, file=last)), None)
        if found is None:
            return None
        folder = folder + b"/" + found
    return folder


def _spellings(part: bytes) -> list[bytes]:
    """A name as it was, then with the other flags. Names without a flag have no other spelling."""
    match = _FLAGGED.fullmatch(part)
    if match is None:
        return [part]
    stem, flag, suffix = match.groups()
    return [part, *(stem + other.encode() + suffix for other in sorted(FLAGS) if other.encode() != flag)]


def _is_plain(path: bytes, *, file: bool) -> bool:
    """Whether there is a file or a folder of this name, and not a link to one."""
    if os.path.islink(path):  # noqa: PTH114 - bytes
        return False
    return os.path.isfile(path) if file else os.path.isdir(path)  # noqa: PTH112, PTH113 - bytes


@remembered(SECONDS)
def _place(root_id: int) -> str | None:
    return StorageRoot.objects.filter(pk=root_id).values_list("path", flat=True).first()


def _not_available() -> ExchangeError:
    return ExchangeError(Reason.DOCUMENT_NOT_AVAILABLE, _NOT_THERE)
