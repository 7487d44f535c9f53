"""The public cases of queries against a registry that holds documents: read by the codec, answered by the verb."""

from __future__ import annotations

import re
from typing import Any

import pytest

from apps.xds.stored_queries import answer, patient_parameters, patients_of
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
from hie.exchange.transaction import Soap, Transaction
from hie.values.documents import QueryResult
from hie.values.errors import ExchangeError
from hie.wire.ebxml.registry_response import Answering
from tests.apps.xds.samples import permit
from tests.apps.xds.test_all_stored_queries import keep
from tests.conformance import CONFORMANCE, needs_conformance
from tests.wire.ebxml.test_stored_query import CASES, DIFFERENCES, cases

TRANSACTIONS = (ITI_18, ITI_41, ITI_42, ITI_43, ITI_51, ITI_57, ITI_61, ITI_62, ITI_86, ITI_92)


@needs_conformance
@pytest.mark.parametrize("transaction", TRANSACTIONS, ids=lambda each: each.number)
def test_actions_are_those_of_the_published_wsdl(transaction: Transaction) -> None:
    name = f"{transaction.number.replace('-', '').lower()}.wsdl"
    wsdl = (CONFORMANCE / "schema" / "xds" / name).read_text(encoding="utf-8")
    door = transaction.door
    assert isinstance(door, Soap)
    assert set(re.findall(r'Action="(urn:ihe:[^"]+)"', wsdl)) == {door.action, door.response_action}


@needs_conformance
@pytest.mark.django_db
@pytest.mark.parametrize("case", CASES)
def test_public_cases_of_queries(patient: str, case: str, settings: Any) -> None:
    settings.HOME_COMMUNITY_OID = "1.2.3"  # the community that the cases are about
    asked = CASES[case]
    keep(patient)
    expected = DIFFERENCES.get(case, cases()[case])
    subjects = () if patient_parameters(asked) else patients_of(asked)
    try:
        result, codes = answer(asked, permit(*subjects)), set()
    except ExchangeError as error:
        result, codes = QueryResult(), {Answering.QUERY.code(each.reason) for each in error.findings}
    assert codes == (set() if expected == "OK" else {expected})
    assert result.fragments + result.object_refs == (), "the cases name nobody and nothing that is here"
