"""What is asked of a chart, as SQL: names, birth, sex, address, telephone, identifiers and visits (ITI-21, 22, 47).

Each demand becomes a ``Condition``. Texts never reach the SQL but as parameters; the beginning of a key is compared as
a range of bytes, which both databases answer from the index. ``people`` puts the conditions of a query together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import connection

from apps.ids.models import is_provisional
from apps.network import queries as network
from apps.pix.queries.cross_references import find_authority
from apps.pix.queries.spelling import address_key, postal_digits, sound, spelled, telephone_digits
from hie.values.demographics_queries import (
    AddressCriterion,
    BirthCriterion,
    NameCriterion,
    PractitionerCriterion,
    TextCriterion,
    TextMatch,
    VisitCriteria,
)
from hie.values.identifiers import Identifier
from hie.values.people import Address


@dataclass(frozen=True, slots=True)
class Condition:
    """One demand on a chart ``l``. keys: SQL of the charts that meet it, where a side table knows them; test: SQL that
    is true of such a chart. rank: the lower, the fewer charts usually meet it; the lowest drives the search."""

    rank: int
    test: str
    parameters: tuple[Any, ...]
    keys: str = ""


RANKS = {
    "identifier": 1,
    "account": 2,
    "telephone": 3,
    "birth day": 4,
    "whole name": 5,
    "name": 6,
    "postal": 7,
    "doctor": 8,
    "city": 9,
    "birth": 10,
    "visit": 11,
    "pattern": 12,
    "sex": 13,
}


def of_each(groups: Iterable[Sequence[Any]], condition_of: Any) -> Iterator[Condition]:
    """One condition of each demand: its alternatives joined by OR."""
    for group in groups:
        found = [each for each in map(condition_of, group) if each is not None]
        if found:
            yield found[0] if len(found) == 1 else _either(found)


def _either(alternatives: Sequence[Condition]) -> Condition:
    return Condition(
        rank=max(each.rank for each in alternatives),
        test="(" + " OR ".join(each.test for each in alternatives) + ")",
        parameters=tuple(value for each in alternatives for value in each.parameters),
        keys=" UNION ".join(each.keys for each in alternatives) if all(each.keys for each in alternatives) else "",
    )


def _in_table(rank: int, table: str, test: str, parameters: Iterable[Any]) -> Condition:
    """A demand that a row of a side table of the chart meets."""
    where = f"FROM {table} k WHERE {{}}({test})"
    return Condition(
        rank,
        f"EXISTS (SELECT 1 {where.format('k.record_id = l.id AND ')})",
        tuple(parameters),
        f"SELECT k.record_id {where.format('')}",
    )


# --- texts


def _begins(column: str, beginning: str) -> tuple[str, list[str]]:
    """SQL that a column begins with a text, as a range of bytes. An empty beginning is met by every text."""
    if not beginning:
        return "1 = 1", []
    last = ord(beginning[-1]) + 1
    after = beginning[:-1] + chr(0xE000 if last == 0xD800 else min(last, 0x10FFFF))
    return _between(column, beginning, after)


def _between(column: str, first: str, after: str) -> tuple[str, list[str]]:
    if connection.vendor == "postgresql":
        return f"({column} ~>=~ %s AND {column} ~<~ %s)", [first, after]
    return f"({column} >= %s AND {column} < %s)", [first, after]


def _is(column: str, text: str) -> tuple[str, list[str]]:
    return f"{column} = %s", [text]


def _matches(column: str, criterion: TextCriterion, spell: Any) -> tuple[str, list[str]]:
    """SQL that a column with spelled texts meets a criterion, whose pieces are spelled the same way."""
    if not spell(re.sub(r"[*?]", "", criterion.text)):
        return "1 = 0", []  # nothing of it can be compared
    if criterion.match is TextMatch.PREFIX:
        return _begins(column, spell(criterion.text))
    if criterion.match is TextMatch.WILDCARD:
        return _like(column, criterion.text, spell)
    return _is(column, spell(criterion.text))


def _like(column: str, pattern: str, spell: Any) -> tuple[str, list[str]]:
    """A pattern with ``*`` and ``?`` as LIKE, and its beginning as a range that the index answers."""
    written, piece = [], ""
    for sign in pattern:
        if sign in "*?":
            written += [_escaped(spell(piece)), "%" if sign == "*" else "_"]
            piece = ""
        else:
            piece += sign
    written.append(_escaped(spell(piece)))
    beginning = spell(pattern[: min(pattern.find(sign) % (len(pattern) + 1) for sign in "*?")])
    sql, parameters = _begins(column, beginning)
    return f"({sql} AND {column} LIKE %s ESCAPE '\\')", [*parameters, "".join(written)]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _all_of(parts: Sequence[tuple[str, list[str]]]) -> tuple[str, list[str]]:
    return " AND ".join(sql for sql, _ in parts), [value for _, values in parts for value in values]


def _any_of(parts: Sequence[tuple[str, list[str]]]) -> tuple[str, list[str]]:
    return "(" + " OR ".join(sql for sql, _ in parts) + ")", [value for _, values in parts for value in values]


# --- names


def of_name(criterion: NameCriterion) -> Condition | None:
    """Family and given name in one representation. What came in one piece may be the whole name."""
    family, given = criterion.family, criterion.given
    if not criterion:
        return None
    if TextMatch.FUZZY in (family.match if family else None, given.match if given else None):
        parts = _near_name(criterion)
    else:
        parts = _exact_name(family, given)
    sql, parameters = parts
    if criterion.representation is not None:
        sql, parameters = f"{sql} AND k.representation = %s", [*parameters, criterion.representation.value]
    beginning = (family or given).text
    loose = beginning[:1] in ("*", "?") or len(spelled(beginning)) < 2
    rank = RANKS["pattern" if loose else "whole name" if family and given else "name"]
    return _in_table(rank, "pix_namekey", sql, parameters)


def _exact_name(family: TextCriterion, given: TextCriterion) -> tuple[str, list[str]]:
    if not given:
        # A name in one piece: the family name, or all of the name. The first range serves both from one index.
        either = _any_of([_matches("k.family", family, spelled), _matches("k.whole", family, spelled)])
        if family.match is TextMatch.EXACT:
            return _all_of([_begins("k.whole", spelled(family.text)), either])
        return either if family.match is TextMatch.WILDCARD else _matches("k.whole", family, spelled)
    if not family:
        return _matches("k.given", given, spelled)
    parts = [_matches("k.family", family, spelled), _matches("k.given", given, spelled)]
    if family.match is not TextMatch.WILDCARD:
        parts.insert(0, _begins("k.whole", spelled(family.text)))
    apart = _all_of(parts)
    if family.match is given.match is TextMatch.EXACT:
        # The record may have the name in one piece.
        return _all_of(
            [
                _begins("k.whole", spelled(family.text)),
                _any_of(
                    [
                        (f"({apart[0]})", apart[1]),
                        _is("k.whole", spelled(family.text) + spelled(given.text)),
                    ]
                ),
            ]
        )
    return apart


def _near_name(criterion: NameCriterion) -> tuple[str, list[str]]:
    """Near matches: names that begin with the sound, the given name by its sound behind it."""
    family, given = sound(spelled(criterion.family.text)), sound(spelled(criterion.given.text))
    if not family:
        return "k.sound LIKE %s ESCAPE '\\'", [f"%{_escaped(given)}"]
    sql, parameters = _begins("k.sound", family)
    if not given:
        return sql, parameters
    return f"{sql} AND k.sound LIKE %s ESCAPE '\\'", [*parameters, f"{_escaped(family)}%{_escaped(given)}%"]


# --- birth, sex, telephone, address


def of_births(births: Sequence[BirthCriterion]) -> list[Condition]:
    parts = [
        _between("l.birth_date", each.first or "0", _after(each.last)) for each in births if each.first or each.last
    ]
    if not parts:
        return []
    exact = all(each.first == each.last and len(each.first) >= 6 for each in births)
    sql, parameters = _any_of(parts)
    return [Condition(RANKS["birth day" if exact else "birth"], sql, tuple(parameters))]


def _after(last: str) -> str:
    """What follows every date within a date: 1960 -> 1961, 196012 -> 19601:, "" -> the end of all dates."""
    return last[:-1] + chr(ord(last[-1]) + 1) if last else ":"


def of_sexes(sexes: Sequence[str]) -> list[Condition]:
    if not sexes:
        return []
    return [Condition(RANKS["sex"], f"l.sex IN ({places(sexes)})", tuple(sexes))]


def of_telephone(criterion: TextCriterion) -> Condition | None:
    sql, parameters = _matches("k.number", criterion, telephone_digits)
    return _in_table(RANKS["telephone"], "pix_telephonekey", sql, parameters) if criterion else None


def of_address(criterion: AddressCriterion) -> Condition | None:
    """Parts of one address. Where the facility sent the whole address in one text, its parts were made out there."""
    if not criterion:
        return None
    parts = []
    if criterion.postal_code:
        parts.append(_matches("k.postal", criterion.postal_code, postal_digits))
    for column, part in (("prefecture", criterion.prefecture), ("city", criterion.city)):
        if part:
            parts.append(_matches(f"k.{column}", part, lambda text: address_key(Address(city=text))[2]))
    if criterion.country:
        parts.append(_matches("k.country", criterion.country, str.upper))
    for part, address in ((criterion.street, Address(street=criterion.street.text)), (criterion.text, None)):
        if part:
            parts += _somewhere(address or Address(text=part.text))
    rank = RANKS["postal" if criterion.postal_code else "city" if criterion.city else "pattern"]
    return _in_table(rank, "pix_addresskey", *_all_of(parts))


def _somewhere(address: Address) -> list[tuple[str, list[str]]]:
    """An address found anywhere in what follows the prefecture; its own prefecture has to be the same where told."""
    pieces = (address.text or address.street).replace("?", "*").split("*")
    keys = [address_key(Address(text=each) if address.text else Address(street=each)) for each in pieces]
    pattern = "%" + "%".join(_escaped(place) for _, _, _, place in keys) + "%"
    found = [("k.place LIKE %s ESCAPE '\\'", [pattern])]
    if keys[0][1]:
        found.append(("k.prefecture IN ('', %s)", [keys[0][1]]))
    if keys[0][2]:
        found.append(_begins("k.city", keys[0][2]))
    return found


# --- identifiers and visits


def pairs_of(group: Iterable[Identifier]) -> Iterator[tuple[str, str]]:
    """(OID, value as its facility writes it) that an alternative may mean; nothing for a domain that nobody knows."""
    for identifier in group:
        asked = identifier.assigning_authority
        known = [find_authority(asked)] if asked else [*network.authorities(), network.affinity_domain()]
        for authority in filter(None, known):
            owner = network.facility_of_authority(authority.oid)
            yield authority.oid, owner.patient_ids.comparable(identifier.value) if owner else identifier.value


def of_identifiers(pairs: frozenset[tuple[str, str]]) -> Condition:
    """A person with one of these identifiers; the regional id is one of them."""
    regional = [value for oid, value in pairs if oid == settings.AFFINITY_DOMAIN_OID and not is_provisional(value)]
    charts = sorted(pair for pair in pairs if pair[0] != settings.AFFINITY_DOMAIN_OID)
    parts, parameters = ["1 = 0"], []
    if charts:
        tests = " OR ".join(["(i.authority_oid = %s AND i.value = %s)"] * len(charts))
        parts.append(
            f"l.person_id IN (SELECT i.person_id FROM pix_localidentifier i WHERE i.status = 'active' AND ({tests}))"  # noqa: S608
        )
        parameters += [value for pair in charts for value in pair]
    if regional:
        parts.append(f"l.person_id IN (SELECT id FROM pix_person WHERE regional_id IN ({places(regional)}))")  # noqa: S608
        parameters += regional
    if len(parts) == 2:
        del parts[0]
    return Condition(RANKS["identifier"], "(" + " OR ".join(parts) + ")", tuple(parameters))


def of_account(group: Sequence[Identifier]) -> Condition:
    """A chart with a stay under one of these account numbers (PID-18)."""
    parts = [_numbered("account", each) for each in group]
    return _in_table(RANKS["account"], "pix_encounter", *_all_of([_any_of(parts), _IN_FORCE]))


_IN_FORCE: tuple[str, list[str]] = ("k.state <> 'cancelled'", [])


def _numbered(column: str, identifier: Identifier) -> tuple[str, list[str]]:
    """A number of a stay; its authority is compared where it is told, by OID or namespace."""
    parts = [_is(f"k.{column}", identifier.value)]
    authority = authority_text(identifier)
    if authority:
        parts.append((f"k.{column}_authority IN ('', %s)", [authority]))
    return _all_of(parts)


def authority_text(identifier: Identifier) -> str:
    """The OID of an identifier's authority, or its namespace where the network does not know it; at most 64 signs."""
    known = find_authority(identifier.assigning_authority)
    return (known.oid if known else identifier.oid or identifier.assigning_authority.namespace)[:64]


def of_visit(visit: VisitCriteria | None) -> list[Condition]:
    """A chart with a stay of which all is true; with no criteria, one with any stay."""
    if visit is None:
        return []
    sql, parameters = visit_test(visit)
    rank = RANKS["account" if visit.visit_number else "doctor" if _doctors(visit) or visit.ward else "visit"]
    return [_in_table(rank, "pix_encounter", sql, parameters)]


def visit_test(visit: VisitCriteria) -> tuple[str, list[str]]:
    """SQL that a stay ``k`` is as asked for, and its parameters."""
    parts = [_IN_FORCE]
    if visit.patient_class:
        parts.append(_is("k.patient_class", visit.patient_class))
    columns = (("ward", visit.ward), ("room", visit.room), ("bed", visit.bed), ("place", visit.facility))
    for column, criterion in (*columns, ("hospital_service", visit.hospital_service)):
        if criterion:
            parts.append(_matches(f"k.{column}", criterion, str))
    if visit.visit_number:
        parts.append(_numbered("number", visit.visit_number))
    parts += [_of_doctor(role, criterion) for role, criterion in _doctors(visit)]
    return _all_of(parts)


def _doctors(visit: VisitCriteria) -> list[tuple[str, PractitionerCriterion]]:
    roles = ("attending", "referring", "consulting", "admitting")
    return [(role, getattr(visit, role)) for role in roles if getattr(visit, role)]


def _of_doctor(role: str, criterion: PractitionerCriterion) -> tuple[str, list[str]]:
    parts = [_is("d.role", role)]
    if criterion.id:
        parts.append(_matches("d.code", criterion.id, str))
    for column in ("family", "given"):
        part = getattr(criterion, column)
        if part:
            parts.append(_matches(f"d.{column}", part, spelled))
    sql, parameters = _all_of(parts)
    return f"EXISTS (SELECT 1 FROM pix_encounterdoctor d WHERE d.encounter_id = k.id AND {sql})", parameters  # noqa: S608


def places(values: Sequence[Any]) -> str:
    return ", ".join(["%s"] * len(values))
