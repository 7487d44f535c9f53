"""``manage.py add_storage``: tell the network where a facility's SS-MIX2 storage lies."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.ssmix.models import StorageKind
from apps.ssmix.services import add_storage


class Command(BaseCommand):
    help = "Add an SS-MIX2 storage of a facility. Adding it twice changes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("facility", help="facility code of ten digits")
        parser.add_argument("path", help="folder that holds the first three characters of the patient IDs")
        parser.add_argument("--kind", choices=StorageKind.values, default=StorageKind.STANDARD.value)
        parser.add_argument("--name", default="", help="volume label; the folder's name where empty")
        parser.add_argument("--quiet-seconds", type=int, help="how long a file has to rest before it is read")
        parser.add_argument(
            "--trust-folder", action="store_true", help="accept a PID-3 that differs; for test data only"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            root = add_storage(
                facility_code=options["facility"],
                path=options["path"],
                kind=options["kind"],
                name=options["name"],
                quiet_seconds=options["quiet_seconds"],
                trust_folder=options["trust_folder"],
            )
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from error
        self.stdout.write(f"Storage {root.pk}: {root.path} ({root.kind}) of {root.facility.code}")
