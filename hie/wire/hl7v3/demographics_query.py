"""ITI-47 Patient Demographics Query HL7 v3: PRPA_IN201305UV02 and PRPA_IN201306UV02 (ITI TF-2: 3.47).

The cases of 3.47.4.2.3 and what makes them: people found (AA, OK, one registrationEvent each, with
queryMatchObservation); nobody (AA, NF); domains asked for that nobody knows (AE, AE, one 204 for each, raised at
``domain[n]``). A person without an identifier in a domain asked for stays, with a null id of that domain in
asOtherIDs (HL7 v2 leaves it out). A page is of initialQuantity records; the next is asked for by ``continue_query``,
whose answers have this form too, or given up by ``cancel_query``.

A parameter whose PN says ``SRCH`` asks for near matches; ``*`` and ``?`` are wildcards as in HL7 v2. IHE allows one
value in a parameter; several are read as alternatives. Several livingSubjectName are alternatives too, several
livingSubjectId have all to match (3.47.4.1.2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

from lxml import etree

from hie.values.demographics_queries import (
    AddressCriterion,
    BirthCriterion,
    DemographicsMatch,
    DemographicsQuery,
    DemographicsResult,
    NameCriterion,
    Representation,
    TextCriterion,
    TextMatch,
)
from hie.values.errors import ExchangeError, Finding, Reason
from hie.values.identifiers import AssigningAuthority, Identifier
from hie.values.people import Address, NameParts
from hie.values.times import read_dtm
from hie.wire.hl7v3 import wrapper
from hie.wire.hl7v3.datatypes import (
    all_at,
    at,
    attribute,
    id_text,
    is_time,
    read_address,
    read_authority,
    read_date,
    read_identifiers,
    read_ii,
    read_name_parts,
    read_telephone,
    representation_of,
    representation_use,
    text_of,
    value_at,
    write_address,
    write_id,
    write_ii,
    write_name_parts,
    write_root,
    write_telephone,
)
from hie.wire.hl7v3.people import (
    read_demographics,
    read_sex,
    write_missing,
    write_patient,
    write_person,
    write_provider,
    write_registration,
)
from hie.wire.hl7v3.structure import findings_of
from hie.wire.hl7v3.wrapper import Devices, Places
from hie.wire.soap.envelope import SoapBody, SoapMessage

QUERY = "PRPA_IN201305UV02"
RESPONSE = "PRPA_IN201306UV02"
ACTION = f"urn:hl7-org:v3:{QUERY}"
RESPONSE_ACTION = f"urn:hl7-org:v3:{RESPONSE}"
MOST_REPETITIONS = 100

_QUERY = "controlActProcess/queryByParameter"
_PARAMETERS = f"{_QUERY}/parameterList"
_PATIENT = "registrationEvent/subject1/patient"
_DEGREE = f"{_QUERY}/matchCriterionList/minimumDegreeMatch/value"

# Parameters that narrow nothing here, and what an answer calls them.
_IGNORED = {
    "livingSubjectBirthPlaceAddress": "birth place",
    "livingSubjectBirthPlaceName": "birth place",
    "livingSubjectDeceasedTime": "time of death",
    "mothersMaidenName": "mother's maiden name",
    "patientStatusCode": "patient status",
    "principalCareProviderId": "principal care provider",
    "principalCareProvisionId": "principal care provision",
}

T = TypeVar("T")


def read_request(message: SoapMessage) -> DemographicsQuery:
    """Read a query. Raises ExchangeError with everything that is wrong with it."""
    wrapper.check_interaction(message, QUERY)
    root = message.body
    _check_repetitions(root)
    findings = _wrong_control(root)
    query = DemographicsQuery(
        message_id=wrapper.message_id(message),
        query_tag=id_text(at(root, f"{_QUERY}/queryId")),
        names=_names(root),
        births=_births(root, findings),
        sexes=_sexes(root),
        addresses=_groups(root, "patientAddress", _address),
        telephones=_groups(root, "patientTelecom", _telephone),
        identifiers=_identifiers(root, findings),
        domains=_domains(root, findings),
        page_size=_page_size(root, findings),
        minimum_score=_minimum_score(root, findings),
        source=value_at(root, "receiver/device/id", "root"),
        ignored=_ignored(root),
        raw=wrapper.element_bytes(at(root, _QUERY)),
    )
    if not findings and not query.asks:
        detail = "parameterList has to hold at least one parameter that narrows the search."
        findings.append(Finding(Reason.REQUIRED_MISSING, detail, f"/{QUERY}/{_PARAMETERS}"))
    if findings := findings or findings_of(root):
        raise ExchangeError.of(findings)
    return query


def write_response(message: SoapMessage, result: DemographicsResult) -> SoapBody:
    """``OK`` with a subject for each match, or ``NF``."""
    echo = wrapper.element_bytes(at(message.body, _QUERY))
    warnings = tuple((f"The search is not narrowed by {name}.", "parameters") for name in _ignored(message.body))
    return write_matches(message, result, id_text(at(message.body, f"{_QUERY}/queryId")), echo, warnings)


def write_error(message: SoapMessage, error: ExchangeError) -> SoapBody:
    """``AE`` or ``AR`` with an acknowledgementDetail for each finding, and no subject."""
    broken = bool(findings_of(message.body))  # what is built wrong would spoil the answer
    echo = b"" if broken else wrapper.element_bytes(at(message.body, _QUERY))
    query_id = id_text(at(message.body, f"{_QUERY}/queryId"))
    return write_refusal(message, error, query_id, echo, _places(message.body))


def write_matches(
    message: SoapMessage,
    result: DemographicsResult,
    query_id: str,
    echo: bytes,
    warnings: tuple[tuple[str, str], ...] = (),
) -> SoapBody:
    """A page of an answer. echo: the queryByParameter. warnings: (sentence, place) beside those of the result."""
    said = [(warning, "") for warning in result.warnings]
    if result.cap:
        said.append((f"More were found than the {result.cap} that are told; narrow the search.", "parameters"))
    acknowledged = wrapper.acknowledgement(message, "AA", (), _places(message.body), (*said, *warnings))
    oid = wrapper.own_oid(message)
    subjects = "".join(_write_match(match, oid) for match in result.matches)
    counts = (result.total, len(result.matches), result.remaining)
    status = "waitContinuedQueryResponse" if result.pointer else "deliveredResponse"
    ack = wrapper.query_ack(query_id, status, "OK" if result.matches else "NF", counts)
    return wrapper.query_response(message, RESPONSE, acknowledged, subjects, ack, echo)


def write_refusal(message: SoapMessage, error: ExchangeError, query_id: str, echo: bytes, places: Places) -> SoapBody:
    """An answer without subjects that says what was wrong."""
    kind = error.reason.value.acknowledgement
    acknowledged = wrapper.acknowledgement(message, kind, error.findings, places)
    ack = wrapper.query_ack(query_id, "aborted", "AE", (0, 0, 0))
    return wrapper.query_response(message, RESPONSE, acknowledged, "", ack, echo, wrapper.detected_issues(error))


def write_request(query: DemographicsQuery, devices: Devices) -> SoapBody:
    """Write a query of our own. queryId is ``query_tag`` (``root^extension``); absent ids are made. Of several demands
    on the name HL7 v3 can ask only the first."""
    quantity = f'<initialQuantity value="{query.page_size}"/>' if query.page_size else ""
    degree = ""
    if query.minimum_score is not None:
        degree = (
            f'<matchCriterionList><minimumDegreeMatch><value xsi:type="INT" value="{query.minimum_score}"/>'
            "<semanticsText>MinimumDegreeMatch</semanticsText></minimumDegreeMatch></matchCriterionList>"
        )
    content = (
        f"<queryByParameter>{write_id(query.query_tag or wrapper.new_id(), 'queryId')}"
        '<statusCode code="new"/><responseModalityCode code="R"/><responsePriorityCode code="I"/>'
        f"{quantity}{degree}<parameterList>{_write_parameters(query)}</parameterList></queryByParameter>"
    )
    return wrapper.request(QUERY, devices, content, message_id=query.message_id)


def read_response(message: SoapMessage) -> DemographicsResult:
    """Read the answer to a query or to a continuation. Raises ExchangeError for AE and AR.

    ``pointer`` of the result is the queryId where there is more, "" on the last page.
    """
    wrapper.read_acknowledgement(message, RESPONSE)
    root = message.body
    patients = all_at(root, f"controlActProcess/subject/{_PATIENT}")
    matches = tuple(map(_read_match, patients))
    ack = at(root, "controlActProcess/queryAck")
    total, remaining = (_quantity(ack, name) for name in ("resultTotalQuantity", "resultRemainingQuantity"))
    return DemographicsResult(
        matches=matches,
        pointer=id_text(at(ack, "queryId")) if remaining else "",
        total=len(matches) if total is None else total,
        remaining=remaining or 0,
        warnings=wrapper.read_warnings(message),
    )


# Reading parameters -------------------------------------------------------------------------------------------------


def _values(root: etree._Element, name: str) -> list[list[etree._Element]]:
    """The values of each instance of a parameter."""
    return [all_at(parameter, "value") for parameter in all_at(root, f"{_PARAMETERS}/{name}")]


def _check_repetitions(root: etree._Element) -> None:
    """Raise ExchangeError TOO_LARGE for more parameters or values than anybody asks with."""
    parameters = at(root, _PARAMETERS)
    children = [] if parameters is None else list(parameters)
    if len(children) > MOST_REPETITIONS or any(len(child) > MOST_REPETITIONS for child in children):
        detail = f"parameterList has more than {MOST_REPETITIONS} parameters or values of one."
        raise ExchangeError(Reason.TOO_LARGE, detail, f"/{QUERY}/{_PARAMETERS}")


def _groups(root: etree._Element, name: str, read: Callable[[etree._Element], T]) -> tuple[tuple[T, ...], ...]:
    """The criteria of each instance of a parameter that ask anything."""
    groups = (tuple(filter(None, map(read, values))) for values in _values(root, name))
    return tuple(filter(None, groups))


def _names(root: etree._Element) -> tuple[tuple[NameCriterion, ...], ...]:
    """One demand: of every value in every livingSubjectName one has to be met ("logically connected with an or")."""
    names = tuple(name for group in _groups(root, "livingSubjectName", _name) for name in group)
    return (names,) if names else ()


def _name(value: etree._Element) -> NameCriterion:
    is_search = "SRCH" in attribute(value, "use").split()
    wished = TextMatch.FUZZY if is_search else TextMatch.EXACT
    parts, mark = read_name_parts(value), representation_of(value)
    return NameCriterion(
        family=TextCriterion.with_wildcards(parts.family, wished),
        given=TextCriterion.with_wildcards(parts.given, wished),
        representation=Representation(mark) if mark else None,
    )


def _address(value: etree._Element) -> AddressCriterion:
    address = read_address(value)
    texts = (address.postal_code, address.prefecture, address.city, address.street, address.country, address.text)
    return AddressCriterion(*map(TextCriterion.with_wildcards, texts))


def _telephone(value: etree._Element) -> TextCriterion:
    return TextCriterion.with_wildcards(read_telephone(value))


def _births(root: etree._Element, findings: list[Finding]) -> tuple[BirthCriterion, ...]:
    """livingSubjectBirthTime: a time, or an interval with low and high."""
    found = []
    for number, values in enumerate(_values(root, "livingSubjectBirthTime"), 1):
        for value in values:
            exact = attribute(value, "value")
            first, last = exact or _bound(value, "low", 1), exact or _bound(value, "high", -1)
            if any(text and not is_time(text) for text in (first, last)) or not (first or last):
                detail = "The value of livingSubjectBirthTime has to be a date, YYYY[MM[DD]], or low and high of such."
                place = f"/{QUERY}/{_PARAMETERS}/livingSubjectBirthTime[{number}]/value"
                findings.append(Finding(Reason.WRONG_DATA_TYPE, detail, place))
            else:
                found.append(BirthCriterion(read_date(first), read_date(last)))
    return tuple(found)


def _bound(value: etree._Element, name: str, step: int) -> str:
    """One end of an interval; of one that does not belong to it (inclusive="false") the next day, month or year."""
    element = at(value, name)
    text = attribute(element, "value")
    if attribute(element, "inclusive") not in ("false", "0") or not is_time(text):
        return text
    date = read_date(text)
    if len(date) == 8:
        day = read_dtm(date)
        return (day + timedelta(days=step)).strftime("%Y%m%d") if day else text
    months = int(date[:4]) * 12 + int(date[4:] or "1") - 1 + step * (1 if len(date) == 6 else 12)
    return f"{months // 12:04}{months % 12 + 1:02}"[: len(date)]


def _sexes(root: etree._Element) -> tuple[str, ...]:
    values = (value for values in _values(root, "livingSubjectAdministrativeGender") for value in values)
    return tuple(filter(None, map(read_sex, values)))


def _identifiers(root: etree._Element, findings: list[Finding]) -> tuple[tuple[Identifier, ...], ...]:
    groups = []
    for number, values in enumerate(_values(root, "livingSubjectId"), 1):
        identifiers = tuple(map(read_ii, values))
        if not identifiers or any(not each.value or not each.assigning_authority for each in identifiers):
            place = f"/{QUERY}/{_PARAMETERS}/livingSubjectId[{number}]/value"
            detail = "The value of livingSubjectId has to have root and extension."
            findings.append(Finding(Reason.REQUIRED_MISSING, detail, place))
        groups.append(identifiers)
    return tuple(groups)


def _domains(root: etree._Element, findings: list[Finding]) -> tuple[AssigningAuthority, ...]:
    domains = []
    for value, place in zip(_domain_values(root), _domain_places(root), strict=True):
        domain = read_authority(value)
        if not domain.oid:
            detail = "The value of otherIDsScopingOrganization has to name a domain by its root."
            findings.append(Finding(Reason.REQUIRED_MISSING, detail, place))
        domains.append(domain)
    return tuple(domains)


def _domain_values(root: etree._Element) -> list[etree._Element]:
    return [value for values in _values(root, "otherIDsScopingOrganization") for value in values]


def _domain_places(root: etree._Element) -> tuple[str, ...]:
    """The XPath of every value of otherIDsScopingOrganization."""
    found = []
    for number, values in enumerate(_values(root, "otherIDsScopingOrganization"), 1):
        place = f"/{QUERY}/{_PARAMETERS}/otherIDsScopingOrganization[{number}]/value"
        found += [place] if len(values) == 1 else [f"{place}[{index}]" for index in range(1, len(values) + 1)]
    return tuple(found)


def _places(root: etree._Element) -> Places:
    return {
        "parameters": _PARAMETERS,
        "domain": _domain_places(root),
        "page_size": f"{_QUERY}/initialQuantity",
        "pointer": f"{_QUERY}/queryId",
        "source": "receiver/device/id",
        "identifier": f"{_PARAMETERS}/livingSubjectId[{{n}}]/value",
        "identifier.authority": f"{_PARAMETERS}/livingSubjectId[{{n}}]/value",
    }


def _wrong_control(root: etree._Element) -> list[Finding]:
    findings = []
    if not id_text(at(root, f"{_QUERY}/queryId")):
        findings.append(Finding(Reason.REQUIRED_MISSING, "queryId is required.", f"/{QUERY}/{_QUERY}/queryId"))
    for name, allowed in (("responseModalityCode", "R"), ("responsePriorityCode", "I")):
        if value_at(root, f"{_QUERY}/{name}", "code") not in ("", allowed):
            detail = f"{name} has to be {allowed}: answers are given at once."
            findings.append(Finding(Reason.NOT_IN_TABLE, detail, f"/{QUERY}/{_QUERY}/{name}"))
    return findings


def _page_size(root: etree._Element, findings: list[Finding]) -> int:
    element = at(root, f"{_QUERY}/initialQuantity")
    if element is None or attribute(element, "nullFlavor"):
        return 0
    number = whole_number(attribute(element, "value"))
    if not number:
        detail = "initialQuantity has to be a whole number greater than 0."
        findings.append(Finding(Reason.WRONG_DATA_TYPE, detail, f"/{QUERY}/{_QUERY}/initialQuantity"))
    return number or 0


def _minimum_score(root: etree._Element, findings: list[Finding]) -> int | None:
    element = at(root, _DEGREE)
    if element is None:
        return None
    number = whole_number(attribute(element, "value"))
    if number is None or number > 100:
        detail = "minimumDegreeMatch has to be a whole number from 0 to 100."
        findings.append(Finding(Reason.WRONG_DATA_TYPE, detail, f"/{QUERY}/{_DEGREE}"))
        return None
    return number


def whole_number(text: str) -> int | None:
    """A whole number of at most nine digits, or None."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _ignored(root: etree._Element) -> tuple[str, ...]:
    names = [name for element, name in _IGNORED.items() if at(root, f"{_PARAMETERS}/{element}") is not None]
    if at(root, f"{_QUERY}/matchCriterionList/matchAlgorithm") is not None:
        names.append("the algorithm of matchAlgorithm, which is none that was agreed")
    return tuple(dict.fromkeys(names))


# Matches ------------------------------------------------------------------------------------------------------------


def _write_match(match: DemographicsMatch, custodian: str) -> str:
    domains = (*(each.assigning_authority for each in match.identifiers), *match.missing)
    provider = write_provider(next((domain.oid for domain in domains if domain.oid), ""), match.facility_name)
    observation = (
        '<subjectOf1><queryMatchObservation classCode="COND" moodCode="EVN"><code code="IHE_PDQ"/>'
        f'<value xsi:type="INT" value="{match.score}"/></queryMatchObservation></subjectOf1>'
    )
    person = write_person(match.demographics, write_missing(match.missing))
    return write_registration(write_patient(match.identifiers, person, provider, observation), custodian)


def _read_match(patient: etree._Element) -> DemographicsMatch:
    score = whole_number(value_at(patient, "subjectOf1/queryMatchObservation/value"))
    others = all_at(patient, "patientPerson/asOtherIDs")
    elsewhere = read_identifiers(ids for other in others for ids in all_at(other, "id"))
    missing = tuple(
        read_authority(scope)
        for other in others
        if not read_identifiers(all_at(other, "id"))
        for scope in all_at(other, "scopingOrganization/id")
    )
    return DemographicsMatch(
        identifiers=tuple(dict.fromkeys((*read_identifiers(all_at(patient, "id")), *elsewhere))),
        demographics=read_demographics(patient),
        score=100 if score is None else score,
        facility_name=text_of(at(patient, "providerOrganization/name")),
        missing=missing,
    )


def _quantity(ack: etree._Element | None, name: str) -> int | None:
    return whole_number(value_at(ack, name))


# Writing parameters -------------------------------------------------------------------------------------------------


def _write_parameters(query: DemographicsQuery) -> str:
    groups: tuple[tuple[str, str, Iterable[Iterable[str]]], ...] = (
        (
            "livingSubjectAdministrativeGender",
            "LivingSubject.administrativeGender",
            [[f'<value code="{"UN" if sex == "O" else sex}"/>' for sex in query.sexes if sex in "MFO"]],
        ),
        ("livingSubjectBirthTime", "LivingSubject.birthTime", [map(_write_birth, query.births)]),
        (
            "livingSubjectId",
            "LivingSubject.id",
            [[write_ii(replace(each, type_code=""), "value") for each in group] for group in query.identifiers],
        ),
        ("livingSubjectName", "LivingSubject.name", [[_write_name(name)] for name in next(iter(query.names), ())]),
        (
            "otherIDsScopingOrganization",
            "OtherIDs.scopingOrganization.id",
            [[write_root(domain.oid, "value")] for domain in query.domains],
        ),
        ("patientAddress", "Patient.addr", [map(_write_address, group) for group in query.addresses]),
        (
            "patientTelecom",
            "Patient.telecom",
            [[write_telephone(each.pattern, "value") for each in group] for group in query.telephones],
        ),
    )
    return "".join(
        f"<{name}>{written}<semanticsText>{semantics}</semanticsText></{name}>"
        for name, semantics, instances in groups
        for written in map("".join, instances)
        if written
    )


def _write_birth(birth: BirthCriterion) -> str:
    if birth.first == birth.last:
        return f'<value value="{birth.first}"/>'
    low, high = (
        f'<{name} value="{text}"/>' if text else "" for name, text in (("low", birth.first), ("high", birth.last))
    )
    return f"<value>{low}{high}</value>"


def _write_name(criterion: NameCriterion) -> str:
    uses = []
    if TextMatch.FUZZY in (criterion.family.match, criterion.given.match):
        uses.append("SRCH")
    if criterion.representation:
        uses.append(representation_use(criterion.representation.value))
    return write_name_parts(NameParts(criterion.family.pattern, criterion.given.pattern), " ".join(uses), "value")


def _write_address(criterion: AddressCriterion) -> str:
    address = Address(
        postal_code=criterion.postal_code.pattern,
        prefecture=criterion.prefecture.pattern,
        city=criterion.city.pattern,
        street=criterion.street.pattern,
        text=criterion.text.pattern,
        country=criterion.country.pattern,
    )
    return write_address(address, "value")
