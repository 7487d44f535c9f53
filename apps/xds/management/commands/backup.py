"""``manage.py backup DIRECTORY``: database, documents, keys and configuration of the running exchange."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.xds.services.backing_up import Copied, backup
from apps.xds.services.database_copies import CopyProblem


class Command(BaseCommand):
    help = "Write a backup of the running exchange into a new directory; `manage.py restore` makes it run again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("directory", type=Path)
        parser.add_argument(
            "--previous", type=Path, help="An older backup on the same file system: equal documents are linked to it."
        )
        parser.add_argument(
            "--without-documents", action="store_true", help="They are copied by other means, after this command."
        )
        parser.add_argument("--without-keys", action="store_true", help="The keys of sealed documents lie elsewhere.")

    def handle(self, *args: Any, **options: Any) -> None:
        os.umask(0o077)
        copied = Copied(0, 0)
        try:
            for copied in backup(
                options["directory"].absolute(),
                previous=options["previous"] and options["previous"].absolute(),
                documents=not options["without_documents"],
                with_keys=not options["without_keys"],
            ):
                self.stdout.write(f"{copied.contents} documents, {copied.size} bytes")
        except CopyProblem as problem:
            raise CommandError(str(problem)) from None
        for locator in copied.lost:
            self.stdout.write(f"lost    {locator}")
        if copied.lost:
            self.stdout.write("The backup is complete but for these, which this installation has lost itself.")
            sys.exit(1)
