"""Persons as messages describe them: names in three representations, addresses, telephones, insurance.

HL7 v2 XPN, XAD, XTN, IN1; JAHIS and SS-MIX2 conventions (three name representations, whole address in XAD-8).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_KANA = re.compile(r"[\u3041-\u309f\u30a0-\u30ff\uff61-\uff9f\s・．.‐\-−]+")
_LATIN = re.compile(r"[\u0020-\u024f\uff01-\uff5e\u3000]+")


@dataclass(frozen=True, slots=True)
class NameParts:
    """One representation of a name. A name that came in one piece stands in ``family``."""

    family: str = ""
    given: str = ""

    def __bool__(self) -> bool:
        return bool(self.family or self.given)

    @property
    def text(self) -> str:
        return f"{self.family} {self.given}".strip()

    @property
    def script(self) -> str:
        """The representation that its letters speak for: ``alphabetic``, ``phonetic`` or ``ideographic``."""
        if _LATIN.fullmatch(self.text):
            return "alphabetic"
        return "phonetic" if _KANA.fullmatch(self.text) else "ideographic"


@dataclass(frozen=True, slots=True)
class PersonName:
    """A person's name: 漢字 (XPN-8 ``I``), カナ (``P``) and Latin letters (``A``)."""

    ideographic: NameParts = NameParts()
    phonetic: NameParts = NameParts()
    alphabetic: NameParts = NameParts()

    def __bool__(self) -> bool:
        return bool(self.ideographic or self.phonetic or self.alphabetic)


@dataclass(frozen=True, slots=True)
class Address:
    """An address: postal code without hyphen, prefecture, city, the rest, or all of it in ``text`` (XAD-8)."""

    postal_code: str = ""
    prefecture: str = ""
    city: str = ""
    street: str = ""
    text: str = ""
    country: str = ""

    def __bool__(self) -> bool:
        return bool(self.postal_code or self.prefecture or self.city or self.street or self.text)


@dataclass(frozen=True, slots=True)
class Insurance:
    """A health insurance as IN1 has it: 保険者番号, 記号, 番号, 枝番 as written, its period (YYYYMMDD or "")."""

    insurer_number: str = ""
    symbol: str = ""
    number: str = ""
    branch: str = ""
    valid_from: str = ""
    valid_to: str = ""
    plan_code: str = ""


@dataclass(frozen=True, slots=True)
class Demographics:
    """What a facility says of a person.

    birth_date: ``YYYYMMDD`` as sent, or a shorter date, or "". sex: HL7 table 0001 (``M F O U``) or "".
    A field named in ``cleared`` came as ``""``: the sender deletes the value; an empty field leaves it alone.
    """

    name: PersonName = PersonName()
    birth_date: str = ""
    sex: str = ""
    addresses: tuple[Address, ...] = ()
    telephones: tuple[str, ...] = ()
    insurances: tuple[Insurance, ...] = ()
    death_time: str = ""
    cleared: frozenset[str] = frozenset()
