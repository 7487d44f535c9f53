"""The verbs of finding people (ITI-21, 22, 47): the first page, a further one, no more (ITI TF-2: 3.21.4, 3.47.4).

A person is told of only through charts whose facilities the permit reveals: the person has to be found by such a chart,
shows the identifiers of such charts, and what one of them says. What is left out is neither counted nor mentioned.
Whoever is found beyond the cap is announced, never silently cut.

An answer of several pages is kept: who was found, in their order, so that nothing that changes meanwhile repeats or
skips anybody. What is told of them is read for each page, and the permit is asked again. The pointer to the next page
is random, belongs to the node that asked, and expires. It is alphanumeric (3.21.4.2.2.7).

ITI-22 tells a person once for each visit asked for: a record of an answer is a person with a visit there.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from django.conf import settings
from django.db import connection
from django.utils import timezone

from apps.ids.models import is_provisional
from apps.network import queries as network
from apps.pix.models import Encounter, KeptAnswer, Person
from apps.pix.queries import people, surviving_of
from apps.pix.queries.conditions import visit_test
from apps.pix.queries.people import CONSIDERED, Demands, FoundChart, FoundPeople
from apps.pix.queries.spelling import spelled
from apps.pix.services.visits import read_visit
from hie.values.access import Permit, Subject
from hie.values.demographics_queries import (
    CancelRequest,
    ContinuationRequest,
    DemographicsMatch,
    DemographicsQuery,
    DemographicsResult,
    NameCriterion,
)
from hie.values.errors import ExchangeError, Reason
from hie.values.identifiers import AssigningAuthority, Identifier
from hie.values.people import PersonName

# The most persons that one answer tells of, all its pages together.
MOST_TOLD = 200
# How long a further page may be asked for.
KEPT_FOR = timedelta(minutes=30)

_EXACT, _BEGINS, _NEAR = 100, 90, 70


def search(query: DemographicsQuery) -> DemographicsQuery:
    """The query with who would be found; for a further page there is nothing to search. One statement.

    Raises ExchangeError as ``people.demands_of``.
    """
    return query if query.pointer else replace(query, found=people.search(people.demands_of(query)))


def subjects_of_search(query: DemographicsQuery) -> tuple[Subject, ...]:
    """Whom the answer may be about, for the gate: who would be found, or who stands on the page asked for.

    Raises ExchangeError as ``search``, which it runs where that was not done.
    """
    if not query.pointer:
        return _subjects((query if query.found else search(query)).found.charts)
    kept = _kept(query.pointer)
    return _subjects(_current(each.regional_id for each in _page(kept, query.page_size)) if kept else ())


def subjects_of_continuation(request: ContinuationRequest) -> tuple[Subject, ...]:
    """Whom the page may be about, whichever node asked the query; the verb tells only the node's own."""
    found: list[str] = []
    for row in KeptAnswer.objects.filter(query_id=request.query_id, expires_at__gt=timezone.now()):
        found += _current(each.regional_id for each in _page(_read(row, request.first), request.page_size))
    return _subjects(dict.fromkeys(found))


def find_patients(query: DemographicsQuery, permit: Permit) -> DemographicsResult:
    """The people of whom all is true that is asked, as far as the permit reveals them, best match first.

    Raises ExchangeError as ``search``, which it runs where that was not done, and UNKNOWN_KEY at ``pointer`` where it
    is expired, cancelled or another node's.
    """
    if query.pointer:
        kept = _kept(query.pointer)
        if kept is None or kept.node_name != permit.caller.node.name:
            detail = "The continuation pointer is not known here or has expired; ask the query anew."
            raise ExchangeError(Reason.UNKNOWN_KEY, detail, "pointer")
        return _tell(kept, query.page_size, permit)
    found_people = (query if query.found else search(query)).found
    demands = found_people.demands
    charts, more = _visible(found_people, permit)
    found = sorted(
        (each for each in (_found(regional_id, own, query, demands) for regional_id, own in charts.items()) if each),
        key=lambda each: (-each.score, each.regional_id),
    )
    found = [each for each in found if each.score >= (query.minimum_score or 0)]
    records = _with_visits(found[:MOST_TOLD], query)
    is_capped = len(found) > MOST_TOLD or len(records) > MOST_TOLD
    answer = _Answer(
        found=records[:MOST_TOLD],
        domains=demands.domains,
        identified_only=query.identified_only,
        page_size=query.page_size,
        cap=MOST_TOLD if is_capped else len(found) or MOST_TOLD if more else 0,
        node_name=permit.caller.node.name,
    )
    if query.page_size and len(answer.found) > query.page_size:
        answer = _keep(answer, query)
    return _tell(answer, query.page_size, permit, charts)


def continue_search(request: ContinuationRequest, permit: Permit) -> DemographicsResult:
    """A further page of a query that this node asked (QUQI_IN000003UV01). Raises UNKNOWN_KEY at ``query``."""
    rows = KeptAnswer.objects.filter(
        query_id=request.query_id, node_name=permit.caller.node.name, expires_at__gt=timezone.now()
    )
    row = rows.order_by("-id").first()
    if row is None:
        detail = "The query is not known here, has no further page or has expired; ask it anew."
        raise ExchangeError(Reason.UNKNOWN_KEY, detail, "query")
    if request.page_size and request.page_size != row.page_size:  # from now on (3.47.4.3.3)
        row.page_size = request.page_size
        row.save(update_fields=["page_size"])
    return _tell(_read(row, request.first), request.page_size, permit)


def cancel_search(request: CancelRequest, permit: Permit) -> None:
    """Forget what is kept of a query of this node. One that is not known any more is nothing to do."""
    KeptAnswer.objects.filter(query_id=request.query_id, node_name=permit.caller.node.name).delete()


def _subjects(regional_ids: Iterable[str]) -> tuple[Subject, ...]:
    domain = network.affinity_domain()
    return tuple(Subject(Identifier(each, domain), each) for each in regional_ids)


# --- who is found


@dataclass(frozen=True, slots=True)
class _Found:
    """One person found: by which chart, how well (0 to 100), and the stays that were asked for."""

    regional_id: str
    chart: int
    score: int
    encounters: tuple[int, ...] = ()


def _visible(found: FoundPeople, permit: Permit) -> tuple[dict[str, list[FoundChart]], bool]:
    """The charts that this caller may see of each person considered, and whether there were more persons than that.

    Where there were, the caller's own patients are looked for once more among its own charts: they are never hidden
    from it, and should not be lost behind strangers.
    """
    charts, more = found.charts, len(found.charts) > CONSIDERED
    if more:
        charts = charts | people.search(found.demands, permit.caller.node.facility_code).charts
    return _seen_by(permit, charts), more


def _seen_by(permit: Permit, charts: dict[str, list[FoundChart]]) -> dict[str, list[FoundChart]]:
    own = permit.caller.node.facility_code
    seen = {}
    for regional_id, all_of in charts.items():
        decision = permit.of(regional_id)
        visible = [each for each in all_of if each.facility_code == own or decision.reveals(each.facility_code)]
        if visible:
            seen[regional_id] = sorted(visible, key=lambda each: each.facility_code != own)
    return seen


def _found(regional_id: str, charts: Sequence[FoundChart], query: DemographicsQuery, demands: Demands) -> _Found | None:
    """The person, if a visible chart meets the demands and visible identifiers are the ones asked for."""
    numbers = {(each.identifier.oid, each.identifier.value) for each in charts}
    if not is_provisional(regional_id):
        numbers.add((settings.AFFINITY_DOMAIN_OID, regional_id))
    if any(numbers.isdisjoint(group) for group in demands.identifiers):
        return None
    if query.identified_only and demands.domains and not _told(regional_id, charts, demands.domains):
        return None
    scores = {each.id: _score(each.name, query) for each in charts if each.meets}
    if not scores:
        return None
    best = max(scores, key=lambda chart_id: scores[chart_id])
    return _Found(regional_id, best, scores[best])


def _score(name: PersonName, query: DemographicsQuery) -> int:
    """How well a chart that meets the query fits it: by its names, for everything else is met or not."""
    return min((max(_fit(name, each) for each in group) for group in query.names if group), default=_EXACT)


def _fit(name: PersonName, criterion: NameCriterion) -> int:
    family, given = spelled(criterion.family.text), spelled(criterion.given.text)
    best = _NEAR
    for parts in (name.ideographic, name.phonetic, name.alphabetic):
        known, known_given = spelled(parts.family), spelled(parts.given)
        whole = known + known_given
        if not whole:
            continue
        if (family in (known, whole) and given in ("", known_given)) or family + given == whole:
            return _EXACT
        if (family and whole.startswith(family)) or (given and known_given.startswith(given)):
            best = _BEGINS
    return best


def _with_visits(found: Sequence[_Found], query: DemographicsQuery) -> tuple[_Found, ...]:
    """A record for each stay that ITI-22 asks for, newest first, a person's together; people without one are not found
    at all. ITI-21 by account number has one record of each person, with all its stays."""
    if not found or (query.visit is None and not query.accounts):
        return tuple(found)
    test, parameters = visit_test(query.visit) if query.visit else ("k.state <> 'cancelled'", [])
    marks = ", ".join(["%s"] * len(found))
    sql = f"SELECT k.record_id, k.id FROM pix_encounter k WHERE k.record_id IN ({marks}) AND {test} ORDER BY k.id DESC"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(sql, [*(each.chart for each in found), *parameters])
        rows = cursor.fetchall()
    stays: dict[int, list[int]] = {}
    for record, encounter in rows:
        stays.setdefault(record, []).append(encounter)
    if query.visit is None:
        return tuple(replace(each, encounters=tuple(stays.get(each.chart, ()))) for each in found)
    return tuple(replace(each, encounters=(stay,)) for each in found for stay in stays.get(each.chart, ()))


# --- pages


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer and where in it a page begins. token: "" where it is not kept."""

    found: tuple[_Found, ...]
    domains: tuple[str, ...]
    identified_only: bool
    page_size: int
    cap: int
    node_name: str
    token: str = ""
    position: int = 0
    query_raw: bytes = field(default=b"", repr=False)


def _keep(answer: _Answer, query: DemographicsQuery) -> _Answer:
    """Keep an answer for further pages; what has expired is forgotten on this occasion."""
    now = timezone.now()
    KeptAnswer.objects.filter(expires_at__lt=now).delete()
    token = secrets.token_hex(20)
    KeptAnswer.objects.create(
        token=token,
        node_name=answer.node_name,
        query_id=query.query_tag[:255],
        query_raw=query.raw,
        found=[[each.regional_id, each.chart, each.score, list(each.encounters)] for each in answer.found],
        domains=list(answer.domains),
        identified_only=answer.identified_only,
        page_size=answer.page_size,
        position=0,
        cap=answer.cap,
        expires_at=now + KEPT_FOR,
    )
    return replace(answer, token=token)


def _kept(pointer: str) -> _Answer | None:
    """The kept answer and position that a pointer names; the random half of it is what nobody can guess."""
    token, _, position = pointer.rpartition("P")
    if not (position.isascii() and position.isdigit() and len(position) < 6):
        return None
    row = KeptAnswer.objects.filter(token=token, expires_at__gt=timezone.now()).first()
    return _read(row, int(position) + 1) if row else None


def _read(row: KeptAnswer, first: int = 0) -> _Answer:
    """first: number of the first match wanted, from 1; 0 for the one after the last page told."""
    return _Answer(
        found=tuple(_Found(regional, chart, score, tuple(stays)) for regional, chart, score, stays in row.found),
        domains=tuple(row.domains),
        identified_only=row.identified_only,
        page_size=row.page_size,
        cap=row.cap,
        node_name=row.node_name,
        token=row.token,
        position=first - 1 if first else row.position,
        query_raw=bytes(row.query_raw),
    )


def _page(answer: _Answer, page_size: int) -> tuple[_Found, ...]:
    size = page_size or answer.page_size or len(answer.found)
    return answer.found[answer.position : answer.position + size]


def _tell(
    answer: _Answer, page_size: int, permit: Permit, charts: dict[str, list[FoundChart]] | None = None
) -> DemographicsResult:
    """One page as it may be told now. charts: what the first page has read already."""
    page = _page(answer, page_size)
    if charts is None:
        page = _still_there(page, answer)
        charts = _seen_by(permit, people.charts_of([each.regional_id for each in page]))
    end = min(answer.position + (page_size or answer.page_size or len(answer.found)), len(answer.found))
    if answer.token:
        KeptAnswer.objects.filter(token=answer.token).update(position=end)
    remaining = len(answer.found) - end
    stays = _stays(page)
    matches = (_match(each, charts[each.regional_id], answer, stays) for each in page if each.regional_id in charts)
    return DemographicsResult(
        matches=tuple(each for each in matches if each.identifiers or not answer.identified_only),
        pointer=f"{answer.token}P{end}" if remaining and answer.token else "",
        total=len(answer.found),
        remaining=remaining,
        cap=answer.cap,
        query_raw=answer.query_raw,
    )


def _still_there(page: Sequence[_Found], answer: _Answer) -> tuple[_Found, ...]:
    """The page with people who were joined with others since then under their surviving id, each record once."""
    known = {(each.regional_id, each.encounters) for each in answer.found}
    current = []
    for each in page:
        surviving = next(iter(_current([each.regional_id])), "")
        if surviving == each.regional_id:
            current.append(each)
        elif surviving and (surviving, each.encounters) not in known:
            current.append(replace(each, regional_id=surviving))
            known.add((surviving, each.encounters))
    return tuple(current)


def _current(regional_ids: Iterable[str]) -> tuple[str, ...]:
    """The regional ids under which these people are known now."""
    asked = list(regional_ids)
    active = set(
        Person.objects.filter(regional__value__in=asked, status="active").values_list("regional_id", flat=True)
    )
    found = (each if each in active else surviving_of(each) for each in asked)
    return tuple(dict.fromkeys(each for each in found if each))


def _stays(page: Sequence[_Found]) -> dict[int, Encounter]:
    wanted = [stay for each in page for stay in each.encounters]
    return Encounter.objects.in_bulk(wanted) if wanted else {}


def _match(
    found: _Found, charts: Sequence[FoundChart], answer: _Answer, stays: dict[int, Encounter]
) -> DemographicsMatch:
    chart = next((each for each in charts if each.id == found.chart), charts[0])
    facility = network.facility(chart.facility_code)
    told = _told(found.regional_id, charts, answer.domains)
    have = {each.oid for each in told}
    rows = [stays[each] for each in found.encounters if each in stays]
    account = next((row for row in rows if row.account), None)
    return DemographicsMatch(
        identifiers=told,
        demographics=chart.demographics,
        score=found.score,
        facility_code=chart.facility_code,
        facility_name=facility.name if facility else "",
        missing=tuple(_authority(oid) for oid in answer.domains if oid not in have),
        account=Identifier(account.account, _authority(account.account_authority)) if account else None,
        visits=tuple(read_visit(row.visit) for row in rows),
        regional_id=found.regional_id,
    )


def _told(regional_id: str, charts: Sequence[FoundChart], domains: Sequence[str]) -> tuple[Identifier, ...]:
    """The identifiers in the domains asked for, or all: the regional id first, then chart numbers by domain."""
    domain = network.affinity_domain()
    numbers = sorted(
        (each.identifier for each in charts if each.identifier.oid != domain.oid), key=lambda each: each.oid
    )
    known = (*(() if is_provisional(regional_id) else (Identifier(regional_id, domain),)), *numbers)
    return tuple(each for each in known if not domains or each.oid in domains)


def _authority(oid: str) -> AssigningAuthority:
    if oid == settings.AFFINITY_DOMAIN_OID:
        return network.affinity_domain()
    return network.authority(oid) or AssigningAuthority(oid)
