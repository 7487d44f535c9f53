"""``manage.py offer_summaries``: after HIE_SUMMARY was changed, everybody gets the offer, or nobody has it any more."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from apps.ssmix.services import renew_all


class Command(BaseCommand):
    help = "Offer a patient summary to all persons with records, or take all offers back, as HIE_SUMMARY says."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"{renew_all()} entries made or deprecated")
