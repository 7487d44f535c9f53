"""ITI-57 and ITI-92: what an update asks for, and every rule that needs no registry."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hie.values.documents import (
    APPROVED,
    DEPRECATED,
    HAS_MEMBER,
    ON_DEMAND,
    RPLC,
    SUBMIT_ASSOCIATION,
    UPDATE_AVAILABILITY_STATUS,
    Association,
    DocumentEntry,
    MetadataUpdate,
    NewAssociation,
    NewStatus,
    NewVersion,
    RegistryResult,
    Submission,
)
from hie.values.errors import ExchangeError, Finding, Reason
from hie.wire.ebxml import restricted_update, update
from hie.wire.ebxml.submission import SUBMIT_OBJECTS_REQUEST
from hie.wire.ebxml.update_rules import read_update, unmodifiable
from hie.wire.ebxml.validation import PREVIOUS_VERSION, PROPAGATION
from hie.wire.xml import parse
from tests.conformance import CONFORMANCE, needs_conformance
from tests.wire.ebxml import objects
from tests.wire.ebxml.messages import MESSAGES, message_of, sample, sent, violations

LOGICAL, OTHER, FOLDER_ID = (f"urn:uuid:5b1f5a2e-3a1c-4b38-8f4f-0a5e2a9d7c0{n}" for n in (1, 2, 3))
SET = objects.SUBMISSION_SET
ENTRY = replace(objects.DOCUMENT_ENTRY, logical_id=LOGICAL)
FOLDER = replace(objects.FOLDER, logical_id=FOLDER_ID)
RELATION = Association("relation", RPLC, LOGICAL, OTHER)
GOOD = update.compose(
    SET,
    update.new_version(SET, ENTRY, 1),
    update.new_version(SET, FOLDER, 3, propagate=False),
    update.new_status(SET, OTHER, APPROVED, DEPRECATED),
    update.new_association(SET, RELATION),
)
RESTRICTED = update.compose(SET, update.new_version(SET, ENTRY, 1), restricted=True)


def codes_of(found: MetadataUpdate) -> set[str]:
    return {each.reason.value.registry for each in found.findings}


def judged(asked: MetadataUpdate) -> list[tuple[str, str]]:
    """(errorCode, location), the ids of the instructions left out: they are drawn anew each time."""
    found = read_update(asked.submission, restricted=asked.restricted)
    return [(each.reason.value.registry, each.location.rpartition(" ")[2]) for each in found.findings]


def test_new_versions() -> None:
    found = update.read_request(sample("ITI-57/new-versions.xml"))
    assert found.findings == ()
    entry, folder = found.operations
    assert isinstance(entry, NewVersion)
    assert isinstance(folder, NewVersion)
    assert isinstance(entry.updated, DocumentEntry)
    assert (entry.updated.title, entry.updated.logical_id) == ("退院時要約 第二版", LOGICAL)
    assert (entry.previous_version, entry.propagate) == (1, False)
    assert (folder.updated.logical_id, folder.previous_version, folder.propagate) == (FOLDER_ID, 3, True)


def test_status_and_association() -> None:
    found = update.read_request(sample("ITI-57/status-and-association.xml"))
    assert found.findings == ()
    status, association = found.operations
    assert isinstance(status, NewStatus)
    assert (status.target, status.original_status, status.new_status) == (LOGICAL, APPROVED, DEPRECATED)
    assert isinstance(association, NewAssociation)
    assert association.submitted == Association("a-3", HAS_MEMBER, FOLDER_ID, OTHER)


def test_the_refused_sample_says_everything() -> None:
    found = update.read_request(sample("ITI-57/refused-many-findings.xml"))
    assert sorted((each.reason.value.registry, each.location) for each in found.findings) == [
        ("XDSInvalidRequestException", "folder-1: logicalID"),
        ("XDSMetadataUpdateError", "a-1: AssociationPropagation"),
        ("XDSMetadataUpdateError", "a-3: NewStatus"),
        ("XDSMetadataUpdateOperationError", "a-4: associationType"),
        ("XDSMetadataVersionError", "a-1: PreviousVersion"),
    ]


def test_a_restricted_update() -> None:
    message = sample("ITI-92/new-version.xml")
    found = restricted_update.read_request(message)
    assert found.findings == ()
    assert found.restricted
    assert len(found.operations) == 1


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("ITI-57/new-versions.xml", update),
        ("ITI-57/status-and-association.xml", update),
        ("ITI-57/refused-many-findings.xml", update),
        ("ITI-92/new-version.xml", restricted_update),
    ],
)
def test_a_sample_is_read_and_written_and_read_again(name: str, codec: object) -> None:
    found = codec.read_request(sample(name))  # type: ignore[attr-defined]
    assert codec.read_request(sent(codec.write_request(found))) == found  # type: ignore[attr-defined]


def test_what_a_client_composes_is_good() -> None:
    assert judged(GOOD) == []
    assert judged(RESTRICTED) == []
    assert update.read_request(sent(update.write_request(GOOD))).operations == GOOD.operations


versions = st.builds(
    lambda number, propagate, folder: update.new_version(SET, FOLDER if folder else ENTRY, number, propagate=propagate),
    st.integers(1, 10**9 - 1),
    st.booleans(),
    st.booleans(),
)
statuses = st.builds(
    lambda target, before, after: update.new_status(SET, target, before, after),
    st.uuids().map("urn:uuid:{}".format),
    st.sampled_from((APPROVED, DEPRECATED)),
    st.sampled_from((APPROVED, DEPRECATED)),
)
relations = st.builds(
    lambda source, target: update.new_association(SET, Association(f"r-{source[-12:]}", RPLC, source, target)),
    st.uuids().map("urn:uuid:{}".format),
    st.uuids().map("urn:uuid:{}".format),
)


@given(st.lists(statuses | relations, max_size=4), st.none() | versions)
@settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=60)
def test_any_update_comes_through(operations: list[NewStatus | NewAssociation], version: NewVersion | None) -> None:
    asked = update.compose(SET, *operations, *((version,) if version else ()))
    found = update.read_request(sent(update.write_request(asked)))
    assert found.operations == asked.operations
    assert found.findings == () or not asked.operations


def _member(asked: MetadataUpdate, **slots: str | None) -> MetadataUpdate:
    """The update with other slots on the HasMember of its entry; None takes one away."""
    member = asked.submission.associations[0]
    kept = [(name, values) for name, values in member.extra_slots if name not in slots]
    kept += [(name, (value,)) for name, value in slots.items() if value is not None]
    return _with(asked, replace(member, extra_slots=tuple(kept)), *asked.submission.associations[1:])


def _with(asked: MetadataUpdate, *associations: Association) -> MetadataUpdate:
    return replace(asked, submission=replace(asked.submission, associations=associations))


def _entry(asked: MetadataUpdate = GOOD, **changes: object) -> MetadataUpdate:
    entry = replace(asked.submission.document_entries[0], **changes)  # type: ignore[arg-type]
    return replace(asked, submission=replace(asked.submission, document_entries=(entry,)))


def _asking(association_type: str, target: str, source: str = SET.entry_uuid, **slots: str) -> MetadataUpdate:
    written = tuple((name, (value,)) for name, value in slots.items())
    asked = Association("asked", association_type, source, target, extra_slots=written)
    return _with(GOOD, *GOOD.submission.associations, asked)


STATUSES = {"OriginalStatus": "Approved", "NewStatus": "Deprecated"}
UPDATE_ERROR, ANNOTATION = "XDSMetadataUpdateError", "XDSMetadataAnnotationError"
SECOND = replace(ENTRY, entry_uuid="document02")
BOTH = update.compose(SET, update.new_version(SET, ENTRY, 1), update.new_version(SET, SECOND, 1))
NO_HOME = replace(SET, home_community_id="")


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (_member(GOOD, **{PREVIOUS_VERSION: None}), [("XDSMetadataVersionError", "PreviousVersion")]),
        (_member(GOOD, **{PREVIOUS_VERSION: "0"}), [("XDSMetadataVersionError", "PreviousVersion")]),
        (_member(GOOD, **{PREVIOUS_VERSION: "１"}), [("XDSMetadataVersionError", "PreviousVersion")]),
        (_member(GOOD, **{PREVIOUS_VERSION: "9" * 30}), [("XDSMetadataVersionError", "PreviousVersion")]),
        (_member(GOOD, **{PROPAGATION: "YES"}), [(UPDATE_ERROR, "AssociationPropagation")]),
        (_member(RESTRICTED, **{PROPAGATION: "no"}), [(ANNOTATION, "AssociationPropagation")]),
        (_entry(logical_id=""), [("XDSInvalidRequestException", "logicalID")]),
        (_entry(logical_id="document01"), [("XDSInvalidRequestException", "logicalID")]),
        (_entry(logical_id="symbolic"), [(UPDATE_ERROR, "logicalID")]),
        (_entry(patient_id="other^^^&1.3&ISO"), [("XDSPatientIDReconciliationError", "patientId")]),
        (_entry(availability_status=DEPRECATED), []),
        (_entry(availability_status="urn:x"), [("XDSRegistryMetadataError", "availabilityStatus")]),
        (_entry(object_type=ON_DEMAND, hash="", size=None, creation_time=""), []),
        (_entry(object_type=ON_DEMAND, size=None, creation_time=""), [("XDSRegistryMetadataError", "hash")]),
        (_entry(hash=""), [("XDSRegistryMetadataError", "hash")]),
        (BOTH, [(UPDATE_ERROR, "logicalID")]),
        (_with(GOOD, *GOOD.submission.associations[1:]), [(ANNOTATION, "HasMember")]),
        (_asking(HAS_MEMBER, OTHER), [(UPDATE_ERROR, "targetObject")]),
        (_asking("urn:x", OTHER), [("XDSMetadataUpdateOperationError", "associationType")]),
        (_asking(RPLC, OTHER, LOGICAL), [("XDSMetadataUpdateOperationError", "Association")]),
        (_asking(UPDATE_AVAILABILITY_STATUS, LOGICAL, OTHER, **STATUSES), [(UPDATE_ERROR, "sourceObject")]),
        (_asking(UPDATE_AVAILABILITY_STATUS, LOGICAL, **STATUSES), []),
        (_asking(UPDATE_AVAILABILITY_STATUS, "document01", **STATUSES), []),
        (_asking(UPDATE_AVAILABILITY_STATUS, OTHER, **STATUSES), [(UPDATE_ERROR, "targetObject")]),
        (
            _asking(UPDATE_AVAILABILITY_STATUS, "nowhere", **STATUSES),
            [("UnresolvedReferenceException", "targetObject")],
        ),
        (
            _asking(UPDATE_AVAILABILITY_STATUS, LOGICAL, OriginalStatus="Submitted"),
            [(UPDATE_ERROR, "OriginalStatus"), (UPDATE_ERROR, "NewStatus")],
        ),
        (_asking(SUBMIT_ASSOCIATION, OTHER), [(UPDATE_ERROR, "targetObject")]),
        (_asking(SUBMIT_ASSOCIATION, "relation"), [(UPDATE_ERROR, "targetObject")]),
        (update.compose(SET), [("XDSMetadataUpdateOperationError", "")]),
        (replace(GOOD, submission=replace(GOOD.submission, submission_sets=())), None),
        (
            update.compose(SET, update.new_association(SET, replace(RELATION, source_object="x"))),
            [(UPDATE_ERROR, "sourceObject")],
        ),
        (
            update.compose(SET, update.new_association(SET, replace(RELATION, association_type="urn:x"))),
            [(UPDATE_ERROR, "associationType")],
        ),
        (
            update.compose(NO_HOME, *RESTRICTED.operations, restricted=True),
            [("XDSMissingHomeCommunityId", "homeCommunityId")],
        ),
        (
            update.compose(SET, update.new_version(SET, FOLDER, 1), restricted=True),
            [("XDSObjectTypeError", "Folder")],
        ),
        (
            update.compose(SET, update.new_status(SET, OTHER, APPROVED, DEPRECATED), restricted=True),
            [("XDSObjectTypeError", "associationType")],
        ),
    ],
)
def test_rules(asked: MetadataUpdate, expected: list[tuple[str, str]] | None) -> None:
    if expected is None:
        assert "XDSRegistryMetadataError" in {code for code, _ in judged(asked)}
    else:
        assert judged(asked) == expected


@pytest.mark.parametrize(
    ("changes", "free", "limited"),
    [
        ({"title": "new", "comments": "x"}, [], []),
        ({"hash": ENTRY.hash.upper()}, [], []),
        ({"unique_id": "1.9"}, [Reason.METADATA_UPDATE], [Reason.IDENTIFIER_CONFLICT]),
        ({"object_type": ON_DEMAND}, [Reason.METADATA_UPDATE], [Reason.OBJECT_TYPE]),
        ({"size": 9, "hash": "0" * 40}, [Reason.METADATA_UPDATE] * 2, [Reason.UNMODIFIABLE] * 2),
        ({"patient_id": "x^^^&1.3&ISO"}, [], [Reason.PATIENT_RECONCILIATION]),
        ({"creation_time": "1982"}, [], [Reason.UNMODIFIABLE]),
    ],
)
def test_what_no_version_changes(changes: dict[str, object], free: list[Reason], limited: list[Reason]) -> None:
    after = replace(ENTRY, **changes)  # type: ignore[arg-type]
    assert [each.reason for each in unmodifiable(ENTRY, after)] == free
    assert [each.reason for each in unmodifiable(ENTRY, after, restricted=True)] == limited
    assert [each.reason for each in unmodifiable(ENTRY, FOLDER)] == [Reason.OBJECT_TYPE]


def test_no_finding_repeats_a_value() -> None:
    found = read_update(_member(GOOD, **{PREVIOUS_VERSION: "山田太郎"}).submission, restricted=False)
    assert all("山田" not in each.detail + each.location for each in found.findings)
    assert found.findings


def test_a_flood_costs_time_that_grows_with_its_size() -> None:
    associations = tuple(
        Association(f"a{number}", SUBMIT_ASSOCIATION, SET.entry_uuid, f"b{number}") for number in range(20_000)
    )
    found = read_update(Submission((SET,), associations=associations), restricted=False)
    assert len(found.findings) == 20_000


def test_the_answers() -> None:
    message = sample("ITI-57/new-versions.xml")
    for codec in (update, restricted_update):
        assert codec.read_response(sent(codec.write_response(message, RegistryResult()))) == RegistryResult()
        error = ExchangeError.of(
            [Finding(Reason.VERSION_CONFLICT, "Read it again.", "a"), Finding(Reason.UNMODIFIABLE, "Leave it.", "b")]
        )
        with pytest.raises(ExchangeError) as raised:
            codec.read_response(sent(codec.write_error(message, error)))
        assert raised.value.findings == error.findings


def test_another_body_is_refused() -> None:
    with pytest.raises(ExchangeError):
        update.read_request(sample("ITI-62/remove.xml"))


# The public cases. id -> what is asked.
CASES: dict[str, MetadataUpdate] = {
    "iti57-no-lid": _entry(logical_id=""),
    "iti57-lid-equals-id": _entry(logical_id="document01"),
    "iti57-no-previousVersion": _member(GOOD, **{PREVIOUS_VERSION: None}),
    "iti57-no-hasmember": _with(GOOD, *GOOD.submission.associations[1:]),
    "iti92-no-home": update.compose(NO_HOME, *RESTRICTED.operations, restricted=True),
    "iti92-folder": update.compose(SET, *RESTRICTED.operations, update.new_version(SET, FOLDER, 1), restricted=True),
    "iti92-propagation-no": _member(RESTRICTED, **{PROPAGATION: "no"}),
}


@cache
def cases() -> dict[str, str]:
    listed = json.loads((CONFORMANCE / "cases" / "xds-submission-negative.json").read_text(encoding="utf-8"))["cases"]
    return {each["id"]: each["errorCode"] for each in listed if each["id"].startswith(("iti57-", "iti92-"))}


@needs_conformance
@pytest.mark.parametrize("case", CASES)
def test_public_cases(case: str) -> None:
    assert {code for code, _ in judged(CASES[case])} == {cases()[case]}


@needs_conformance
def test_no_public_case_is_forgotten() -> None:
    assert cases().keys() == {*CASES, "iti57-same-lid-twice"}


def public(name: str) -> MetadataUpdate:
    root = parse((MESSAGES / "xds" / name).read_bytes())
    return update.read_request(message_of(next(root.iter(SUBMIT_OBJECTS_REQUEST))))


@needs_conformance
def test_public_messages() -> None:
    twice = public("SubmitObjectsRequest_ebrs30_update_sameLid.xml")
    assert cases()["iti57-same-lid-twice"] in codes_of(twice)
    assert len(public("SubmitObjectsRequest_ebrs30_update.xml").operations) == 2
    # A national extension that asks for a change without a version is an operation that we do not know.
    own = public("SubmitObjectsRequest_ebrs30_update_nonstandard_association.xml")
    assert codes_of(own) == {"XDSMetadataUpdateOperationError"}


@needs_conformance
def test_everything_written_is_valid() -> None:
    for name in ("ITI-57/new-versions.xml", "ITI-57/status-and-association.xml", "ITI-92/new-version.xml"):
        message = sample(name)
        assert violations(message.body) == []
        assert violations(update.write_request(update.read_request(message))) == []
    assert violations(update.write_request(GOOD)) == []
    assert violations(update.write_error(message, ExchangeError(Reason.UPDATE_ANNOTATION, "a", "b"))) == []
