"""The charts, keys, decisions and statements in the database, as matching asks for them (``matching.Store``).

Every look-up is bounded: of a key at most one chart more than its block may have. Plain SQL on the driver's cursor,
because all of this runs with every feed.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.conf import settings
from django.db import connection

from apps.pix import matching
from apps.pix.matching import Chart, Decision, Named, Outcome, Statement, Verdict
from apps.pix.models import LocalIdentifier
from apps.pix.services.charts import read_compared
from hie.exchange import many
from hie.exchange.rows import execute, fetch, listed, numbers
from hie.values.people import NameParts, PersonName

_DECIDED = "SELECT first_id, second_id, outcome, score, rule, vector, version FROM pix_matchdecision WHERE "
_SAID = "SELECT first_id, second_id, one_human, basis FROM pix_assertion WHERE ended_at IS NULL AND "
_TWINS = "SELECT first_id, second_id, FALSE, 'twins' FROM pix_matchdecision WHERE rule = 'twins' AND "

_FED = "SELECT id FROM pix_localidentifier WHERE authority_oid = %s AND status = 'active' AND "


class DatabaseStore:
    """What matching may ask. Rows that were read once are kept as long as the store: use a new one after waiting.

    rows: the charts read so far, by id. bases: the basis of each statement read so far, by its pair.
    """

    def __init__(self) -> None:
        self.rows: dict[int, LocalIdentifier] = {}
        self.bases: dict[tuple[int, int], str] = {}
        self._fed: set[int] = set()
        self._charts: dict[int, Chart] = {}

    def holders(self, wanted: Sequence[int], limit: int) -> dict[int, list[int]]:
        """For each key the charts that have it, at most ``limit`` + 1. One statement."""
        if not wanted:
            return {}
        if connection.vendor == "postgresql":
            return _holders_postgresql(wanted, limit)
        found = fetch(_HOLDERS_SQLITE, [limit + 1, numbers(wanted)])
        return {key: [int(each) for each in charts.split(",")] for key, charts in found if charts}

    def glances(self, ids: Collection[int]) -> dict[int, Named]:
        """Names and birth of the charts with these ids. One statement."""
        if not ids:
            return {}
        found = fetch(f"SELECT {_NAMES} FROM pix_localidentifier WHERE {listed('id')}", [numbers(ids)])  # noqa: S608 - constants
        return {each[0]: _glance(*each) for each in found}

    def charts(self, ids: Collection[int]) -> Mapping[int, Chart]:
        """The charts with these ids."""
        for row, chart in read_compared([each for each in ids if each not in self._charts]):
            self.rows[row.pk], self._charts[row.pk] = row, chart
        return {each: self._charts[each] for each in ids if each in self._charts}

    def decisions(self, ids: Collection[int]) -> Iterable[Decision]:
        """The links and cases for review with one of these charts on either side."""
        if not ids:
            return
        sql = f"{_DECIDED}{listed('first_id')} UNION ALL {_DECIDED}{listed('second_id')}"
        for first, second, outcome, score, rule, vector, version in fetch(sql, [numbers(ids)] * 2):
            levels = tuple(json.loads(vector) if isinstance(vector, str) else vector)
            yield Decision(first, second, Verdict(Outcome(outcome), score, rule, levels), version)

    def statements(self, ids: Collection[int]) -> Iterable[Statement]:
        """The statements in force with one of these charts on either side.

        Charts that may be twins are held apart like charts that a clerk keeps apart, until one says that they are one:
        a third chart without a name, which could be either's, must not tie them together. So are two regional ids of
        an identity source: it alone says that they are one (``services.identity_source``).
        """
        if not ids:
            return []
        asked = [each + listed(f"{side}_id") for each in (_SAID, _TWINS) for side in ("first", "second")]
        found: dict[tuple[int, int], bool] = {}
        for first, second, one_human, basis in fetch(" UNION ALL ".join(asked), [numbers(ids)] * 4):
            if basis != "twins":
                self.bases[first, second] = basis
                found[first, second] = bool(one_human)
            else:
                found.setdefault((first, second), False)
        for pair in self._fed_apart(ids) if settings.IDENTITY_SOURCE else ():
            found.setdefault(pair, False)
        return [Statement(first, second, one_human) for (first, second), one_human in found.items()]

    def _fed_apart(self, ids: Collection[int]) -> Iterator[tuple[int, int]]:
        """Pairs of active regional ids of the identity source, of these charts and of those asked for before."""
        fresh = fed_among(ids)
        fresh -= self._fed
        self._fed |= fresh
        for one in fresh:
            yield from ((min(one, other), max(one, other)) for other in self._fed if other != one)


def fed_among(ids: Collection[int]) -> set[int]:
    """Those of the charts that are active regional ids of the identity source."""
    found = fetch(_FED + listed("id"), [settings.AFFINITY_DOMAIN_OID, numbers(ids)]) if ids else []
    return {chart for (chart,) in found}


def _holders_postgresql(wanted: Sequence[int], limit: int) -> dict[int, list[int]]:
    """Blocks are small nearly always, so all of them are read at once, as long as they are few rows altogether; only
    else is each of them cut, which costs a look-up of its own for each key."""
    most = max(limit + 1, _ROWS_A_KEY * len(wanted))
    found = fetch(_ALL_HOLDERS, [sorted(wanted), most])
    if len(found) == most:
        cut = fetch(_HOLDERS_POSTGRESQL, [limit + 1, list(wanted)])
        return {key: charts for key, charts in cut if charts}
    holders: dict[int, list[int]] = {}
    for key, chart in found:
        charts = holders.setdefault(key, [])
        if len(charts) <= limit:
            charts.append(chart)
    return holders


_ROWS_A_KEY = 40
_ALL_HOLDERS = "SELECT value, record_id FROM pix_matchkey WHERE value = ANY(%s::bigint[]) LIMIT %s"
_HOLDERS_POSTGRESQL = (
    "SELECT asked.key, ARRAY(SELECT record_id FROM pix_matchkey WHERE value = asked.key LIMIT %s)"
    " FROM unnest(%s::bigint[]) AS asked (key)"
)
_HOLDERS_SQLITE = (
    "SELECT asked.value, (SELECT group_concat(record_id) FROM"
    " (SELECT record_id FROM pix_matchkey WHERE value = asked.value LIMIT %s)) FROM json_each(%s) AS asked"
)
_NAMES = (
    "id, status, ideographic_family, ideographic_given, phonetic_family, phonetic_given, alphabetic_family,"
    " alphabetic_given, birth_date"
)


def _glance(chart: int, status: str, *names: str) -> Named:
    parts = (NameParts(*names[:2]), NameParts(*names[2:4]), NameParts(*names[4:6]))
    return matching.glance(chart, PersonName(*parts), names[6], current=status == LocalIdentifier.Status.ACTIVE)


def keys_of(chart: int) -> set[int]:
    """The keys that a chart has now."""
    return {key for (key,) in fetch("SELECT value FROM pix_matchkey WHERE record_id = %s", [chart])}


def write_keys(chart: int, keys: set[int], stale: Collection[int] = ()) -> None:
    """Give a chart these keys in the place of those that it had."""
    gone = set(stale) - keys
    if gone:
        execute(f"DELETE FROM pix_matchkey WHERE record_id = %s AND {listed('value')}", [chart, numbers(gone)])  # noqa: S608 - constants
    many.insert((KEYS, [(chart, key) for key in sorted(keys - set(stale))]))


KEYS = many.Table("pix_matchkey", (("record_id", "bigint"), ("value", "bigint")))
DECISIONS = many.Table(
    "pix_matchdecision",
    (
        ("first_id", "bigint"),
        ("second_id", "bigint"),
        ("outcome", "text"),
        ("score", "float8"),
        ("rule", "text"),
        ("vector", "jsonb"),
        ("version", "text"),
    ),
)


def write_decisions(chart: int, decided: Mapping[int, Decision], *, anew: bool) -> None:
    """Keep what was decided of a chart with others, by their ids. anew: it replaces what was decided before."""
    if anew:
        execute("DELETE FROM pix_matchdecision WHERE first_id = %s OR second_id = %s", [chart, chart])
    many.insert((DECISIONS, [decision_row(chart, other, each) for other, each in sorted(decided.items())]))


def decision_row(chart: int, other: int, decision: Decision) -> tuple[Any, ...]:
    """A decision of a chart with another one as its row (``DECISIONS``)."""
    first, second = (chart, other) if chart < other else (other, chart)
    said = decision.verdict
    return first, second, said.outcome.value, said.score, said.rule, json.dumps(said.vector), decision.version


def charts_under(persons: Collection[int]) -> set[int]:
    """The charts that stand under these persons."""
    if not persons:
        return set()
    sql = f"SELECT id FROM pix_localidentifier WHERE {listed('person_id')}"  # noqa: S608 - constants
    return {chart for (chart,) in fetch(sql, [numbers(persons)])}
