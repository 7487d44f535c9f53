"""``manage.py what_if <version>``: what a version of the matching rules would change. Nothing changes."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.pix.models import MatchRules
from apps.pix.services import training


class Command(BaseCommand):
    help = "Run a version of the matching rules over the live population and print the difference."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("version", help="name of the version (see the admin)")
        parser.add_argument("--examples", type=int, default=10, help="how many changed persons are printed, as rows")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            found = training.what_if(options["version"], lambda done: self.stderr.write(f"{done} charts"))
        except MatchRules.DoesNotExist as error:
            raise CommandError("There is no such version.") from error
        self.stdout.write(f"charts          {found.charts}")
        self.stdout.write(f"persons         {found.persons_now} -> {found.persons}")
        self.stdout.write(f"cases to review {found.review_now} -> {found.review}")
        for what, changed in (("joined", found.joined), ("parted", found.parted)):
            self.stdout.write(f"persons {what}  {len(changed)}")
            for charts in changed[: options["examples"]]:
                self.stdout.write(f"  chart rows {', '.join(map(str, charts))}")
