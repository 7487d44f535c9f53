"""Submissions that break one rule each: our own, and the public mutations of one base submission."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from lxml import etree

from hie.values.codes import Code
from hie.values.documents import (
    DEPRECATED,
    HAS_MEMBER,
    IS_SNAPSHOT_OF,
    ON_DEMAND,
    RPLC,
    XFRM,
    Association,
    Author,
    Content,
    Submission,
)
from hie.values.errors import Reason
from hie.wire.ebxml.names import rim
from hie.wire.ebxml.registry_response import Answering
from hie.wire.ebxml.submission import read_submission, write_submission
from hie.wire.ebxml.validation import validate
from hie.wire.xml import parse
from tests.conformance import CONFORMANCE, needs_conformance
from tests.wire.ebxml import objects

CONTENT = Content(Path("spooled"), 4, "0" * 40, "0" * 64)
Mutation = Callable[[etree._Element], object]


def judged(submission: Submission, provided: bool = False) -> list[tuple[str, str]]:
    """(errorCode, location) of everything wrong, as the registry would answer it."""
    answering = Answering.PROVISION if provided else Answering.REGISTRATION
    findings = [*submission.findings, *validate(submission, provided=provided)]
    return [(answering.code(each.reason), each.location) for each in findings]


def mutated(mutation: Mutation) -> Submission:
    root = parse(write_submission(objects.SUBMISSION))
    mutation(root)
    return read_submission(parse(etree.tostring(root)))


def of(submission: Submission = objects.SUBMISSION, **changes: object) -> Submission:
    """The base with one of its objects changed: ``of(entry__title=...)``."""
    for name, value in changes.items():
        kind, field = name.split("__")
        group = {"set": "submission_sets", "entry": "document_entries", "folder": "folders"}[kind]
        changed = replace(getattr(submission, group)[0], **{field: value})
        submission = replace(submission, **{group: (changed,)})
    return submission


def test_the_base_is_good() -> None:
    assert judged(objects.SUBMISSION) == []
    assert read_submission(parse(write_submission(objects.SUBMISSION))) == objects.SUBMISSION


def test_provided_needs_no_hash_but_a_document() -> None:
    bare = of(entry__hash="", entry__size=None, entry__repository_unique_id="")
    assert [location for _, location in judged(bare)] == [
        "document01: hash",
        "document01: repositoryUniqueId",
        "document01: size",
    ]
    assert judged(replace(bare, contents={"document01": CONTENT}), provided=True) == []
    assert judged(bare, provided=True) == [("XDSMissingDocument", "document01: Document")]


def test_all_is_said_at_once() -> None:
    wrong = of(entry__hash="x", entry__mime_type="", folder__patient_id="other^^^&1.3&ISO", set__source_id="")
    assert sorted(judged(wrong)) == [
        ("XDSPatientIdDoesNotMatch", "folder01: patientId"),
        ("XDSRegistryMetadataError", "document01: hash"),
        ("XDSRegistryMetadataError", "document01: mimeType"),
        ("XDSRegistryMetadataError", "submissionSet01: sourceId"),
    ]


@pytest.mark.parametrize("kind", ["entry", "set", "folder"])
def test_what_the_framework_does_not_name_has_a_urn(kind: str) -> None:
    """ITI TF-3: 4.2.3.1.6."""
    assert judged(of(**{f"{kind}__extra_slots": (("urn:example:ward", ("3",)),)})) == []
    for name in ("ward", "urn:ward", "urn:example:", "http://example.org/ward"):
        ((code, location),) = judged(of(**{f"{kind}__extra_slots": ((name, ("3",)),)}))
        assert (code, location.partition(": ")[2]) == ("XDSRegistryMetadataError", f"Slot {name}")


def test_a_finding_does_not_repeat_the_value() -> None:
    wrong = of(entry__source_patient_info=("PID-5999|山田^太郎",), entry__source_patient_id="山田太郎")
    assert all("山田" not in each.detail + each.location for each in validate(wrong))
    assert len(validate(wrong)) == 2


ENTRY_UUID = "urn:uuid:5b1f5a2e-3a1c-4b38-8f4f-0a5e2a9d7c01"


def _with(*associations: Association, keep: int = 3) -> Submission:
    return replace(objects.SUBMISSION, associations=(*objects.ASSOCIATIONS[:keep], *associations))


@pytest.mark.parametrize(
    ("submission", "expected"),
    [
        (_with(Association("r", RPLC, "document01", ENTRY_UUID)), []),
        (_with(Association("r", RPLC, ENTRY_UUID, "document01")), [(Reason.UNRESOLVED_REFERENCE, "r: sourceObject")]),
        (_with(Association("r", RPLC, "document01", "nowhere")), [(Reason.UNRESOLVED_REFERENCE, "r: targetObject")]),
        (_with(Association("m", HAS_MEMBER, "submissionSet01", ENTRY_UUID, "Reference")), []),
        (
            _with(Association("m", HAS_MEMBER, "submissionSet01", ENTRY_UUID, "Original")),
            [(Reason.METADATA, "m: targetObject")],
        ),
        (_with(Association("m", HAS_MEMBER, ENTRY_UUID, "document01")), []),
        (_with(Association("m", HAS_MEMBER, "document01", "folder01")), [(Reason.METADATA, "m: sourceObject")]),
        (_with(Association("m", "urn:x", "document01", ENTRY_UUID)), [(Reason.METADATA, "m: associationType")]),
        (_with(keep=1), [(Reason.METADATA, "folder01: HasMember")]),
        (_with(Association("s", IS_SNAPSHOT_OF, ENTRY_UUID, ENTRY_UUID)), [(Reason.METADATA, "s: sourceObject")]),
        (
            _with(Association("r", RPLC, "document01", ENTRY_UUID, documentation=Code("c", ""))),
            [(Reason.METADATA, "r: associationDocumentation")],
        ),
        (replace(objects.SUBMISSION, submission_sets=()), None),
    ],
)
def test_associations(submission: Submission, expected: list[tuple[Reason, str]] | None) -> None:
    found = [(each.reason, each.location) for each in validate(submission)]
    if expected is None:
        assert found[0] == (Reason.METADATA, "")
    else:
        assert found == expected


# The public mutations. id -> what is changed in the XML of the base.


def _object(root: etree._Element, object_id: str) -> etree._Element:
    return root.find(f".//*[@id='{object_id}']")


def _set(object_id: str, name: str, value: str | None) -> Mutation:
    def change(root: etree._Element) -> None:
        if value is None:
            del _object(root, object_id).attrib[name]
        else:
            _object(root, object_id).set(name, value)

    return change


def _slot(object_id: str, name: str, *values: str) -> Mutation:
    """The slot with other values; taken away where there are none."""

    def change(root: etree._Element) -> None:
        owner = _object(root, object_id)
        slot = owner.find(f"{rim('Slot')}[@name='{name}']")
        if slot is None:
            slot = etree.Element(rim("Slot"), name=name)
            owner.insert(0, slot)
        slot.clear()
        slot.set("name", name)
        value_list = etree.SubElement(slot, rim("ValueList"))
        for value in values:
            etree.SubElement(value_list, rim("Value")).text = value
        if not values:
            owner.remove(slot)

    return change


def _identifier(object_id: str, name: str, value: str | None) -> Mutation:
    def change(root: etree._Element) -> None:
        for each in _object(root, object_id).iterchildren(rim("ExternalIdentifier")):
            if each.find(f"{rim('Name')}/{rim('LocalizedString')}").get("value").endswith(f".{name}"):
                if value is None:
                    each.getparent().remove(each)
                else:
                    each.set("value", value)

    return change


def _classification(scheme: str, change: Callable[[etree._Element], object]) -> Mutation:
    """One Classification of the document entry."""

    def apply(root: etree._Element) -> None:
        uuid = f"urn:uuid:{scheme}"
        change(_object(root, "document01").find(f"{rim('Classification')}[@classificationScheme='{uuid}']"))

    return apply


def _author_slot(slot: str, *values: str) -> Mutation:
    def change(classification: etree._Element) -> None:
        for old in classification.findall(f"{rim('Slot')}[@name='{slot}']"):
            classification.remove(old)
        classification.set("id", "author")
        if values:
            _slot("author", slot, *values)(classification.getparent())

    return _classification(AUTHOR, change)


def _only_role(root: etree._Element) -> None:
    _author_slot("authorPerson")(root)
    _author_slot("authorInstitution")(root)


def _text(name: str, value: str) -> Mutation:
    def change(root: etree._Element) -> None:
        _object(root, "document01").find(f"{rim('Name')}/{rim('LocalizedString')}").set(name, value)

    return change


def _both(*mutations: Mutation) -> Mutation:
    def change(root: etree._Element) -> None:
        for mutation in mutations:
            mutation(root)

    return change


def _second_submission_set(root: etree._Element) -> None:
    copy = parse(etree.tostring(_object(root, "submissionSet01")).replace(b"submissionSet01", b"submissionSet02"))
    _object(root, "submissionSet01").addnext(copy)
    _identifier("submissionSet02", "uniqueId", "1.124")(root)


def _document_code(root: etree._Element) -> None:
    code = etree.SubElement(
        _object(root, "docAss"),
        rim("Classification"),
        id="code",
        classifiedObject="docAss",
        nodeRepresentation="c",
        classificationScheme="urn:uuid:abd807a3-4432-4053-87b4-fd82c643d1f3",
    )
    slot = etree.SubElement(code, rim("Slot"), name="codingScheme")
    etree.SubElement(etree.SubElement(slot, rim("ValueList")), rim("Value")).text = "s"


def _association(association_type: str, source: str, target: str) -> Mutation:
    def change(root: etree._Element) -> None:
        _object(root, "docAss").addnext(
            etree.Element(
                rim("Association"),
                id="more",
                associationType=association_type,
                sourceObject=source,
                targetObject=target,
            )
        )

    return change


AUTHOR = "93606bcf-9494-43ec-9b4e-a7748d1a838d"
FORMAT = "a09d5840-386c-46f2-b5ad-9c3699a4309d"
DOC, SET, DIR = "document01", "submissionSet01", "folder01"

MUTATIONS: dict[str, Mutation] = {
    "bad-author-institution": _author_slot("authorInstitution", "^^^^^^^^^LOL"),
    "two-author-persons-in-slot": _author_slot("authorPerson", "^A", "^B"),
    "folder-deprecated": _set(DIR, "status", DEPRECATED),
    "ss-deprecated": _set(SET, "status", DEPRECATED),
    "two-submission-sets": _second_submission_set,
    "title-charset": _text("charset", "lol"),
    "title-129-chars": _text("value", "x" * 129),
    "folder-no-uniqueId": _identifier(DIR, "uniqueId", None),
    "uniqueId-129": _identifier(DOC, "uniqueId", "x" * 129),
    "same-id-twice": _set(DIR, "id", DOC),
    "same-uniqueId-twice": _both(_identifier(DIR, "uniqueId", "1.2.3"), _identifier(DOC, "uniqueId", "1.2.3")),
    "de-other-patient": _identifier(DOC, "patientId", "lol^^^&1.3&ISO"),
    "folder-other-patient": _identifier(DIR, "patientId", "lol^^^&1.3&ISO"),
    "assoc-no-type": _set("docFolderAss", "associationType", None),
    "hasmember-with-doc-code": _document_code,
    "two-ss-status": _slot("docAss", "SubmissionSetStatus", "Original", "Reference"),
    "bad-ss-status": _slot("docAss", "SubmissionSetStatus", "lol"),
    "no-ss-status": _slot("docAss", "SubmissionSetStatus"),
    "original-missing": _set("docAss", "targetObject", "lol"),
    "xfrm-source-missing": _association(XFRM, "lol", DOC),
    "snapshot-source-missing": _association(IS_SNAPSHOT_OF, ENTRY_UUID, DOC),
    "submitassociation-target-missing": _association("urn:ihe:iti:2010:AssociationType:SubmitAssociation", SET, "lol"),
    "no-formatCode": _classification(FORMAT, lambda each: each.getparent().remove(each)),
    "no-classifiedObject": _classification(FORMAT, lambda each: each.attrib.pop("classifiedObject")),
    "wrong-classifiedObject": _classification(FORMAT, lambda each: each.set("classifiedObject", DIR)),
    "no-nodeRepresentation": _classification(FORMAT, lambda each: each.attrib.pop("nodeRepresentation")),
    "author-nodeRepresentation": _classification(AUTHOR, lambda each: each.set("nodeRepresentation", "lol")),
    "cx-extra": _identifier(DOC, "patientId", "rotfl^^^^^^^^^lol"),
    "cx-empty": _identifier(DOC, "patientId", ""),
    "hd-namespace": _identifier(DOC, "patientId", "12^^^lol&12.3&ISO"),
    "hd-not-iso": _identifier(DOC, "patientId", "12^^^&12.3&LOL"),
    "hd-none": _identifier(DOC, "patientId", "12"),
    "hd-no-oid": _identifier(DOC, "patientId", "12^^^&&ISO"),
    "no-sourceId": _identifier(SET, "sourceId", None),
    "bad-hash": _slot(DOC, "hash", "lol"),
    "bad-language": _slot(DOC, "languageCode", "123lol"),
    "sourceId-65": _identifier(SET, "sourceId", "1." + "2" * 63),
    "sourceId-not-oid": _identifier(SET, "sourceId", "lol"),
    "pid-name": _slot(DOC, "sourcePatientInfo", "PID-lol|lol"),
    "pid-2": _slot(DOC, "sourcePatientInfo", "PID-2|lol"),
    "size-nan": _slot(DOC, "size", "lol"),
    "recipient-empty": _slot(SET, "intendedRecipient", ""),
    "recipient-three-pipes": _slot(SET, "intendedRecipient", "|||"),
    "slot-257": _slot(DOC, "sourcePatientInfo", "PID-5|" + "x" * 251),
    "creationTime-two": _slot(DOC, "creationTime", "1980", "1981"),
    "mimeType-empty": _set(DOC, "mimeType", ""),
    "creationTime-null": _slot(DOC, "creationTime", ""),
    "creationTime-bad": _slot(DOC, "creationTime", "lol"),
    "uri-two": _slot(DOC, "URI", "a", "b"),
    "uri-empty": _slot(DOC, "URI", ""),
    "uri-bad": _slot(DOC, "URI", ":lol:"),
    "person-no-name-id": _author_slot("authorPerson", "^^^^^^^^&1.2.840.113619.6.197&ISO"),
    "org-extra": _author_slot("authorInstitution", "Otto^lol"),
    "no-repositoryUniqueId": _slot(DOC, "repositoryUniqueId"),
    "folder-lastUpdateTime-8": _slot(DIR, "lastUpdateTime", "20170207"),
    "author-only-role": _only_role,
    "iti42-ondemand": _set(DOC, "objectType", ON_DEMAND),
}

# Judged beside the mutation itself, for the change leaves two things wrong.
PATIENT_TOO = {
    "cx-extra",
    "hd-namespace",
    "hd-not-iso",
    "hd-none",
    "hd-no-oid",
    "de-other-patient",
    "folder-other-patient",
}

# An id was taken away that an association names: besides the rule of the case, the reference hangs in the air.
DANGLING_TOO = {"same-id-twice", "submitassociation-target-missing"}

# Cases of this list that stand in another test: the file.
ELSEWHERE = {
    "iti41-doc-without-entry": "test_provide.py",
    "iti41-entry-without-doc": "test_provide.py",
    "iti41-bad-target-hcid": "test_provide.py",
    "iti43-no-repo": "test_retrieve.py",
    "iti43-no-doc": "test_retrieve.py",
    "iti61-stable": "test_on_demand.py",
    "iti62-empty": "test_removal.py",
}
UPDATES = ("iti57-", "iti92-")  # test_update.py

# Transactions that are not built yet.
NOT_YET = ("iti39-", "rad69-")


@cache
def cases() -> dict[str, str]:
    """id -> error code. An answer of ITI-42 where the list distinguishes."""
    listed = json.loads((CONFORMANCE / "cases" / "xds-submission-negative.json").read_text(encoding="utf-8"))["cases"]
    return {each["id"]: each["errorCode"].split(" ")[0] for each in listed}


@needs_conformance
@pytest.mark.parametrize("case", MUTATIONS)
def test_public_mutations(case: str) -> None:
    codes = {code for code, _ in judged(mutated(MUTATIONS[case]))}
    expected = {cases()[case]} | ({"XDSPatientIdDoesNotMatch"} if case in PATIENT_TOO else set())
    if case in DANGLING_TOO:
        expected.add("UnresolvedReferenceException")
    assert codes == expected


@needs_conformance
def test_no_public_mutation_is_forgotten() -> None:
    assert {case for case in cases() if not case.startswith(NOT_YET + UPDATES)} == {*MUTATIONS, *ELSEWHERE}


@pytest.mark.parametrize(
    "submission",
    [
        of(entry__authors=(Author("lol"),)),
        of(set__authors=()),
        of(entry__title="漢" * 128),
        of(entry__service_start_time="19900101010159", entry__service_stop_time="1990"),
    ],
)
def test_what_is_allowed(submission: Submission) -> None:
    assert judged(submission) == []


def test_service_times_have_an_order() -> None:
    wrong = of(entry__service_start_time="1981", entry__service_stop_time="1980")
    assert judged(wrong) == [("XDSRegistryMetadataError", "document01: serviceStartTime")]
