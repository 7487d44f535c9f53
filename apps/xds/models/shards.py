"""Which rows lie together, and the id map, which says where an id lies (decision 0042)."""

from __future__ import annotations

import zlib

from django.db import models
from django.utils.translation import gettext_lazy as _

SHARDS = 1024
PARTITIONS = 16  # of each patient table on PostgreSQL, each a range of shards; their names end in _p00 to _p15


def shard_key_of(patient_id: str) -> int:
    """The shard of a patient: 0 to 1023, the same for ever (CRC-32 of the regional id)."""
    return zlib.crc32(patient_id.encode()) % SHARDS


class PatientRow(models.Model):
    """What belongs to one patient: the surviving regional id, and the shard it puts the row in."""

    patient_id = models.CharField(_("regional ID"), max_length=128)
    shard_key = models.SmallIntegerField(_("shard"))

    class Meta:
        abstract = True


class NameKind(models.IntegerChoices):
    """What a name of the id map is. A name of the first three stands there once (a folder's: once for each version)."""

    ENTRY_UUID = 0
    SUBMISSION_SET = 1
    FOLDER = 2
    DOCUMENT = 3
    LOGICAL_ID = 4
    END = 5


class MappedId(models.Model):
    """The id map: in which shard an object lies that bears this id, and that no other object bears it.

    place: what makes the row unique beside name and kind: a folder's version, the shard_key of a name that may stand
    for objects of several patients (unique id of a document, logicalID), else 0. END: associations of this shard touch
    the object of another. The map names every shard where something is, and may name one too many.
    """

    pk = models.CompositePrimaryKey("name", "kind", "place")
    name = models.CharField(max_length=128)
    kind = models.SmallIntegerField(choices=NameKind.choices)
    place = models.IntegerField(default=0)
    shard_key = models.SmallIntegerField()

    def __str__(self) -> str:
        return f"{self.name} in {self.shard_key}"
