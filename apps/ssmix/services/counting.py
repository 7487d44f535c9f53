"""Counting deviations by rule, data type and month as files come, change and go: exact, without counting anew."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from django.db import connection

from apps.ssmix.models import State, Tally
from apps.ssmix.services.reading import Reading
from apps.ssmix.services.rows import Row

EXAMPLES = 3

_UPSERT = (
    "INSERT INTO ssmix_tally (root_id, rule, data_type, month, count, examples) VALUES (%s, %s, %s, %s, %s, {json})"
    " ON CONFLICT (root_id, rule, data_type, month) DO UPDATE SET count = ssmix_tally.count + excluded.count"
)

Place = tuple[str, str, str]  # rule, data type, month


class Tallies:
    """The counts of one root during one scan. What a place has of examples is read once and then remembered."""

    def __init__(self, root_id: int) -> None:
        self.root_id = root_id
        self._examples: dict[Place, list[dict[str, str]]] | None = None

    def count(self, rows: Iterable[Row], readings: Mapping[int, Reading]) -> None:
        """Add what the rows of one batch changed, inside its transaction."""
        changes: dict[Place, int] = defaultdict(int)
        more: set[Place] = set()
        for row in rows:
            now = set() if row.state == State.MISSING else set(row.rule_ids)
            before = set(row.counted.split())
            for rule in before - now:
                changes[rule, row.data_type, row.month] -= 1
            for rule in now - before:
                place = (rule, row.data_type, row.month)
                changes[place] += 1
                if self._take(place, row, readings.get(id(row))):
                    more.add(place)
        self._write(changes, more)

    def _take(self, place: Place, row: Row, reading: Reading | None) -> bool:
        """Keep a row as an example where there are too few: whether it was kept."""
        if self._examples is None:
            rows = Tally.objects.filter(root_id=self.root_id).values_list("rule", "data_type", "month", "examples")
            self._examples = {(rule, kind, month): examples for rule, kind, month, examples in rows}
        examples = self._examples.get(place, [])
        if len(examples) >= EXAMPLES:
            return False
        self._examples[place] = [*examples, _example(row, place[0], reading)]
        return True

    def _write(self, changes: Mapping[Place, int], more: Collection[Place]) -> None:
        assert self._examples is not None or not more
        upsert = _UPSERT.format(json="CAST(%s AS jsonb)" if connection.vendor == "postgresql" else "%s")
        plain: list[list[str | int]] = []
        exemplified: list[list[str | int]] = []
        for place, change in sorted(changes.items()):
            if place in more and self._examples is not None:
                examples = json.dumps(self._examples[place], ensure_ascii=False)
                exemplified.append([self.root_id, *place, change, examples])
            elif change:
                plain.append([self.root_id, *place, change, "[]"])
        with connection.cursor() as cursor:
            if plain:
                cursor.executemany(upsert, plain)
            if exemplified:
                cursor.executemany(f"{upsert}, examples = excluded.examples", exemplified)


def _example(row: Row, rule: str, reading: Reading | None) -> dict[str, str]:
    places = [each.place for each in reading.deviations if each.rule == rule] if reading is not None else []
    path = f"{row.path}/{row.name}" if row.path else row.name
    return {"path": path, "place": ", ".join(dict.fromkeys(filter(None, places)))}
