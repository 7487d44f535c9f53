"""ITI-45 PIXv3 Query: PRPA_IN201309UV02 and PRPA_IN201310UV02 (ITI TF-2: 3.45).

The six cases of 3.45.4.2.3 and what makes them: identifiers found (AA, OK, one registrationEvent whose patient has
them all); none in the domains asked for (AA, NF: an empty ``CrossReferences``); unknown id or unknown domain of the
id (AE, AE: raised at ``identifier``, 204 at the patientIdentifier's value); unknown domains asked for (AE, AE: raised
at ``domain[n]``, one 204 for each at the value of that dataSource).
"""

from __future__ import annotations

from hie.values.errors import ExchangeError, Finding, Reason
from hie.values.identifiers import Identifier
from hie.values.patients import CrossReferenceQuery, CrossReferences
from hie.values.people import Demographics
from hie.wire.hl7v3 import wrapper
from hie.wire.hl7v3.datatypes import (
    all_at,
    at,
    id_text,
    read_authority,
    read_identifiers,
    value_at,
    write_id,
    write_ii,
    write_root,
)
from hie.wire.hl7v3.people import (
    read_all_identifiers,
    write_patient,
    write_person,
    write_provider,
    write_registration,
)
from hie.wire.hl7v3.structure import findings_of
from hie.wire.hl7v3.wrapper import Devices
from hie.wire.soap.envelope import SoapBody, SoapMessage

QUERY = "PRPA_IN201309UV02"
RESPONSE = "PRPA_IN201310UV02"
ACTION = f"urn:hl7-org:v3:{QUERY}"
RESPONSE_ACTION = f"urn:hl7-org:v3:{RESPONSE}"
MOST_DOMAINS = 100

_QUERY = "controlActProcess/queryByParameter"
_PARAMETERS = f"{_QUERY}/parameterList"
_IDENTIFIER = f"{_PARAMETERS}/patientIdentifier/value"
_DOMAIN = f"{_PARAMETERS}/dataSource"

PLACES = {
    "identifier": _IDENTIFIER,
    "identifier.authority": _IDENTIFIER,
    "domain": f"{_DOMAIN}[{{n}}]/value",
}


def read_request(message: SoapMessage) -> CrossReferenceQuery:
    """Read a query. Raises ExchangeError with everything that is wrong with it.

    Without a dataSource all domains are asked for; ``domains`` keeps their order.
    """
    wrapper.check_interaction(message, QUERY)
    root = message.body
    findings: list[Finding] = []
    identifiers = read_identifiers(all_at(root, _IDENTIFIER))
    if len(identifiers) != 1 or len(all_at(root, f"{_PARAMETERS}/patientIdentifier")) != 1:
        detail = "There has to be exactly one patientIdentifier, whose value has root and extension."
        findings.append(Finding(Reason.REQUIRED_MISSING, detail, f"/{QUERY}/{_IDENTIFIER}"))
    if not id_text(at(root, f"{_QUERY}/queryId")):
        findings.append(Finding(Reason.REQUIRED_MISSING, "queryId is required.", f"/{QUERY}/{_QUERY}/queryId"))
    if value_at(root, f"{_QUERY}/responsePriorityCode", "code") not in ("", "I"):
        detail = "responsePriorityCode has to be I: answers are immediate."
        findings.append(Finding(Reason.NOT_IN_TABLE, detail, f"/{QUERY}/{_QUERY}/responsePriorityCode"))
    sources = all_at(root, _DOMAIN)
    if len(sources) > MOST_DOMAINS:
        raise ExchangeError(Reason.TOO_LARGE, f"There are more than {MOST_DOMAINS} dataSource.", f"/{QUERY}/{_DOMAIN}")
    values = [at(source, "value") for source in sources]
    domains = tuple(read_authority(value) for value in values if value is not None)
    for number, value in enumerate(values, 1):
        if value is None or not read_authority(value).oid:
            detail = "The value of a dataSource has to name a domain by its root."
            findings.append(Finding(Reason.REQUIRED_MISSING, detail, f"/{QUERY}/{_DOMAIN}[{number}]/value"))
    if findings := findings or findings_of(root):
        raise ExchangeError.of(findings)
    return CrossReferenceQuery(
        message_id=wrapper.message_id(message),
        identifier=identifiers[0],
        domains=domains,
        query_tag=id_text(at(root, f"{_QUERY}/queryId")),
        raw=wrapper.element_bytes(at(root, _QUERY)),
    )


def write_response(message: SoapMessage, result: CrossReferences) -> SoapBody:
    """``OK`` with one patient that has all identifiers, or ``NF`` without one."""
    subject = ""
    if result.identifiers:
        oid = result.identifiers[0].oid
        person = write_person(Demographics(), null_name="NA")
        patient = write_patient(result.identifiers, person, write_provider(oid))
        subject = write_registration(patient, wrapper.own_oid(message))
    counts = (1, 1, 0) if subject else (0, 0, 0)
    ack = wrapper.query_ack(_query_id(message), "deliveredResponse", "OK" if subject else "NF", counts)
    return wrapper.query_response(
        message, RESPONSE, wrapper.acknowledgement(message, "AA"), subject, ack, _echo(message)
    )


def write_error(message: SoapMessage, error: ExchangeError) -> SoapBody:
    """``AE`` or ``AR`` with an acknowledgementDetail for each finding, and no patient."""
    kind = error.reason.value.acknowledgement
    acknowledged = wrapper.acknowledgement(message, kind, error.findings, PLACES)
    ack = wrapper.query_ack(_query_id(message), "aborted", "AE", (0, 0, 0))
    issues = wrapper.detected_issues(error)
    echo = b"" if findings_of(message.body) else _echo(message)  # what is built wrong would spoil the answer
    return wrapper.query_response(message, RESPONSE, acknowledged, "", ack, echo, issues)


def write_request(query: CrossReferenceQuery, devices: Devices) -> SoapBody:
    """Write a query of our own. queryId is ``query_tag`` (``root^extension``); absent ids are made."""
    sources = "".join(
        f"<dataSource>{write_root(domain.oid, 'value')}<semanticsText>DataSource.id</semanticsText></dataSource>"
        for domain in query.domains
    )
    asked = Identifier(query.identifier.value, query.identifier.assigning_authority)
    content = (
        f"<queryByParameter>{write_id(query.query_tag or wrapper.new_id(), 'queryId')}"
        f'<statusCode code="new"/><responsePriorityCode code="I"/><parameterList>{sources}<patientIdentifier>'
        f"{write_ii(asked, 'value')}<semanticsText>Patient.id</semanticsText></patientIdentifier></parameterList>"
        "</queryByParameter>"
    )
    return wrapper.request(QUERY, devices, content, message_id=query.message_id)


def read_response(message: SoapMessage) -> CrossReferences:
    """Read the answer: identifiers of the patient, none for ``NF``. Raises ExchangeError for AE and AR."""
    wrapper.read_acknowledgement(message, RESPONSE)
    patients = all_at(message.body, "controlActProcess/subject/registrationEvent/subject1/patient")
    found = (identifier for patient in patients for identifier in read_all_identifiers(patient))
    return CrossReferences(tuple(dict.fromkeys(found)))


def _query_id(message: SoapMessage) -> str:
    return id_text(at(message.body, f"{_QUERY}/queryId"))


def _echo(message: SoapMessage) -> bytes:
    return wrapper.element_bytes(at(message.body, _QUERY))
