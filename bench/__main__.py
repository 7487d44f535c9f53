"""``make bench``: what the exchange does a second, each figure beside a floor measured in the same run.

The floor of a transaction is the same server around one indexed SELECT and one durable INSERT; the floor of a scan is
a plain walk that reads and hashes the same files. ``python -m bench transactions`` or ``scan`` runs one of the
two. In ``sh tests/with_services.sh`` it measures on PostgreSQL. Figures and their meaning: docs/benchmarks.md.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from bench.region import Region, measured_region, running


def main(names: list[str]) -> int:
    """Run the benchmarks named, or all of them."""
    with measured_region() as region:
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hie.settings")
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        for name, benchmark in BENCHMARKS.items():
            if not names or name in names:
                benchmark(region)
    return 0


def scan(region: Region) -> None:
    """First and second scan of a storage against walk + read + SHA-256 of the same files."""
    from bench import scanning

    scanning.run(region)


def transactions(region: Region) -> None:
    """ITI-9 over one and eight MLLP connections, ITI-21, ITI-8, ITI-30, ITI-18, ITI-43 small and large, ITI-41."""
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
