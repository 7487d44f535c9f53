"""What every test starts from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.test import TransactionTestCase

from hie.exchange.remembered import forget_all
from tests.emptying import Emptying


def pytest_configure() -> None:
    """A password is hashed slowly so that it cannot be guessed; no test guesses."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


# What starts and kills whole servers, and mostly waits: begun last, it would leave one processor idle at the end.
BEGUN_FIRST = ("tests/robustness/", "tests/test_readme.py", "tests/transport/", "tests/admin/test_browser.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.nodeid.startswith(BEGUN_FIRST))


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    """Small tables are remembered in the process for seconds, longer than the rows of one test live."""
    forget_all()
    yield
    forget_all()


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """The test database, which tests that commit leave as it was made."""
    with django_db_blocker.unblock():
        emptying = Emptying()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(TransactionTestCase, "_fixture_teardown", lambda _: emptying())
        yield
