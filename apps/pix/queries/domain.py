"""Whether the regional ids in the index are of the affinity domain that this installation is set to (decision 0046)."""

from __future__ import annotations

import re
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.db import connection

from apps.ids.models import is_provisional
from apps.pix.models import LocalIdentifier, Person

_LOOKED_AT = 100  # the newest persons; an index of another domain has no others
_ISSUED_HERE = re.compile(r"[A-Z2-7]{26}")


def check_regional_ids(databases: Any = None, **_: Any) -> list[CheckMessage]:
    """A system check (``manage.py serve`` runs it): an error where the index holds regional ids of another domain."""
    if not databases or Person._meta.db_table not in connection.introspection.table_names():
        return []  # it is asked without a database, or before the tables are made
    newest = Person.objects.filter(status=Person.Status.ACTIVE).order_by("-id")
    values = [str(each) for each in newest.values_list("regional_id", flat=True)[:_LOOKED_AT]]
    if _are_ours(values):
        return []
    said = "The index holds regional ids of another affinity domain than HIE_IDENTITY_SOURCE names."
    return [Error(said, hint="Set it as it was, or begin with an empty database (docs/operations.md).", id="pix.E001")]


def _are_ours(values: list[str]) -> bool:
    if not settings.IDENTITY_SOURCE:
        return all(map(_ISSUED_HERE.fullmatch, values))
    taken = {each for each in values if not is_provisional(each)}
    fed = LocalIdentifier.objects.filter(authority_oid=settings.AFFINITY_DOMAIN_OID, value__in=taken)
    return taken == set(fed.values_list("value", flat=True))
