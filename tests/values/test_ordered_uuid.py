"""The numbers of records that are written all day: they ascend, and tell their time."""

from __future__ import annotations

import time
import uuid

from hie.values.identifiers import new_ordered_uuid


def test_they_ascend_are_fresh_and_begin_with_the_time():
    before = time.time_ns() // 1_000_000
    made = []
    for _ in range(100):
        made.append(new_ordered_uuid())
        time.sleep(0.000_01)
    assert made == sorted(made)
    assert len(set(made)) == 100
    assert all((each.version, each.variant) == (7, uuid.RFC_4122) for each in made)
    assert before <= made[0].int >> 80 <= time.time_ns() // 1_000_000
