"""``manage.py make_storage``: storages of persons who do not exist, correct by the specification."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from hie.wire.ssmix.fictional.messages import Place
from hie.wire.ssmix.fictional.people import FictionalPerson, make_people
from hie.wire.ssmix.fictional.storage import File, make_storage


class Command(BaseCommand):
    help = "Write fictional SS-MIX2 standardised storages: one folder a facility, some patients known to several."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("directory", type=Path, help="where the folders are made, one below it for each facility")
        parser.add_argument("--facility", action="append", required=True, metavar="CODE:NAME", help="may be repeated")
        parser.add_argument("--patients", type=int, default=60, help="persons in all (default 60)")
        parser.add_argument("--shared", type=float, default=0.5, help="part of them known to a second facility (0-1)")
        parser.add_argument("--seed", type=int, default=1, help="the same seed and day give the same files")
        parser.add_argument("--today", type=date.fromisoformat, default=None, help="YYYY-MM-DD; default: today")

    def handle(self, *args: Any, **options: Any) -> None:
        places = [_place(text) for text in options["facility"]]
        today = options["today"] or timezone.localdate()
        people = make_people(options["patients"], options["seed"], today)
        for place, patients in share_out(places, people, options["shared"]).items():
            root = options["directory"] / place.facility_code
            count = write_files(root, make_storage(place, patients, options["seed"], today))
            self.stdout.write(f"{root}: {len(patients)} patients, {count} files")


def share_out(
    places: list[Place], people: Iterable[FictionalPerson], shared: float
) -> dict[Place, list[tuple[FictionalPerson, str]]]:
    """Who is a patient where, under which chart number.

    Every person has a home facility in turn; the first part ``shared`` of every ten is also known to the next one,
    and every tenth person to all.
    """
    patients: dict[Place, list[tuple[FictionalPerson, str]]] = {place: [] for place in places}
    for index, person in enumerate(people):
        for distance in range(len(places)):
            known = distance == 0 or index % 10 == 0 or (distance == 1 and index % 10 < shared * 10)
            if known:
                at = (index + distance) % len(places)
                patients[places[at]].append((person, f"{(at + 1) * 1_000_000 + person.number:010d}"))
    return patients


def write_files(root: Path, files: Iterable[File]) -> int:
    """Write each file under a temporary name outside the tree, then rename: a reader never sees half a file."""
    scratch = root.with_name(root.name + ".writing")
    scratch.mkdir(parents=True, exist_ok=True)
    count = 0
    for count, file in enumerate(files, 1):  # noqa: B007 - the count is the answer
        target = root / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        half = scratch / str(os.getpid())
        half.write_bytes(file.content)
        half.rename(target)
    scratch.rmdir()
    return count


def _place(text: str) -> Place:
    code, _, name = text.partition(":")
    if not (len(code) == 10 and code.isdigit()):
        raise CommandError(f"--facility wants the 10-digit code and a name, as 1319999999:模擬病院, not {text!r}.")
    return Place(code, name or code)
