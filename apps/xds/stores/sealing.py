"""Documents sealed at rest: AES-256-GCM in chunks, a key of its own for each, itself sealed by a key of the operator.

The theory. A document is cut into chunks of 64 KiB, the last one shorter and never missing, and each is sealed by
AES-GCM under the document's own key (NIST SP 800-38D). Its nonce is its number, 11 bytes, and one byte that is 1 for
the last chunk alone: the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár 2015) that also age and Tink use. So
no chunk can be altered, left out, put elsewhere or taken from another document, and no end can be cut off, without the
reader noticing at that chunk. A nonce never repeats, because a document's key seals this one document and nothing else.

The document's key is random, and is kept beside the document's row sealed by AES-GCM under a key of the operator, with
the locator as associated data: it opens nothing at another place. To rotate the operator's keys is to seal the small
keys anew; the documents stay as they lie.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hie.values.documents import Readable

CHUNK = 64 * 1024
TAG = 16
_NONCE = 12
_KEY = 32
_CONTEXT = b"hie document key 1 "


class KeyProblem(Exception):  # noqa: N818 - a condition that the operator ends
    """A key is not there or is not the right one. The text tells the operator what to do."""


class Damaged(OSError):  # noqa: N818 - what it is
    """What lies there is not what was sealed."""


def new_key() -> bytes:
    """A fresh key for one document."""
    return AESGCM.generate_key(_KEY * 8)


def wrap(key: bytes, locator: str, opener: bytes) -> bytes:
    """The document's key sealed by the operator's, for this place alone: nonce and sealed key, 60 bytes."""
    nonce = os.urandom(_NONCE)
    return nonce + AESGCM(opener).encrypt(nonce, key, _CONTEXT + locator.encode())


def unwrap(wrapped: bytes, locator: str, opener: bytes) -> bytes:
    """The document's key. Raises ValueError where the operator's key or the place is another."""
    try:
        return AESGCM(opener).decrypt(wrapped[:_NONCE], wrapped[_NONCE:], _CONTEXT + locator.encode())
    except InvalidTag:
        raise ValueError("the key does not open this") from None


def sealed_size(size: int) -> int:
    """How many bytes a document of this size has when it is sealed."""
    return size + max(1, -(-size // CHUNK)) * TAG


def seal(file: IO[bytes], key: bytes) -> Iterator[bytes]:
    """The sealed chunks of a plain file, read while they are taken."""
    cipher = AESGCM(key)
    number, chunk = 0, file.read(CHUNK)
    while True:
        following = file.read(CHUNK) if len(chunk) == CHUNK else b""
        yield cipher.encrypt(_nonce(number, last=not following), chunk, None)
        if not following:
            return
        number, chunk = number + 1, following


class Sealed:
    """A sealed file that opens like the plain one. place: the file under it where that one lies for good."""

    def __init__(self, source: Readable, key: bytes) -> None:
        self._source = source
        self._key = key
        self.place = source if isinstance(source, Path) else None

    def open(self, mode: Literal["rb"] = "rb", /) -> IO[bytes]:
        """The plain bytes; reading raises Damaged at the first chunk that is not what was sealed."""
        return io.BufferedReader(_Opened(self._source.open("rb"), self._key), CHUNK)


class _Opened(io.RawIOBase):
    """The plain bytes of a sealed file, a chunk at a time."""

    def __init__(self, file: IO[bytes], key: bytes) -> None:
        self._file = file
        self._cipher = AESGCM(key)
        self._number = 0
        self._sealed = file.read(CHUNK + TAG)
        self._plain = memoryview(b"")
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        if not self._plain and not self._ended:
            self._next()
        piece = self._plain[: len(buffer)]
        buffer[: len(piece)] = piece
        self._plain = self._plain[len(piece) :]
        return len(piece)

    def close(self) -> None:
        self._file.close()
        super().close()

    def _next(self) -> None:
        following = self._file.read(CHUNK + TAG)
        try:
            plain = self._cipher.decrypt(_nonce(self._number, last=not following), self._sealed, None)
        except (InvalidTag, ValueError):
            raise Damaged(f"chunk {self._number} of a sealed document was altered, moved or cut off") from None
        self._plain, self._sealed = memoryview(plain), following
        self._number += 1
        self._ended = not following


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(_NONCE - 1) + bytes((last,))
