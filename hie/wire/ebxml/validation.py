"""The rules of submitted metadata that need no database (ITI TF-3: 4.2.2, 4.2.3; error codes by table 4.2.4.1-2).

Which of them hold, and how strictly, follows from the transaction: a ``Wanted`` says what one transaction wants.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from hie.values.codes import Code
from hie.values.documents import (
    APND,
    APPROVED,
    DEPRECATED,
    HAS_MEMBER,
    IS_SNAPSHOT_OF,
    ON_DEMAND,
    RPLC,
    SIGNS,
    STABLE,
    XFRM,
    XFRM_RPLC,
    Association,
    Author,
    DocumentEntry,
    Folder,
    RegistryObject,
    Submission,
)
from hie.values.errors import Finding, Reason
from hie.values.identifiers import is_uuid_urn
from hie.wire.ebxml import values
from hie.wire.ebxml.attributes import Attribute, Form, model_of
from hie.wire.ebxml.reading import AUTHOR_SLOTS
from hie.wire.ebxml.values import Rule

# Relationships between documents: they may say why, and their source is always new (ITI TF-3: 4.2.2.2).
RELATIONSHIPS = frozenset((RPLC, APND, XFRM, XFRM_RPLC, SIGNS))
_DOCUMENTED = RELATIONSHIPS - {SIGNS}
ASSOCIATION_TYPES = RELATIONSHIPS | {HAS_MEMBER, IS_SNAPSHOT_OF}

ORIGINAL, REFERENCE = "Original", "Reference"

# Slots of an Association that steer an update (XDS Metadata Update: 3.57.4.1.3).
PREVIOUS_VERSION, PROPAGATION = "PreviousVersion", "AssociationPropagation"
ORIGINAL_STATUS, NEW_STATUS = "OriginalStatus", "NewStatus"
UPDATE_SLOTS = frozenset((PREVIOUS_VERSION, PROPAGATION, ORIGINAL_STATUS, NEW_STATUS))

_AUTHOR_RULES: dict[str, Rule] = {
    "person": values.xcn,
    "institutions": values.xon,
    "telecommunications": values.xtn,
}


# What an on-demand entry has no use for, because there is no document yet (ITI TF-2: 3.61.4.1.2); recommended against,
# but no error, is legalAuthenticator.
_NOT_ON_DEMAND = frozenset(("creation_time", "hash", "size"))

# What an object that says limitedMetadata of itself may lack (ITI TF-3 table 4.3.1-3, Limited Metadata).
_LIMITED = frozenset(
    (
        "class_code",
        "code_list",
        "confidentiality_codes",
        "content_type_code",
        "creation_time",
        "format_code",
        "healthcare_facility_type_code",
        "language_code",
        "patient_id",
        "practice_setting_code",
        "source_patient_id",
        "type_code",
    )
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one transaction wants of metadata.

    object_types: what a DocumentEntry may be. documents: every stable entry needs its document in ``contents``, and
    the repository fills in hash, size and repositoryUniqueId. limited: objects may say that they are limited metadata.
    update: the objects are new versions of what is in the registry; the rules of associations are then those of
    ``update_rules``.
    """

    object_types: frozenset[str] = frozenset((STABLE,))
    documents: bool = False
    limited: bool = False
    update: bool = False


REGISTRATION = Wanted()
PROVISION = Wanted(documents=True)
LIMITED_PROVISION = Wanted(documents=True, limited=True)
ON_DEMAND_REGISTRATION = Wanted(object_types=frozenset((ON_DEMAND,)))
UPDATE = Wanted(object_types=frozenset((STABLE, ON_DEMAND)), update=True)


def validate(submission: Submission, *, provided: bool = False, wanted: Wanted | None = None) -> list[Finding]:
    """All that is wrong with a submission beyond ``submission.findings``, which the caller adds.

    wanted: what the transaction wants: REGISTRATION (ITI-42), PROVISION (ITI-41), LIMITED_PROVISION (ITI-41 of a
    Document Recipient that takes limited metadata), ON_DEMAND_REGISTRATION (ITI-61), UPDATE (ITI-57, ITI-92).
    provided: the older way to say PROVISION.
    """
    message = _Message(submission, wanted or (PROVISION if provided else REGISTRATION))
    rules = _COMMON_RULES if message.wanted.update else _RULES
    return [finding for rule in rules for finding in rule(message)]


@dataclass(slots=True)
class _Message:
    """The submission and what the rules look up in it."""

    submission: Submission
    wanted: Wanted

    @property
    def objects(self) -> tuple[RegistryObject, ...]:
        each = self.submission
        return (*each.submission_sets, *each.document_entries, *each.folders, *each.associations)

    @property
    def packaged(self) -> tuple[Any, ...]:
        """What has a patient and a unique id."""
        return (*self.submission.submission_sets, *self.members)

    @property
    def members(self) -> tuple[DocumentEntry | Folder, ...]:
        """What a SubmissionSet has as its members."""
        return (*self.submission.document_entries, *self.submission.folders)

    def ids(self, kind: str) -> frozenset[str]:
        return frozenset(each.entry_uuid for each in getattr(self.submission, kind))


def _finding(registry_object: RegistryObject, where: str, sentence: str, reason: Reason = Reason.METADATA) -> Finding:
    object_id = registry_object.entry_uuid or f"{model_of(registry_object).name} without id"
    return Finding(reason, f"{where} of {object_id} {sentence}.", f"{object_id}: {where}")


def _attributes(message: _Message) -> Iterator[Finding]:
    """Cardinality and value rule of every attribute, by the table."""
    wanted = message.wanted
    for each in message.objects:
        for row in model_of(each).attributes:
            value = getattr(each, row.field)
            if value in (None, "", ()):
                if row.least and not _may_lack(wanted, each, row):
                    yield _finding(each, row.name, f"is missing; a submission has to have it ({row.form.value})")
            elif row.rule and not (wanted.update and row.form is Form.STATUS and value in (APPROVED, DEPRECATED)):
                yield from (_finding(each, row.name, said) for said in _complaints(row, value))


def _may_lack(wanted: Wanted, registry_object: RegistryObject, row: Attribute) -> bool:
    """Whether this object may lack what submissions have as a rule."""
    if row.by_repository and wanted.documents:
        return True
    if isinstance(registry_object, DocumentEntry) and registry_object.object_type == ON_DEMAND:
        return row.field in _NOT_ON_DEMAND
    return wanted.limited and row.field in _LIMITED and getattr(registry_object, "limited_metadata", False)


def _complaints(row: Attribute, value: Any) -> Iterator[str]:
    """What the rule of a row says of its values. Codes, authors and flags have no rule in the table."""
    if row.rule is None:
        return
    for text in value if isinstance(value, tuple) else (str(value),):
        if said := row.rule(text):
            yield said


def _extra_slots(message: _Message) -> Iterator[Finding]:
    """What the framework does not name is kept, if its name is a URN (ITI TF-2: 3.42.4.1.3.2)."""
    for each in message.objects:
        known = UPDATE_SLOTS if isinstance(each, Association) else frozenset[str]()
        for name, _ in each.extra_slots:
            if name not in known and (said := values.slot_name(name)):
                yield _finding(each, f"Slot {name[:64]}", said)


def _codes(message: _Message) -> Iterator[Finding]:
    for each in message.objects:
        for row in model_of(each).attributes:
            value = getattr(each, row.field) if row.form is Form.CODE else ()
            for code in value if isinstance(value, tuple) else (value,):
                if isinstance(code, Code) and not code.code:
                    yield _finding(each, row.name, "has to have its code in Classification/@nodeRepresentation")
                if isinstance(code, Code) and not code.scheme:
                    yield _finding(each, row.name, "has to have the Slot codingScheme in its Classification")
                if isinstance(code, Code) and len(code.code) > values.LONG_NAME:
                    sentence = f"has to have a nodeRepresentation of at most {values.LONG_NAME} characters"
                    yield _finding(each, row.name, sentence)


def _authors(message: _Message) -> Iterator[Finding]:
    for each in message.objects:
        for author in getattr(each, "authors", ()):
            yield from (_finding(each, where, said) for where, said in _author_complaints(author))


def _author_complaints(author: Author) -> Iterator[tuple[str, str]]:
    if not (author.person or author.institutions or author.telecommunications):
        yield "author", "has to have an authorPerson, an authorInstitution or an authorTelecommunication"
    for field, rule in _AUTHOR_RULES.items():
        value = getattr(author, field)
        for text in (value,) if isinstance(value, str) else value:
            if text and (said := rule(text)):
                yield AUTHOR_SLOTS[field], said


def _one_submission_set(message: _Message) -> Iterator[Finding]:
    count = len(message.submission.submission_sets)
    if count != 1:
        yield Finding(Reason.METADATA, f"A submission has to have exactly one SubmissionSet, not {count}.", "")


def _object_types(message: _Message) -> Iterator[Finding]:
    wanted = message.wanted.object_types
    for entry in message.submission.document_entries:
        if entry.object_type and entry.object_type not in wanted:
            yield _finding(entry, "objectType", f"has to be {' or '.join(sorted(wanted))} in this transaction")


def _on_demand(message: _Message) -> Iterator[Finding]:
    """There is no document yet whose time, hash and size could be told (ITI TF-2: 3.61.4.2.2)."""
    for entry in message.submission.document_entries:
        if entry.object_type != ON_DEMAND:
            continue
        for row in model_of(entry).attributes:
            if row.field in _NOT_ON_DEMAND and getattr(entry, row.field) not in (None, ""):
                yield _finding(entry, row.name, "has no meaning in an on-demand entry; leave it out")


def limited_findings(submission: Submission) -> list[Finding]:
    """A finding for each object that says limitedMetadata of itself, where that is not taken."""
    return list(_limited_metadata(_Message(submission, PROVISION)))


def _limited_metadata(message: _Message) -> Iterator[Finding]:
    for each in message.packaged:
        if each.limited_metadata and not message.wanted.limited:
            yield _finding(each, "limitedMetadata", "is not taken here; send all attributes without it")


def _own_ids(message: _Message) -> Iterator[Finding]:
    counts = Counter(each.entry_uuid for each in message.objects)
    for object_id, count in counts.items():
        if object_id and count > 1:
            detail = f"The id {object_id} is given to {count} objects; each needs its own."
            yield Finding(Reason.METADATA, detail, f"{object_id}: id")


def _unique_ids(message: _Message) -> Iterator[Finding]:
    """Two versions of one object share its uniqueId; that an update names it twice is told by its own rule."""
    named = [(each.unique_id, _logical_id(each)) for each in message.packaged if each.unique_id]
    counts = Counter(unique_id for unique_id, _ in (set(named) if message.wanted.update else named))
    for unique_id, count in counts.items():
        if count > 1:
            detail = f"The uniqueId {unique_id} is given to {count} objects of the submission."
            yield Finding(Reason.DUPLICATE_ID_IN_MESSAGE, detail, "uniqueId")


def _logical_id(registry_object: Any) -> str:
    return getattr(registry_object, "logical_id", "") or str(registry_object.entry_uuid)


def _one_patient(message: _Message) -> Iterator[Finding]:
    patients = [each.patient_id for each in message.submission.submission_sets if each.patient_id]
    for each in message.packaged:
        if patients and each.patient_id and each.patient_id != patients[0]:
            reason = Reason.PATIENT_RECONCILIATION if message.wanted.update else Reason.PATIENT_MISMATCH
            yield _finding(each, "patientId", "has to be the patientId of the SubmissionSet", reason)


def _service_times(message: _Message) -> Iterator[Finding]:
    for entry in message.submission.document_entries:
        start, stop = entry.service_start_time, entry.service_stop_time
        if start and stop and not values.are_in_order(start, stop):
            yield _finding(entry, "serviceStartTime", "has to be no later than serviceStopTime")


def _association_types(message: _Message) -> Iterator[Finding]:
    for each in message.submission.associations:
        if each.association_type and each.association_type not in ASSOCIATION_TYPES:
            yield _finding(each, "associationType", "is not one of document sharing (ITI TF-3: 4.2.2)")
        if each.documentation and each.association_type not in _DOCUMENTED:
            sentence = "is allowed on RPLC, APND, XFRM and XFRM_RPLC only"
            yield _finding(each, "associationDocumentation", sentence)


def _submission_set_status(message: _Message) -> Iterator[Finding]:
    """SubmissionSet HasMember DocumentEntry says Original or Reference, and the entry is there accordingly."""
    sets, entries = message.ids("submission_sets"), message.ids("document_entries")
    inside = entries | message.ids("folders") | message.ids("associations")
    for each in message.submission.associations:
        status, target = each.submission_set_status, each.target_object
        if status not in ("", ORIGINAL, REFERENCE):
            yield _finding(each, "SubmissionSetStatus", "has to be Original or Reference")
        if each.association_type != HAS_MEMBER or each.source_object not in sets:
            continue
        if not status and target in entries:
            yield _finding(each, "SubmissionSetStatus", "is missing between SubmissionSet and DocumentEntry")
        elif status == REFERENCE and target in entries:
            yield _finding(each, "SubmissionSetStatus", "has to be Original, for the entry is new in this submission")
        elif status == ORIGINAL and target and target not in inside:
            sentence = "names no object of this submission, which an Original member has to be"
            yield _finding(each, "targetObject", sentence)


def _references(message: _Message) -> Iterator[Finding]:
    """Symbolic names are resolved inside the message; a UUID may be the registry's, and is looked up there."""
    inside = frozenset(each.entry_uuid for each in message.objects)
    for each in message.submission.associations:
        for where, target in (("sourceObject", each.source_object), ("targetObject", each.target_object)):
            told_already = where == "targetObject" and each.submission_set_status == ORIGINAL
            if target and target not in inside and not is_uuid_urn(target) and not told_already:
                sentence = "names no object of this submission, and is no UUID of one in the registry"
                yield _finding(each, where, sentence, Reason.UNRESOLVED_REFERENCE)


def _sources(message: _Message) -> Iterator[Finding]:
    """The source of a relationship is a document of this submission (ITI TF-3: 4.2.2.2)."""
    entries = message.ids("document_entries")
    for each in message.submission.associations:
        source = each.source_object
        if not source or source in entries or not is_uuid_urn(source):
            continue
        if each.association_type in RELATIONSHIPS:
            sentence = "has to be a DocumentEntry of this submission"
            yield _finding(each, "sourceObject", sentence, Reason.UNRESOLVED_REFERENCE)
        elif each.association_type == IS_SNAPSHOT_OF:
            yield _finding(each, "sourceObject", "has to be a stable DocumentEntry of this submission")


def _members(message: _Message) -> Iterator[Finding]:
    """Everything new is a member of the SubmissionSet; HasMember begins at a package."""
    sets = message.ids("submission_sets")
    leaves = message.ids("document_entries") | message.ids("associations")
    members = set()
    for each in message.submission.associations:
        if each.association_type == HAS_MEMBER:
            if each.source_object in leaves:
                yield _finding(each, "sourceObject", "of a HasMember has to be a SubmissionSet or a Folder")
            if each.source_object in sets:
                members.add(each.target_object)
    for member in message.members:
        if member.entry_uuid and member.entry_uuid not in members:
            yield _finding(member, "HasMember", "is missing; the SubmissionSet has to have it as a member")


def _documents(message: _Message) -> Iterator[Finding]:
    """ITI-41: a document for each stable entry, an entry for each document."""
    if not message.wanted.documents:
        return
    for entry in message.submission.document_entries:
        if entry.object_type == STABLE and entry.entry_uuid not in message.submission.contents:
            sentence = "is missing; the message has to have a Document with the id of the entry"
            yield _finding(entry, "Document", sentence, Reason.MISSING_DOCUMENT)
    for object_id in message.submission.contents.keys() - message.ids("document_entries"):
        detail = f"The Document {object_id} has no DocumentEntry of this id in the metadata."
        yield Finding(Reason.MISSING_DOCUMENT_METADATA, detail, f"{object_id}: Document")


_Rule = Callable[[_Message], Iterator[Finding]]

# Of the objects one by one, whatever is asked for with them.
_COMMON_RULES: tuple[_Rule, ...] = (
    _one_submission_set,
    _own_ids,
    _unique_ids,
    _one_patient,
    _attributes,
    _extra_slots,
    _codes,
    _authors,
    _object_types,
    _on_demand,
    _limited_metadata,
    _service_times,
)

_RULES: tuple[_Rule, ...] = (
    *_COMMON_RULES,
    _association_types,
    _submission_set_status,
    _references,
    _sources,
    _members,
    _documents,
)
