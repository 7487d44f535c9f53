"""The table of stored queries (ITI TF-2: 3.18.4.1.2.3.7 and 3.51.4.1.2): which parameters each takes.

What a parameter restricts, and how its values are written, stands with the attribute that it asks for
(``attributes.py``); here stands which query takes it, whether it has to come, and whether it takes several values.
"""

from __future__ import annotations

from dataclasses import dataclass

from hie.wire.ebxml.attributes import MODELS, Kind, Parameter

_OTHER_PARAMETERS = (
    Parameter("$uuid", "entry_uuid"),
    Parameter("$patientId", "patient_id", Kind.PATIENT_ID),
    Parameter("$MetadataLevel", "", Kind.LEVEL),
    Parameter("$targetCommunityIdList", "home_community_id"),
)

# slot name -> what it restricts
PARAMETERS: dict[str, Parameter] = {
    parameter.name: parameter
    for parameters in (*(row.parameters for model in MODELS for row in model.attributes), _OTHER_PARAMETERS)
    for parameter in parameters
}

# Accepted beside the parameters of every query: the level of metadata update, and the addressees of a gateway.
EVERYWHERE = frozenset(("$MetadataLevel", "$targetCommunityIdList"))
MANY_EVERYWHERE = frozenset(("$targetCommunityIdList",))


@dataclass(frozen=True, slots=True)
class Query:
    """One stored query.

    required, optional: slot names. many: those that take several values. one_of: exactly one of these has to come.
    at_least_one_of: one or more of these has to come. multi_patient: asked by ITI-51, not by ITI-18.
    """

    query_id: str
    name: str
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    many: frozenset[str] = frozenset()
    one_of: tuple[str, ...] = ()
    at_least_one_of: tuple[str, ...] = ()
    multi_patient: bool = False

    @property
    def names(self) -> frozenset[str]:
        """All its parameters."""
        return frozenset((*self.required, *self.optional, *self.one_of, *self.at_least_one_of))


_ENTRY, _SET, _FOLDER = "$XDSDocumentEntry", "$XDSSubmissionSet", "$XDSFolder"


def _of(prefix: str, names: str) -> tuple[str, ...]:
    return tuple(prefix + name for name in names.split())


_ENTRY_CODES = _of(
    _ENTRY,
    "ClassCode TypeCode PracticeSettingCode HealthcareFacilityTypeCode EventCodeList ConfidentialityCode FormatCode",
)
_ENTRY_TIMES = _of(
    _ENTRY,
    "CreationTimeFrom CreationTimeTo ServiceStartTimeFrom ServiceStartTimeTo ServiceStopTimeFrom ServiceStopTimeTo",
)
_ENTRY_MANY = (*_ENTRY_CODES, *_of(_ENTRY, "AuthorPerson Type Status"))
_CONTENTS = _of(_ENTRY, "FormatCode ConfidentialityCode Type")
_FIND_ENTRIES = (*_ENTRY_CODES, *_ENTRY_TIMES, *_of(_ENTRY, "AuthorPerson Type"))
_REFERENCES = f"{_ENTRY}ReferenceIdList"
_PATIENT_OR_CODES = _of(_ENTRY, "PatientId ClassCode EventCodeList HealthcareFacilityTypeCode")


def _ids(prefix: str) -> tuple[str, ...]:
    return _of(prefix, "EntryUUID UniqueId")


def _all_ids(prefix: str) -> tuple[str, ...]:
    """The ids by which objects that have versions are got (XDS Metadata Update: 3.18.4.1.2.3.7.5, .6)."""
    return _of(prefix, "EntryUUID UniqueId LogicalID")


_ALL = (
    Query(
        "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d",
        "FindDocuments",
        _of(_ENTRY, "PatientId Status"),
        _FIND_ENTRIES,
        frozenset(_ENTRY_MANY),
    ),
    Query(
        "urn:uuid:f26abbcb-ac74-4422-8a30-edb644bbc1a9",
        "FindSubmissionSets",
        _of(_SET, "PatientId Status"),
        _of(_SET, "SourceId SubmissionTimeFrom SubmissionTimeTo AuthorPerson ContentType"),
        frozenset(_of(_SET, "Status SourceId ContentType")),
    ),
    Query(
        "urn:uuid:958f3006-baad-4929-a4de-ff1114824431",
        "FindFolders",
        _of(_FOLDER, "PatientId Status"),
        _of(_FOLDER, "LastUpdateTimeFrom LastUpdateTimeTo CodeList"),
        frozenset(_of(_FOLDER, "Status CodeList")),
    ),
    Query(
        "urn:uuid:10b545ea-725c-446d-9b95-8aeb444eddf3",
        "GetAll",
        ("$patientId", f"{_ENTRY}Status", f"{_SET}Status", f"{_FOLDER}Status"),
        (*_CONTENTS, "$XDSAssociationStatus"),
        frozenset((*_CONTENTS, f"{_ENTRY}Status", f"{_SET}Status", f"{_FOLDER}Status", "$XDSAssociationStatus")),
    ),
    Query(
        "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4",
        "GetDocuments",
        (),
        many=frozenset(_all_ids(_ENTRY)),
        one_of=_all_ids(_ENTRY),
    ),
    Query(
        "urn:uuid:5737b14c-8a1a-4539-b659-e03a34a5e1e4",
        "GetFolders",
        (),
        many=frozenset(_all_ids(_FOLDER)),
        one_of=_all_ids(_FOLDER),
    ),
    Query(
        "urn:uuid:a7ae438b-4bc2-4642-93e9-be891f7bb155",
        "GetAssociations",
        ("$uuid",),
        ("$XDSAssociationStatus",),
        frozenset(("$uuid", "$XDSAssociationStatus")),
    ),
    Query(
        "urn:uuid:bab9529a-4a10-40b3-a01f-f68a615d247a",
        "GetDocumentsAndAssociations",
        (),
        ("$XDSAssociationStatus",),
        frozenset((*_ids(_ENTRY), "$XDSAssociationStatus")),
        one_of=_ids(_ENTRY),
    ),
    Query("urn:uuid:51224314-5390-4169-9b91-b1980040715a", "GetSubmissionSets", ("$uuid",), (), frozenset(("$uuid",))),
    Query(
        "urn:uuid:e8e3cb2c-e39c-46b9-99e4-c12f57260b83",
        "GetSubmissionSetAndContents",
        (),
        _CONTENTS,
        frozenset(_CONTENTS),
        one_of=_ids(_SET),
    ),
    Query(
        "urn:uuid:b909a503-523d-4517-8acf-8e5834dfc4c7",
        "GetFolderAndContents",
        (),
        _CONTENTS,
        frozenset(_CONTENTS),
        one_of=_ids(_FOLDER),
    ),
    Query(
        "urn:uuid:10cae35a-c7f9-4cf5-b61e-fc3278ffb578",
        "GetFoldersForDocument",
        (),
        ("$XDSAssociationStatus",),
        frozenset(("$XDSAssociationStatus",)),
        one_of=_ids(_ENTRY),
    ),
    Query(
        "urn:uuid:d90e5407-b356-4d91-a89f-873917b4b0e6",
        "GetRelatedDocuments",
        ("$AssociationTypes",),
        (f"{_ENTRY}Type", "$XDSAssociationStatus"),
        frozenset(("$AssociationTypes", f"{_ENTRY}Type", "$XDSAssociationStatus")),
        one_of=_ids(_ENTRY),
    ),
    Query(
        "urn:uuid:12941a89-e02e-4be5-967c-ce4bfc8fe492",
        "FindDocumentsByReferenceId",
        (*_of(_ENTRY, "PatientId Status"), _REFERENCES),
        _FIND_ENTRIES,
        frozenset((*_ENTRY_MANY, _REFERENCES)),
    ),
    # ITI-51, Multi-Patient Stored Query.
    Query(
        "urn:uuid:3d1bdb10-39a2-11de-89c2-2f44d94eaa9f",
        "FindDocumentsForMultiplePatients",
        (f"{_ENTRY}Status",),
        _FIND_ENTRIES,
        frozenset((*_ENTRY_MANY, f"{_ENTRY}PatientId")),
        at_least_one_of=_PATIENT_OR_CODES,
        multi_patient=True,
    ),
    Query(
        "urn:uuid:50d3f5ac-39a2-11de-a1ca-b366239e58df",
        "FindFoldersForMultiplePatients",
        (f"{_FOLDER}Status",),
        _of(_FOLDER, "LastUpdateTimeFrom LastUpdateTimeTo"),
        frozenset(_of(_FOLDER, "Status CodeList PatientId")),
        at_least_one_of=_of(_FOLDER, "PatientId CodeList"),
        multi_patient=True,
    ),
    Query(
        "urn:uuid:1191642d-86c4-42d8-b784-f95445f9f0d5",
        "FindDocumentsByReferenceIdForMultiplePatients",
        (f"{_ENTRY}Status", _REFERENCES),
        (*_FIND_ENTRIES, f"{_ENTRY}PatientId"),
        frozenset((*_ENTRY_MANY, _REFERENCES, f"{_ENTRY}PatientId")),
        multi_patient=True,
    ),
)

# query id -> row
QUERIES: dict[str, Query] = {query.query_id: query for query in _ALL}
# name -> row
QUERY_NAMED: dict[str, Query] = {query.name: query for query in _ALL}
