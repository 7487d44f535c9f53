"""The patient of HL7 v3 messages: Patient and Person of PRPA_MT201301, 201302, 201303 and 201310 (NE2008)."""

from __future__ import annotations

from lxml import etree

from hie.values.identifiers import AssigningAuthority, Identifier
from hie.values.people import Demographics
from hie.wire.hl7v3.datatypes import (
    all_at,
    at,
    attribute,
    read_address,
    read_date,
    read_identifiers,
    read_name,
    read_telephone,
    value_at,
    write_address,
    write_ii,
    write_name,
    write_root,
    write_telephone,
)
from hie.wire.xml import escape

MOST_REPETITIONS = 1000

_SEXES = {"M": "M", "F": "F", "UN": "O", "O": "O", "U": "U"}  # AdministrativeGender to HL7 table 0001
_GENDERS = {"M": 'code="M"', "F": 'code="F"', "O": 'code="UN"', "U": 'nullFlavor="UNK"'}
_GENDER_SYSTEM = "2.16.840.1.113883.5.1"


def read_sex(element: etree._Element | None) -> str:
    """HL7 table 0001 of an AdministrativeGender; a code of another system is ``O``, one that is absent is ""."""
    code = attribute(element, "code").upper()
    if not code:
        return "U" if attribute(element, "nullFlavor") == "UNK" else ""
    return _SEXES.get(code, "O")


def read_demographics(patient: etree._Element | None) -> Demographics:
    """What a message says of its patient."""
    person = at(patient, "patientPerson")
    addresses = (*all_at(person, "addr"), *all_at(patient, "addr"))
    telephones = (*all_at(person, "telecom"), *all_at(patient, "telecom"))
    return Demographics(
        name=read_name(all_at(person, "name")),
        birth_date=read_date(value_at(person, "birthTime")),
        sex=read_sex(at(person, "administrativeGenderCode")),
        addresses=tuple(filter(None, map(read_address, addresses[:MOST_REPETITIONS]))),
        telephones=tuple(dict.fromkeys(filter(None, map(read_telephone, telephones[:MOST_REPETITIONS])))),
        death_time=value_at(person, "deceasedTime"),
        cleared=frozenset(("death_time",)) if _is_said_to_live(person) else frozenset(),
    )


def _is_said_to_live(person: etree._Element | None) -> bool:
    return value_at(person, "deceasedInd") in ("false", "0") and not value_at(person, "deceasedTime")


def read_all_identifiers(patient: etree._Element | None) -> tuple[Identifier, ...]:
    """The ids of the patient, and those that it has elsewhere (asOtherIDs), each once."""
    own = read_identifiers(all_at(patient, "id"))
    others = read_identifiers(all_at(patient, "patientPerson/asOtherIDs/id"))
    return tuple(dict.fromkeys((*own, *others)))


def write_person(demographics: Demographics, others: str = "", null_name: str = "NI") -> str:
    """patientPerson with everything that is known. others: written asOtherIDs."""
    written = [
        '<patientPerson classCode="PSN" determinerCode="INSTANCE">',
        write_name(demographics.name, null=null_name),
        *map(write_telephone, demographics.telephones),
    ]
    if demographics.sex in _GENDERS:
        gender = _GENDERS[demographics.sex]
        system = f' codeSystem="{_GENDER_SYSTEM}"' if gender.startswith("code") else ""
        written.append(f"<administrativeGenderCode {gender}{system}/>")
    if demographics.birth_date:
        written.append(f'<birthTime value="{escape(demographics.birth_date)}"/>')
    if demographics.death_time:
        written.append(f'<deceasedInd value="true"/><deceasedTime value="{escape(demographics.death_time)}"/>')
    written += map(write_address, demographics.addresses)
    return "".join((*written, others, "</patientPerson>"))


def write_missing(domains: tuple[AssigningAuthority, ...]) -> str:
    """asOtherIDs with a null id for each domain in which the person has none (ITI TF-2: 3.47.4.2.3)."""
    return "".join(
        '<asOtherIDs classCode="PAT"><id nullFlavor="NA"/><scopingOrganization classCode="ORG" '
        f'determinerCode="INSTANCE">{write_root(domain.oid)}</scopingOrganization></asOtherIDs>'
        for domain in domains
    )


def write_provider(oid: str, name: str = "") -> str:
    """providerOrganization: its id is the root of an id of the patient."""
    named = f"<name>{escape(name)}</name>" if name else ""
    return (
        f'<providerOrganization classCode="ORG" determinerCode="INSTANCE">{write_root(oid)}{named}'
        '<contactParty classCode="CON" nullFlavor="NI"/></providerOrganization>'
    )


def write_registration(patient: str, custodian_oid: str, replacement: str = "") -> str:
    """The subject of a control act: one registration of a patient."""
    return (
        '<subject typeCode="SUBJ" contextConductionInd="false"><registrationEvent classCode="REG" moodCode="EVN">'
        f'<id nullFlavor="NA"/><statusCode code="active"/><subject1 typeCode="SBJ">{patient}</subject1>'
        f'<custodian typeCode="CST"><assignedEntity classCode="ASSIGNED">{write_root(custodian_oid)}</assignedEntity>'
        f"</custodian>{replacement}</registrationEvent></subject>"
    )


def write_patient(identifiers: tuple[Identifier, ...], person: str, provider: str = "", observation: str = "") -> str:
    """Patient with its ids, one with a null flavor where there is none."""
    ids = "".join(map(write_ii, identifiers)) or '<id nullFlavor="NA"/>'
    return f'<patient classCode="PAT">{ids}<statusCode code="active"/>{person}{provider}{observation}</patient>'
