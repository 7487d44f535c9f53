"""``manage.py add_hospital``: a facility, its node, its certificate and its connection sheet, in one command."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from apps.network import services
from apps.network.models import FacilityKind
from apps.network.services.sheet import LANGUAGES
from hie.values import facilities


class Command(BaseCommand):
    help = "Add a facility with its node and certificate, and print its connection sheet."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("code", help="Medical institution code, ten digits.")
        parser.add_argument("name", help="Name of the facility.")
        parser.add_argument("--kana", default="", help="Its name in kana.")
        parser.add_argument("--kind", default="", choices=["", *FacilityKind.values], help="Default: by the code.")
        parser.add_argument("--contact", default="", help="Whom to call.")
        parser.add_argument("--node", default="", help="Name of its node; default: h and the code.")
        parser.add_argument("--sending-facility", default="", help="MSH-4 of its HL7 v2 messages.")
        parser.add_argument("--sending-application", default="", help="MSH-3 of its HL7 v2 messages.")
        parser.add_argument("--certificate", default="", help="PEM or DER file; default: the built-in authority's.")
        parser.add_argument("--language", default="ja", choices=LANGUAGES, help="Language of the connection sheet.")

    def handle(self, *args: Any, **options: Any) -> None:
        node_name = options["node"] or f"h{options['code']}"
        try:
            joined = services.add_hospital(
                code=options["code"],
                name=options["name"],
                kana=options["kana"],
                kind=options["kind"],
                contact=options["contact"],
                node_name=node_name,
                sending_facility=options["sending_facility"],
                sending_application=options["sending_application"],
                certificate=Path(options["certificate"]).read_bytes() if options["certificate"] else b"",
            )
        except ValidationError as refused:
            raise CommandError("; ".join(refused.messages)) from None
        except (services.NoBuiltInAuthorityError, ValueError, OSError) as refused:
            raise CommandError(str(refused)) from None
        if not facilities.check_digit_holds(joined.facility.code):
            self.stderr.write("The check digit of the facility code does not fit; compare it with the official list.")
        if joined.issued is not None:
            path = services.keep_connection(joined.issued)
            self.stderr.write(f"certificate {path}, key {path.with_suffix('.key')}")
        self.stdout.write(services.connection_sheet(node_name=node_name, language=options["language"]))
