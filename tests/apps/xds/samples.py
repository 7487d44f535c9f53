"""Submissions, permits and patients of the registry's tests."""

from __future__ import annotations

import hashlib
import itertools
from pathlib import Path
from typing import Any

from django.conf import settings

from apps.ids.services import issue_regional_id
from apps.pix.models import Person
from apps.xds.stored_queries import FIND_DOCUMENTS, GET_ALL, GET_DOCUMENTS
from apps.xds.stores import source
from hie.values.access import Access, Caller, Decision, Node, Permit, Rule
from hie.values.codes import Code
from hie.values.documents import (
    APPROVED,
    HAS_MEMBER,
    Association,
    Author,
    Content,
    DocumentEntry,
    Folder,
    StoredQuery,
    Submission,
    SubmissionSet,
)
from hie.values.identifiers import AssigningAuthority, Identifier

FACILITY = "1310000001"
OTHER_FACILITY = "1310000002"
LOINC = "2.16.840.1.113883.6.1"
_numbers = itertools.count(1)


def known_patient() -> str:
    """A person of the patient index; their regional id."""
    regional_id = issue_regional_id()
    Person.objects.create(regional_id=regional_id)
    return regional_id


def cx(regional_id: str) -> str:
    return Identifier(regional_id, AssigningAuthority(oid=settings.AFFINITY_DOMAIN_OID)).xds_cx


def new_oid() -> str:
    return f"1.2.392.99.{next(_numbers)}"


def entry(regional_id: str, **changes: Any) -> DocumentEntry:
    """A complete entry of a document in this network's repository; hash and size are those of its unique id."""
    unique_id = changes.get("unique_id") or new_oid()
    values: dict[str, Any] = {
        "entry_uuid": f"document{next(_numbers)}",
        "unique_id": unique_id,
        "patient_id": cx(regional_id),
        "mime_type": "text/plain",
        "hash": hashlib.sha1(unique_id.encode()).hexdigest(),
        "size": len(unique_id),
        "repository_unique_id": f"{settings.OID_ROOT}.6.77",
        "creation_time": "20260401093000",
        "language_code": "ja-JP",
        "source_patient_id": "000111^^^&1.2.392.77&ISO",
        "title": "検体検査結果",
        "authors": (Author(person="7^山田^太郎^^^^^^&1.2.392.77&ISO", institutions=("中央病院",)),),
        "class_code": Code("11502-2", LOINC, "検査"),
        "type_code": Code("11502-2", LOINC, "検査"),
        "format_code": Code("urn:ihe:iti:xds:2017:mimeTypeSufficient", "1.3.6.1.4.1.19376.1.2.3", "MIME"),
        "healthcare_facility_type_code": Code("hospital", "1.2.392.88", "病院"),
        "practice_setting_code": Code("01", "1.2.392.89", "内科"),
        "confidentiality_codes": (Code("N", "2.16.840.1.113883.5.25", "通常"),),
    }
    return DocumentEntry(**(values | changes))


def submission_set(regional_id: str, **changes: Any) -> SubmissionSet:
    values: dict[str, Any] = {
        "entry_uuid": "set",
        "unique_id": new_oid(),
        "patient_id": cx(regional_id),
        "source_id": "1.2.392.77.1",
        "submission_time": "20260401100000",
        "authors": (Author(institutions=("中央病院",)),),
        "content_type_code": Code("report", "1.2.392.90", "報告"),
    }
    return SubmissionSet(**(values | changes))


def folder(regional_id: str, **changes: Any) -> Folder:
    values: dict[str, Any] = {
        "entry_uuid": f"folder{next(_numbers)}",
        "unique_id": new_oid(),
        "patient_id": cx(regional_id),
        "title": "糖尿病",
        "code_list": (Code("E11", "1.2.392.91", "糖尿病"),),
    }
    return Folder(**(values | changes))


def member(source: str, target: str, status: str = "") -> Association:
    return Association(f"association{next(_numbers)}", HAS_MEMBER, source, target, submission_set_status=status)


def relation(kind: str, source: str, target: str) -> Association:
    return Association(f"association{next(_numbers)}", kind, source, target)


def submission(
    regional_id: str,
    *entries: DocumentEntry,
    folders: tuple[Folder, ...] = (),
    associations: tuple[Association, ...] = (),
    **changes: Any,
) -> Submission:
    """A submission with its memberships."""
    its_set = submission_set(regional_id, **changes)
    members = [member(its_set.entry_uuid, each.entry_uuid, "Original") for each in entries]
    members += [member(its_set.entry_uuid, each.entry_uuid) for each in folders]
    return Submission((its_set,), entries, folders, (*members, *associations))


def spooled(directory: Path, data: bytes) -> Content:
    path = directory / f"spooled-{next(_numbers)}"
    path.write_bytes(data)
    return Content(path, len(data), hashlib.sha1(data).hexdigest(), hashlib.sha256(data).hexdigest(), "text/plain")


def path_of(locator: str) -> Path:
    """The file behind the locator of a document that lies on this machine."""
    path = source(locator)
    assert isinstance(path, Path)
    return path


def permit(
    *regional_ids: str, access: Access = Access.FIND, rules: tuple[Rule, ...] = (), default: bool = True
) -> Permit:
    """What the gate would answer a facility that is a stranger to the records."""
    caller = Caller(Node("clinic", "1310000009", accesses=frozenset(Access)))
    decisions = {each: Decision(default, rules, own_facility="1310000009") for each in regional_ids}
    return Permit(caller, access, regional_ids, decisions)


def query(query_id: str, *, leaf_class: bool = True, **parameters: Any) -> StoredQuery:
    """A stored query; a parameter is a text, a list (values of one Slot) or a list of lists (several Slots)."""
    slots = {}
    for name, value in parameters.items():
        values = [value] if isinstance(value, str) else value
        several = values if values and not isinstance(values[0], str) else [values]
        slots[f"${name}"] = tuple(tuple(slot) for slot in several)
    return StoredQuery(query_id, slots, leaf_class)


def find(regional_id: str, *, leaf_class: bool = False, status: Any = APPROVED, **parameters: Any) -> StoredQuery:
    named = {f"XDSDocumentEntry{name}": value for name, value in parameters.items()}
    return query(
        FIND_DOCUMENTS,
        leaf_class=leaf_class,
        XDSDocumentEntryPatientId=cx(regional_id),
        XDSDocumentEntryStatus=status,
        **named,
    )


def get_documents(*, leaf_class: bool = True, **parameters: Any) -> StoredQuery:
    named = {f"XDSDocumentEntry{name}": value for name, value in parameters.items()}
    return query(GET_DOCUMENTS, leaf_class=leaf_class, **named)


def get_all(regional_id: str, *, leaf_class: bool = False, status: Any = APPROVED, **parameters: Any) -> StoredQuery:
    return query(
        GET_ALL,
        leaf_class=leaf_class,
        patientId=cx(regional_id),
        XDSDocumentEntryStatus=status,
        XDSSubmissionSetStatus=status,
        XDSFolderStatus=status,
        **parameters,
    )
