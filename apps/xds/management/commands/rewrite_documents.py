"""``manage.py rewrite_documents``: bring old documents into the form that new ones take, while the exchange runs."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.xds.services.rewriting import GRACE_SECONDS, rewrite_documents
from apps.xds.stores import current_scheme

_EACH = 100


class Command(BaseCommand):
    help = (
        "Write documents anew in the form that HIE_DOCUMENT_STORAGE and HIE_DOCUMENT_KEY choose."
        " It may be stopped at any moment and goes on where it was."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--all", action="store_true", help="Also sealed documents that have the form already, under fresh keys."
        )
        parser.add_argument(
            "--grace",
            type=float,
            default=GRACE_SECONDS,
            metavar="SECONDS",
            help=f"How long an old copy stays for answers under way ({GRACE_SECONDS:.0f}).",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        progress = None
        for progress in rewrite_documents(every=options["all"], grace=options["grace"]):
            if (progress.done + progress.failed) % _EACH == 0:
                self.stdout.write(f"{progress.done} of {progress.total}")
        if progress is None:
            self.stdout.write(f"All documents have the form {current_scheme()}.")
            return
        self.stdout.write(f"{progress.done} of {progress.total} have the form {current_scheme()} now")
        if progress.failed:
            raise CommandError(f"{progress.failed} could not be written anew. {progress.problem}")
