"""When two persons turn out to be one, the documents of the subsumed one belong to the surviving one."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import transaction

from apps.xds.models import PATIENT_TABLES, DocumentEntry, Folder, SubmissionSet, shard_key_of
from apps.xds.services.storing import hold
from hie.values.identifiers import AssigningAuthority, Identifier
from hie.wire.ebxml.fragments import with_patient_id


@transaction.atomic
def move_patient(*, subsumed: str, surviving: str) -> int:
    """Give every object of one regional id to another, columns and fragments; return the number of entries moved.

    What was submitted under the subsumed id is found under the surviving one from then on (ITI TF-2: 3.8.4.2.4).
    """
    hold((subsumed, surviving))
    patient_id = Identifier(surviving, AssigningAuthority(oid=settings.AFFINITY_DOMAIN_OID)).xds_cx
    moved = 0
    models: tuple[type[Any], ...] = (DocumentEntry, SubmissionSet, Folder)
    for model in models:
        rows = list(model._default_manager.filter(shard_key=shard_key_of(subsumed), patient_id=subsumed))
        for row in rows:
            row.fragment = with_patient_id(bytes(row.fragment), patient_id)
        model._default_manager.bulk_update(rows, ["fragment"], batch_size=100)
        moved += len(rows) if model is DocumentEntry else 0
    for table in PATIENT_TABLES:
        table._default_manager.filter(shard_key=shard_key_of(subsumed), patient_id=subsumed).update(
            patient_id=surviving, shard_key=shard_key_of(surviving)
        )
    return moved


def on_persons_joined(subsumed: str, surviving: str, **_: Any) -> None:
    """Receiver of ``apps.pix.models.persons_joined``, inside the transaction of the merge."""
    move_patient(subsumed=subsumed, surviving=surviving)
