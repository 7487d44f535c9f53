"""check_documents where documents lie sealed or in a bucket: the same faults, under the same names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from apps.xds import models, stores
from apps.xds.services.checking import Checked, Fault, check_documents, remove_left_over
from apps.xds.stores import keys
from tests.apps.xds.samples import spooled
from tests.apps.xds.stores.conftest import sealing
from tests.apps.xds.stores.test_forms import kept
from tests.s3 import Bucket, forget_storage

pytestmark = pytest.mark.django_db
AHEAD = -60  # seconds: what is written now counts as old


def found(**options: Any) -> list[Fault]:
    *faults, last = check_documents(older_than=AHEAD, **options)
    assert isinstance(last, Checked)
    return [each for each in faults if isinstance(each, Fault)]


def test_each_kind_is_found_in_each_form(form: str, patient: str, tmp_path: Path) -> None:
    _, lost, altered, cut = (
        kept(patient, tmp_path, f"{what} {form}".encode()) for what in ("whole", "lost", "altered", "cut")
    )
    orphan = stores.keep(spooled(tmp_path, b"orphan " + form.encode()))
    assert lost.content is not None
    stores.remove(lost.content.locator)
    for row, change in ((altered, lambda lies: lies[:-1] + bytes((lies[-1] ^ 1,))), (cut, lambda lies: lies[:-1])):
        assert row.content is not None
        with stores.source(row.content.locator).open("rb") as file:
            lies = change(file.read())
        stores.FORMS[form].shelf.put(row.content.locator.partition(":")[2], iter((lies,)))
    faults = found()
    assert sorted(each.kind for each in faults) == ["altered", "altered", "lost", "orphan"]
    assert sorted(each.kind for each in found(read=False)) == ["altered", "lost", "orphan"]
    (left,) = (each for each in faults if each.kind == "orphan")
    assert left.locator == orphan.locator
    models.BackupRun.objects.create(alive_at=timezone.now())
    assert not remove_left_over(left), "a backup may be about to copy it"
    models.BackupRun.objects.update(ended_at=timezone.now())
    assert remove_left_over(left)
    assert sorted(each.kind for each in found()) == ["altered", "altered", "lost"]


def test_an_orphan_that_is_needed_by_now_stays(form: str, patient: str, tmp_path: Path) -> None:
    row = kept(patient, tmp_path, b"needed " + form.encode())
    assert row.content is not None
    assert not remove_left_over(Fault("orphan", "there", locator=row.content.locator))
    assert stores.exists(row.content.locator)


def test_a_closed_document_is_not_called_lost(settings: Any, patient: str, tmp_path: Path) -> None:
    sealing(settings)
    kept(patient, tmp_path, b"closed")
    path = tmp_path / "keys" / "first.key"
    right = path.read_bytes()
    for change in (path.unlink, lambda: keys.make_key("first")):
        change()
        assert [(each.kind, each.entries) for each in found()] == [("closed", 1)]
    path.write_bytes(right)
    assert found() == []


def test_a_bucket_that_does_not_answer_says_nothing_of_documents(
    bucket: Bucket, settings: Any, patient: str, tmp_path: Path
) -> None:
    bucket.choose(settings)
    kept(patient, tmp_path, b"in the bucket")
    forget_storage()
    Bucket("http://127.0.0.1:9", "b", "k", "s").choose(settings, seconds=1)
    with pytest.raises(CommandError, match="what lies there is not known"):
        call_command("check_documents")
