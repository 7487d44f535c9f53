"""What the registry's tests start from: one patient, and a repository of a member that may be named in ITI-42."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import settings

from apps.xds import repository
from apps.xds.services import registration
from tests.apps.xds.samples import known_patient


@pytest.fixture
def patient(db: None) -> str:
    return known_patient()


@pytest.fixture(autouse=True)
def _a_hospital_with_its_own_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    known = frozenset({settings.REPOSITORY_OID, f"{settings.OID_ROOT}.6.77"})
    monkeypatch.setattr(repository, "repositories", lambda: known)
    monkeypatch.setattr(registration, "repositories", lambda: known)


@pytest.fixture(autouse=True)
def _a_document_store_of_its_own(settings: object, tmp_path: Path) -> None:
    settings.DOCUMENT_STORE = str(tmp_path / "documents")  # type: ignore[attr-defined]
