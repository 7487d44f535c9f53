"""``manage.py load_code_sets``: the network's code sets from a ``codes.xml``, and back into one."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.xds import services
from hie.values.errors import ExchangeError


class Command(BaseCommand):
    help = "Load the code sets of the network from a codes.xml, or write them into one with --export."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("path", type=Path, help="The file.")
        parser.add_argument("--replace", action="store_true", help="Switch off the codes that the file does not list.")
        parser.add_argument("--export", action="store_true", help="Write the file instead.")

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["path"]
        try:
            if options["export"]:
                path.write_bytes(services.dump_codes())
                self.stdout.write(str(path))
                return
            changed = services.load_codes(path.read_bytes(), replace=options["replace"])
        except OSError as failure:
            raise CommandError(f"{path}: {failure.strerror}") from None
        except ExchangeError as error:
            raise CommandError("\n".join(each.detail for each in error.findings)) from None
        self.stdout.write(f"{changed} codes added or changed")
