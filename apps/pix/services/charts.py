"""One chart's row and what its facility says: from values to columns and back."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from functools import lru_cache
from operator import itemgetter
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connection
from django.utils import timezone

from apps.pix import matching
from apps.pix.matching import Chart
from apps.pix.models import LocalIdentifier
from apps.pix.queries.spelling import address_key, sound, spelled, telephone_digits
from hie.exchange import many
from hie.exchange.rows import execute, fetch, listed, numbers
from hie.values.errors import ExchangeError, Finding, Reason
from hie.values.people import Address, Demographics, Insurance, NameParts, PersonName

REPRESENTATIONS = ("ideographic", "phonetic", "alphabetic")
# Longest text a column takes, by the field's name in a message.
LONGEST = {"name": 120, "birth_date": 26, "sex": 1, "death_time": 26}

# What a facility says of its patient, as columns of a chart's row.
CONTENT = (
    *(f"{each}_{part}" for each in REPRESENTATIONS for part in ("family", "given")),
    "birth_date",
    "sex",
    "addresses",
    "telephones",
    "insurances",
    "death_time",
    "kanji_key",
    "kana_key",
)
# What it told before; a new chart has none.
HISTORY = ("insurances_since", "past_insurances")
_JSON = ("addresses", "telephones", "insurances", "past_insurances")
# What matching and its services read of a row, in the order of its columns; its times are read where asked for.
_KEYS = ("id", "authority_oid", "value", "type_code", "facility_code", "person_id", "status", "merged_into_id")
_READ = tuple(
    each.attname for each in LocalIdentifier._meta.concrete_fields if each.attname in {*_KEYS, *CONTENT, *HISTORY}
)
_SELECT = f"SELECT {', '.join(_READ)} FROM pix_localidentifier WHERE "  # noqa: S608 - constants
_FIND = (
    f"SELECT p.regional_id, {', '.join(f'l.{name}' for name in _READ)} FROM pix_localidentifier l"  # noqa: S608 - constants
    " JOIN pix_person p ON p.id = l.person_id WHERE l.authority_oid = %s AND l.value = %s"
)


def read_rows(ids: Collection[int]) -> list[LocalIdentifier]:
    """The charts with these ids."""
    return [_row(each) for each in fetch(_SELECT + listed("id"), [numbers(ids)])] if ids else []


def read_compared(ids: Collection[int]) -> list[tuple[LocalIdentifier, Chart]]:
    """The charts with these ids, each with what matching compares of it."""
    if not ids:
        return []
    found = fetch(_SELECT + listed("id"), [numbers(ids)])
    return [(_row(values), _chart(*_of_chart(values))) for values in found]


def read_charts(ids: Collection[int]) -> dict[int, Chart]:
    """What matching compares of the charts with these ids, where nothing else of their rows is asked for."""
    if not ids:
        return {}
    sql = f"SELECT {', '.join(_COMPARED)} FROM pix_localidentifier WHERE {listed('id')}"  # noqa: S608 - constants
    return {values[0]: _chart(*values) for values in fetch(sql, [numbers(ids)])}


_COMPARED = ("id", "status", "facility_code", *CONTENT[:12], "past_insurances")
_of_chart = itemgetter(*(_READ.index(name) for name in _COMPARED))


@lru_cache(4096)  # a feed reads its neighbours several times; what is read depends on nothing but these columns
def _chart(chart_id: int, status: str, facility_code: str, *content: Any) -> Chart:
    past = json.loads(content[12]) if isinstance(content[12], str) else content[12]
    current = status == LocalIdentifier.Status.ACTIVE
    return matching.read_chart(chart_id, told_by(content), current=current, facility=facility_code, past=_past(past))


def read_chart_of(chart_id: int, facility_code: str, content: tuple[str, ...]) -> Chart:
    """What matching compares of a chart whose columns ``CONTENT`` these are, and that has no history."""
    return _chart.__wrapped__(chart_id, LocalIdentifier.Status.ACTIVE, facility_code, *content[:12], None)


def told_by(content: Sequence[Any]) -> Demographics:
    """What the first twelve columns of ``CONTENT`` tell of a patient, as they stand in the database; JSON may be text.

    They are all that matching compares and a search asks for.
    """
    addresses, telephones, insurances = (
        (_READ_JSON(each) if each != "[]" else []) if isinstance(each, str) else each for each in content[8:11]
    )
    return Demographics(
        PersonName(NameParts(*content[0:2]), NameParts(*content[2:4]), NameParts(*content[4:6])),
        content[6],
        content[7],
        tuple(Address(**each) for each in addresses),
        tuple(telephones),
        tuple(Insurance(**each) for each in insurances),
    )


_READ_JSON = json.JSONDecoder().decode


def find_row(authority_oid: str, value: str) -> tuple[LocalIdentifier, str] | None:
    """The chart with this number, merged ones too, and the regional id under which it stands."""
    found = fetch(_FIND, [authority_oid, value])
    return (_row(found[0][1:]), str(found[0][0])) if found else None


def find_rows(authority_oid: str, values: Collection[str]) -> dict[str, LocalIdentifier]:
    """The charts of one authority with these numbers, by number, merged ones too."""
    found: dict[str, LocalIdentifier] = {}
    listed_values = list(values)
    for start in range(0, len(listed_values), _AT_ONCE):
        some = listed_values[start : start + _AT_ONCE]
        sql = f"{_SELECT}authority_oid = %s AND value IN ({', '.join(['%s'] * len(some))})"
        found.update((row.value, row) for row in map(_row, fetch(sql, [authority_oid, *some])))
    return found


_AT_ONCE = 500


def _row(values: tuple[Any, ...]) -> LocalIdentifier:
    given = dict(zip(_READ, values, strict=True))
    for name in _JSON:
        if isinstance(given[name], str):
            given[name] = json.loads(given[name])
    return LocalIdentifier.from_db(DEFAULT_DB_ALIAS, _READ, list(given.values()))


def is_fed(row: LocalIdentifier) -> bool:
    """Whether the row is a regional id that the identity source of the affinity domain has fed (decision 0046)."""
    return row.authority_oid == settings.AFFINITY_DOMAIN_OID


def demographics_of(row: LocalIdentifier) -> Demographics:
    """What the facility says of its patient, as it stands in the row."""
    names = {each: NameParts(getattr(row, f"{each}_family"), getattr(row, f"{each}_given")) for each in REPRESENTATIONS}
    return Demographics(
        name=PersonName(**names),
        birth_date=row.birth_date,
        sex=row.sex,
        addresses=tuple(Address(**each) for each in row.addresses),
        telephones=tuple(row.telephones),
        insurances=tuple(Insurance(**each) for each in row.insurances),
        death_time=row.death_time,
    )


def chart_of(row: LocalIdentifier) -> matching.Chart:
    """What the rules see of this row."""
    return matching.read_chart(
        row.pk or 0,
        demographics_of(row),
        current=row.status == LocalIdentifier.Status.ACTIVE,
        facility=row.facility_code,
        past=past_insurances(row),
    )


def past_insurances(row: LocalIdentifier) -> tuple[Insurance, ...]:
    """What the facility told of insurances before, the latest last."""
    return _past(row.past_insurances)


def _past(told: list[dict[str, Any]] | None) -> tuple[Insurance, ...]:
    return tuple(Insurance(**each["insurance"]) for each in told or ())


def write_demographics(row: LocalIdentifier, told: Demographics) -> None:
    """Put what was told into the row, unsaved. What was not told stays; what was cleared goes.

    A name, a list of addresses, telephones or insurances replaces what stood there: a message always carries all
    repetitions of a field.
    """
    cleared = told.cleared
    if told.name or "name" in cleared:
        for each in REPRESENTATIONS:
            parts: NameParts = getattr(told.name, each)
            setattr(row, f"{each}_family", parts.family)
            setattr(row, f"{each}_given", parts.given)
    for field in ("birth_date", "sex", "death_time"):
        if getattr(told, field) or field in cleared:
            setattr(row, field, getattr(told, field))
    if told.addresses or "addresses" in cleared:
        row.addresses = [_as_dict(each, _ADDRESS) for each in told.addresses]
    if told.telephones or "telephones" in cleared:
        row.telephones = list(told.telephones)
    if told.insurances or "insurances" in cleared:
        _change_insurances(row, [_as_dict(each, _INSURANCE) for each in told.insurances], timezone.localdate())
    ideographic, phonetic = row.ideographic_family + row.ideographic_given, row.phonetic_family + row.phonetic_given
    row.kanji_key, row.kana_key = matching.kanji_key(ideographic), matching.kana_key(phonetic)


_ADDRESS, _INSURANCE = (tuple(each.name for each in fields(kind)) for kind in (Address, Insurance))


def _as_dict(value: Address | Insurance, names: tuple[str, ...]) -> dict[str, str]:
    return {name: getattr(value, name) for name in names}


def content_of(told: Demographics) -> tuple[str, ...]:
    """The columns ``CONTENT`` of a chart of which this is all that was told; JSON as text."""
    name = told.name
    return (
        name.ideographic.family,
        name.ideographic.given,
        name.phonetic.family,
        name.phonetic.given,
        name.alphabetic.family,
        name.alphabetic.given,
        told.birth_date,
        told.sex,
        _json([_as_dict(each, _ADDRESS) for each in told.addresses]),
        _json(list(told.telephones)),
        _json([_as_dict(each, _INSURANCE) for each in told.insurances]),
        told.death_time,
        matching.kanji_key(name.ideographic.family + name.ideographic.given),
        matching.kana_key(name.phonetic.family + name.phonetic.given),
    )


def _json(value: list[Any]) -> str:
    return _ENCODER.encode(value) if value else "[]"


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def content_now(row: LocalIdentifier) -> tuple[Any, ...]:
    """The columns ``CONTENT`` as they stand in a row, saved or not, to be compared."""
    return tuple(
        list(value) if isinstance(value, list) else value for value in (getattr(row, name) for name in CONTENT)
    )


_UPDATE = (
    f"UPDATE pix_localidentifier SET {', '.join(f'{name} = %s' for name in (*CONTENT, *HISTORY))}, last_seen = %s"  # noqa: S608 - constants
    " WHERE id = %s"
)


def write_content(row: LocalIdentifier) -> None:
    """Save what a facility says, and when it said so. The person is left alone: others may move the chart just now."""
    since = connection.ops.adapt_datefield_value(row.insurances_since)
    written = (*content_now(row), since, row.past_insurances)
    values = [_json(value) if isinstance(value, list) else value for value in written]
    execute(_UPDATE, [*values, adapted(row.last_seen), row.pk])


def write_seen(charts: Collection[int], at: Any) -> None:
    """Save that these charts were told of again, with nothing new."""
    if charts:
        sql = f"UPDATE pix_localidentifier SET last_seen = %s WHERE {listed('id')}"  # noqa: S608 - constants
        execute(sql, [adapted(at), numbers(charts)])


def adapted(moment: datetime) -> Any:
    """A time as the driver takes it."""
    return _adapted(moment, connection.vendor)


@lru_cache(64)
def _adapted(moment: datetime, _vendor: str) -> Any:
    return connection.ops.adapt_datetimefield_value(moment)


def _change_insurances(row: LocalIdentifier, told: list[dict[str, str]], today: date) -> None:
    """Replace the insurances; those that are not told any more become history.

    What is replaced on the day on which it was told was an error and is forgotten. What is told again is history no
    more.
    """
    present = {_number_of(each) for each in told}
    gone = [each for each in row.insurances if _number_of(each) not in present]
    past = [each for each in row.past_insurances or () if _number_of(each["insurance"]) not in present]
    # When the chart was first seen is a statement of its own, and seldom asked.
    since = today
    if gone:
        since = row.insurances_since or (timezone.localdate(row.first_seen) if row.first_seen else today)
    if since < today:
        past += [{"insurance": each, "since": since.isoformat(), "until": today.isoformat()} for each in gone]
    if gone or len(told) != len(row.insurances):
        row.insurances_since = today
    row.insurances, row.past_insurances = told, past[-LONGEST_HISTORY:] or None


LONGEST_HISTORY = 50  # insurances that one facility told of one patient


def _number_of(insurance: dict[str, str]) -> tuple[str, ...]:
    """Whose number it is, without its period."""
    return tuple(insurance.get(part, "") for part in ("insurer_number", "symbol", "number", "branch"))


@dataclass(frozen=True, slots=True)
class SearchKeys:
    """The keys by which a chart is found (PDQ): rows of the three tables, without the chart."""

    names: tuple[tuple[str, ...], ...]
    telephones: tuple[tuple[str], ...]
    addresses: tuple[tuple[str, ...], ...]

    def rows(self, chart: int) -> tuple[tuple[many.Table, list[tuple[Any, ...]]], ...]:
        """As rows of a chart, each table's with the table."""
        listed = (self.names, self.telephones, self.addresses)
        return tuple((table, [(chart, *key) for key in keys]) for table, keys in zip(SEARCHED, listed, strict=True))


SEARCHED = tuple(
    many.Table(name, (("record_id", "bigint"), *((column, "text") for column in columns.split())))
    for name, columns in (
        ("pix_namekey", "representation whole family given sound"),
        ("pix_telephonekey", "number"),
        ("pix_addresskey", "postal prefecture city place country"),
    )
)


def search_keys_of(told: Demographics) -> SearchKeys:
    """The search keys of what is told of a patient.

    A key holds at most 255 characters; an address that is longer is found by its beginning.
    """
    names = []
    for each in REPRESENTATIONS:
        parts: NameParts = getattr(told.name, each)
        family, given = spelled(parts.family), spelled(parts.given)
        if family or given:
            names.append((each, family + given, family, given, sound(family + given)[:255]))
    telephones = sorted({(telephone_digits(each)[:20],) for each in told.telephones})
    addresses = sorted({(*_cut(address_key(each)), each.country[:20]) for each in told.addresses})
    return SearchKeys(tuple(names), tuple(telephones), tuple(addresses))


def write_search_keys(row: LocalIdentifier, before: SearchKeys) -> None:
    """Write the search keys of a saved chart anew, in the tables where they are not what they were."""
    written = []
    for (table, now), (_, old) in zip(
        search_keys_of(demographics_of(row)).rows(row.pk), before.rows(row.pk), strict=True
    ):
        if now != old:
            execute(f"DELETE FROM {table.name} WHERE record_id = %s", [row.pk])  # noqa: S608 - a constant
            written.append((table, now))
    many.insert(*written)


_LONGEST_ADDRESS = (20, 40, 120, 255)


def _cut(parts: tuple[str, ...]) -> list[str]:
    return [part[:longest] for part, longest in zip(parts, _LONGEST_ADDRESS, strict=True)]


def check_lengths(told: Demographics) -> None:
    """Refuse what no column takes, naming each field. Raises ExchangeError(WRONG_DATA_TYPE)."""
    longest_name = max(len(part) for each in REPRESENTATIONS for part in _parts(getattr(told.name, each)))
    lengths = {
        "name": longest_name,
        "birth_date": len(told.birth_date),
        "sex": len(told.sex),
        "death_time": len(told.death_time),
    }
    findings = [
        Finding(
            Reason.WRONG_DATA_TYPE, f"The {field.replace('_', ' ')} has at most {LONGEST[field]} characters.", field
        )
        for field, length in lengths.items()
        if length > LONGEST[field]
    ]
    if findings:
        raise ExchangeError.of(findings)


def _parts(name: NameParts) -> tuple[str, str]:
    return name.family, name.given
