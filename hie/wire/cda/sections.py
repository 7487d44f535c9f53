"""The sections of a summary: LOINC code, title, columns of the narrative and the entry of one statement (CDA R2 4.3).

A row of ``FORMS`` a section. The entries carry what the source gave as codes; each says which facility it comes from,
when it was written, and which document of the registry it stands in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hie.values.codes import Code
from hie.values.summaries import Allergy, Coded, Encounter, Medication, Problem, Result, Section, Source
from hie.wire.cda.parts import (
    NOT_KNOWN,
    attribute,
    code_attributes,
    coded,
    instance_identifier,
    interval,
    moment,
    paragraph,
    table,
    time,
)
from hie.wire.xml import escape

LOINC = "2.16.840.1.113883.6.1"
ACT_CODES = "2.16.840.1.113883.5.4"
INTERPRETATIONS = "2.16.840.1.113883.5.83"
INSTITUTION_CODES = "1.2.392.100495.20.3.23"
_UNIT = re.compile(r"[A-Za-z0-9%*/.^\[\]{}()'-]{1,40}")  # what can stand in PQ/@unit: UCUM is ASCII without blanks
_NOTHING = "この文書のもとになった記録には記載がありません。"


@dataclass(frozen=True, slots=True)
class Form:
    """How one section is written. cells: statement -> its cells. entry: (statement, id of its row) -> XML."""

    code: Code
    title: str
    columns: tuple[str, ...]
    cells: Callable[[Any], Sequence[str]]
    entry: Callable[[Any, str], str]


def write_section(section: Section) -> str:
    """A section with its narrative and its entries, wrapped in its component."""
    form = FORMS[section.name]
    rows = [(f"{section.name}-{number}", each) for number, each in enumerate(section.statements, 1)]
    text = table(
        (*form.columns, "施設", "出典"),
        ((identity, (*form.cells(each), each.source.facility_name, origin(each.source))) for identity, each in rows),
    )
    narrative = (text if rows else paragraph(_NOTHING)) + paragraph(_bounds(section))
    entries = "".join(f"<entry>{form.entry(each, identity)}</entry>" for identity, each in rows)
    return (
        f"<component><section><code{code_attributes(form.code)}/><title>{escape(form.title)}</title>"
        f"<text>{narrative}</text>{entries}</section></component>"
    )


def origin(source: Source) -> str:
    """``検体検査結果 2024/05/01``."""
    return f"{source.kind} {day(source.day)}".strip()


def day(text: str) -> str:
    """A time for people: ``2024/05/01 10:15``, as precise as it is known; other text stays."""
    if not time(text):
        return text
    date = "/".join(filter(None, (text[:4], text[4:6], text[6:8])))
    return f"{date} {text[8:10]}:{text[10:12]}" if len(text) >= 12 else date


def _bounds(section: Section) -> str:
    more = "これより古い文書があり、ここには含まれません。" if section.cut else ""
    return f"新しい文書から最大{section.limit}件を読み取りました。{more}"


# Cells --------------------------------------------------------------------------------------------------------------


def _allergy_cells(each: Allergy) -> Sequence[str]:
    return (each.agent.text, each.kind, each.severity, each.reaction, day(each.since))


def _problem_cells(each: Problem) -> Sequence[str]:
    marks = "、".join(filter(None, ("主病名" if each.main else "", "疑い" if each.suspected else "", each.outcome)))
    return (each.name.text, _codes(each.name), day(each.since), day(each.until), marks)


def _medication_cells(each: Medication) -> Sequence[str]:
    when = " 〜 ".join(dict.fromkeys(filter(None, (day(each.start), day(each.stop)))))
    how = "、".join(filter(None, (each.usage.text, each.route, each.duration, each.status)))
    return (each.drug.text, each.dose, how, when, "実施" if each.given else "指示")


def _result_cells(each: Result) -> Sequence[str]:
    flags = {"H": "高", "L": "低", "HH": "極高", "LL": "極低", "A": "異常", "AA": "異常"}
    mark = "、".join(filter(None, (flags.get(each.flag, each.flag), "中間報告" if each.preliminary else "")))
    return (day(each.at), each.item.text, f"{each.value} {each.unit}".strip(), mark, each.range)


def _encounter_cells(each: Encounter) -> Sequence[str]:
    return (each.what, day(each.start), day(each.stop), each.department)


def _codes(value: Coded) -> str:
    return "、".join(code.code for code in value.codes)


# Entries ------------------------------------------------------------------------------------------------------------


def _allergy_entry(each: Allergy, identity: str) -> str:
    agent = (
        '<participant typeCode="CSM"><participantRole classCode="MANU"><playingEntity classCode="MMAT">'
        f"{coded('code', each.agent, identity)}<name>{escape(each.agent.text)}</name>"
        "</playingEntity></participantRole></participant>"
    )
    return (
        '<observation classCode="OBS" moodCode="EVN">'
        f'<code code="ASSERTION" codeSystem="{ACT_CODES}"/>{_text(identity)}<statusCode code="completed"/>'
        f"{interval(each.since, '')}"
        f'<value xsi:type="CD" code="ALG" codeSystem="{ACT_CODES}" displayName="Allergy"/>'
        f"{_author(each.source)}{agent}{_reference(each.source)}</observation>"
    )


def _problem_entry(each: Problem, identity: str) -> str:
    return (
        '<observation classCode="OBS" moodCode="EVN">'
        f'<code code="ASSERTION" codeSystem="{ACT_CODES}"/>{_text(identity)}<statusCode code="completed"/>'
        f"{interval(each.since, each.until)}{coded('value', each.name, identity, 'CD')}"
        f"{_author(each.source)}{_reference(each.source)}</observation>"
    )


def _medication_entry(each: Medication, identity: str) -> str:
    mood = "EVN" if each.given else "INT"
    route = f'<routeCode nullFlavor="OTH"><originalText>{escape(each.route)}</originalText></routeCode>'
    product = (
        '<consumable><manufacturedProduct classCode="MANU"><manufacturedMaterial>'
        f"{coded('code', each.drug, identity)}<name>{escape(each.drug.text)}</name>"
        "</manufacturedMaterial></manufacturedProduct></consumable>"
    )
    return (
        f'<substanceAdministration classCode="SBADM" moodCode="{mood}">'
        f'{_text(identity)}<statusCode code="{"completed" if each.given else "active"}"/>'
        f"{interval(each.start, each.stop, 'IVL_TS')}{route if each.route else ''}{_dose(each)}"
        f"{product}{_author(each.source)}{_reference(each.source)}</substanceAdministration>"
    )


def _dose(each: Medication) -> str:
    """doseQuantity with the unit of the source as its translation: MERIT-9 units are no UCUM."""
    if not _is_number(each.amount):
        return ""
    words = f"<originalText>{escape(each.unit)}</originalText>" if each.unit else ""
    unit = f'<translation value="{each.amount}" nullFlavor="OTH">{words}</translation>' if words else ""
    return f'<doseQuantity value="{each.amount}">{unit}</doseQuantity>'


def _result_entry(each: Result, identity: str) -> str:
    flag = f'<interpretationCode code="{each.flag}" codeSystem="{INTERPRETATIONS}"/>' if each.flag in _FLAGS else ""
    limits = (
        f"<referenceRange><observationRange><text>{escape(each.range)}</text></observationRange></referenceRange>"
        if each.range
        else ""
    )
    return (
        f'<observation classCode="OBS" moodCode="EVN">{coded("code", each.item, identity)}{_text(identity)}'
        f'<statusCode code="{"active" if each.preliminary else "completed"}"/>{_at(each.at)}{_value(each)}'
        f"{flag}{_author(each.source)}{_reference(each.source)}{limits}</observation>"
    )


_FLAGS = frozenset(("H", "L", "HH", "LL", "A", "AA", "N"))


def _at(text: str) -> str:
    return f"<effectiveTime{attribute('value', time(text))}/>" if time(text) else ""


def _value(each: Result) -> str:
    """PQ where value and unit can stand in one, else the words of the source."""
    if each.number and (not each.unit or _UNIT.fullmatch(each.unit)):
        return f'<value xsi:type="PQ" value="{each.number}"{attribute("unit", each.unit)}/>'
    return f'<value xsi:type="ST">{escape(f"{each.value} {each.unit}".strip())}</value>'


def _encounter_entry(each: Encounter, identity: str) -> str:
    code = Code("IMP", ACT_CODES, "inpatient encounter") if each.inpatient else Code("AMB", ACT_CODES, "ambulatory")
    return (
        f'<encounter classCode="ENC" moodCode="EVN"><code{code_attributes(code)}/>{_text(identity)}'
        f"{interval(each.start, each.stop)}{_author(each.source)}{_reference(each.source)}</encounter>"
    )


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?\d+(?:\.\d+)?", text) is not None


def _text(identity: str) -> str:
    return f'<text><reference value="#{identity}"/></text>'


def _author(source: Source) -> str:
    """Who said it and when: the facility, by its institution code and name."""
    return (
        f"<author>{moment('time', source.written_at or source.day)}<assignedAuthor>"
        f"<id{NOT_KNOWN}/><representedOrganization>"
        f"{instance_identifier(INSTITUTION_CODES, source.facility_code)}<name>{escape(source.facility_name)}</name>"
        "</representedOrganization></assignedAuthor></author>"
    )


def _reference(source: Source) -> str:
    """The document of the registry in which it stands."""
    if not source.document_unique_id:
        return ""
    return (
        '<reference typeCode="REFR"><externalDocument classCode="DOC" moodCode="EVN">'
        f"{instance_identifier(source.document_unique_id)}</externalDocument></reference>"
    )


def _loinc(code: str, display: str) -> Code:
    return Code(code, LOINC, display)


FORMS: dict[str, Form] = {
    "allergies": Form(
        _loinc("48765-2", "Allergies and adverse reactions"),
        "アレルギー・不耐性",
        ("原因", "種類", "重症度", "反応", "時期"),
        _allergy_cells,
        _allergy_entry,
    ),
    "problems": Form(
        _loinc("11450-4", "Problem list"),
        "病名",
        ("病名", "コード", "開始", "終了", "区分・転帰"),
        _problem_cells,
        _problem_entry,
    ),
    "prescriptions": Form(
        _loinc("10160-0", "History of medication use"),
        "処方",
        ("薬剤", "1回量", "用法", "期間", "区分"),
        _medication_cells,
        _medication_entry,
    ),
    "injections": Form(
        _loinc("18610-6", "Medication administered"),
        "注射",
        ("薬剤", "1回量", "用法", "期間", "区分"),
        _medication_cells,
        _medication_entry,
    ),
    "results": Form(
        _loinc("30954-2", "Relevant diagnostic tests and laboratory data"),
        "検査結果",
        ("日時", "項目", "結果", "判定", "基準値"),
        _result_cells,
        _result_entry,
    ),
    "encounters": Form(
        _loinc("46240-8", "History of hospitalizations and outpatient visits"),
        "受診・入院",
        ("区分", "開始", "終了", "診療科"),
        _encounter_cells,
        _encounter_entry,
    ),
}
