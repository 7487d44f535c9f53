"""Put charts under the persons that matching says they belong to, and write down every change.

After a chart changed, its candidates are found by its keys and decided (``apps.pix.matching``), the charts that any
link or statement ties to it are grouped anew, and only what differs from the stored persons is changed. The work is
serialised by what it touches: on PostgreSQL by locks on identifiers, candidate keys and persons, on SQLite by its one
writer.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from django.conf import settings
from django.db import connection
from django.db.models import Q

from apps.ids import services as ids
from apps.pix import matching
from apps.pix.matching import Chart, Decision, Group, Outcome, Regrouped, Scorer, Tie, Verdict
from apps.pix.models import (
    Assertion,
    LinkEvent,
    LocalIdentifier,
    Person,
    persons_joined,
    records_moved,
)
from apps.pix.services import cases, pairs, versions
from apps.pix.services.charts import chart_of, is_fed
from apps.pix.services.pairs import DatabaseStore
from hie.exchange.rows import fetch
from hie.values.errors import ExchangeError, Reason
from hie.values.identifiers import AssigningAuthority, Identifier

Kind = LinkEvent.Kind
# The rule of a link that the identity source of the affinity domain told of (ITI-64).
LINK_CHANGE = "link change"


@dataclass(frozen=True, slots=True)
class Cause:
    """Who changed something, by which message, and when.

    by: account of a clerk who decided, then ``rule`` says what ("" for a facility's message). reason: in the clerk's
    words, without patient data.
    """

    facility_code: str
    message_id: str
    at: datetime
    by: str = ""
    rule: str = ""
    reason: str = ""


def lock(names: Iterable[str]) -> None:
    """Let nobody else work on these names (identifiers) until the transaction ends, nor on the whole index.

    PostgreSQL: advisory locks on a hash of each, in one order so that two workers never wait for each other, after a
    shared one that keeps ``lock_all`` waiting. SQLite has one writer at a time and needs none.
    """
    if connection.vendor == "postgresql":
        fetch(_LOCK_SHARED, [_EVERYTHING, sorted({_lock_number(name) for name in names})])


def lock_all() -> None:
    """Let nobody else work on the index until the transaction ends: for many charts, in place of the other locks."""
    if connection.vendor == "postgresql":
        fetch("SELECT pg_advisory_xact_lock(%s::bigint)", [_EVERYTHING])


def lock_keys(keys: Iterable[int]) -> None:
    """Let nobody else decide a chart with one of these candidate keys until the transaction ends."""
    if connection.vendor == "postgresql":
        fetch(_LOCK, [sorted(set(keys))])


def lock_persons_of(charts: Collection[int]) -> set[int]:
    """Let nobody else move charts of the persons under whom these charts stand until the transaction ends.

    Returns the persons. A chart may have moved while we waited, so its person has to be read again.
    """
    if not charts or connection.vendor != "postgresql":
        return set()
    return {person for (person,) in fetch(_LOCK_PERSONS, [list(charts)])}


_LOCK = "SELECT pg_advisory_xact_lock(number) FROM unnest(%s::bigint[]) AS number"
_LOCK_SHARED = (
    "SELECT pg_advisory_xact_lock_shared(%s::bigint) UNION ALL"
    " SELECT pg_advisory_xact_lock(number) FROM unnest(%s::bigint[]) AS number"
)
_LOCK_PERSONS = (
    "SELECT id FROM pix_person WHERE id IN (SELECT person_id FROM pix_localidentifier WHERE id = ANY(%s::bigint[]))"
    " ORDER BY id FOR UPDATE"
)


def _lock_number(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big", signed=True)


_EVERYTHING = _lock_number("the whole index")


def reconsider(row: LocalIdentifier, cause: Cause) -> None:
    """Decide anew a saved chart whose content has changed, or that another version of the rules has to decide."""
    scorer = versions.in_force()
    keys, stale = set(matching.keys(chart_of(row), scorer.version.kinds)), pairs.keys_of(row.pk)
    lock_keys(keys | stale)
    if keys != stale:
        pairs.write_keys(row.pk, keys, stale)
    settle_charts({row.pk, *_decide_anew(row, scorer)}, row, cause, scorer=scorer)


def state(first: LocalIdentifier, second: LocalIdentifier, basis: str, cause: Cause) -> None:
    """Keep that a facility says of two charts that they are of one human; the first one's person survives.

    A merge or link ends what was stated against it before, of the two or of charts that are stated to be one with
    them. What a facility only sends together does not: then nothing is kept.
    """
    known, apart = _statement(first, second), _kept_apart(first, second)
    if apart and basis == Assertion.Basis.ONE_MESSAGE:
        return
    Assertion.objects.filter(pk__in=apart).update(ended_at=cause.at)
    if known is None or not known.one_human:
        _write_statement(first, second, basis, cause, one_human=True, known=known)
    scorer, linked = versions.in_force(), set[int]()
    if basis == Assertion.Basis.MERGE:
        lock_keys(pairs.keys_of(second.pk))
        linked = _decide_anew(second, scorer)  # that it is merged away counts
    settle_charts({first.pk, second.pk, *linked}, second, cause, survivor=first, scorer=scorer)


def decide_anew(first: LocalIdentifier, second: LocalIdentifier, cause: Cause) -> None:
    """Decide the second chart anew after its merge was taken back, and make the persons follow as ``settle`` does."""
    scorer = versions.in_force()
    lock_keys(pairs.keys_of(second.pk))
    settle_charts({first.pk, second.pk, *_decide_anew(second, scorer)}, second, cause, survivor=first, scorer=scorer)


def settle(first: LocalIdentifier, second: LocalIdentifier, cause: Cause, *, besides: Collection[int] = ()) -> None:
    """Make the persons follow after something was stated of two charts; the first one's person survives."""
    settle_charts({first.pk, second.pk, *besides}, second, cause, survivor=first)


def write_statement(
    first: LocalIdentifier, second: LocalIdentifier, basis: str, cause: Cause, *, one_human: bool
) -> None:
    """Keep what was stated of two charts; it ends what was stated of them before."""
    _write_statement(first, second, basis, cause, one_human=one_human, known=_statement(first, second))


def _write_statement(
    first: LocalIdentifier,
    second: LocalIdentifier,
    basis: str,
    cause: Cause,
    *,
    one_human: bool,
    known: Assertion | None,
) -> None:
    if known is not None:
        Assertion.objects.filter(pk=known.pk).update(ended_at=cause.at)
    low, high = sorted((first.pk, second.pk))
    Assertion.objects.create(
        first_id=low,
        second_id=high,
        one_human=one_human,
        basis=basis,
        facility_code=cause.facility_code,
        by=cause.by,
    )


def _statement(first: LocalIdentifier, second: LocalIdentifier) -> Assertion | None:
    low, high = sorted((first.pk, second.pk))
    return Assertion.objects.filter(first_id=low, second_id=high, ended_at=None).first()


def _kept_apart(first: LocalIdentifier, second: LocalIdentifier) -> list[int]:
    """The statements (ids) in force by which two charts, or charts stated to be one with them, are of two humans."""
    ones, others = _stated_with(first.pk), _stated_with(second.pk)
    between = Q(first__in=ones, second__in=others) | Q(first__in=others, second__in=ones)
    return list(Assertion.objects.filter(between, one_human=False, ended_at=None).values_list("pk", flat=True))


def tied_by_others(first: int, second: int, *, but: Collection[str]) -> bool:
    """Whether statements tie two charts (ids) together, but those of this very pair that have one of these bases."""
    return second in _stated_with(first, but=(second, but))


def _stated_with(chart: int, *, but: tuple[int, Collection[str]] = (0, ())) -> set[int]:
    """The chart and all that statements tie to it. but: another chart, and bases of a tie to it that do not count."""
    store, (other, bases) = DatabaseStore(), but
    pair = (min(chart, other), max(chart, other))
    known, fresh = {chart}, {chart}
    while fresh:
        found: set[int] = set()
        for each in store.statements(fresh):
            left_out = (each.first, each.second) == pair and store.bases[pair] in bases
            if each.one_human and not left_out:
                found |= {each.first, each.second}
        fresh = found - known
        known |= fresh
    return known


def write_event(
    row: LocalIdentifier,
    kind: str,
    cause: Cause,
    *,
    person_id: int | None,
    previous_id: int | None = None,
    value: str = "",
    rule: str = "",
    evidence: dict[str, object] | None = None,
) -> None:
    """Add one row to the history. value: the identifier as it was, where it is another one now."""
    LinkEvent.objects.bulk_create(
        [_event(row, kind, cause, person_id, previous_id, value=value, rule=rule, evidence=evidence or {})]
    )


def _event(
    row: LocalIdentifier,
    kind: str,
    cause: Cause,
    person_id: int | None,
    previous_id: int | None,
    *,
    value: str = "",
    rule: str = "",
    evidence: dict[str, object],
) -> LinkEvent:
    return LinkEvent(
        record=row,
        kind=kind,
        authority_oid=row.authority_oid,
        value=value or row.value,
        person_id=person_id,
        previous_person_id=previous_id,
        rule=rule,
        evidence=evidence,
        facility_code=cause.facility_code,
        message_id=cause.message_id,
        at=cause.at,
    )


# --- decide


def _decide(chart: matching.Chart, scorer: Scorer, *, fed: bool = False) -> dict[int, Decision]:
    """Links and cases for review with other charts, by the id of the other one. fed: two fed ids are no question."""
    store = DatabaseStore()
    considered = matching.consider(chart, store, scorer)
    others = store.charts([each.other(chart.id) for each in considered.decisions])
    return {
        each.other(chart.id): versions.with_name_and_birth(each, chart, others[each.other(chart.id)])
        for each in considered.decisions
        if not (fed and is_fed(store.rows[each.other(chart.id)]))
    }


def _decide_anew(row: LocalIdentifier, scorer: Scorer) -> set[int]:
    """Replace what was decided of a saved chart; the charts it was linked with before or is now."""
    before = {each.other(row.pk): each for each in DatabaseStore().decisions([row.pk])}
    decided = _decide(chart_of(row), scorer, fed=is_fed(row))
    pairs.write_decisions(row.pk, decided, anew=bool(before))
    return _linked(before) | _linked(decided)


def _linked(decided: dict[int, Decision]) -> set[int]:
    return {other for other, each in decided.items() if each.verdict.outcome is Outcome.LINK}


# --- settle: from groups to persons


def settle_charts(
    charts: set[int],
    changed: LocalIdentifier,
    cause: Cause,
    *,
    survivor: LocalIdentifier | None = None,
    scorer: Scorer | None = None,
) -> tuple[set[int], set[int]]:
    """Group everything that is tied to these charts and make the persons follow.

    survivor: the chart whose person survives where persons join; else the oldest person does. Both rows know their
    person afterwards. Returns the charts that were looked at, and the persons under whom they stood or stand. scorer:
    of the version in force, where the caller has it.
    """
    scorer = scorer or versions.in_force()
    store, found = _locked_component(charts, scorer)
    persons = {store.rows[chart].person_id for chart in found.charts} - {0}
    for each in (changed, survivor):
        if each is not None:
            each.person_id = store.rows[each.pk].person_id
            store.rows[each.pk] = each
    _follow(_Change(store, found, changed, cause, scorer), survivor)
    person_of = {chart: store.rows[chart].person_id for chart in found.charts}
    cases.follow(person_of, cause.at)
    return set(person_of), persons | set(person_of.values())


def _locked_component(charts: set[int], scorer: Scorer) -> tuple[DatabaseStore, Regrouped]:
    """All charts that anything ties to these, grouped; nobody else changes their persons now.

    Read, lock the persons found, and read again until nothing new turns up: what was read before a lock was granted
    may have changed while waiting for it.
    """
    wanted, locked = set(charts), lock_persons_of(charts)
    while True:
        store = DatabaseStore()
        found = matching.regroup(wanted, store, scorer)
        concerned = {store.rows[chart].person_id for chart in found.charts} - {0}
        left_out = pairs.charts_under(concerned) - found.charts.keys()
        if left_out:
            wanted |= left_out
        elif concerned <= locked or connection.vendor != "postgresql":
            return store, found
        else:
            fetch("SELECT id FROM pix_person WHERE id = ANY(%s::bigint[]) ORDER BY id FOR UPDATE", [list(concerned)])
            locked |= concerned


@dataclass(frozen=True, slots=True)
class _Change:
    """What is to be followed: the charts read, the groups found, the chart that changed, and why."""

    store: DatabaseStore
    found: Regrouped
    changed: LocalIdentifier
    cause: Cause
    scorer: Scorer

    @property
    def rows(self) -> dict[int, LocalIdentifier]:
        return {chart: self.store.rows[chart] for chart in self.found.charts}


def _follow(change: _Change, survivor: LocalIdentifier | None) -> None:
    """Make the stored persons equal the groups that were found.

    A person stays with the group of the survivor, else of its oldest chart other than the changed one, but first of all
    of its regional id where that was fed; a group that several persons stay with joins them; a group without one
    becomes a new person.
    """
    groups, keep = change.found.grouping.groups, survivor.person_id if survivor else None
    group_of = {chart: group for group in groups for chart in group.charts}
    stays: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for person_id, anchor in _anchors(change.rows, change.changed, survivor).items():
        stays[group_of[anchor].charts].append(person_id)
    joined = []
    for group in groups:
        staying = stays[group.charts]
        target = _target(change, group, staying, keep)
        _move(change, group, target, frozenset(staying))
        if set(staying) - {target}:
            joined.append((staying, target))
    for staying, target in joined:
        _join(staying, target, change.cause)


def _anchors(
    rows: dict[int, LocalIdentifier], changed: LocalIdentifier, survivor: LocalIdentifier | None
) -> dict[int, int]:
    """Person -> the chart whose cluster it stays with."""

    def order(chart_id: int) -> tuple[bool, bool, bool, int]:
        row = rows[chart_id]
        return not is_fed(row), row is not survivor, row is changed, chart_id

    anchors: dict[int, int] = {}
    for chart_id in sorted(rows, key=order):
        person_id = rows[chart_id].person_id
        if person_id:
            anchors.setdefault(person_id, chart_id)
    return anchors


def _target(change: _Change, group: Group, staying: list[int], keep: int | None) -> int:
    """The person of a cluster; a new one where none stays with it.

    Raises MERGE_REFUSED where statements would make one human of two regional ids that were fed.
    """
    fed = [row for chart in group.charts if is_fed(row := change.store.rows[chart]) and row.status == "active"]
    if len(fed) > 1:
        detail = "They belong to different patients of the affinity domain, whom only its identity source merges."
        raise ExchangeError(Reason.MERGE_REFUSED, detail, "prior identifier")
    if fed:
        return fed[0].person_id or Person.objects.create(regional_id=ids.take_regional_id(fed[0].value)).pk
    if keep in staying:
        assert keep is not None
        return keep
    return min(staying) if staying else Person.objects.create(regional_id=_new_regional_id()).pk


def _new_regional_id() -> str:
    return ids.issue_provisional_id() if settings.IDENTITY_SOURCE else ids.issue_regional_id()


def _move(change: _Change, group: Group, target: int, staying: frozenset[int]) -> None:
    """Put the charts of a group under its person, with an event of each that was elsewhere."""
    events, moved, elsewhere = [], defaultdict(list), []
    for chart in group.charts:
        row = change.store.rows[chart]
        previous = row.person_id
        if previous == target:
            continue
        row.person_id = target
        elsewhere.append(row.pk)
        if previous and previous not in staying:
            moved[previous].append(row)
        if row.status == LocalIdentifier.Status.MERGED:
            continue
        tie = tie_of(group, chart)
        kind, cause = _kind(previous, target, staying, tie), change.cause
        if tie is not None and not tie.stated and kind in (Kind.LINKED, Kind.JOINED):
            cause = replace(cause, rule="")  # whatever made it look: the machine found it
        rule, evidence = reasons(change.store, change.found, chart, tie, cause, change.scorer)
        events.append(_event(row, kind, change.cause, target, previous or None, rule=rule, evidence=evidence))
    if elsewhere:
        LocalIdentifier.objects.filter(pk__in=elsewhere).update(person_id=target)
    LinkEvent.objects.bulk_create(events)
    for previous, charts in moved.items():
        _tell_moved(charts, previous, target, change.cause)


def tie_of(group: Group, chart: int) -> Tie | None:
    """What ties a chart to its group best; None where it stands alone."""
    ties = [tie for tie in group.ties if chart in (tie.first, tie.second)]
    return max(ties, key=lambda tie: (tie.stated, tie.strength, -tie.first, -tie.second), default=None)


def _kind(previous: int, target: int, staying: frozenset[int], tie: Tie | None) -> str:
    if not previous:
        return Kind.LINKED if tie else Kind.REGISTERED
    if previous in staying:
        return Kind.JOINED
    return Kind.LINKED if tie and staying else Kind.UNLINKED


_NOTHING: Mapping[int, list[list[object]]] = {}


def reasons(
    store: DatabaseStore,
    found: Regrouped,
    chart: int,
    tie: Tie | None,
    cause: Cause,
    scorer: Scorer,
    explained: Mapping[int, list[list[object]]] = _NOTHING,
) -> tuple[str, dict[str, object]]:
    """(rule, evidence) of an event: what a clerk decided, what was stated, or what the machine found, field by field.

    fields: ``[field, level, bits]`` of each field that said something. scorer: of the version in force. explained: the
    fields of this chart's decisions with others, where somebody has them.
    """
    by: dict[str, object] = {name: said for name, said in (("by", cause.by), ("reason", cause.reason)) if said}
    if tie is None:
        return cause.rule, by
    pair = tie.first, tie.second
    other = tie.second if tie.first == chart else tie.first
    if tie.stated:
        return cause.rule or store.bases[pair], {"chart": other} | by
    decision = found.decisions[pair]
    if scorer.version.name != decision.version:
        scorer = versions.scorer_of(decision.version)
    verdict = decision.verdict
    fields = explained.get(other) or fields_of(scorer, found.charts[pair[0]], found.charts[pair[1]], verdict)
    evidence: dict[str, object] = {
        "chart": other,
        "rules": decision.version,
        "score": round(verdict.score, 2),
        "fields": fields,
    }
    return cause.rule or f"{decision.version} {verdict.rule}", evidence | by


def fields_of(scorer: Scorer, one: Chart, other: Chart, verdict: Verdict) -> list[list[object]]:
    """What each field said of a pair: ``[field, level, bits]``."""
    return [[each.field, each.level, each.bits] for each in matching.explain(scorer, one, other, verdict).weights]


def _tell_moved(charts: list[LocalIdentifier], previous: int, target: int, cause: Cause) -> None:
    regional = dict(Person.objects.filter(pk__in=(previous, target)).values_list("pk", "regional__value"))
    records_moved.send(
        sender=Person,
        identifiers=_numbers_of(charts),
        previous=regional[previous],
        current=regional[target],
        submitted=not settings.IDENTITY_SOURCE or cause.rule == LINK_CHANGE,
    )


def _numbers_of(charts: list[LocalIdentifier]) -> tuple[Identifier, ...]:
    """Every number that these charts have or had: what was filed under one goes where its chart goes.

    A number that was given to another chart since is that chart's.
    """
    now = dict.fromkeys((row.authority_oid, row.value) for row in charts)
    events = LinkEvent.objects.filter(record__in=[row.pk for row in charts]).order_by("pk")
    before = dict.fromkeys(each for each in events.values_list("authority_oid", "value") if each not in now)
    taken = set(
        LocalIdentifier.objects.filter(value__in=[value for _, value in before]).values_list("authority_oid", "value")
    )
    numbers = (*now, *(each for each in before if each not in taken))
    return tuple(Identifier(value, AssigningAuthority(oid=oid)) for oid, value in numbers)


def _join(staying: list[int], target: int, cause: Cause) -> None:
    """End all persons but one, and tell the other apps."""
    regional = dict(Person.objects.filter(pk__in={*staying, target}).values_list("pk", "regional__value"))
    for person_id in sorted(set(staying) - {target}):
        Person.objects.filter(pk=person_id).update(
            status=Person.Status.SUBSUMED, surviving_id=target, ended_at=cause.at
        )
        ids.subsume(regional[person_id], surviving=regional[target], reason="persons joined")
        persons_joined.send(sender=Person, subsumed=regional[person_id], surviving=regional[target])
