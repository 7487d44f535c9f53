"""Link, review or separate, with the weights that are shipped."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from apps.pix.matching import SHIPPED, Outcome, Scorer, decide, explain
from hie.values.people import Insurance
from tests.apps.pix.matching.people import ELSEWHERE, chart

SCORER = Scorer(SHIPPED)
BRANCH_4 = (Insurance("06400123", "123", "45678", "04"),)
OTHERS = {
    "addresses": (ELSEWHERE,),
    "telephones": ("08099998888",),
    "insurances": (Insurance("06430021", "9", "1", "01"),),
}


@pytest.mark.parametrize(
    ("told", "outcome", "rule"),
    [
        ({}, Outcome.LINK, "insurance"),
        ({"insurances": ()}, Outcome.LINK, "score"),
        ({"kana": "ヤマタ ケンイチ", "insurances": ()}, Outcome.LINK, "score"),
        ({"addresses": (ELSEWHERE,), "insurances": ()}, Outcome.LINK, "score"),
        ({"birth": "19820504", "insurances": ()}, Outcome.LINK, "score"),
        ({"kanji": "鈴木 健一", "kana": "スズキ ケンイチ", "insurances": ()}, Outcome.LINK, "score"),
        (OTHERS, Outcome.REVIEW, "namesake"),
        ({"kanji": "山田 健二", "kana": "ヤマダ ケンジ", "insurances": BRANCH_4}, Outcome.SEPARATE, "twins"),
        ({"kanji": "山田 健二", "kana": "ヤマダ ケンジ", "insurances": ()}, Outcome.SEPARATE, "twins"),
        ({"kanji": "山田 健二", "kana": "ヤマダ ケンジ"}, Outcome.REVIEW, "twins"),
        ({"kanji": "山田 花子", "kana": "ヤマダ ハナコ", "sex": "F", "birth": "19840101"}, Outcome.SEPARATE, "twins"),
        ({"kanji": "", "kana": "ヤマダ ケンイキ", "insurances": ()}, Outcome.REVIEW, "twins"),
        ({"birth": "19450101", **OTHERS}, Outcome.SEPARATE, "score"),
    ],
)
def test_what_becomes_of_a_pair(told: dict[str, Any], outcome: Outcome, rule: str) -> None:
    verdict = decide(SCORER, chart(1), chart(2, **told))
    assert (verdict.outcome, verdict.rule) == (outcome, rule)
    assert decide(SCORER, chart(2, **told), chart(1)) == verdict


@pytest.mark.parametrize(
    "near_miss",
    [
        {"telephones": ("090-1234-5679",)},
        {"telephones": (), "insurances": (Insurance("06400123", "123", "45677", "03"),)},
        {"telephones": (), "insurances": (Insurance("06400123", "123", "45765", "03"),)},
    ],
)
def test_a_number_that_nearly_agrees_does_not_link_namesakes(near_miss: dict[str, Any]) -> None:
    verdict = decide(SCORER, chart(1), chart(2, **OTHERS | near_miss))
    assert (verdict.outcome, verdict.rule) == (Outcome.REVIEW, "namesake")
    assert decide(SCORER, chart(1), chart(2, **near_miss)).outcome is Outcome.LINK  # the residence says the same


PASSPORT = {"kanji": "", "kana": "", "insurances": ()}


@pytest.mark.parametrize(
    ("telephones", "outcome"),
    [(("090-1234-5678",), Outcome.LINK), ((), Outcome.REVIEW), (("08099998888",), Outcome.REVIEW)],
)
def test_a_middle_name_left_out_is_a_siblings_name_unless_the_telephone_agrees(
    telephones: tuple[str, ...], outcome: Outcome
) -> None:
    one = chart(1, latin="NGUYEN MARIA LUISA", **PASSPORT)
    assert decide(SCORER, one, chart(2, latin="NGUYEN MARIA", telephones=telephones, **PASSPORT)).outcome is outcome


@pytest.mark.parametrize(
    ("kanji", "kana"),
    [
        ("山田 ベビー", "ヤマダ ベビー"),
        ("山田 花子の児", "ヤマダ ハナコノジ"),
        ("山田 第1児", "ヤマダ ダイイチジ"),
        ("山田花子の児", "ヤマダハナコノジ"),
    ],
)
def test_two_babies_of_one_house_wait_for_a_clerk_at_most(kanji: str, kana: str) -> None:
    baby = {"kanji": kanji, "kana": kana, "birth": "20260301"}
    assert decide(SCORER, chart(1, **baby), chart(2, **baby)).outcome is not Outcome.LINK
    named = {"kanji": "山田 翔", "kana": "ヤマダ ショウ", "birth": "20260301"}
    verdict = decide(SCORER, chart(1, **baby, insurances=()), chart(2, **named, insurances=()))
    assert verdict.outcome is Outcome.REVIEW  # the name that it got since does not contradict


def test_kana_in_the_place_of_kanji_is_kana() -> None:
    """Small systems send nothing else; whoever is called さくら is so in both."""
    written = chart(1, kanji="やまだ けんいち", kana="", insurances=())
    assert decide(SCORER, written, chart(2, insurances=())).outcome is Outcome.LINK
    other = chart(2, kanji="山田 健二", kana="ヤマダ ケンジ", insurances=())
    assert decide(SCORER, written, other).outcome is Outcome.SEPARATE
    sakura = {"kanji": "山田 さくら", "insurances": ()}
    assert decide(SCORER, chart(1, kana="", **sakura), chart(2, kana="ヤマダ サクラ", **sakura)).outcome is Outcome.LINK


def test_twins_may_not_even_meet_over_a_third_chart() -> None:
    assert decide(SCORER, chart(1), chart(2, kanji="山田 健二", kana="ヤマダ ケンジ", insurances=BRANCH_4)).apart


def test_the_evidence_names_fields_and_levels_and_shows_no_patient_data() -> None:
    one, other = chart(1), chart(2, addresses=(ELSEWHERE,), telephones=(), insurances=())
    verdict = decide(SCORER, one, other)
    explanation = explain(SCORER, one, other, verdict)
    weights = {each.field: each for each in explanation.weights}
    assert explanation.against == "strangers"
    assert weights["given name"].level == "same"
    assert weights["given name"].bits > 0 > weights["place"].bits
    assert "insurance" not in weights
    assert abs(explanation.prior + sum(each.bits for each in weights.values()) - verdict.score) < 1
    assert not any(text in repr(explanation) for text in ("山田", "ヤマダ", "1982", "8600001"))


def test_a_sibling_is_compared_with_a_household() -> None:
    one, other = chart(1), chart(2, kanji="山田 健二", kana="ヤマダ ケンジ", insurances=BRANCH_4)
    assert explain(SCORER, one, other, decide(SCORER, one, other)).against == "household"


def test_a_rule_that_is_switched_off_says_nothing() -> None:
    off = Scorer(replace(SHIPPED, hard_rules=frozenset()))
    assert decide(off, chart(1), chart(2)).rule == "score"
    assert decide(off, chart(1), chart(2, **OTHERS)).rule == "score"
