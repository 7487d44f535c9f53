"""Many events of one facility in one database transaction: what only adds charts is done for all of them together.

A run of events that name new charts is decided and written at once (``intake``), charts of which nothing new is told
cost a place in one UPDATE, and everything else (a change, a merge, several numbers of one human) is carried out as a
single feed is, in its place in the order. Nobody else works on the index meanwhile, so a transaction should be short.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from apps.pix.matching import Scorer
from apps.pix.models import LocalIdentifier
from apps.pix.services import feeding, intake, linking, links, new_charts, versions
from apps.pix.services.charts import find_row, find_rows, write_seen
from apps.pix.services.checking import check
from apps.pix.services.intake import Ahead
from apps.pix.services.linking import Cause
from apps.pix.services.new_charts import NewChart
from hie.exchange.rows import execute, fetch, listed, numbers
from hie.values.errors import ExchangeError
from hie.values.patients import FeedEvent, FeedOutcome, PatientFeed
from hie.values.people import Demographics


def feed_all(
    feeds: Sequence[PatientFeed], facility_code: str, *, sender: str = ""
) -> list[FeedOutcome | ExchangeError]:
    """Carry out many events of one facility in one database transaction, in their order, as ``feed`` would one by one.

    The answer has one place for each event: its outcome, or the error for which nothing of it was done; the others are
    done all the same. Regional ids are those at the end. What stops them all (a database that is busy) is raised, and
    nothing is done.
    """
    source = bool(sender) and sender == settings.IDENTITY_SOURCE
    checked: list[PatientFeed | ExchangeError] = []
    for each in feeds:
        try:
            checked.append(check(each, facility_code, source=source))
        except ExchangeError as error:
            checked.append(error)
    with transaction.atomic():
        return carry_out_all([Told(each) for each in checked], facility_code, sender or facility_code).outcomes


@dataclass(slots=True)
class Told:
    """One event of a run: checked, or why it was refused. new: what it makes of a chart that is not known, prepared.

    whole: the event with what it tells of the patient, where ``feed`` leaves that out; key: then, of its message.
    """

    feed: PatientFeed | ExchangeError
    new: NewChart | None = None
    whole: Callable[[], PatientFeed] | None = None
    key: str = ""

    @property
    def demographics(self) -> Demographics:
        """What it tells of the patient."""
        assert isinstance(self.feed, PatientFeed)
        return self.whole().demographics if self.whole else self.feed.demographics


@dataclass(slots=True)
class Done:
    """What became of a run. entered, updated, unchanged: charts of events that name one."""

    outcomes: list[FeedOutcome | ExchangeError]
    entered: int = 0
    updated: int = 0
    unchanged: int = 0


def carry_out_all(told: Sequence[Told], facility_code: str, sender: str, ahead: Ahead | None = None) -> Done:
    """Carry out a run in the caller's database transaction. ahead: who prepared it, and compares it with the index."""
    now = timezone.now()
    run = _Run(facility_code, now, ahead)
    run.begin(told, sender)
    for place, each in enumerate(told):
        run.do(place, each)
    return run.end()


class _Run:
    def __init__(self, facility_code: str, now: datetime, ahead: Ahead | None) -> None:
        self._ahead = ahead  # as long as the index is what was committed
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
                self._keys[place] = each.key or feeding.key_of(each.feed, sender)
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
                self._one(place, told)
                self._done.outcomes[place] = outcome
            else:
                self._flush()
                self._known, self._ask, self._ahead = {}, True, None
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

    def _one(self, place: int, told: Told) -> None:
        """An event of one chart: a new one waits, an unchanged one is marked as seen, a changed one is carried out."""
        feed, new = told.feed, told.new
        assert isinstance(feed, PatientFeed)
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
            if new is None or new.kinds != kinds:
                new, self._ahead = new_charts.prepare(identifier, told.demographics, cause, kinds), None
            ready = new
            ready.cause = cause
            self._waiting[name] = place, ready
            self._done.entered += 1
            return
        demographics = told.demographics
        if not feeding.changes(row, demographics):
            self._charts[place] = row.pk
            self._seen.add(row.pk)
            self._done.unchanged += 1
        else:
            self._flush()
            found = find_row(*name)
            assert found is not None
            self._ahead = None
            feeding.update(found[0], demographics, cause)
            self._known[name] = found[0]
            self._charts[place] = found[0].pk
            self._done.updated += 1

    def _flush(self) -> None:
        """Take the new charts that wait."""
        if not self._waiting:
            return
        assert self._scorer is not None
        waiting, self._waiting = self._waiting, {}
        ahead, self._ahead = self._ahead, None
        intake.take([new for _, new in waiting.values()], self._scorer, alone=True, ahead=ahead)
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
        and feed.identifiers[0].oid != settings.AFFINITY_DOMAIN_OID
    )


def _with(outcome: FeedOutcome, **changed: Any) -> FeedOutcome:
    return replace(outcome, **changed)
