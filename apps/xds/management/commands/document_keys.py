"""``manage.py document_keys``: the keys that sealed documents are opened with: list them, make one, rotate to one."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.xds.services.rewriting import keys_in_use, rotate_keys
from apps.xds.stores import keys


class Command(BaseCommand):
    help = "The keys of sealed documents. Without an argument: which there are, and how many documents each opens."

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--make", metavar="NAME", help="Make a key, such as 2026-11.")
        what.add_argument(
            "--rotate", action="store_true", help="Let HIE_DOCUMENT_KEY open all documents; they stay as they lie."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["make"]:
            self._make(options["make"])
        elif options["rotate"]:
            self._rotate()
        else:
            self._list()

    def _make(self, name: str) -> None:
        try:
            path = keys.make_key(name)
        except ValueError as wrong:
            raise CommandError(str(wrong)) from None
        self.stdout.write(
            f"{path}\nKeep a copy where the documents are not: without it they stay closed for ever.\n"
            f"HIE_DOCUMENT_KEY={name} seals new documents with it after a restart;"
            " then `manage.py document_keys --rotate` lets it open the old ones."
        )

    def _rotate(self) -> None:
        if not keys.current_key_name():
            raise CommandError("HIE_DOCUMENT_KEY names the key to rotate to; it is empty.")
        progress = None
        for progress in rotate_keys():
            self.stdout.write(f"{progress.done} of {progress.total}")
        if progress is not None and progress.failed:
            raise CommandError(f"{progress.failed} could not be opened. {progress.problem}")
        self._list()

    def _list(self) -> None:
        there = set(keys.key_names())
        for name, count in sorted(keys_in_use().items()):
            said = "opens new documents" if name == keys.current_key_name() else ""
            if name not in there:
                said = "IS MISSING: put its file back"
            elif not count and not said:
                said = "is needed by backups only"
            self.stdout.write(f"{name:32} {count:10} documents  {said}".rstrip())
