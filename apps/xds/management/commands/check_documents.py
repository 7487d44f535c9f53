"""``manage.py check_documents``: lost, altered, orphaned and half-written documents; exit code 1 where one is found."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from apps.xds.services.checking import DAY, Checked, check_documents, remove_left_over

_REMOVABLE = frozenset(("orphan", "half"))


class Command(BaseCommand):
    help = "Hold the documents of the repository against its rows: one line for each fault, and the figures."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--quick", action="store_true", help="Compare sizes only; do not read the documents.")
        parser.add_argument(
            "--clean", action="store_true", help="Remove orphans and half-written files over a day old."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        remaining = 0
        for found in check_documents(read=not options["quick"], older_than=DAY):
            if isinstance(found, Checked):
                figures = ", ".join(f"{kind} {count}" for kind, count in sorted(found.faults.items())) or "no faults"
                self.stdout.write(f"{found.contents} contents checked: {figures}")
                continue
            removed = options["clean"] and found.kind in _REMOVABLE and remove_left_over(found.place)
            remaining += not removed
            concerned = f" ({found.entries} entries)" if found.entries else ""
            self.stdout.write(f"{found.kind:8}{found.place}{concerned}{' removed' if removed else ''}")
        if remaining:
            sys.exit(1)
