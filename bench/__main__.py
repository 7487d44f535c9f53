"""``make bench``: what the exchange does a second, each figure beside a floor measured in the same run.

The floor of a transaction is the same server around one indexed SELECT and one durable INSERT; the floor of a scan is
a plain walk that reads and hashes the same files. ``python -m bench transactions``, ``scan`` or ``index`` runs one of
them; the index (``--persons``) runs only where it is named, for it takes its time. In ``sh tests/with_services.sh`` it
measures on PostgreSQL. Figures and their meaning: docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable

from bench.region import Region, measured_region, running


def main(arguments: list[str]) -> int:
    """Run the benchmarks named, or all but the index, which takes its size in persons."""
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("names", nargs="*", choices=[*BENCHMARKS, "index", []])
    parser.add_argument("--persons", type=int, default=100_000, help="how many the index holds")
    parser.add_argument("--callers", type=int, default=2, help="processes that feed and ask the index at once")
    asked = parser.parse_args(arguments)
    with measured_region() as region:
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hie.settings")
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        for name, benchmark in BENCHMARKS.items():
            if not asked.names or name in asked.names:
                benchmark(region)
        if "index" in asked.names:
            from bench import index

            index.run(region, asked.persons, asked.callers)
    return 0


def scan(region: Region) -> None:
    """First and second scan of a storage against walk + read + SHA-256 of the same files."""
    from bench import scanning

    scanning.run(region)


def transactions(region: Region) -> None:
    """ITI-9 over one and eight MLLP connections, ITI-8, ITI-30, ITI-18, ITI-43 small and large, ITI-41."""
    from bench import doors, floor

    fixture = doors.prepare(region)
    floor.make_table()
    serve = ["manage.py", "serve", "--only", "https", "mllp"]
    base = ["-m", "bench.floor", str(region.floor_https_port), str(region.floor_mllp_port)]
    with (
        running(region, serve, [region.https_port, region.mllp_port]),
        running(region, base, [region.floor_https_port, region.floor_mllp_port]),
    ):
        doors.run(region, fixture)


BENCHMARKS: dict[str, Callable[[Region], None]] = {"transactions": transactions, "scan": scan}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
