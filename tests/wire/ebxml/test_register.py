"""ITI-42 and the reading of submissions: our samples, and every public message of the family."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hie.values.codes import Code
from hie.values.documents import HAS_MEMBER, RPLC, RegistryResult, Submission
from hie.values.errors import ExchangeError, Finding, Reason
from hie.wire.ebxml import provide, register
from hie.wire.ebxml.attributes import MODELS, Form
from hie.wire.ebxml.names import SUCCESS
from hie.wire.ebxml.reading import long_status
from hie.wire.ebxml.submission import SUBMIT_OBJECTS_REQUEST, read_submission, write_submission
from hie.wire.ebxml.validation import validate
from hie.wire.xml import parse
from tests.conformance import needs_conformance
from tests.wire.ebxml import objects
from tests.wire.ebxml.messages import MESSAGES, sample, sent, violations

SAMPLES = ("ITI-42/document-set-folder.xml", "ITI-42/replacement.xml")


def public(name: str) -> Submission:
    root = parse((MESSAGES / name).read_bytes())
    return read_submission(next(root.iter(SUBMIT_OBJECTS_REQUEST)))


def judged(submission: Submission) -> list[tuple[str, str]]:
    return [(each.reason.value.registry, each.location) for each in (*submission.findings, *validate(submission))]


def test_a_document_set_with_a_folder() -> None:
    found = register.read_request(sample("ITI-42/document-set-folder.xml"))
    assert judged(found) == []
    (entry,), (folder,), (submission_set,) = found.document_entries, found.folders, found.submission_sets
    assert entry.title == '退院時要約 "初回"'
    assert entry.comments == "A & B <要約>"
    assert entry.authors[0].person == "D0001^青葉^花子^^^^^^&1.2.392.200119.9.1.1&ISO"
    assert entry.event_code_list[1] == Code("SURG", "1.2.392.200119.9.9.1", "手術")
    assert entry.extra_slots == (("urn:example:ward", ("3東",)),)
    assert (entry.size, entry.version, entry.patient_id) == (4, 1, "R7K2M9QX^^^&1.2.392.200119.9.1&ISO")
    assert folder.code_list == (Code("I50", "2.16.840.1.113883.6.3", "心不全"),)
    assert submission_set.source_id == "1.2.392.200119.9.8.1"
    assert [(each.association_type, each.submission_set_status) for each in found.associations] == [
        (HAS_MEMBER, "Original"),
        (HAS_MEMBER, ""),
        (HAS_MEMBER, ""),
    ]


def test_a_replacement() -> None:
    found = register.read_request(sample("ITI-42/replacement.xml"))
    assert judged(found) == []
    assert found.associations[1].association_type == RPLC


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_read_and_written_and_read_again(name: str) -> None:
    found = register.read_request(sample(name))
    assert register.read_request(sent(register.write_request(found))) == found


def test_the_refused_sample_says_everything() -> None:
    assert sorted(judged(register.read_request(sample("ITI-42/refused-many-findings.xml")))) == [
        ("XDSPatientIdDoesNotMatch", "entry-1: patientId"),
        ("XDSRegistryMetadataError", "a-1: SubmissionSetStatus"),
        ("XDSRegistryMetadataError", "entry-1: creationTime"),
        ("XDSRegistryMetadataError", "entry-1: hash"),
        ("XDSRegistryMetadataError", "entry-1: languageCode"),
    ]


SUBMISSIONS = st.builds(
    Submission,
    *(st.lists(objects.objects_of(model), max_size=2).map(tuple) for model in (MODELS[1], MODELS[0], *MODELS[2:])),
)


@given(SUBMISSIONS)
@settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=40)
def test_any_submission_comes_through(submission: Submission) -> None:
    assert read_submission(parse(write_submission(submission))) == submission


def test_classifications_and_identifiers_may_stand_beside_their_objects() -> None:
    root = parse(write_submission(objects.SUBMISSION))
    for each in [*root.iter("{*}Classification"), *root.iter("{*}ExternalIdentifier")]:
        root[0].append(each)
    assert read_submission(root) == objects.SUBMISSION


@pytest.mark.parametrize(
    ("before", "after", "location"),
    [
        (b'classificationNode="urn:uuid:a54d6aa5', b'classificationNode="urn:uuid:000d6aa5', "RegistryPackage"),
        (b"<rim:Association ", b"<rim:Service ", "Service"),
        (b'<rim:Slot name="hash">', b'<rim:Slot name="">', "A Slot"),
        (b'<rim:Slot name="hash">', b'<rim:Slot name="size">', "Slot size"),
    ],
)
def test_what_cannot_be_read_is_a_finding(before: bytes, after: bytes, location: str) -> None:
    raw = write_submission(objects.SUBMISSION).replace(before, after, 1)
    if b"Service" in after:
        raw = raw.replace(b"</rim:Association>", b"</rim:Service>", 1)
    findings = read_submission(parse(raw)).findings
    assert location in {each.location.split(": ")[1] for each in findings}
    assert all(each.detail.endswith(".") for each in findings)


def test_a_single_code_that_comes_twice() -> None:
    raw = write_submission(objects.SUBMISSION)
    start = raw.index(b"<rim:Classification", raw.index(b"41a5887f") - 300)
    code = raw[start : raw.index(b"</rim:Classification>", start) + len(b"</rim:Classification>")]
    assert b"41a5887f" in code
    findings = read_submission(parse(raw.replace(code, code + code))).findings
    assert [each.location for each in findings] == ["document01: classCode"]


def test_short_statuses() -> None:
    raw = write_submission(objects.SUBMISSION).replace(long_status("Approved").encode(), b"Approved")
    assert read_submission(parse(raw)) == objects.SUBMISSION


def test_several_languages_are_a_warning() -> None:
    raw = write_submission(objects.SUBMISSION)
    title = b'<rim:LocalizedString value="Document 01"/>'
    found = read_submission(parse(raw.replace(title, title + b'<rim:LocalizedString value="other"/>')))
    assert [each.reason for each in found.findings] == [Reason.EXTRA_METADATA_NOT_SAVED]
    assert replace(found, findings=()) == objects.SUBMISSION


def test_the_answer() -> None:
    message = sample(SAMPLES[0])
    warning = Finding(Reason.EXTRA_METADATA_NOT_SAVED, "not kept", "x")
    body = register.write_response(message, RegistryResult((warning,)))
    assert sent(body).body.get("status") == SUCCESS
    assert register.read_response(sent(body)) == RegistryResult((warning,))
    assert register.read_response(sent(register.write_response(message, RegistryResult()))) == RegistryResult()


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_reaches_the_client(reason: Reason) -> None:
    error = ExchangeError(reason, 'Change "this" & that.', "place")
    body = register.write_error(sample(SAMPLES[0]), error)
    if reason.value.outcome == 0:
        assert sent(body).body.get("status") == SUCCESS
        return
    with pytest.raises(ExchangeError) as raised:
        register.read_response(sent(body))
    assert raised.value.detail.startswith('Change "this" & that.')
    assert raised.value.findings[0].location == "place"


# Public messages: findings of the reading and the rules, by location.
TYPOS = {"Document01: author Slot authorSpeciality", "SubmissionSet01: author Slot authorSpeciality"}


@needs_conformance
@pytest.mark.parametrize(
    ("reason", "location", "said"),
    [
        (Reason.UNKNOWN_PATIENT, "patientId", "own^^^&1.2&ISO"),
        (Reason.PATIENT_MISMATCH, "{entry}: patientId", "other^^^&1.2&ISO"),
        (Reason.PATIENT_MISMATCH, "urn:uuid:of-an-association", "own^^^&1.2&ISO"),
        (Reason.METADATA, "{entry}: patientId", ""),
    ],
)
def test_the_answer_says_which_patient_id_is_in_question(reason: Reason, location: str, said: str) -> None:
    """ITI TF-3 table 4.2.4.1-2. The finding itself, which is recorded, does not."""
    base = objects.SUBMISSION
    (its_set,), (entry,) = base.submission_sets, base.document_entries
    asked = replace(
        base,
        submission_sets=(replace(its_set, patient_id="own^^^&1.2&ISO"),),
        document_entries=(replace(entry, patient_id="other^^^&1.2&ISO"),),
    )
    error = ExchangeError(reason, "It is not so.", location.format(entry=entry.entry_uuid))
    for codec in (register, provide):
        with pytest.raises(ExchangeError) as answered:
            codec.read_response(sent(codec.write_error(sent(codec.write_request(asked)), error)))
        expected = f"It is not so. The patientId in question is {said}." if said else "It is not so."
        assert answered.value.findings[0].detail == expected


def test_a_package_is_known_by_a_classification_inside_or_beside_it() -> None:
    inside = public("xds/SubmitObjectsRequest_ebrs30_2.xml")
    beside = public("xds/SubmitObjectsRequest_ebrs30.xml")
    assert inside == beside
    assert len(inside.submission_sets) == len(inside.document_entries) == 1
    assert {each.location for each in inside.findings} == TYPOS
    assert inside.document_entries[0].patient_id


@needs_conformance
def test_extra_metadata_survives() -> None:
    found = public("xds/SubmitObjectsRequest_ebrs3_extra_metadata.xml")
    assert "urn:my:company:slot" in {name for name, _ in found.document_entries[0].extra_slots}
    again = read_submission(parse(write_submission(found)))
    assert again == replace(found, findings=())
    nist = public("xds/submission-set.xml")
    assert judged(nist) == []
    assert nist.document_entries[0].extra_slots == (("urn:nist:extraDESlot", ("importantvalue",)),)
    assert nist.submission_sets[0].extra_slots
    assert nist.associations[0].extra_slots


@needs_conformance
@pytest.mark.parametrize(
    ("name", "entries", "associations"),
    [
        ("SubmitObjectsRequest_ebrs30_update.xml", 1, 2),
        ("SubmitObjectsRequest_ebrs30_update_nonstandard_association.xml", 0, 1),
        ("SubmitObjectsRequest_ebrs30_update_sameLid.xml", 2, 2),
    ],
)
def test_updates_are_read_for_the_transaction_to_come(name: str, entries: int, associations: int) -> None:
    found = public(f"xds/{name}")
    assert found.findings == ()
    assert (len(found.document_entries), len(found.associations)) == (entries, associations)
    assert all(each.logical_id and each.version == 1 for each in found.document_entries)


@needs_conformance
def test_what_has_no_ids_on_its_parts_is_still_read() -> None:
    found = public("xds-registry-to-fhir/iti-42.xml")
    assert found.findings == ()
    assert len(found.document_entries) == 1


@needs_conformance
def test_everything_written_is_valid() -> None:
    for name in SAMPLES:
        message = sample(name)
        assert violations(message.body) == []
        assert violations(register.write_request(register.read_request(message))) == []
    error = ExchangeError.of((Finding(Reason.METADATA, "a", "b"), Finding(Reason.UNKNOWN_PATIENT, "c", "")))
    assert violations(register.write_response(message, RegistryResult())) == []
    assert violations(register.write_error(message, error)) == []


def test_every_form_is_read_and_written() -> None:
    assert {row.form for model in MODELS for row in model.attributes} == set(Form)
