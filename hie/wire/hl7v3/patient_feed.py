"""ITI-44 Patient Identity Feed in HL7 v3 (ITI TF-2: 3.44): PRPA_IN201301UV02, 201302 and 201304.

Add, revise, and duplicates resolved; of the latter the patient is the survivor and priorRegisteredRole the subsumed
one, exactly one of each, and no demographics are taken from it. The answer is an accept acknowledgement.
"""

from __future__ import annotations

from lxml import etree

from hie.values.errors import ExchangeError, Finding, Reason
from hie.values.patients import FeedEvent, PatientFeed
from hie.values.people import Demographics
from hie.wire.hl7v3 import wrapper
from hie.wire.hl7v3.datatypes import all_at, at, attribute, read_identifiers, value_at, write_ii
from hie.wire.hl7v3.people import (
    MOST_REPETITIONS,
    read_demographics,
    write_patient,
    write_person,
    write_provider,
    write_registration,
)
from hie.wire.hl7v3.structure import findings_of
from hie.wire.hl7v3.wrapper import Devices
from hie.wire.soap.envelope import SoapBody, SoapMessage

INTERACTIONS = {
    "PRPA_IN201301UV02": FeedEvent.REGISTER,
    "PRPA_IN201302UV02": FeedEvent.UPDATE,
    "PRPA_IN201304UV02": FeedEvent.MERGE,
}
_NAMES = {event: name for name, event in INTERACTIONS.items()}

_EVENT = "controlActProcess/subject/registrationEvent"
_PATIENT = f"{_EVENT}/subject1/patient"
_PRIOR = f"{_EVENT}/replacementOf/priorRegistration/subject1/priorRegisteredRole"

PLACES = {
    "identifier": f"{_PATIENT}/id[{{n}}]",
    "identifier.authority": f"{_PATIENT}/id[{{n}}]/@root",
    "prior identifier": f"{_PRIOR}/id[{{n}}]",
    "prior identifier.authority": f"{_PRIOR}/id[{{n}}]/@root",
    "name": f"{_PATIENT}/patientPerson/name",
    "birth_date": f"{_PATIENT}/patientPerson/birthTime",
    "sex": f"{_PATIENT}/patientPerson/administrativeGenderCode",
    "death_time": f"{_PATIENT}/patientPerson/deceasedTime",
    "address": f"{_PATIENT}/patientPerson/addr[{{n}}]",
    "telephone": f"{_PATIENT}/patientPerson/telecom[{{n}}]",
}


def read_request(message: SoapMessage) -> PatientFeed:
    """Read a feed. Raises ExchangeError with everything that is wrong with it."""
    interaction = wrapper.check_interaction(message, *INTERACTIONS)
    event = INTERACTIONS[interaction]
    root = message.body
    patient = at(root, _PATIENT)
    findings = _wrong_subjects(root, interaction)
    ids, prior_ids = all_at(root, f"{_PATIENT}/id"), all_at(root, f"{_PRIOR}/id")
    if len(ids) > MOST_REPETITIONS:
        raise ExchangeError(
            Reason.TOO_LARGE, f"patient/id comes more than {MOST_REPETITIONS} times.", f"/{interaction}/{_PATIENT}/id"
        )
    identifiers, prior = read_identifiers(ids), read_identifiers(prior_ids)
    if patient is not None and not identifiers:
        findings.append(_missing("patient/id has to hold an id with extension.", interaction, f"{_PATIENT}/id"))
    is_merge = event is FeedEvent.MERGE
    if is_merge:
        findings += _wrong_merge(root, interaction, len(prior_ids), len(prior))
    if findings := findings or findings_of(root):
        raise ExchangeError.of(findings)
    return PatientFeed(
        event=event,
        trigger=interaction,
        message_id=wrapper.message_id(message),
        identifiers=identifiers,
        demographics=Demographics() if is_merge else read_demographics(patient),
        prior_identifiers=prior if is_merge else (),
        occurred_at=value_at(root, f"{_EVENT}/effectiveTime") or value_at(root, "controlActProcess/effectiveTime"),
    )


def write_response(message: SoapMessage, result: object = None) -> SoapBody:
    """``CA``. What the verb returned is not told."""
    return wrapper.write_acknowledgement(message)


def write_error(message: SoapMessage, error: ExchangeError) -> SoapBody:
    """``CE`` or ``CR`` with an acknowledgementDetail for each finding."""
    return wrapper.write_acknowledgement(message, error, PLACES)


def action_of(feed: PatientFeed) -> str:
    """The wsa:Action of a feed of our own. Raises KeyError for CHANGE_IDENTIFIER, which v3 does not know."""
    return f"urn:hl7-org:v3:{_NAMES[feed.event]}"


def write_request(feed: PatientFeed, devices: Devices) -> SoapBody:
    """Write a feed of our own. The id of the message is ``feed.message_id``, or fresh where there is none."""
    custodian = feed.identifiers[0].oid
    person = write_person(feed.demographics, null_name="NA")
    if feed.event is FeedEvent.MERGE and not feed.demographics.name:
        # A name has to be there (table 3.44.4.2.2-1), and nobody takes demographics from a merge.
        person = person.replace('<name nullFlavor="NA"/>', "<name>Unknown</name>")
    patient = write_patient(feed.identifiers, person, write_provider(custodian))
    replacement = ""
    if feed.event is FeedEvent.MERGE:
        replacement = (
            '<replacementOf typeCode="RPLC"><priorRegistration classCode="REG" moodCode="EVN">'
            '<statusCode code="obsolete"/><subject1 typeCode="SBJ"><priorRegisteredRole classCode="PAT">'
            f"{write_ii(feed.prior_identifiers[0])}</priorRegisteredRole></subject1></priorRegistration></replacementOf>"
        )
    content = write_registration(patient, custodian, replacement)
    return wrapper.request(_NAMES[feed.event], devices, content, message_id=feed.message_id)


def read_response(message: SoapMessage) -> None:
    """Read the acknowledgement. Raises ExchangeError with what the other side found, if it did not take the feed."""
    wrapper.read_acknowledgement(message, wrapper.ACCEPT)


def _missing(detail: str, interaction: str, place: str) -> Finding:
    return Finding(Reason.REQUIRED_MISSING, detail, f"/{interaction}/{place}")


def _wrong_subjects(root: etree._Element, interaction: str) -> list[Finding]:
    """A feed has exactly one subject with a patient."""
    subjects = len(all_at(root, "controlActProcess/subject"))
    if subjects > 1:
        detail = "There has to be exactly one subject: one event a message."
        return [Finding(Reason.SEGMENT_SEQUENCE, detail, f"/{interaction}/controlActProcess/subject[2]")]
    if at(root, _PATIENT) is None:
        return [_missing("The message has no patient.", interaction, _PATIENT)]
    return []


def _wrong_merge(root: etree._Element, interaction: str, ids: int, identifiers: int) -> list[Finding]:
    """A merge names exactly one subsumed id, in a registration that is obsolete."""
    findings = []
    if len(all_at(root, f"{_EVENT}/replacementOf")) != 1 or ids != 1 or identifiers != 1:
        detail = "There has to be exactly one replacementOf with exactly one id of the subsumed patient."
        findings.append(_missing(detail, interaction, f"{_PRIOR}/id"))
    status = at(root, f"{_EVENT}/replacementOf/priorRegistration/statusCode")
    if status is not None and attribute(status, "code") != "obsolete":
        place = f"/{interaction}/{_EVENT}/replacementOf/priorRegistration/statusCode"
        findings.append(Finding(Reason.NOT_IN_TABLE, "The status of the prior registration has to be obsolete.", place))
    return findings
