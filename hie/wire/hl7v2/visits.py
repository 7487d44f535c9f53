"""Visits in HL7 v2: PV1 to values and back (HL7 2.5 chapter 3; ITI TF-2: 3.22, 3.31)."""

from __future__ import annotations

from hie.values.demographics_queries import Location, Practitioner, Visit
from hie.values.identifiers import Identifier
from hie.wire.hl7v2 import writer
from hie.wire.hl7v2.demographics import read_authority, read_identifiers
from hie.wire.hl7v2.message import NULL, Segment


def read_visit(segment: Segment) -> Visit:
    """A PV1 segment as a visit."""
    return Visit(
        patient_class=_text(segment, 2),
        location=_location(segment, 3),
        admission_type=_text(segment, 4),
        preadmit_number=_identifier(segment, 5),
        prior_location=_location(segment, 6),
        attending=_practitioners(segment, 7),
        referring=_practitioners(segment, 8),
        consulting=_practitioners(segment, 9),
        hospital_service=_text(segment, 10),
        temporary_location=_location(segment, 11),
        admitting=_practitioners(segment, 17),
        visit_number=_identifier(segment, 19),
        discharge_disposition=_text(segment, 36),
        pending_location=_location(segment, 42),
        admitted_at=_text(segment, 44),
        discharged_at=_text(segment, 45),
        cleared=tuple(name for name, number in _CLEARABLE.items() if segment.is_null(number)),
    )


_CLEARABLE = {
    "location": 3,
    "admission_type": 4,
    "preadmit_number": 5,
    "prior_location": 6,
    "attending": 7,
    "referring": 8,
    "consulting": 9,
    "hospital_service": 10,
    "temporary_location": 11,
    "admitting": 17,
    "discharge_disposition": 36,
    "pending_location": 42,
    "admitted_at": 44,
    "discharged_at": 45,
}


def write_pv1(visit: Visit, set_id: str = "1") -> str:
    """A PV1 segment without its terminator. PV1-2 is ``N`` where the class is not known."""
    fields = {
        1: set_id,
        2: writer.escape(visit.patient_class) or "N",
        3: _pl(visit.location),
        4: writer.escape(visit.admission_type),
        5: writer.cx(visit.preadmit_number) if visit.preadmit_number else "",
        6: _pl(visit.prior_location),
        7: _xcn(visit.attending),
        8: _xcn(visit.referring),
        9: _xcn(visit.consulting),
        10: writer.escape(visit.hospital_service),
        11: _pl(visit.temporary_location),
        17: _xcn(visit.admitting),
        19: writer.cx(visit.visit_number) if visit.visit_number else "",
        36: writer.escape(visit.discharge_disposition),
        42: _pl(visit.pending_location),
        44: writer.escape(visit.admitted_at),
        45: writer.escape(visit.discharged_at),
    }
    fields |= {_CLEARABLE[name]: NULL for name in visit.cleared}
    return writer.segment("PV1", fields)


def _text(segment: Segment, number: int) -> str:
    text = segment.component(number, 1).strip()
    return "" if text == NULL else text


def _location(segment: Segment, number: int) -> Location:
    parts = [segment.component(number, place, sub=1).strip() for place in (1, 2, 3, 4)]
    return Location(*("" if part == NULL else part for part in parts))


def _identifier(segment: Segment, number: int) -> Identifier | None:
    return next(iter(read_identifiers(segment, number)), None)


def _practitioners(segment: Segment, number: int) -> tuple[Practitioner, ...]:
    found = (_practitioner(segment, repetition) for repetition in segment.repetitions(number) if repetition != NULL)
    return tuple(filter(None, found))


def _practitioner(segment: Segment, repetition: str) -> Practitioner:
    value, family, given = (segment.component_of(repetition, place, 1).strip() for place in (1, 2, 3))
    return Practitioner(value, family, given, read_authority(segment, repetition, 9))


def _pl(location: Location) -> str:
    return writer.components(location.ward, location.room, location.bed, location.facility)


def _xcn(practitioners: tuple[Practitioner, ...]) -> str:
    return writer.repetitions(
        "^".join(
            (*map(writer.escape, (each.id, each.family, each.given)), *[""] * 5, writer.hd(each.assigning_authority))
        ).rstrip("^")
        for each in practitioners
    )
