"""The bytes of a submission on their way into the stores, and the rows that name them.

Two steps. ``take_in`` runs before the registration and without a database transaction: it makes the bytes durable,
which may take as long as a bucket takes. ``registered_contents`` runs inside the registration: it decides which rows
the entries point to, and asks no network. Equal bytes of one form are kept once: an earlier row wins, and what was
taken in beside it goes again.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from django.db import transaction
from django.db.models import QuerySet

from apps.xds import stores
from apps.xds.models import Content as Row
from apps.xds.models import SealingKey
from apps.xds.services.storing import keep_contents
from hie.values.documents import Content
from hie.values.errors import ExchangeError, Reason

log = logging.getLogger("apps.xds.stores")

_REMOVED = "The document was removed while it was submitted; send it again."
_SILENT = "The storage of documents does not answer; nothing was registered. Send the submission again."
_CLOSED = "Documents cannot be taken in at the moment; the operator of the repository has been told. Send it again."


def take_in(contents: Mapping[str, Content]) -> dict[str, Content]:
    """Make the contents of a submission durable; the same contents with the places they were given.

    What is there already, under a name that is given once, is not written again. Raises ExchangeError(BUSY) where the
    storage does not answer or the key for new documents is missing: the sender has to come again.
    """
    kept: dict[str, Content] = {}
    by_digest: dict[str, Content] = {}
    for name, content in contents.items():
        if content.sha256 not in by_digest:
            by_digest[content.sha256] = _taken_in(content)
        kept[name] = by_digest[content.sha256]
    return kept


def _taken_in(content: Content) -> Content:
    try:
        lost = ""
        for row in _same_bytes(content):
            if stores.is_there(row.locator, row.size):
                return replace(content, locator=row.locator, kept_before=True)
            lost = row.locator
        return replace(stores.keep(content), instead_of=lost)
    except stores.KeyProblem as problem:
        log.error("%s", problem)
        raise ExchangeError(Reason.BUSY, _CLOSED) from problem
    except OSError as failure:
        log.exception("a document could not be kept: %s", type(failure).__name__)
        raise ExchangeError(Reason.BUSY, _SILENT) from failure


def _same_bytes(content: Content) -> Iterable[Row]:
    """Rows of the same bytes in the form that new documents take; blobs are simply written again."""
    scheme = stores.current_scheme()
    return rows_of(scheme, content.sha256).filter(size=content.size) if stores.FORMS[scheme].unique else ()


def rows_of(scheme: str, sha256: str) -> QuerySet[Row]:
    """Rows of contents of this form with these bytes: a range of the unique index, in every collation."""
    first, last = (f"{scheme}:{sha256}{digit * 16}" for digit in "0f")
    return Row.objects.filter(locator__gte=first, locator__lte=last, sha256=sha256).order_by("id")


def registered_contents(contents: Collection[Content]) -> dict[str, int]:
    """The primary key of the row that each content is to be named by, by the locator it was given.

    Inside the transaction of a registration that holds the names of the contents (their SHA-256). Raises
    ExchangeError(BUSY) where bytes that were taken for kept have been removed meanwhile.
    """
    found: dict[str, int] = {}
    fresh: list[Content] = []
    for content in {each.locator: each for each in contents}.values():
        scheme = content.locator.partition(":")[0]
        unique = stores.FORMS[scheme].unique
        row = rows_of(scheme, content.sha256).select_for_update(no_key=True).first() if unique else None
        if row is not None:
            found[content.locator] = row.pk
            if content.instead_of == row.locator:
                _move(row, content)
            elif not content.kept_before:
                transaction.on_commit(partial(_give_up, content.locator))
        elif content.kept_before or not (unique or stores.is_there(content.locator, content.size)):
            raise ExchangeError(Reason.BUSY, _REMOVED)
        else:
            fresh.append(content)
    return found | _made(fresh)


def _made(contents: Sequence[Content]) -> dict[str, int]:
    rows = [Row(locator=each.locator, size=each.size, sha1=each.sha1, sha256=each.sha256) for each in contents]
    made = {locator: key for (locator, _), key in keep_contents(rows).items()}
    sealed = [(made[each.locator], each.data_key) for each in contents if each.data_key is not None]
    if sealed:
        SealingKey.objects.bulk_create(
            SealingKey(content_id=key, key_name=sealing.key_name, wrapped=sealing.wrapped) for key, sealing in sealed
        )
    return made


def _move(row: Row, content: Content) -> None:
    """Bytes that were lost have come again: what named them has them back."""
    Row.objects.filter(pk=row.pk).update(locator=content.locator)
    SealingKey.objects.filter(content_id=row.pk).delete()
    if content.data_key is not None:
        SealingKey.objects.create(
            content_id=row.pk, key_name=content.data_key.key_name, wrapped=content.data_key.wrapped
        )


def _give_up(locator: str) -> None:
    """Remove bytes that are there twice. Where that fails they are an orphan, which ``check_documents`` finds."""
    with contextlib.suppress(OSError):
        stores.remove(locator)
