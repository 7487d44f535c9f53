"""Whether this machine has the keys of sealed documents, asked before it opens its doors (``manage.py serve``)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error
from django.db import connection

from apps.xds.models import SealingKey
from apps.xds.stores import KeyProblem
from apps.xds.stores.keys import current_key_name, operators_key
from apps.xds.stores.sealing import unwrap

_MADE = "Make it with `manage.py document_keys --make {name}`, or leave HIE_DOCUMENT_KEY empty."
_ANOTHER = "The file {name}.key in {directory} holds another key than the one that sealed documents here."
_PUT_BACK = "Put the right file back, from the place where your keys are kept or from a backup; no document is lost."


def check_document_keys(databases: Any = None, **_: Any) -> list[CheckMessage]:
    """A system check: an error where new documents could not be sealed, a warning where kept ones stay closed.

    Two look-ups for each key, however many documents there are.
    """
    if not databases or SealingKey._meta.db_table not in connection.introspection.table_names():
        return []
    current, used = current_key_name(), list(_names_in_use())
    found = [_judged(name, is_current=name == current) for name in used]
    if current and current not in used:
        found.append(_never_used(current))
    return [each for each in found if each is not None]


def _names_in_use() -> Iterator[str]:
    """The names of the keys that documents need, each found from the one before it."""
    name: str | None = ""
    while name is not None:
        following = SealingKey.objects.filter(key_name__gt=name).order_by("key_name")
        name = following.values_list("key_name", flat=True).first()
        if name is not None:
            yield name


def _judged(name: str, *, is_current: bool) -> CheckMessage | None:
    """What is to be said of a key that documents are sealed with; None where it opens one of them."""
    kind, number = (Error, "xds.E001") if is_current else (checks.Warning, "xds.W001")
    row = SealingKey.objects.filter(key_name=name).select_related("content").order_by()[:1].get()
    try:
        unwrap(bytes(row.wrapped), row.content.locator, operators_key(name))
    except KeyProblem as problem:
        return kind(str(problem), hint=_PUT_BACK, id=number)
    except ValueError:
        return kind(_ANOTHER.format(name=name, directory=settings.DOCUMENT_KEYS), hint=_PUT_BACK, id=number)
    return None


def _never_used(name: str) -> CheckMessage | None:
    try:
        operators_key(name)
    except KeyProblem as problem:
        return Error(str(problem), hint=_MADE.format(name=name), id="xds.E001")
    return None
