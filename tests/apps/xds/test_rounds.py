"""The checks that the server makes itself: when, how far, what is told of them; and the keys it wants at its start."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import checks
from django.test import Client
from django.utils import timezone

from apps.xds import models, tasks
from apps.xds.queries import last_check
from apps.xds.queries.keys import check_document_keys
from apps.xds.services import checking, rounds, submit
from apps.xds.stores import keys
from tests.apps.xds.samples import FACILITY, entry, path_of, spooled, submission

pytestmark = pytest.mark.django_db


def kept(patient: str, directory: Path, data: bytes) -> models.Content:
    each = entry(patient, hash="", size=None, repository_unique_id="")
    sent = replace(submission(patient, each), contents={each.entry_uuid: spooled(directory, data)})
    submit(sent, facility_code=FACILITY)
    content = models.DocumentEntry.objects.latest("id").content
    assert content is not None
    return content


def test_one_is_begun_when_it_is_time_and_only_one(settings: Any) -> None:
    now = timezone.now()
    first = rounds.take(now)
    assert first is not None
    assert rounds.take(now) is None, "it goes on"
    models.DocumentCheck.objects.update(ended_at=now)
    assert rounds.take(now + timedelta(hours=settings.CHECK_HOURS) - timedelta(minutes=1)) is None
    assert rounds.take(now + timedelta(hours=settings.CHECK_HOURS, minutes=1)) is not None
    settings.CHECK_HOURS = 0
    assert rounds.take(now + timedelta(days=1000)) is None


def test_a_killed_one_goes_on_where_it_was(patient: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = [kept(patient, tmp_path, data) for data in (b"one", b"two", b"three")]
    path_of(contents[0].locator).unlink()
    looked_at: list[int] = []
    look = checking._kind_of

    def killed_at_the_third(content: models.Content, *, read: bool) -> str:
        if len(looked_at) == 2:
            raise KeyboardInterrupt
        looked_at.append(content.pk)
        return look(content, read=read)

    monkeypatch.setattr(checking, "_kind_of", killed_at_the_third)
    monkeypatch.setattr(rounds, "_BETWEEN_SIGNS", 0.0)
    check = rounds.take()
    assert check is not None
    with pytest.raises(KeyboardInterrupt):
        rounds.carry_out(check)
    assert last_check() is None
    looked_at.clear()
    monkeypatch.setattr(
        checking, "_kind_of", lambda content, read: looked_at.append(content.pk) or look(content, read=read)
    )
    assert rounds.take() is None, "it may be alive"
    again = rounds.take(timezone.now() + rounds.SILENCE + timedelta(minutes=1))
    assert again is not None
    rounds.carry_out(again)
    assert looked_at == [contents[2].pk]
    done = last_check()
    assert done is not None
    assert (done.pk, done.contents, done.faults) == (check.pk, 3, {"lost": 1})
    assert models.RepositoryCheck.objects.get().lost == 1


def test_the_first_page_tells_what_was_found(patient: str, tmp_path: Path, settings: Any) -> None:
    client = Client(headers={"accept-language": "en"})
    client.force_login(User.objects.create_superuser("admin", password="only-for-this-test"))

    def figure() -> dict[str, Any]:
        return {each["key"]: each for each in client.get("/api/overview").json()["figures"]}["repositories"]

    assert (figure()["state"], figure()["detail"]) == ("good", "not checked yet")
    content = kept(patient, tmp_path, b"one")
    list(checking.check_documents())
    assert (figure()["value"], figure()["state"]) == (0, "good")
    path_of(content.locator).write_bytes(b"ONE")
    list(checking.check_documents())
    assert (figure()["value"], figure()["state"]) == (1, "bad")
    assert client.get(figure()["link"]).status_code == 200
    assert "altered 1" in client.get("/admin/xds/documentcheck/").content.decode()
    path_of(content.locator).write_bytes(b"one")
    list(checking.check_documents())
    models.DocumentCheck.objects.update(ended_at=timezone.now() - timedelta(hours=2 * settings.CHECK_HOURS + 1))
    assert figure()["state"] == "warning", "no check was made in time"


def test_the_task_begins_it_beside_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = threading.Event()
    monkeypatch.setattr(tasks.rounds, "carry_out", lambda check: begun.set())
    monkeypatch.setattr(tasks.connections, "close_all", lambda: None)
    assert tasks.check_documents_when_due() is True
    assert begun.wait(10)
    assert tasks.check_documents_when_due() is False


def found() -> list[tuple[str | None, int]]:
    return [(each.id, each.level) for each in check_document_keys(databases=["default"])]


def test_a_key_that_is_missing_or_another_is_said_at_the_start(patient: str, tmp_path: Path, settings: Any) -> None:
    settings.DOCUMENT_KEYS, settings.DOCUMENT_KEY = str(tmp_path / "keys"), ""
    assert found() == []
    settings.DOCUMENT_KEY = "2026-11"
    assert found() == [("xds.E001", checks.ERROR)]
    (message,) = check_document_keys(databases=["default"])
    assert "document_keys --make 2026-11" in str(message.hint)
    assert check_document_keys(databases=None) == [], "the command that makes it has to run"
    path = keys.make_key("2026-11")
    assert found() == []
    kept(patient, tmp_path, b"sealed")
    assert found() == []
    right = path.read_bytes()
    path.unlink()
    assert found() == [("xds.E001", checks.ERROR)]
    keys.make_key("2026-11")
    (message,) = check_document_keys(databases=["default"])
    assert "another key" in message.msg
    keys.make_key("2026-12")
    settings.DOCUMENT_KEY = "2026-12"
    assert found() == [("xds.W001", checks.WARNING)]
    path.write_bytes(right)
    assert found() == []
