"""Put charts under the persons that matching says they belong to, and write down every change.

After a chart changed, the charts that any rule or statement may tie to it are read, clustered anew
(``apps.pix.matching``), and only what differs from the stored persons is changed. The work is serialised by what it
touches: on PostgreSQL by locks on identifiers, match keys and persons, on SQLite by its one writer.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from apps.ids import services as ids
from apps.pix import matching
from apps.pix.matching import Chart, Cluster, Link
from apps.pix.models import (
    Assertion,
    LinkEvent,
    LocalIdentifier,
    MatchKey,
    Person,
    persons_joined,
    records_moved,
)
from apps.pix.services.charts import chart_of
from hie.values.identifiers import AssigningAuthority, Identifier

Kind = LinkEvent.Kind


@dataclass(frozen=True, slots=True)
class Cause:
    """Who changed something, by which message, and when."""

    facility_code: str
    message_id: str
    at: datetime


def lock(names: Iterable[str]) -> None:
    """Let nobody else work on these names (identifiers, match keys) until the transaction ends.

    PostgreSQL: advisory locks on a hash of each, in one order so that two workers never wait for each other.
    SQLite has one writer at a time and needs none.
    """
    if connection.vendor != "postgresql":
        return
    numbers = sorted({_lock_number(name) for name in names})
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(number) FROM unnest(%s::bigint[]) AS number", [numbers])


def _lock_number(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big", signed=True)


def enter(row: LocalIdentifier, cause: Cause) -> None:
    """Save a chart that is new, under the person whom it belongs to or a new one."""
    keys = matching.match_keys(chart_of(row))
    lock(value for _, value in keys)
    row.person_id = 0  # nobody yet; ``_settle`` decides before the row is saved
    _settle(row, keys, cause)
    _write_keys(row, keys)


def reconsider(row: LocalIdentifier, before: Chart, cause: Cause) -> None:
    """Decide anew after what the rules see of a saved chart has changed. before: what they saw until now."""
    old_keys, keys = matching.match_keys(before), matching.match_keys(chart_of(row))
    lock(value for _, value in old_keys | keys)
    if old_keys != keys:
        _write_keys(row, keys, stale=old_keys)
    _settle(row, keys, cause)


def state(first: LocalIdentifier, second: LocalIdentifier, basis: str, cause: Cause) -> None:
    """Keep that two charts are of one human, and join their persons; the first one's person survives."""
    Assertion.objects.get_or_create(
        first=first, second=second, defaults={"basis": basis, "facility_code": cause.facility_code}
    )
    _settle(second, frozenset(), cause, survivor=first)


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


def _write_keys(
    row: LocalIdentifier, keys: frozenset[tuple[str, str]], stale: frozenset[tuple[str, str]] = frozenset()
) -> None:
    gone = stale - keys
    if gone:
        MatchKey.objects.filter(record=row, value__in=[value for _, value in gone]).delete()
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO pix_matchkey (record_id, rule, value) VALUES (%s, %s, %s)",
            [(row.pk, rule, value) for rule, value in sorted(keys - stale)],
        )


# --- settle: from clusters to persons


def _settle(
    row: LocalIdentifier,
    keys: frozenset[tuple[str, str]],
    cause: Cause,
    *,
    survivor: LocalIdentifier | None = None,
) -> None:
    """Cluster everything that may be tied to this chart and make the persons follow.

    row: saved, or new and then saved here. survivor: the chart whose person survives where persons join; else the
    oldest person does. Both rows know their person afterwards.
    """
    saved = [each.pk for each in (row, survivor) if each is not None and each.pk]
    rows = _locked_neighbourhood(saved, {value for _, value in keys})
    for each in (row, survivor):
        if each is not None:
            each.person_id = rows[each.pk].person_id if each.pk else 0
            rows[each.pk or 0] = each
    keep = survivor.person_id if survivor else None
    charts = [chart_of(each) for each in rows.values()]
    _follow(rows, matching.clusters(charts, _stated(rows)), row, cause, keep)


def _locked_neighbourhood(saved: list[int], keys: set[str]) -> dict[int, LocalIdentifier]:
    """All charts that rules may tie together, beginning with these charts and keys; nobody else changes them now.

    Read, lock the persons found, and read again until nothing new turns up: what was read before a lock was granted
    may have changed while waiting for it.
    """
    locked: set[int] = set()
    while True:
        persons = set(LocalIdentifier.objects.filter(pk__in=saved).values_list("person_id", flat=True)) if saved else {}
        rows = _neighbourhood(set(persons), keys)
        concerned = {row.person_id for row in rows.values()}
        if concerned <= locked or connection.vendor != "postgresql":
            return rows
        list(Person.objects.select_for_update().filter(pk__in=concerned).order_by("pk").values_list("pk"))
        locked |= concerned


def _neighbourhood(persons: set[int], keys: set[str]) -> dict[int, LocalIdentifier]:
    """The charts of these persons and of every person who shares a key with a chart found so far, by row id."""
    rows: dict[int, LocalIdentifier] = {}
    persons, open_keys, asked_keys = set(persons), set(keys), set[str]()
    read: set[int] = set()
    while open_keys or persons - read:
        if open_keys:
            persons |= _holders(open_keys)
            asked_keys |= open_keys
            open_keys = set()
        fresh = persons - read
        if fresh:
            for row in _charts_of(fresh):
                rows[row.pk] = row
                open_keys |= {value for _, value in matching.match_keys(chart_of(row))}
            open_keys -= asked_keys
            read |= fresh
    return rows


# Plain SQL: these run with every feed, and building them anew costs more than they do. {} are only placeholders.
_HOLDERS = (
    "SELECT DISTINCT l.person_id FROM pix_matchkey k JOIN pix_localidentifier l ON l.id = k.record_id"
    " WHERE k.value IN ({})"
)
_CHARTS = "SELECT * FROM pix_localidentifier WHERE person_id IN ({})"
_STATED = (
    "SELECT a.first_id, a.second_id, a.basis FROM pix_assertion a"
    " WHERE a.first_id IN ({ids}) AND a.second_id IN ({ids})"
)


def _holders(keys: set[str]) -> set[int]:
    """The persons who have a chart with one of these match keys."""
    with connection.cursor() as cursor:
        cursor.execute(_HOLDERS.format(_places(keys)), list(keys))
        return {row[0] for row in cursor.fetchall()}


def _charts_of(persons: set[int]) -> Iterable[LocalIdentifier]:
    return LocalIdentifier.objects.raw(_CHARTS.format(_places(persons)), list(persons))


def _stated(rows: dict[int, LocalIdentifier]) -> list[Link]:
    """What facilities stated about these charts."""
    saved = [chart_id for chart_id in rows if chart_id]
    if len(saved) < 2:
        return []
    with connection.cursor() as cursor:
        cursor.execute(_STATED.format(ids=_places(saved)), saved * 2)
        return [Link(first, second, basis) for first, second, basis in cursor.fetchall()]


def _places(values: Collection[object]) -> str:
    return ", ".join(["%s"] * len(values))


def _follow(
    rows: dict[int, LocalIdentifier],
    found: tuple[Cluster, ...],
    changed: LocalIdentifier,
    cause: Cause,
    keep: int | None,
) -> None:
    """Make the stored persons equal the clusters that were found.

    A person stays with the cluster of its oldest chart other than the changed one; a cluster that several persons
    stay with joins them; a cluster without one becomes a new person.
    """
    cluster_of = {chart: cluster for cluster in found for chart in cluster.charts}
    stays: dict[Cluster, list[int]] = defaultdict(list)
    for person_id, anchor in _anchors(rows, changed).items():
        stays[cluster_of[anchor]].append(person_id)
    for cluster in found:
        staying = stays[cluster]
        target = _target(staying, keep)
        _move(rows, cluster, target, frozenset(staying), cause)
    for staying in stays.values():
        if len(staying) > 1:
            _join(staying, _target(staying, keep), cause)


def _anchors(rows: dict[int, LocalIdentifier], changed: LocalIdentifier) -> dict[int, int]:
    """Person -> the chart whose cluster it stays with."""
    anchors: dict[int, int] = {}
    for chart_id in sorted(rows, key=lambda chart_id: (rows[chart_id] is changed, chart_id)):
        person_id = rows[chart_id].person_id
        if person_id:
            anchors.setdefault(person_id, chart_id)
    return anchors


def _target(staying: list[int], keep: int | None) -> int:
    """The person of a cluster; a new one where none stays with it."""
    if keep in staying:
        assert keep is not None
        return keep
    return min(staying) if staying else Person.objects.create(regional_id=ids.issue_regional_id()).pk


def _move(
    rows: dict[int, LocalIdentifier], cluster: Cluster, target: int, staying: frozenset[int], cause: Cause
) -> None:
    """Put the charts of a cluster under its person, with an event of each that was elsewhere."""
    events, moved, saved_ids = [], defaultdict(list), []
    for chart_id in cluster.charts:
        row = rows[chart_id]
        previous = row.person_id
        if previous == target:
            continue
        row.person_id = target
        if row.pk is None:
            row.save()
        else:
            saved_ids.append(row.pk)
        if row.status == LocalIdentifier.Status.MERGED:
            continue
        link = cluster.link_of(chart_id)
        kind = _kind(previous, target, staying, link)
        events.append(
            _event(
                row,
                kind,
                cause,
                target,
                previous or None,
                rule=link.rule if link else "",
                evidence=_evidence(link, chart_id, row),
            )
        )
        if previous and previous not in staying:
            moved[previous].append(row)
    if saved_ids:
        LocalIdentifier.objects.filter(pk__in=saved_ids).update(person_id=target)
    LinkEvent.objects.bulk_create(events)
    for previous, charts in moved.items():
        _tell_moved(charts, previous, target)


def _kind(previous: int, target: int, staying: frozenset[int], link: Link | None) -> str:
    if not previous:
        return Kind.LINKED if link else Kind.REGISTERED
    if previous in staying:
        return Kind.JOINED
    return Kind.LINKED if link and staying else Kind.UNLINKED


def _evidence(link: Link | None, chart_id: int, row: LocalIdentifier) -> dict[str, object]:
    if link is None:
        return {}
    other = link.second if link.first == chart_id else link.first
    return {"chart": other or row.pk, "fields": list(link.fields)}


def _tell_moved(charts: list[LocalIdentifier], previous: int, target: int) -> None:
    regional = dict(Person.objects.filter(pk__in=(previous, target)).values_list("pk", "regional__value"))
    records_moved.send(
        sender=Person,
        identifiers=tuple(Identifier(row.value, AssigningAuthority(oid=row.authority_oid)) for row in charts),
        previous=regional[previous],
        current=regional[target],
    )


def _join(staying: list[int], target: int, cause: Cause) -> None:
    """End all persons but one, and tell the other apps."""
    regional = dict(Person.objects.filter(pk__in=staying).values_list("pk", "regional__value"))
    for person_id in sorted(set(staying) - {target}):
        Person.objects.filter(pk=person_id).update(
            status=Person.Status.SUBSUMED, surviving_id=target, ended_at=cause.at
        )
        ids.subsume(regional[person_id], surviving=regional[target], reason="persons joined")
        persons_joined.send(sender=Person, subsumed=regional[person_id], surviving=regional[target])
