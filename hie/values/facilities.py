"""Facility codes, what follows from them, and how a facility writes its chart numbers.

Medical institution code of ten digits: prefecture 2, point table 1, district 2, institution 4, check 1. The check
digit is Luhn's over all ten. Patient-ID authority of a facility: JP Core, MHLW arc 1.2.392.100495.20.3.51.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

PATIENT_ID_ARC = "1.2.392.100495.20.3.51"
PREFECTURES = 47
LONGEST_CHART_NUMBER = 15  # the patient id of an SS-MIX2 storage
_FACILITY_CODE = re.compile(r"(\d{2})(\d)(\d{7})", re.ASCII)

# Third digit of the code: the fee schedule ("point table") the facility bills by.
HOSPITAL, CLINIC, DENTAL, PHARMACY, HOME_NURSING, INSURER, OTHER = (
    "hospital",
    "clinic",
    "dental",
    "pharmacy",
    "home-nursing",
    "insurer",
    "other",
)
_POINT_TABLES = {"1": (HOSPITAL, CLINIC), "3": (DENTAL,), "4": (PHARMACY,), "6": (HOME_NURSING,)}


def luhn_digit(digits: str) -> str:
    """The check digit of a digit string: weights 2,1,2,1… from the right, digit sums, complement to ten."""
    total = 0
    for position, digit in enumerate(reversed(digits)):
        product = int(digit) * (2 if position % 2 == 0 else 1)
        total += product // 10 + product % 10
    return str(-total % 10)


def is_facility_code(code: str) -> bool:
    """Whether the code has the shape of a medical institution code: ten digits that begin with a prefecture."""
    match = _FACILITY_CODE.fullmatch(code)
    return match is not None and 1 <= int(match[1]) <= PREFECTURES


def check_digit_holds(code: str) -> bool:
    """Whether the tenth digit fits the nine before it.

    Widely used sample codes do not pass (1311234567), so a code that fails is warned of, not refused.
    """
    return is_facility_code(code) and luhn_digit(code[:-1]) == code[-1]


def kinds_of(code: str) -> tuple[str, ...]:
    """The kinds that a facility code allows, the likeliest first; the code cannot tell a hospital from a clinic."""
    return _POINT_TABLES.get(code[2:3], (OTHER, INSURER))


def patient_id_oid(code: str) -> str:
    """The OID of the authority that assigns the facility's chart numbers; the arc's "1" marks a facility code."""
    return f"{PATIENT_ID_ARC}.1{code}"


def repository_oid(oid_root: str, code: str) -> str:
    """The repositoryUniqueId of a facility's documents. The "1" keeps the arc free of a leading zero."""
    return f"{oid_root}.6.1{code}"


@dataclass(frozen=True, slots=True)
class PatientIdProfile:
    """How a facility writes its chart numbers.

    length: digits of a complete number, 0 where it varies. pad: leading zeros are filled up to ``length``.
    strip_zeros: leading zeros mean nothing. uppercase: a and A are the same.
    """

    length: int = 0
    pad: bool = False
    strip_zeros: bool = False
    uppercase: bool = False

    def comparable(self, value: str) -> str:
        """The form in which two spellings of one chart number are equal. ``0`` stays ``0``."""
        value = value.strip()
        if self.uppercase:
            value = value.upper()
        if self.strip_zeros:
            value = value.lstrip("0") or value[-1:]
        if self.pad and self.length:
            value = value.rjust(self.length, "0")
        return value

    def spellings(self, value: str) -> tuple[str, ...]:
        """The ways in which a chart number in its comparable form may be written, this one first."""
        found = {value: None}
        if self.strip_zeros or (self.pad and self.length):
            bare = value.lstrip("0") or value[-1:]
            found.update((bare.rjust(length, "0"), None) for length in range(len(bare), LONGEST_CHART_NUMBER + 1))
        if self.uppercase:
            found.update((each.lower(), None) for each in list(found))
        return tuple(found)
