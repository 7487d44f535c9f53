"""``manage.py adopt_matching <version>``: put a version of the matching rules in force and decide everybody anew."""

from __future__ import annotations

import getpass
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.pix.models import MatchRules
from apps.pix.services import training


class Command(BaseCommand):
    help = "Put a version of the matching rules in force; every chart is decided anew while the exchange goes on."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("version", help="name of the version (see the admin)")
        parser.add_argument("--by", default=getpass.getuser(), help="who adopts it; kept with the version")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            done = training.adopt(
                options["version"], by=options["by"], progress=lambda done: self.stderr.write(f"{done} charts")
            )
        except MatchRules.DoesNotExist as error:
            raise CommandError("There is no such version.") from error
        self.stdout.write(f"{options['version']} is in force; {done} charts were decided anew.")
