"""How many statements each transaction of the registry and repository costs, whatever is registered already.

Counted are the question whose data it is and the verb, as the pipeline calls them; authentication, gate and record are
counted where they live. A statement more is a decision: change the number here and say why.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.xds import models
from apps.xds.services import register, submit
from apps.xds.transactions.iti18_registry_stored_query import ITI_18
from apps.xds.transactions.iti41_provide_and_register_document_set import ITI_41
from apps.xds.transactions.iti42_register_document_set import ITI_42
from apps.xds.transactions.iti43_retrieve_document_set import ITI_43
from apps.xds.transactions.iti51_multi_patient_stored_query import ITI_51
from apps.xds.transactions.iti57_update_document_set import ITI_57
from apps.xds.transactions.iti61_register_on_demand_document_entry import ITI_61
from apps.xds.transactions.iti62_remove_metadata import ITI_62
from apps.xds.transactions.iti86_remove_documents import ITI_86
from apps.xds.transactions.iti92_restricted_update_document_set import ITI_92
from hie.exchange.transaction import Transaction
from hie.values.access import Access
from hie.values.documents import (
    ON_DEMAND,
    RPLC,
    DocumentRequest,
    MetadataUpdate,
    NewVersion,
    RemoveDocuments,
    RemoveObjects,
    RetrieveRequest,
)
from hie.values.identifiers import new_uuid_urn
from hie.wire.ebxml.fragments import read_fragment
from hie.wire.ebxml.queries import QUERY_NAMED
from tests.apps.xds.samples import (
    FACILITY,
    entry,
    find,
    get_documents,
    member,
    permit,
    relation,
    spooled,
    submission,
    submission_set,
)

pytestmark = pytest.mark.django_db


def cost(transaction: Transaction, request: Any, patient: str) -> tuple[int, int]:
    """Statements of finding whose data it is, and of the verb; those that hold and release are left out."""
    allowed = permit(patient, access=Access.SUBMIT if transaction.changes else Access.FIND)
    allowed = replace(
        allowed, caller=replace(allowed.caller, node=replace(allowed.caller.node, facility_code=FACILITY))
    )
    transaction.subject(request)  # what is remembered of the network is no cost of a message
    with CaptureQueriesContext(connection) as asking:
        if transaction.find is not None:
            request = transaction.find(request)
        transaction.subject(request)
    if transaction.prepare is not None:
        request = transaction.prepare(request)
    with CaptureQueriesContext(connection) as doing:
        transaction.execute(request, allowed)
    return counted(asking), counted(doing)


def counted(context: CaptureQueriesContext) -> int:
    words = ("SAVEPOINT", "RELEASE", "ROLLBACK", "SELECT pg_advisory")
    return sum(not each["sql"].lstrip().startswith(words) for each in context.captured_queries)


def provided(patient: str, directory: Path, data: bytes = b"abc") -> Any:
    each = entry(patient, hash="", size=None, repository_unique_id="")
    return replace(submission(patient, each), contents={each.entry_uuid: spooled(directory, data)})


def latest() -> models.DocumentEntry:
    return models.DocumentEntry.objects.latest("id")


def test_iti_18(patient: str) -> None:
    register(submission(patient, *(entry(patient) for _ in range(3))), facility_code=FACILITY)
    assert cost(ITI_18, find(patient, leaf_class=True), patient) == (1, 1)


@pytest.mark.parametrize("documents", [1, 20])
def test_iti_18_get_documents(patient: str, documents: int) -> None:
    """Whose they are costs two statements, the map of ids and the entries; getting them one, however many."""
    register(submission(patient, *(entry(patient) for _ in range(20))), facility_code=FACILITY)
    for column, parameter in (("entry_uuid", "EntryUUID"), ("unique_id", "UniqueId")):
        ids = list(models.DocumentEntry.objects.values_list(column, flat=True)[:documents])
        assert cost(ITI_18, get_documents(**{parameter: ids}), patient) == (2, 1)


def test_iti_18_find_documents_by_reference_id(patient: str) -> None:
    reference = "A1^^^&1.2.392.9&ISO^urn:ihe:iti:xds:2013:accession"
    register(
        submission(patient, *(entry(patient, reference_id_list=(reference,)) for _ in range(3))), facility_code=FACILITY
    )
    asked = replace(
        find(patient, leaf_class=True, ReferenceIdList=[[reference], ["A1^^^%"]]),
        query_id=QUERY_NAMED["FindDocumentsByReferenceId"].query_id,
    )
    assert cost(ITI_18, asked, patient) == (1, 1)


def test_iti_51(patient: str) -> None:
    register(submission(patient, entry(patient)), facility_code=FACILITY)
    asked = find(patient, leaf_class=True)
    of_several = replace(asked, query_id="urn:uuid:3d1bdb10-39a2-11de-89c2-2f44d94eaa9f")
    assert cost(ITI_51, of_several, patient) == (1, 1)


def test_iti_41(patient: str, tmp_path: Path) -> None:
    submit(provided(patient, tmp_path), facility_code=FACILITY)
    assert cost(ITI_41, provided(patient, tmp_path, b"other"), patient) == (1, 11)


def test_iti_42(patient: str) -> None:
    register(submission(patient, entry(patient)), facility_code=FACILITY)
    assert cost(ITI_42, submission(patient, entry(patient)), patient) == (1, 9)


def test_iti_42_that_replaces(patient: str) -> None:
    register(submission(patient, entry(patient)), facility_code=FACILITY)
    each = entry(patient)
    replacing = relation(RPLC, each.entry_uuid, latest().entry_uuid)
    assert cost(ITI_42, submission(patient, each, associations=(replacing,)), patient) == (1, 16)


def test_iti_42_of_twenty_documents(patient: str) -> None:
    register(submission(patient, entry(patient)), facility_code=FACILITY)
    twenty = submission(patient, *(entry(patient) for _ in range(20)))
    assert cost(ITI_42, twenty, patient)[1] <= 10


def test_iti_43(patient: str, tmp_path: Path) -> None:
    submit(provided(patient, tmp_path), facility_code=FACILITY)
    asked = RetrieveRequest((DocumentRequest(settings.REPOSITORY_OID, latest().unique_id),))
    assert cost(ITI_43, asked, patient) == (2, 0)


def update_of(row: models.DocumentEntry, patient: str, *, restricted: bool) -> MetadataUpdate:
    updated = replace(read_fragment(bytes(row.fragment)), entry_uuid=new_uuid_urn(), title="改")  # type: ignore[arg-type]
    its_set = submission_set(patient)
    asked = replace(submission(patient), submission_sets=(its_set,), document_entries=(updated,))  # type: ignore[arg-type]
    joined = member(its_set.entry_uuid, updated.entry_uuid, "Original")
    operation = NewVersion(joined, updated, 1, False)  # type: ignore[arg-type]
    return MetadataUpdate(replace(asked, associations=(joined,)), (operation,), restricted=restricted)


@pytest.mark.parametrize(("transaction", "restricted"), [(ITI_57, False), (ITI_92, True)])
def test_iti_57_and_92(patient: str, transaction: Transaction, restricted: bool) -> None:
    """Two of them ask whose the versions before are, so that all patients are held at once."""
    register(submission(patient, entry(patient)), facility_code=FACILITY)
    assert cost(transaction, update_of(latest(), patient, restricted=restricted), patient) == (1, 16)


def test_iti_61(patient: str) -> None:
    register(submission(patient, entry(patient)), facility_code=FACILITY)
    each = entry(patient, object_type=ON_DEMAND, hash="", size=None, creation_time="")
    assert cost(ITI_61, submission(patient, each), patient) == (1, 9)


def test_iti_62_and_86(patient: str, tmp_path: Path) -> None:
    """Of ITI-62, two ask whose the objects are before they are held, two what they are after."""
    submit(provided(patient, tmp_path), facility_code=FACILITY)
    tables = (models.DocumentEntry, models.SubmissionSet, models.Association)
    uuids = [uuid for each in tables for uuid in each._default_manager.values_list("entry_uuid", flat=True)]
    document = DocumentRequest(settings.REPOSITORY_OID, latest().unique_id)
    assert cost(ITI_62, RemoveObjects(tuple(uuids)), patient) == (2, 19)
    assert cost(ITI_86, RemoveDocuments((document,)), patient) == (2, 9)
