"""Give what is kept another key or another form, while the exchange runs. Every step can be killed and begun again.

``rotate_keys`` seals the small keys of sealed documents by the current key; the documents stay as they lie.
``rewrite_documents`` writes documents anew in the form that new ones take: plain ones sealed, sealed ones under fresh
keys or plain again, from the directory into the bucket or back. A row moves when its new copy is durable, and the old
copy stays for a while: an answer may be about to read it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Q, QuerySet

from apps.xds import stores
from apps.xds.models import Content, DocumentEntry, SealingKey, Withdrawn
from apps.xds.repository import open_content
from apps.xds.services.keeping import rows_of
from apps.xds.services.removing import give_up
from apps.xds.services.storing import hold
from apps.xds.stores import keys
from hie.values.documents import DataKey, Readable
from hie.values.errors import ExchangeError

GRACE_SECONDS = 60.0
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is. failed: contents whose key or bytes are not there; problem: why the last of them failed."""

    done: int
    total: int
    failed: int = 0
    problem: str = ""


def keys_in_use() -> dict[str, int]:
    """How many sealed documents each of the operator's keys opens; keys that open none are there with 0."""
    found = dict.fromkeys(keys.key_names(), 0)
    for name in SealingKey.objects.order_by().values_list("key_name", flat=True).distinct():
        found[name] = SealingKey.objects.filter(key_name=name).count()
    return found


def rotate_keys() -> Iterator[Progress]:
    """Seal every document's key by the current one of the operator; a report for each 500."""
    waiting = SealingKey.objects.exclude(key_name=keys.current_key_name())
    done, failed, last, problem, total = 0, 0, 0, "", waiting.count()
    while rows := list(waiting.filter(pk__gt=last).select_related("content").order_by("pk")[:_AT_ONCE]):
        last = rows[-1].pk
        renewed = []
        for row in rows:
            try:
                renewed.append((row, stores.rewrapped(DataKey(row.key_name, bytes(row.wrapped)), row.content.locator)))
            except stores.KeyProblem as found:
                failed, problem = failed + 1, str(found)
        with transaction.atomic():
            for row, key in renewed:
                of_row = SealingKey.objects.filter(
                    pk=row.pk, key_name=row.key_name, content__locator=row.content.locator
                )
                done += of_row.update(key_name=key.key_name, wrapped=key.wrapped)
        yield Progress(done, total, failed, problem)


def rewrite_documents(*, every: bool = False, grace: float = GRACE_SECONDS) -> Iterator[Progress]:
    """Write documents anew in the form that new ones take; a report for each.

    every: also those that have the form already, under a fresh key of their own. grace: seconds for which an old copy
    outlives its row's move.
    """
    waiting = _waiting(every=every)
    newest = Content.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    done, failed, last, problem, total = 0, 0, 0, "", waiting.filter(pk__lte=newest).count()
    leaving: deque[tuple[float, str, str]] = deque()
    while rows := list(
        waiting.filter(pk__gt=last, pk__lte=newest).select_related("sealing_key").order_by("pk")[:_AT_ONCE]
    ):
        last = rows[-1].pk
        for row in rows:
            try:
                _rewrite(row)
                done += 1
                leaving.append((time.monotonic() + grace, row.locator, row.sha256))
            except stores.KeyProblem as found:
                failed, problem = failed + 1, str(found)
            except OSError as found:
                failed, problem = failed + 1, f"{row.locator.partition(':')[0]} {row.sha256[:16]}: {found}"
            except ExchangeError as found:
                failed, problem = failed + 1, f"{row.locator.partition(':')[0]} {row.sha256[:16]}: {found.detail}"
            _remove_due(leaving)
            yield Progress(done, total, failed, problem)
    while leaving:
        time.sleep(max(0.0, leaving[0][0] - time.monotonic()))
        _remove_due(leaving)


def _waiting(*, every: bool) -> QuerySet[Content]:
    current = stores.current_scheme()
    schemes = [each for each in stores.FORMS if each != current]
    if every and stores.FORMS[current].sealed:
        schemes.append(current)
    of_schemes = Q()
    for scheme in schemes:
        of_schemes |= Q(locator__startswith=f"{scheme}:")
    return Content.objects.filter(of_schemes)


def _rewrite(row: Content) -> None:
    sealing = getattr(row, "sealing_key", None)
    data_key = DataKey(sealing.key_name, bytes(sealing.wrapped)) if sealing else None
    plain: Readable = open_content(row.locator, row.size, row.sha256, data_key)
    for other in rows_of(stores.current_scheme(), row.sha256).exclude(pk=row.pk):
        if stores.is_there(other.locator, other.size) and _moved(row, other.locator, None):
            return
    locator, fresh_key = stores.put(plain, row.sha256)
    if not _moved(row, locator, fresh_key):
        give_up(locator, row.sha256)


@transaction.atomic
def _moved(row: Content, locator: str, data_key: DataKey | None) -> bool:
    """The row names the new copy from now on, or another row of the same bytes does; False where it went meanwhile."""
    hold([row.sha256])
    there = Content.objects.select_for_update().filter(pk=row.pk, locator=row.locator).exists()
    if not there:
        return False
    same = Content.objects.filter(locator=locator, sha256=row.sha256).first()
    if same is not None:
        for model in (DocumentEntry, Withdrawn):
            model._default_manager.filter(content_id=row.pk).update(content_id=same.pk)
        row.delete()
        return True
    Content.objects.filter(pk=row.pk).update(locator=locator)
    SealingKey.objects.filter(content_id=row.pk).delete()
    if data_key is not None:
        SealingKey.objects.create(content_id=row.pk, key_name=data_key.key_name, wrapped=data_key.wrapped)
    return True


def _remove_due(leaving: deque[tuple[float, str, str]]) -> None:
    while leaving and leaving[0][0] <= time.monotonic():
        _, locator, sha256 = leaving.popleft()
        give_up(locator, sha256)
