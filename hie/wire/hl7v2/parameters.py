"""The parameters of a demographics query: QPD-3 as ``@PID.5.1.1^value`` (HL7 2.5 chapter 5, QIP; ITI TF-2: 3.21, 3.22).

A repetition names one element and its value. Repetitions about components of one field belong together; a component
that is named again begins another demand (``@PID.3.1^1~@PID.3.4.2^o~@PID.3.1^2~@PID.3.4.2^o``: both identifiers).
Without a component the value may be the whole field, its components behind it (``@PID.5^YAMADA^TARO``).

A trailing ``*`` asks for texts that begin so; ``*`` and ``?`` elsewhere make a pattern. A confidence threshold in QPD-4
or the name of an algorithm in QPD-5 asks for near matches of names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from hie.values.demographics_queries import (
    AddressCriterion,
    BirthCriterion,
    DemographicsQuery,
    NameCriterion,
    PractitionerCriterion,
    Representation,
    TextCriterion,
    TextMatch,
    VisitCriteria,
)
from hie.values.errors import Finding, Reason
from hie.values.identifiers import AssigningAuthority, Identifier, is_oid
from hie.wire.hl7v2 import writer
from hie.wire.hl7v2.message import Segment

MOST_PARAMETERS = 100

_NAME = re.compile(r"@?([A-Z][A-Z0-9]{2})\.(\d{1,3})(?:\.(\d{1,2}))?(?:\.(\d{1,2}))?", re.ASCII)
_DATE = re.compile(r"(\d{4}(?:\d\d){0,2})(?:\d\d){0,3}(?:\.\d+)?(?:[+-]\d{4})?", re.ASCII)
_SEXES = {"M": "M", "F": "F", "O": "O", "U": "U", "A": "O", "N": "O"}  # HL7 table 0001
_REPRESENTATIONS = {
    "I": Representation.IDEOGRAPHIC,
    "P": Representation.PHONETIC,
    "A": Representation.ALPHABETIC,
}


@dataclass(frozen=True, slots=True)
class Element:
    """One demand on one field: its components and sub-components with their texts, and where each stands in QPD-3."""

    field: str
    texts: Mapping[tuple[int, int], str]
    repetition: int

    def text(self, component: int, sub: int = 1) -> str:
        return self.texts.get((component, sub), "")

    @property
    def location(self) -> str:
        return f"QPD^1^3^{self.repetition}"


def read_criteria(
    parameters: Segment, query: DemographicsQuery, segments: frozenset[str] = frozenset({"PID", "PD1"})
) -> tuple[DemographicsQuery, list[Finding]]:
    """The query with the criteria of QPD-3 added, and what is wrong with them, located in QPD-3.

    segments: those whose fields may be named. A field that is known to HL7 and narrows nothing here is named in
    ``ignored``. Where nothing that narrows is left, that is a finding.
    """
    findings: list[Finding] = []
    elements = _elements(parameters, segments, findings)
    wished = TextMatch.FUZZY if parameters.field(4) or parameters.field(5) else TextMatch.EXACT
    for element in elements:
        reader = _READERS.get(element.field)
        if reader is None:
            query = replace(query, ignored=(*query.ignored, _IGNORED.get(element.field, element.field)))
            continue
        query = reader(query, element, wished, findings)
    if not findings and not query.asks:
        detail = "QPD-3 has to hold at least one parameter that narrows the search, as @PID.5.1.1^NAME."
        findings.append(Finding(Reason.REQUIRED_MISSING, detail, "QPD^1^3"))
    return query, findings


def ignored_names(parameters: Segment) -> tuple[str, ...]:
    """The names of the parameters in a QPD-3 that narrow nothing here: ``ignored`` of a query that was read before."""
    names = (_NAME.fullmatch(parameters.component_of(each, 1).strip()) for each in parameters.repetitions(3))
    fields = (f"{name[1]}.{int(name[2])}" for name in names if name)
    return tuple(dict.fromkeys(_IGNORED.get(field, field) for field in fields if field not in _READERS))


def write_criteria(query: DemographicsQuery) -> str:
    """QPD-3 of a query of our own. Of alternatives HL7 v2 can ask only the first."""
    written: list[str] = []
    for names in query.names:
        written += _write_name(names[0])
    for birth in query.births[:1]:
        written.append(_parameter("PID.7", birth.first or birth.last))
    written += [_parameter("PID.8", sex) for sex in query.sexes[:1]]
    for addresses in query.addresses:
        written += _write_address(addresses[0])
    written += [_parameter("PID.13.1", numbers[0].pattern) for numbers in query.telephones]
    for field, groups in (("PID.3", query.identifiers), ("PID.18", query.accounts)):
        for identifiers in groups:
            written += _write_identifier(field, identifiers[0])
    written += _write_visit(query.visit or VisitCriteria())
    return writer.repetitions(filter(None, written))


# Elements -----------------------------------------------------------------------------------------------------------


def _elements(parameters: Segment, segments: frozenset[str], findings: list[Finding]) -> list[Element]:
    """The demands in QPD-3, components of one field put together."""
    repetitions = parameters.repetitions(3)
    if len(repetitions) > MOST_PARAMETERS:
        findings.append(
            Finding(
                Reason.TOO_LARGE, f"QPD-3 has more than {MOST_PARAMETERS} parameters.", f"QPD^1^3^{MOST_PARAMETERS + 1}"
            )
        )
        return []
    open_elements: dict[str, tuple[dict[tuple[int, int], str], int]] = {}
    done: list[Element] = []
    for number, repetition in enumerate(repetitions, 1):
        match = _NAME.fullmatch(parameters.component_of(repetition, 1).strip())
        if match is None or match[1] not in segments:
            allowed = " ".join(sorted(segments))
            detail = f"QPD-3.1 has to name an element of {allowed}, as @PID.5.1.1."
            findings.append(Finding(Reason.NOT_IN_TABLE, detail, f"QPD^1^3^{number}^1"))
            continue
        field = f"{match[1]}.{int(match[2])}"
        texts = _texts(parameters, repetition, int(match[3] or 0), int(match[4] or 1))
        if not texts:
            continue
        known, first = open_elements.get(field, ({}, number))
        if not known.keys().isdisjoint(texts):
            done.append(Element(field, known, first))
            known, first = {}, number
        open_elements[field] = ({**known, **texts}, first)
    done += [Element(field, texts, number) for field, (texts, number) in open_elements.items()]
    return sorted(done, key=lambda element: element.repetition)


def _texts(parameters: Segment, repetition: str, component: int, sub: int) -> dict[tuple[int, int], str]:
    """The valued (component, sub-component) of one repetition."""
    if component:
        text = parameters.component_of(repetition, 2).strip()
        return {(component, sub): text} if text else {}
    found = {}
    for place in range(1, 13):
        if not parameters.component_of(repetition, place + 1):
            continue
        for inner in range(1, 4):
            text = parameters.component_of(repetition, place + 1, inner).strip()
            if text:
                found[place, inner] = text
    return found


# Readers of fields --------------------------------------------------------------------------------------------------

Reader = Callable[[DemographicsQuery, Element, TextMatch, list[Finding]], DemographicsQuery]


def _name(query: DemographicsQuery, element: Element, match: TextMatch, findings: list[Finding]) -> DemographicsQuery:
    criterion = NameCriterion(
        family=TextCriterion.with_wildcards(element.text(1), match),
        given=TextCriterion.with_wildcards(element.text(2), match),
        representation=_REPRESENTATIONS.get(element.text(8).upper()),
    )
    if not criterion:
        return query
    return replace(query, names=(*query.names, (criterion,)))


def _birth(query: DemographicsQuery, element: Element, match: TextMatch, findings: list[Finding]) -> DemographicsQuery:
    date = _DATE.fullmatch(element.text(1).rstrip("*"))
    if date is None:
        detail = "The value of @PID.7 has to be a date, YYYY[MM[DD]]."
        findings.append(Finding(Reason.WRONG_DATA_TYPE, detail, f"{element.location}^2"))
        return query
    return replace(query, births=(*query.births, BirthCriterion(date[1], date[1])))


def _sex(query: DemographicsQuery, element: Element, match: TextMatch, findings: list[Finding]) -> DemographicsQuery:
    sex = _SEXES.get(element.text(1).upper())
    if sex is None:
        detail = "The value of @PID.8 has to be one of M F O U A N (table HL70001)."
        findings.append(Finding(Reason.NOT_IN_TABLE, detail, f"{element.location}^2"))
        return query
    return replace(query, sexes=(*query.sexes, sex))


def _address(
    query: DemographicsQuery, element: Element, match: TextMatch, findings: list[Finding]
) -> DemographicsQuery:
    street = " ".join(filter(None, (element.text(1), element.text(2))))
    criterion = AddressCriterion(
        postal_code=TextCriterion.with_wildcards(element.text(5)),
        prefecture=TextCriterion.with_wildcards(element.text(4)),
        city=TextCriterion.with_wildcards(element.text(3)),
        street=TextCriterion.with_wildcards(street),
        country=TextCriterion.with_wildcards(element.text(6)),
        text=TextCriterion.with_wildcards(element.text(8)),
    )
    return replace(query, addresses=(*query.addresses, (criterion,))) if criterion else query


def _telephone(
    query: DemographicsQuery, element: Element, match: TextMatch, findings: list[Finding]
) -> DemographicsQuery:
    number = TextCriterion.with_wildcards(element.text(12) or element.text(1) or element.text(6) + element.text(7))
    return replace(query, telephones=(*query.telephones, (number,))) if number else query


def _identifier(
    query: DemographicsQuery, element: Element, match: TextMatch, findings: list[Finding]
) -> DemographicsQuery:
    found = _cx(element, findings, needs_authority=True)
    return replace(query, identifiers=(*query.identifiers, (found,))) if found else query


def _account(
    query: DemographicsQuery, element: Element, match: TextMatch, findings: list[Finding]
) -> DemographicsQuery:
    found = _cx(element, findings, needs_authority=False)
    return replace(query, accounts=(*query.accounts, (found,))) if found else query


def _cx(element: Element, findings: list[Finding], *, needs_authority: bool) -> Identifier | None:
    """An identifier with its domain. ``@PID.3.1`` without ``@PID.3.4`` is not allowed (3.21.4.1.2.3)."""
    namespace, oid = element.text(4, 1), element.text(4, 2)
    if not oid and is_oid(namespace) and namespace.count(".") > 2:
        namespace, oid = "", namespace
    authority = AssigningAuthority(oid, namespace) if is_oid(oid) else AssigningAuthority("", namespace or oid)
    missing = "4" if element.text(1) and needs_authority and not authority else "1" if not element.text(1) else ""
    if missing:
        detail = f"@{element.field}.1 and @{element.field}.4 have to come together; .{missing} is missing."
        findings.append(Finding(Reason.REQUIRED_MISSING, detail, element.location))
        return None
    return Identifier(element.text(1), authority, element.text(5))


def _practitioner(name: str) -> Reader:
    def read(
        query: DemographicsQuery, element: Element, match: TextMatch, findings: list[Finding]
    ) -> DemographicsQuery:
        criterion = PractitionerCriterion(*(TextCriterion.with_wildcards(element.text(place)) for place in (1, 2, 3)))
        return _with_visit(query, **{name: criterion})

    return read


def _patient_class(
    query: DemographicsQuery, element: Element, match: TextMatch, findings: list[Finding]
) -> DemographicsQuery:
    return _with_visit(query, patient_class=element.text(1).upper())


def _location(
    query: DemographicsQuery, element: Element, match: TextMatch, findings: list[Finding]
) -> DemographicsQuery:
    ward, room, bed, facility = (TextCriterion.with_wildcards(element.text(place)) for place in (1, 2, 3, 4))
    return _with_visit(query, ward=ward, room=room, bed=bed, facility=facility)


def _service(
    query: DemographicsQuery, element: Element, match: TextMatch, findings: list[Finding]
) -> DemographicsQuery:
    return _with_visit(query, hospital_service=TextCriterion.with_wildcards(element.text(1)))


def _visit_number(
    query: DemographicsQuery, element: Element, match: TextMatch, findings: list[Finding]
) -> DemographicsQuery:
    return _with_visit(query, visit_number=_cx(element, findings, needs_authority=False))


def _with_visit(query: DemographicsQuery, **changes: object) -> DemographicsQuery:
    return replace(query, visit=replace(query.visit or VisitCriteria(), **changes))  # type: ignore[arg-type]


_READERS: dict[str, Reader] = {
    "PID.3": _identifier,
    "PID.5": _name,
    "PID.7": _birth,
    "PID.8": _sex,
    "PID.11": _address,
    "PID.13": _telephone,
    "PID.14": _telephone,
    "PID.18": _account,
    "PV1.2": _patient_class,
    "PV1.3": _location,
    "PV1.7": _practitioner("attending"),
    "PV1.8": _practitioner("referring"),
    "PV1.9": _practitioner("consulting"),
    "PV1.10": _service,
    "PV1.17": _practitioner("admitting"),
    "PV1.19": _visit_number,
}
_IGNORED = {"PID.6": "mother's maiden name"}


# Writing ------------------------------------------------------------------------------------------------------------


def _parameter(name: str, text: str) -> str:
    return f"@{name}^{writer.escape(text)}" if text else ""


def _parameters(field: str, values: Iterable[tuple[str, str]]) -> list[str]:
    return [_parameter(f"{field}.{place}", text) for place, text in values]


def _write_name(criterion: NameCriterion) -> list[str]:
    codes = {representation: code for code, representation in _REPRESENTATIONS.items()}
    code = codes[criterion.representation] if criterion.representation else ""
    family, given = criterion.family.pattern, criterion.given.pattern
    return _parameters("PID.5", (("1.1", family), ("2", given), ("8", code)))


def _write_address(criterion: AddressCriterion) -> list[str]:
    places = (
        ("1.1", criterion.street),
        ("3", criterion.city),
        ("4", criterion.prefecture),
        ("5", criterion.postal_code),
        ("6", criterion.country),
        ("8", criterion.text),
    )
    return _parameters("PID.11", ((place, part.pattern) for place, part in places))


def _write_identifier(field: str, identifier: Identifier) -> list[str]:
    authority = identifier.assigning_authority
    kind = "ISO" if authority.oid else ""
    places = (("1", identifier.value), ("4.1", authority.namespace), ("4.2", authority.oid), ("4.3", kind))
    return _parameters(field, places)


def _write_visit(visit: VisitCriteria) -> list[str]:
    written = [_parameter("PV1.2", visit.patient_class)]
    places = (("1", visit.ward), ("2", visit.room), ("3", visit.bed), ("4.1", visit.facility))
    written += _parameters("PV1.3", ((place, part.pattern) for place, part in places))
    for number, doctor in ((7, visit.attending), (8, visit.referring), (9, visit.consulting), (17, visit.admitting)):
        parts = (("1", doctor.id), ("2.1", doctor.family), ("3", doctor.given))
        written += _parameters(f"PV1.{number}", ((place, part.pattern) for place, part in parts))
    written.append(_parameter("PV1.10", visit.hospital_service.pattern))
    if visit.visit_number:
        written += _write_identifier("PV1.19", visit.visit_number)
    return written
