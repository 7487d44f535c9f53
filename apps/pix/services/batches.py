"""Many events of one facility in one database transaction: what only adds charts is done for all of them together.

A run of events that name new charts is decided and written at once (``intake``), charts of which nothing new is told
cost a place in one UPDATE, and everything else (a change, a merge, several numbers of one human) is carried out as a
single feed is, in its place in the order. Nobody else works on the index meanwhile, so a transaction should be short.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from apps.pix.matching import Scorer
from apps.pix.models import LocalIdentifier
from apps.pix.services import feeding, intake, linking, links, versions
from apps.pix.services.charts import find_row, find_rows, write_seen
from apps.pix.services.checking import check
from apps.pix.services.intake import NewChart
from apps.pix.services.linking import Cause
from hie.exchange.rows import execute, fetch, listed, numbers
from hie.values.errors import ExchangeError
from hie.values.patients import FeedEvent, FeedOutcome, PatientFeed


def feed_all(
    feeds: Sequence[PatientFeed], facility_code: str, *, sender: str = ""
) -> list[FeedOutcome | ExchangeError]:
    """Carry out many events of one facility in one database transaction, in their order, as ``feed`` would one by one.

    The answer has one place for each event: its outcome, or the error for which nothing of it was done; the others are
    done all the same. Regional ids are those at the end. What stops them all (a database that is busy) is raised, and
    nothing is done.
    """
    checked: list[PatientFeed | ExchangeError] = []
    for each in feeds:
        try:
            checked.append(check(each, facility_code))
        except ExchangeError as error:
            checked.append(error)
    with transaction.atomic():
        return carry_out_all([Told(each) for each in checked], facility_code, sender or facility_code).outcomes


@dataclass(slots=True)
class Told:
    """One event of a run: checked, or why it was refused. new: what it makes of a chart that is not known, prepared."""

    feed: PatientFeed | ExchangeError
    new: NewChart | None = None


@dataclass(slots=True)
class Done:
    """What became of a run. entered, updated, unchanged: charts of events that name one."""

    outcomes: list[FeedOutcome | ExchangeError]
    entered: int = 0
    updated: int = 0
    unchanged: int = 0


def carry_out_all(told: Sequence[Told], facility_code: str, sender: str) -> Done:
    """Carry out a run in the caller's database transaction."""
    now = timezone.now()
    run = _Run(facility_code, now)
    run.begin(told, sender)
    for place, each in enumerate(told):
        run.do(place, each)
    return run.end()


class _Run:
    def __init__(self, facility_code: str, now: datetime) -> None:
        self._facility = facility_code
        self._now = now
        self._keys: dict[int, str] = {}
        self._new_keys: set[str] = set()
        self._refused: list[str] = []
        self._known: dict[tuple[str, str], LocalIdentifier] = {}
        self._ask = False  # whether ``_known`` may miss charts besides those taken since
        self._taken: set[tuple[str, str]] = set()
        self._waiting: dict[tuple[str, str], tuple[int, NewChart]] = {}
        self._seen: set[int] = set()
        self._charts: dict[int, int] = {}  # place -> chart, of events that name one
        self._scorer: Scorer | None = None
        self._done = Done([])

    def begin(self, told: Sequence[Told], sender: str) -> None:
        """Remember the messages, keep everybody else out, read the charts that are known."""
        for place, each in enumerate(told):
            if isinstance(each.feed, PatientFeed) and each.feed.message_id:
                content = feeding.content_of_message(each.feed)
                self._keys[place] = feeding.message_key(each.feed.message_id, content, sender)
        if self._keys:
            self._new_keys = feeding.remember_all(set(self._keys.values()), self._now)
        linking.lock_all()
        self._scorer = versions.in_force()
        wanted: dict[str, list[str]] = {}
        for each in told:
            if _names_one(each.feed):
                (identifier,) = each.feed.identifiers  # type: ignore[union-attr]
                wanted.setdefault(identifier.oid, []).append(identifier.value)
        for oid, values in wanted.items():
            self._known.update(((oid, value), row) for value, row in find_rows(oid, values).items())
        self._done.outcomes = [each.feed for each in told]  # type: ignore[misc]

    def do(self, place: int, told: Told) -> None:
        """Carry out one event, or let it wait for those like it."""
        feed = told.feed
        if isinstance(feed, ExchangeError):
            return
        key = self._keys.get(place)
        outcome = feeding.outcome_of(feed)
        if key is not None and key not in self._new_keys:
            self._flush()
            found = find_row(feed.identifiers[0].oid, feed.identifiers[0].value)
            self._done.outcomes[place] = _with(outcome, repeated=True)
            if found and found[0].status == LocalIdentifier.Status.ACTIVE:
                self._charts[place] = found[0].pk
            return
        self._new_keys.discard(key or "")
        try:
            if _names_one(feed):
                self._one(place, feed, told.new)
                self._done.outcomes[place] = outcome
            else:
                self._flush()
                self._known, self._ask = {}, True
                with transaction.atomic():
                    self._done.outcomes[place] = feeding.carry_out(feed, self._cause(feed))
        except ExchangeError as error:
            self._done.outcomes[place] = error
            if key is not None:
                self._new_keys.add(key)

    def end(self) -> Done:
        """Write what waits; the outcomes know the regional ids."""
        self._flush()
        write_seen(sorted(self._seen), self._now)
        unsaid = sorted(self._new_keys)
        for key in unsaid:
            execute("DELETE FROM pix_feedmessage WHERE key = %s", [key])
        found = dict(fetch(_REGIONAL + listed("l.id"), [numbers(self._charts.values())])) if self._charts else {}
        for place, chart in self._charts.items():
            outcome = self._done.outcomes[place]
            if isinstance(outcome, FeedOutcome):
                self._done.outcomes[place] = _with(outcome, regional_id=found[chart])
        return self._done

    def _one(self, place: int, feed: PatientFeed, new: NewChart | None) -> None:
        """An event of one chart: a new one waits, an unchanged one is marked as seen, a changed one is carried out."""
        (identifier,) = feed.identifiers
        name = identifier.oid, identifier.value
        if name in self._waiting:
            self._flush()
        row = self._known.get(name)
        if row is None and (self._ask or name in self._taken):
            found = find_row(*name)
            row = found[0] if found else None
        cause = self._cause(feed)
        if row is None:
            assert self._scorer is not None
            kinds = self._scorer.version.kinds
            ready = new if new and new.kinds == kinds else intake.prepare(identifier, feed.demographics, cause, kinds)
            ready.cause = cause
            self._waiting[name] = place, ready
            self._done.entered += 1
        elif not feeding.changes(row, feed.demographics):
            self._charts[place] = row.pk
            self._seen.add(row.pk)
            self._done.unchanged += 1
        else:
            self._flush()
            found = find_row(*name)
            assert found is not None
            feeding.update(found[0], feed.demographics, cause)
            self._known[name] = found[0]
            self._charts[place] = found[0].pk
            self._done.updated += 1

    def _flush(self) -> None:
        """Take the new charts that wait."""
        if not self._waiting:
            return
        assert self._scorer is not None
        waiting, self._waiting = self._waiting, {}
        intake.take([new for _, new in waiting.values()], self._scorer, alone=True)
        links.arrived({name: new.cause for name, (_, new) in waiting.items()})
        self._charts.update((place, new.id) for place, new in waiting.values())
        self._taken |= waiting.keys()

    def _cause(self, feed: PatientFeed) -> Cause:
        return Cause(self._facility, feed.message_id, self._now)


_REGIONAL = "SELECT l.id, p.regional_id FROM pix_localidentifier l JOIN pix_person p ON p.id = l.person_id WHERE "


def _names_one(feed: PatientFeed | ExchangeError) -> bool:
    return (
        isinstance(feed, PatientFeed)
        and feed.event in (FeedEvent.REGISTER, FeedEvent.UPDATE)
        and len(feed.identifiers) == 1
    )


def _with(outcome: FeedOutcome, **changed: Any) -> FeedOutcome:
    return replace(outcome, **changed)
