"""Update what is registered: ITI-57 and ITI-92 (XDS Metadata Update: 3.57.4.1.3; RMU: 3.92.4.1).

An object is never changed in place: an update adds its next version, which keeps the logicalID and, of a document, the
bytes; the version before becomes Deprecated. An update is done wholly or not at all, and one that is sent again is
recognised like any submission. A facility updates what it has registered itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from apps.xds import models
from apps.xds.models import ObjectType, Status, shard_key_of
from apps.xds.services import code_sets
from apps.xds.services.judging import (
    UNKNOWN_PATIENT,
    digest_of,
    duplicates,
    errors_of,
    final_ids,
    foreign_sources,
    national_numbers,
    objects_of,
    patient_of_submission,
    registered_ids,
    sent_before,
    warnings_of,
)
from apps.xds.services.relationships import RELATIONSHIPS, REPLACING, Known, known_uuids, named_uuids
from apps.xds.services.removing import withdraw_snapshots
from apps.xds.services.storing import approved, hold, set_status, store, touch_folders
from apps.xds.services.telling import event_of, tell
from apps.xds.shards import shards_by_name, shards_of
from hie.values.documents import (
    APPROVED,
    DEPRECATED,
    HAS_MEMBER,
    IS_SNAPSHOT_OF,
    Association,
    DocumentEntry,
    Folder,
    MetadataUpdate,
    NewAssociation,
    NewStatus,
    NewVersion,
    RegistryObject,
    RegistryResult,
    Submission,
    SubmissionSet,
)
from hie.values.errors import ExchangeError, Finding, Reason
from hie.values.identifiers import AssigningAuthority, Identifier, is_uuid_urn, new_uuid_urn
from hie.values.times import write_dtm
from hie.wire.ebxml.fragments import read_fragment
from hie.wire.ebxml.update_rules import unmodifiable
from hie.wire.ebxml.validation import UPDATE_SLOTS

_STATUSES = {APPROVED: Status.APPROVED, DEPRECATED: Status.DEPRECATED}
_TABLES: dict[str, Any] = {
    "DocumentEntry": models.DocumentEntry,
    "Folder": models.Folder,
    "Association": models.Association,
}


@transaction.atomic
def update(update: MetadataUpdate, *, facility_code: str) -> RegistryResult:
    """Do everything that an update asks for, or nothing.

    facility_code: of the caller, who has to have registered what it updates. Raises ExchangeError with every finding.
    """
    submission = update.submission
    if len(submission.submission_sets) != 1:
        detail = "An update holds exactly one SubmissionSet."
        raise ExchangeError.of(errors_of(update.findings) or [Finding(Reason.METADATA_UPDATE, detail)])
    digest = digest_of(submission, facility_code)
    hold([*_names(update), *_owners(update)])
    registered = registered_ids(submission)
    if sent_before(submission, registered, digest):
        return RegistryResult(warnings_of(list(update.findings)))
    lying = _lying(update)
    known = known_uuids([each for each in named_uuids(submission) if each in lying], shards=_all(lying))
    work = _Work(update, facility_code, patient_of_submission(submission), known, lying)
    findings = [*update.findings, *work.findings()]
    only_set = replace(submission, document_entries=(), folders=(), associations=())
    findings += duplicates(only_set, registered, work.known)
    findings += foreign_sources(submission, facility_code) + national_numbers(submission)
    findings += code_sets.findings(objects_of(submission))
    if errors_of(findings):
        raise ExchangeError.of(errors_of(findings))
    work.do(digest)
    return RegistryResult(warnings_of(findings))


def _names(update: MetadataUpdate) -> list[str]:
    """What nobody else may work on meanwhile."""
    submission = update.submission
    ends = [end for each in submission.associations for end in (each.source_object, each.target_object)]
    logical = [each.updated.logical_id for each in update.operations if isinstance(each, NewVersion)]
    patients = [Identifier.from_cx(each.patient_id).value for each in submission.submission_sets]
    return [*ends, *logical, *patients, *(each.unique_id for each in submission.submission_sets)]


def _owners(update: MetadataUpdate) -> list[str]:
    """The patients whose objects get new versions; one may come from a patient other than that of the update."""
    logical = [each.updated.logical_id for each in update.operations if isinstance(each, NewVersion)]
    if not logical:
        return []
    versions = {"logical_id__in": logical, "shard_key__in": shards_of(logical)}
    entries = models.DocumentEntry.objects.filter(**versions).values_list("patient_id", flat=True)
    return list(entries.union(models.Folder.objects.filter(**versions).values_list("patient_id", flat=True)))


def _lying(update: MetadataUpdate) -> dict[str, set[int]]:
    """The shards of all that the update names; those of a logicalID are those of its versions."""
    logical = [each.updated.logical_id for each in update.operations if isinstance(each, NewVersion)]
    return shards_by_name([*filter(is_uuid_urn, named_uuids(update.submission)), *logical])


def _all(lying: Mapping[str, set[int]]) -> list[int]:
    return sorted({shard for shards in lying.values() for shard in shards})


@dataclass(frozen=True, slots=True)
class _Latest:
    """The latest version of a logical object."""

    row: Any
    value: DocumentEntry | Folder


@dataclass(slots=True)
class _Work:
    """One update: judged, then done."""

    update: MetadataUpdate
    facility_code: str
    patient_id: str
    known: dict[str, Known]
    lying: Mapping[str, set[int]]
    latest: dict[str, _Latest] = field(default_factory=dict)
    stored: list[tuple[RegistryObject, str]] = field(default_factory=list)

    @property
    def submission(self) -> Submission:
        return self.update.submission

    def findings(self) -> Iterator[Finding]:
        """What the registry has against the operations."""
        if not self.patient_id:
            yield Finding(Reason.UNKNOWN_PATIENT, UNKNOWN_PATIENT, "patientId")
        if self.update.restricted:
            yield from self._community()
        for operation in self.update.operations:
            if isinstance(operation, NewVersion):
                yield from self._judge_version(operation)
            elif isinstance(operation, NewStatus):
                yield from self._judge_status(operation)
            else:
                yield from self._judge_association(operation)

    def do(self, digest: str) -> None:
        """Everything that was asked for, after nothing was found against it."""
        moment = write_dtm(datetime.now(UTC))
        final = final_ids(self.submission)
        (submission_set,) = self.submission.submission_sets
        placed = replace(submission_set, entry_uuid=final[submission_set.entry_uuid])
        self._keep(replace(approved(placed), patient_id=self._cx(self.patient_id)), self.patient_id)
        contents: dict[str, int] = {}
        touched: set[str] = set()
        for operation in self.update.operations:
            if isinstance(operation, NewVersion):
                self._add_version(operation, final, placed, contents, moment)
            elif isinstance(operation, NewAssociation):
                self._add_association(operation, final, placed, touched)
        self._propagate(final, placed, touched)
        patients = {each.entry_uuid: patient for each, patient in self.stored}
        objects = [each for each, _ in self.stored]
        store(objects, self.facility_code, lambda each: patients[each.entry_uuid], contents, digest)
        for operation in self.update.operations:
            if isinstance(operation, NewStatus) and self._versions_named(operation.target) == []:
                self._change_status(operation.target, operation.new_status)
        touch_folders(touched, moment)
        tell({self.patient_id: event_of(objects, touched)})

    def _community(self) -> Iterator[Finding]:
        for each in self.submission.submission_sets:
            home = each.home_community_id.removeprefix("urn:oid:")
            if home and home != settings.HOME_COMMUNITY_OID:
                detail = "homeCommunityId is of another community; send the update there."
                yield Finding(Reason.UNKNOWN_COMMUNITY, detail, f"{each.entry_uuid}: homeCommunityId")

    def _judge_version(self, operation: NewVersion) -> Iterator[Finding]:
        updated = operation.updated
        location = f"{updated.entry_uuid}: logicalID"
        restricted = self.update.restricted
        if updated.entry_uuid in self.known:
            detail = "The id is that of an object in the registry; a new version needs a new UUID or a symbolic id."
            yield Finding(Reason.METADATA_UPDATE, detail, f"{updated.entry_uuid}: id")
        latest = self._latest(updated)
        if latest is None:
            reason = Reason.IDENTIFIER_CONFLICT if restricted else Reason.METADATA_UPDATE
            yield Finding(reason, "logicalID is of no object of this kind in the registry.", location)
            return
        yield from self._owned(latest.row.facility_code, location)
        if latest.row.status == Status.DEPRECATED:
            detail = "The latest version of the object is deprecated, so that it cannot be updated."
            yield Finding(Reason.METADATA_UPDATE, detail, location)
        if operation.previous_version is not None and operation.previous_version != latest.row.version:
            detail = f"PreviousVersion has to be {latest.row.version}, the latest; read the object again."
            yield Finding(Reason.VERSION_CONFLICT, detail, f"{operation.member.entry_uuid}: PreviousVersion")
        yield from unmodifiable(latest.value, self._comparable(updated, latest.value), restricted=restricted)
        yield from self._judge_patient(operation, latest)

    def _comparable(self, updated: Any, before: Any) -> Any:
        """The new version, with what the registry had filled in itself where the request leaves it out."""
        if not isinstance(updated, DocumentEntry):
            return updated
        home = updated.home_community_id or before.home_community_id
        if home == f"urn:oid:{settings.HOME_COMMUNITY_OID}":
            home = before.home_community_id
        return replace(updated, home_community_id=home)

    def _judge_patient(self, operation: NewVersion, latest: _Latest) -> Iterator[Finding]:
        """A version may be of another patient, if nothing stays joined to it that is of the one before."""
        location = f"{operation.updated.entry_uuid}: patientId"
        if self.patient_id and Identifier.from_cx(operation.updated.patient_id).value != self.patient_id:
            detail = "patientId has to be that of the SubmissionSet."
            yield Finding(Reason.PATIENT_RECONCILIATION, detail, location)
        moves = self.patient_id and latest.row.patient_id != self.patient_id
        if moves and operation.propagate and _joined(latest.row.entry_uuid).exists():
            detail = "The object has relationships of another patient; set AssociationPropagation to no."
            yield Finding(Reason.PATIENT_RECONCILIATION, detail, location)

    def _judge_status(self, operation: NewStatus) -> Iterator[Finding]:
        location = f"{operation.asked_by.entry_uuid}: targetObject"
        versions = self._versions_named(operation.target)
        if any(len(self._statuses_of(each)) > 1 for each in versions):
            detail = "Two new statuses are asked for one object, once by its new version; ask for one."
            yield Finding(Reason.METADATA_UPDATE, detail, location)
        if any(each.entry_uuid == operation.target for each in objects_of(self.submission)):
            yield from self._judge_status_of_new(operation, versions)
            return
        target = self.known.get(operation.target)
        if target is None:
            yield Finding(Reason.UNRESOLVED_REFERENCE, "targetObject names no object of the registry.", location)
            return
        if target.kind not in _TABLES:
            detail = "The status of a SubmissionSet does not change."
            yield Finding(Reason.METADATA_UPDATE, detail, location)
            return
        yield from self._owned(target.facility_code, location)
        yield from self._of_patient(target, location)
        if operation.original_status and _STATUSES[operation.original_status] != target.status:
            yield self._other_status(operation)
        if target.kind == "Association" and _is_of_set(target):
            detail = "What a SubmissionSet holds, it holds for ever: the status of this association does not change."
            yield Finding(Reason.METADATA_UPDATE, detail, location)
        if target.kind != "Association" and not self._is_latest(target):
            detail = "targetObject is not the latest version of its object, whose status alone can be updated."
            yield Finding(Reason.METADATA_UPDATE, detail, location)

    def _judge_status_of_new(self, operation: NewStatus, versions: list[NewVersion]) -> Iterator[Finding]:
        """A new version may be given its status by the request that brings it (3.57.4.1.3.1); it begins as Approved."""
        if not versions:
            detail = "targetObject is new in this message, and Approved; ask for its status later."
            yield Finding(Reason.METADATA_UPDATE, detail, f"{operation.asked_by.entry_uuid}: targetObject")
        elif operation.original_status == DEPRECATED:
            yield self._other_status(operation)

    def _other_status(self, operation: NewStatus) -> Finding:
        detail = "OriginalStatus is not the status that the object has; read it again."
        return Finding(Reason.METADATA_UPDATE, detail, f"{operation.asked_by.entry_uuid}: OriginalStatus")

    def _versions_named(self, target: str) -> list[NewVersion]:
        """The new versions of this update that a status is asked for: by their own id, or by the version before."""
        return [
            each
            for each in self.update.operations
            if isinstance(each, NewVersion) and target in (each.updated.entry_uuid, self._before(each))
        ]

    def _before(self, operation: NewVersion) -> str:
        """The entry UUID of the version that a new one follows, "" where there is none."""
        latest = self._latest(operation.updated)
        return latest.row.entry_uuid if latest else ""

    def _statuses_of(self, operation: NewVersion) -> list[NewStatus]:
        """What this update asks of the status of a new version."""
        named = (operation.updated.entry_uuid, self._before(operation))
        return [each for each in self.update.operations if isinstance(each, NewStatus) and each.target in named]

    def _judge_association(self, operation: NewAssociation) -> Iterator[Finding]:
        submitted = operation.submitted
        if submitted.entry_uuid in self.known:
            detail = "The id is that of an object in the registry; use a new UUID or a symbolic id."
            yield Finding(Reason.METADATA_UPDATE, detail, f"{submitted.entry_uuid}: id")
        ends: dict[str, Known] = {}
        for end in ("source_object", "target_object"):
            found = self.known.get(getattr(submitted, end))
            location = f"{submitted.entry_uuid}: {end.replace('_o', 'O')}"
            if found is None:
                detail = "The association names an object that is not in the registry."
                yield Finding(Reason.UNRESOLVED_REFERENCE, detail, location)
                continue
            ends[end] = found
            yield from self._of_patient(found, location)
            if found.status == Status.DEPRECATED:
                detail = "An end of the association is deprecated; name the latest version."
                yield Finding(Reason.METADATA_UPDATE, detail, location)
        if len(ends) == 2:
            yield from self._judge_ends(submitted, ends["source_object"], ends["target_object"])

    def _judge_ends(self, submitted: Association, source: Known, target: Known) -> Iterator[Finding]:
        location = f"{submitted.entry_uuid}: sourceObject"
        if submitted.association_type == HAS_MEMBER:
            fits = source.kind == "Folder" and target.kind == "DocumentEntry"
        else:
            fits = source.kind == target.kind == "DocumentEntry"
        if not fits:
            detail = "HasMember joins a Folder to a DocumentEntry here, every other type two DocumentEntries."
            yield Finding(Reason.METADATA_UPDATE, detail, location)
        types = (source.object_type, target.object_type)
        if submitted.association_type == IS_SNAPSHOT_OF and types != (ObjectType.STABLE, ObjectType.ON_DEMAND):
            detail = "IsSnapshotOf joins a stable DocumentEntry (sourceObject) to an on-demand one (targetObject)."
            yield Finding(Reason.METADATA_UPDATE, detail, location)
        if fits and _are_joined(submitted):
            detail = "An approved association of this type joins the two objects already."
            yield Finding(Reason.METADATA_UPDATE, detail, location)
        yield from self._owned(source.facility_code, location)
        if submitted.association_type in REPLACING:
            yield from self._owned(target.facility_code, f"{submitted.entry_uuid}: targetObject")

    def _owned(self, facility_code: str, location: str) -> Iterator[Finding]:
        if facility_code != self.facility_code:
            reason = Reason.LOCAL_POLICY if self.update.restricted else Reason.CALLER_NOT_ENTITLED
            yield Finding(reason, "The object is of another facility, which alone may update it.", location)

    def _of_patient(self, end: Known, location: str) -> Iterator[Finding]:
        if self.patient_id and end.patient_id != self.patient_id:
            detail = f"The {end.kind} in the registry is of another patient than this update."
            yield Finding(Reason.PATIENT_RECONCILIATION, detail, location)

    def _latest(self, updated: DocumentEntry | Folder) -> _Latest | None:
        """The latest version of a logical object: the new version goes by its logicalID and its kind."""
        if updated.logical_id not in self.latest:
            table = _TABLES[type(updated).__name__]
            shards = sorted(self.lying.get(updated.logical_id, ()))
            versions = table.objects.filter(logical_id=updated.logical_id, shard_key__in=shards)
            row = versions.order_by("-version").first()
            if row is None:
                return None
            value = read_fragment(bytes(row.fragment))
            assert isinstance(value, DocumentEntry | Folder)
            self.latest[updated.logical_id] = _Latest(row, value)
        return self.latest[updated.logical_id]

    def _is_latest(self, target: Known) -> bool:
        table = _TABLES[target.kind]
        shard = shard_key_of(target.patient_id)
        row = table.objects.only("logical_id", "version").get(entry_uuid=target.entry_uuid, shard_key=shard)
        shards = shards_of([row.logical_id])
        return not table.objects.filter(
            logical_id=row.logical_id, shard_key__in=shards, version__gt=row.version
        ).exists()

    def _cx(self, patient_id: str) -> str:
        return Identifier(patient_id, AssigningAuthority(oid=settings.AFFINITY_DOMAIN_OID)).xds_cx

    def _keep(self, each: RegistryObject, patient_id: str) -> None:
        self.stored.append((each, patient_id))

    def _add_version(
        self,
        operation: NewVersion,
        final: dict[str, str],
        submission_set: SubmissionSet,
        contents: dict[str, int],
        moment: str,
    ) -> None:
        latest = self.latest[operation.updated.logical_id]
        entry_uuid = final[operation.updated.entry_uuid]
        asked = [each.new_status for each in self._statuses_of(operation)]
        version: Any = replace(
            operation.updated,
            availability_status=asked[0] if asked else APPROVED,
            entry_uuid=entry_uuid,
            version=latest.row.version + 1,
            patient_id=self._cx(self.patient_id),
        )
        if isinstance(version, Folder):
            version = replace(version, last_update_time=moment)
        elif latest.row.content_id is not None:
            contents[entry_uuid] = latest.row.content_id
        self._keep(version, self.patient_id)
        member = replace(
            approved(operation.member),
            entry_uuid=final[operation.member.entry_uuid],
            source_object=submission_set.entry_uuid,
            target_object=entry_uuid,
            extra_slots=tuple(slot for slot in operation.member.extra_slots if slot[0] not in UPDATE_SLOTS),
        )
        self._keep(member, self.patient_id)
        set_status(type(latest.row), latest.row.pk, bytes(latest.row.fragment), DEPRECATED)
        if isinstance(version, DocumentEntry):
            withdraw_snapshots(latest.row.patient_id, [latest.row.entry_uuid])

    def _propagate(self, final: dict[str, str], submission_set: SubmissionSet, touched: set[str]) -> None:
        """What joined the versions before to others joins the new ones too; these associations are members as well.

        An association of two objects that both get a new version joins the two new ones. A place in a folder is kept
        between approved objects alone (ITI TF-2: 3.42.4.1.3.4); the folder has changed then (3.42.4.1.3.6).
        """
        after = {
            self._before(each): final[each.updated.entry_uuid]
            for each in self.update.operations
            if isinstance(each, NewVersion) and each.propagate
        }
        rows = {row.entry_uuid: row for before in after for row in _joined(before)}
        others = {end for row in rows.values() for end in (row.source_uuid, row.target_uuid)} - set(after)
        deprecated = {each.entry_uuid for each in known_uuids(others).values() if each.status == Status.DEPRECATED}
        for row in rows.values():
            in_folder = row.association_type == HAS_MEMBER
            if in_folder and deprecated & {row.source_uuid, row.target_uuid}:
                continue
            joined = read_fragment(bytes(row.fragment))
            assert isinstance(joined, Association)
            copy = replace(
                joined,
                entry_uuid=new_uuid_urn(),
                source_object=after.get(row.source_uuid, row.source_uuid),
                target_object=after.get(row.target_uuid, row.target_uuid),
            )
            self._keep(copy, self.patient_id)
            self._keep(self._member(submission_set, copy), self.patient_id)
            if in_folder and row.source_uuid not in after:
                touched.add(row.source_uuid)

    def _add_association(
        self, operation: NewAssociation, final: dict[str, str], submission_set: SubmissionSet, touched: set[str]
    ) -> None:
        submitted = replace(approved(operation.submitted), entry_uuid=final[operation.submitted.entry_uuid])
        self._keep(submitted, self.patient_id)
        self._keep(self._member(submission_set, submitted), self.patient_id)
        if submitted.association_type == HAS_MEMBER:
            touched.add(submitted.source_object)
        if submitted.association_type in REPLACING:
            self._change_status(submitted.target_object, DEPRECATED)

    def _member(self, submission_set: SubmissionSet, association: Association) -> Association:
        return Association(new_uuid_urn(), HAS_MEMBER, submission_set.entry_uuid, association.entry_uuid)

    def _change_status(self, entry_uuid: str, status: str) -> None:
        known = self.known[entry_uuid]
        set_status(_TABLES[known.kind], known.key, bytes(known.fragment), status)


def _are_joined(submitted: Association) -> bool:
    """Whether an approved association of the same type has the same ends."""
    ends = {"source_uuid": submitted.source_object, "target_uuid": submitted.target_object}
    alike = models.Association.objects.filter(**ends, shard_key__in=shards_of(ends.values()))
    return alike.filter(association_type=submitted.association_type, status=Status.APPROVED).exists()


def _is_of_set(association: Known) -> bool:
    """Whether it is a membership in a SubmissionSet."""
    value = read_fragment(bytes(association.fragment))
    assert isinstance(value, Association)
    if value.association_type != HAS_MEMBER:
        return False
    source = known_uuids([value.source_object]).get(value.source_object)
    return source is not None and source.kind == "SubmissionSet"


def _joined(entry_uuid: str) -> Any:
    """Approved relationships of an object, and its places in folders; not those of the submissions it came with."""
    here = models.Association.objects.filter(shard_key__in=shards_of([entry_uuid]))
    holding = list(here.filter(target_uuid=entry_uuid).values_list("source_uuid", flat=True))
    sets = models.SubmissionSet.objects.filter(entry_uuid__in=holding, shard_key__in=shards_of(holding))
    return here.filter(
        Q(source_uuid=entry_uuid) | Q(target_uuid=entry_uuid),
        association_type__in=[*RELATIONSHIPS, HAS_MEMBER],
        status=Status.APPROVED,
    ).exclude(source_uuid__in=list(sets.values_list("entry_uuid", flat=True)))
