"""``make bench``: what the exchange does a second, each figure beside a floor measured in the same run.

The floor of a transaction is the same server around one indexed SELECT and one durable INSERT; the floor of a scan is
a plain walk that reads and hashes the same files. ``python -m bench transactions``, ``scan`` or ``summaries`` runs one.
What takes its time runs only where it is named: ``registry --entries 1000000`` measures the registry at that size and
at a hundredth of it, ``index --persons 100000`` the patient index. In ``sh tests/with_services.sh`` it measures on
PostgreSQL. Figures and their meaning: docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterator

from bench.region import Region, measured_region, running


def main(arguments: list[str]) -> int:
    """Run the benchmarks named, or those that take a few minutes together."""
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("names", nargs="*", choices=[*BENCHMARKS, []], metavar="|".join(BENCHMARKS))
    parser.add_argument("--entries", type=int, default=100_000, help="documents in the registry (registry)")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each door is measured (registry)")
    parser.add_argument("--persons", type=int, default=100_000, help="how many the index holds (index)")
    parser.add_argument("--callers", type=int, default=2, help="processes that feed and ask the index at once (index)")
    parser.add_argument("--beside", type=int, default=0, help="persons of one chart each besides (index)")
    options = parser.parse_args(arguments)
    with measured_region() as region:
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hie.settings")
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        for name in options.names or ("transactions", "scan", "summaries"):
            BENCHMARKS[name](region, options)
    return 0


def scan(region: Region, _: argparse.Namespace) -> None:
    """First and second scan of a storage against walk + read + SHA-256 of the same files."""
    from bench import scanning

    scanning.run(region)


def summaries(region: Region, _: argparse.Namespace) -> None:
    """Patient summaries made on demand, against reading and hashing what they are made from."""
    from bench import summaries as benchmark

    benchmark.run(region)


def transactions(region: Region, _: argparse.Namespace) -> None:
    """ITI-9 over one and eight MLLP connections, ITI-21, ITI-8, ITI-30, ITI-18, ITI-43 small and large, ITI-41."""
    from bench import doors, floor

    fixture = doors.prepare(region)
    floor.make_table()
    with _served(region):
        doors.run(region, fixture)


def growth(region: Region, _: argparse.Namespace) -> None:
    """What a message writes into PostgreSQL, and how many connections the doors hold."""
    from bench import doors, floor
    from bench import growth as measured

    fixture = doors.prepare(region)
    floor.make_table()
    with _served(region):
        measured.run(region, fixture)


def registry(region: Region, options: argparse.Namespace) -> None:
    """ITI-18, 42, 41 and 43 at a hundredth of the entries and at all of them."""
    from bench import floor
    from bench import registry as measured

    template, cases = measured.fill_first(region, options.entries)
    floor.make_table()
    with _served(region):
        before = measured.measure_all(region, cases, options.entries // 100, options.seconds)
    measured.fill_up(template, options.entries)
    with _served(region):
        after = measured.measure_all(region, cases, options.entries, options.seconds)
    measured.compare_sizes(cases, before, after)


def index(region: Region, options: argparse.Namespace) -> None:
    """Bulk load, feeds and queries of the patient index at its size in persons."""
    from bench import index as measured

    measured.run(region, options.persons, options.callers, options.beside)


@contextlib.contextmanager
def _served(region: Region) -> Iterator[None]:
    serve = ["manage.py", "serve", "--only", "https", "mllp"]
    base = ["-m", "bench.floor", str(region.floor_https_port), str(region.floor_mllp_port)]
    with (
        running(region, serve, [region.https_port, region.mllp_port]),
        running(region, base, [region.floor_https_port, region.floor_mllp_port]),
    ):
        yield


BENCHMARKS: dict[str, Callable[[Region, argparse.Namespace], None]] = {
    "transactions": transactions,
    "scan": scan,
    "summaries": summaries,
    "growth": growth,
    "registry": registry,
    "index": index,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
