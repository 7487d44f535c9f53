"""Two charts side by side: the level at which they agree."""

from __future__ import annotations

from typing import Any

import pytest

from apps.pix.matching import FIELDS, Chart, compare
from hie.values.people import Address, Insurance
from tests.apps.pix.matching.people import ELSEWHERE, HOME, chart


def levels(one: Chart, other: Chart) -> dict[str, str]:
    """Field -> name of the level, where both say something."""
    found = compare(one, other)
    assert found == compare(other, one), "the order of the charts does not matter"
    return {field: names[level] for (field, names), level in zip(FIELDS.items(), found, strict=True) if level >= 0}


@pytest.mark.parametrize(
    ("told", "field", "level"),
    [
        ({}, "given name", "same"),
        ({"kanji": ""}, "given name", "same, one script"),
        ({"kana": "ヤマダ ケンイケ"}, "given name", "same, a slip in the other script"),
        ({"kanji": "山田 賢一"}, "given name", "same reading, other characters"),
        ({"kana": "ヤマダ タケル"}, "given name", "same characters, other reading"),
        ({"kanji": "", "kana": "ヤマダ ゲンイチ"}, "given name", "sounds alike"),
        ({"kanji": "", "kana": "ヤマダ ケンニチ"}, "given name", "one slip"),
        ({"kanji": "健一 山田", "kana": "ケンイチ ヤマダ"}, "given name", "swapped"),
        ({"kanji": "山田 健二", "kana": "ヤマダ ケンジ"}, "given name", "differs"),
        ({"kanji": "山田健一", "kana": "ヤマダケンイチ"}, "given name", "same"),
        ({"kanji": "鈴木 健一", "kana": "スズキ ケンイチ"}, "family name", "differs"),
        ({"birth": "19820503"}, "birth date", "equal"),
        ({"birth": "19820305"}, "birth date", "day and month swapped"),
        ({"birth": "19820504"}, "birth date", "one digit"),
        ({"birth": "19190503"}, "birth date", "other era"),
        ({"birth": "19820628"}, "birth date", "year equal"),
        ({"birth": "198205"}, "birth date", "as far as known"),
        ({"birth": "19991231"}, "birth date", "differs"),
        ({"sex": "F"}, "sex", "differs"),
        ({"addresses": (ELSEWHERE,)}, "place", "differs"),
        ({"addresses": (ELSEWHERE, HOME)}, "place", "postal code"),
        ({"addresses": (Address("8600001", "熊本県", "熊本市中央区", "上町9-9-9"),)}, "street", "same, other numbers"),
        ({"addresses": (Address("8600001", text="熊本市中央区上町一丁目2番3号401"),)}, "street", "same"),
        ({"telephones": ("09012345679",)}, "telephone", "one digit"),
        ({"telephones": ("0963245678",)}, "telephone", "last four digits"),
        ({"insurances": (Insurance("06400123", "123", "45678", "04"),)}, "insurance", "same household, other branch"),
        ({"insurances": (Insurance("06400123", "123", "45678", ""),)}, "insurance", "same household, branch unknown"),
        ({"insurances": (Insurance("06400123", "123", "45679", "03"),)}, "insurance", "one digit"),
        ({"insurances": (Insurance("06430021", "9", "1", "03"),)}, "insurance", "differs"),
    ],
)
def test_the_level_of_a_field(told: dict[str, Any], field: str, level: str) -> None:
    assert levels(chart(1), chart(2, **told))[field] == level


def test_nothing_said_is_no_evidence() -> None:
    silent = chart(2, kanji="", kana="", birth="", sex="", addresses=(), telephones=(), insurances=())
    assert levels(chart(1), silent) == {"source": "other facility"}


def test_a_foreign_name_parted_elsewhere_is_the_same_words() -> None:
    one = chart(1, kanji="", kana="", latin="NGUYEN VAN AN")
    other = chart(2, kanji="ＶＡＮ ＡＮ ＮＧＵＹＥＮ", kana="")
    assert levels(one, other)["given name"] == "swapped"


def test_twins_with_half_a_name_in_common_have_two_names() -> None:
    assert (
        levels(chart(1, kanji="山田 優斗", kana="ヤマダ ユウト"), chart(2, kanji="山田 優太", kana="ヤマダ ユウタ"))[
            "given name"
        ]
        == "differs"
    )
