"""The rules of single values, against the public lists of good and bad values."""

from __future__ import annotations

import json
from functools import cache

import pytest

from hie.wire.ebxml import values
from tests.conformance import CONFORMANCE, needs_conformance

RULES = {
    "DTM": values.dtm,
    "OID_ipf": values.oid,
    "OID_strict": values.oid,
    "CX": values.cx,
    "CXi": values.cxi,
    "XCN": values.xcn,
    "XON": values.xon,
    "XTN": values.xtn,
    "sourcePatientInfo": values.source_patient_info,
    "languageCode": values.language,
    "size": values.size,
    "hash": values.sha1,
    "URI": values.uri,
    "mimeType": values.mime_type,
    "documentEntryUniqueId_ipf": values.unique_id,
    "homeCommunityId": values.home_community_id,
}

# Where the public list says otherwise than the Technical Framework: (type, value) -> what holds here, and why.
DIFFERENCES = {
    # The Framework calls DocumentEntry.uniqueId an opaque text; the list has one library's printable ASCII.
    ("documentEntryUniqueId_ipf", " identifier"): True,
    ("documentEntryUniqueId_ipf", "ሴ"): True,
    ("documentEntryUniqueId_ipf", "здоровенькі"): True,
    ("documentEntryUniqueId_ipf", "Grüsse"): True,
}


@cache
def cases() -> dict:
    return json.loads((CONFORMANCE / "cases" / "xds-value-validators.json").read_text(encoding="utf-8"))


@needs_conformance
@pytest.mark.parametrize("kind", RULES)
def test_the_public_lists_hold(kind: str) -> None:
    found = {value: not RULES[kind](value) for value in (*cases()[kind]["valid"], *cases()[kind]["invalid"])}
    expected = {value: value in cases()[kind]["valid"] for value in found}
    expected |= {value: verdict for (of, value), verdict in DIFFERENCES.items() if of == kind}
    assert found == expected


@needs_conformance
def test_recipients_and_service_times_hold() -> None:
    recipients = cases()["intendedRecipient"]
    assert all(not values.intended_recipient(each) for group in recipients["valid"] for each in group)
    assert all(any(values.intended_recipient(each) for each in group) for group in recipients["invalid"])
    times = cases()["serviceStartStop"]
    assert all(values.are_in_order(start, stop) for start, stop in times["valid"] if start and stop)
    assert not any(values.are_in_order(start, stop) for start, stop in times["invalid"])


@needs_conformance
def test_no_public_list_is_left_out() -> None:
    assert {name for name in cases() if not name.startswith("_")} == {*RULES, "intendedRecipient", "serviceStartStop"}


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        (values.cxi, "1^^^A&1.2.3&ISO^urn:ihe:iti:xds:2013:order^&1.2.4&ISO", "1^^^A&1.2.3&ISO^^&1.2.4&ISO"),
        (values.title, "漢" * 128, "漢" * 129),
        (values.slot_value, "漢" * 256, "a" * 257),
        (values.unique_id, "1.2^3", "x" * 129),
        (values.uuid_urn, "urn:uuid:0b9e3a52-6f0f-4c35-9d3c-6a3f6f0e2a11", "0b9e3a52-6f0f-4c35-9d3c-6a3f6f0e2a11"),
        (values.object_id, "entry-1", "urn:uuid:1"),
        (values.object_id, "urn:uuid:0b9e3a52-6f0f-4c35-9d3c-6a3f6f0e2a11", "two words"),
        (values.dtm_to_the_second, "20250401093000", "202504010930"),
        (values.document_availability, "urn:ihe:iti:2010:DocumentAvailability:Online", "available"),
        (values.language, "ja", "日本語"),
        (values.xon, "みどり病院^^^^^&1.2.392&ISO^^^^1310000001", "みどり病院^x"),
        (values.size, "10", "１０"),
        (values.cx, "1^^^&1.2&ISO", "1^^^&1.2&ISO^PI"),
        (values.dtm, "2025", "２０２５"),
        (values.oid, "1.12", "1.1２"),
        (values.source_cx, "89765a87b^^^&3.4.5&ISO", "89765a87b^^^&3.x.5&ISO"),
        (values.cx, "89765a87b^^^&1.4.5&ISO", "89765a87b^^^&3.4.5&ISO"),
    ],
)
def test_further_rules(rule: values.Rule, good: str, bad: str) -> None:
    assert rule(good) == ""
    assert rule(bad).startswith("has to be")
    assert bad not in rule(bad)
