"""A small region behind a real socket: mutual TLS on loopback, the real pipeline, gate and recorder.

A hospital and a clinic know the same patient by their own chart numbers; nothing is a test double but the web server,
which is wsgiref's with TLS around it and hands over the verified certificate as gunicorn does.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from django.db import connections
from lxml import etree

from apps.atna.models import AuditRecord
from apps.consent.services import record_directive
from apps.network.queries import facility
from apps.network.services import certificates, members
from apps.pix.queries import regional_id_of
from apps.pix.services import feed
from hie.transport.soap_client import SoapClient
from hie.transport.soap_server import soap_application, spool_directory
from hie.values.access import Access
from hie.values.documents import DocumentEntry, Submission
from hie.values.identifiers import Identifier
from hie.values.patients import FeedEvent, PatientFeed
from hie.values.people import Demographics, NameParts, PersonName
from hie.wire.soap.envelope import SoapMessage
from tests.apps.xds.samples import entry, spooled, submission
from tests.conformance import CONFORMANCE
from tests.wire.ebxml.messages import violations

HOSPITAL, CLINIC = "1310000011", "1310000029"
PERSON = Demographics(
    name=PersonName(ideographic=NameParts("山田", "太郎"), phonetic=NameParts("ヤマダ", "タロウ")),
    birth_date="19700101",
    sex="M",
)


@dataclass
class Region:
    """The running region. regional_id: of the patient whom the hospital calls 000111 and the clinic aa12."""

    url: str
    directory: Path
    regional_id: str
    charts: dict[str, Identifier]
    _clients: list[SoapClient] = field(default_factory=list)

    def client(self, node: str, service: str) -> SoapClient:
        """A system at a service. node: ``hospital``, ``clinic`` or ``stranger``, which was switched off."""
        context = ssl.create_default_context(cadata=certificates.authority_certificate().decode())
        issued = self.directory / f"{node}.pem"
        context.load_cert_chain(issued)
        client = _JudgingClient(f"{self.url}/soap/{service}", directory=self.directory / "answers", ssl_context=context)
        self._clients.append(client)
        return client

    def close(self) -> None:
        for client in self._clients:
            client.close()

    def consent(self, **changes: Any) -> None:
        """The patient permits (or, by permits=False, denies) disclosure to the clinic."""
        values: dict[str, Any] = {"permits": True, "recipients": [CLINIC], "legal_basis": "consent"}
        values |= {"obtained": "written", "recorded_by": "desk"} | changes
        record_directive(patient_regional_id=self.regional_id, **values)

    def document(self, data: bytes, **changes: Any) -> Submission:
        """A submission of the hospital with one document, hash, size and repository left out."""
        values: dict[str, Any] = {"hash": "", "size": None, "repository_unique_id": ""}
        values["source_patient_id"] = self.charts[HOSPITAL].xds_cx
        each: DocumentEntry = entry(self.regional_id, **(values | changes))
        return replace(submission(self.regional_id, each), contents={each.entry_uuid: spooled(self.directory, data)})


class _JudgingClient(SoapClient):
    """A client that holds every answer of the ebXML family against the published schemas, where these are here."""

    def call(self, *arguments: Any, **options: Any) -> SoapMessage:
        answer = super().call(*arguments, **options)
        if CONFORMANCE.is_dir() and (etree.QName(answer.body).namespace or "").startswith(_EBXML):
            assert violations(answer.body) == []
        return answer


_EBXML = ("urn:oasis:names:tc:ebxml-regrep:xsd:", "urn:ihe:iti:xds-b:2007", "urn:ihe:iti:rmd:2017")


def records(number: str) -> list[AuditRecord]:
    """The audit records of a transaction, in their order."""
    return list(AuditRecord.objects.filter(transaction=number).order_by("id"))


@contextmanager
def running(directory: Path, settings: Any) -> Iterator[Region]:
    """The region on a loopback port."""
    settings.DATA_DIR, settings.DOCUMENT_STORE = directory, str(directory / "documents")
    spool_directory.cache_clear()
    (directory / "answers").mkdir()
    charts = _members(directory)
    _feed(charts)
    server = WSGIServer(("127.0.0.1", 0), _Handler)
    server.set_app(soap_application)
    server.socket = _server_context(directory).wrap_socket(server.socket, server_side=True)
    shared = connections["default"]
    shared.inc_thread_sharing()
    thread = threading.Thread(target=_serve, args=(server, shared), daemon=True)
    thread.start()
    regional_id = regional_id_of(charts[HOSPITAL])
    assert regional_id
    assert regional_id == regional_id_of(charts[CLINIC])
    region = Region(f"https://localhost:{server.server_port}", directory, regional_id, charts)
    try:
        yield region
    finally:
        region.close()
        server.shutdown()
        server.server_close()
        thread.join()
        shared.dec_thread_sharing()
        spool_directory.cache_clear()


class _Handler(WSGIRequestHandler):
    def get_environ(self) -> dict[str, Any]:
        return super().get_environ() | {"gunicorn.socket": self.connection, "HTTPS": "on"}

    def log_message(self, *arguments: Any) -> None:
        pass


def _serve(server: WSGIServer, shared: Any) -> None:
    connections["default"] = shared
    server.serve_forever(poll_interval=0.02)


def _server_context(directory: Path) -> ssl.SSLContext:
    path = certificates.issue_server_certificate()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=certificates.authority_certificate().decode())
    context.load_cert_chain(path, path.with_suffix(".key"))
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def _members(directory: Path) -> dict[str, Identifier]:
    for code, name, node in ((HOSPITAL, "中央病院", "hospital"), (CLINIC, "駅前診療所", "clinic")):
        members.add_facility(code=code, name=name)
        members.add_node(facility_code=code, name=node)
    members.add_node(facility_code=CLINIC, name="reader", accesses={Access.FIND})
    members.add_node(facility_code=CLINIC, name="stranger")
    for node in ("hospital", "clinic", "reader", "stranger"):
        issued = certificates.issue_certificate(node_name=node)
        (directory / f"{node}.pem").write_bytes(issued.certificate + issued.key)
    members.set_node_enabled(name="stranger", enabled=False)
    numbers = {HOSPITAL: "000111", CLINIC: "aa12"}
    charts = {}
    for code, number in numbers.items():
        row = facility(code)
        assert row is not None
        charts[code] = Identifier(number, row.authority)
    return charts


def _feed(charts: dict[str, Identifier]) -> None:
    for code, identifier in charts.items():
        feed(
            PatientFeed(
                event=FeedEvent.REGISTER,
                trigger="ADT^A28",
                message_id=code,
                identifiers=(identifier,),
                demographics=PERSON,
            ),
            code,
        )
