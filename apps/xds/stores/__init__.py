"""Where the documents that were submitted here lie, in four forms (decisions 0043, 0044).

| scheme         | place                                  | bytes  | name                        |
|----------------|----------------------------------------|--------|-----------------------------|
| `blob`         | `sha256/` of settings.DOCUMENT_STORE   | plain  | SHA-256                     |
| `sealed`       | `sealed/` of settings.DOCUMENT_STORE   | sealed | SHA-256 and 16 random digits |
| `object`       | `documents/` of the bucket             | plain  | SHA-256 and 16 random digits |
| `sealedobject` | `sealed/` of the bucket                | sealed | SHA-256 and 16 random digits |

A locator is ``<scheme>:<name>``; new documents take the form that settings.DOCUMENT_STORAGE and settings.DOCUMENT_KEY
choose, and the forms live side by side. ``blob`` is addressed by content alone: the same bytes take the same place,
and its file system is asked in the middle of a registration whether they are there. Of the others a name is given once
and never again. So a sealed document belongs to one key, and what no row names can be removed from a bucket at any
moment, without a database transaction: no later submission can have come to rely on it.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from django.conf import settings

from apps.xds.stores import keys, sealing
from apps.xds.stores.sealing import Damaged, KeyProblem, Sealed
from apps.xds.stores.shelves import LocalShelf, ObjectShelf, Shelf
from hie.values.documents import Content, DataKey, Readable

__all__ = [
    "BLOB",
    "FORMS",
    "Damaged",
    "KeyProblem",
    "current_scheme",
    "exists",
    "is_there",
    "keep",
    "open_plain",
    "put",
    "remove",
    "rewrapped",
    "source",
    "walk",
]

BLOB = "blob"
_PIECE = 1024 * 1024
_LOCATOR = re.compile(r"([a-z]+):([0-9a-f]{64})([0-9a-f]{16})?")


@dataclass(frozen=True, slots=True)
class Form:
    """One form of keeping. sealed: the bytes are. unique: a name is given once, and has random digits."""

    shelf: Shelf
    sealed: bool = False
    unique: bool = True


FORMS: dict[str, Form] = {
    BLOB: Form(LocalShelf("sha256"), unique=False),
    "sealed": Form(LocalShelf("sealed"), sealed=True),
    "object": Form(ObjectShelf("documents")),
    "sealedobject": Form(ObjectShelf("sealed"), sealed=True),
}
_CHOSEN = {("local", False): BLOB, ("local", True): "sealed", ("s3", False): "object", ("s3", True): "sealedobject"}


def current_scheme() -> str:
    """The form that new documents take."""
    return _CHOSEN[settings.DOCUMENT_STORAGE, bool(keys.current_key_name())]


def keep(content: Content) -> Content:
    """Take the spooled bytes in for good; the content with its locator and data key. The spooled file itself stays.

    Raises OSError where the place does not take them, KeyProblem where they cannot be sealed.
    """
    locator, data_key = put(content.path, content.sha256)
    return replace(content, locator=locator, data_key=data_key)


def put(plain: Readable, sha256: str) -> tuple[str, DataKey | None]:
    """Keep plain bytes in the form that new documents take; durable when this returns: locator, key of sealed ones."""
    scheme = current_scheme()
    form = FORMS[scheme]
    name = sha256 + (secrets.token_hex(8) if form.unique else "")
    locator = f"{scheme}:{name}"
    if isinstance(plain, Path) and not form.sealed:
        form.shelf.put(name, plain)
        return locator, None
    with plain.open("rb") as file:
        if not form.sealed:
            form.shelf.put(name, iter(lambda: file.read(_PIECE), b""))
            return locator, None
        opener = keys.current_key_name()
        key = sealing.new_key()
        wrapped = sealing.wrap(key, locator, keys.operators_key(opener))
        form.shelf.put(name, sealing.seal(file, key))
    return locator, DataKey(opener, wrapped)


def rewrapped(data_key: DataKey, locator: str) -> DataKey:
    """The same document key, sealed by the key that new documents are sealed with. Raises KeyProblem."""
    opener = keys.current_key_name()
    return DataKey(opener, sealing.wrap(_unwrapped(data_key, locator), locator, keys.operators_key(opener)))


def source(locator: str) -> Readable:
    """The bytes as they lie, sealed or not. Raises OSError; FileNotFoundError too for what is no locator of ours."""
    form, name = _taken_apart(locator)
    return form.shelf.get(name)


def open_plain(source: Readable, locator: str, data_key: DataKey | None) -> Readable:
    """The plain bytes of what was read from this locator. Raises KeyProblem where they cannot be opened."""
    form = FORMS.get(locator.partition(":")[0])
    if form is None or not form.sealed:
        return source
    if data_key is None:
        raise KeyProblem("The row of a sealed document has no key: restore table xds_sealingkey from a backup.")
    return Sealed(source, _unwrapped(data_key, locator))


def _unwrapped(data_key: DataKey, locator: str) -> bytes:
    try:
        return sealing.unwrap(data_key.wrapped, locator, keys.operators_key(data_key.key_name))
    except ValueError:
        raise KeyProblem(
            f"The key {data_key.key_name!r} does not open a document that was sealed with a key of this name."
            f" Put the file {data_key.key_name}.key back as it was then, from the place where your keys are kept."
        ) from None


def is_there(locator: str, size: int) -> bool:
    """Whether something of the right size lies there; size: of the plain bytes. Raises OSError where nobody knows."""
    form, name = _taken_apart(locator)
    try:
        return form.shelf.size(name) == (sealing.sealed_size(size) if form.sealed else size)
    except FileNotFoundError:
        return False


def exists(locator: str) -> bool:
    """Whether anything lies there, of whatever size."""
    form, name = _taken_apart(locator)
    try:
        form.shelf.size(name)
    except FileNotFoundError:
        return False
    return True


def remove(locator: str) -> None:
    """Remove what lies there. Only for what no row names."""
    form, name = _taken_apart(locator)
    form.shelf.remove(name)


def walk() -> Iterator[tuple[str, str, float]]:
    """Everything kept in any form in use: locator ("" for a half-written file), place, when it was written."""
    for scheme, form in FORMS.items():
        if isinstance(form.shelf, ObjectShelf) and settings.DOCUMENT_STORAGE != "s3":
            continue
        for name, place, written in form.shelf.walk():
            yield f"{scheme}:{name}" if name else "", place, written


def _taken_apart(locator: str) -> tuple[Form, str]:
    match = _LOCATOR.fullmatch(locator)
    form = FORMS.get(match[1]) if match else None
    if match is None or form is None or form.unique != bool(match[3]):
        raise FileNotFoundError("not the locator of a document that is kept here")
    return form, match[2] + (match[3] or "")
