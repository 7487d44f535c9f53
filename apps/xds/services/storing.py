"""From values to rows: one INSERT for each kind of object, however many there are."""

from __future__ import annotations

import unicodedata
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from django.db import connection
from django.utils import timezone

from apps.xds import models
from apps.xds.models import ObjectType, Status, shard_key_of
from apps.xds.rules import lines
from apps.xds.services import id_map
from apps.xds.shards import shards_of
from hie.exchange.bulk import COPY_FROM, insert_rows, keys_of
from hie.exchange.rows import execute, fetch
from hie.values.codes import Code
from hie.values.documents import (
    APPROVED,
    DEPRECATED,
    OFFLINE,
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
from hie.wire.ebxml.packing import pack

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
    fetch("SELECT pg_advisory_xact_lock(%s, bucket)::text FROM unnest(%s::int[]) AS bucket", [_LOCKS_OF_XDS, buckets])


def keep_contents(wanted: Sequence[models.Content]) -> dict[tuple[str, str], int]:
    """Rows for contents, made where they are not there yet: (locator, SHA-256) -> primary key."""
    if not wanted:
        return {}
    now = _now()
    marks = f"({', '.join(['%s'] * len(_CONTENT_COLUMNS))})"
    found = {}
    for start in range(0, len(wanted), _CONTENTS_AT_ONCE):
        part = wanted[start : start + _CONTENTS_AT_ONCE]
        execute(
            f"INSERT INTO xds_content ({', '.join(_CONTENT_COLUMNS)})"  # noqa: S608 - names of columns
            f" VALUES {', '.join([marks] * len(part))} ON CONFLICT DO NOTHING",
            [value for each in part for value in (each.locator, each.size, each.sha1, each.sha256, now)],
        )
        places = ", ".join(["%s"] * len(part))
        rows = fetch(
            f"SELECT locator, sha256, id FROM xds_content WHERE locator IN ({places})",  # noqa: S608
            [each.locator for each in part],
        )
        found.update({(locator, sha256): key for locator, sha256, key in rows})
    return found


_CONTENT_COLUMNS = ("locator", "size", "sha1", "sha256", "created_at")
_CONTENTS_AT_ONCE = 400


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
    now = _now()
    id_map.enter([(each, shard_key_of(patient_of(each))) for each in objects])
    rows: dict[type, list[tuple[Any, dict[str, Any]]]] = {}
    for each in objects:
        patient_id = patient_of(each)
        row = {
            "patient_id": patient_id,
            "shard_key": shard_key_of(patient_id),
            "entry_uuid": each.entry_uuid,
            "facility_code": facility_code,
            "status": (Status.DEPRECATED if each.availability_status == DEPRECATED else Status.APPROVED).value,
            "registered_at": now,
        }
        row.update(_columns(each, contents or {}, digest))
        row["fragment"] = pack(write_fragment(each))
        rows.setdefault(type(each), []).append((each, row))
    keys = {kind: _insert(kind, [row for _, row in pairs]) for kind, pairs in rows.items()}
    _store_values(rows, keys)


def _insert(kind: type, rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """The primary keys by entry UUID, where a side table needs them; of few rows by the statement that writes them."""
    table, columns = _TABLES[kind], tuple(rows[0])
    if kind is Association or len(rows) >= COPY_FROM:
        insert_rows(table, columns, [tuple(row.values()) for row in rows])
        if kind is Association:
            return {}
        shards = tuple(dict.fromkeys(row["shard_key"] for row in rows))
        return keys_of(table, "entry_uuid", [row["entry_uuid"] for row in rows], {"shard_key": shards})
    line = f"({', '.join(['%s'] * len(columns))})"
    made = fetch(
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([line] * len(rows))}"  # noqa: S608
        " RETURNING entry_uuid, id",
        [value for row in rows for value in row.values()],
    )
    return dict(made)


def _now() -> Any:
    return connection.ops.adapt_datetimefield_value(timezone.now())


def deprecate(rows: Iterable[tuple[int, bytes]]) -> None:
    """Set entries, given by primary key and fragment, to Deprecated, in the column and in the fragment."""
    for key, fragment in rows:
        execute(
            "UPDATE xds_documententry SET status = %s, fragment = %s WHERE id = %s",
            [Status.DEPRECATED.value, pack(with_status(fragment, DEPRECATED)), key],
        )


def set_status(model: type[Any], key: int, fragment: bytes, status: str) -> None:
    """Set the status of one row, in the column and in the fragment; status: the full URN."""
    number = Status.DEPRECATED if status == DEPRECATED else Status.APPROVED
    model._default_manager.filter(pk=key).update(status=number, fragment=with_status(fragment, status))


def set_sources(sources: Mapping[str, str], patients: Mapping[str, str]) -> None:
    """Say of entries that were just stored what they are made from. Both by entry UUID; patients: regional ids."""
    for entry_uuid, said in sources.items():
        owned = {"entry_uuid": entry_uuid, "shard_key": shard_key_of(patients[entry_uuid])}
        models.DocumentEntry.objects.filter(**owned).update(sources=said)


def touch_folders(uuids: Iterable[str], moment: str) -> None:
    """Set lastUpdateTime of folders that were given a document, in the column and in the fragment."""
    named = list(uuids)
    for row in models.Folder.objects.filter(entry_uuid__in=named, shard_key__in=shards_of(named)) if named else ():
        folder = read_fragment(bytes(row.fragment))
        assert isinstance(folder, Folder)
        row.fragment = write_fragment(replace(folder, last_update_time=moment))
        row.last_update_time = moment
        row.save(update_fields=["fragment", "last_update_time"])


def key_of(code: Code | None) -> str:
    """A code as its column holds it: ``code^^scheme`` in normalization form C, "" where there is none."""
    if not code:
        return ""
    text = f"{code.code}^^{code.scheme}"
    return text if text.isascii() else _nfc(text)


def day_of_care(entry: DocumentEntry) -> str:
    """The day in Japan on which the care began, or the document was created; "" where neither is known.

    A time that is not known to the hour names its day already.
    """
    return _day_in_japan(entry.service_start_time or entry.creation_time)


@lru_cache(maxsize=16_384)
def _day_in_japan(time: str) -> str:
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


def _columns(each: RegistryObject, contents: Mapping[str, int], digest: str) -> dict[str, Any]:
    """The columns that objects of one kind have beside the shared ones, always in the same order."""
    if isinstance(each, DocumentEntry):
        return _entry_columns(each, contents)
    if isinstance(each, SubmissionSet):
        return {
            "unique_id": each.unique_id,
            "source_id": each.source_id,
            "submission_time": _padded(each.submission_time),
            "content_type_code": key_of(each.content_type_code),
            "title": each.title[:256],
            "digest": digest,
        }
    if isinstance(each, Folder):
        return {
            "logical_id": each.logical_id or each.entry_uuid,
            "version": each.version,
            "unique_id": each.unique_id,
            "title": each.title[:256],
            "last_update_time": _padded(each.last_update_time),
        }
    return {
        "association_type": each.association_type,
        "source_uuid": each.source_object,
        "target_uuid": each.target_object,
        "submission_set_status": each.submission_set_status,
    }


def _entry_columns(entry: DocumentEntry, contents: Mapping[str, int]) -> dict[str, Any]:
    return {
        "logical_id": entry.logical_id or entry.entry_uuid,
        "version": entry.version,
        "unique_id": entry.unique_id,
        "repository_unique_id": entry.repository_unique_id,
        "object_type": (ObjectType.ON_DEMAND if entry.object_type == ON_DEMAND else ObjectType.STABLE).value,
        "mime_type": entry.mime_type,
        "title": entry.title[:256],
        "hash": entry.hash.lower(),
        "size": entry.size,
        "class_code": key_of(entry.class_code),
        "type_code": key_of(entry.type_code),
        "format_code": key_of(entry.format_code),
        "healthcare_facility_type_code": key_of(entry.healthcare_facility_type_code),
        "practice_setting_code": key_of(entry.practice_setting_code),
        "event_codes": lines(map(key_of, entry.event_code_list)),
        "confidentiality_codes": lines(map(key_of, entry.confidentiality_codes)),
        "creation_time": _padded(entry.creation_time),
        "service_start_time": _padded(entry.service_start_time),
        "service_stop_time": _padded(entry.service_stop_time),
        "care_date": day_of_care(entry),
        "offline": entry.document_availability == OFFLINE,
        "content_id": contents.get(entry.entry_uuid),
    }


_TABLES: dict[type, str] = {
    DocumentEntry: models.DocumentEntry._meta.db_table,
    SubmissionSet: models.SubmissionSet._meta.db_table,
    Folder: models.Folder._meta.db_table,
    Association: models.Association._meta.db_table,
}


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


def _store_values(
    rows: Mapping[type, list[tuple[Any, dict[str, Any]]]], keys: Mapping[type, Mapping[str, int]]
) -> None:
    for model, owner, kind, texts_of in _SIDE_TABLES:
        values = [(row, _nfc(text)) for each, row in rows.get(kind, ()) for text in dict.fromkeys(texts_of(each))]
        insert_rows(
            model._meta.db_table,
            ("patient_id", "shard_key", f"{owner}_id", "value"),
            [(row["patient_id"], row["shard_key"], keys[kind][row["entry_uuid"]], text) for row, text in values],
        )


def approved(registry_object: Any) -> Any:
    """The object as it is when it is new: Approved (ITI TF-2: 3.42.4.1.3.3.5)."""
    return replace(registry_object, availability_status=APPROVED)
