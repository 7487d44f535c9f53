"""The document: valid CDA, readable as it is, and nothing in it that a sender could break out of."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import unquote

import pytest
from lxml import etree

from hie.values.codes import Code
from hie.values.identifiers import AssigningAuthority, Identifier
from hie.values.people import NameParts, PersonName
from hie.values.summaries import (
    Allergy,
    Coded,
    Custodian,
    Encounter,
    Medication,
    Problem,
    Result,
    Section,
    Source,
    Statement,
    Subject,
    Summary,
)
from hie.wire.cda.sections import FORMS
from hie.wire.cda.summary import write_summary
from tests.conformance import CONFORMANCE, needs_conformance

V3 = {"v": "urn:hl7-org:v3"}
HOSTILE = "<b>&\"']]>\x07\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16")
SOURCE = Source("1319999015", "模擬中央病院", "検体検査結果", "20240501", "20240501101500", "1.2.392.99.1")
CODED = Coded("総蛋白", (Code("3A010000002327101", "1.2.392.200119.4.504", "総蛋白"), Code("X1", "JC11", "別名")))


def statements(text: str = "") -> dict[str, list[Statement]]:
    """A full and an empty statement of each kind; text: stands wherever a sender's words stand."""
    source = Source("1319999015", text or SOURCE.facility_name, text, "20240501", "20240501101500", "1.2.392.99.1")
    bare = Source("1319999015", "模擬中央病院", "記録")
    coded = Coded(text or CODED.text, (*CODED.codes, Code(text or "1", "99X", text)))
    drug = {"amount": text or "1.5", "unit": text or "錠", "usage": coded, "route": text or "口", "duration": "5日分"}
    return {
        "allergies": [
            Allergy(coded, source, text, text, text, text or "199601"),
            Allergy(Coded("ソバ"), bare),
        ],
        "problems": [Problem(coded, source, "2011", "20110915", True, True, text), Problem(Coded("胃炎"), bare)],
        "prescriptions": [
            Medication(coded, source, start="20240501", stop=text, status=text, **drug),
            Medication(Coded("薬"), bare),
        ],
        "injections": [Medication(coded, source, given=True, start="202405010800", stop="202405011300", **drug)],
        "results": [
            Result(coded, text or "7.2", source, "7.2", text or "g/dl", text or "H", text or "6.7-8.3", True, "202405"),
            Result(Coded("項目"), "陽性", bare),
            Result(Coded("項目"), "7.2", bare, "7.2", "個 / 視野"),
        ],
        "encounters": [
            Encounter(True, text or "入院", source, "202405010900", "", text),
            Encounter(False, "外来受診", bare),
        ],
    }


def written(said: dict[str, list[Statement]], **changes: Any) -> etree._Element:
    values: dict[str, Any] = {
        "unique_id": "2.25.1",
        "made_at": datetime(2026, 4, 1, 3, 4, 5, tzinfo=UTC),
        "code": Code("60591-5", "2.16.840.1.113883.6.1", "サマリ"),
        "title": "患者サマリ",
        "subject": Subject(
            Identifier("R1", AssigningAuthority("1.2.3")),
            PersonName(NameParts("山田", "太郎"), NameParts("ヤマダ", "タロウ")),
            "19600101",
            "M",
        ),
        "custodian": Custodian("1.2.3.7", "地域医療連携ネットワーク"),
        "sections": tuple(Section(name, tuple(said.get(name, ())), 10) for name in FORMS),
    }
    return etree.fromstring(write_summary(Summary(**(values | changes))))


@cache
def narrative() -> etree.XMLSchema:
    """The schema of the narrative block, which has no element of its own."""
    place = CONFORMANCE / "schema" / "hl7v3" / "schema" / "HL7V3" / "NE2008" / "coreschemas" / "NarrativeBlock.xsd"
    return etree.XMLSchema(
        etree.fromstring(
            '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns="urn:hl7-org:v3"'
            f' targetNamespace="urn:hl7-org:v3"><xs:include schemaLocation="{place.as_uri()}"/>'
            '<xs:element name="text" type="StrucDoc.Text"/></xs:schema>'
        )
    )


CASES = {
    "empty": ({}, {"subject": Subject(Identifier("R1", AssigningAuthority("1.2.3")))}),
    "full": (statements(), {"left_out": (SOURCE, SOURCE)}),
    "hostile": (statements(HOSTILE), {"title": HOSTILE, "left_out": (SOURCE,)}),
}


@needs_conformance
@pytest.mark.parametrize("case", CASES)
def test_the_narrative_is_a_narrative_block(case: str) -> None:
    said, changes = CASES[case]
    texts = written(said, **changes).findall(".//v:section/v:text", V3)
    assert len(texts) == len(FORMS) + 1
    for text in texts:
        narrative().assertValid(text)


@pytest.mark.skipif(not (CONFORMANCE / "schema" / "cda").is_dir(), reason="no CDA schema among the conformance data")
@pytest.mark.parametrize("case", CASES)
def test_the_document_is_valid_cda(case: str) -> None:
    said, changes = CASES[case]
    (place,) = (CONFORMANCE / "schema" / "cda").rglob("CDA.xsd")
    etree.XMLSchema(etree.parse(str(place))).assertValid(written(said, **changes))


# The order in which CDA R2 has the parts of its classes (POCD_HD000040), as far as they are written here.
ORDER = {
    "ClinicalDocument": "typeId id code title effectiveTime confidentialityCode languageCode recordTarget author"
    " custodian component",
    "section": "code title text entry",
    "observation": "code text statusCode effectiveTime value interpretationCode author participant reference"
    " referenceRange",
    "substanceAdministration": "text statusCode effectiveTime routeCode doseQuantity consumable author reference",
    "encounter": "code text effectiveTime author reference",
    "author": "time assignedAuthor",
    "assignedAuthor": "id assignedAuthoringDevice representedOrganization",
    "patient": "name administrativeGenderCode birthTime",
}


@pytest.mark.parametrize("case", CASES)
def test_parts_stand_in_the_order_of_the_standard(case: str) -> None:
    said, changes = CASES[case]
    for name, order in ORDER.items():
        for element in written(said, **changes).iter(f"{{urn:hl7-org:v3}}{name}"):
            places = [order.split().index(etree.QName(each).localname) for each in element]
            assert places == sorted(places), name


def test_every_reference_leads_to_a_row() -> None:
    document = written(statements())
    rows = document.xpath("//@ID")
    assert len(rows) == len(set(rows)) == sum(map(len, statements().values()))
    assert {each[1:] for each in document.xpath("//v:reference/@value", namespaces=V3)} == set(rows)
    assert len(document.findall(".//v:entry", V3)) == len(rows)


def test_a_statement_says_whose_it_is_and_where_it_stands() -> None:
    document = written(statements())
    (entry, bare) = document.xpath("//v:section[v:code/@code='48765-2']/v:entry/v:observation", namespaces=V3)
    organization = entry.find("v:author/v:assignedAuthor/v:representedOrganization", V3)
    assert organization.find("v:id", V3).attrib == {"root": "1.2.392.100495.20.3.23", "extension": "1319999015"}
    assert entry.find("v:author/v:time", V3).get("value") == "20240501101500+0900"
    assert entry.find("v:reference/v:externalDocument/v:id", V3).get("root") == "1.2.392.99.1"
    assert bare.find("v:reference", V3) is None
    (row, _) = document.xpath("//v:section[v:code/@code='48765-2']//v:tbody/v:tr", namespaces=V3)
    assert [cell.text for cell in row][-2:] == ["模擬中央病院", "2024/05/01"]


def test_codes_and_values_are_kept_as_the_source_gave_them() -> None:
    document = written(statements())
    codes = document.xpath("//v:section[v:code/@code='30954-2']/v:entry/v:observation/v:code", namespaces=V3)
    assert dict(codes[0].attrib) == {
        "code": "3A010000002327101",
        "codeSystem": "1.2.392.200119.4.504",
        "displayName": "総蛋白",
    }
    assert [each.get("codeSystemName") for each in codes[0].findall("v:translation", V3)] == ["JC11", "99X"]
    assert codes[1].get("nullFlavor") == "OTH"
    values = document.xpath("//v:section[v:code/@code='30954-2']/v:entry/v:observation/v:value", namespaces=V3)
    kinds = [each.get("{http://www.w3.org/2001/XMLSchema-instance}type") for each in values]
    assert kinds == ["PQ", "ST", "ST"]
    assert (values[0].get("value"), values[0].get("unit"), values[2].text) == ("7.2", "g/dl", "7.2 個 / 視野")
    dose = document.find(".//v:doseQuantity", V3)
    assert (dose.get("value"), dose.findtext("v:translation/v:originalText", namespaces=V3)) == ("1.5", "錠")


def test_nothing_said_is_said_to_be_nothing_in_these_records() -> None:
    document = written({})
    for section in document.xpath("//v:section[v:code]", namespaces=V3):
        assert "記載がありません" in "".join(section.find("v:text", V3).itertext())


def test_a_browser_needs_nothing_from_elsewhere() -> None:
    document = written({})
    style = document.getprevious()
    assert isinstance(style, etree._ProcessingInstruction)
    assert style.get("type") == "text/css"
    css = unquote(str(style.get("href")))
    assert css.startswith("data:text/css")
    assert "@namespace url(urn:hl7-org:v3)" in css
    assert "http" not in css
