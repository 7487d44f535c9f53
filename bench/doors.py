"""The transactions, over their real doors: MLLP and SOAP over mutual TLS on loopback."""

from __future__ import annotations

import ssl
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.db import connection

from apps.network import services as network
from apps.pix.services import feed
from apps.xds.services import submit
from bench.load import compare
from bench.region import Region
from bench.wire import https_sender, mllp_sender
from hie.transport.outside import FIND_DOCUMENTS, Outside
from hie.transport.tls import Credentials, client_context
from hie.values.demographics_queries import DemographicsQuery
from hie.values.documents import (
    APPROVED,
    HAS_MEMBER,
    Association,
    Content,
    DocumentEntry,
    DocumentRequest,
    RetrieveRequest,
    StoredQuery,
    Submission,
    SubmissionSet,
)
from hie.values.identifiers import AssigningAuthority, Identifier, uuid_oid
from hie.values.patients import CrossReferenceQuery, FeedEvent, PatientFeed
from hie.values.people import Demographics, NameParts, PersonName
from hie.wire.ebxml import provide, retrieve, stored_query
from hie.wire.hl7v2 import demographics_query, patient_feed, pix_query
from hie.wire.soap.envelope import SoapBody, write_request
from hie.wire.soap.mtom import write_multipart

NODE, CODE = "bench", "1319999015"
OTHER = "1319999023"
AIM = 0.5
DOCUMENTS = 10
FIRST = 999_999  # the number of the message that is sent before the measuring begins
KB, MB = 1024, 1024 * 1024
SOAP = "application/soap+xml; charset=UTF-8"


@dataclass(frozen=True, slots=True)
class Fixture:
    """What was put into the region before it is measured."""

    outside: Outside
    patient: Identifier
    small: DocumentRequest
    middle: DocumentRequest
    big: DocumentRequest


def prepare(region: Region, persons: int = 200) -> Fixture:
    """Two members, persons known to both, one of them with ten documents; documents of 2 KB, 100 KB and 10 MB."""
    network.set_own_rows()
    network.issue_server_certificate()
    for code, node in ((CODE, NODE), (OTHER, "other")):
        joined = network.add_hospital(
            code=code, name=node, node_name=node, sending_facility=code, sending_application="EHR"
        )
        assert joined.issued is not None
        network.keep_connection(joined.issued)
    outside = Outside.of_node(NODE, region.directory, region.directory)
    for number in range(persons):
        for code in (CODE, OTHER):
            feed(_feed(code, number), code)
    patient = outside.chart_number("P00000")
    regional = _regional(patient)
    sent = [_document(regional, region.directory, 2 * KB) for _ in range(DOCUMENTS)]
    other = _regional(outside.chart_number("P00001"))
    middle, big = (_document(other, region.directory, size) for size in (100 * KB, 10 * MB))
    connection.close()
    return Fixture(outside, regional, sent[0], middle, big)


def run(region: Region, fixture: Fixture) -> None:
    """Measure each door and its floor in turn: the same bytes go in, as many bytes come out."""
    for name, message, expected, callers, aim in _hl7v2(fixture):
        ours = mllp_sender(region.mllp_port, message, expected)
        floor = mllp_sender(region.floor_mllp_port, message, b"aaaa")
        print(compare(name, ours, floor, callers=callers, aim=aim), flush=True)
    context = _tls_context(region)
    for name, service, content_type, message, callers, aim in _soap(region, fixture):
        path = f"/soap/{service}"
        ours = https_sender(region.https_port, context, path, content_type, message, b"ResponseStatusType:Success")
        size = ours()(FIRST)
        floor = https_sender(region.floor_https_port, context, f"/{size}", content_type, message, b"xxxx")
        print(compare(name, ours, floor, callers=callers, aim=aim), flush=True)


def _hl7v2(fixture: Fixture) -> Iterator[tuple[str, bytes, bytes, int, float]]:
    """What is sent over MLLP: name, message, a part of the right answer, callers, aim."""
    parties = fixture.outside._parties()
    asked = CrossReferenceQuery("@@ID@@", fixture.outside.chart_number("P00000"), query_tag="T1")
    query = pix_query.write_request(asked, parties)
    yield "ITI-9", query, b"QAK|T1|OK", 1, AIM
    yield "ITI-9", query, b"QAK|T1|OK", 8, AIM
    yield "ITI-21, by identifier", demographics_query.write_request(_wanted(fixture), parties), b"QAK|T1|OK", 8, 0.0
    feed_message = _feed(CODE, 5, "@@ID@@")
    yield "ITI-8", patient_feed.write_request(feed_message, parties, version="2.3.1"), b"MSA|AA", 4, 0.0
    yield "ITI-30", patient_feed.write_request(feed_message, parties), b"MSA|AA", 4, 0.0


def _wanted(fixture: Fixture) -> DemographicsQuery:
    number = fixture.outside.chart_number("P00000")
    return DemographicsQuery("@@ID@@", query_tag="T1", identifiers=((number,),))


def _soap(region: Region, fixture: Fixture) -> Iterator[tuple[str, str, str, bytes, int, float]]:
    """What is sent over SOAP: name, service, Content-Type, message, callers, aim."""
    port = fixture.outside.facts.https_port
    parameters = {"$XDSDocumentEntryPatientId": ((fixture.patient.xds_cx,),), "$XDSDocumentEntryStatus": ((APPROVED,),)}
    body = stored_query.write_request(StoredQuery(FIND_DOCUMENTS, parameters))
    find = _envelope(port, "registry", "urn:ihe:iti:2007:RegistryStoredQuery", body)
    yield f"ITI-18, {DOCUMENTS} documents", "registry", SOAP, find, 1, AIM
    yield f"ITI-18, {DOCUMENTS} documents", "registry", SOAP, find, 8, AIM
    for name, wanted in (("2 KB", fixture.small), ("10 MB", fixture.big)):
        body = retrieve.write_request(RetrieveRequest((wanted,)))
        outgoing = write_multipart(_envelope(port, "repository", "urn:ihe:iti:2007:RetrieveDocumentSet", body), ())
        yield f"ITI-43, {name}", "repository", outgoing.content_type, b"".join(outgoing.pieces), 4, AIM
    content_type, message = _provide(region, fixture.patient)
    yield "ITI-41, 2 KB", "repository", content_type, message, 4, 0.0


def _provide(region: Region, patient: Identifier, size: int = 2 * KB) -> tuple[str, bytes]:
    """A submission of one document. Every message has its own unique ids and bytes."""
    path = region.directory / "sent.txt"
    path.write_bytes(b"@@ID@@" + b"x" * (size - 6))
    template = _submission(patient, path)
    body = provide.write_request(template)
    envelope, _ = write_request("urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b", "https://localhost/", body)
    outgoing = write_multipart(envelope, body.attachments)
    return outgoing.content_type, with_own_ids(b"".join(outgoing.pieces), template)


def with_own_ids(message: bytes, template: Submission) -> bytes:
    """The message with ``@@ID@@`` for the last six digits of the unique ids of its submission set and document."""
    for unique_id in (template.submission_sets[0].unique_id, template.document_entries[0].unique_id):
        message = message.replace(unique_id.encode(), unique_id[:-6].encode() + b"@@ID@@")
    return message


def _tls_context(region: Region) -> ssl.SSLContext:
    tls = region.directory / "tls"
    return client_context(Credentials(tls / "nodes" / f"{NODE}.pem", tls / "nodes" / f"{NODE}.key", tls / "ca.pem"))


def _envelope(port: int, service: str, action: str, body: SoapBody) -> bytes:
    return write_request(action, f"https://localhost:{port}/soap/{service}", body)[0]


def _feed(code: str, number: int, message_id: str = "") -> PatientFeed:
    name = PersonName(NameParts("山本", f"試験{number}"), NameParts("ヤマモト", "シケン" + "ア" * (number % 7 + 1)))
    demographics = Demographics(name=name, birth_date=f"19{number % 90 + 10}0101", sex="F")
    authority = AssigningAuthority(f"1.2.392.100495.20.3.51.1{code}")
    identifier = Identifier(f"P{number:05d}", authority)
    return PatientFeed(FeedEvent.REGISTER, "ADT^A28", message_id or uuid.uuid4().hex[:20], (identifier,), demographics)


def _regional(identifier: Identifier) -> Identifier:
    from apps.network.queries import affinity_domain
    from apps.pix.queries import regional_id_of

    value = regional_id_of(identifier)
    assert value is not None
    return Identifier(value, affinity_domain())


def _document(patient: Identifier, directory: Path, size: int) -> DocumentRequest:
    path = directory / f"document-{uuid.uuid4().hex}.txt"
    path.write_bytes(uuid.uuid4().hex.encode() + b"x" * (size - 32))
    submission = _submission(patient, path)
    submit(submission, facility_code=CODE)
    from django.conf import settings

    return DocumentRequest(settings.REPOSITORY_OID, submission.document_entries[0].unique_id)


def _submission(patient: Identifier, path: Path) -> Submission:
    import hashlib

    from hie.transport.management.commands.ask import CONTENT_TYPE, LETTER

    content = path.read_bytes()
    entry = DocumentEntry(
        entry_uuid="Document01",
        unique_id=uuid_oid(uuid.uuid4()),
        patient_id=patient.xds_cx,
        mime_type="text/plain",
        creation_time="20260401000000",
        service_start_time="20260401000000",
        language_code="ja-JP",
        source_patient_id=f"P00000^^^&1.2.392.100495.20.3.51.1{CODE}&ISO",
        title="測定",
        **LETTER,  # type: ignore[arg-type]
    )
    submission_set = SubmissionSet(
        entry_uuid="SubmissionSet01",
        unique_id=uuid_oid(uuid.uuid4()),
        patient_id=patient.xds_cx,
        source_id="1.2.3.4",
        submission_time="20260401000000",
        content_type_code=CONTENT_TYPE,
    )
    member = Association("Association01", HAS_MEMBER, "SubmissionSet01", "Document01", "Original")
    digest = (hashlib.sha1(content).hexdigest(), hashlib.sha256(content).hexdigest())
    return Submission(
        (submission_set,),
        (entry,),
        associations=(member,),
        contents={"Document01": Content(path, len(content), *digest, "text/plain")},
    )
