"""ITI-92 from bytes to bytes: a few attributes, of one's own documents."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings

from apps.xds import models
from apps.xds.services import submit
from hie.values.errors import ExchangeError, Reason
from hie.values.identifiers import new_uuid_urn
from hie.wire.ebxml import restricted_update
from hie.wire.ebxml.fragments import read_fragment
from hie.wire.ebxml.update import compose
from tests.apps.xds.samples import submission_set
from tests.apps.xds.test_updating import version
from tests.journeys.soap_region import HOSPITAL, Region, records

ACTION = "urn:ihe:iti:2018:RestrictedUpdateDocumentSet"


def ask(region: Region, **changes: Any) -> None:
    each = region.document(b"abc")
    submit(each, facility_code=HOSPITAL)
    before: Any = read_fragment(bytes(models.DocumentEntry.objects.get().fragment))
    home = f"urn:oid:{settings.HOME_COMMUNITY_OID}"
    its_set = submission_set(region.regional_id, entry_uuid=new_uuid_urn(), home_community_id=home)
    asked = compose(its_set, version(before, **changes)(its_set), restricted=True)
    answer = region.client("hospital", "registry").call(ACTION, restricted_update.write_request(asked))
    restricted_update.read_response(answer)


def test_a_title_is_corrected(region: Region) -> None:
    ask(region, title="訂正")
    assert models.DocumentEntry.objects.get(version=2).title == "訂正"
    (record,) = records("ITI-92")
    assert (record.event_id, record.action, record.outcome) == ("110107", "U", 0)


def test_what_the_source_alone_knows_stays(region: Region) -> None:
    with pytest.raises(ExchangeError) as refusal:
        ask(region, creation_time="2020")
    assert [each.reason for each in refusal.value.findings] == [Reason.UNMODIFIABLE]
    assert not models.DocumentEntry.objects.filter(version=2).exists()
    assert [each.outcome for each in records("ITI-92")] == [8]
