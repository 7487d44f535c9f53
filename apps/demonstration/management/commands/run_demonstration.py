"""``make run``: everything set up that is not yet, then the doors opened."""

from __future__ import annotations

import os
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from apps.demonstration import services
from hie import environment

CHOICES = """\
# Choices of this installation; the process environment outweighs them.
HIE_MLLP_PLAIN=1
"""


class Command(BaseCommand):
    help = "Prepare the demonstration region once, then serve."

    def handle(self, *args: Any, **options: Any) -> None:
        kept = settings.DATA_DIR / "environment"
        if not kept.exists():
            kept.write_text(CHOICES, encoding="utf-8")
            settings.MLLP_PLAIN = "HIE_MLLP_PLAIN" not in os.environ or environment.flag("HIE_MLLP_PLAIN")
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            self.stdout.write("preparing the database")
            call_command("migrate", verbosity=0)
        if not services.is_prepared():
            services.prepare(self.stdout.write)
        name, password = services.account()
        nodes = ", ".join(member.node for member in services.MEMBERS)
        self.stdout.write(f"\n  administrator       {name} / {password}")
        self.stdout.write(f"  members             {nodes}; their certificates: {settings.DATA_DIR / 'tls' / 'nodes'}")
        self.stdout.write(
            "  try next            .venv/bin/python manage.py ask --as hospital identify --chart 0001000001"
        )
        call_command("serve")
