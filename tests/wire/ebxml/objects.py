"""Objects of document sharing for tests: one good submission, and strategies for any object."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from hypothesis import strategies as st

from hie.values.codes import Code
from hie.values.documents import (
    HAS_MEMBER,
    Association,
    Author,
    DocumentEntry,
    Folder,
    Submission,
    SubmissionSet,
)
from hie.wire.ebxml.attributes import Attribute, Form, Model

PATIENT = "id3^^^&1.3&ISO"

# The base that the public cases of ../shared/conformance mutate, with values of our own where they leave a choice.
SUBMISSION_SET = SubmissionSet(
    "submissionSet01",
    unique_id="1.123",
    patient_id=PATIENT,
    source_id="1.2.3",
    submission_time="1980",
    title="Submission Set 01",
    authors=(Author("id1^Otto^^^^^^^&1.1&ISO"),),
    content_type_code=Code("code1", "scheme1", "one"),
    intended_recipients=("org",),
    home_community_id="urn:oid:1.2.3.4.5.6.2333.23",
)
DOCUMENT_ENTRY = DocumentEntry(
    "document01",
    unique_id="32848902348",
    patient_id=PATIENT,
    mime_type="application/octet-stream",
    repository_unique_id="1.2.3.4",
    hash="1234567890123456789012345678901234567890",
    size=123,
    creation_time="1981",
    service_start_time="198012",
    service_stop_time="198101",
    language_code="en-US",
    source_patient_id="source^^^&4.1&ISO",
    source_patient_info=("PID-5|Susi", "PID-7|1980", "PID-8|M", "PID-11|hier"),
    uri="http://hierunten.com",
    title="Document 01",
    legal_authenticator="legal^Gustav^^^^^^^&1.7&ISO",
    authors=(Author("id2^Anna^^^^^^^&1.1&ISO", institutions=("Clinic",), roles=("doctor",)),),
    class_code=Code("code2", "scheme2"),
    format_code=Code("code3", "scheme3"),
    healthcare_facility_type_code=Code("code4", "scheme4"),
    practice_setting_code=Code("code5", "scheme5"),
    type_code=Code("code6", "scheme6"),
    confidentiality_codes=(Code("code8", "scheme8"),),
    event_code_list=(Code("code9", "scheme9"),),
    reference_id_list=("ref-id-1^^^ABCD&1.1.2.3&ISO^urn:ihe:iti:xds:2013:order", "ref-id-2^^^DEFG&2.1.2.3&ISO^own"),
)
FOLDER = Folder(
    "folder01",
    unique_id="1.48574589",
    patient_id=PATIENT,
    title="Folder 01",
    last_update_time="19820910121315",
    code_list=(Code("code7", "scheme7"),),
)
ASSOCIATIONS = (
    Association("docAss", HAS_MEMBER, "submissionSet01", "document01", "Original"),
    Association("folderAss", HAS_MEMBER, "submissionSet01", "folder01"),
    Association("docFolderAss", HAS_MEMBER, "folder01", "document01"),
)
SUBMISSION = Submission((SUBMISSION_SET,), (DOCUMENT_ENTRY,), (FOLDER,), ASSOCIATIONS)

# Any text that XML can carry; blanks around it mean nothing in ebRIM and are not kept.
texts = (
    (
        st.text(
            st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"), min_size=1, max_size=60
        )
        | st.sampled_from(("'", '"&<>]]>', "a\nb\tc", "髙橋 𠮷野", ' status="x" value="y"'))
    )
    .map(str.strip)
    .filter(bool)
)
codes = st.builds(Code, texts, texts, st.just("") | texts)
authors = st.builds(Author, st.just("") | texts, *(st.lists(texts, max_size=2).map(tuple) for _ in range(4)))
_numbers = st.integers(1, 10**12)
_OF_FORM: dict[Form, st.SearchStrategy[Any]] = {
    Form.CODE: codes,
    Form.AUTHOR: authors,
    Form.NUMBER_SLOT: _numbers,
    Form.VERSION: _numbers,
    Form.NODE: st.booleans(),
}


def objects_of(model: Model) -> st.SearchStrategy[Any]:
    """Any object of one kind: every attribute of the table drawn, within its form, but not within its rule."""
    drawn = {row.field: _values_of(row) for row in model.attributes}
    names = {field.name for field in fields(model.type)}
    assert names == {*drawn, "extra_slots"}, "an attribute of the value has no row in the table, or the other way round"
    extra = st.lists(st.tuples(texts.map("urn:example:{}".format), st.lists(texts, max_size=3).map(tuple)), max_size=2)
    drawn["extra_slots"] = extra.filter(lambda found: len({name for name, _ in found}) == len(found)).map(tuple)
    return st.builds(model.type, **drawn)


def _values_of(row: Attribute) -> st.SearchStrategy[Any]:
    one = _OF_FORM.get(row.form, texts)
    if row.most is None:
        return st.lists(one, max_size=3).map(tuple)
    return one
