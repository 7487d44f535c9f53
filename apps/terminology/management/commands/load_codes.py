"""``manage.py load_codes``: the network's codes from CSV files, and back into them."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.terminology import services


class Command(BaseCommand):
    help = "Load codes.csv, maps.csv and data_types.csv from a directory (or one of them), or write them with --export."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("path", nargs="?", default="", help="Directory or file; without it: the defaults.")
        parser.add_argument("--overwrite", action="store_true", help="Also change rows that are there already.")
        parser.add_argument("--export", action="store_true", help="Write the three tables into the directory instead.")

    def handle(self, *args: Any, **options: Any) -> None:
        path = Path(options["path"]) if options["path"] else services.DEFAULTS
        if options["export"]:
            self._export(path, named=bool(options["path"]))
            return
        found = [path] if path.is_file() else [path / f"{table}.csv" for table in services.COLUMNS]
        present = [file for file in found if file.is_file()]
        if not present:
            raise CommandError(f"There is no {', '.join(f'{table}.csv' for table in services.COLUMNS)} at {path}.")
        for file in present:
            try:
                changed = services.load(file.stem, file.read_text(encoding="utf-8-sig"), overwrite=options["overwrite"])
            except (services.BadTableError, UnicodeDecodeError) as bad:
                raise CommandError(f"{file}: {bad}") from None
            self.stdout.write(f"{file.name}: {changed} rows added or changed")

    def _export(self, directory: Path, *, named: bool) -> None:
        if not named:
            raise CommandError("Name the directory to write into.")
        directory.mkdir(parents=True, exist_ok=True)
        for table in services.COLUMNS:
            (directory / f"{table}.csv").write_text(services.dump(table), encoding="utf-8")
            self.stdout.write(str(directory / f"{table}.csv"))
