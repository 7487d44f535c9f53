"""Run inside a region: ITI-41 in a process that is killed before its first step, then its second, until none is left.

A step is a statement to the database, the end of a database transaction, or something done to a file that has to last.
Each time the same message is then sent again, and what is there is counted before and after. One line of JSON for each
attempt: ``step`` (what the process was about to do, "" for the attempt that came to its end), ``left``, ``after``.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import django

MOST = 400


def main(certificate: str) -> None:
    django.setup()
    from django.db import connections

    from apps.xds.services import register

    der, patient = _certificate(certificate), _patient()
    done: set[str] = set()
    for number in range(MOST):
        first, second, message = _messages(patient, number)
        register(first, facility_code=HOSPITAL)
        step = _attempt(message, der, done, connections)
        done.add(step)
        left = _there(first, second)
        assert _send(message, der), "the message sent again was refused"
        print(json.dumps({"step": step, "left": left, "after": _there(first, second)}))
        if not step:
            return
    raise AssertionError("it never came to its end")


HOSPITAL = "1310000011"


def _certificate(path: str) -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    return x509.load_pem_x509_certificate(Path(path).read_bytes()).public_bytes(Encoding.DER)


def _patient() -> str:
    from tests.apps.xds.samples import known_patient

    return known_patient()


def _messages(patient: str, number: int) -> tuple[Any, Any, tuple[str, bytes]]:
    """A document that is registered, the submission that replaces it, and the latter as it comes over the wire."""
    from django.conf import settings

    from apps.network.queries import facility
    from hie.transport.soap_server import spool_directory
    from hie.values.documents import RPLC
    from hie.values.identifiers import new_uuid_urn
    from hie.wire.ebxml import provide
    from hie.wire.soap.envelope import write_request
    from hie.wire.soap.mtom import write_multipart
    from tests.apps.xds.samples import entry, relation, spooled, submission

    hospital = facility(HOSPITAL)
    assert hospital is not None
    old = entry(patient, entry_uuid=new_uuid_urn(), repository_unique_id=hospital.repository_oid)
    first = submission(patient, old)
    new = entry(patient, entry_uuid=new_uuid_urn(), hash="", size=None, repository_unique_id="")
    replaces = replace(relation(RPLC, new.entry_uuid, old.entry_uuid), entry_uuid=new_uuid_urn())
    second = submission(patient, new, associations=(replaces,))
    content = spooled(spool_directory().parent, f"document {number} of {settings.OID_ROOT}".encode())
    body = provide.write_request(replace(second, contents={new.entry_uuid: content}))
    action = "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b"
    outgoing = write_multipart(write_request(action, "https://localhost/soap/repository", body)[0], body.attachments)
    return first, second, (outgoing.content_type, b"".join(outgoing.pieces))


def _attempt(message: tuple[str, bytes], der: bytes, done: set[str], connections: Any) -> str:
    """Send the message in a process that is killed before its first step that is not ``done``; that step."""
    connections.close_all()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _stop_before_others(done, lambda name: os.write(writing, name.encode()))
        sent = _send(message, der)
        os._exit(0 if sent else 1)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        name = pipe.read().decode()
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) is bool(name), f"step {name!r}: status {status}"
    return name


def _send(message: tuple[str, bytes], der: bytes) -> bool:
    """Whether the message is answered with success."""
    from hie.exchange.connection import Connection
    from hie.transport.soap_server import handle

    connection = Connection("soap", "https://localhost/soap/repository", "127.0.0.1", der)
    answer = handle("repository", {"content-type": message[0]}, iter((message[1],)), connection)
    return answer.status == 200 and b"ResponseStatusType:Success" in b"".join(answer.pieces)


def _stop_before_others(done: set[str], tell: Callable[[str], Any]) -> None:
    """From now on every step counts: before the first one that is not done the process is killed.

    A step is named by what it is and how many of its kind came before it; what is remembered changes which come.
    """
    from django.db import connection
    from django.db.backends.base.base import BaseDatabaseWrapper

    counted: Counter[str] = Counter()

    def step(kind: str) -> None:
        counted[kind] += 1
        name = f"{kind} {counted[kind]}"
        if name not in done:
            tell(name)
            os.kill(os.getpid(), signal.SIGKILL)

    def counting(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted_function(*arguments: Any, **more: Any) -> Any:
            step(name)
            return function(*arguments, **more)

        return counted_function

    def around_commit(self: Any) -> Any:
        step("commit")
        done = commit(self)
        step("after commit")
        return done

    def statement(execute: Any, sql: str, *arguments: Any) -> Any:
        step(" ".join(re.sub(r"\W+", " ", sql).split()[:4]) if "SAVEPOINT" not in sql else sql.split()[0])
        return execute(sql, *arguments)

    commit = BaseDatabaseWrapper._commit
    BaseDatabaseWrapper._commit = around_commit
    connection.execute_wrappers.append(statement)
    for module, name in ((os, "link"), (os, "replace"), (os, "fsync"), (os, "unlink"), (shutil, "copyfile")):
        setattr(module, name, counting(name, getattr(module, name)))


def _there(first: Any, second: Any) -> dict[str, int]:
    """What of the submission is there: 0 or as many as there have to be, of each kind."""
    from apps.atna.models import AuditRecord
    from apps.xds import models, stores

    (new,), (old,) = second.document_entries, first.document_entries
    rows = models.DocumentEntry.objects.filter(entry_uuid=new.entry_uuid)
    unique_id = second.submission_sets[0].unique_id.encode()
    successes = AuditRecord.objects.filter(transaction="ITI-41", outcome=0).order_by("-id")[:5]
    ends = models.Association.objects.filter(target_uuid=new.entry_uuid) | models.Association.objects.filter(
        source_uuid=new.entry_uuid
    )
    return {
        "entries": rows.count(),
        "values": models.ConfidentialityCode.objects.filter(entry__in=rows).count(),
        "documents": sum(stores.exists(each.content.locator) for each in rows if each.content),
        "sets": models.SubmissionSet.objects.filter(unique_id=unique_id.decode()).count(),
        "associations": ends.count(),
        "replaced": models.DocumentEntry.objects.filter(entry_uuid=old.entry_uuid, status=1).count(),
        "records": min(sum(unique_id in bytes(each.message) for each in successes), 1),
    }


if __name__ == "__main__":
    main(sys.argv[1])
