"""Persons in HL7 v2: PID, IN1 and CX to values and back (HL7 2.5 chapters 2A, 3, 6; JAHIS and SS-MIX2 conventions).

Names come in up to three repetitions of PID-5 that XPN-8 labels ideographic (I), phonetic (P) or alphabetic (A); where
the label is missing or stands elsewhere, the script decides. Addresses come structured or whole in XAD-8, telephones
in XTN-12, 7 or 1, insurance symbols and numbers in IN1-10 and 11, sometimes joined by repetitions.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable

from hie.values.identifiers import AssigningAuthority, Identifier, is_oid
from hie.values.people import Address, Demographics, Insurance, NameParts, PersonName
from hie.wire.hl7v2 import writer
from hie.wire.hl7v2.message import NULL, Message, Segment


def read_demographics(message: Message) -> Demographics:
    """What a message says of its patient: the first PID and all IN1. Without a PID everything is empty.

    A field that came as ``""`` is named in ``cleared``. Unknown dates (``00000000``, ``99991231``) are empty. A name
    that is an alias (PID-32 ``AL``) is none; of somebody whom nobody knows (PID-31 ``Y``) sex and death alone are told.
    """
    pid = message.first("PID")
    if pid is None:
        return Demographics()
    birth_date, sex = _birth_date_and_sex(pid)
    if _value(pid, 31).upper() == "Y":
        return Demographics(sex=sex, death_time=_value(pid, 29))
    insurance_segments = message.all("IN1")
    return Demographics(
        name=PersonName() if "AL" in pid.repetitions(32) else read_name(pid, 5),
        birth_date=birth_date,
        sex=sex,
        addresses=tuple(filter(None, (_address(pid, each) for each in pid.repetitions(11)))),
        telephones=tuple(_telephones(pid, 13) + _telephones(pid, 14)),
        insurances=tuple(filter(None, map(_insurance, insurance_segments))),
        death_time=_value(pid, 29),
        cleared=frozenset(_cleared(pid, insurance_segments)),
    )


def read_identifiers(segment: Segment, field: int) -> tuple[Identifier, ...]:
    """The CX repetitions of a field that carry an id, in order. A missing assigning authority stays empty."""
    found = []
    for repetition in segment.repetitions(field):
        value = segment.component_of(repetition, 1).strip()
        if value and value != NULL:
            authority = read_authority(segment, repetition)
            found.append(Identifier(value, authority, segment.component_of(repetition, 5)))
    return tuple(found)


def read_authority(segment: Segment, repetition: str, component: int = 4) -> AssigningAuthority:
    """The HD in a component of a CX: namespace, and the universal id where it is an OID.

    An OID in the place of the namespace is taken for what it is.
    """
    namespace, universal_id, kind = (segment.component_of(repetition, component, sub).strip() for sub in (1, 2, 3))
    if universal_id and (kind.upper() == "ISO" or is_oid(universal_id)):
        return AssigningAuthority(universal_id, namespace)
    if not universal_id and namespace.count(".") > 2 and is_oid(namespace):
        return AssigningAuthority(namespace)
    return AssigningAuthority("", namespace or universal_id)


def write_pid(demographics: Demographics, identifiers: Iterable[Identifier], set_id: str = "1") -> str:
    """A PID segment without its terminator: names by representation, addresses whole in XAD-8 where so known."""
    fields = {
        1: set_id,
        3: writer.repetitions(map(writer.cx, identifiers)),
        5: write_name(demographics.name),
        7: writer.escape(demographics.birth_date),
        8: writer.escape(demographics.sex),
        11: writer.repetitions(map(_write_address, demographics.addresses)),
        13: writer.repetitions(
            writer.components("", "PRN", "PH", *[""] * 8, number) for number in demographics.telephones
        ),
        29: writer.escape(demographics.death_time),
        30: "Y" if demographics.death_time else "",
    }
    places = {"name": 5, "birth_date": 7, "sex": 8, "addresses": 11, "telephones": 13, "death_time": 29}
    fields |= {places[name]: NULL for name in demographics.cleared if name in places}
    return writer.segment("PID", fields)


def write_in1(insurance: Insurance, set_id: str = "1") -> str:
    """An IN1 segment without its terminator: symbol, number, branch as repetitions of IN1-10; IN1-11 the number."""
    fields = {
        1: set_id,
        2: writer.components(insurance.plan_code, "", "JHSD0001") if insurance.plan_code else "",
        3: writer.escape(insurance.insurer_number),
        10: writer.repetitions(map(writer.escape, (insurance.symbol, insurance.number, insurance.branch))).rstrip("~"),
        11: writer.escape(insurance.number),
        12: writer.escape(insurance.valid_from),
        13: writer.escape(insurance.valid_to),
    }
    return writer.segment("IN1", fields)


# Names --------------------------------------------------------------------------------------------------------------

_REPRESENTATIONS = {"I": "ideographic", "P": "phonetic", "A": "alphabetic"}
_BLANKS = re.compile(r"[\s\u3000]+")


def read_name(segment: Segment, field: int) -> PersonName:
    """The three representations of a name from the repetitions of an XPN field."""
    found: dict[str, NameParts] = {}
    unlabelled: list[NameParts] = []
    for repetition in sorted(segment.repetitions(field), key=lambda each: not _is_legal_name(segment, each)):
        parts = _name_parts(segment, repetition)
        if not parts:
            continue
        label = _representation(segment, repetition)
        if label:
            found.setdefault(label, parts)
        else:
            unlabelled.append(parts)
    for parts in unlabelled:
        label = parts.script
        if label in found and label == "phonetic":
            label = "ideographic"  # a name that is written in kana, beside its reading
        found.setdefault(label, parts)
    return PersonName(**found)


def write_name(name: PersonName) -> str:
    """The repetitions of an XPN field: one for each representation that is known, labelled in XPN-8."""
    written = (
        writer.components(parts.family, parts.given, "", "", "", "", "L", code)
        for code, parts in (("I", name.ideographic), ("P", name.phonetic), ("A", name.alphabetic))
        if parts
    )
    return writer.repetitions(written)


def _is_legal_name(segment: Segment, repetition: str) -> bool:
    """XPN-7 ``L`` or nothing that says otherwise: a maiden name, an alias or a pseudonym comes second."""
    return (
        segment.component_of(repetition, 7) in ("", "L", "D", "C")
        or segment.component_of(repetition, 8) == "L"
        or bool(_label_one_off(segment, repetition))
    )


def _representation(segment: Segment, repetition: str) -> str:
    """XPN-8, or its neighbours where the sender counts one off; "" where nobody says."""
    for component in (8, 9):
        label = _REPRESENTATIONS.get(segment.component_of(repetition, component).strip().upper())
        if label:
            return label
    return _label_one_off(segment, repetition)


def _label_one_off(segment: Segment, repetition: str) -> str:
    """The representation in XPN-7, where its letters say the same: ``A`` is an alias there, ``P`` a partner's name."""
    label = _REPRESENTATIONS.get(segment.component_of(repetition, 7).strip().upper(), "")
    if not label or segment.component_of(repetition, 8):
        return ""
    return label if _name_parts(segment, repetition).script == label else ""


def _name_parts(segment: Segment, repetition: str) -> NameParts:
    family, given, third = (_plain(segment.component_of(repetition, place, 1)) for place in (1, 2, 3))
    if not family and given and third:  # counted one off
        family, given = given, third
    if family and not given:
        pieces = _BLANKS.split(family, maxsplit=1)
        if len(pieces) == 2:
            family, given = pieces
    return NameParts(family, given)


def _plain(text: str) -> str:
    text = text.strip(" \t\u3000")
    return "" if text == NULL else text


# Dates, sex, addresses, telephones ----------------------------------------------------------------------------------

_DATE = re.compile(r"(?:1[89]|20|21)\d\d(?:\d\d){0,6}(?:\.\d+)?(?:[+-]\d{4})?")
_SEXES = {"M": "M", "F": "F", "O": "O", "U": "U", "A": "O", "N": "O"}  # HL7 table 0001


def _birth_date_and_sex(pid: Segment) -> tuple[str, str]:
    """PID-7 and PID-8 by their shape: some senders exchange them, some count one off (sex in 8, birth date in 9)."""
    seventh, eighth, ninth = (_value(pid, number) for number in (7, 8, 9))
    if seventh.upper() in _SEXES and not _SEXES.get(eighth.upper()) and (not eighth or _DATE.fullmatch(eighth)):
        seventh, eighth = eighth, seventh
    if not seventh and _DATE.fullmatch(ninth):
        seventh = ninth
    return _date(seventh), _SEXES.get(eighth.upper(), "")


def _date(text: str) -> str:
    """``YYYYMMDD`` or shorter; "" for what stands for an unknown date or is none."""
    return text[:8] if _DATE.fullmatch(text) else ""


def _value(segment: Segment, number: int) -> str:
    return _plain(segment.component(number, 1))


def _address(segment: Segment, repetition: str) -> Address:
    parts = [""] + [_plain(segment.component_of(repetition, place)) for place in range(1, 9)]
    street = _plain(segment.component_of(repetition, 1, 1))
    return Address(
        postal_code=_postal_code(parts[5]),
        prefecture=parts[4],
        city=parts[3],
        street=" ".join(filter(None, (street, parts[2]))),
        text=parts[8],
        country=parts[6],
    )


def _postal_code(text: str) -> str:
    narrow = unicodedata.normalize("NFKC", text)
    digits = re.sub(r"[〒\s‐‑−ー-]", "", narrow)
    return digits if digits.isdigit() else narrow


def _write_address(address: Address) -> str:
    return writer.components(
        address.street,
        "",
        address.city,
        address.prefecture,
        address.postal_code,
        address.country,
        "H",
        address.text,
    )


def _telephones(segment: Segment, field: int) -> list[str]:
    numbers = (_telephone(segment, repetition) for repetition in segment.repetitions(field))
    return [number for number in numbers if number]


def _telephone(segment: Segment, repetition: str) -> str:
    """The whole number in XTN-12, or area and local number in 6 and 7, or the old form in 1; none of a fax or a mail
    address (XTN-3)."""
    if segment.component_of(repetition, 3).strip().upper() in ("FX", "INTERNET", "X.400"):
        return ""
    whole, local, area, old = (_plain(segment.component_of(repetition, place)) for place in (12, 7, 6, 1))
    return whole or "-".join(filter(None, (area, local))) * bool(local) or old


# Insurance ----------------------------------------------------------------------------------------------------------


def _insurance(segment: Segment) -> Insurance | None:
    symbol, number, branch = _symbol_number_branch(segment)
    insurance = Insurance(
        insurer_number=_value(segment, 3),
        symbol=symbol,
        number=number,
        branch=branch,
        valid_from=_date(_value(segment, 12)),
        valid_to=_value(segment, 13)[:8],
        plan_code=_value(segment, 2),
    )
    return insurance if insurance.insurer_number or symbol or number else None


def _symbol_number_branch(segment: Segment) -> tuple[str, str, str]:
    """記号, 番号 and 枝番: one a field in IN1-10 and 11, or all in either, or a branch behind one of the two."""
    tenth, eleventh = (
        [_plain(segment.component_of(each, 1)) for each in segment.repetitions(field)] for field in (10, 11)
    )
    if len(tenth) > 2 or (len(tenth) == 2 and not any(eleventh)):
        return _three(tenth)
    if not any(tenth) and len(eleventh) > 1:
        return _three(eleventh)
    symbol, *rest = tenth or [""]
    number, *branches = eleventh or [""]
    return symbol, number, "".join(rest[:1] or branches[:1])


def _three(values: list[str]) -> tuple[str, str, str]:
    symbol, number, branch = (*values, "", "")[:3]
    return symbol, number, branch


# Deletions ----------------------------------------------------------------------------------------------------------

_CLEARABLE: tuple[tuple[str, Callable[[Segment], bool]], ...] = (
    ("name", lambda pid: pid.is_null(5)),
    ("birth_date", lambda pid: pid.is_null(7)),
    ("sex", lambda pid: pid.is_null(8)),
    ("addresses", lambda pid: pid.is_null(11)),
    ("telephones", lambda pid: pid.is_null(13)),
    ("death_time", lambda pid: pid.is_null(29) or (not pid.field(29) and pid.component(30, 1).strip().upper() == "N")),
)


def _cleared(pid: Segment, insurances: tuple[Segment, ...]) -> list[str]:
    names = [name for name, is_cleared in _CLEARABLE if is_cleared(pid)]
    if insurances and all(segment.is_null(3) for segment in insurances):
        names.append("insurances")
    return names
