"""The id map: which id is taken, and in which shard its object lies (``models.MappedId``; decision 0042).

Every object is entered when it is stored, and every read by id asks here first. The map names every shard where
something that bears or touches an id lies; it may name one too many, which costs a look and changes no answer.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from django.db import connection

from apps.xds.models import NameKind
from apps.xds.shards import marks
from hie.exchange.rows import execute, fetch
from hie.values.documents import Association, DocumentEntry, Folder, RegistryObject, SubmissionSet

_AT_ONCE = 400  # rows in one statement
_COLUMNS = "name, kind, place, shard_key"

# A name that may be borne once only, borne again: NULL is what the column refuses, so that the statement fails.
_ENTER = (
    " ON CONFLICT (name, kind, place) DO UPDATE SET shard_key ="
    f" CASE WHEN xds_mappedid.kind <= {NameKind.FOLDER.value} THEN NULL ELSE excluded.shard_key END"
)

MapRow = tuple[str, int, int, int]


def enter(objects: Sequence[tuple[RegistryObject, int]]) -> None:
    """Enter objects, each with its shard. Raises IntegrityError where an id is taken that has to be unique."""
    rows = [row for each, shard in objects for row in rows_of(each, shard)]
    _insert(rows + _ends(objects))


def rows_of(each: RegistryObject, shard: int) -> Iterator[MapRow]:
    """The rows of the map for one object."""
    yield each.entry_uuid, NameKind.ENTRY_UUID.value, 0, shard
    if isinstance(each, SubmissionSet):
        yield each.unique_id, NameKind.SUBMISSION_SET.value, 0, shard
    elif isinstance(each, Folder):
        yield each.unique_id, NameKind.FOLDER.value, each.version, shard
    elif isinstance(each, DocumentEntry):
        yield each.unique_id, NameKind.DOCUMENT.value, shard, shard
    logical_id = getattr(each, "logical_id", "")
    if logical_id and logical_id != each.entry_uuid:
        yield logical_id, NameKind.LOGICAL_ID.value, shard, shard


def moved(
    uuids: Collection[str],
    unique_ids: Collection[str],
    names: Collection[str],
    ends: Collection[str],
    *,
    before: int,
    after: int,
) -> None:
    """Objects went from one shard to another.

    uuids: their entry UUIDs. unique_ids: of submission sets and folders. names: unique ids of documents. ends: of the
    associations among them. Associations that stay behind may touch them.
    """
    if before == after:
        return
    for part in _parts([*uuids, *unique_ids]):
        with connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE xds_mappedid SET shard_key = %s WHERE name IN ({marks(part)}) AND kind IN (%s, %s, %s)",  # noqa: S608
                [after, *part, NameKind.ENTRY_UUID.value, NameKind.SUBMISSION_SET.value, NameKind.FOLDER.value],
            )
    rows = [(name, NameKind.DOCUMENT.value, after, after) for name in names]
    rows += [(name, NameKind.LOGICAL_ID.value, after, after) for name in _logical_among(uuids)]
    rows += [(name, NameKind.END.value, after, after) for name in ends]
    rows += [(name, NameKind.END.value, before, before) for name in uuids]
    _insert(rows)


def leave(uuids: Collection[str], unique_ids: Collection[str]) -> None:
    """Objects are gone. uuids: their entry UUIDs. unique_ids: of any kind.

    What something still bears stays: the logicalID of other versions, which is the entry UUID of the first of them;
    the unique id of a document, and that of another version of a folder.
    """
    for names, borne in ((uuids, _LOGICAL_IDS), (unique_ids, _UNIQUE_IDS)):
        still = " OR ".join(f"(kind = {kind.value} AND EXISTS ({bearer}))" for kind, bearer in borne)
        for part in _parts(names):
            with connection.cursor() as cursor:
                cursor.execute(f"DELETE FROM xds_mappedid WHERE name IN ({marks(part)}) AND NOT ({still})", part)  # noqa: S608


def _bearer(table: str, column: str, condition: str = "") -> str:
    return (
        f"SELECT 1 FROM {table} b WHERE b.{column} = xds_mappedid.name"  # noqa: S608
        f" AND b.shard_key = xds_mappedid.shard_key{condition}"
    )


# Kind of a name -> what may still bear it.
_LOGICAL_IDS = tuple(
    (NameKind.LOGICAL_ID, _bearer(table, "logical_id", " AND b.logical_id <> b.entry_uuid"))
    for table in ("xds_documententry", "xds_folder")
)
_UNIQUE_IDS = (
    (NameKind.DOCUMENT, _bearer("xds_documententry", "unique_id")),
    (NameKind.DOCUMENT, _bearer("xds_withdrawn", "unique_id")),
    (NameKind.FOLDER, _bearer("xds_folder", "unique_id", " AND b.version = xds_mappedid.place")),
)


def _ends(objects: Sequence[tuple[RegistryObject, int]]) -> list[MapRow]:
    """Rows for ends of associations that lie in another shard than the association."""
    own = {each.entry_uuid: shard for each, shard in objects}
    wanted: dict[str, set[int]] = {}
    for each, shard in objects:
        for end in (each.source_object, each.target_object) if isinstance(each, Association) else ():
            wanted.setdefault(end, set()).add(shard)
    outside = [end for end in wanted if end not in own]
    for part in _parts(outside):
        own.update(
            fetch(
                f"SELECT name, shard_key FROM xds_mappedid WHERE name IN ({marks(part)}) AND kind = %s",  # noqa: S608
                [*part, NameKind.ENTRY_UUID.value],
            )
        )
    return [
        (end, NameKind.END.value, shard, shard)
        for end, shards in wanted.items()
        for shard in sorted(shards)
        if own.get(end) != shard
    ]


def _logical_among(uuids: Collection[str]) -> list[str]:
    """The logicalIDs, other than their own, of entries and folders."""
    found: list[str] = []
    for part in _parts(uuids):
        some = marks(part)
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT logical_id FROM xds_documententry WHERE entry_uuid IN ({some}) AND logical_id <> entry_uuid"  # noqa: S608
                f" UNION SELECT logical_id FROM xds_folder WHERE entry_uuid IN ({some}) AND logical_id <> entry_uuid",
                part * 2,
            )
            found += [name for (name,) in cursor.fetchall()]
    return found


def _insert(rows: Sequence[MapRow]) -> None:
    """A name of several shards is entered once for each, however often it comes."""
    once = {row: None for row in rows if row[1] > NameKind.FOLDER}
    every = [row for row in rows if row[1] <= NameKind.FOLDER] + list(once)
    for start in range(0, len(every), _AT_ONCE):
        part = every[start : start + _AT_ONCE]
        values = ", ".join(["(%s, %s, %s, %s)"] * len(part))
        execute(
            f"INSERT INTO xds_mappedid ({_COLUMNS}) VALUES {values}{_ENTER}",  # noqa: S608
            [value for row in part for value in row],
        )


def _parts(names: Collection[str]) -> Iterator[list[str]]:
    listed = list(dict.fromkeys(names))
    for start in range(0, len(listed), _AT_ONCE):
        yield listed[start : start + _AT_ONCE]
