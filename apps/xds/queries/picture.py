"""What the registry holds of one patient, or of one submission, as a picture: objects as boxes, associations as lines.

Submission sets stand on the left, documents in the middle in the order of their registration, folders on the right.
Places are numbers of an SVG (user units); a template draws them. The same is there as a list, for who cannot see it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from unicodedata import east_asian_width

from django.db.models import Q

from apps.xds.models import Association, DocumentEntry, Folder, RegistryRow, Status, SubmissionSet, shard_key_of
from hie.values.documents import HAS_MEMBER

MOST = 60  # boxes of one kind; the newest are drawn, and the page says how many are not
WIDTH, HEIGHT, GAP, TOP = 250, 54, 22, 44
COLUMNS: dict[type[RegistryRow], int] = {SubmissionSet: 20, DocumentEntry: 370, Folder: 780}
_TITLE = 32  # half-width characters that fit into a box
_BULGE = 90  # how far a relationship of two documents leaves their column


@dataclass(frozen=True, slots=True)
class Box:
    """One object. x, y: its upper left corner. kind: name of its table, for the address of its page."""

    row: RegistryRow
    kind: str
    x: int
    y: int
    title: str
    deprecated: bool

    @property
    def middle(self) -> int:
        return self.y + HEIGHT // 2

    @property
    def short(self) -> str:
        """The title as far as it fits into the box."""
        widths = itertools.accumulate(2 if east_asian_width(each) in "WF" else 1 for each in self.title)
        fitting = sum(width <= _TITLE for width in widths)
        return self.title if fitting == len(self.title) else f"{self.title[: fitting - 1]}…"


@dataclass(frozen=True, slots=True)
class Line:
    """One association. path: an SVG path; x, y: where its name stands, if it is not a membership."""

    kind: str
    source: Box
    target: Box
    path: str
    x: int
    y: int
    member: bool
    deprecated: bool


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything to draw. left_out: how many objects are not drawn."""

    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]
    left_out: int
    width: int
    height: int

    @property
    def documents(self) -> tuple[Box, ...]:
        return tuple(each for each in self.boxes if isinstance(each.row, DocumentEntry))


def of_patient(patient_id: str) -> Picture:
    """All objects of a patient."""
    return _drawn(Q(shard_key=shard_key_of(patient_id), patient_id=patient_id))


def of_submission(row: SubmissionSet) -> Picture:
    """A submission: what it brought or names, and what that is related to."""
    named = set(Association.objects.filter(source_uuid=row.entry_uuid).values_list("target_uuid", flat=True)[:_NAMED])
    related = Association.objects.filter(Q(source_uuid__in=named) | Q(target_uuid__in=named) | Q(entry_uuid__in=named))
    ends = {end for pair in related.values_list("source_uuid", "target_uuid")[:_NAMED] for end in pair}
    return _drawn(Q(entry_uuid__in={row.entry_uuid, *named, *ends}))


_NAMED = 500
_COLUMNS: dict[Any, int] = dict(COLUMNS)


def _drawn(wanted: Q) -> Picture:
    boxes: dict[str, Box] = {}
    left_out = 0
    for model, x in _COLUMNS.items():
        everything: Any = model._default_manager.filter(wanted).defer("fragment").order_by("-id")
        rows: list[Any] = list(everything[: MOST + 1])
        if len(rows) > MOST:
            left_out += model._default_manager.filter(wanted).count() - MOST
        for place, row in enumerate(reversed(rows[:MOST])):
            boxes[row.entry_uuid] = _box(row, x, TOP + place * (HEIGHT + GAP))
    associations = Association.objects.filter(source_uuid__in=boxes, target_uuid__in=boxes).defer("fragment")
    lines = tuple(_line(each, boxes[each.source_uuid], boxes[each.target_uuid]) for each in associations.order_by("id"))
    bottom = max((each.y + HEIGHT for each in boxes.values()), default=TOP)
    width = max(COLUMNS.values()) + WIDTH + 20
    return Picture(tuple(boxes.values()), lines, left_out, width, bottom + GAP)


def _box(row: Any, x: int, y: int) -> Box:
    title = row.title or row.unique_id
    return Box(row, row._meta.model_name, x, y, title, row.status == Status.DEPRECATED)


def _line(row: Association, source: Box, target: Box) -> Line:
    kind = row.association_type.rpartition(":")[2]
    start, end = source.middle, target.middle
    if source.x == target.x:
        right = source.x + WIDTH
        path = f"M {right} {start} C {right + _BULGE} {start} {right + _BULGE} {end} {right} {end}"
        place = right + _BULGE * 3 // 4 + 4, (start + end) // 2
    else:
        left, right = (source.x + WIDTH, target.x) if source.x < target.x else (source.x, target.x + WIDTH)
        path = f"M {left} {start} L {right} {end}"
        if right - left > WIDTH:  # past the documents: between their rows
            between = start + (HEIGHT + GAP) // 2
            path = f"M {left} {start} C {left + 60} {between} {left + 60} {between} {left + 120} {between}"
            path += f" L {right - 120} {between} C {right - 60} {between} {right - 60} {end} {right} {end}"
        place = (left + right) // 2, (start + end) // 2
    member = row.association_type == HAS_MEMBER
    return Line(kind, source, target, path, *place, member, row.status == Status.DEPRECATED)


def patients_of(picture: Picture) -> Iterable[str]:
    """The regional ids of everything that is drawn."""
    return dict.fromkeys(each.row.patient_id for each in picture.boxes)
