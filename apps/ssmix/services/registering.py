"""What a scan tells the exchange: demographics to the patient index, documents to the registry.

Runs inside the transaction of one batch. What one file is refused for never stops the others: a refused batch is
tried again file by file, and the culprit is quarantined with its rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from django.db import transaction

from apps.atna.services import record_own_work
from apps.network.queries import Facility, affinity_domain
from apps.pix.queries import regional_id_of
from apps.pix.services import feed_all
from apps.ssmix.services.rows import Row
from apps.terminology import queries as terminology
from apps.xds.services import IndexedDocument, index_documents
from hie.exchange.audit import CREATE, IMPORT, PATIENT_RECORD, UPDATE
from hie.values.access import Subject
from hie.values.codes import Code
from hie.values.documents import Author, DocumentEntry
from hie.values.errors import ExchangeError
from hie.values.identifiers import Identifier
from hie.values.patients import FeedEvent, PatientFeed
from hie.values.people import Demographics
from hie.wire.ssmix.content_folders import HEAD_BYTES, Part, choose_main, effective_time, read_kind
from hie.wire.ssmix.documents import MIME_TYPE, DocumentFacts, creation_time_of, identify, to_utc

INSTITUTION_CODES = "1.2.392.100495.20.3.23"  # authority of the ten-digit codes of medical institutions
UNKNOWN_DEPARTMENT = "9Z"
LONGEST_LOCATOR = 512


@dataclass(slots=True)
class ToRegister:
    """One document to be. replaces: entry UUID of the version before it. facts or parts: of a file or a folder."""

    row: Row
    facts: DocumentFacts | None = None
    parts: tuple[Part, ...] = ()
    replaces: str = ""


@dataclass(slots=True)
class Registration:
    """What is to be told of one batch, in order."""

    documents: list[ToRegister] = field(default_factory=list)
    deprecate: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Outcome:
    """How many documents were registered, replaced and deprecated; parts by row for the index."""

    registered: int = 0
    replaced: int = 0
    deprecated: int = 0
    refused: int = 0
    parts: list[tuple[Row, Part, str, bool]] = field(default_factory=list)


def locator_of(row: Row, part: str = "") -> str:
    """``ssmix:<root id>/<path>``: where the repository finds the bytes again."""
    path = f"{row.path}/{row.name}" if row.path else row.name
    return f"ssmix:{row.root_id}/{path}/{part}" if part else f"ssmix:{row.root_id}/{path}"


def patient_of(facility: Facility, patient_id: str) -> Identifier:
    """The chart number of a folder in the form in which the patient index knows it."""
    return Identifier(facility.patient_ids.comparable(patient_id), facility.authority)


def feed_patients(facility: Facility, wanted: Sequence[tuple[Row, Demographics, bool]]) -> list[str | None]:
    """Tell the patient index what ADT-00 says, in order: of each the regional id, or None where it was refused.

    wanted: file, what it says, and whether its patient was fed before, which makes it an update.
    """
    regional_ids: list[str | None] = []
    for root_id, part in groupby(wanted, lambda each: each[0].root_id):
        told = [_patient_feed(facility, *each) for each in part]
        outcomes = feed_all(told, facility.code, sender=f"ssmix:{root_id}")
        regional_ids += [
            None if isinstance(outcome, ExchangeError) else outcome.regional_id or regional_id_of(each.identifiers[0])
            for each, outcome in zip(told, outcomes, strict=True)
        ]
    return regional_ids


def _patient_feed(facility: Facility, row: Row, demographics: Demographics, known: bool) -> PatientFeed:
    return PatientFeed(
        event=FeedEvent.UPDATE if known else FeedEvent.REGISTER,
        trigger="ADT^A08",
        message_id=row.entry_uuid,
        identifiers=(patient_of(facility, row.patient_id),),
        demographics=demographics,
        occurred_at=row.written_at[:14],
    )


def register(facility: Facility, wanted: Registration, regional_ids: dict[str, str]) -> Outcome:
    """Register and deprecate. regional_ids: chart number as in the folder -> regional id, for every document's patient.

    A row that was registered is live; one that was refused is told by its state: the caller finds it not live.
    """
    done = Outcome()
    documents = []
    for each in wanted.documents:
        made = _documents(facility, each, regional_ids[each.row.patient_id])
        if any(len(document.locator) > LONGEST_LOCATOR for document, _ in made):
            done.refused += 1
            continue
        documents.append((each, made))
    if not documents and not wanted.deprecate:
        return done
    try:
        _index(facility, [document for _, made in documents for document, _ in made], wanted.deprecate)
        accepted = documents
    except ExchangeError:
        accepted = _one_by_one(facility, documents)
        _index(facility, [], wanted.deprecate)
        done.refused += len(documents) - len(accepted)
    for each, made in accepted:
        each.row.live = True
        done.registered += 1
        done.replaced += bool(each.replaces)
        if each.parts:
            done.parts += [
                (each.row, part, document.entry.entry_uuid, document.entry.entry_uuid == each.row.entry_uuid)
                for document, part in made
                if part is not None
            ]
    done.deprecated = len(wanted.deprecate)
    _record(facility, accepted, regional_ids)
    return done


Made = tuple[ToRegister, list[tuple[IndexedDocument, Part | None]]]


def _index(facility: Facility, documents: Sequence[IndexedDocument], deprecate: Sequence[str]) -> None:
    with transaction.atomic():
        index_documents(
            documents,
            facility_code=facility.code,
            source_id=facility.repository_oid or facility.patient_id_oid,
            author=Author(institutions=(institution_of(facility),)),
            content_type_code=_content_type(documents),
            title="SS-MIX2",
            deprecate=deprecate,
        )


def _content_type(documents: Sequence[IndexedDocument]) -> Code | None:
    """Of the submission: the class of its first document."""
    return documents[0].entry.class_code if documents else None


def _one_by_one(facility: Facility, documents: Iterable[Made]) -> list[Made]:
    accepted = []
    for each, made in documents:
        try:
            _index(facility, [document for document, _ in made], ())
        except ExchangeError:
            continue  # the caller finds the row not live and reports OWN-05
        accepted.append((each, made))
    return accepted


def _record(facility: Facility, accepted: Sequence[Made], regional_ids: dict[str, str]) -> None:
    patients = dict.fromkeys(each.row.patient_id for each, _ in accepted)
    if not patients:
        return
    subjects = tuple(Subject(patient_of(facility, patient), regional_ids[patient]) for patient in patients)
    record_own_work(
        IMPORT, CREATE, f"SS-MIX2: {len(accepted)} documents indexed", subjects, facility_code=facility.code
    )


def record_feeds(facility: Facility, fed: Sequence[tuple[Row, str]]) -> None:
    """Keep the audit records of patients whose demographics a storage told: (row, regional id)."""
    if fed:
        subjects = tuple(Subject(patient_of(facility, row.patient_id), regional_id) for row, regional_id in fed)
        record_own_work(PATIENT_RECORD, UPDATE, "SS-MIX2 ADT-00", subjects, facility_code=facility.code)


def institution_of(facility: Facility) -> str:
    """XON of a facility: its name and its medical institution code."""
    return f"{facility.name.translate(_SEPARATORS)}^^^^^&{INSTITUTION_CODES}&ISO^^^^{facility.code}"


_SEPARATORS = str.maketrans("^&~|", "    ")


def _documents(facility: Facility, wanted: ToRegister, regional_id: str) -> list[tuple[IndexedDocument, Part | None]]:
    if wanted.facts is not None:
        return [(_document(facility, wanted, wanted.facts, regional_id), None)]
    return _folder_documents(facility, wanted, regional_id)


def _document(facility: Facility, wanted: ToRegister, facts: DocumentFacts, regional_id: str) -> IndexedDocument:
    """The entry of one file of the standard storage."""
    row = wanted.row
    kind = terminology.data_type(row.data_type)
    assert kind is not None
    type_code = (terminology.code("type", facts.type_code) if facts.type_code else None) or kind.type_code
    entry = DocumentEntry(
        entry_uuid=row.entry_uuid,
        unique_id=row.unique_id,
        patient_id=Identifier(regional_id, affinity_domain()).xds_cx,
        mime_type=MIME_TYPE,
        logical_id=row.entry_uuid,
        repository_unique_id=facility.repository_oid,
        hash=row.sha1,
        size=row.size,
        creation_time=facts.creation_time,
        service_start_time=facts.service_start_time,
        service_stop_time=facts.service_stop_time,
        language_code="ja-JP",
        source_patient_id=patient_of(facility, row.patient_id).xds_cx,
        source_patient_info=facts.source_patient_info,
        title=facts.title,
        authors=(_author(facility, facts.author, facts.department),),
        class_code=kind.class_code,
        type_code=type_code,
        format_code=kind.format_code,
        healthcare_facility_type_code=_facility_type(facility),
        practice_setting_code=_practice_setting(facts.department),
        confidentiality_codes=_confidentiality(),
        event_code_list=(kind.event_code, *facts.modalities),
        reference_id_list=facts.reference_ids,
    )
    return IndexedDocument(entry, locator_of(row), row.sha256, wanted.replaces)


def _folder_documents(
    facility: Facility, wanted: ToRegister, regional_id: str
) -> list[tuple[IndexedDocument, Part | None]]:
    """The entries of one content folder: the main document first, each companion after it."""
    row = wanted.row
    main = choose_main(wanted.parts)
    kind = read_kind(row.data_type)
    key = kind.standard.code if kind.standard else ""
    own = kind.standard or kind.local or Code(row.data_type)
    day = row.care_date if row.care_date[:1].isdigit() else row.written_at[:8]
    made: list[tuple[IndexedDocument, Part | None]] = []
    for part in sorted(wanted.parts, key=lambda each: (each is not main, each.path)):
        is_main = part is main
        entry_uuid, unique_id = (
            (row.entry_uuid, row.unique_id)
            if is_main
            else identify(facility.code, row.key, row.written_at, part.sha256, part.path, row.generation)
        )
        created = to_utc(effective_time(part.head[:HEAD_BYTES])[:14]) if part.is_cda else ""
        entry = DocumentEntry(
            entry_uuid=entry_uuid,
            unique_id=unique_id,
            patient_id=Identifier(regional_id, affinity_domain()).xds_cx,
            mime_type=part.mime_type,
            repository_unique_id=facility.repository_oid,
            hash=part.sha1,
            size=part.size,
            creation_time=created or creation_time_of(row.care_date, row.written_at),
            service_start_time=row.care_date if row.care_date[:1].isdigit() else "",
            language_code="ja-JP",
            source_patient_id=patient_of(facility, row.patient_id).xds_cx,
            title=f"{kind.display} {day[:4]}/{day[4:6]}/{day[6:8]}" + ("" if is_main else f" ({part.path})"),
            authors=(_author(facility, "", row.department),),
            class_code=terminology.code("class", key) or own,
            type_code=terminology.code("type", key) or own,
            format_code=terminology.code("format", key) or terminology.code("format", "*"),
            healthcare_facility_type_code=_facility_type(facility),
            practice_setting_code=_practice_setting(row.department),
            confidentiality_codes=_confidentiality(),
            event_code_list=(kind.local,) if kind.local and kind.standard else (),
        )
        replaces = wanted.replaces if is_main else ""
        made.append((IndexedDocument(entry, locator_of(row, part.path), part.sha256, replaces), part))
    return made


def _author(facility: Facility, person: str, department: str) -> Author:
    known = terminology.department(department)
    return Author(
        person=person,
        institutions=(institution_of(facility),),
        specialties=(f"{known.code}^{known.display}^{known.scheme}",) if known else (),
    )


def _facility_type(facility: Facility) -> Code | None:
    return terminology.code("facility-type", facility.kind) or terminology.code("facility-type", "other")


def _practice_setting(department: str) -> Code | None:
    return terminology.department(department) or terminology.department(UNKNOWN_DEPARTMENT)


def _confidentiality() -> tuple[Code, ...]:
    normal = terminology.code("confidentiality", "N")
    return (normal,) if normal else ()
