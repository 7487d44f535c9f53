"""From values to rows: one INSERT for each kind of object, however many there are."""

from __future__ import annotations

import unicodedata
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from django.db import connection

from apps.xds import models
from apps.xds.models import ObjectType, Status, shard_key_of
from apps.xds.rules import lines
from hie.values.codes import Code
from hie.values.documents import (
    APPROVED,
    DEPRECATED,
    ON_DEMAND,
    Association,
    Author,
    DocumentEntry,
    Folder,
    RegistryObject,
    SubmissionSet,
)
from hie.values.identifiers import Identifier
from hie.values.times import JST, pad_dtm, read_dtm
from hie.wire.ebxml.fragments import read_fragment, with_status, write_fragment

_BUCKETS = 256
_LOCKS_OF_XDS = 0x7864  # a name space of our own among the advisory locks of the database


def hold(names: Iterable[str]) -> None:
    """Until the end of the transaction nobody else works on what these names stand for (ids, patients).

    PostgreSQL: advisory locks on 256 buckets of names, taken in one order so that two submissions never wait for each
    other. SQLite has one writer at a time, which is the same.
    """
    buckets = sorted({zlib.crc32(name.encode()) % _BUCKETS for name in names})
    if connection.vendor != "postgresql" or not buckets:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(%s, bucket) FROM unnest(%s::int[]) AS bucket", [_LOCKS_OF_XDS, buckets]
        )


def keep_contents(wanted: Sequence[models.Content]) -> dict[tuple[str, str], int]:
    """Rows for contents, made where they are not there yet: (locator, SHA-256) -> primary key."""
    places = [each.locator for each in wanted]
    if not places:
        return {}
    models.Content.objects.bulk_create(wanted, ignore_conflicts=True, batch_size=500)
    marks = ", ".join(["%s"] * len(places))
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT locator, sha256, id FROM xds_content WHERE locator IN ({marks})", places)  # noqa: S608
        return {(locator, sha256): key for locator, sha256, key in cursor.fetchall()}


def store(
    objects: Sequence[RegistryObject],
    facility_code: str,
    patient_of: Callable[[RegistryObject], str],
    contents: Mapping[str, int] | None = None,
    digest: str = "",
) -> None:
    """Insert objects whose ids are final, each with its fragment.

    patient_of: object -> regional id. contents: entry UUID -> id of its content. digest: of the submission set.
    """
    rows: dict[type, list[tuple[Any, Any]]] = {}
    for each in objects:
        patient_id = patient_of(each)
        shared = {
            "patient_id": patient_id,
            "shard_key": shard_key_of(patient_id),
            "entry_uuid": each.entry_uuid,
            "facility_code": facility_code,
            "status": Status.DEPRECATED if each.availability_status == DEPRECATED else Status.APPROVED,
            "fragment": write_fragment(each),
        }
        rows.setdefault(type(each), []).append((each, _row(each, shared, contents or {}, digest)))
    for pairs in rows.values():
        model = type(pairs[0][1])
        model._default_manager.bulk_create([row for _, row in pairs], batch_size=500)
    _store_values(rows)


def deprecate(rows: Iterable[tuple[int, bytes]]) -> None:
    """Set entries, given by primary key and fragment, to Deprecated, in the column and in the fragment."""
    changed = [(Status.DEPRECATED.value, with_status(bytes(fragment), DEPRECATED), key) for key, fragment in rows]
    with connection.cursor() as cursor:
        for each in changed:
            cursor.execute("UPDATE xds_documententry SET status = %s, fragment = %s WHERE id = %s", each)


def touch_folders(uuids: Iterable[str], moment: str) -> None:
    """Set lastUpdateTime of folders that were given a document, in the column and in the fragment."""
    for row in models.Folder.objects.filter(entry_uuid__in=list(uuids)):
        folder = read_fragment(bytes(row.fragment))
        assert isinstance(folder, Folder)
        row.fragment = write_fragment(replace(folder, last_update_time=moment))
        row.last_update_time = moment
        row.save(update_fields=["fragment", "last_update_time"])


def key_of(code: Code | None) -> str:
    """A code as its column holds it: ``code^^scheme`` in normalization form C, "" where there is none."""
    return _nfc(f"{code.code}^^{code.scheme}") if code else ""


def day_of_care(entry: DocumentEntry) -> str:
    """The day in Japan on which the care began, or the document was created; "" where neither is known.

    A time that is not known to the hour names its day already.
    """
    time = entry.service_start_time or entry.creation_time
    moment = read_dtm(time)
    if moment is None:
        return ""
    local = moment.astimezone(JST) if len(time) > len("YYYYMMDD") else moment
    return local.strftime("%Y%m%d")


def patient_of(registry_object: RegistryObject) -> str:
    """The value of an object's own patientId."""
    assert not isinstance(registry_object, Association)
    return Identifier.from_cx(registry_object.patient_id).value


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _padded(time: str) -> str:
    return pad_dtm(time) if time else ""


def _row(each: RegistryObject, shared: dict[str, Any], contents: Mapping[str, int], digest: str) -> Any:
    if isinstance(each, DocumentEntry):
        return _entry_row(each, shared, contents)
    if isinstance(each, SubmissionSet):
        return models.SubmissionSet(
            **shared,
            unique_id=each.unique_id,
            source_id=each.source_id,
            submission_time=_padded(each.submission_time),
            content_type_code=key_of(each.content_type_code),
            title=each.title[:256],
            digest=digest,
        )
    if isinstance(each, Folder):
        return models.Folder(
            **shared,
            logical_id=each.logical_id or each.entry_uuid,
            version=each.version,
            unique_id=each.unique_id,
            title=each.title[:256],
            last_update_time=_padded(each.last_update_time),
        )
    return models.Association(
        **shared,
        association_type=each.association_type,
        source_uuid=each.source_object,
        target_uuid=each.target_object,
        submission_set_status=each.submission_set_status,
    )


def _entry_row(entry: DocumentEntry, shared: dict[str, Any], contents: Mapping[str, int]) -> models.DocumentEntry:
    return models.DocumentEntry(
        **shared,
        logical_id=entry.logical_id or entry.entry_uuid,
        version=entry.version,
        unique_id=entry.unique_id,
        repository_unique_id=entry.repository_unique_id,
        object_type=ObjectType.ON_DEMAND if entry.object_type == ON_DEMAND else ObjectType.STABLE,
        mime_type=entry.mime_type,
        title=entry.title[:256],
        hash=entry.hash.lower(),
        size=entry.size,
        class_code=key_of(entry.class_code),
        type_code=key_of(entry.type_code),
        format_code=key_of(entry.format_code),
        healthcare_facility_type_code=key_of(entry.healthcare_facility_type_code),
        practice_setting_code=key_of(entry.practice_setting_code),
        event_codes=lines(map(key_of, entry.event_code_list)),
        confidentiality_codes=lines(map(key_of, entry.confidentiality_codes)),
        creation_time=_padded(entry.creation_time),
        service_start_time=_padded(entry.service_start_time),
        service_stop_time=_padded(entry.service_stop_time),
        care_date=day_of_care(entry),
        content_id=contents.get(entry.entry_uuid),
    )


def _persons(authors: tuple[Author, ...]) -> list[str]:
    return [author.person for author in authors if author.person]


# Side table, its foreign key, the value it belongs to, and the texts it keeps of it.
_SIDE_TABLES: tuple[tuple[type[models.PatientRow], str, type, Callable[[Any], list[str]]], ...] = (
    (models.EventCode, "entry", DocumentEntry, lambda each: [key_of(code) for code in each.event_code_list]),
    (
        models.ConfidentialityCode,
        "entry",
        DocumentEntry,
        lambda each: [key_of(code) for code in each.confidentiality_codes],
    ),
    (models.AuthorPerson, "entry", DocumentEntry, lambda each: _persons(each.authors)),
    (models.ReferenceId, "entry", DocumentEntry, lambda each: list(each.reference_id_list)),
    (models.SubmissionSetAuthorPerson, "submission_set", SubmissionSet, lambda each: _persons(each.authors)),
    (models.IntendedRecipient, "submission_set", SubmissionSet, lambda each: list(each.intended_recipients)),
    (models.FolderCode, "folder", Folder, lambda each: [key_of(code) for code in each.code_list]),
)


def _store_values(rows: Mapping[type, list[tuple[Any, Any]]]) -> None:
    for model, owner, kind, texts_of in _SIDE_TABLES:
        values = [
            model(patient_id=row.patient_id, shard_key=row.shard_key, **{owner: row, "value": _nfc(text)})
            for each, row in rows.get(kind, ())
            for text in dict.fromkeys(texts_of(each))
        ]
        if values:
            model._default_manager.bulk_create(values, batch_size=1000)


def approved(registry_object: Any) -> Any:
    """The object as it is when it is new: Approved (ITI TF-2: 3.42.4.1.3.3.5)."""
    return replace(registry_object, availability_status=APPROVED)
