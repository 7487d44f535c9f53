"""ITI-61, limited metadata, and what an answer to ITI-43 says of a document that was made for it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from hie.values.documents import (
    ON_DEMAND,
    Content,
    DocumentRequest,
    RegistryResult,
    RetrievedDocument,
    RetrieveResult,
    Submission,
)
from hie.values.errors import ExchangeError, Reason
from hie.wire.ebxml import on_demand, retrieve
from hie.wire.ebxml.fragments import read_fragment, write_fragment
from hie.wire.ebxml.submission import read_submission, write_submission
from hie.wire.ebxml.validation import LIMITED_PROVISION, ON_DEMAND_REGISTRATION, PROVISION, Wanted, validate
from hie.wire.soap.spool import Spool
from hie.wire.xml import parse
from tests.conformance import CONFORMANCE, needs_conformance
from tests.wire.ebxml import objects
from tests.wire.ebxml.messages import sample, sent, violations
from tests.wire.ebxml.test_validation import of

CONTENT = Content(Path("spooled"), 4, "0" * 40, "0" * 64)
BARE = {"entry__hash": "", "entry__size": None, "entry__creation_time": ""}


def judged(submission: Submission, wanted: Wanted) -> list[tuple[Reason, str]]:
    return [(each.reason, each.location) for each in validate(submission, wanted=wanted)]


def test_a_summary_that_is_not_made_yet() -> None:
    found = on_demand.read_request(sample("ITI-61/summary.xml"))
    assert found.findings == ()
    (entry,) = found.document_entries
    assert (entry.object_type, entry.hash, entry.size, entry.creation_time) == (ON_DEMAND, "", None, "")
    assert on_demand.read_request(sent(on_demand.write_request(found))) == found


def test_a_stable_document_does_not_come_this_way() -> None:
    found = on_demand.read_request(sample("ITI-61/refused-stable.xml"))
    assert [(each.reason.value.registry, each.location) for each in found.findings] == [
        ("XDSRegistryMetadataError", "entry-1: objectType")
    ]


def test_what_only_a_document_has() -> None:
    found = judged(of(entry__object_type=ON_DEMAND), ON_DEMAND_REGISTRATION)
    assert found == [(Reason.METADATA, f"document01: {name}") for name in ("creationTime", "hash", "size")]
    assert judged(of(entry__object_type=ON_DEMAND, **BARE), ON_DEMAND_REGISTRATION) == []
    assert (Reason.METADATA, "document01: repositoryUniqueId") in judged(
        of(entry__object_type=ON_DEMAND, entry__repository_unique_id="", **BARE), ON_DEMAND_REGISTRATION
    )


@needs_conformance
def test_the_public_case() -> None:
    listed = json.loads((CONFORMANCE / "cases" / "xds-submission-negative.json").read_text(encoding="utf-8"))["cases"]
    of_it = {each["id"]: each["errorCode"] for each in listed if each["id"].startswith("iti61-")}
    found = {each.reason.value.registry for each in validate(objects.SUBMISSION, wanted=ON_DEMAND_REGISTRATION)}
    assert of_it == {"iti61-stable": "XDSRegistryMetadataError"}
    assert found == set(of_it.values())


def test_the_answers() -> None:
    message = sample("ITI-61/summary.xml")
    answer = on_demand.write_response(message, RegistryResult())
    assert on_demand.read_response(sent(answer)) == RegistryResult()
    with pytest.raises(ExchangeError) as raised:
        on_demand.read_response(sent(on_demand.write_error(message, ExchangeError(Reason.METADATA, "x", "y"))))
    assert raised.value.reason is Reason.METADATA


LIMITED = of(entry__limited_metadata=True, set__limited_metadata=True, folder__limited_metadata=True)
SPARSE = of(
    LIMITED,
    entry__class_code=None,
    entry__confidentiality_codes=(),
    entry__creation_time="",
    entry__language_code="",
    entry__patient_id="",
    entry__source_patient_id="",
    set__content_type_code=None,
    set__patient_id="",
    folder__code_list=(),
)


def test_limited_metadata_is_taken_where_it_is_wanted() -> None:
    given = {"document01": CONTENT}
    assert judged(replace(SPARSE, contents=given), LIMITED_PROVISION) == []
    refused = judged(replace(LIMITED, contents=given), PROVISION)
    assert refused == [
        (Reason.METADATA, f"{each}: limitedMetadata") for each in ("submissionSet01", "document01", "folder01")
    ]
    unsaid = replace(of(SPARSE, entry__limited_metadata=False), contents=given)
    assert (Reason.METADATA, "document01: classCode") in judged(unsaid, LIMITED_PROVISION)
    assert (Reason.METADATA, "document01: mimeType") in judged(
        replace(of(SPARSE, entry__mime_type=""), contents=given), LIMITED_PROVISION
    )


def test_limited_metadata_is_written_and_read() -> None:
    assert read_submission(parse(write_submission(LIMITED))) == LIMITED
    for each in (*LIMITED.submission_sets, *LIMITED.document_entries, *LIMITED.folders):
        assert read_fragment(write_fragment(each)) == each


def test_an_answer_names_the_document_that_was_made(tmp_path: Path) -> None:
    path = tmp_path / "made"
    path.write_bytes(b"1234")
    request = DocumentRequest("1.2.3", "1.2.4")
    made = RetrievedDocument(request, "text/xml", path, 4, "1.2.4.20250401", "1.2.3")
    only_new = RetrievedDocument(request, "text/xml", path, 4, "1.2.4.20250402")
    body = retrieve.write_response(sample("ITI-43/two-documents.xml"), RetrieveResult((made, only_new)))
    found = retrieve.read_response(sent(body, Spool(tmp_path / "in"))).documents
    assert [(each.new_document_unique_id, each.new_repository_unique_id) for each in found] == [
        ("1.2.4.20250401", "1.2.3"),
        ("1.2.4.20250402", ""),
    ]
    if CONFORMANCE.is_dir():
        assert violations(body) == []


@needs_conformance
def test_everything_written_is_valid() -> None:
    message = sample("ITI-61/summary.xml")
    assert violations(message.body) == []
    assert violations(on_demand.write_request(on_demand.read_request(message))) == []
    assert violations(on_demand.write_request(LIMITED)) == []
