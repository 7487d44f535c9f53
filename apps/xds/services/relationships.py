"""What the associations of a submission ask of the registry, and what follows from them.

ITI TF-2: 3.42.4.1.3.4 to 3.42.4.1.3.6.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from apps.xds.models import NameKind, ObjectType, Status
from apps.xds.shards import in_shards, marks, shards_of
from hie.exchange.rows import fetch
from hie.values.documents import (
    APND,
    HAS_MEMBER,
    IS_SNAPSHOT_OF,
    ON_DEMAND,
    RPLC,
    SIGNS,
    XFRM,
    XFRM_RPLC,
    Association,
    DocumentEntry,
    RegistryObject,
    Submission,
)
from hie.values.errors import Finding, Reason
from hie.values.identifiers import is_uuid_urn, new_uuid_urn
from hie.wire.ebxml.packing import unpack

REPLACING = frozenset({RPLC, XFRM_RPLC})
DEPENDENT = frozenset({APND, XFRM})
RELATIONSHIPS = frozenset({RPLC, XFRM_RPLC, APND, XFRM, SIGNS, IS_SNAPSHOT_OF})
_AT_ONCE = 2000  # ids in one statement: a database takes so many parameters and no more
IN_REGISTRY_ONLY = frozenset({RPLC, XFRM_RPLC, IS_SNAPSHOT_OF})


@dataclass(frozen=True, slots=True)
class Known:
    """An object of the registry that a submission names. kind: the name of its class in ``hie.values.documents``."""

    kind: str
    entry_uuid: str
    patient_id: str
    status: int
    facility_code: str
    object_type: int
    key: int
    fragment: bytes


@dataclass(frozen=True, slots=True)
class Change:
    """What a submission changes besides its own objects.

    associations: memberships that a replacement inherits, each once and none that the submission says itself, with the
    submission's own ids as ends. deprecated: entries that are replaced or depend on one. folders: entry UUIDs of
    registered folders that get a document.
    """

    associations: tuple[Association, ...] = ()
    deprecated: tuple[Known, ...] = ()
    folders: tuple[str, ...] = ()


def known_objects(submission: Submission) -> dict[str, Known]:
    """The objects of the registry that the submission names by UUID, be it as an end or as an id of its own."""
    return known_uuids(named_uuids(submission))


def named_uuids(submission: Submission) -> list[str]:
    """The UUIDs, and symbolic ids, of the submission's objects and of the ends of its associations, each once."""
    named = [each.entry_uuid for each in _objects(submission)]
    named += [end for each in submission.associations for end in (each.source_object, each.target_object)]
    return list(dict.fromkeys(named))


def known_uuids(named: Iterable[str], shards: list[int] | None = None) -> dict[str, Known]:
    """The objects of the registry that bear one of these entry UUIDs; what is none is passed over.

    shards: those of the names, where the caller has asked the map already.
    """
    uuids = [each for each in dict.fromkeys(named) if is_uuid_urn(each)]
    rows = [row for start in range(0, len(uuids), _AT_ONCE) for row in _known(uuids[start : start + _AT_ONCE], shards)]
    return {row.entry_uuid: row for row in rows}


def _known(uuids: list[str], shards: list[int] | None) -> list[Known]:
    where, shards = in_shards("shard_key", shards_of(uuids) if shards is None else shards)
    if not shards:
        return []
    parts = [
        f"SELECT '{kind}', entry_uuid, patient_id, status, facility_code, {object_type}, id, fragment"  # noqa: S608
        f" FROM {table} WHERE {where} AND entry_uuid IN ({marks(uuids)})"
        for kind, table, object_type in _TABLES
    ]
    return _read(fetch(" UNION ALL ".join(parts), [*shards, *uuids] * len(_TABLES)))


def findings(
    submission: Submission, known: Mapping[str, Known], patient_id: str, facility_code: str
) -> Iterator[Finding]:
    """What is wrong with the associations in the light of the registry. patient_id: "" where it is not known."""
    own = {each.entry_uuid: each for each in _objects(submission)}
    for each in submission.associations:
        if each.association_type == HAS_MEMBER:
            yield from _membership_findings(each, own, known, patient_id)
        elif each.association_type in RELATIONSHIPS:
            yield from _relationship_findings(each, own, known, patient_id, facility_code)


def change(submission: Submission, known: Mapping[str, Known]) -> Change:
    """What follows from the associations of a submission in which nothing is wrong."""
    folders = {
        each.source_object: None
        for each in submission.associations
        if each.association_type == HAS_MEMBER and _kind(known, each.source_object) == "Folder"
    }
    successors: dict[str, list[str]] = {}
    for each in submission.associations:
        if each.association_type in REPLACING:
            successors.setdefault(each.target_object, []).append(each.source_object)
    replaced = [known[each] for each in successors]
    if not replaced:
        return Change(folders=tuple(folders))
    inherited: list[Association] = []
    submission_set = submission.submission_sets[0].entry_uuid
    said = {(each.source_object, each.target_object) for each in submission.associations}
    originals = list(successors)
    shards = shards_of(originals)
    memberships = dict.fromkeys(
        (folder, successor)
        for folder, original in _memberships(originals, shards)
        for successor in successors[original]
    )
    for folder, successor in (each for each in memberships if each not in said):
        membership = Association(new_uuid_urn(), HAS_MEMBER, folder, successor)
        inherited += [membership, Association(new_uuid_urn(), HAS_MEMBER, submission_set, membership.entry_uuid)]
        folders[folder] = None
    return Change(tuple(inherited), (*replaced, *_dependents(originals, shards)), tuple(folders))


_TABLES = (
    ("DocumentEntry", "xds_documententry", "object_type"),
    ("SubmissionSet", "xds_submissionset", "0"),
    ("Folder", "xds_folder", "0"),
    ("Association", "xds_association", "0"),
)


def _objects(submission: Submission) -> list[RegistryObject]:
    return [
        *submission.document_entries,
        *submission.submission_sets,
        *submission.folders,
        *submission.associations,
    ]


def _kind(known: Mapping[str, Known], entry_uuid: str) -> str:
    return known[entry_uuid].kind if entry_uuid in known else ""


def _unresolved(each: Association, end: str, sentence: str) -> Finding:
    return Finding(Reason.UNRESOLVED_REFERENCE, f"Association.{end} {sentence}", f"{each.entry_uuid}: {end}")


def _membership_findings(
    each: Association, own: Mapping[str, RegistryObject], known: Mapping[str, Known], patient_id: str
) -> Iterator[Finding]:
    """HasMember. What a submission set holds by reference may be of another patient; what a folder holds may not."""
    for end in ("source_object", "target_object"):
        uuid = getattr(each, end)
        if uuid not in own and uuid not in known:
            slot = end.replace("_o", "O")
            yield _unresolved(each, slot, "names no object of this submission or of the registry.")
    source, target = (_kind_of(uuid, own, known) for uuid in (each.source_object, each.target_object))
    if source == "Folder":
        yield from _folder_findings(each, known, patient_id)
    elif each.source_object in known:
        sentence = f"sourceObject of a HasMember is a {source} of the registry; only a Folder there gets new members."
        yield Finding(Reason.METADATA, sentence, f"{each.entry_uuid}: sourceObject")
    else:
        yield from _reference_findings(each, known)
    if target and source in _MEMBERS and target not in _MEMBERS[source]:
        sentence = f"A {source} cannot have a {target} as its member."
        yield Finding(Reason.METADATA, sentence, f"{each.entry_uuid}: targetObject")


# What may be a member of what (ITI TF-3: 4.2.2.1).
_MEMBERS = {
    "SubmissionSet": frozenset({"DocumentEntry", "Folder", "Association"}),
    "Folder": frozenset({"DocumentEntry"}),
}


def _kind_of(entry_uuid: str, own: Mapping[str, RegistryObject], known: Mapping[str, Known]) -> str:
    return type(own[entry_uuid]).__name__ if entry_uuid in own else _kind(known, entry_uuid)


def _folder_findings(each: Association, known: Mapping[str, Known], patient_id: str) -> Iterator[Finding]:
    """Folder and document are of one patient, and both approved (ITI TF-2: 3.42.4.1.3.4)."""
    for registered in (known.get(each.source_object), known.get(each.target_object)):
        if registered is None:
            continue
        yield from _same_patient(each, registered, patient_id)
        if registered.status == Status.DEPRECATED:
            sentence = f"The {registered.kind} is deprecated; folder and document both have to be approved."
            yield Finding(Reason.DEPRECATED_DOCUMENT, sentence, each.entry_uuid)


def _reference_findings(each: Association, known: Mapping[str, Known]) -> Iterator[Finding]:
    """A document that a submission set holds by reference says so, and is approved (ITI TF-3: 4.2.2, 4.2.2.1.1)."""
    registered = known.get(each.target_object)
    if registered is None or registered.kind != "DocumentEntry":
        return
    if not each.submission_set_status:
        sentence = "SubmissionSetStatus is missing between SubmissionSet and DocumentEntry; it has to be Reference."
        yield Finding(Reason.METADATA, sentence, f"{each.entry_uuid}: SubmissionSetStatus")
    if registered.status == Status.DEPRECATED:
        sentence = "targetObject is deprecated, so that nothing new may refer to it; name the version that replaced it."
        yield Finding(Reason.DEPRECATED_DOCUMENT, sentence, f"{each.entry_uuid}: targetObject")


def _relationship_findings(
    each: Association,
    own: Mapping[str, RegistryObject],
    known: Mapping[str, Known],
    patient_id: str,
    facility_code: str,
) -> Iterator[Finding]:
    source, target = own.get(each.source_object), known.get(each.target_object)
    if not isinstance(source, DocumentEntry):
        yield _unresolved(each, "sourceObject", "has to name a DocumentEntry of this submission.")
    if target is None:
        in_submission = isinstance(own.get(each.target_object), DocumentEntry)
        if not in_submission or each.association_type in IN_REGISTRY_ONLY:
            yield _unresolved(each, "targetObject", "has to name a DocumentEntry that is registered already.")
        return
    if target.kind != "DocumentEntry":
        yield _unresolved(each, "targetObject", f"names a {target.kind}; it has to name a DocumentEntry.")
        return
    if target.status == Status.DEPRECATED:
        sentence = "targetObject is deprecated; name the version that replaced it."
        yield Finding(Reason.DEPRECATED_DOCUMENT, sentence, f"{each.entry_uuid}: targetObject")
    yield from _same_patient(each, target, patient_id)
    if each.association_type in REPLACING and target.facility_code != facility_code:
        sentence = "targetObject is a document of another facility, which alone may replace it."
        yield Finding(Reason.CALLER_NOT_ENTITLED, sentence, f"{each.entry_uuid}: targetObject")
    if each.association_type == IS_SNAPSHOT_OF:
        yield from _snapshot_findings(each, source, target)


def _same_patient(each: Association, end: Known, patient_id: str) -> Iterator[Finding]:
    if patient_id and end.patient_id != patient_id:
        sentence = f"The {end.kind} in the registry is of another patient than this submission."
        yield Finding(Reason.PATIENT_MISMATCH, sentence, each.entry_uuid)


def _snapshot_findings(each: Association, source: RegistryObject | None, target: Known) -> Iterator[Finding]:
    stable = isinstance(source, DocumentEntry) and source.object_type != ON_DEMAND
    if not stable or target.object_type != ObjectType.ON_DEMAND:
        sentence = "IsSnapshotOf joins a stable DocumentEntry (sourceObject) to an on-demand one (targetObject)."
        yield Finding(Reason.METADATA, sentence, each.entry_uuid)


# From an association (alias ``a``) to the shard of its source (``m``).
_SOURCES = f" JOIN xds_mappedid m ON m.name = a.source_uuid AND m.kind = {NameKind.ENTRY_UUID.value}"


def _memberships(entry_uuids: list[str], shards: list[int]) -> list[tuple[str, str]]:
    """(folder, entry) of approved folders that hold one of the entries."""
    where, shards = in_shards("a.shard_key", shards)
    rows = fetch(
        f"SELECT DISTINCT f.entry_uuid, a.target_uuid FROM xds_association a{_SOURCES}"  # noqa: S608
        " JOIN xds_folder f ON f.shard_key = m.shard_key AND f.entry_uuid = m.name"
        f" WHERE {where} AND a.target_uuid IN ({marks(entry_uuids)}) AND a.association_type = %s"
        " AND a.status = %s AND f.status = %s",
        [*shards, *entry_uuids, HAS_MEMBER, Status.APPROVED.value, Status.APPROVED.value],
    )
    return [(folder, entry) for folder, entry in rows]


def _dependents(entry_uuids: list[str], shards: list[int]) -> list[Known]:
    """Approved addenda and transformations of the entries."""
    where, shards = in_shards("a.shard_key", shards)
    rows = fetch(
        "SELECT DISTINCT 'DocumentEntry', e.entry_uuid, e.patient_id, e.status, e.facility_code, e.object_type,"  # noqa: S608
        f" e.id, e.fragment FROM xds_association a{_SOURCES}"
        " JOIN xds_documententry e ON e.shard_key = m.shard_key AND e.entry_uuid = m.name"
        f" WHERE {where} AND a.target_uuid IN ({marks(entry_uuids)}) AND a.association_type IN (%s, %s)"
        " AND a.status = %s AND e.status = %s",
        [*shards, *entry_uuids, *sorted(DEPENDENT), Status.APPROVED.value, Status.APPROVED.value],
    )
    return _read(rows)


def _read(rows: Iterable[Sequence[Any]]) -> list[Known]:
    """Rows with the columns of ``Known``, the fragment as it is kept."""
    known = (Known(*row) for row in rows)
    return [replace(each, fragment=unpack(bytes(each.fragment))) for each in known]
