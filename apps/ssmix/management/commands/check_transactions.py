"""``manage.py check_transactions``: hold a transaction storage against the index of the storage it belongs to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.ssmix.models import StorageRoot
from apps.ssmix.services import check_transactions, lines
from hie.wire.ssmix.rules import RULES


class Command(BaseCommand):
    help = "Compare a transaction storage with the scanned storage of its facility."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("storage", type=int, help="id of the scanned storage, as scan_storage shows it")
        parser.add_argument("path", help="folder of the transaction storage (TR_….DAT below it)")
        parser.add_argument("--format", choices=("text", "json"), default="text")
        parser.add_argument("--language", choices=("ja", "en"), default="ja")

    def handle(self, *args: Any, **options: Any) -> None:
        root = StorageRoot.objects.select_related("facility").filter(pk=options["storage"]).first()
        if root is None or root.last_scan_at is None:
            raise CommandError("There is no storage with this id that was scanned.")
        if not Path(options["path"]).is_dir():
            raise CommandError("The path is not a folder that can be read.")
        found = check_transactions(root, options["path"])
        rows = [
            {"rule": rule, "meaning": getattr(RULES[rule], options["language"]), "data_type": data_type}
            | {"month": month, "keys": count, "examples": examples}
            for rule, data_type, month, count, examples in lines(found)
        ]
        if options["format"] == "json":
            self.stdout.write(json.dumps({"files": found.files, "findings": rows}, ensure_ascii=False, indent=2))
            return
        self.stdout.write(f"{found.files} files of the transaction storage")
        for row in rows:
            self.stdout.write("{rule} {data_type:<7} {month:<6} {keys:>7}  {meaning}\n        {examples}".format(**row))
