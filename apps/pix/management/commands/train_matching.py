"""``manage.py train_matching``: learn a version of the matching rules from the live population. Nothing changes."""

from __future__ import annotations

import getpass
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.pix.services import training


class Command(BaseCommand):
    help = "Learn weights from the live population and keep them as a new version, which is not in force."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--expect", type=int, default=0, help="keep the shipped weights for so many charts instead of learning"
        )
        parser.add_argument("--name", default="", help="name of the version; by default the moment")
        parser.add_argument("--by", default=getpass.getuser(), help="who asks; kept with the version")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["expect"]:
            rules = training.sized(options["expect"], by=options["by"])
            self.stdout.write(f"{rules.name}: {rules.note}, not in force.")
            return
        try:
            rules = training.train(by=options["by"], name=options["name"])
        except training.TooFewChartsError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{rules.name}: learned from {rules.rules['trained_on']} pairs ({rules.note}), not in force.")
        self.stdout.write(f"See what it would change: manage.py what_if {rules.name}")
