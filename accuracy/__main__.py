"""Print how well matching does: ``python -m accuracy`` (``make accuracy``).

    python -m accuracy                       FEBRL 3 and 4, a population of 50,000 humans, twins and namesakes
    python -m accuracy --humans 5000         a smaller population
    python -m accuracy --only febrl          one part: febrl, population, hard, speed

One configuration for everything: the shipped version, trained without knowing the truth on the population that is then
fed, one record at a time. F1 counts automatic links alone.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable

from accuracy import febrl, feeding
from accuracy.feeding import Result
from accuracy.population import HARD, generate
from apps.pix.matching import Chart, Kind, MemoryStore, candidates, consider

AIM_PRECISION, AIM_RECALL, AIM_REVIEW, AIM_OVERMERGED = 0.9999, 0.985, 0.01, 1e-5
SEED = 20260401


def main() -> None:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(prog="python -m accuracy", description="How well matching does.")
    parser.add_argument("--humans", type=int, default=50_000, help="humans in the generated population")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--only", choices=sorted(_PARTS), help="one part alone")
    asked = parser.parse_args()
    for name, part in _PARTS.items():
        if asked.only in (None, name):
            part(asked.humans, asked.seed)


_COLUMNS = ("pairwise P R F1", "by cluster P R F1", "review settled P R F1")
_HEAD = f"{'':34} {'records':>8}  {' '.join(f'{each:24}' for each in _COLUMNS)} {'review':>7}"


def _row(name: str, result: Result, note: str) -> None:
    print(
        f"{name:34} {result.records:8}  {result.pairs!s:24} {result.clusters!s:24} {result.settled!s:24}"
        f" {result.review:7.2%}  {result.rate:6.0f}/s  {note}",
        flush=True,
    )


def _febrl(_humans: int, _seed: int) -> None:
    print("== FEBRL, automatic links alone\n" + _HEAD)
    for (number, setting), best in sorted(febrl.TO_BEAT.items(), key=lambda each: febrl.SETTINGS.index(each[0][1])):
        records = febrl.read(number, setting)
        result = feeding.measure(records.charts, records.truth, feeding.train(records.charts))
        verdict = "better" if result.pairs.f1 > best else "NOT BETTER"
        _row(f"FEBRL {number}, {setting}", result, f"F1 {result.pairs.f1:.4f}, to beat {best:.4f}: {verdict}")


def _population(humans: int, seed: int) -> None:
    print(f"\n== A Japanese population, seed {seed}\n" + _HEAD)
    population = generate(humans, seed)
    result = feeding.measure(population.charts, population.truth, feeding.train(population.charts))
    _row(f"{humans} humans", result, _aims(result))


def _aims(result: Result) -> str:
    missed = [
        name
        for name, met in (
            ("precision", result.pairs.precision >= AIM_PRECISION),
            ("recall", result.pairs.recall >= AIM_RECALL),
            ("review", result.review <= AIM_REVIEW),
        )
        if not met
    ]
    return "aims met" if not missed else f"AIMS MISSED: {', '.join(missed)}"


def _hard(humans: int, seed: int) -> None:
    """Twins and namesakes, decided by the version that an ordinary population taught."""
    print(f"\n== Twins and people of one name and birth date, seed {seed}\n" + _HEAD)
    ordinary = generate(max(humans // 4, 2000), seed)
    version = feeding.train(ordinary.charts)
    population = generate(humans, seed + 1, HARD)
    result = feeding.measure(population.charts, population.truth, version)
    share = result.overmerged / result.records
    verdict = "aim met" if share <= AIM_OVERMERGED else "AIM MISSED"
    _row(f"{humans} humans", result, f"over-merged {result.overmerged} ({share:.1e} of records): {verdict}")


def _speed(humans: int, seed: int) -> None:
    """What one chart costs against everything that is there, its candidates included."""
    population = generate(humans, seed)
    version = feeding.train(population.charts)
    store, seconds = feeding.feed(population.charts, version)
    asked = random.Random(seed).sample(population.charts, 2000)  # noqa: S311 (reproducible, not secret)
    timed = [_timed(chart, store) for chart in asked]
    print(f"\n== Speed with {len(population.charts)} charts of {humans} humans in memory")
    print(
        f"feeding                {len(population.charts) / seconds:8.0f} charts/s, keys, decisions and persons included"
    )
    print(
        f"one chart, candidates  {statistics.median(timed) * 1e6:8.0f} µs median, {_tail(timed) * 1e6:.0f} µs 99 of 100"
    )
    compared = statistics.mean(len(candidates(each, version.kinds, store.holders).charts) for each in asked)
    print(f"                       {compared:8.1f} candidates a chart")
    print(f"blocks left out        {_blocks(store.oversized)}")


def _timed(chart: Chart, store: MemoryStore) -> float:
    start = time.perf_counter()
    consider(chart, store, store.scorer)
    return time.perf_counter() - start


def _tail(timed: list[float]) -> float:
    return sorted(timed)[len(timed) * 99 // 100]


def _blocks(oversized: dict[Kind, int]) -> str:
    return ", ".join(f"{kind.value} {count} times" for kind, count in oversized.items()) or "none"


_PARTS: dict[str, Callable[[int, int], None]] = {
    "febrl": _febrl,
    "population": _population,
    "hard": _hard,
    "speed": _speed,
}

if __name__ == "__main__":
    main()
