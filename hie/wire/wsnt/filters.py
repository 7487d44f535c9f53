"""The filters of subscriptions: stored queries that are kept, each with the topics it goes with (ITI TF-2: 3.52.5).

A subscription matches an event where the query, asked of the objects of the event alone, would find one of them.
"""

from __future__ import annotations

from hie.values.subscriptions import (
    FOLDER_METADATA,
    FULL_DOCUMENT_ENTRY,
    MINIMAL_DOCUMENT_ENTRY,
    SUBMISSION_SET_METADATA,
)
from hie.wire.ebxml.queries import Query


def _of(prefix: str, names: str) -> tuple[str, ...]:
    return tuple(prefix + name for name in names.split())


_ENTRY = _of(
    "$XDSDocumentEntry",
    "ClassCode TypeCode ReferenceIdList PracticeSettingCode HealthcareFacilityTypeCode EventCodeList"
    " ConfidentialityCode FormatCode AuthorPerson",
)
_SET = _of("$XDSSubmissionSet", "SourceId AuthorPerson IntendedRecipient")
_ENTRY_PATIENT, _SET_PATIENT = "$XDSDocumentEntryPatientId", "$XDSSubmissionSetPatientId"
_FOLDER_PATIENT, _FOLDER = "$XDSFolderPatientId", ("$XDSFolderCodeList",)

_ENTRY_TOPICS = frozenset((FULL_DOCUMENT_ENTRY, MINIMAL_DOCUMENT_ENTRY))
_SET_TOPICS = frozenset((SUBMISSION_SET_METADATA,))
_FOLDER_TOPICS = frozenset((FOLDER_METADATA,))

TOPICS = _ENTRY_TOPICS | _SET_TOPICS | _FOLDER_TOPICS

# Of one patient, whose id is required and single, or of all, narrowed by one parameter at least.
_TABLE: tuple[tuple[Query, frozenset[str]], ...] = (
    (
        Query(
            "urn:uuid:aa2332d0-f8fe-11e0-be50-0800200c9a66",
            "the subscription for DocumentEntries",
            (_ENTRY_PATIENT,),
            _ENTRY,
            frozenset(_ENTRY),
        ),
        _ENTRY_TOPICS,
    ),
    (
        Query(
            "urn:uuid:742790e0-aba6-43d6-9f1f-e43ed9790b79",
            "the subscription for DocumentEntries of several patients",
            (),
            many=frozenset((_ENTRY_PATIENT, *_ENTRY)),
            at_least_one_of=(_ENTRY_PATIENT, *_ENTRY),
            multi_patient=True,
        ),
        _ENTRY_TOPICS,
    ),
    (
        Query(
            "urn:uuid:fbede94e-dbdc-4f6b-bc1f-d730e677cece",
            "the subscription for SubmissionSets",
            (_SET_PATIENT,),
            _SET,
            frozenset(_SET),
        ),
        _SET_TOPICS,
    ),
    (
        Query(
            "urn:uuid:868cad3d-ec09-4565-b66c-1be10d034399",
            "the subscription for SubmissionSets of several patients",
            (),
            many=frozenset((_SET_PATIENT, *_SET)),
            at_least_one_of=(_SET_PATIENT, *_SET),
            multi_patient=True,
        ),
        _SET_TOPICS,
    ),
    (
        Query(
            "urn:uuid:9376254e-da05-41f5-9af3-ac56d63d8ebd",
            "the subscription for Folders",
            (_FOLDER_PATIENT,),
            _FOLDER,
            frozenset(_FOLDER),
        ),
        _FOLDER_TOPICS,
    ),
)

# query id -> row; query id -> topics
FILTERS: dict[str, Query] = {query.query_id: query for query, _ in _TABLE}
TOPICS_OF: dict[str, frozenset[str]] = {query.query_id: topics for query, topics in _TABLE}
