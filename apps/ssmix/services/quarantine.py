"""What a person decides about quarantined files: read them again, accept them with a reason, keep them out for good."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import transaction

from apps.ssmix.models import QuarantineDecision, State, StorageRoot, StoredFile
from apps.ssmix.services.storages import request_scan
from hie.wire.ssmix.rules import RULES, Severity

# A folder's patient may be right where PID-3 is not (a number that was changed); nothing else can be vouched for.
ACCEPTABLE = frozenset(("ID-01",))
_KEPT_OUT = frozenset((State.QUARANTINED, State.REJECTED))
Verdict = QuarantineDecision.Verdict


@transaction.atomic
def decide(files: Iterable[StoredFile], verdict: str, *, reason: str, by: Any) -> list[StoredFile]:
    """Carry out one decision about some files and keep it; returns the files that it could be taken about.

    RETRY and ACCEPT have the storage scanned at the next occasion. ACCEPT is for files whose only fatal rule is one of
    ``ACCEPTABLE``, and holds for their present bytes. REJECT ends the retries. Changed bytes are judged anew always.
    Raises ValueError where a reason is needed and missing.
    """
    if verdict != Verdict.RETRY and not reason.strip():
        raise ValueError("A decision that lets a file in or keeps it out needs a reason.")
    decided = [each for each in files if each.state in _KEPT_OUT and (verdict != Verdict.ACCEPT or _may_accept(each))]
    for each in decided:
        each.state = (State.REJECTED if verdict == Verdict.REJECT else State.QUARANTINED).value
        each.recheck = verdict != Verdict.REJECT
        each.accepted = verdict == Verdict.ACCEPT
        each.save(update_fields=["state", "recheck", "accepted"])
    QuarantineDecision.objects.bulk_create(
        [
            QuarantineDecision(stored_file=each, verdict=verdict, rules=each.rules, reason=reason[:500], decided_by=by)
            for each in decided
        ]
    )
    if verdict != Verdict.REJECT:
        for root in StorageRoot.objects.filter(pk__in={each.root_id for each in decided}):
            request_scan(root)
    return decided


def _may_accept(file: StoredFile) -> bool:
    fatal = {rule for rule in file.rules.split() if rule in RULES and RULES[rule].severity is Severity.ERROR}
    return bool(fatal) and fatal <= ACCEPTABLE
