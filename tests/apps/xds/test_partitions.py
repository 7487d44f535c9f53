"""One patient, one partition (decision 0042): plans, the id map, and databases that were there before."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.migrations.executor import MigrationExecutor

from apps.xds import models
from apps.xds.models import PARTITIONS, PATIENT_TABLES, SHARDS, NameKind, shard_key_of
from apps.xds.services import id_map, move_patient, register
from apps.xds.services.checking import Fault, check_documents
from apps.xds.shards import partition_of, shards_of
from apps.xds.stored_queries import answer
from hie.values.documents import HAS_MEMBER, Association
from tests.apps.xds.samples import FACILITY, entry, find, known_patient, permit, submission

POSTGRESQL = connection.vendor == "postgresql"
needs_partitions = pytest.mark.skipif(not POSTGRESQL, reason="SQLite has no partitions")


class Explained:
    """The plan of the last SELECT that passed."""

    plan = ""

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        from psycopg import ClientCursor

        if sql.startswith("SELECT"):
            with ClientCursor(context["connection"].connection) as cursor:
                cursor.execute(f"EXPLAIN {sql}", params)
                self.plan = "\n".join(row[0] for row in cursor.fetchall())
        return execute(sql, params, many, context)


@needs_partitions
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"EventCodeList": ["a^^b"], "ConfidentialityCode": ["N^^2.16"]},
        {"AuthorPerson": ["%a%"], "CreationTimeFrom": "20200101"},
    ],
)
def test_find_documents_touches_one_partition(patient: str, parameters: dict[str, Any]) -> None:
    register(submission(patient, entry(patient)), facility_code=FACILITY)
    with connection.execute_wrapper(explained := Explained()):
        answer(find(patient, **parameters), permit(patient))
    number = f"_p{shard_key_of(patient) * PARTITIONS // SHARDS:02d}"
    scanned = re.findall(r" on (xds_\w+)", explained.plan)
    assert len(scanned) > len(parameters) / 2
    assert all(table.endswith(number) for table in scanned)


@needs_partitions
def test_every_table_of_a_patient_is_partitioned_alike(db: None) -> None:
    for model in PATIENT_TABLES:
        table = model._meta.db_table
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_inherits WHERE inhparent = %s::regclass", [table])
            assert cursor.fetchone() == (PARTITIONS,)
            cursor.execute("SELECT to_regclass(%s)::text", [partition_of(table, SHARDS - 1)])
            assert cursor.fetchone() == (f"{table}_p15",)


def test_an_id_is_found_where_its_object_lies(patient: str) -> None:
    sent = submission(patient, entry(patient))
    register(sent, facility_code=FACILITY)
    row = models.DocumentEntry.objects.get()
    for name in (row.entry_uuid, row.unique_id, sent.submission_sets[0].unique_id):
        assert shards_of([name]) == [shard_key_of(patient)]
    assert shards_of(["urn:uuid:00000000-0000-4000-8000-000000000000"]) == []


def test_what_is_unique_is_held_by_the_map(patient: str) -> None:
    register(submission(patient, entry(patient)), facility_code=FACILITY)
    taken = models.DocumentEntry.objects.get()
    again = replace(entry(patient), entry_uuid=taken.entry_uuid, unique_id="1.2.3.999")
    with pytest.raises(IntegrityError), transaction.atomic():
        id_map.enter([(again, 5)])
    other = replace(again, entry_uuid="urn:uuid:00000000-0000-4000-8000-000000000001", unique_id=taken.unique_id)
    id_map.enter([(other, 5)])
    assert shards_of([taken.unique_id]) == sorted({5, shard_key_of(patient)})


def test_an_association_of_another_shard_is_found_from_its_end(patient: str) -> None:
    register(submission(patient, entry(patient)), facility_code=FACILITY)
    target = models.DocumentEntry.objects.get().entry_uuid
    elsewhere = (shard_key_of(patient) + 1) % SHARDS
    joined = Association("urn:uuid:00000000-0000-4000-8000-000000000002", HAS_MEMBER, "urn:uuid:x", target)
    id_map.enter([(joined, elsewhere)])
    assert set(shards_of([target])) == {shard_key_of(patient), elsewhere}


def test_the_map_follows_a_patient_who_moves(patient: str) -> None:
    register(submission(patient, entry(patient)), facility_code=FACILITY)
    row = models.DocumentEntry.objects.get()
    other = known_patient()
    move_patient(subsumed=patient, surviving=other)
    assert shard_key_of(other) in shards_of([row.unique_id])
    assert models.MappedId.objects.get(name=row.entry_uuid, kind=NameKind.ENTRY_UUID).shard_key == shard_key_of(other)
    assert [each for each in check_documents(read=False) if isinstance(each, Fault) and each.kind != "lost"] == []


def test_what_is_out_of_step_is_said(patient: str) -> None:
    register(submission(patient, entry(patient)), facility_code=FACILITY)
    row = models.DocumentEntry.objects.get()
    models.MappedId.objects.filter(name=row.entry_uuid).delete()
    models.Association.objects.all().delete()
    models.EventCode.objects.create(patient_id=patient, shard_key=row.shard_key, entry_id=row.pk + 1, value="a^^b")
    found = {(each.kind, each.place): each.entries for each in check_documents(read=False) if isinstance(each, Fault)}
    assert found["unmapped", "xds_documententry"] == 1
    assert found["stale", "xds_mappedid"] == 1
    assert found["strayed", "xds_eventcode"] == 1


@pytest.mark.django_db(transaction=True)
def test_a_database_that_was_there_before_is_migrated_with_its_rows() -> None:
    """Back to the tables as they were, a row into each, and forward again."""
    executor = MigrationExecutor(connection)
    latest = [key for key in executor.loader.graph.leaf_nodes() if key[0] == "xds"]
    before = [("xds", "0001_initial")]
    executor.migrate(before)
    try:
        old = executor.loader.project_state(before).apps
        whose = {"patient_id": "R1", "shard_key": 700, "facility_code": FACILITY, "fragment": b"<x/>"}
        kept = old.get_model("xds", "DocumentEntry").objects.create(
            **whose, entry_uuid="urn:uuid:1", unique_id="1.2.3", logical_id="urn:uuid:0", repository_unique_id="1.2"
        )
        old.get_model("xds", "EventCode").objects.create(patient_id="R1", shard_key=700, entry_id=kept.pk, value="a^^b")
        old.get_model("xds", "Association").objects.create(
            **whose | {"shard_key": 3}, entry_uuid="urn:uuid:2", source_uuid="urn:uuid:9", target_uuid="urn:uuid:1"
        )
    finally:
        executor = MigrationExecutor(connection)
        executor.migrate(latest)
    assert models.DocumentEntry.objects.get(unique_id="1.2.3").pk == kept.pk
    assert models.EventCode.objects.get().entry_id == kept.pk
    assert shards_of(["1.2.3"]) == shards_of(["urn:uuid:0"]) == [700]
    assert shards_of(["urn:uuid:1"]) == [3, 700]
    following = models.Content.objects.count()
    assert models.EventCode.objects.create(patient_id="R1", shard_key=700, entry_id=kept.pk, value="c^^d").pk > kept.pk
    assert following == 0
