"""The public cases of queries against a registry that holds documents: read by the codec, answered by the verb."""

from __future__ import annotations

from typing import Any

import pytest

from apps.xds.stored_queries import answer, patient_parameters, patients_of
from hie.values.documents import QueryResult
from hie.values.errors import ExchangeError
from hie.wire.ebxml.registry_response import Answering
from tests.apps.xds.samples import permit
from tests.apps.xds.test_all_stored_queries import keep
from tests.conformance import needs_conformance
from tests.wire.ebxml.test_stored_query import CASES, DIFFERENCES, cases


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
