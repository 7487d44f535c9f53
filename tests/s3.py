"""An S3 server on loopback for tests, in a process of its own: moto's, or the one that HIE_TEST_S3 names.

``HIE_TEST_S3=http://key:secret@host:port`` runs the same tests against any other S3-compatible storage.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from django.core.files.storage import storages

from tests.region import free_port

START_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Bucket:
    """A fresh bucket and how to reach it."""

    endpoint: str
    name: str
    access_key: str
    secret_key: str

    def environment(self) -> dict[str, str]:
        """What an operator writes to use it."""
        return {
            "HIE_DOCUMENT_STORAGE": "s3",
            "HIE_S3_ENDPOINT": self.endpoint,
            "HIE_S3_BUCKET": self.name,
            "HIE_S3_ACCESS_KEY": self.access_key,
            "HIE_S3_SECRET_KEY": self.secret_key,
        }

    def choose(self, settings: object, seconds: int = 20) -> None:
        """The same for the Django of this process."""
        options = {
            "endpoint": self.endpoint,
            "bucket": self.name,
            "access_key": self.access_key,
            "secret_key": self.secret_key,
            "seconds": seconds,
        }
        settings.DOCUMENT_STORAGE = "s3"  # type: ignore[attr-defined]
        settings.STORAGES = settings.STORAGES | {  # type: ignore[attr-defined]
            "documents": {"BACKEND": "apps.xds.stores.s3.S3Storage", "OPTIONS": options}
        }

    def another(self) -> Bucket:
        """A fresh one on the same server."""
        return _made(self.endpoint, self.access_key, self.secret_key)

    def objects(self) -> dict[str, bytes]:
        """Everything in it, by an independent client (boto3)."""
        found = {}
        for page in self._client().get_paginator("list_objects_v2").paginate(Bucket=self.name):
            for each in page.get("Contents", ()):
                body = self._client().get_object(Bucket=self.name, Key=each["Key"])["Body"]
                found[each["Key"]] = body.read()
        return found

    def put(self, key: str, body: bytes) -> None:
        self._client().put_object(Bucket=self.name, Key=key, Body=body)

    def _client(self):  # type: ignore[no-untyped-def]
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(s3={"addressing_style": "path"}),
        )


@contextlib.contextmanager
def s3_server() -> Iterator[Bucket]:
    """A bucket that is gone afterwards, with the server where it was started here."""
    named = os.environ.get("HIE_TEST_S3")
    if named:
        parts = urlsplit(named)
        yield _made(f"{parts.scheme}://{parts.hostname}:{parts.port}", parts.username or "", parts.password or "")
        return
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        endpoint = f"http://127.0.0.1:{port}"
        _await(endpoint, process)
        yield _made(endpoint, "test", "secret")
    finally:
        process.terminate()
        process.wait(10)


def _made(endpoint: str, access_key: str, secret_key: str) -> Bucket:
    bucket = Bucket(endpoint, f"hie-{uuid.uuid4().hex[:12]}", access_key, secret_key)
    bucket._client().create_bucket(Bucket=bucket.name)
    return bucket


def _await(endpoint: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_SECONDS
    while process.poll() is None:
        with (
            contextlib.suppress(OSError, urllib.error.URLError),
            urllib.request.urlopen(f"{endpoint}/moto-api/", timeout=5),
        ):
            return
        assert time.monotonic() < end, "the S3 server did not start"
        time.sleep(0.1)
    raise AssertionError("the S3 server ended")


def forget_storage() -> None:
    """Django keeps storages by alias; a test that chose another one makes it forget."""
    storages._storages.clear()
