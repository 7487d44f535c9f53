"""``manage.py load_patients``: a facility's whole list of patients comes into the index, with progress."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.pix.services import loading
from apps.pix.services.loading import Progress, Remark
from hie.values.errors import ExchangeError
from hie.wire.patient_list import COLUMNS

WIDTH = 30
SHOWN = 20  # remarks on the screen where they are not written to a file


class Command(BaseCommand):
    help = (
        "Load a facility's list of patients: a CSV file whose first line names its columns"
        f" ({', '.join(COLUMNS)}), or a folder of HL7 v2 ADT messages. Stopped, it goes on where it was."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("facility", help="code of the facility whose patients these are")
        parser.add_argument("path", type=Path, help="a CSV file, or a folder of HL7 v2 messages")
        parser.add_argument("--encoding", default="", help="of a CSV file; UTF-8 or Shift_JIS by itself")
        parser.add_argument("--remarks", type=Path, help="file for what was refused or doubtful, line by line")
        parser.add_argument(
            "--processes", type=int, default=loading.default_processes(), help="processes that prepare; 0: none"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self._remarks = options["remarks"].open("a", encoding="utf-8") if options["remarks"] else None
        self._unshown = 0
        self._shown = 0
        try:
            done = loading.load(
                options["path"],
                options["facility"],
                progress=self._show,
                remark=self._remark,
                processes=options["processes"],
                encoding=options["encoding"],
            )
        except (loading.UnreadableListError, ExchangeError) as error:
            raise CommandError(str(error)) from error
        finally:
            if self._remarks:
                self._remarks.close()
        if self._unshown:
            self.stderr.write(f"  and {self._unshown} remarks more; --remarks FILE keeps all of them")
        self.stdout.write(f"{_line(done)}, {done.rate:,.0f}/s")

    def _show(self, now: Progress) -> None:
        left = now.remaining_seconds
        line = f"{now.done / max(now.total, 1):.0%} {_line(now)}, {now.rate:,.0f}/s, {left or 0:,.0f} s left"
        if self.stdout.isatty():
            bar = "█" * int(now.done / max(now.total, 1) * WIDTH)
            self.stdout.write(f"\r  {bar:<{WIDTH}} {line}\x1b[K", ending="")
            self.stdout.flush()
        elif now.done // loading.PORTION % 20 == 0 or now.done >= now.total:
            self.stdout.write(f"  {line}")

    def _remark(self, remark: Remark) -> None:
        text = f"{remark.place}: {'refused: ' if remark.refused else ''}{remark.text}"
        if self._remarks:
            self._remarks.write(text + "\n")
        elif self._shown < SHOWN:
            self._shown += 1
            self.stderr.write(f"  {text}")
        else:
            self._unshown += 1


def _line(now: Progress) -> str:
    return (
        f"{now.done:,} of {now.total:,}: {now.entered:,} new charts, {now.updated:,} changed,"
        f" {now.unchanged:,} unchanged, {now.refused:,} refused"
    )
