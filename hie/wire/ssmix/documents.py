"""What a file of the standard storage says of the document it becomes (mapping of SS-MIX2 to XDS.b metadata).

Times in a storage are Japan Standard Time without a zone and leave here as DTM in UTC; a time known to the day only
stays that day. The identity of a document is its facility, its key, its time of writing and its bytes; the condition
flag is no part of it, because a rename makes no new document.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from hie.values.codes import Code
from hie.values.identifiers import Identifier, named_uuid_urn, urn_oid
from hie.values.times import read_ts, write_dtm
from hie.wire.hl7v2.message import DEFAULT_DELIMITERS, NULL, Message, Segment
from hie.wire.ssmix.checks import calendar_date
from hie.wire.ssmix.data_types import DATA_TYPES, UNDATED
from hie.wire.ssmix.names import Key, StorageName

MIME_TYPE = "x-application/hl7-v2+er7"
DEPARTMENT_SCHEME = "1.2.392.200250.2.2.2"
MODALITY_SCHEME = "1.2.840.10008.2.16.4"

_NAMESPACE = uuid.UUID("6f0a2f2e-52f5-5c8e-9b0c-0d1f6b2f9a41").bytes
_ORDER = "urn:ihe:iti:xds:2013:order"
_ACCESSION = "urn:ihe:iti:xds:2013:accession"
_STUDY = "urn:ihe:iti:xds:2016:studyInstanceUID"


@dataclass(frozen=True, slots=True)
class DocumentFacts:
    """What the registry is told. Times: DTM in UTC. author: XCN or "". reference_ids: CXi.

    department: of table 0069 or "". type_code: LOINC where the content says more than the data type, else "".
    modalities: DICOM codes.
    """

    creation_time: str
    service_start_time: str = ""
    service_stop_time: str = ""
    author: str = ""
    department: str = ""
    reference_ids: tuple[str, ...] = ()
    source_patient_info: tuple[str, ...] = ()
    title: str = ""
    type_code: str = ""
    modalities: tuple[Code, ...] = ()


def identify(
    facility_code: str, key: Key, written_at: str, sha256: str, part: str = "", generation: int = 0
) -> tuple[str, str]:
    """(entryUUID, uniqueId) of a document: the same for the same bytes of the same version, whatever its flag.

    part: the file inside a content folder, "" for a file of the standard storage. generation: how often the document
    came back after it was deprecated; the same document then has a new entry.
    """
    said = "|".join((facility_code, *key, written_at, sha256, part))
    entry = named_uuid_urn(_NAMESPACE + f"entry|{said}|{generation}".encode())
    return entry, urn_oid(named_uuid_urn(_NAMESPACE + f"document|{said}".encode()))


def read_facts(name: StorageName, message: Message, patient: Identifier, authority_oid: str) -> DocumentFacts:
    """The facts of one message. patient: the chart number with its authority; authority_oid: who numbers the orders."""
    start, stop = _service_times(name, message)
    return DocumentFacts(
        creation_time=creation_time_of(name.care_date, name.written_at),
        service_start_time=start or ("" if name.care_date == UNDATED else name.care_date),
        service_stop_time=stop,
        author=_author(message),
        department=_department(name, message),
        reference_ids=_reference_ids(name, message, authority_oid),
        source_patient_info=_source_patient_info(message, patient),
        title=title(name),
        type_code=_type_code(name.data_type, message),
        modalities=_modalities(message),
    )


def title(name: StorageName) -> str:
    """``検体検査結果 2024/05/01``: the kind and the day of care, or of the writing where the kind has no day."""
    row = DATA_TYPES.get(name.data_type)
    day = name.care_date if name.care_date != UNDATED else name.written_at[:8]
    return f"{row.ja if row else name.data_type} {day[:4]}/{day[4:6]}/{day[6:8]}"


def creation_time_of(care_date: str, written_at: str) -> str:
    """発生日時 in UTC, or the care date where the time of writing could not be read."""
    return to_utc(written_at[:14]) if written_at else care_date.replace(UNDATED, "1900")


@lru_cache(maxsize=16_384)
def to_utc(text: str) -> str:
    """A local time of a storage as DTM in UTC, with its precision; a day stays that day; "" where it is no time."""
    text = text.strip()
    if len(text) <= 8:
        return text if calendar_date(text) else ""
    if len(text) == 14 and text.isascii() and text.isdigit():
        try:
            moment = datetime.fromisoformat(f"{text[:8]}T{text[8:]}") - _JST
        except ValueError:
            pass  # hours above 23, and what is no time
        else:
            return moment.isoformat().translate(_NO_PUNCTUATION)
    digits = text.split(".")[0].split("+")[0]
    day = calendar_date(digits)
    if not day:
        return ""
    hour = int(digits[8:10] or 0)
    local = read_ts(day + f"{hour % 24:02d}" + digits[10:14])
    if local is None:
        return day
    return write_dtm(local)[: max(10, min(14, len(digits) // 2 * 2))]


_JST = timedelta(hours=9)
_NO_PUNCTUATION = str.maketrans("", "", "-:T")


_STAY = (("PV1", 44), ("PV1", 45))
_TIMES: dict[str, tuple[tuple[str, int], tuple[str, int] | None]] = {
    "ADT-22": (("PV1", 44), None),
    "ADT-52": _STAY,
    "OMP-11": (("RXA", 3), ("RXA", 4)),
    "OMP-12": (("RXA", 3), ("RXA", 4)),
    "OML-11": (("SPM", 17), None),
    "OMG-11": (("OBR", 7), ("OBR", 8)),
    "OMG-12": (("OBR", 7), ("OBR", 8)),
    "OMG-13": (("OBR", 7), ("OBR", 8)),
}


def _service_times(name: StorageName, message: Message) -> tuple[str, str]:
    row = DATA_TYPES.get(name.data_type)
    if row is None:
        return "", ""
    start_place, stop_place = _TIMES.get(name.data_type, (None, None))
    if start_place is None:
        place = row.care_dates.get(message.trigger, "")
        if not place:
            return "", ""
        start_place = (place[:3], int(place[4:]))
    starts = sorted(_times(message, *start_place))
    stops = sorted(_times(message, *stop_place)) if stop_place else []
    start = starts[0] if starts else ""
    stop = stops[-1] if stops and start and stops[-1].ljust(14, "9") >= start.ljust(14, "0") else ""
    return start, stop


def _times(message: Message, segment_name: str, number: int) -> Iterator[str]:
    for segment in message.all(segment_name):
        if segment.field(number):
            moment = to_utc(segment.component(number, 1))
            if moment:
                yield moment


def _author(message: Message) -> str:
    """XCN of who is responsible: ORC-12, else PV1-7, else OBR-16."""
    for segment_name, number in (("ORC", 12), ("PV1", 7), ("OBR", 16)):
        segment = message.first(segment_name)
        if segment is not None and segment.field(number):
            person = "^".join(_plain(segment.component(number, part)) for part in (1, 2, 3)).rstrip("^")
            if person:
                return person
    return ""


def _plain(text: str) -> str:
    """A value for another dialect's component: without what would separate there."""
    return "" if text == NULL else text.translate(_SEPARATORS).strip()


_SEPARATORS = str.maketrans("^&~|\r\n", "      ")


def _department(name: StorageName, message: Message) -> str:
    if name.department not in ("", UNDATED):
        return name.department
    order = message.first("ORC")
    return _plain(order.component(17, 1)) if order is not None else ""


def _reference_ids(name: StorageName, message: Message, authority_oid: str) -> tuple[str, ...]:
    row = DATA_TYPES.get(name.data_type)
    found: dict[str, None] = {}
    for segment in message.segments:
        if segment.name == "ORC" and row is not None and row.dated:
            _remember(found, segment, 2, f"^^^&{authority_oid}&ISO^{_ORDER}")
        elif segment.name == "IPC":
            _remember(found, segment, 1, f"^^^&{authority_oid}&ISO^{_ACCESSION}")
            _remember(found, segment, 3, f"^^^^{_STUDY}")
    return tuple(found)


def _remember(found: dict[str, None], segment: Segment, number: int, rest: str) -> None:
    value = _plain(segment.component(number, 1))
    if value:
        found[value + rest] = None


def _source_patient_info(message: Message, patient: Identifier) -> tuple[str, ...]:
    pid = message.first("PID")
    found = [f"PID-3|{patient.xds_cx}"]
    if pid is None or message.delimiters != DEFAULT_DELIMITERS:
        return tuple(found)
    for number in (5, 7, 8, 11):
        value = pid.field(number)
        if value and value != NULL and len(value) <= 240:
            found.append(f"PID-{number}|{value}")
    return tuple(found)


_PHYSIOLOGY = {"9A1": "28010-7", "9C": "58477-1", "9F": "12132-7"}


def _type_code(data_type: str, message: Message) -> str:
    """Microbiology among laboratory results, ECG, lung function and ultrasound among physiology: told by JLAC10."""
    if data_type == "OML-11":
        bacteria = any(code.startswith("6") for segment in message.all("OBX") for code in _standard_codes(segment, 3))
        return "18725-2" if bacteria else ""
    if data_type == "OMG-13":
        for segment in message.all("OBR"):
            for code in _standard_codes(segment, 4):
                for prefix, type_code in _PHYSIOLOGY.items():
                    if code.startswith(prefix):
                        return type_code
    return ""


def _standard_codes(segment: Segment, number: int) -> Iterator[str]:
    parts = segment.field(number).split("^")
    for at in (0, 3):
        if len(parts) > at + 2 and parts[at + 2] in ("JC10", "JC11"):
            yield parts[at]


def _modalities(message: Message) -> tuple[Code, ...]:
    found = {_plain(segment.component(5, 1)): None for segment in message.all("IPC")}
    return tuple(Code(code, MODALITY_SCHEME, code) for code in found if code)
