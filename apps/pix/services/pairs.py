"""The charts, keys, decisions and statements in the database, as matching asks for them (``matching.Store``).

Every look-up is bounded: of a key at most one chart more than its block may have, of a list of rows so many at a time.
Plain SQL, because all of this runs with every feed.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.conf import settings
from django.db import connection

from apps.pix.matching import Chart, Decision, Outcome, Statement, Verdict
from apps.pix.models import LocalIdentifier
from apps.pix.services.charts import chart_of

_AT_ONCE = 100  # keys or rows named in one statement

_ONE_KEY = "SELECT * FROM (SELECT value, record_id FROM pix_matchkey WHERE value = %s LIMIT %s) AS k{}"
_CHARTS = "SELECT * FROM pix_localidentifier WHERE id IN ({})"
_DECIDED = "SELECT first_id, second_id, outcome, score, rule, vector, version FROM pix_matchdecision WHERE "
_DECISIONS = _DECIDED + "first_id IN ({ids}) UNION " + _DECIDED + "second_id IN ({ids})"
_SAID = "SELECT first_id, second_id, one_human, basis FROM pix_assertion WHERE ended_at IS NULL AND "
_TWINS = "SELECT first_id, second_id, FALSE, 'twins' FROM pix_matchdecision WHERE rule = 'twins' AND "
_STATED = " UNION ".join(each + side + "_id IN ({ids})" for each in (_SAID, _TWINS) for side in ("first", "second"))

_FED = "SELECT id FROM pix_localidentifier WHERE authority_oid = %s AND status = 'active' AND id IN ({})"


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
        """For each key the charts that have it, at most ``limit`` + 1."""
        found: dict[int, list[int]] = defaultdict(list)
        for some in _portions(wanted):
            sql = " UNION ALL ".join(_ONE_KEY.format(number) for number in range(len(some)))
            for key, chart in _fetch(sql, [each for value in some for each in (value, limit + 1)]):
                found[key].append(chart)
        return found

    def charts(self, ids: Collection[int]) -> dict[int, Chart]:
        """The charts with these ids."""
        for some in _portions([each for each in ids if each not in self._charts]):
            for row in LocalIdentifier.objects.raw(_CHARTS.format(places(some)), some):
                self.rows[row.pk], self._charts[row.pk] = row, chart_of(row)
        return {each: self._charts[each] for each in ids if each in self._charts}

    def decisions(self, ids: Collection[int]) -> Iterable[Decision]:
        """The links and cases for review with one of these charts on either side."""
        for some in _portions(ids):
            for first, second, outcome, score, rule, vector, version in _fetch(
                _DECISIONS.format(ids=places(some)), some * 2
            ):
                levels = tuple(json.loads(vector) if isinstance(vector, str) else vector)
                yield Decision(first, second, Verdict(Outcome(outcome), score, rule, levels), version)

    def statements(self, ids: Collection[int]) -> Iterable[Statement]:
        """The statements in force with one of these charts on either side.

        Charts that may be twins are held apart like charts that a clerk keeps apart, until one says that they are one:
        a third chart without a name, which could be either's, must not tie them together. So are two regional ids of
        an identity source: it alone says that they are one (``services.identity_source``).
        """
        found: dict[tuple[int, int], bool] = {}
        for some in _portions(ids):
            for first, second, one_human, basis in _fetch(_STATED.format(ids=places(some)), some * 4):
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
        fresh = set()
        for some in _portions(ids):
            fresh |= {chart for (chart,) in _fetch(_FED.format(places(some)), [settings.AFFINITY_DOMAIN_OID, *some])}
        fresh -= self._fed
        self._fed |= fresh
        for one in fresh:
            yield from ((min(one, other), max(one, other)) for other in self._fed if other != one)


def keys_of(chart: int) -> set[int]:
    """The keys that a chart has now."""
    return {key for (key,) in _fetch("SELECT value FROM pix_matchkey WHERE record_id = %s", [chart])}


def write_keys(chart: int, keys: set[int], stale: Collection[int] = ()) -> None:
    """Give a chart these keys in the place of those that it had."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "DELETE FROM pix_matchkey WHERE record_id = %s AND value = %s", [(chart, key) for key in set(stale) - keys]
        )
        rows = [each for key in sorted(keys - set(stale)) for each in (chart, key)]
        if rows:
            marks = ", ".join(["(%s, %s)"] * (len(rows) // 2))
            insert = f"INSERT INTO pix_matchkey (record_id, value) VALUES {marks}"  # noqa: S608 - constants and marks
            cursor.execute(insert, rows)


def write_decisions(chart: int, decided: Mapping[int, Decision], *, anew: bool) -> None:
    """Keep what was decided of a chart with others, by their ids. anew: it replaces what was decided before."""
    rows = [
        (
            min(chart, other),
            max(chart, other),
            each.verdict.outcome.value,
            each.verdict.score,
            each.verdict.rule,
            json.dumps(each.verdict.vector),
            each.version,
        )
        for other, each in sorted(decided.items())
    ]
    with connection.cursor() as cursor:
        if anew:
            cursor.execute("DELETE FROM pix_matchdecision WHERE first_id = %s", [chart])
            cursor.execute("DELETE FROM pix_matchdecision WHERE second_id = %s", [chart])
        cursor.executemany(
            "INSERT INTO pix_matchdecision (first_id, second_id, outcome, score, rule, vector, version)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s)",
            rows,
        )


def charts_under(persons: Collection[int]) -> set[int]:
    """The charts that stand under these persons."""
    found: set[int] = set()
    for some in _portions(persons):
        sql = f"SELECT id FROM pix_localidentifier WHERE person_id IN ({places(some)})"  # noqa: S608 - marks
        found.update(chart for (chart,) in _fetch(sql, some))
    return found


def places(values: Collection[object]) -> str:
    """The marks of so many values."""
    return ", ".join(["%s"] * len(values))


def _fetch(sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall())


def _portions(values: Iterable[int]) -> Iterator[list[int]]:
    listed = list(values)
    for start in range(0, len(listed), _AT_ONCE):
        yield listed[start : start + _AT_ONCE]
