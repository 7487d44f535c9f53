"""``manage.py check_storage``: every rule applied to every file under a path, without registering anything."""

from __future__ import annotations

import csv
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.ssmix.services import Check, check_storage, lines
from hie.wire.ssmix.rules import RULES

HEADER = ("rule", "severity", "meaning", "data_type", "month", "files", "examples")


class Command(BaseCommand):
    help = "Check an SS-MIX2 storage against the rules and print what was found: as text, CSV or JSON."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("path")
        parser.add_argument("--extended", action="store_true", help="an extended storage")
        parser.add_argument("--format", choices=("text", "csv", "json"), default="text")
        parser.add_argument("--language", choices=("ja", "en"), default="ja")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            found = check_storage(options["path"], extended=options["extended"])
        except OSError as error:
            raise CommandError(f"The storage cannot be read: {error.strerror}.") from error
        {"text": self._text, "csv": self._csv, "json": self._json}[options["format"]](found, options["language"])

    def _rows(self, found: Check, language: str) -> list[tuple[str, str, str, str, str, int, str]]:
        return [
            (rule, RULES[rule].severity.value, getattr(RULES[rule], language), data_type, month, count, examples)
            for rule, data_type, month, count, examples in lines(found)
        ]

    def _text(self, found: Check, language: str) -> None:
        states = ", ".join(f"{name} {number}" for name, number in sorted(found.states.items()))
        self.stdout.write(f"{found.files} files: {states}")
        for rule, severity, meaning, data_type, month, count, examples in self._rows(found, language):
            self.stdout.write(f"{rule} {severity} {data_type:<7} {month:<6} {count:>7}  {meaning}")
            self.stdout.write(f"        {examples}")

    def _csv(self, found: Check, language: str) -> None:
        writer = csv.writer(self.stdout)
        writer.writerow(HEADER)
        writer.writerows(self._rows(found, language))

    def _json(self, found: Check, language: str) -> None:
        rows = [dict(zip(HEADER, row, strict=True)) for row in self._rows(found, language)]
        report = {"files": found.files, "states": dict(found.states), "findings": rows}
        self.stdout.write(json.dumps(report, ensure_ascii=False, indent=2))
