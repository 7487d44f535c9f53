"""A document as large as films are goes in (ITI-41) and out (ITI-43) while the server's memory stays as it was.

Over the real doors, with Content-Length and chunked, answered with MTOM and inline; each way of keeping documents.
``HIE_LARGE_MB=2048`` is the full form; the suite sends less to stay short, yet several times what may be grown.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from hie.transport.outside import Outside
from hie.transport.soap_client import SoapClient
from hie.values.documents import Content, DocumentRequest, RetrievedDocument, RetrieveRequest, Submission
from hie.wire.ebxml import provide, retrieve
from hie.wire.soap.envelope import write_request
from hie.wire.soap.mtom import write_multipart
from tests.region import Region, prepared_region
from tests.robustness.clients import Feeding, feed_message, submission
from tests.s3 import s3_server

MB = 1024 * 1024
SIZE = int(os.environ.get("HIE_LARGE_MB", "200")) * MB + 4321
MOST = 64 * MB
PROVIDE = "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b"
RETRIEVE = "urn:ihe:iti:2007:RetrieveDocumentSet"


@pytest.fixture(scope="module", params=["plain", "sealed in a bucket"])
def region(request: pytest.FixtureRequest) -> Iterator[Region]:
    with contextlib.ExitStack() as started:
        choices = {"HIE_DOCUMENT_KEY": "first"} if request.param.startswith("sealed") else {}
        if request.param.endswith("bucket"):
            choices |= started.enter_context(s3_server()).environment()
            choices["HIE_S3_SECONDS"] = "300"  # moto puts the parts together before it answers
        region = started.enter_context(prepared_region(**choices))
        region.run("manage.py", "document_keys", "--make", "first")
        region.start()
        yield region
        region.stop()


def test_memory_does_not_grow_with_the_document(region: Region, tmp_path: Path) -> None:
    member = region.member("hospital")
    Feeding.of(member, "2.5", "L")._send(feed_message(member, "L1", control_id="L1"))
    patient = member.regional_id("L1")
    assert patient is not None
    small = submission(member, patient, b"small", tmp_path)
    member.provide(small)
    _retrieved(region, member, small, tmp_path, mtom=True)
    grown: dict[str, int] = {}
    for number, (name, send) in enumerate({"chunked": _chunked, "Content-Length": _with_length}.items(), 1):
        large = _large(submission(member, patient, b"", tmp_path), tmp_path / f"sent-{number}", number)
        grown[f"in, {name}"] = _growth(region, lambda send=send, large=large: send(region, member, large))
        (tmp_path / f"sent-{number}").unlink()
    for name, mtom in (("MTOM", True), ("inline", False)):
        out = _growth(region, lambda mtom=mtom: _retrieved(region, member, large, tmp_path, mtom=mtom))
        grown[f"out, {name}"] = out
    print(f"\n{SIZE // MB} MB:", ", ".join(f"{name} +{size / MB:.1f} MB" for name, size in grown.items()))
    assert SIZE > 3 * MOST, "a document that memory could hold unnoticed shows nothing"
    assert max(grown.values()) < MOST, grown


def _large(each: Submission, path: Path, number: int) -> Submission:
    """The submission with a document of SIZE: zeros that take no room, and a mark in each MB."""
    digests = hashlib.sha1(), hashlib.sha256()
    with path.open("wb") as file:
        for at in range(0, SIZE, MB):
            piece = b"%d of document %d" % (at, number)
            file.seek(at)
            file.write(piece)
        file.truncate(SIZE)
    with path.open("rb") as file:
        while piece := file.read(MB):
            for digest in digests:
                digest.update(piece)
    (entry,) = each.document_entries
    sha1, sha256 = (digest.hexdigest() for digest in digests)
    content = Content(path, SIZE, sha1, sha256, "application/octet-stream")
    entry = replace(entry, hash=sha1, size=SIZE)
    return replace(each, document_entries=(entry,), contents={entry.entry_uuid: content})


def _with_length(region: Region, member: Outside, each: Submission) -> None:
    body = provide.write_request(each)
    url = f"https://localhost:{region.ports['https']}/soap/repository"
    with SoapClient(url, directory=member._directory, ssl_context=member._context, timeout=300) as client:
        client.call(PROVIDE, b"".join(body.parts), attachments=body.attachments, mtom=True)


def _chunked(region: Region, member: Outside, each: Submission) -> None:
    """The same message without a length (RFC 9112: 7.1), as a sender does that makes it while it sends."""
    body = provide.write_request(each)
    url = urlsplit(f"https://localhost:{region.ports['https']}/soap/repository")
    outgoing = write_multipart(write_request(PROVIDE, url.geturl(), body)[0], body.attachments)
    connection = http.client.HTTPSConnection("localhost", url.port, timeout=300, context=member._context)
    headers = {"Content-Type": outgoing.content_type, "Transfer-Encoding": "chunked"}
    connection.request("POST", url.path, body=iter(outgoing.pieces), headers=headers, encode_chunked=True)
    answer = connection.getresponse()
    text = answer.read()
    assert b"ResponseStatusType:Success" in text, text.decode(errors="replace")
    connection.close()


def _retrieved(region: Region, member: Outside, each: Submission, directory: Path, *, mtom: bool) -> None:
    """Ask for the document and compare what comes, without keeping it: the test's own disk is not measured."""
    (entry,), (content,) = each.document_entries, each.contents.values()
    asked = RetrieveRequest((DocumentRequest("1.2.392.99.6.1", entry.unique_id),))
    url = f"https://localhost:{region.ports['https']}/soap/repository"
    with SoapClient(url, directory=directory / "answers", ssl_context=member._context, timeout=300) as client:
        if mtom:
            found: RetrievedDocument
            (found,) = retrieve.read_response(client.call(RETRIEVE, retrieve.write_request(asked), mtom=True)).documents
            with found.path.open("rb") as file:
                assert hashlib.file_digest(file, "sha256").hexdigest() == content.sha256
            return
    connection = http.client.HTTPSConnection("localhost", urlsplit(url).port, timeout=300, context=member._context)
    envelope = write_request(RETRIEVE, url, retrieve.write_request(asked))[0]
    connection.request("POST", "/soap/repository", envelope, {"Content-Type": "application/soap+xml"})
    answer = connection.getresponse()
    length = 0
    while piece := answer.read(MB):
        length += len(piece)
    connection.close()
    assert answer.status == 200
    assert length == int(answer.headers["Content-Length"]) > content.size * 4 // 3


def _growth(region: Region, work: Callable[[], None]) -> int:
    """By how much the resident memory of any process of the region rose above what it was, at its highest."""
    before = {}
    for pid in region.processes():
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # proc(5): the high-water mark starts again from now
        before[pid] = _status(pid, "VmRSS")
    work()
    return max(_status(pid, "VmHWM") - before.get(pid, 0) for pid in region.processes())


def _status(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))
