"""What the flags of one key mean (SS-MIX2 3.4 and 3.5): which of its files are current, superseded, deleted.

A key is alive as long as it has a current file; flag 0 alone proves nothing, because older writers mark what they
supersede with it, and a deletion message is stored with it too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from apps.ssmix.models import State
from hie.wire.ssmix.data_types import DATA_TYPES, NO_ORDER
from hie.wire.ssmix.names import CURRENT, DELETED, HISTORY

# Rules that follow from several files or from the patient index: set anew with each decision.
DECIDED_RULES = frozenset(("LIFE-01", "LIFE-02", "OWN-07"))


@dataclass(frozen=True, slots=True)
class Version:
    """One file of a key. usable: it was read, rests, and breaks no rule that keeps it out."""

    name: str
    flag: str
    written_at: str
    department: str
    mtime_ns: int
    cancels: bool = False
    usable: bool = True

    @property
    def age(self) -> tuple[str, int, str]:
        """What later versions have more of."""
        return (self.written_at, self.mtime_ns, self.name)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state of one file, and the rules that its key breaks."""

    state: State
    rules: tuple[str, ...] = ()


def keeps_several(data_type: str, order_number: str) -> bool:
    """Whether a key may have several current files: dated events share one number, so two are two events."""
    row = DATA_TYPES.get(data_type)
    return order_number == NO_ORDER and row is not None and row.dated and not row.numbered


def judge(versions: Sequence[Version], *, several: bool) -> dict[str, Verdict]:
    """The verdict on each file of one key, by name. Unusable files are the caller's and get no verdict."""
    current = sorted((each for each in versions if each.flag == CURRENT and each.usable), key=lambda each: each.age)
    events = [each for each in current if not each.cancels]
    rules = ("LIFE-01",) if len(events) > 1 else ()
    verdicts = {each.name: Verdict(State.CANCEL) for each in current if each.cancels}
    cancelled = _cancelled(current) if several else _cancelled_by_newest(current)
    newest = events[-1].name if events else ""
    for each in events:
        if each.name in cancelled:
            verdicts[each.name] = Verdict(State.DELETED, rules)
        else:
            alive = several or each.name == newest
            verdicts[each.name] = Verdict(State.CURRENT if alive else State.HISTORY, rules)
    orphaned = () if any(each.flag == CURRENT for each in versions) else ("LIFE-02",)
    for each in versions:
        if each.flag == HISTORY:
            verdicts[each.name] = Verdict(State.HISTORY, orphaned)
        elif each.flag == DELETED:
            verdicts[each.name] = Verdict(State.DELETED)
    return verdicts


def _cancelled(current: Sequence[Version]) -> frozenset[str]:
    """A cancellation takes back the last event before it: of its own department, else of any."""
    open_events: list[Version] = []
    gone = set()
    for each in current:
        if not each.cancels:
            open_events.append(each)
            continue
        same = [event for event in open_events if event.department == each.department] or open_events
        if same:
            open_events.remove(same[-1])
            gone.add(same[-1].name)
    return frozenset(gone)


def _cancelled_by_newest(current: Sequence[Version]) -> frozenset[str]:
    if current and current[-1].cancels:
        return frozenset(each.name for each in current if not each.cancels)
    return frozenset()


def is_settled(mtime_ns: int, now_ns: int, quiet_seconds: int) -> bool:
    """Whether a file has rested long enough to be whole. A time that lies in the future tells of a wrong clock."""
    return abs(now_ns - mtime_ns) >= quiet_seconds * 1_000_000_000
