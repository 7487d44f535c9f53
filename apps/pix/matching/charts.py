"""What matching sees of one chart: normalised once, compared many times.

A chart is what one facility says of one patient. Everything here is derived from ``Demographics``; nothing is stored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Protocol

from apps.pix.matching.normalisation import (
    address_parts,
    baby_family,
    birth_as_written,
    birth_day,
    insurance_key,
    insurance_parts,
    is_kana,
    is_latin,
    kana_key,
    kana_sound,
    kanji_key,
    latin_key,
    telephone_key,
)
from hie.values.people import Demographics, Insurance, NameParts, PersonName


class Name(NamedTuple):
    """One representation of a name. A name that came in one piece stands in ``family``; "" is unknown."""

    family: str = ""
    given: str = ""


class Named(Protocol):
    """A chart as far as its names and birth go: ``Chart``, or ``Glance`` where no more was read."""

    @property
    def id(self) -> int: ...
    @property
    def current(self) -> bool: ...
    @property
    def names_kanji(self) -> Name: ...
    @property
    def names_kana(self) -> Name: ...
    @property
    def names_latin(self) -> Name: ...
    @property
    def birth_date(self) -> str: ...
    @property
    def born(self) -> str: ...


class Glance(NamedTuple):
    """The names and birth of one chart, as ``Chart`` has them. current: it was not merged into another."""

    id: int
    current: bool
    names_kanji: Name
    names_kana: Name
    names_latin: Name
    birth_date: str
    born: str


class Place(NamedTuple):
    """One address. street: what follows the city, without numbers; numbers: block, house and room."""

    postal: str = ""
    prefecture: str = ""
    city: str = ""
    street: str = ""
    numbers: tuple[str, ...] = ()


class Coverage(NamedTuple):
    """One insurance. branch: "" where it is unknown; without it the number is that of a household."""

    insurer: str
    symbol: str
    number: str
    branch: str

    @property
    def household(self) -> tuple[str, str, str]:
        return self.insurer, self.symbol, self.number


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart as rules and weights compare it: normalised, "" where the facility says nothing usable.

    kanji, kana: whole name; kanji_given, kana_given: given name alone. birth_date: a real day, ``YYYYMMDD``.
    insurances: one text of each insured person's number. current: the chart was not merged into another.

    names_*: the name parted, by representation; ``names_sound`` is the kana name as it sounds. born: the birth date as
    far as it is known, or as it is written where eight digits are no real day. newborn: the name is a baby's
    stand-in. facility: who says so.
    """

    id: int
    kanji: str = ""
    kanji_given: str = ""
    kana: str = ""
    kana_given: str = ""
    birth_date: str = ""
    sex: str = ""
    insurances: frozenset[str] = frozenset()
    current: bool = True
    names_kanji: Name = Name()
    names_kana: Name = Name()
    names_sound: Name = Name()
    names_latin: Name = Name()
    born: str = ""
    places: tuple[Place, ...] = ()
    telephones: frozenset[str] = frozenset()
    coverages: tuple[Coverage, ...] = ()
    newborn: bool = False
    facility: str = ""


def read_chart(
    chart_id: int,
    demographics: Demographics,
    *,
    current: bool = True,
    facility: str = "",
    past: tuple[Insurance, ...] = (),
) -> Chart:
    """What matching compares of a facility's statement about one patient.

    facility: any stable name of who says it; two charts of one facility are less often one human. past: insurances
    that it told before; an insurer's numbers change, and whom they belonged to does not.
    """
    insurances = demographics.insurances + past
    baby = any(map(_is_baby, (demographics.name.ideographic, demographics.name.phonetic, demographics.name.alphabetic)))
    ideographic, phonetic = _by_script(demographics.name)
    kanji, kana = _name(ideographic, kanji_key), _name(phonetic, kana_key)
    names_kanji, names_kana, names_latin = names_of(demographics.name)
    coverages = tuple(dict.fromkeys(parts for each in insurances if (parts := insurance_parts(each))))
    return Chart(
        id=chart_id,
        kanji="" if baby else kanji_key(ideographic.family + ideographic.given),
        kanji_given=kanji.given,
        kana="" if baby else kana_key(phonetic.family + phonetic.given),
        kana_given=kana.given,
        birth_date=birth_day(demographics.birth_date),
        sex=demographics.sex if demographics.sex in ("M", "F", "O") else "",
        insurances=frozenset(key for key in map(insurance_key, insurances) if key),
        current=current,
        names_kanji=names_kanji,
        names_kana=names_kana,
        names_sound=Name(kana_sound(names_kana.family), kana_sound(names_kana.given)),
        names_latin=names_latin,
        born=birth_as_written(demographics.birth_date),
        places=tuple(dict.fromkeys(Place(*address_parts(each)) for each in demographics.addresses if each)),
        telephones=frozenset(key for key in map(telephone_key, demographics.telephones) if key),
        coverages=tuple(Coverage(*parts) for parts in coverages),
        newborn=baby,
        facility=facility,
    )


def glance(chart_id: int, name: PersonName, birth_date: str, *, current: bool = True) -> Glance:
    """What a first look at a candidate reads of it."""
    return Glance(chart_id, current, *names_of(name), birth_day(birth_date), birth_as_written(birth_date))


def names_of(name: PersonName) -> tuple[Name, Name, Name]:
    """(kanji, kana, Latin) as they are compared. What was sent in Latin letters is neither kanji nor kana."""
    ideographic, phonetic = _by_script(name)
    return (
        _NO_NAME if _in_latin(ideographic) else _name(ideographic, kanji_key),
        _NO_NAME if _in_latin(phonetic) else _name(phonetic, kana_key),
        _latin_name(name),
    )


def _by_script(name: PersonName) -> tuple[NameParts, NameParts]:
    """(kanji, kana) of a name: kana in the place of kanji is kana, and a baby without a name has no given name in kana
    either (花子の児, ハナコノジ)."""
    ideographic, phonetic = name.ideographic, name.phonetic
    if not phonetic and ideographic and _in_kana(ideographic):
        return _NO_PARTS, ideographic
    if phonetic.given and _is_baby(ideographic):
        return ideographic, NameParts(phonetic.family, "")
    return ideographic, phonetic


def _in_kana(parts: NameParts) -> bool:
    return is_kana(parts.family + parts.given)


_NO_NAME, _NO_PARTS = Name(), NameParts()
_REMEMBERED = 1 << 15  # a human's charts, and those of its family, come one after the other


def _name(parts: NameParts, key: Callable[[str], str]) -> Name:
    return _keyed(parts.family, parts.given, key)


@lru_cache(_REMEMBERED)
def _keyed(family: str, given: str, key: Callable[[str], str]) -> Name:
    if baby_family(given) is not None or baby_family(family) is not None:
        return Name(key(baby_family(family) or family))
    return Name(key(family), key(given))


def _is_baby(parts: NameParts) -> bool:
    return _stands_for_a_baby(parts.family, parts.given)


@lru_cache(_REMEMBERED)
def _stands_for_a_baby(family: str, given: str) -> bool:
    return baby_family(given) is not None or baby_family(family) is not None


def _in_latin(parts: NameParts) -> bool:
    return _are_latin(parts.family, parts.given)


@lru_cache(_REMEMBERED)
def _are_latin(family: str, given: str) -> bool:
    return is_latin(NameParts(family, given).text)


def _latin_name(name: PersonName) -> Name:
    """The name in Latin letters, wherever it was sent."""
    for parts in (name.alphabetic, name.ideographic, name.phonetic):
        if parts and _in_latin(parts):
            return _name(parts, latin_key)
    return _NO_NAME
