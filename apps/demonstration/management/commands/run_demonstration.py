"""``make run``: everything set up that is not yet, then the doors opened."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand

from apps.demonstration import services
from hie import environment

CHOICES = """\
# Choices of this installation; the process environment outweighs them.
HIE_MLLP_PLAIN=1
HIE_SUMMARY=1
"""


class Command(BaseCommand):
    help = "Prepare the demonstration region once, then serve."

    def handle(self, *args: Any, **options: Any) -> None:
        kept = settings.DATA_DIR / "environment"
        if not kept.exists():
            kept.write_text(CHOICES, encoding="utf-8")
            settings.MLLP_PLAIN = "HIE_MLLP_PLAIN" not in os.environ or environment.flag("HIE_MLLP_PLAIN")
            settings.SUMMARY = "HIE_SUMMARY" not in os.environ or environment.flag("HIE_SUMMARY")
        self._migrate()
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

    def _migrate(self) -> None:
        """Bring the database up to date. What was applied is noted, because asking the database costs half a second."""
        known = settings.DATA_DIR / "migrations"
        wanted = _migrations()
        if known.exists() and known.read_text(encoding="ascii") == wanted:
            return
        self.stdout.write("preparing the database")
        call_command("migrate", verbosity=0)
        known.write_text(wanted, encoding="ascii")


def _migrations() -> str:
    """Digest of the migrations of this code and of the database they are for."""
    files = sorted(path.name + app.label for app in apps.get_app_configs() for path in _migration_files(app))
    database = {
        key: str(value) for key, value in settings.DATABASES["default"].items() if key in ("ENGINE", "NAME", "HOST")
    }
    return hashlib.sha256(repr((files, database)).encode()).hexdigest()


def _migration_files(app: AppConfig) -> list[Path]:
    return list(Path(app.path, "migrations").glob("[0-9]*.py"))
