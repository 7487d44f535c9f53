"""Who are the people of whom this is true? The search of ITI-21, 22 and 47 (ITI TF-2: 3.21, 3.22, 3.47).

What is asked of a person's names, birth, sex, address, telephone and visits has to be true of *one chart*, that is, of
what one facility says; the identifiers that are asked for may be any of the person's. A chart counts only for a caller
who may see its facility, so a hidden chart can neither be read nor guessed by asking.

A search is one statement. It finds persons by the most selective demand, which is a range of an index (``_RANKS``),
while the others filter; and it reads their charts, each with whether it meets the demands. The gate then decides for
these persons. Both halves are made of the same conditions, so they cannot differ. Texts never reach the SQL but as
parameters; the beginning of a key is compared as a range of bytes, which both databases answer from the index.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Any

from django.conf import settings
from django.db import connection

from apps.ids.models import is_provisional
from apps.ids.rules import field_and_value, refuse_national_numbers
from apps.network import queries as network
from apps.pix.queries.cross_references import find_authority
from apps.pix.queries.spelling import address_key, postal_digits, sound, spelled, telephone_digits
from hie.exchange import rows
from hie.values.demographics_queries import (
    AddressCriterion,
    BirthCriterion,
    DemographicsQuery,
    NameCriterion,
    PractitionerCriterion,
    TextCriterion,
    TextMatch,
    VisitCriteria,
)
from hie.values.errors import ExchangeError, Finding, Reason
from hie.values.identifiers import AssigningAuthority, Identifier
from hie.values.people import Address, Demographics, NameParts, PersonName

# So many persons are considered for one query, before the permit; whoever asks for more is told to narrow the search.
CONSIDERED = 1000
REPRESENTATIONS = ("ideographic", "phonetic", "alphabetic")


# --- demands as SQL


@dataclass(frozen=True, slots=True)
class Condition:
    """One demand on a chart ``l``. keys: SQL of the charts that meet it, where a side table knows them; test: SQL that
    is true of such a chart. rank: the lower, the fewer charts usually meet it; the lowest drives the search."""

    rank: int
    test: str
    parameters: tuple[Any, ...]
    keys: str = ""


_RANKS = {
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
_ALL = "l.status = 'active' AND p.status = 'active'"


@dataclass(frozen=True, slots=True)
class Demands:
    """A query as SQL. conditions: at least one, the most selective first. identifiers: for each demand on the person's
    identifiers the (OID, value) that meet it. domains: OIDs asked for, in the order of the query."""

    conditions: tuple[Condition, ...]
    identifiers: tuple[frozenset[tuple[str, str]], ...] = ()
    domains: tuple[str, ...] = ()


def demands_of(query: DemographicsQuery) -> Demands:
    """What a query asks of a chart. Raises ExchangeError: UNKNOWN_DOMAIN at ``domain[n]`` of each domain asked for that
    nobody knows, REQUIRED_MISSING at ``parameters`` where nothing is asked that could narrow the answer,
    NATIONAL_NUMBER where it asks with a My Number or a resident record code."""
    refuse_national_numbers(_texts(query))
    domains = _known_domains(query.domains)
    identifiers = tuple(frozenset(_pairs(group)) for group in query.identifiers)
    conditions = [
        *(_of_identifiers(pairs) for pairs in identifiers),
        *(_of_account(group) for group in query.accounts),
        *_of_each(query.telephones, _of_telephone),
        *_of_births(query.births),
        *_of_each(query.names, _of_name),
        *_of_each(query.addresses, _of_address),
        *_of_visit(query.visit),
        *_of_sexes(query.sexes),
    ]
    if not conditions:
        detail = "The query has to ask for something that narrows the answer, as a name or an identifier."
        raise ExchangeError(Reason.REQUIRED_MISSING, detail, "parameters")
    return Demands(tuple(sorted(conditions, key=lambda each: each.rank)), identifiers, domains)


def _texts(query: DemographicsQuery) -> Iterator[tuple[str, str]]:
    """(field, text) of every criterion in which a national number could hide."""
    for identifier in chain(*query.identifiers, *query.accounts):
        yield field_and_value(identifier)
    for name in chain(*query.names):
        yield from (("name", each.text) for each in (name.family, name.given))
    for address in chain(*query.addresses):
        yield from (("address", each.text) for each in (address.city, address.street, address.text))
    for telephone in chain(*query.telephones):
        yield "telephone", telephone.text
    if query.visit is not None and query.visit.visit_number is not None:
        yield field_and_value(query.visit.visit_number, "visit")


def _known_domains(domains: Sequence[AssigningAuthority]) -> tuple[str, ...]:
    found = [find_authority(domain) for domain in domains]
    unknown = [
        Finding(Reason.UNKNOWN_DOMAIN, f"The requested domain {number} is not known here.", f"domain[{number}]")
        for number, authority in enumerate(found, start=1)
        if authority is None
    ]
    if unknown:
        raise ExchangeError.of(unknown)
    return tuple(dict.fromkeys(authority.oid for authority in found if authority))


def _of_each(groups: Iterable[Sequence[Any]], condition_of: Any) -> Iterator[Condition]:
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


def _of_name(criterion: NameCriterion) -> Condition | None:
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
    rank = _RANKS["pattern" if loose else "whole name" if family and given else "name"]
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


def _of_births(births: Sequence[BirthCriterion]) -> list[Condition]:
    parts = [
        _between("l.birth_date", each.first or "0", _after(each.last)) for each in births if each.first or each.last
    ]
    if not parts:
        return []
    exact = all(each.first == each.last and len(each.first) >= 6 for each in births)
    sql, parameters = _any_of(parts)
    return [Condition(_RANKS["birth day" if exact else "birth"], sql, tuple(parameters))]


def _after(last: str) -> str:
    """What follows every date within a date: 1960 -> 1961, 196012 -> 19601:, "" -> the end of all dates."""
    return last[:-1] + chr(ord(last[-1]) + 1) if last else ":"


def _of_sexes(sexes: Sequence[str]) -> list[Condition]:
    if not sexes:
        return []
    return [Condition(_RANKS["sex"], f"l.sex IN ({_places(sexes)})", tuple(sexes))]


def _of_telephone(criterion: TextCriterion) -> Condition | None:
    sql, parameters = _matches("k.number", criterion, telephone_digits)
    return _in_table(_RANKS["telephone"], "pix_telephonekey", sql, parameters) if criterion else None


def _of_address(criterion: AddressCriterion) -> Condition | None:
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
    rank = _RANKS["postal" if criterion.postal_code else "city" if criterion.city else "pattern"]
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


def _pairs(group: Iterable[Identifier]) -> Iterator[tuple[str, str]]:
    """(OID, value as its facility writes it) that an alternative may mean; nothing for a domain that nobody knows."""
    for identifier in group:
        asked = identifier.assigning_authority
        known = [find_authority(asked)] if asked else [*network.authorities(), network.affinity_domain()]
        for authority in filter(None, known):
            owner = network.facility_of_authority(authority.oid)
            yield authority.oid, owner.patient_ids.comparable(identifier.value) if owner else identifier.value


def _of_identifiers(pairs: frozenset[tuple[str, str]]) -> Condition:
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
        parts.append(f"l.person_id IN (SELECT id FROM pix_person WHERE regional_id IN ({_places(regional)}))")  # noqa: S608
        parameters += regional
    if len(parts) == 2:
        del parts[0]
    return Condition(_RANKS["identifier"], "(" + " OR ".join(parts) + ")", tuple(parameters))


def _of_account(group: Sequence[Identifier]) -> Condition:
    """A chart with a stay under one of these account numbers (PID-18)."""
    parts = [_numbered("account", each) for each in group]
    return _in_table(_RANKS["account"], "pix_encounter", *_all_of([_any_of(parts), _IN_FORCE]))


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


def _of_visit(visit: VisitCriteria | None) -> list[Condition]:
    """A chart with a stay of which all is true; with no criteria, one with any stay."""
    if visit is None:
        return []
    sql, parameters = visit_test(visit)
    rank = _RANKS["account" if visit.visit_number else "doctor" if _doctors(visit) or visit.ward else "visit"]
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


# --- charts of the persons found


_CHART = (
    "id",
    "facility_code",
    "authority_oid",
    "value",
    "type_code",
    *(f"{each}_{part}" for each in REPRESENTATIONS for part in ("family", "given")),
    "birth_date",
    "sex",
    "addresses",
    "telephones",
    "death_time",
    "last_seen",
)
_CHART_COLUMNS = ", ".join(f"l.{name}" for name in _CHART)


@dataclass(frozen=True)
class FoundChart:
    """One active chart of a person found. meets: it meets every demand on a chart."""

    id: int
    facility_code: str
    identifier: Identifier
    row: dict[str, Any] = field(repr=False)
    meets: bool = True

    @cached_property
    def name(self) -> PersonName:
        parts = {each: NameParts(self.row[f"{each}_family"], self.row[f"{each}_given"]) for each in REPRESENTATIONS}
        return PersonName(**parts)

    @cached_property
    def demographics(self) -> Demographics:
        """What the facility says of its patient, but the insurances: nobody is found for those."""
        return Demographics(
            name=self.name,
            birth_date=self.row["birth_date"],
            sex=self.row["sex"],
            addresses=tuple(Address(**each) for each in _json(self.row["addresses"])),
            telephones=tuple(_json(self.row["telephones"])),
            death_time=self.row["death_time"],
        )


def _json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


@dataclass(frozen=True, slots=True)
class FoundPeople:
    """Who was found by what demands: regional id -> all active charts of the person, as they became known."""

    demands: Demands
    charts: dict[str, list[FoundChart]]


def search(demands: Demands, facility_code: str = "") -> FoundPeople:
    """At most ``CONSIDERED`` + 1 persons who have a chart that meets every demand, with all their charts, in one
    statement. Who has an identifier is few enough to be read at once.

    facility_code: only charts of this facility count.
    """
    driver, *filters = demands.conditions
    if driver.rank == _RANKS["identifier"] and not filters and not facility_code:
        return FoundPeople(demands, _charts(driver.test, driver.parameters, demands))
    where = [_ALL, f"l.id IN ({driver.keys})" if driver.keys else driver.test, *(each.test for each in filters)]
    parameters = [value for each in demands.conditions for value in each.parameters]
    if facility_code:
        where.append("l.facility_code = %s")
        parameters.append(facility_code)
    who = (
        "SELECT DISTINCT l.person_id FROM pix_localidentifier l JOIN pix_person p ON p.id = l.person_id"  # noqa: S608
        f" WHERE {' AND '.join(where)} LIMIT {CONSIDERED + 1}"
    )
    return FoundPeople(demands, _charts(f"p.id IN ({who})", parameters, demands))


def charts_of(regional_ids: Sequence[str]) -> dict[str, list[FoundChart]]:
    """The active charts of these active persons, by regional id, in the order they became known. One statement."""
    return _charts(f"p.regional_id IN ({_places(regional_ids)})", regional_ids) if regional_ids else {}


def _charts(whose: str, parameters: Sequence[Any], demands: Demands | None = None) -> dict[str, list[FoundChart]]:
    """demands: what ``meets`` says of each chart; without them every chart meets."""
    conditions = [each for each in demands.conditions if each.rank != _RANKS["identifier"]] if demands else []
    test = " AND ".join(each.test for each in conditions) or "1 = 1"
    sql = (
        f"SELECT p.regional_id, CASE WHEN {test} THEN 1 ELSE 0 END, {_CHART_COLUMNS}"  # noqa: S608
        " FROM pix_person p JOIN pix_localidentifier l ON l.person_id = p.id"
        f" WHERE {whose} AND {_ALL} ORDER BY l.id"
    )
    found: dict[str, list[FoundChart]] = {}
    for regional_id, meets, *values in rows.fetch(
        sql, [*(value for each in conditions for value in each.parameters), *parameters]
    ):
        row = dict(zip(_CHART, values, strict=True))
        authority = network.authority(row["authority_oid"]) or AssigningAuthority(row["authority_oid"])
        identifier = Identifier(row["value"], authority, row["type_code"])
        found.setdefault(regional_id, []).append(
            FoundChart(row["id"], row["facility_code"], identifier, row, bool(meets))
        )
    return found


def _places(values: Sequence[Any]) -> str:
    return ", ".join(["%s"] * len(values))
