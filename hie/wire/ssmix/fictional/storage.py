"""A facility's storage as its order system would leave it: files, versions, deletions (SS-MIX2 sections 2 and 3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from random import Random

from hie.wire.ssmix.fictional import messages
from hie.wire.ssmix.fictional.messages import Place, Writing
from hie.wire.ssmix.fictional.orders import ALLERGIES, DIAGNOSES, DRUGS
from hie.wire.ssmix.fictional.people import FictionalPerson

NO_ORDER = "999999999999999"
DEPARTMENTS = ("01", "08", "15", "32")


@dataclass(frozen=True, slots=True)
class File:
    """One file: its path below the root, with ``/``, and its bytes."""

    path: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Patient:
    """One patient's files at one facility are made from here: a clock that never shows the same time twice."""

    place: Place
    person: FictionalPerson
    chart_number: str
    random: Random
    today: date

    def write(self, at: datetime) -> Writing:
        return Writing(self.place, self.person, self.chart_number, at, f"{at:%y%m%d%H%M%S}{self.person.number:05d}")

    def file(
        self, content: bytes, data_type: str, on: date | None, order: str, at: datetime, dept: str, flag: int
    ) -> File:
        day = f"{on:%Y%m%d}" if on else "-"
        stamp = f"{at:%Y%m%d%H%M%S}{at.microsecond // 1000:03d}"
        name = "_".join((self.chart_number, day, data_type, order, stamp, dept, str(flag)))
        folder = f"{self.chart_number[:3]}/{self.chart_number[3:6]}/{self.chart_number}/{day}/{data_type}"
        return File(f"{folder}/{name}", content)


def make_storage(
    place: Place, people: list[tuple[FictionalPerson, str]], seed: int, today: date, years: int = 2
) -> Iterator[File]:
    """All files of a facility for the persons given with their chart numbers (at least six characters).

    The same arguments give the same bytes. Every patient has ADT-00; the rest is drawn.
    """
    for person, chart_number in people:
        random = Random(f"{seed} {place.facility_code} {person.number}")  # noqa: S311 - reproducible, nothing secret
        yield from _patient(Patient(place, person, chart_number, random, today), years)


def _patient(patient: Patient, years: int) -> Iterator[File]:
    days = sorted(patient.random.sample(range(1, years * 365), patient.random.randint(1, 4)), reverse=True)
    visits = [
        datetime.combine(patient.today - timedelta(days=day), time(9, patient.random.randint(0, 59))) for day in days
    ]
    yield from _demographics(patient, visits[0])
    yield from _lists(patient, visits)
    for number, visit in enumerate(visits, 1):
        yield from _visit(patient, visit, number)
    if patient.random.random() < 0.3:
        yield from _stay(patient, visits[-1] + timedelta(days=1))


def _demographics(patient: Patient, first: datetime) -> Iterator[File]:
    height, weight = patient.random.uniform(140, 182), patient.random.uniform(40, 85)
    if patient.random.random() < 0.25:  # has moved since: the older version is kept as history
        before = replace(patient, person=replace(patient.person, address="架空県旧市街町１丁目１番１号"))
        at = _later(patient, first, 1)
        yield before.file(messages.adt_00(before.write(at), height, weight), "ADT-00", None, NO_ORDER, at, "-", 2)
    at = _later(patient, first, 30)
    yield patient.file(messages.adt_00(patient.write(at), height, weight), "ADT-00", None, NO_ORDER, at, "-", 1)


def _lists(patient: Patient, visits: list[datetime]) -> Iterator[File]:
    known = patient.random.sample(DIAGNOSES, patient.random.randint(1, 3))
    diagnoses = [(diagnosis, visits[0]) for diagnosis in known]
    if len(diagnoses) > 1:
        at = _later(patient, visits[0], 40)
        content = messages.ppr_01(patient.write(at), diagnoses[:1])
        yield patient.file(content, "PPR-01", None, NO_ORDER, at, "01", 2)
    at = _later(patient, visits[-1], 41)
    yield patient.file(messages.ppr_01(patient.write(at), diagnoses), "PPR-01", None, NO_ORDER, at, "01", 1)
    if patient.random.random() < 0.5:
        at = _later(patient, visits[0], 42)
        allergies = patient.random.sample(ALLERGIES, patient.random.randint(1, 2))
        yield patient.file(messages.adt_61(patient.write(at), allergies), "ADT-61", None, NO_ORDER, at, "-", 1)


def _visit(patient: Patient, visit: datetime, number: int) -> Iterator[File]:
    department = patient.random.choice(DEPARTMENTS)
    at = _later(patient, visit, 0)
    yield patient.file(
        messages.adt_12(patient.write(at), department, visit), "ADT-12", visit, NO_ORDER, at, department, 1
    )
    yield from _laboratory(patient, visit, department, f"{number:02d}1")
    yield from _prescription(patient, visit, department, f"{number:02d}2")


def _laboratory(patient: Patient, visit: datetime, department: str, suffix: str) -> Iterator[File]:
    if patient.random.random() < 0.3:
        return
    order = _order(patient, suffix)
    at = _later(patient, visit, 3)
    yield patient.file(
        messages.oml_01(patient.write(at), order, department, visit), "OML-01", visit, order, at, department, 1
    )
    if patient.random.random() < 0.4:  # preliminary first
        at = _later(patient, visit, 60)
        content = messages.oml_11(patient.write(at), order, department, visit, False, patient.random)
        yield patient.file(content, "OML-11", visit, order, at, department, 2)
    at = _later(patient, visit, 180)
    content = messages.oml_11(patient.write(at), order, department, visit, True, patient.random)
    yield patient.file(content, "OML-11", visit, order, at, department, 1)


def _prescription(patient: Patient, visit: datetime, department: str, suffix: str) -> Iterator[File]:
    drugs = patient.random.sample(DRUGS, patient.random.randint(1, 3))
    order = _order(patient, suffix)
    at = _later(patient, visit, 20)
    content = messages.omp_01(patient.write(at), order, drugs, department, visit)
    deleted = patient.random.random() < 0.12
    yield patient.file(content, "OMP-01", visit, order, at, department, 0 if deleted else 1)
    if deleted:  # the deletion message is kept too
        at = _later(patient, visit, 25)
        yield patient.file(messages.cancel_order(patient.write(at), content), "OMP-01", visit, order, at, department, 0)


def _stay(patient: Patient, admitted: datetime) -> Iterator[File]:
    discharged = admitted + timedelta(days=patient.random.randint(2, 9))
    if discharged.date() >= patient.today:
        return
    department = "08"
    at = _later(patient, admitted, 5)
    yield patient.file(
        messages.adt_22(patient.write(at), department, admitted), "ADT-22", admitted, NO_ORDER, at, department, 1
    )
    start, stop = admitted + timedelta(hours=2), admitted + timedelta(hours=5)
    order = _order(patient, "903")
    at = _later(patient, start, 0)
    content = messages.omp_02(patient.write(at), order, department, start, stop)
    yield patient.file(content, "OMP-02", start, order, at, department, 1)
    at = _later(patient, stop, 5)
    content = messages.omp_12(patient.write(at), order, department, start, stop)
    yield patient.file(content, "OMP-12", start, order, at, department, 1)
    at = _later(patient, discharged, 5)
    content = messages.adt_52(patient.write(at), department, admitted, discharged)
    yield patient.file(content, "ADT-52", discharged, NO_ORDER, at, department, 1)


def _order(patient: Patient, suffix: str) -> str:
    return f"{patient.person.number:012d}{suffix}"


def _later(patient: Patient, moment: datetime, minutes: int) -> datetime:
    return moment + timedelta(
        minutes=minutes, seconds=patient.random.randint(0, 59), milliseconds=patient.random.randint(1, 999)
    )
