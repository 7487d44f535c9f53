"""``manage.py restore DIRECTORY``: a backup made to run again, in an empty data directory and an empty database."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.xds.services.backing_up import Copied
from apps.xds.services.database_copies import CopyProblem
from apps.xds.services.restoring import restore


class Command(BaseCommand):
    help = "Restore a backup into the installation that HIE_DATA_DIR and HIE_DATABASE_URL name, both of them empty."
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("directory", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        os.umask(0o077)
        copied = Copied(0, 0)
        try:
            for copied in restore(options["directory"].absolute()):
                self.stdout.write(f"{copied.contents} documents, {copied.size} bytes")
        except CopyProblem as problem:
            raise CommandError(str(problem)) from None
        except OSError as failure:
            raise CommandError(f"Stopped, nothing is restored: {failure}. Empty the target and begin again.") from None
        for locator in copied.lost:
            self.stdout.write(f"lost    {locator}")
        self.stdout.write("Look through the file `environment` in the data directory; then: manage.py migrate, serve.")
        if copied.lost:
            sys.exit(1)
