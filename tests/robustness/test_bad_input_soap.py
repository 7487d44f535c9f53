"""Bad input at the SOAP door: problem document, fault or RegistryErrorList that names field and rule, and a record."""

from __future__ import annotations

import hashlib
import http.client
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from hie.transport.tls import client_context
from hie.values.documents import (
    APPROVED,
    RPLC,
    Association,
    Content,
    DocumentRequest,
    RetrieveRequest,
    StoredQuery,
    Submission,
)
from hie.values.identifiers import AssigningAuthority, Identifier, new_uuid_urn
from hie.wire.ebxml import provide, register, retrieve, stored_query
from hie.wire.soap.envelope import SoapBody, write_request
from hie.wire.soap.mtom import write_multipart
from tests.region import Region
from tests.robustness.clients import feed_message, submission
from tests.robustness.observing import Watch, looks_like_a_trace

SOAP, WSA = "http://www.w3.org/2003/05/soap-envelope", "http://www.w3.org/2005/08/addressing"
SOAP_1_1 = "http://schemas.xmlsoap.org/soap/envelope/"
RS = "urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0"
QUERY = "urn:ihe:iti:2007:RegistryStoredQuery"
PROVIDE = "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b"
REGISTER = "urn:ihe:iti:2007:RegisterDocumentSet-b"
RETRIEVE = "urn:ihe:iti:2007:RetrieveDocumentSet"
FIND_DOCUMENTS = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"
SOAP_TYPE = {"Content-Type": "application/soap+xml; charset=UTF-8"}
MIB = 1024 * 1024


@dataclass
class Door:
    """The HTTPS door as the hospital uses it, over one connection kept open, with a patient who is known."""

    region: Region
    connection: http.client.HTTPSConnection
    patient: Identifier
    directory: Path

    def post(
        self, service: str, body: bytes, headers: dict[str, str] | None = None, method: str = "POST"
    ) -> tuple[int, str, bytes]:
        """HTTP status, Content-Type and body of the answer."""
        self.connection.request(method, f"/soap/{service}", body=body, headers=headers or SOAP_TYPE)
        response = self.connection.getresponse()
        return response.status, response.headers["Content-Type"], response.read()

    def ask(self, service: str, action: str, body: SoapBody) -> bytes:
        """A message as it should be in all but its content; the answer's bytes."""
        envelope, _ = write_request(action, "https://localhost/soap/" + service, body)
        outgoing = write_multipart(envelope, body.attachments)
        return self.post(service, b"".join(outgoing.pieces), {"Content-Type": outgoing.content_type})[2]

    def is_usable(self) -> bool:
        """Whether a good query over the same connection is answered."""
        socket = self.connection.sock
        status, _, raw = self.post("registry", good_query(self.patient))
        return status == 200 and b"StatusType:Success" in raw and self.connection.sock is socket

    def submission(self, content: bytes = b"content", **changes: Any) -> Submission:
        """A submission of one document by the hospital; changes are of its DocumentEntry."""
        made = submission(self.region.member("hospital"), self.patient, content, self.directory)
        (entry,) = made.document_entries
        return replace(made, document_entries=(replace(entry, **changes),))


@pytest.fixture(scope="module")
def door(region: Region, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    from hie.transport.mllp_client import MllpClient

    member = region.member("hospital")
    context = client_context(region.credentials("hospital"))
    with MllpClient("localhost", region.ports["mllps"], context) as client:
        client.send(feed_message(member, "000111", control_id="SOAP1"))
    patient = member.regional_id("000111")
    assert patient is not None
    connection = http.client.HTTPSConnection("localhost", region.ports["https"], timeout=60, context=context)
    yield Door(region, connection, patient, tmp_path_factory.mktemp("sent"))
    connection.close()


def good_query(patient: Identifier) -> bytes:
    parameters = {"$XDSDocumentEntryPatientId": ((patient.xds_cx,),), "$XDSDocumentEntryStatus": ((APPROVED,),)}
    body = stored_query.write_request(StoredQuery(FIND_DOCUMENTS, parameters))
    return write_request(QUERY, "https://localhost/soap/registry", body)[0]


# What is no SOAP message for us -----------------------------------------------------------------------------------


def envelope(header: str = "", body: str = "<a/>", soap: str = SOAP, before: str = "") -> bytes:
    head = f'{before}<s:Envelope xmlns:s="{soap}" xmlns:a="{WSA}"><s:Header>{header}</s:Header>'
    return f"{head}<s:Body>{body}</s:Body></s:Envelope>".encode()


ACTION = f'<a:Action s:mustUnderstand="1">{QUERY}</a:Action>'
ADDRESSED = f"{ACTION}<a:MessageID>urn:uuid:{uuid.uuid4()}</a:MessageID>"
BOMB = "<!DOCTYPE a [<!ENTITY a '{}'>{}]>".format(
    "x" * 1000, "".join(f"<!ENTITY {chr(98 + n)} '{f'&{chr(97 + n)};' * 10}'>" for n in range(9))
)
FILE_ENTITY = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>'

# case -> message, HTTP status, fault code, what the text has to name
FAULTS: dict[str, tuple[bytes, int, str, str]] = {
    "nothing": (b"", 400, "Sender", "no document"),
    "not XML": (b"MSH|^~\\&|EHR|HOSP", 400, "Sender", "line 1"),
    "cut": (envelope(ADDRESSED)[:-30], 400, "Sender", "line"),
    "another root": (b"<patient/>", 400, "Sender", "Envelope"),
    "entity bomb": (envelope(ADDRESSED, "<b>&j;</b>", before=BOMB), 400, "Sender", "document type"),
    "entity that is a file": (envelope(ADDRESSED, "<b>&x;</b>", before=FILE_ENTITY), 400, "Sender", "document type"),
    "DTD": (envelope(ADDRESSED, before='<!DOCTYPE a SYSTEM "http://127.0.0.1/x.dtd">'), 400, "Sender", "document type"),
    "300 levels deep": (envelope(ADDRESSED, "<b>" * 300 + "</b>" * 300), 400, "Sender", "depth"),
    "two million elements": (envelope(ADDRESSED, "<b/>" * 2_000_000), 413, "Sender", "elements"),
    "six hundred thousand attributes": (
        envelope(ADDRESSED, "<b " + " ".join(f'a{n}=""' for n in range(600_000)) + "/>"),
        413,
        "Sender",
        "elements",
    ),
    "nine MiB": (envelope(ADDRESSED, f"<b>{'x' * 9 * MIB}</b>"), 413, "Sender", "bytes"),
    "bytes that are no UTF-8": (
        envelope(ADDRESSED, "<b>山</b>").replace("山".encode(), b"\xff"),
        400,
        "Sender",
        "line",
    ),
    "an encoding that nobody reads": (
        b'<?xml version="1.0" encoding="x-klingon"?>' + envelope(ADDRESSED),
        400,
        "Sender",
        "UTF-8",
    ),
    "no Action": (envelope("<a:MessageID>urn:uuid:1</a:MessageID>"), 400, "Sender", "wsa:Action"),
    "no MessageID": (envelope(ACTION), 400, "Sender", "wsa:MessageID"),
    "no header at all": (envelope(), 400, "Sender", "wsa:Action"),
    "Action twice": (envelope(ADDRESSED + ACTION), 400, "Sender", "wsa:Action"),
    "an Action that nobody has": (envelope(ADDRESSED.replace(QUERY, "urn:x")), 400, "Sender", "wsa:Action"),
    "the Action of another service": (envelope(ADDRESSED.replace(QUERY, RETRIEVE)), 400, "Sender", "wsa:Action"),
    "an answer to elsewhere": (
        envelope(f"{ADDRESSED}<a:ReplyTo><a:Address>http://10.0.0.1/</a:Address></a:ReplyTo>"),
        400,
        "Sender",
        "wsa:ReplyTo",
    ),
    "mustUnderstand unknown": (
        envelope(f'{ADDRESSED}<x:Y xmlns:x="urn:x" s:mustUnderstand="true"/>'),
        500,
        "MustUnderstand",
        "mustUnderstand",
    ),
    "an empty body": (envelope(ADDRESSED, ""), 400, "Sender", "Body"),
    "two children": (envelope(ADDRESSED, "<a/><b/>"), 400, "Sender", "Body"),
    "SOAP of the future": (envelope(ADDRESSED, soap="urn:soap:9"), 500, "VersionMismatch", "SOAP 1.2"),
    "an assertion that is unsigned": (
        envelope(
            ADDRESSED
            + '<w:Security xmlns:w="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"'
            ' xmlns:m="urn:oasis:names:tc:SAML:2.0:assertion"><m:Assertion ID="x"/></w:Security>'
        ),
        400,
        "Sender",
        "",
    ),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_fault_names_what_is_wrong(door: Door, case: str) -> None:
    raw, status, code, words = FAULTS[case]
    watch = Watch(door.region)
    got, content_type, answer = door.post("registry", raw)
    assert (got, content_type) == (status, "application/soap+xml; charset=UTF-8")
    root = etree.fromstring(answer)
    assert root.findtext(f".//{{{SOAP}}}Value").split(":")[-1] == code
    assert words in root.findtext(f".//{{{SOAP}}}Text")
    _check_refused(door, watch, answer)


def _check_refused(door: Door, watch: Watch, answer: bytes, records: int = 1) -> None:
    assert not looks_like_a_trace(answer)
    assert [each.outcome > 0 for each in watch.records()] == [True] * records
    assert watch.changed() == {}
    assert not list((door.region.directory / "documents" / "incoming").iterdir())
    assert door.is_usable()


def test_soap_1_1_is_told_in_its_own_words(door: Door) -> None:
    watch = Watch(door.region)
    status, _, answer = door.post("registry", envelope(ADDRESSED, soap=SOAP_1_1), {"Content-Type": "text/xml"})
    root = etree.fromstring(answer)
    assert (status, root.tag) == (500, f"{{{SOAP_1_1}}}Envelope")
    assert root.findtext(".//faultcode").endswith(":VersionMismatch")
    _check_refused(door, watch, answer)


# case -> method, service, headers, HTTP status, what the detail has to name
PROBLEMS = {
    "GET": ("GET", "registry", SOAP_TYPE, 405, "POST"),
    "DELETE": ("DELETE", "registry", SOAP_TYPE, 405, "POST"),
    "a service that is none": ("POST", "nowhere", SOAP_TYPE, 404, "registry, repository"),
    "a path outside": ("POST", "../../etc/passwd", SOAP_TYPE, 404, "registry, repository"),
    "JSON": ("POST", "registry", {"Content-Type": "application/json"}, 415, "application/soap+xml"),
    "no content type": ("POST", "registry", {"Content-Type": ""}, 415, "application/soap+xml"),
    "text/xml around SOAP 1.2": ("POST", "registry", {"Content-Type": "text/xml"}, 415, "application/soap+xml"),
    "compressed": ("POST", "registry", SOAP_TYPE | {"Content-Encoding": "gzip"}, 415, "Content-Encoding"),
}


@pytest.mark.parametrize("case", PROBLEMS)
def test_what_is_no_soap_is_told_in_http(door: Door, case: str) -> None:
    method, service, headers, status, words = PROBLEMS[case]
    watch = Watch(door.region)
    got, content_type, answer = door.post(service, envelope(ADDRESSED), headers, method)
    assert (got, content_type) == (status, "application/problem+json")
    assert words in answer.decode()
    _check_refused(door, watch, answer)


# MTOM ---------------------------------------------------------------------------------------------------------------


def _mime(door: Door, change: Callable[[bytes], bytes], **changes: str) -> tuple[bytes, dict[str, str]]:
    body = provide.write_request(door.submission())
    written, _ = write_request(PROVIDE, "https://localhost/soap/repository", body)
    outgoing = write_multipart(written, body.attachments)
    content_type = outgoing.content_type
    for old, new in changes.items():
        content_type = content_type.replace(f"{old}=", f"{new}=")
    return change(b"".join(outgoing.pieces)), {"Content-Type": content_type}


def _last_part(raw: bytes) -> int:
    delimiter = raw.strip().split(b"\r\n", 1)[0]
    return raw.rfind(delimiter, 0, raw.rfind(delimiter))


MIME: dict[str, tuple[Callable[[bytes], bytes], dict[str, str], str]] = {
    "no terminator": (lambda raw: raw[: raw.rfind(b"--", 0, -4) - 2], {}, "closing delimiter"),
    "cut in the document": (lambda raw: raw[:-80], {}, "closing delimiter"),
    "the part is missing": (lambda raw: raw[: _last_part(raw)] + raw[raw.rfind(b"\r\n--") + 2 :], {}, "xop:Include"),
    "a part without Content-ID": (lambda raw: raw.replace(b"Content-ID", b"Content-XX"), {}, "Content-ID"),
    "no boundary": (lambda raw: raw, {"boundary": "border"}, "boundary"),
    "another boundary": (lambda raw: raw.replace(b"--", b"-+"), {}, "delimiter"),
    "header without end": (lambda raw: raw.replace(b"\r\n\r\n", b"\r\nX: ", 1), {}, "header"),
}


@pytest.mark.parametrize("case", MIME)
def test_a_broken_multipart_is_a_fault(door: Door, case: str) -> None:
    change, changes, words = MIME[case]
    watch = Watch(door.region)
    raw, headers = _mime(door, change, **changes)
    status, content_type, answer = door.post("repository", raw, headers)
    if case == "the part is missing":  # the envelope could be read: the codec answers
        assert status == 200
    else:
        assert (status, content_type.partition(";")[0]) == (400, "multipart/related")
    assert words in answer.decode()
    _check_refused(door, watch, answer)


# Submissions ----------------------------------------------------------------------------------------------------


def _other_patient(door: Door) -> str:
    return Identifier("NOBODY", AssigningAuthority(door.patient.oid)).xds_cx


def _of_another(made: Submission, patient_id: str) -> Submission:
    return replace(
        made,
        submission_sets=tuple(replace(each, patient_id=patient_id) for each in made.submission_sets),
        document_entries=tuple(replace(each, patient_id=patient_id) for each in made.document_entries),
    )


def _with_set(made: Submission, **changes: Any) -> Submission:
    return replace(made, submission_sets=(replace(made.submission_sets[0], **changes),))


def _replacing_nothing(made: Submission) -> Submission:
    link = Association(new_uuid_urn(), RPLC, made.document_entries[0].entry_uuid, new_uuid_urn())
    return replace(made, associations=(*made.associations, link))


def _second_content(made: Submission) -> Submission:
    (content,) = made.contents.values()
    other = content.path.with_name(content.path.name + "x")
    other.write_bytes(b"other")
    digest = (hashlib.sha1(b"other").hexdigest(), hashlib.sha256(b"other").hexdigest())
    return replace(made, contents=dict(made.contents) | {"nobody": Content(other, 5, *digest, "text/plain")})


def _two_with_one_id(made: Submission) -> Submission:
    (entry,) = made.document_entries
    twin = replace(entry, entry_uuid=new_uuid_urn())
    member = replace(made.associations[0], entry_uuid=new_uuid_urn(), target_object=twin.entry_uuid)
    contents = dict(made.contents) | {twin.entry_uuid: made.contents[entry.entry_uuid]}
    return replace(made, document_entries=(entry, twin), associations=(*made.associations, member), contents=contents)


def _without_member(made: Submission) -> Submission:
    return replace(made, associations=())


# case -> what is wrong with it, errorCode, what the codeContext or location has to name
SUBMISSIONS: dict[str, tuple[Callable[[Door], Submission], str, str]] = {
    "an unknown patient": (
        lambda door: _of_another(door.submission(), _other_patient(door)),
        "XDSUnknownPatientId",
        "patientId",
    ),
    "a patient id of another domain": (
        lambda door: _of_another(door.submission(), "000111^^^&1.2.392.100495.20.3.51.11310000011&ISO"),
        "XDSUnknownPatientId",
        "patientId",
    ),
    "another patient than its set": (
        lambda door: door.submission(patient_id=_other_patient(door)),
        "XDSPatientIdDoesNotMatch",
        "patientId",
    ),
    "a chart number of another facility": (
        lambda door: door.submission(source_patient_id="1^^^&1.2.392.100495.20.3.51.11310000029&ISO"),
        "XDSRepositoryMetadataError",
        "sourcePatientId",
    ),
    "no classCode": (lambda door: door.submission(class_code=None), "XDSRepositoryMetadataError", "classCode"),
    "no typeCode": (lambda door: door.submission(type_code=None), "XDSRepositoryMetadataError", "typeCode"),
    "no formatCode": (lambda door: door.submission(format_code=None), "XDSRepositoryMetadataError", "formatCode"),
    "no practiceSettingCode": (
        lambda door: door.submission(practice_setting_code=None),
        "XDSRepositoryMetadataError",
        "practiceSettingCode",
    ),
    "no confidentialityCode": (
        lambda door: door.submission(confidentiality_codes=()),
        "XDSRepositoryMetadataError",
        "confidentialityCode",
    ),
    "no creationTime": (lambda door: door.submission(creation_time=""), "XDSRepositoryMetadataError", "creationTime"),
    "a creationTime that is none": (
        lambda door: door.submission(creation_time="yesterday"),
        "XDSRepositoryMetadataError",
        "creationTime",
    ),
    "no languageCode": (lambda door: door.submission(language_code=""), "XDSRepositoryMetadataError", "languageCode"),
    "no mimeType": (lambda door: door.submission(mime_type=""), "XDSRepositoryMetadataError", "mimeType"),
    "no sourcePatientId": (
        lambda door: door.submission(source_patient_id=""),
        "XDSRepositoryMetadataError",
        "sourcePatientId",
    ),
    "a uniqueId that is too long": (
        lambda door: door.submission(unique_id="1." * 64 + "1"),
        "XDSRepositoryMetadataError",
        "uniqueId",
    ),
    "a wrong hash": (lambda door: door.submission(hash="0" * 40), "XDSRepositoryMetadataError", "hash"),
    "a wrong size": (lambda door: door.submission(size=1), "XDSRepositoryMetadataError", "size"),
    "no document": (lambda door: replace(door.submission(), contents={}), "XDSMissingDocument", ""),
    "a document without metadata": (lambda door: _second_content(door.submission()), "XDSMissingDocumentMetadata", ""),
    "one uniqueId twice": (
        lambda door: _two_with_one_id(door.submission()),
        "XDSRepositoryDuplicateUniqueIdInMessage",
        "uniqueId",
    ),
    "a set without sourceId": (
        lambda door: _with_set(door.submission(), source_id=""),
        "XDSRepositoryMetadataError",
        "sourceId",
    ),
    "a set without submissionTime": (
        lambda door: _with_set(door.submission(), submission_time=""),
        "XDSRepositoryMetadataError",
        "submissionTime",
    ),
    "an entry outside its set": (lambda door: _without_member(door.submission()), "XDSRepositoryMetadataError", ""),
    "a replacement of nothing": (
        lambda door: _replacing_nothing(door.submission()),
        "UnresolvedReferenceException",
        "targetObject",
    ),
}


@pytest.mark.parametrize("case", SUBMISSIONS)
def test_a_submission_is_refused_as_a_whole(door: Door, case: str) -> None:
    make, code, words = SUBMISSIONS[case]
    watch = Watch(door.region)
    answer = door.ask("repository", PROVIDE, provide.write_request(make(door)))
    _check_errors(answer, code, words)
    _check_refused(door, watch, answer)


def _check_errors(answer: bytes, code: str, words: str) -> None:
    start = answer.find(b"<soap:Envelope") if b"<soap:Envelope" in answer else answer.find(b"<")
    root = etree.fromstring(answer[start : answer.rfind(b"Envelope>") + len(b"Envelope>")])
    errors = [
        (each.get("errorCode"), each.get("codeContext"), each.get("location"))
        for each in root.iter(f"{{{RS}}}RegistryError")
    ]
    assert errors
    assert code in [each[0] for each in errors], errors
    assert any(each[0] == code and words in f"{each[1]} {each[2]}" for each in errors), errors
    assert all(each[1] for each in errors)


def test_the_same_id_with_other_bytes_is_refused(door: Door) -> None:
    first = door.submission(b"one")
    answer = door.ask("repository", PROVIDE, provide.write_request(first))
    assert b"StatusType:Success" in answer or b"ResponseStatusType:Success" in answer
    watch = Watch(door.region)
    second = door.submission(b"two", unique_id=first.document_entries[0].unique_id)
    answer = door.ask("repository", PROVIDE, provide.write_request(second))
    _check_errors(answer, "XDSNonIdenticalHash", "hash")
    _check_refused(door, watch, answer)


def _entry(door: Door, **changes: Any) -> Submission:
    known: dict[str, Any] = {"hash": "0" * 40, "size": 3}
    return replace(door.submission(**(known | changes)), contents={})


REGISTRATIONS: dict[str, tuple[Callable[[Door], Submission], str, str]] = {
    "a repository that nobody has": (
        lambda door: _entry(door, repository_unique_id="1.2.3.4.5"),
        "XDSRegistryMetadataError",
        "repositoryUniqueId",
    ),
    "no repository": (lambda door: _entry(door), "XDSRegistryMetadataError", "repositoryUniqueId"),
    "no hash": (
        lambda door: _entry(door, repository_unique_id="1.2.392.99.6.1", hash=""),
        "XDSRegistryMetadataError",
        "hash",
    ),
    "our repository without the document": (
        lambda door: _entry(door, repository_unique_id="1.2.392.99.6.1"),
        "XDSRegistryMetadataError",
        "ITI-41",
    ),
}


@pytest.mark.parametrize("case", REGISTRATIONS)
def test_a_registration_is_refused_as_a_whole(door: Door, case: str) -> None:
    make, code, words = REGISTRATIONS[case]
    watch = Watch(door.region)
    answer = door.ask("registry", REGISTER, register.write_request(make(door)))
    _check_errors(answer, code, words)
    _check_refused(door, watch, answer)


# Queries ------------------------------------------------------------------------------------------------------------


def _query(**parameters: Any) -> StoredQuery:
    return StoredQuery(FIND_DOCUMENTS, {f"${name}": ((value,),) for name, value in parameters.items()})


QUERIES: dict[str, tuple[StoredQuery, str, str]] = {
    "a query that nobody knows": (StoredQuery(f"urn:uuid:{uuid.uuid4()}", {}), "XDSUnknownStoredQuery", ""),
    "no patient": (
        _query(XDSDocumentEntryStatus=APPROVED),
        "XDSStoredQueryMissingParam",
        "$XDSDocumentEntryPatientId",
    ),
    "no status": (
        _query(XDSDocumentEntryPatientId="1^^^&1.2.392.99.1&ISO"),
        "XDSStoredQueryMissingParam",
        "$XDSDocumentEntryStatus",
    ),
    "a patient id that is none": (
        _query(XDSDocumentEntryPatientId="' OR 1=1 --", XDSDocumentEntryStatus=APPROVED),
        "XDSRegistryError",
        "$XDSDocumentEntryPatientId",
    ),
    "no status that is one": (
        _query(XDSDocumentEntryPatientId="1^^^&1.2.392.99.1&ISO", XDSDocumentEntryStatus="Perhaps"),
        "XDSStoredQueryMissingParam",
        "$XDSDocumentEntryStatus",
    ),
    "a time that is none": (
        _query(
            XDSDocumentEntryPatientId="1^^^&1.2.392.99.1&ISO",
            XDSDocumentEntryStatus=APPROVED,
            XDSDocumentEntryCreationTimeFrom="soon",
        ),
        "XDSRegistryError",
        "$XDSDocumentEntryCreationTimeFrom",
    ),
}


@pytest.mark.parametrize("case", QUERIES)
def test_a_query_is_refused_by_parameter(door: Door, case: str) -> None:
    query, code, words = QUERIES[case]
    watch = Watch(door.region)
    answer = door.ask("registry", QUERY, stored_query.write_request(query))
    _check_errors(answer, code, words)
    _check_refused(door, watch, answer)


RETRIEVES = {
    "an unknown repository": (DocumentRequest("1.2.3.4.5", "1.2.3"), "XDSUnknownRepositoryId", "repository"),
    "an unknown document": (DocumentRequest("1.2.392.99.6.1", "1.2.3"), "XDSDocumentUniqueIdError", "1.2.3"),
    "a path for an id": (DocumentRequest("1.2.392.99.6.1", "../../etc/passwd"), "XDSDocumentUniqueIdError", ""),
    "no repository": (DocumentRequest("", "1.2.3"), "XDSRepositoryError", "RepositoryUniqueId"),
    "no document": (DocumentRequest("1.2.392.99.6.1", ""), "XDSRepositoryError", "DocumentUniqueId"),
}


@pytest.mark.parametrize("case", RETRIEVES)
def test_a_retrieve_is_refused_by_document(door: Door, case: str) -> None:
    wanted, code, words = RETRIEVES[case]
    watch = Watch(door.region)
    answer = door.ask("repository", RETRIEVE, retrieve.write_request(RetrieveRequest((wanted,))))
    _check_errors(answer, code, words)
    _check_refused(door, watch, answer)


@pytest.mark.parametrize(
    ("service", "action"),
    [("registry", QUERY), ("registry", REGISTER), ("repository", PROVIDE), ("repository", RETRIEVE)],
)
def test_a_body_of_another_transaction_is_told(door: Door, service: str, action: str) -> None:
    watch = Watch(door.region)
    answer = door.ask(service, action, SoapBody((b'<x xmlns="urn:x"/>',)))
    _check_errors(answer, "XDSRegistryError" if service == "registry" else "XDSRepositoryError", "body")
    _check_refused(door, watch, answer)


@pytest.mark.parametrize("node", ["stranger", "withdrawn"])
def test_a_node_that_is_switched_off_or_unknown_gets_a_fault(door: Door, node: str) -> None:
    watch = Watch(door.region)
    context = client_context(door.region.credentials(node))
    connection = http.client.HTTPSConnection("localhost", door.region.ports["https"], timeout=20, context=context)
    connection.request("POST", "/soap/registry", body=good_query(door.patient), headers=SOAP_TYPE)
    response = connection.getresponse()
    answer = response.read()
    connection.close()
    assert b"FailedAuthentication" in answer
    assert (b"switched off" if node == "stranger" else b"not registered") in answer
    _check_refused(door, watch, answer)
