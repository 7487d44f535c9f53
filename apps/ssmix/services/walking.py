"""Walking a storage: folders in a fixed order, nothing computed and nothing assumed (SS-MIX2 2.2).

Paths are bytes, relative to the root, so that a name in any character set can be opened. Links are not followed: they
are files that do not belong to the storage. A folder that cannot be read is reported, never taken for empty.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

MAX_DEPTH = 12


@dataclass(slots=True)
class Leaf:
    """A folder that holds files. mtime_ns was taken before it was listed. folders: there are some beside the files."""

    path: bytes
    mtime_ns: int
    names: list[bytes] = field(default_factory=list)
    folders: bool = False


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a folder from the last scan."""

    mtime_ns: int
    has_folders: bool


IsUnit = Callable[[bytes, bytes], bool]  # (folder name, name of the folder it lies in) -> a content folder


def branches(root: bytes) -> list[bytes]:
    """The first two levels of a storage, sorted: the steps in which it is scanned. b"" is the root itself.

    Raises OSError where the root cannot be listed.
    """
    found = [b""]
    for first in _folders(root):
        found.append(first)
        found += [first + b"/" + second for second in _folders(os.path.join(root, first))]  # noqa: PTH118 - bytes
    return found


def leaves(
    root: bytes,
    branch: bytes,
    known: dict[bytes, Known],
    problems: list[bytes],
    is_unit: IsUnit | None,
    seen: set[bytes],
    *,
    full: bool,
) -> Iterator[Leaf]:
    """The folders of a branch that have to be looked at, in order. ``seen`` gets every folder that is still there.

    A folder whose time is the known one is not listed, unless ``full``. is_unit: in an extended storage, a folder that
    counts as one file. problems gets folders that could not be read.
    """
    deep = branch.count(b"/") == 1
    yield from _walk(root, branch, known, problems, is_unit, seen, full=full, levels=MAX_DEPTH if deep else 0)


def _walk(
    root: bytes,
    path: bytes,
    known: dict[bytes, Known],
    problems: list[bytes],
    is_unit: IsUnit | None,
    seen: set[bytes],
    *,
    full: bool,
    levels: int,
) -> Iterator[Leaf]:
    place = root + b"/" + path if path else root
    before = known.get(path)
    try:
        mtime_ns = os.stat(place).st_mtime_ns  # noqa: PTH116 - bytes
        seen.add(path)
        if before is not None and before.mtime_ns == mtime_ns and not full and not before.has_folders:
            return
        files, folders = _list(place)
    except FileNotFoundError:
        return  # it went while we walked: the next scan settles it
    except OSError:
        problems.append(path)
        return
    units = [name for name in folders if is_unit is not None and is_unit(name, path.rsplit(b"/", 1)[-1])]
    if units:
        folders = [name for name in folders if name not in set(units)]
        files = sorted(files + units)
    if levels == 0 or files or before is not None:
        # Above the second level the folders below are branches of their own.
        if files or before is not None:
            yield Leaf(path, mtime_ns, files, bool(folders))
        if levels == 0:
            return
    for name in folders:
        below = path + b"/" + name if path else name
        yield from _walk(root, below, known, problems, is_unit, seen, full=full, levels=levels - 1)


def _list(place: bytes) -> tuple[list[bytes], list[bytes]]:
    files: list[bytes] = []
    folders: list[bytes] = []
    with os.scandir(place) as entries:
        for entry in entries:
            (folders if entry.is_dir(follow_symlinks=False) else files).append(entry.name)
    files.sort()
    folders.sort()
    return files, folders


def folders_of(root: bytes, branch: bytes) -> list[bytes]:
    """The names of the folders in a branch of two levels, sorted: its patients; none where they cannot be listed."""
    if branch.count(b"/") != 1:
        return []
    try:
        return _folders(root + b"/" + branch)
    except OSError:
        return []


def _folders(place: bytes) -> list[bytes]:
    return _list(place)[1]


def files_of(place: bytes, limit: int = 100_000) -> list[tuple[bytes, os.stat_result]]:
    """All files of a content folder with their status, by relative path. Raises OSError where one cannot be read."""
    found: list[tuple[bytes, os.stat_result]] = []
    waiting = [b""]
    while waiting and len(found) < limit:
        inside = waiting.pop()
        files, folders = _list(place + b"/" + inside if inside else place)
        waiting += [inside + b"/" + name if inside else name for name in folders]
        for name in files:
            relative = inside + b"/" + name if inside else name
            found.append((relative, os.lstat(place + b"/" + relative)))
    return sorted(found)
