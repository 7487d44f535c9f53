"""The queries that get objects by their ids, and what is around them (ITI TF-2: 3.18.4.1.2.3.7.5 to .13)."""

from __future__ import annotations

from collections.abc import Iterable

from django.conf import settings
from django.db import connection

from apps.xds.shards import in_shards, marks, shards_of, shards_of_patients
from apps.xds.stored_queries.finding import selected
from apps.xds.stored_queries.selection import (
    ENTRIES,
    FOLDERS,
    SETS,
    TARGETS,
    Condition,
    Table,
    add_level,
    associations_asked,
    named,
    one_of,
    restrict,
    values_of,
)
from apps.xds.stored_queries.showing import Asked, Row, associations, entries, one_patient, result, too_many
from hie.values.documents import HAS_MEMBER, QueryResult, StoredQuery

_COLUMNS = (("EntryUUID", "entry_uuid"), ("UniqueId", "unique_id"), ("LogicalID", "logical_id"))
# Associations are ends too: a submission set holds the membership of a document in a folder.
_OF_ANY_KIND = (ENTRIES.name, SETS.name, FOLDERS.name, "xds_association")


def get_documents(asked: Asked) -> QueryResult:
    """GetDocuments: the entries named by entry UUID or unique id. One statement."""
    return _only(asked, _named(asked, ENTRIES))


def get_folders(asked: Asked) -> QueryResult:
    """GetFolders: the folders named by entry UUID or unique id. Two statements."""
    return _only(asked, _named(asked, FOLDERS))


def get_associations(asked: Asked) -> QueryResult:
    """GetAssociations: those that touch one of the objects named."""
    return result(asked, _touching(asked, _few(values_of(asked.query, "$uuid"))))


def get_documents_and_associations(asked: Asked) -> QueryResult:
    """GetDocumentsAndAssociations: the entries named, and the associations that touch them."""
    documents = _named(asked, ENTRIES)
    one_patient(asked, documents)
    return result(asked, [*documents, *_touching(asked, [row.entry_uuid for row in documents])])


def get_submission_sets(asked: Asked) -> QueryResult:
    """GetSubmissionSets: the sets that hold one of the objects named, with the memberships that say so."""
    members = _memberships(asked, "target_uuid", _few(values_of(asked.query, "$uuid")))
    sets = _with_uuids(asked, SETS, {row.source for row in members})
    one_patient(asked, sets)
    held = {row.entry_uuid for row in sets}
    return result(asked, [*sets, *(row for row in members if row.source in held)])


def get_submission_set_and_contents(asked: Asked) -> QueryResult:
    """GetSubmissionSetAndContents: the set and what it holds; of associations those between two objects answered."""
    sets = _named(asked, SETS)
    members = _memberships(asked, "source_uuid", [row.entry_uuid for row in sets])
    targets = {row.target for row in members}
    documents, folders = _contents(asked, targets), _with_uuids(asked, FOLDERS, targets)
    objects = [*sets, *documents, *folders]
    one_patient(asked, objects)
    answered = {row.entry_uuid for row in objects}
    held = _between(_associations_named(asked, targets - answered), answered)
    answered |= {row.entry_uuid for row in held}
    return result(asked, [*objects, *held, *_between(members, answered)])


def get_folder_and_contents(asked: Asked) -> QueryResult:
    """GetFolderAndContents: the folder, its entries and the memberships between them."""
    folders = _named(asked, FOLDERS)
    members = _memberships(asked, "source_uuid", [row.entry_uuid for row in folders])
    objects = [*folders, *_contents(asked, {row.target for row in members})]
    one_patient(asked, objects)
    return result(asked, [*objects, *_between(members, {row.entry_uuid for row in objects})])


def get_folders_for_document(asked: Asked) -> QueryResult:
    """GetFoldersForDocument: the folders that hold the entry named."""
    documents = _named(asked, ENTRIES)
    members = _memberships(asked, "target_uuid", [row.entry_uuid for row in documents])
    return _only(asked, _with_uuids(asked, FOLDERS, {row.source for row in members}))


def get_related_documents(asked: Asked) -> QueryResult:
    """GetRelatedDocuments: associations of the types asked for between the entry named and others, and all these.

    Without such an association nothing is answered, the entry itself included. $XDSDocumentEntryType is of the
    related entries; the one named is answered whatever it is.
    """
    few = [row.entry_uuid for row in _named(asked, ENTRIES)]
    types = [_full_type(each) for each in values_of(asked.query, "$AssociationTypes")]
    condition = _ends(asked, few).add(*one_of("a.association_type", types)) if few else None
    rows = associations(asked, _of_status(asked.query, condition)) if condition else []
    ends = {end for row in rows for end in (row.source, row.target)}
    documents = _contents(asked, ends - set(few)) + _with_uuids(asked, ENTRIES, ends & set(few))
    one_patient(asked, documents)
    related = _between(rows, {row.entry_uuid for row in documents})
    used = {end for row in related for end in (row.source, row.target)}
    return result(asked, [*(row for row in documents if row.entry_uuid in used), *related])


def patients_of(query: StoredQuery, *, around: bool) -> tuple[str, ...]:
    """The regional ids of the patients of the objects that a query names, each once, in the order of their ids.

    around: also those of the submissions and documents that are joined to them. Two statements at most.
    """
    ids = _ids_of(query)
    if len(ids) > settings.MAX_RESULTS:
        return ()  # refused by the verb
    found: dict[str, None] = {}
    uuids: list[str] = []
    for entry_uuid, patient_id in _owners(query, ids):
        found[patient_id] = None
        uuids.append(entry_uuid)
    if around and uuids:
        found.update(dict.fromkeys(_owners_around(uuids)))
    return tuple(found)


def _only(asked: Asked, rows: list[Row]) -> QueryResult:
    one_patient(asked, rows)
    return result(asked, rows)


def _few(values: list[str]) -> list[str]:
    if len(values) > settings.MAX_RESULTS:
        raise too_many()
    return values


def _named(asked: Asked, table: Table) -> list[Row]:
    """The objects of a kind that the query names in one of the two ways."""
    rows: list[Row] = []
    for suffix, column in _COLUMNS:
        values = _few(values_of(asked.query, f"{table.prefix}{suffix}"))
        if values:
            rows += selected(asked, table, Condition().add(*named(table.alias, column, values, asked.permit)))
    return rows


def _with_uuids(asked: Asked, table: Table, uuids: Iterable[str]) -> list[Row]:
    few = _few(sorted(uuids))
    return selected(asked, table, Condition().add(*named(table.alias, "entry_uuid", few, asked.permit))) if few else []


def _contents(asked: Asked, uuids: Iterable[str]) -> list[Row]:
    """Those of the entries that the query's parameters for documents let through."""
    few = _few(sorted(uuids))
    if not few:
        return []
    condition = Condition().add(*named("e", "entry_uuid", few, asked.permit))
    return entries(asked, add_level(restrict(condition, asked.query, ENTRIES), asked.query, ENTRIES))


def _ends(asked: Asked, uuids: list[str]) -> Condition:
    source, target = one_of("a.source_uuid", uuids), one_of("a.target_uuid", uuids)
    condition = Condition().add(*in_shards("a.shard_key", shards_of_patients(asked.permit.subjects)))
    return condition.add(f"({source[0]} OR {target[0]})", [*source[1], *target[1]])


def _touching(asked: Asked, uuids: list[str]) -> list[Row]:
    return associations(asked, _of_status(asked.query, _ends(asked, uuids))) if uuids else []


def _of_status(query: StoredQuery, condition: Condition) -> Condition:
    return condition.add(*one_of("a.status", associations_asked(query)))


def _memberships(asked: Asked, end: str, uuids: list[str]) -> list[Row]:
    if not uuids:
        return []
    condition = Condition().add(*named("a", end, uuids, asked.permit)).add("a.association_type = %s", [HAS_MEMBER])
    return associations(asked, _of_status(asked.query, condition))


def _associations_named(asked: Asked, uuids: Iterable[str]) -> list[Row]:
    listed = sorted(uuids)
    if not listed:
        return []
    condition = Condition().add(*named("a", "entry_uuid", listed, asked.permit))
    return associations(asked, _of_status(asked.query, condition))


def _between(rows: Iterable[Row], answered: set[str]) -> list[Row]:
    return [row for row in rows if row.source in answered and row.target in answered]


def _full_type(name: str) -> str:
    """An association type by the short name that older consumers send, as its URN."""
    if name == "HasMember":
        return HAS_MEMBER
    if name == "IsSnapshotOf":
        return f"urn:ihe:iti:2010:AssociationType:{name}"
    return name if name.startswith("urn:") else f"urn:ihe:iti:2007:AssociationType:{name}"


def _ids_of(query: StoredQuery) -> list[str]:
    names = [f"{table.prefix}{suffix}" for table in (ENTRIES, SETS, FOLDERS) for suffix, _ in _COLUMNS]
    return [value for name in ("$uuid", *names) for value in values_of(query, name)]


def _owners(query: StoredQuery, ids: list[str]) -> list[tuple[str, str]]:
    """(entry UUID, regional id) of the objects that a query names; $uuid names objects of any kind."""
    by_kind = [
        (table.name, column, values_of(query, f"{table.prefix}{suffix}"))
        for table in (ENTRIES, SETS, FOLDERS)
        for suffix, column in _COLUMNS
    ]
    by_kind += [(name, "entry_uuid", values_of(query, "$uuid")) for name in _OF_ANY_KIND]
    where, shards = in_shards("shard_key", shards_of(ids))
    parts = [
        (
            f"SELECT entry_uuid, patient_id FROM {name} WHERE {where} AND {column} IN ({marks(values)})",  # noqa: S608
            [*shards, *values],
        )
        for name, column, values in by_kind
        if values
    ]
    if not shards or not parts:
        return []
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(sql for sql, _ in parts), [each for _, values in parts for each in values])
        return list(cursor.fetchall())


def _owners_around(uuids: list[str]) -> list[str]:
    """Regional ids of the submissions whose associations touch the objects, and of the documents these name."""
    some = marks(uuids)
    where, shards = in_shards("a.shard_key", shards_of(uuids))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT DISTINCT a.patient_id FROM xds_association a WHERE {where} AND a.source_uuid IN ({some})"  # noqa: S608
            f" UNION SELECT DISTINCT a.patient_id FROM xds_association a WHERE {where} AND a.target_uuid IN ({some})"
            f" UNION SELECT DISTINCT e.patient_id FROM xds_association a{TARGETS}"
            f" WHERE {where} AND a.source_uuid IN ({some})",
            [*shards, *uuids] * 3,
        )
        return sorted(row[0] for row in cursor.fetchall())
