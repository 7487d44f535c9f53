"""``manage.py scan_storage``: scan storages now, with progress, and account for every file."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.ssmix import queries
from apps.ssmix.models import StorageRoot
from apps.ssmix.services import Progress, ScanRefusedError, scan

WIDTH = 30


class Command(BaseCommand):
    help = "Scan SS-MIX2 storages: all that are switched on, or those named by id or facility code."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("storages", nargs="*", help="ids of storages or facility codes; none: all")
        parser.add_argument("--full", action="store_true", help="compare size and time of every file")

    def handle(self, *args: Any, **options: Any) -> None:
        failed = False
        for root in _chosen(options["storages"]):
            self.stdout.write(f"{root.pk} {root} {root.path}")
            self._last: Progress | None = None
            try:
                done = scan(root, self._show, full=options["full"])
            except ScanRefusedError as error:
                raise CommandError(str(error)) from error
            if self.stdout.isatty():
                self.stdout.write("")
            if self._last is not None and self._last.discovered:
                found, told = self._last.discovered / self._last.discovering, self._last.settled / self._last.settling
                self.stdout.write(f"  found and indexed {found:,.0f} files/s, judged and told {told:,.0f} files/s")
            figures = ", ".join(f"{name} {number}" for name, number in done.counts.items() if number)
            self.stdout.write(f"  {figures or 'nothing found'}")
            if done.problem:
                failed = True
                self.stderr.write(f"  {done.problem}")
                continue
            report = queries.report(root)
            states = ", ".join(f"{name} {number}" for name, number in report.states.items())
            self.stdout.write(f"  {report.found} files: {states}; lost {report.lost}")
        if failed:
            raise CommandError("A storage could not be scanned.")

    def _show(self, progress: Progress) -> None:
        """One line that is written over on a terminal; a line for each batch otherwise."""
        self._last = progress
        rate = progress.found / progress.seconds if progress.seconds else 0.0
        remaining = progress.remaining_seconds
        left = f"{remaining:.0f} s left" if remaining is not None else "…"
        share = progress.share
        line = f"{progress.found} files, {progress.new} new, {rate:.0f} files/s, {share:.0%}, {left}"
        if self.stdout.isatty():
            bar = "█" * int(share * WIDTH)
            self.stdout.write(f"\r  {bar:<{WIDTH}} {line}\x1b[K", ending="")
            self.stdout.flush()
        elif progress.branches_done == progress.branches:
            self.stdout.write(f"  {line}")


def _chosen(names: list[str]) -> list[StorageRoot]:
    roots = StorageRoot.objects.filter(enabled=True).exclude(kind="transaction").select_related("facility")
    if not names:
        return list(roots)
    chosen = [root for root in roots if str(root.pk) in names or root.facility.code in names]
    if not chosen:
        raise CommandError("There is no such storage that is switched on.")
    return chosen
