"""A member's system as it stands outside: its certificate, where the doors are, and the real protocols.

What ``manage.py ask`` and the tests speak with. It reads nothing of the server but the connection facts that came
with the node's certificate: ``tls/nodes/<node>.json``, ``.pem``, ``.key`` and ``tls/ca.pem`` in the data directory.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from hie.transport.mllp_client import MllpClient
from hie.transport.soap_client import SoapClient
from hie.transport.tls import Credentials, client_context
from hie.values.codes import Code
from hie.values.documents import (
    APPROVED,
    STABLE,
    DocumentEntry,
    DocumentRequest,
    QueryResult,
    RegistryResult,
    RetrieveRequest,
    RetrieveResult,
    StoredQuery,
    Submission,
)
from hie.values.identifiers import AssigningAuthority, Identifier
from hie.values.patients import CrossReferenceQuery, CrossReferences, PatientFeed
from hie.wire.ebxml import fragments, provide, register, retrieve, stored_query
from hie.wire.hl7v2 import patient_feed, pix_query
from hie.wire.hl7v2.message import Message
from hie.wire.hl7v2.writer import Parties
from hie.wire.saml.assertion import Assertion, write_assertion
from hie.wire.soap.envelope import SoapBody, SoapMessage

FIND_DOCUMENTS = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"
EMERGENCY_ASSERTION_MINUTES = 5


@dataclass(frozen=True, slots=True)
class ConnectionFacts:
    """What a member has to know to speak to the network: the machine-readable half of its connection sheet."""

    node: str
    facility_code: str
    patient_id_oid: str
    patient_id_namespace: str
    affinity_domain_oid: str
    sending_facility: str
    sending_application: str
    host: str
    https_port: int
    mllps_port: int
    source_id: str

    @classmethod
    def read(cls, path: Path) -> ConnectionFacts:
        return cls(**json.loads(path.read_text(encoding="utf-8")))


@dataclass(slots=True)
class Wire:
    """What went over the wire, in order: (direction and door, bytes)."""

    exchanged: list[tuple[str, bytes]] = field(default_factory=list)


class Outside:
    """One member's system. Every method is one transaction over a real socket.

    Raises OSError where nobody answers, ``soap_client.CallError`` or ``FaultError`` for SOAP, and ExchangeError with
    the findings of the other side where it refused.
    """

    def __init__(
        self, facts: ConnectionFacts, credentials: Credentials, directory: Path, wire: Wire | None = None
    ) -> None:
        self.facts = facts
        self.wire = wire or Wire()
        self.emergency_reason = ""
        self.user = ("", "")
        self._credentials = credentials
        self._context = client_context(credentials)
        self._directory = directory

    @classmethod
    def of_node(cls, node: str, data_directory: Path, directory: Path, wire: Wire | None = None) -> Outside:
        """The node whose certificate the built-in authority keeps. Raises FileNotFoundError naming what is absent."""
        tls = data_directory / "tls"
        credentials = Credentials(tls / "nodes" / f"{node}.pem", tls / "nodes" / f"{node}.key", tls / "ca.pem")
        return cls(ConnectionFacts.read(tls / "nodes" / f"{node}.json"), credentials, directory, wire)

    def chart_number(self, value: str) -> Identifier:
        """A chart number of this member's own domain."""
        return Identifier(value, AssigningAuthority(self.facts.patient_id_oid, self.facts.patient_id_namespace))

    def feed(self, feed: PatientFeed, *, version: str = "2.5", character_set: str = "UNICODE UTF-8") -> None:
        """ITI-30 (2.5) or ITI-8 (2.3.1) over MLLP with mutual TLS."""
        patient_feed.read_response(
            self._converse(
                patient_feed.write_request(feed, self._parties(), version=version, character_set=character_set)
            )
        )

    def identify(self, identifier: Identifier, domains: tuple[AssigningAuthority, ...] = ()) -> CrossReferences:
        """ITI-9 over MLLP with mutual TLS."""
        query = CrossReferenceQuery("", identifier, domains)
        return pix_query.read_response(self._converse(pix_query.write_request(query, self._parties())))

    def regional_id(self, chart_number: str) -> Identifier | None:
        """The patient's identifier in the affinity domain, by ITI-9; None where the index has none to tell."""
        domain = AssigningAuthority(self.facts.affinity_domain_oid)
        found = self.identify(self.chart_number(chart_number), (domain,)).identifiers
        return next((each for each in found if each.oid == domain.oid), None)

    def query(self, query: StoredQuery) -> QueryResult:
        """ITI-18."""
        with self._soap("registry") as client:
            return stored_query.read_response(
                self._call(client, "urn:ihe:iti:2007:RegistryStoredQuery", stored_query.write_request(query))
            )

    def find_documents(self, patient: Identifier, object_type: str = STABLE) -> tuple[DocumentEntry, ...]:
        """ITI-18 FindDocuments: all approved documents of a patient that may be seen. object_type: or ON_DEMAND."""
        parameters = {
            "$XDSDocumentEntryPatientId": ((patient.xds_cx,),),
            "$XDSDocumentEntryStatus": ((APPROVED,),),
            "$XDSDocumentEntryType": ((object_type,),),
        }
        found = [
            fragments.read_fragment(each) for each in self.query(StoredQuery(FIND_DOCUMENTS, parameters)).fragments
        ]
        return tuple(each for each in found if isinstance(each, DocumentEntry))

    def register(self, submission: Submission) -> RegistryResult:
        """ITI-42."""
        with self._soap("registry") as client:
            action = "urn:ihe:iti:2007:RegisterDocumentSet-b"
            return register.read_response(self._call(client, action, register.write_request(submission)))

    def provide(self, submission: Submission) -> RegistryResult:
        """ITI-41 with MTOM."""
        with self._soap("repository") as client:
            action = "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b"
            return provide.read_response(self._call(client, action, provide.write_request(submission), mtom=True))

    @contextmanager
    def retrieve(self, *documents: DocumentRequest) -> Iterator[RetrieveResult]:
        """ITI-43 with MTOM. The files of the result are removed when the context ends."""
        with self._soap("repository") as client:
            action = "urn:ihe:iti:2007:RetrieveDocumentSet"
            request = retrieve.write_request(RetrieveRequest(documents))
            yield retrieve.read_response(self._call(client, action, request, mtom=True))

    def _parties(self) -> Parties:
        return Parties(self.facts.sending_application, self.facts.sending_facility, "HIE", "REGION")

    def _converse(self, message: bytes) -> Message:
        with MllpClient(self.facts.host, self.facts.mllps_port, self._context) as client:
            self.wire.exchanged.append((f"-> MLLP {self.facts.host}:{self.facts.mllps_port}", message))
            answer = client.send(message)
        self.wire.exchanged.append(("<- MLLP", answer))
        return Message.read(answer)

    @contextmanager
    def _soap(self, service: str) -> Iterator[SoapClient]:
        url = f"https://{self.facts.host}:{self.facts.https_port}/soap/{service}"
        with SoapClient(url, directory=self._directory, ssl_context=self._context) as client:
            yield client

    def _call(self, client: SoapClient, action: str, body: SoapBody, *, mtom: bool = False) -> SoapMessage:
        try:
            return client.call(
                action,
                b"".join(body.parts),
                attachments=body.attachments,
                assertion=self._assertion(client.url),
                mtom=mtom,
            )
        finally:
            self.wire.exchanged.append((f"-> SOAP {action}", client.last_request))
            self.wire.exchanged.append(("<- SOAP", client.last_response))

    def _assertion(self, url: str) -> bytes:
        """An assertion that our own system signs for its user, where there is something to say (ITI-40)."""
        if not (self.emergency_reason or any(self.user)):
            return b""
        now = datetime.now(UTC)
        purpose = Code("BTG" if self.emergency_reason else "TREAT", "2.16.840.1.113883.5.8")
        assertion = Assertion(
            issuer=f"urn:hie:node:{self.facts.node}",
            name_id=self.user[0] or self.facts.node,
            subject_name=self.user[1],
            purpose_of_use=purpose,
            emergency_reason=self.emergency_reason,
            audiences=((url,),),
            not_before=now,
            not_on_or_after=now + timedelta(minutes=EMERGENCY_ASSERTION_MINUTES),
        )
        key = load_pem_private_key(self._credentials.key.read_bytes(), None)
        if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
            raise ValueError("The key of the node has to be RSA or on an elliptic curve.")
        certificate = x509.load_pem_x509_certificate(self._credentials.certificate.read_bytes())
        return write_assertion(assertion, key, certificate)
