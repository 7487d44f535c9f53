"""The bulk path: many documents at once, sent again without harm."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from apps.xds import models
from apps.xds.models import Status
from apps.xds.services import IndexedDocument, IndexResult, index_documents, relocate_content
from hie.values.documents import HAS_MEMBER, RPLC
from hie.values.errors import ExchangeError, Reason
from hie.values.identifiers import new_uuid_urn
from tests.apps.xds.samples import FACILITY, entry, known_patient

pytestmark = pytest.mark.django_db


def document(patient: str, replaces: str = "", **changes: Any) -> IndexedDocument:
    each = entry(patient, entry_uuid=new_uuid_urn(), repository_unique_id="", **changes)
    sha256 = hashlib.sha256(each.unique_id.encode()).hexdigest()
    return IndexedDocument(each, f"ssmix:1/{each.unique_id}", sha256, replaces)


def index(*documents: IndexedDocument, **changes: Any) -> IndexResult:
    return index_documents(documents, facility_code=FACILITY, source_id="1.2.3", **changes)


def status_of(each: IndexedDocument) -> int:
    return models.DocumentEntry.objects.get(entry_uuid=each.entry.entry_uuid).status


def test_a_batch_makes_one_submission_set_for_each_patient(patient: str, settings: Any) -> None:
    other = known_patient()
    assert index(document(patient), document(patient), document(other)) == IndexResult(registered=3)
    assert models.SubmissionSet.objects.count() == 2
    assert models.Association.objects.filter(association_type=HAS_MEMBER).count() == 3
    row = models.DocumentEntry.objects.first()
    assert row is not None
    assert row.repository_unique_id == settings.REPOSITORY_OID
    assert row.content is not None
    assert row.content.locator.startswith("ssmix:1/")


def test_a_batch_sent_again_changes_nothing(patient: str) -> None:
    batch = (document(patient), document(patient))
    index(*batch)
    before = [table._default_manager.count() for table in models.PATIENT_TABLES]
    assert index(*batch) == IndexResult(known=2)
    assert index(*batch, document(patient)) == IndexResult(registered=1, known=2)
    after = [table._default_manager.count() for table in models.PATIENT_TABLES]
    assert sum(after) == sum(before) + 1 + 1 + 1 + 1 + 1, "entry, set, association, author, confidentiality"


@pytest.mark.parametrize("together", [True, False])
def test_a_version_replaces_its_predecessor(patient: str, together: bool) -> None:
    first = document(patient)
    second = document(patient, replaces=first.entry.entry_uuid)
    for batch in [(first, second)] if together else [(first,), (second,)]:
        index(*batch)
    assert (status_of(first), status_of(second)) == (Status.DEPRECATED, Status.APPROVED)
    row = models.DocumentEntry.objects.get(entry_uuid=first.entry.entry_uuid)
    assert b"Deprecated" in bytes(row.fragment)
    replacement = models.Association.objects.get(association_type=RPLC)
    assert (replacement.source_uuid, replacement.target_uuid) == (second.entry.entry_uuid, first.entry.entry_uuid)


def test_a_version_whose_predecessor_is_not_there(patient: str) -> None:
    missing = new_uuid_urn()
    assert index(document(patient, replaces=missing)) == IndexResult(registered=1, unknown=(missing,))
    assert not models.Association.objects.filter(association_type=RPLC).exists()


def test_what_was_deleted_is_deprecated_once(patient: str) -> None:
    each, missing = document(patient), new_uuid_urn()
    index(each)
    gone = (each.entry.entry_uuid, missing)
    assert index(deprecate=gone) == IndexResult(deprecated=1, unknown=(missing,))
    assert status_of(each) == Status.DEPRECATED
    assert index(deprecate=gone) == IndexResult(unknown=(missing,))
    new = document(patient)
    index(new, deprecate=(new.entry.entry_uuid,))
    assert status_of(new) == Status.DEPRECATED


def test_other_bytes_under_the_same_unique_id_refuse_the_batch(patient: str) -> None:
    each = document(patient)
    index(each)
    with pytest.raises(ExchangeError) as refusal:
        index(document(patient), document(patient, unique_id=each.entry.unique_id, hash="0" * 40))
    assert refusal.value.reason is Reason.NON_IDENTICAL_HASH
    assert models.DocumentEntry.objects.count() == 1


def test_a_batch_takes_a_handful_of_statements(patient: str, django_assert_max_num_queries: Any) -> None:
    batch = [document(patient) for _ in range(200)]
    with django_assert_max_num_queries(20):  # SQLite takes an INSERT of many rows in several parts
        index(*batch)


def test_a_renamed_file_is_found_where_it_lies_now(patient: str) -> None:
    each = document(patient)
    index(each)
    assert relocate_content({each.entry.entry_uuid: "ssmix:1/renamed", new_uuid_urn(): "ssmix:1/x"}) == 1
    row = models.DocumentEntry.objects.get()
    assert row.content is not None
    assert (row.content.locator, row.content.sha256) == ("ssmix:1/renamed", each.sha256)
