"""On-demand documents: made for their reader, and not there for whoever may not see them. Snapshots: test_summary."""

from __future__ import annotations

import os
import time
from typing import Any

import pytest
from django.conf import settings as django_settings

from apps.xds import models, repository
from apps.xds.services import Assembled, register, retrieve, sweep_assembled
from hie.values.access import Access, Permit, Rule
from hie.values.documents import ON_DEMAND, DocumentEntry, DocumentRequest, RetrieveRequest
from hie.values.errors import ExchangeError, Reason
from tests.apps.xds.samples import FACILITY, entry, known_patient, permit, submission

pytestmark = pytest.mark.django_db


def assemble(each: DocumentEntry, regional_id: str, allowed: Permit) -> Assembled | None:
    content = f"summary of {regional_id}".encode()
    return None if each.title == "empty" else Assembled("", (), lambda unique_id, moment: content)


@pytest.fixture(autouse=True)
def _assembler(settings: Any) -> None:
    settings.ON_DEMAND = f"{__name__}.assemble"
    settings.SUMMARY_SNAPSHOTS = False


def on_demand(patient: str, **changes: Any) -> DocumentRequest:
    values: dict[str, Any] = {"object_type": ON_DEMAND, "hash": "", "size": None, "creation_time": ""}
    values["repository_unique_id"] = django_settings.REPOSITORY_OID
    each = entry(patient, **(values | changes))
    from apps.xds.services.registration import register_prepared

    register_prepared(submission(patient, each), facility_code=FACILITY)
    return DocumentRequest(django_settings.REPOSITORY_OID, each.unique_id)


def test_it_is_made_for_each_reader(patient: str, django_assert_num_queries: Any) -> None:
    asked = RetrieveRequest((on_demand(patient),))
    assert repository.patients_of(asked) == {asked.documents[0]: (patient,)}
    located = repository.located(asked)
    repository.repositories_answered()  # remembered between messages
    with django_assert_num_queries(2):
        (first,) = retrieve(located, permit(patient, access=Access.RETRIEVE)).documents
    (second,) = retrieve(located, permit(patient, access=Access.RETRIEVE)).documents
    assert first.path.read_bytes() == f"summary of {patient}".encode()
    assert first.size == len(first.path.read_bytes())
    assert first.new_document_unique_id != second.new_document_unique_id
    assert not models.Content.objects.exists(), "nothing is kept"
    old = time.time() - 2 * 60 * 60
    os.utime(first.path, (old, old))
    sweep_assembled()
    assert (first.path.exists(), second.path.exists()) == (False, True)


def test_whom_it_is_not_for(patient: str) -> None:
    asked, empty = on_demand(patient), on_demand(patient, title="empty")
    narrow = permit(patient, access=Access.RETRIEVE, rules=(Rule(permits=False),))
    cases = (
        (asked, narrow),
        (asked, permit(known_patient(), access=Access.RETRIEVE)),
        (empty, permit(patient, access=Access.RETRIEVE)),
        (DocumentRequest(django_settings.REPOSITORY_OID, "9.9"), permit(patient, access=Access.RETRIEVE)),
    )
    for each, allowed in cases:
        result = retrieve(RetrieveRequest((each,)), allowed)
        assert result.documents == ()
        assert [finding.reason for finding in result.findings] == [Reason.DOCUMENT_NOT_AVAILABLE]


def test_without_an_assembler_there_is_none(patient: str, settings: Any) -> None:
    asked = on_demand(patient)
    settings.ON_DEMAND = ""
    result = retrieve(RetrieveRequest((asked,)), permit(patient, access=Access.RETRIEVE))
    assert [finding.reason for finding in result.findings] == [Reason.DOCUMENT_NOT_AVAILABLE]


def test_an_on_demand_id_is_no_stable_one(patient: str) -> None:
    stable = entry(patient)
    register(submission(patient, stable), facility_code=FACILITY)
    with pytest.raises(ExchangeError):
        on_demand(patient, unique_id=stable.unique_id)
    again = on_demand(patient)
    on_demand(patient, unique_id=again.document_unique_id)
    assert models.DocumentEntry.objects.filter(unique_id=again.document_unique_id).count() == 2
