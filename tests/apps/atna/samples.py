"""Trails of each family of transactions, as the pipeline hands them to the recorder."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hie.exchange.audit import EXPORT, IMPORT, PATIENT_RECORD, QUERY, AuditEntry, AuditEvent, AuditObject
from hie.exchange.connection import Connection
from hie.exchange.trail import Trail
from hie.exchange.transaction import Mllp, Soap, Transaction
from hie.values.access import Access, Caller, Node, Person, PurposeOfUse, Subject
from hie.values.codes import Code
from hie.values.identifiers import AssigningAuthority, Identifier

ENDPOINT = "https://hie.example.jp:8443/soap/registry"
NODE = Node("hospital-a", "1310000001", "中央病院", frozenset(Access))
PERSON = Person(
    "doctor7",
    "山田 太郎",
    "https://idp.example.jp",
    "dr",
    "中央病院",
    (Code("doctor", "2.16.840.1.113883.2.2", "医師"),),
)
CALLER = Caller(NODE, PERSON, PurposeOfUse.TREATMENT)
SUBJECT = Subject(Identifier("000111", AssigningAuthority("1.2.392.1", "HOSP"), "PI"), "r" * 32)
OTHER = Subject(Identifier("aa12", AssigningAuthority("1.2.392.2", "CLIN"), "PI"), "s" * 32)

V2 = Connection("mllps", "hie.example.jp:2576", "192.0.2.7", claimed_name="HOSP|EHR", called_name="HIE|PIX")
SOAP = Connection("soap", ENDPOINT, "2001:db8::7")


def transaction(number: str, name: str, audit: AuditEvent, door: Any = None, **rest: Any) -> Transaction:
    return Transaction(
        number=number,
        name=name,
        door=door or Soap("registry", f"urn:test:{number}", f"urn:test:{number}Response"),
        codec=SimpleNamespace(),  # type: ignore[arg-type]
        subject=lambda request: (),
        access=Access.FIND,
        execute=lambda request, permit: None,
        audit=audit,
        **rest,
    )


def query_object(number: str) -> AuditObject:
    return AuditObject(
        "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d",
        Code(number, "IHE Transactions", "Registry Stored Query"),
        query=b'<query:AdhocQueryRequest xmlns:query="urn:q"/>',
        details=(("QueryEncoding", "UTF-8"),),
    )


_SET = Code("urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd", "IHE XDS Metadata", "submission set classificationNode")
_REPORT = Code("9", "RFC-3881", "Report Number")
_MSH10 = (("MSH-10", "M000001"),)

# name -> (transaction, connection, entries)
FAMILIES: dict[str, tuple[Transaction, Connection, tuple[AuditEntry, ...]]] = {
    "ITI-8 register": (
        transaction("ITI-8", "Patient Identity Feed", AuditEvent(PATIENT_RECORD, "C"), Mllp(("ADT^A01",))),
        V2,
        (AuditEntry("C", (SUBJECT,), patient_details=_MSH10),),
    ),
    "ITI-8 merge": (
        transaction("ITI-8", "Patient Identity Feed", AuditEvent(PATIENT_RECORD, "U"), Mllp(("ADT^A40",))),
        V2,
        (AuditEntry("D", (OTHER,), patient_details=_MSH10), AuditEntry("U", (SUBJECT,), patient_details=_MSH10)),
    ),
    "ITI-9": (
        transaction("ITI-9", "PIX Query", AuditEvent(QUERY, "E"), Mllp(("QBP^Q23",))),
        V2,
        (
            AuditEntry(
                "E",
                (SUBJECT,),
                (
                    AuditObject(
                        "Q1", Code("ITI-9", "IHE Transactions", "PIX Query"), query=b"MSH|^~\\&|\rQPD|", details=_MSH10
                    ),
                ),
            ),
        ),
    ),
    "ITI-18": (
        transaction("ITI-18", "Registry Stored Query", AuditEvent(QUERY, "E")),
        SOAP,
        (AuditEntry("E", (SUBJECT,), (query_object("ITI-18"),)),),
    ),
    "ITI-42": (
        transaction("ITI-42", "Register Document Set-b", AuditEvent(IMPORT, "C")),
        SOAP,
        (AuditEntry("C", (SUBJECT,), (AuditObject("1.2.3.4", _SET, 2, 20),)),),
    ),
    "ITI-43": (
        transaction("ITI-43", "Retrieve Document Set", AuditEvent(EXPORT, "R", we_are_source=True)),
        SOAP,
        (
            AuditEntry(
                "R", (SUBJECT,), (AuditObject("1.2.3.5", _REPORT, 2, 3, details=(("Repository Unique ID", "1.2.3"),)),)
            ),
            AuditEntry(
                "R",
                (),
                (AuditObject("1.2.3.6", _REPORT, 2, 3, details=(("Repository Unique ID", "1.2.3"),)),),
                outcome=4,
                description="One document is not available.",
            ),
        ),
    ),
}


def trail(family: str, caller: Caller | None = CALLER) -> tuple[Trail, tuple[AuditEntry, ...]]:
    declared, connection, entries = FAMILIES[family]
    return Trail(declared, connection, caller=caller, subjects=(SUBJECT,)), entries
