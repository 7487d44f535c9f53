"""One chart's row and what its facility says: from values to columns and back."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from typing import Any

from django.db import connection
from django.utils import timezone

from apps.pix import matching
from apps.pix.models import LocalIdentifier
from apps.pix.queries.spelling import address_key, sound, spelled, telephone_digits
from hie.values.errors import ExchangeError, Finding, Reason
from hie.values.people import Address, Demographics, Insurance, NameParts, PersonName

REPRESENTATIONS = ("ideographic", "phonetic", "alphabetic")
# Longest text a column takes, by the field's name in a message.
LONGEST = {"name": 120, "birth_date": 26, "sex": 1, "death_time": 26}


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
    return tuple(Insurance(**each["insurance"]) for each in row.past_insurances or ())


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
        row.addresses = [asdict(each) for each in told.addresses]
    if told.telephones or "telephones" in cleared:
        row.telephones = list(told.telephones)
    if told.insurances or "insurances" in cleared:
        _change_insurances(row, [asdict(each) for each in told.insurances], timezone.localdate())
    chart = chart_of(row)
    row.kanji_key, row.kana_key = chart.kanji, chart.kana


def _change_insurances(row: LocalIdentifier, told: list[dict[str, str]], today: date) -> None:
    """Replace the insurances; those that are not told any more become history.

    What is replaced on the day on which it was told was an error and is forgotten. What is told again is history no
    more.
    """
    present = {_number_of(each) for each in told}
    gone = [each for each in row.insurances if _number_of(each) not in present]
    since = row.insurances_since or (timezone.localdate(row.first_seen) if row.first_seen else today)
    past = [each for each in row.past_insurances or () if _number_of(each["insurance"]) not in present]
    if since < today:
        past += [{"insurance": each, "since": since.isoformat(), "until": today.isoformat()} for each in gone]
    if gone or row.insurances_since is None or len(told) != len(row.insurances):
        row.insurances_since = today
    row.insurances, row.past_insurances = told, past[-LONGEST_HISTORY:] or None


LONGEST_HISTORY = 50  # insurances that one facility told of one patient


def _number_of(insurance: dict[str, str]) -> tuple[str, ...]:
    """Whose number it is, without its period."""
    return tuple(insurance.get(part, "") for part in ("insurer_number", "symbol", "number", "branch"))


def search_fields(row: LocalIdentifier) -> tuple[object, ...]:
    """What the search keys are made of: they are written again where this has changed."""
    names = [getattr(row, f"{each}_{part}") for each in REPRESENTATIONS for part in ("family", "given")]
    return (*names, str(row.addresses), str(row.telephones))


def write_search_keys(row: LocalIdentifier, *, anew: bool) -> None:
    """Write the keys by which a saved chart is found (PDQ). anew: it has keys already, which are replaced.

    A key holds at most 255 characters; an address that is longer is found by its beginning.
    """
    told = demographics_of(row)
    names = []
    for each in REPRESENTATIONS:
        parts: NameParts = getattr(told.name, each)
        family, given = spelled(parts.family), spelled(parts.given)
        if family or given:
            names.append((row.pk, each, family + given, family, given, sound(family + given)[:255]))
    telephones = {(row.pk, telephone_digits(each)[:20]) for each in told.telephones}
    addresses = {(row.pk, *_cut(address_key(each)), each.country[:20]) for each in told.addresses}
    with connection.cursor() as cursor:
        tables: tuple[tuple[str, str, list[Any]], ...] = (
            ("pix_namekey", "record_id, representation, whole, family, given, sound", names),
            ("pix_telephonekey", "record_id, number", sorted(telephones)),
            ("pix_addresskey", "record_id, postal, prefecture, city, place, country", sorted(addresses)),
        )
        for table, columns, keys in tables:
            if anew:
                cursor.execute(f"DELETE FROM {table} WHERE record_id = %s", [row.pk])  # noqa: S608 - a constant
            if keys:
                marks = ", ".join(["%s"] * (columns.count(",") + 1))
                rows = ", ".join([f"({marks})"] * len(keys))
                insert = f"INSERT INTO {table} ({columns}) VALUES {rows}"  # noqa: S608 - constants and marks
                cursor.execute(insert, [value for key in keys for value in key])


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
