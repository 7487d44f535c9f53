"""Who are the people of whom this is true? The search of ITI-21, 22 and 47 (ITI TF-2: 3.21, 3.22, 3.47).

What is asked of a person's names, birth, sex, address, telephone and visits has to be true of *one chart*, that is, of
what one facility says; the identifiers that are asked for may be any of the person's. A chart counts only for a caller
who may see its facility, so a hidden chart can neither be read nor guessed by asking.

A search is one statement. It finds persons by the most selective demand, which is a range of an index (``RANKS``),
while the others filter; and it reads their charts, each with whether it meets the demands. The gate then decides for
these persons. Both halves are made of the same conditions (``conditions``), so they cannot differ.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Any

from apps.ids.rules import field_and_value, refuse_national_numbers
from apps.network import queries as network
from apps.pix.queries.conditions import (
    RANKS,
    Condition,
    of_account,
    of_address,
    of_births,
    of_each,
    of_identifiers,
    of_name,
    of_sexes,
    of_telephone,
    of_visit,
    pairs_of,
    places,
)
from apps.pix.queries.cross_references import find_authority
from hie.exchange import rows
from hie.values.demographics_queries import DemographicsQuery
from hie.values.errors import ExchangeError, Finding, Reason
from hie.values.identifiers import AssigningAuthority, Identifier
from hie.values.people import Address, Demographics, NameParts, PersonName

# So many persons are considered for one query, before the permit; whoever asks for more is told to narrow the search.
CONSIDERED = 1000
REPRESENTATIONS = ("ideographic", "phonetic", "alphabetic")


# --- the demands of a query


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
    identifiers = tuple(frozenset(pairs_of(group)) for group in query.identifiers)
    conditions = [
        *(of_identifiers(pairs) for pairs in identifiers),
        *(of_account(group) for group in query.accounts),
        *of_each(query.telephones, of_telephone),
        *of_births(query.births),
        *of_each(query.names, of_name),
        *of_each(query.addresses, of_address),
        *of_visit(query.visit),
        *of_sexes(query.sexes),
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
    if driver.rank == RANKS["identifier"] and not filters and not facility_code:
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
    return _charts(f"p.regional_id IN ({places(regional_ids)})", regional_ids) if regional_ids else {}


def _charts(whose: str, parameters: Sequence[Any], demands: Demands | None = None) -> dict[str, list[FoundChart]]:
    """demands: what ``meets`` says of each chart; without them every chart meets."""
    conditions = [each for each in demands.conditions if each.rank != RANKS["identifier"]] if demands else []
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
