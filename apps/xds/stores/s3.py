"""S3-compatible object storage as a Django storage (settings.STORAGES["documents"]), thin, on obstore.

Why this client: docs/decisions/0043. Files go up in parts and come down in pieces, so that memory stays as it is
whatever their size. A storage that does not answer in time is a TimeoutError, one that refuses or fails a
ConnectionError, an object that is not there a FileNotFoundError: all of them OSError, as a file system's.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import obstore
from django.core.files.base import File
from django.core.files.storage import Storage
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import S3Store

PART = 8 * 1024 * 1024
_PARTS_AT_ONCE = 2
_CONNECT_SECONDS = 5
_LONGEST_TRANSFER = timedelta(hours=6)
_AT_ONCE = 1000


class S3Storage(Storage):
    """A bucket. endpoint: URL, "" for AWS by region; seconds: how long it may be silent before it counts as absent."""

    def __init__(
        self, *, bucket: str, endpoint: str = "", region: str = "", access_key: str = "", secret_key: str = "",
        seconds: int = 20,
    ) -> None:  # fmt: skip
        self._options: dict[str, Any] = {
            "client_options": {
                "allow_http": endpoint.startswith("http://"),
                "connect_timeout": timedelta(seconds=min(_CONNECT_SECONDS, seconds)),
                "read_timeout": timedelta(seconds=seconds),
                "timeout": _LONGEST_TRANSFER,
            },
            "retry_config": {"max_retries": 2, "retry_timeout": timedelta(seconds=seconds)},
            "virtual_hosted_style_request": False,
        }
        chosen = {
            "endpoint": endpoint,
            "region": region or "us-east-1",
            "access_key_id": access_key,
            "secret_access_key": secret_key,
        }
        self._options |= {name: value for name, value in chosen.items() if value}
        self._bucket = bucket
        self._clients: dict[int, S3Store] = {}

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        """The name as it is: whoever writes here makes names that nobody else makes, and asks no network for it."""
        return name

    def exists(self, name: str) -> bool:
        try:
            self.size(name)
        except FileNotFoundError:
            return False
        return True

    def size(self, name: str) -> int:
        with _as_os_errors():
            return int(obstore.head(self._client, name)["size"])

    def get_modified_time(self, name: str) -> datetime:
        with _as_os_errors():
            return obstore.head(self._client, name)["last_modified"]

    def delete(self, name: str) -> None:
        with _as_os_errors(), contextlib.suppress(NotFoundError):
            obstore.delete(self._client, name)

    def walk(self, prefix: str) -> Iterator[tuple[str, int, datetime]]:
        """Every object under a prefix: name, size, when it was written. A page at a time."""
        with _as_os_errors():
            for page in obstore.list(self._client, prefix or None, chunk_size=_AT_ONCE):
                yield from ((each["path"], each["size"], each["last_modified"]) for each in page)

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        with _as_os_errors():
            found = obstore.list_with_delimiter(self._client, path.strip("/") or None)
        folders = [each.rstrip("/").rpartition("/")[2] for each in found["common_prefixes"]]
        return folders, [each["path"].rpartition("/")[2] for each in found["objects"]]

    def _open(self, name: str, mode: str = "rb") -> File:
        with _as_os_errors():
            found = obstore.get(self._client, name)
        return File(io.BufferedReader(_Coming(found), PART // 8), name)

    def _save(self, name: str, content: Any) -> str:
        """content: a Django file, or the pieces of one. What fits into one part goes up in one request."""
        pieces = content if isinstance(content, Iterator) else content.chunks(PART // 8)
        begun = bytearray()
        for piece in pieces:
            begun += piece
            if len(begun) >= PART:
                break
        with _as_os_errors():
            if len(begun) < PART:
                obstore.put(self._client, name, bytes(begun), use_multipart=False)
            else:
                whole = itertools.chain((bytes(begun),), pieces)
                obstore.put(
                    self._client, name, whole, use_multipart=True, chunk_size=PART, max_concurrency=_PARTS_AT_ONCE
                )
        return name

    @property
    def _client(self) -> S3Store:
        """The client of this process: its threads do not survive a fork."""
        pid = os.getpid()
        if pid not in self._clients:
            self._clients = {pid: S3Store(self._bucket, **self._options)}
        return self._clients[pid]


class _Coming(io.RawIOBase):
    """An object as it comes, from its first byte on."""

    def __init__(self, found: Any) -> None:
        self._pieces = iter(found.stream(min_chunk_size=PART // 8))
        self._piece = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        while not self._piece:
            with _as_os_errors():
                piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._piece = memoryview(piece)
        length = min(len(buffer), len(self._piece))
        buffer[:length] = self._piece[:length]
        self._piece = self._piece[length:]
        return length


@contextlib.contextmanager
def _as_os_errors() -> Iterator[None]:
    """What the client raises, as the errors of a file system. The storage's own texts name objects; they stay here."""
    try:
        yield
    except NotFoundError:
        raise FileNotFoundError("there is no such object") from None
    except BaseError as failure:
        if "timed out" in str(failure).lower() or "timeout" in str(failure).lower():
            raise TimeoutError("the object storage does not answer in time") from None
        raise ConnectionError(f"the object storage failed: {type(failure).__name__}") from None
