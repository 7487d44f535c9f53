"""The audit message as a value: DICOM PS3.15 A.5, with the attributes that IHE adds (ITI TF-2: 3.20)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from hie.values.codes import Code

SOURCE_ROLE = Code("110153", "DCM", "Source Role ID")
DESTINATION_ROLE = Code("110152", "DCM", "Destination Role ID")
APPLICATION_ROLE = Code("110150", "DCM", "Application")
LAUNCHER_ROLE = Code("110151", "DCM", "Application Launcher")

PATIENT_NUMBER = Code("2", "RFC-3881", "Patient Number")
REPORT_NUMBER = Code("9", "RFC-3881", "Report Number")
SEARCH_CRITERIA = Code("10", "RFC-3881", "Search Criteria")
URI_TYPE = Code("12", "RFC-3881", "URI")

# EventTypeCodes of DICOM (PS3.16 CID 401 and below it).
APPLICATION_START = Code("110120", "DCM", "Application Start")
APPLICATION_STOP = Code("110121", "DCM", "Application Stop")
LOGIN = Code("110122", "DCM", "Login")
LOGOUT = Code("110123", "DCM", "Logout")
NODE_AUTHENTICATION = Code("110126", "DCM", "Node Authentication")

# NetworkAccessPointTypeCode
MACHINE_NAME, IP_ADDRESS, ACCESS_URI = 1, 2, 5

# AuditSourceTypeCode: "Application Server process or thread"
APPLICATION_SERVER = "4"


@lru_cache(maxsize=256)
def transaction_type(number: str, name: str) -> Code:
    """The EventTypeCode of an IHE transaction: ``ITI-18`` and its name."""
    return Code(number, "IHE Transactions", name)


@dataclass(frozen=True, slots=True)
class Participant:
    """ActiveParticipant: a system or a human that took part.

    access_point with access_point_type (1 DNS name, 2 IP address, 5 URI) says where on the network; 0 is none.
    """

    user_id: str
    requestor: bool
    alternative_user_id: str = ""
    user_name: str = ""
    roles: tuple[Code, ...] = ()
    access_point: str = ""
    access_point_type: int = 0


@dataclass(frozen=True, slots=True)
class AuditSource:
    """AuditSourceIdentification: who wrote the message. types: AuditSourceTypeCodes, single digits."""

    source_id: str
    site_id: str = ""
    types: tuple[str, ...] = (APPLICATION_SERVER,)


@dataclass(frozen=True, slots=True)
class ParticipantObject:
    """ParticipantObjectIdentification: the patient, a query, a document, a submission set.

    type_code and role: 1/1 patient, 2/24 query, 2/3 report, 2/20 job; life_cycle: ParticipantObjectDataLifeCycle,
    0 none. query: raw bytes. details: (type, raw bytes). Written as base64 both.
    """

    object_id: str
    id_type: Code
    type_code: int
    role: int
    life_cycle: int = 0
    name: str = ""
    query: bytes = b""
    details: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class AuditMessage:
    """One audit message. action: C R U D E or "". outcome: 0, 4, 8, 12. occurred_at is aware."""

    event_id: Code
    action: str
    occurred_at: datetime
    outcome: int
    source: AuditSource
    participants: tuple[Participant, ...]
    types: tuple[Code, ...] = ()
    description: str = ""
    purposes: tuple[Code, ...] = ()
    objects: tuple[ParticipantObject, ...] = ()
