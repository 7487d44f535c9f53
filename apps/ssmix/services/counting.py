"""Counting deviations by rule, data type and month as files come, change and go: exact, without counting anew."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from django.db import connection

from apps.ssmix.models import State, Tally
from apps.ssmix.services.reading import Reading
from apps.ssmix.services.rows import Row

EXAMPLES = 3

_UPSERT = (
    "INSERT INTO ssmix_tally (root_id, rule, data_type, month, count, examples) VALUES (%s, %s, %s, %s, %s, '[]')"
    " ON CONFLICT (root_id, rule, data_type, month) DO UPDATE SET count = ssmix_tally.count + excluded.count"
)

Place = tuple[str, str, str]  # rule, data type, month


class Tallies:
    """The counts of one root during one scan. Which of them have their examples is remembered between batches."""

    def __init__(self, root_id: int) -> None:
        self.root_id = root_id
        self._full: set[Place] = set()
        self._filled: set[Place] = set()

    def count(self, rows: Iterable[Row], readings: Mapping[int, Reading]) -> None:
        """Add what the rows of one batch changed, inside its transaction."""
        changes: dict[Place, int] = defaultdict(int)
        examples: dict[Place, list[dict[str, str]]] = defaultdict(list)
        for row in rows:
            now = set() if row.state == State.MISSING else set(row.rule_ids)
            before = set(row.counted.split())
            if now == before:
                continue
            for rule in before - now:
                changes[rule, row.data_type, row.month] -= 1
            for rule in now - before:
                place = (rule, row.data_type, row.month)
                changes[place] += 1
                if place not in self._full and len(examples[place]) < EXAMPLES:
                    examples[place].append(_example(row, rule, readings.get(id(row))))
        if not changes:
            return
        with connection.cursor() as cursor:
            cursor.executemany(_UPSERT, [[self.root_id, *place, n] for place, n in sorted(changes.items()) if n])
        self._add_examples({place: found for place, found in examples.items() if found})

    def kept(self) -> None:
        """The batch is committed: what it filled is full."""
        self._full |= self._filled
        self._filled = set()

    def _add_examples(self, found: Mapping[Place, list[dict[str, str]]]) -> None:
        for (rule, data_type, month), examples in found.items():
            tally = Tally.objects.filter(root_id=self.root_id, rule=rule, data_type=data_type, month=month).first()
            if tally is None:
                continue
            if len(tally.examples) < EXAMPLES:
                tally.examples = (tally.examples + [each for each in examples if each not in tally.examples])[:EXAMPLES]
                tally.save(update_fields=["examples"])
            if len(tally.examples) >= EXAMPLES:
                self._filled.add((rule, data_type, month))


def _example(row: Row, rule: str, reading: Reading | None) -> dict[str, str]:
    places = [each.place for each in reading.deviations if each.rule == rule] if reading is not None else []
    path = f"{row.path}/{row.name}" if row.path else row.name
    return {"path": path, "place": ", ".join(dict.fromkeys(filter(None, places)))}
