"""The load: so many callers at once, each sending its next request when the last was answered."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

Send = Callable[[int], int]
"""Send the request of this number and await its answer; the length of the answer in bytes."""


@dataclass(frozen=True, slots=True)
class Rate:
    """What was measured: requests a second and the spread of single answers, in milliseconds."""

    per_second: float
    median_ms: float
    p99_ms: float


def measure(make_sender: Callable[[], Send], *, callers: int, seconds: float = 2.0, warm_up: int = 10) -> Rate:
    """Drive so many callers for so many seconds. ``make_sender`` opens one connection; a wrong answer raises."""
    times: list[list[float]] = [[] for _ in range(callers)]
    failures: list[BaseException] = []
    start_together = threading.Barrier(callers + 1)
    stop_at = [0.0]

    def call(index: int) -> None:
        try:
            send = make_sender()
            for number in range(warm_up):
                send(index * 100_000 + number)
            start_together.wait(60)
            number = warm_up
            while (begin := time.perf_counter()) < stop_at[0]:
                send(index * 100_000 + number)
                times[index].append(time.perf_counter() - begin)
                number += 1
        except BaseException as failure:
            failures.append(failure)
            start_together.abort()

    threads = [threading.Thread(target=call, args=(index,)) for index in range(callers)]
    for thread in threads:
        thread.start()
    try:
        stop_at[0] = time.perf_counter() + seconds + 3600
        start_together.wait(120)
        begin = time.perf_counter()
        stop_at[0] = begin + seconds
    except threading.BrokenBarrierError:
        begin = time.perf_counter()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    spent = [each for caller in times for each in caller]
    took = time.perf_counter() - begin
    ordered = sorted(spent)
    return Rate(len(spent) / took, statistics.median(ordered) * 1000, ordered[int(len(ordered) * 0.99)] * 1000)


def compare(
    name: str, ours: Callable[[], Send], floor: Callable[[], Send], *, callers: int, aim: float = 0.0, rounds: int = 3
) -> str:
    """Measure both in turn, some rounds; one row of the report: the best of each, their ratio, and the aim if any.

    The best round is the one that the rest of the machine disturbed least.
    """
    pairs = [(measure(floor, callers=callers), measure(ours, callers=callers)) for _ in range(rounds)]
    best_floor, best = (max(rates, key=lambda rate: rate.per_second) for rates in zip(*pairs, strict=True))
    return line(f"{name}, {callers} caller{'s' * (callers > 1)}", best, best_floor, aim)


def line(name: str, ours: Rate, floor: Rate, aim: float) -> str:
    """One row of the report."""
    ratio = ours.per_second / floor.per_second
    verdict = f" (aim {aim}: {'met' if ratio >= aim else 'MISSED'})" if aim else ""
    return (
        f"{name:34} {ours.per_second:8,.0f}/s  p50 {ours.median_ms:6.2f} ms  p99 {ours.p99_ms:7.2f} ms"
        f"   floor {floor.per_second:8,.0f}/s   ratio {ratio:4.2f}{verdict}"
    )
