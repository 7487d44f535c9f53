"""``manage.py report_storage``: what scans found wrong in the storages of each facility, as the admin shows it."""

from __future__ import annotations

import csv
import json
from dataclasses import astuple, dataclass
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.ssmix import queries
from apps.ssmix.models import StorageRoot
from hie.wire.ssmix.names import shown


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the report; its fields are the columns."""

    facility: str
    storage: str
    rule: str
    severity: str
    meaning: str
    data_type: str
    month: str
    files: int
    accepted: bool
    examples: str


class Command(BaseCommand):
    help = "Report what scans found wrong in storages: by facility, rule, data type and month, with examples."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("storages", nargs="*", help="ids of storages or facility codes; none: all")
        parser.add_argument("--format", choices=("text", "csv", "json"), default="text")
        parser.add_argument("--language", choices=("ja", "en"), default="ja")

    def handle(self, *args: Any, **options: Any) -> None:
        wanted = options["storages"]
        roots = [
            root
            for root in StorageRoot.objects.select_related("facility")
            if not wanted or str(root.pk) in wanted or root.facility.code in wanted
        ]
        if wanted and not roots:
            raise CommandError("There is no such storage.")
        found = [line for root in roots for line in _lines(root, options["language"])]
        {"text": self._text, "csv": self._csv, "json": self._json}[options["format"]](roots, found)

    def _text(self, roots: list[StorageRoot], found: list[Line]) -> None:
        for root in roots:
            report = queries.report(root)
            states = ", ".join(f"{name} {number}" for name, number in report.states.items())
            self.stdout.write(f"{root.pk} {root}: {report.found} files: {states or 'not scanned'}; lost {report.lost}")
        for each in found:
            accepted = " (accepted)" if each.accepted else ""
            self.stdout.write(
                f"{each.facility} {each.storage} {each.rule} {each.severity} {each.data_type:<7} {each.month:<6}"
                f" {each.files:>7}  {each.meaning}{accepted}"
            )
            self.stdout.write(f"        {each.examples}")

    def _csv(self, roots: list[StorageRoot], found: list[Line]) -> None:
        writer = csv.writer(self.stdout)
        writer.writerow(Line.__slots__)
        writer.writerows(map(astuple, found))

    def _json(self, roots: list[StorageRoot], found: list[Line]) -> None:
        rows = [dict(zip(Line.__slots__, astuple(each), strict=True)) for each in found]
        self.stdout.write(json.dumps(rows, ensure_ascii=False, indent=2))


def _lines(root: StorageRoot, language: str) -> list[Line]:
    return [
        Line(
            facility=root.facility.code,
            storage=each.storage,
            rule=each.rule,
            severity=each.severity.value,
            meaning=each.ja if language == "ja" else each.en,
            data_type=each.data_type,
            month=each.month,
            files=each.count,
            accepted=each.accepted,
            examples="; ".join(f"{shown(path)} {place}".strip() for path, place in each.examples),
        )
        for each in queries.findings([root])
    ]
