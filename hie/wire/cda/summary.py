"""A summary as a CDA R2 document: header, sections, what it was made from (HL7 CDA R2 2005, 4.2 and 4.3).

It names no template of another profile, because it does not claim one. A processing instruction carries a style sheet
of its own, so that a browser shows the document without anything from elsewhere; who renders CDA renders the narrative.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from hie.values.summaries import Source, Subject, Summary
from hie.values.times import write_ts
from hie.wire.cda.parts import NOT_KNOWN, attribute, code_attributes, instance_identifier, names, paragraph, table, time
from hie.wire.cda.sections import origin, write_section
from hie.wire.xml import escape

MIME_TYPE = "text/xml"
SOFTWARE = "SS-MIX2 patient summary"

_NAMESPACE = "urn:hl7-org:v3"
_STYLE = quote((Path(__file__).parent / "summary.css").read_text(encoding="utf-8"), safe="")
_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    f'<?xml-stylesheet type="text/css" href="data:text/css;charset=utf-8,{_STYLE}"?>\n'
    f'<ClinicalDocument xmlns="{_NAMESPACE}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
)
_SEXES = {"M": "男", "F": "女"}
_GENDERS = "2.16.840.1.113883.5.1"
_ORIGIN = (
    "この文書は、求めに応じて、各施設のSS-MIX2標準化ストレージのうち閲覧者に開示できる記録だけから作成されました。"
    "記載がないことは、その事実がないことを意味しません。診療の判断には原本を確認してください。"
)
_LEFT_OUT = "次の文書は読み取れなかったため、含まれていません。"


def write_summary(summary: Summary) -> bytes:
    """The document in UTF-8."""
    made_at = write_ts(summary.made_at)
    parts = (
        _HEAD,
        '<typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/>',
        instance_identifier(summary.unique_id),
        f"<code{code_attributes(summary.code)}/><title>{escape(summary.title)}</title>",
        f'<effectiveTime value="{made_at}"/><confidentialityCode{code_attributes(summary.confidentiality)}/>',
        '<languageCode code="ja-JP"/>',
        _record_target(summary.subject),
        _author(summary, made_at),
        _custodian(summary),
        "<component><structuredBody>",
        *map(write_section, summary.sections),
        _about(summary),
        "</structuredBody></component></ClinicalDocument>\n",
    )
    return "".join(parts).encode()


def _record_target(subject: Subject) -> str:
    born = attribute("value", time(subject.birth_date)) or NOT_KNOWN
    gender = attribute("code", subject.sex if subject.sex in _SEXES else "")
    shown = f'{gender} codeSystem="{_GENDERS}"{attribute("displayName", _SEXES.get(subject.sex, ""))}'
    return (
        f"<recordTarget><patientRole>{instance_identifier(subject.identifier.oid, subject.identifier.value)}"
        f"<patient>{names(subject.name)}<administrativeGenderCode{shown if gender else NOT_KNOWN}/>"
        f"<birthTime{born}/></patient></patientRole></recordTarget>"
    )


def _author(summary: Summary, made_at: str) -> str:
    return (
        f'<author><time value="{made_at}"/><assignedAuthor>{instance_identifier(summary.custodian.oid)}'
        f"<assignedAuthoringDevice><softwareName>{SOFTWARE}</softwareName></assignedAuthoringDevice>"
        f"<representedOrganization>{_organization(summary)}</representedOrganization></assignedAuthor></author>"
    )


def _custodian(summary: Summary) -> str:
    return (
        f"<custodian><assignedCustodian><representedCustodianOrganization>{_organization(summary)}"
        "</representedCustodianOrganization></assignedCustodian></custodian>"
    )


def _organization(summary: Summary) -> str:
    return f"{instance_identifier(summary.custodian.oid)}<name>{escape(summary.custodian.name)}</name>"


def _about(summary: Summary) -> str:
    """The last section: how the document came about, from whom, and what could not be read."""
    sources = dict.fromkeys(each.source for section in summary.sections for each in section.statements)
    facilities = dict.fromkeys(each.facility_name for each in sources)
    text = paragraph(_ORIGIN)
    if facilities:
        text += paragraph("出典の施設: " + "、".join(facilities))
    if summary.left_out:
        text += paragraph(_LEFT_OUT) + table(("施設", "文書"), _left_out(summary.left_out))
    return f"<component><section><title>この文書について</title><text>{text}</text></section></component>"


def _left_out(sources: tuple[Source, ...]) -> list[tuple[str, tuple[str, str]]]:
    return [(f"left-out-{number}", (each.facility_name, origin(each))) for number, each in enumerate(sources, 1)]
