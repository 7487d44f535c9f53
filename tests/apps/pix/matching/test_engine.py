"""One chart after another: the order does not matter, statements outweigh, blocks stay bounded."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from itertools import combinations

import pytest

from accuracy import feeding
from accuracy.population import HARD, generate
from apps.pix.matching import (
    SHIPPED,
    Chart,
    Kind,
    MemoryStore,
    Outcome,
    RuleVersion,
    Scorer,
    candidates,
    decide,
    keys,
    kinds_for,
    plainly_two,
)
from apps.pix.matching.candidates import LARGEST_BLOCK
from apps.pix.matching.charts import Name
from tests.apps.pix.matching.people import ELSEWHERE, chart

SMALL_VERSION = replace(SHIPPED, population=1000)


def fed(charts: list[Chart]) -> MemoryStore:
    store = MemoryStore(Scorer(SMALL_VERSION))
    for each in charts:
        store.feed(each)
    return store


def persons(store: MemoryStore) -> set[tuple[int, ...]]:
    return set(store.members.values())


def test_charts_of_one_human_come_together_and_others_stay_apart() -> None:
    store = fed([chart(1), chart(2, insurances=()), chart(3, kanji="山田 健二", kana="ヤマダ ケンジ", insurances=())])
    assert persons(store) == {(1, 2), (3,)}


@pytest.mark.parametrize("seed", range(4))
def test_the_order_of_arrival_does_not_change_the_persons(seed: int) -> None:
    charts = list(generate(150, 7, HARD).charts)
    expected = persons(fed(charts))
    assert len(expected) < len(charts)
    random.Random(seed).shuffle(charts)
    assert persons(fed(charts)) == expected


def test_feeding_a_chart_again_changes_nothing() -> None:
    charts = list(generate(60, 11).charts)
    store = fed(charts)
    before = persons(store)
    for each in charts:
        store.feed(each)
    assert persons(store) == before
    assert len(store.all_decisions()) == len(fed(charts).all_decisions())


def test_a_correction_undoes_a_link_and_its_return_restores_it() -> None:
    store = fed([chart(1), chart(2)])
    assert persons(store) == {(1, 2)}
    store.feed(chart(2, kanji="佐藤 花子", kana="サトウ ハナコ", birth="19500101", sex="F", insurances=()))
    assert persons(store) == {(1,), (2,)}
    store.feed(chart(2))
    assert persons(store) == {(1, 2)}


def test_a_clerks_apart_outweighs_every_rule_whatever_comes_later() -> None:
    store = fed([chart(1), chart(2)])
    store.state(1, 2, one_human=False)
    assert persons(store) == {(1,), (2,)}
    store.feed(chart(1))
    store.feed(chart(2))
    assert persons(store) == {(1,), (2,)}
    store.feed(chart(3))
    assert (1, 2) not in {tuple(sorted({1, 2} & set(each))) for each in persons(store)}


def test_a_clerks_link_outweighs_contradiction_and_can_be_taken_back() -> None:
    store = fed([chart(1), chart(2, kanji="佐藤 花子", kana="サトウ ハナコ", birth="19500101", sex="F", insurances=())])
    store.state(1, 2, one_human=True)
    assert persons(store) == {(1, 2)}
    store.state(1, 2, one_human=False)
    assert persons(store) == {(1,), (2,)}


def test_a_chart_between_twins_is_joined_to_neither() -> None:
    twin = chart(2, kanji="山田 健二", kana="ヤマダ ケンジ", insurances=())
    between = chart(3, kanji="山田", kana="ヤマダ", insurances=())
    assert persons(fed([chart(1, insurances=()), twin, between])) == {(1,), (2,), (3,)}


def test_keys_are_fixed_numbers_that_do_not_depend_on_the_run() -> None:
    first = keys(chart(1), frozenset({Kind.BIRTH}))
    assert list(first.values()) == [Kind.BIRTH]
    assert all(-(2**63) <= key < 2**63 for key in first)
    assert keys(chart(1), kinds_for(10**6)).keys() == keys(chart(9), kinds_for(10**6)).keys()


def test_a_block_that_is_too_large_is_left_out_whole_and_named() -> None:
    wanted: list[int] = []

    def crowded(asked: list[int], limit: int) -> dict[int, list[int]]:
        wanted.extend(asked)
        return {asked[0]: list(range(limit + 1)), asked[1]: [5, 6]}

    search = candidates(chart(1), kinds_for(10**6), crowded)  # type: ignore[arg-type]
    assert search.charts == {5, 6}
    assert len(search.oversized) == 1
    assert len(wanted) <= 20
    assert LARGEST_BLOCK == 256


@pytest.mark.parametrize("population", [0, 30_000, 30_001, 300_000, 300_001, 10_000_000])
def test_every_population_has_keys_by_birth_name_telephone_and_insurance(population: int) -> None:
    texts = " ".join(kind.value for kind in kinds_for(population))
    assert all(word in texts for word in ("birth", "name", "telephone", "insurance"))


def test_a_learned_version_survives_json() -> None:
    version = feeding.train(generate(200, 3).charts)
    again = RuleVersion.from_json(json.loads(json.dumps(version.as_json())))
    assert again == version
    assert version.trained_on > 0
    assert all(abs(sum(row) - 1) < 1e-9 for table in (version.same, version.strangers) for row in table)


def test_learning_is_reproducible() -> None:
    charts = generate(200, 3).charts
    assert feeding.train(charts) == feeding.train(charts)


def test_someone_who_moved_is_one_person() -> None:
    assert persons(fed([chart(1), chart(2, addresses=(ELSEWHERE,), insurances=())])) == {(1, 2)}


def test_a_chart_of_which_nothing_is_known_keeps_nobody_away() -> None:
    store = fed([chart(1), Chart(2, facility="a"), chart(3)])
    store.state(1, 2, one_human=True)
    assert persons(store) == {(1, 2, 3)}
    store = fed([chart(1), Chart(2, facility="a"), chart(4, kanji="佐藤 花子", kana="サトウ ハナコ", sex="F")])
    store.state(1, 2, one_human=True)
    assert persons(store) == {(1, 2), (4,)}


def test_who_is_told_apart_at_a_first_look_is_separate() -> None:
    """What a first look says of a pair, the whole decision says too; who shares an insurance number is looked at more
    closely."""
    charts = generate(400, 11, HARD).charts
    scorer = Scorer(SHIPPED)
    told_apart = {True: 0, False: 0}
    for one, other in combinations(charts[:300], 2):
        numbers = [{(each.insurer, each.number) for each in chart.coverages} for chart in (one, other)]
        insured = not numbers[0].isdisjoint(numbers[1])
        if plainly_two(scorer, one, other, insured=insured):
            told_apart[insured] += 1
            assert decide(scorer, one, other).outcome is Outcome.SEPARATE
    assert told_apart[False] > 1000
    assert told_apart[True] > 20


def test_twins_who_share_an_insurance_number_are_not_told_apart_at_a_first_look() -> None:
    one, other = (
        Chart(number, names_kanji=Name("山田", given), birth_date="20200101", born="20200101")
        for number, given in ((1, "太郎"), (2, "花子"))
    )
    scorer = Scorer(SHIPPED)
    assert plainly_two(scorer, one, other, insured=False)
    assert not plainly_two(scorer, one, other, insured=True)
