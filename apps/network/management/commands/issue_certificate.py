"""``manage.py issue_certificate``: a certificate from the built-in authority, for a node or for this server."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.network import services
from apps.network.models import Node


class Command(BaseCommand):
    help = "Issue a certificate from the built-in authority (demonstration and test) for a node or for this server."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("node", nargs="?", default="", help="Name of the node.")
        parser.add_argument("--server", action="store_true", help="The certificate of this server itself.")
        parser.add_argument("--again", action="store_true", help="With --server: make a new one even if one serves.")
        parser.add_argument("--days", type=int, default=730, help="Validity of a node's certificate.")

    def handle(self, *args: Any, **options: Any) -> None:
        if bool(options["node"]) == options["server"]:
            raise CommandError("Name a node, or say --server.")
        try:
            if options["server"]:
                path = services.issue_server_certificate(again=options["again"])
            else:
                issued = services.issue_certificate(node_name=options["node"], days=options["days"])
                path = services.keep_connection(issued)
        except services.NoBuiltInAuthorityError as refused:
            raise CommandError(str(refused)) from None
        except Node.DoesNotExist:
            raise CommandError(f"There is no node {options['node']!r}; manage.py network lists them.") from None
        self.stdout.write(f"certificate  {path}\nkey          {path.with_suffix('.key')}")
