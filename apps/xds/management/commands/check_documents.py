"""``manage.py check_documents``: lost, altered, closed, orphaned and half-written documents; exit code 1 for any."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.xds.services.checking import DAY, Checked, Fault, check_documents, remove_left_over

_REMOVABLE = frozenset(("orphan", "half"))
_HOUR = DAY / 24


class Command(BaseCommand):
    help = "Hold the documents of the repository against its rows: one line for each fault, and the figures."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--quick", action="store_true", help="Compare sizes only; do not read the documents.")
        parser.add_argument("--clean", action="store_true", help="Remove orphans and half-written files that are old.")
        parser.add_argument(
            "--older-than",
            type=float,
            default=24.0,
            metavar="HOURS",
            help="Age from which an orphan or half-written file is one (24); at least the longest submission.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["older_than"] < 1:
            raise CommandError("Less than an hour is not safe: a submission may be under way.")
        remaining = 0
        try:
            for found in check_documents(read=not options["quick"], older_than=options["older_than"] * _HOUR):
                remaining += self._told(found, clean=options["clean"])
        except (TimeoutError, ConnectionError) as failure:
            raise CommandError(f"{failure}: what lies there is not known. Check HIE_S3_* and the storage.") from None
        if remaining:
            sys.exit(1)

    def _told(self, found: Fault | Checked, *, clean: bool) -> int:
        """Say it; 1 where it remains."""
        if isinstance(found, Checked):
            figures = ", ".join(f"{kind} {count}" for kind, count in sorted(found.faults.items())) or "no faults"
            self.stdout.write(f"{found.contents} contents checked: {figures}")
            return 0
        removed = clean and found.kind in _REMOVABLE and remove_left_over(found)
        concerned = f" ({found.entries} entries)" if found.entries else ""
        self.stdout.write(f"{found.kind:8}{found.place}{concerned}{' removed' if removed else ''}")
        return 0 if removed else 1
