"""``manage.py transactions``: the table of contents of the server."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from hie.exchange import contents


class Command(BaseCommand):
    help = "Print every transaction with its door, codec, consent question and audit event."

    def add_arguments(self, parser: ArgumentParser) -> None:
        form = parser.add_mutually_exclusive_group()
        form.add_argument("--json", action="store_true", help="print JSON")
        form.add_argument("--write", action="store_true", help="write docs/transactions.md")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["json"]:
            self.stdout.write(json.dumps(contents.as_json(), ensure_ascii=False, indent=2))
        elif options["write"]:
            path = settings.BASE_DIR / "docs" / "transactions.md"
            path.write_text(contents.as_markdown(), encoding="utf-8")
            self.stdout.write(f"{path} is written.")
        else:
            self.stdout.write(contents.as_text())
