"""The patient index at the size of a prefecture: loaded in one go, then fed and asked.

``python -m bench index --persons 100000``. The population is the generator's (``accuracy``), with as many postal codes
as a prefecture has, written as the lists that facilities hand over. Its charts are loaded with ``services.loading``.
Then, in-process, through the services that the transactions use: feeds of new persons, of known ones without and with a
change, a mixture; ITI-9 and ITI-21 by chart number, ITI-21 by name. Each figure stands beside the floor of the same
moment: one indexed SELECT and one committed INSERT on the same database (``bench/floor.py``).

``--beside 900000`` puts that many persons more into the index first, of one chart each, without comparing them with
each other: what the size does to feeds and questions is seen without the hours that loading takes.
"""

from __future__ import annotations

import csv
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import count
from multiprocessing import get_context
from pathlib import Path

from django.db import connection, connections, transaction
from django.utils import timezone

from accuracy.population import ORDINARY, describe
from apps.network import services as network
from apps.pix import queries, services
from apps.pix.matching import Scorer
from apps.pix.services import intake, loading, new_charts, training, versions
from apps.pix.services.intake import DecidedAhead
from apps.pix.services.linking import Cause
from apps.pix.services.new_charts import NewChart
from bench.region import Region
from hie.values.access import Access, Caller, Decision, Node, Permit
from hie.values.demographics_queries import DemographicsQuery, NameCriterion, TextCriterion
from hie.values.identifiers import AssigningAuthority, Identifier
from hie.values.patients import CrossReferenceQuery, FeedEvent, PatientFeed
from hie.values.people import Address, Demographics, Insurance
from hie.wire.patient_list import COLUMNS, read_line

CODES = tuple(f"13{number}0000000" for number in range(1, 9))
SHARD = 10_000  # humans that one process describes at a time
SECONDS = 4.0
SEED = 20260401


def run(region: Region, persons: int, callers: int = 2, beside: int = 0) -> None:
    """Load, feed, ask; print a line for each. beside: persons of one chart each who are there besides."""
    from bench import floor

    floor.make_table()
    network.set_own_rows()
    for code in CODES:
        network.add_facility(code=code, name=code)
    training.adopt(training.sized(persons * 2 + beside, by="bench").name, by="bench")
    if beside:
        _put_beside(beside)
    begin = time.perf_counter()
    lists = write_lists(region.directory, persons)
    print(
        f"index: {persons:,} persons described in {time.perf_counter() - begin:.0f} s, {connection.vendor}", flush=True
    )
    _load(lists)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
    known = list(_known(lists))
    for name, action in _actions(known, persons).items():
        _show(name, _rate(_floor, 1), _rate(action, 1))
        if callers > 1:
            _show(f"{name}, {callers} processes", _rate(_floor, callers), _rate(action, callers))


# --- the population as lists


def write_lists(directory: Path, persons: int) -> dict[str, Path]:
    """One list for each facility, code -> file."""
    lists = {code: directory / f"{code}.csv" for code in CODES}
    for path in lists.values():
        path.write_text(",".join(COLUMNS) + "\n", encoding="utf-8")
    shards = [(number, min(SHARD, persons - first)) for number, first in enumerate(range(0, persons, SHARD))]
    connections.close_all()
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("fork")) as pool:
        for written in pool.map(_describe, shards):
            for code, text in written.items():
                with lists[code].open("a", encoding="utf-8") as file:
                    file.write(text)
    return lists


def _describe(shard: tuple[int, int]) -> dict[str, str]:
    """The charts of so many humans as lines of the lists of their facilities."""
    number, humans = shard
    lines: dict[str, list[str]] = {code: [] for code in CODES}
    rates = replace(ORDINARY, towns=500)
    chance = random.Random(number)
    for place, (_, facility, told) in enumerate(describe(humans, SEED + number, rates)):
        lines[CODES[facility]].append(_line(f"{number:04}{place:06}", told))
    for each in lines.values():
        chance.shuffle(each)
    return {code: "".join(each) for code, each in lines.items()}


def _line(chart: str, told: Demographics) -> str:
    name = told.name
    address = told.addresses[0] if told.addresses else Address()
    insurance = told.insurances[0] if told.insurances else Insurance()
    fields = (
        chart,
        *(part for each in (name.ideographic, name.phonetic, name.alphabetic) for part in (each.family, each.given)),
        told.birth_date,
        told.sex,
        *(
            (address.postal_code, address.prefecture, address.city, address.street, address.text)
            if address
            else [""] * 5
        ),
        *(*told.telephones, "", "")[:2],
        *((insurance.insurer_number, insurance.symbol, insurance.number, insurance.branch) if insurance else [""] * 4),
        "",
    )
    return ",".join(fields) + "\n"


def _load(lists: dict[str, Path]) -> None:
    begin, total = time.perf_counter(), 0
    for code, path in lists.items():
        done = loading.load(path, code, processes=loading.default_processes())
        total += done.done
        spent = time.perf_counter() - begin
        print(
            f"  loaded {total:,} charts, {spent:.0f} s, {total / spent:,.0f}/s (this list {done.rate:,.0f}/s)",
            flush=True,
        )
    found = queries.overview()
    print(f"  {found['persons']:,} persons of {found['identifiers']:,} charts in {time.perf_counter() - begin:.0f} s")


# --- persons beside


def _put_beside(persons: int) -> None:
    begin = time.perf_counter()
    shards = [(number, min(SHARD, persons - first)) for number, first in enumerate(range(0, persons, SHARD))]
    connections.close_all()
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("fork")) as pool:
        for done, _ in enumerate(pool.map(_put_in, shards), 1):
            print(f"  beside: {min(done * SHARD, persons):,}, {time.perf_counter() - begin:.0f} s", flush=True)


def _put_in(shard: tuple[int, int]) -> None:
    """The first chart of each of so many humans, saved without being compared with the index."""
    number, humans = shard
    scorer, cause = versions.in_force(), Cause(CODES[0], "", timezone.now())
    first = {human: told for human, _, told in describe(humans, SEED + 10**7 + number, replace(ORDINARY, towns=500))}
    charts = [
        new_charts.prepare(_own(CODES[0], f"B{number:04}{place:06}"), told, cause, scorer.version.kinds)
        for place, told in enumerate(first.values())
    ]
    for start in range(0, len(charts), 1000):
        with transaction.atomic():
            intake.take(charts[start : start + 1000], scorer, alone=True, ahead=_Uncompared())


class _Uncompared:
    """Decides nothing of charts and those in the index (``intake.Ahead``)."""

    def decide(self, charts: Sequence[NewChart], _scorer: Scorer) -> Iterator[DecidedAhead]:
        yield DecidedAhead(list(charts), frozenset())


# --- what is measured

_Action = Callable[[int], object]


@dataclass(frozen=True, slots=True)
class _Known:
    code: str
    identifier: Identifier
    told: Demographics


def _known(lists: dict[str, Path], most: int = 2500) -> Iterator[_Known]:
    """Charts that are in the index, from all parts of the lists."""
    for code, path in lists.items():
        size = path.stat().st_size
        with path.open("rb") as file:
            for number in range(most // len(lists)):
                file.seek(number * size // (most // len(lists)))
                file.readline()
                text = file.readline().decode()
                if text.strip() and not text.startswith("chart_number"):
                    feed = read_line(next(csv.reader([text])), tuple(COLUMNS), str)
                    yield _Known(code, _own(code, feed.identifiers[0].value), feed.demographics)


def _own(code: str, value: str) -> Identifier:
    return Identifier(value, AssigningAuthority(f"1.2.392.100495.20.3.51.1{code}"))


def _actions(known: list[_Known], persons: int) -> dict[str, _Action]:
    """Name -> what is done with a number that comes once. The lists are shuffled, so neighbours are strangers.

    One half of the charts are fed as they are known, the other half are changed: a chart that was changed has something
    new in what was known of it.
    """
    random.Random(1).shuffle(known)
    unchanged, others = known[::2], known[1::2]
    fresh = [each for _, _, each in describe(6000, SEED + 10**6 + persons, replace(ORDINARY, towns=500))]
    random.Random(2).shuffle(fresh)

    def new(number: int) -> None:
        code = CODES[number % len(CODES)]
        _feed(code, _own(code, f"N{os.getpid()}{number:07}"), fresh[(number * 7 + os.getpid()) % len(fresh)], number)

    def same(number: int) -> None:
        each = unchanged[number % len(unchanged)]
        _feed(each.code, each.identifier, each.told, number)

    def changed(number: int) -> None:
        each = others[number % len(others)]
        digits = f"{time.monotonic_ns() // 1000 % 10**8:08}"
        telephone = f"090-{digits[:4]}-{digits[4:]}"
        _feed(each.code, each.identifier, replace(each.told, telephones=(telephone,)), number)

    def mixed(number: int) -> None:
        (new, same, changed, same, new, same, same, changed, new, same)[number % 10](number)

    def pix(number: int) -> None:
        each = known[number % len(known)]
        regional_id = queries.regional_id_of(each.identifier) or ""
        queries.cross_references(CrossReferenceQuery("1", each.identifier), _permit(each.code, (regional_id,)))

    def by_identifier(number: int) -> None:
        each = known[number % len(known)]
        _search(each.code, DemographicsQuery("1", identifiers=((each.identifier,),), page_size=10))

    def by_name(number: int) -> None:
        each = known[number % len(known)]
        name = each.told.name.ideographic or each.told.name.phonetic or each.told.name.alphabetic
        criterion = NameCriterion(TextCriterion(name.family), TextCriterion(name.given))
        _search(each.code, DemographicsQuery("1", names=((criterion,),), page_size=10))

    return {
        "feed, new chart": new,
        "feed, nothing new": same,
        "feed, changed": changed,
        "feed, mixed 3:5:2": mixed,
        "PIX query": pix,
        "PDQ by identifier": by_identifier,
        "PDQ by name": by_name,
    }


def _feed(code: str, identifier: Identifier, told: Demographics, number: int) -> None:
    message_id = f"{os.getpid()}-{time.monotonic_ns()}-{number}"
    services.feed(PatientFeed(FeedEvent.REGISTER, "ADT^A28", message_id, (identifier,), told), code)


def _search(code: str, query: DemographicsQuery) -> None:
    subjects = services.subjects_of_search(query)
    found = services.find_patients(query, _permit(code, tuple(each.regional_id for each in subjects)))
    if not found.matches:
        raise AssertionError("nobody was found")


def _permit(code: str, regional_ids: tuple[str, ...]) -> Permit:
    caller = Caller(Node("bench", code))
    return Permit(caller, Access.IDENTIFY, regional_ids, {each: Decision(default=True) for each in regional_ids})


def _floor(_number: int) -> None:
    from bench import floor

    floor.work()


def _rate(action: _Action, callers: int) -> float:
    """How often a second, by so many processes of their own; one is this one."""
    if callers == 1:
        for number in range(30):
            action(10**6 + number)
        return _measure((action, 0))
    connections.close_all()
    global _ACTION
    _ACTION = action
    with ProcessPoolExecutor(callers, mp_context=get_context("fork")) as pool:
        return sum(pool.map(_measure_here, range(callers)))


_ACTION: _Action = _floor


def _measure_here(caller: int) -> float:
    return _measure((_ACTION, caller))


def _measure(job: tuple[_Action, int]) -> float:
    action, caller = job
    begin = time.perf_counter()
    for number in count(caller * 10**5):
        action(number)
        spent = time.perf_counter() - begin
        if spent > SECONDS:
            return (number - caller * 10**5 + 1) / spent
    raise AssertionError("unreachable")


def _show(name: str, floor: float, rate: float) -> None:
    print(f"  {name:34} {rate:8,.0f}/s   floor {floor:8,.0f}/s   ratio {rate / floor:5.2f}", flush=True)
