"""Who is who, on values alone."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import pytest

from apps.pix import matching
from apps.pix.matching import Chart, Link, birth_day, clusters, insurance_key, kana_key, kanji_key
from hie.values.people import Demographics, Insurance
from tests.apps.pix.told import somebody

INSURED = "33120015:123:4567890:01"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("髙橋", "高橋"),
        ("山﨑", "山崎"),
        ("齊藤", "斉藤"),
        ("齋藤", "斎藤"),
        ("𠮷田", "吉田"),
        ("渡邊", "渡邉"),
        ("渡邊", "渡辺"),
        ("德川", "徳川"),
        ("瀨川", "瀬川"),
        ("濵田", "浜田"),
        ("淸水", "清水"),
        ("澤田　櫻", "沢田 桜"),
        ("福\ufa1b", "福福"),
    ],
)
def test_kanji_variants_that_are_the_same_character_fold(one: str, other: str) -> None:
    assert kanji_key(one) == kanji_key(other) != ""


@pytest.mark.parametrize(
    ("one", "other"),
    [("佐藤", "佐東"), ("祐子", "佑子"), ("斉藤", "斎藤"), ("富田", "冨田"), ("島田", "嶋田"), ("埼玉", "崎玉")],
)
def test_kanji_that_are_names_of_their_own_stay_different(one: str, other: str) -> None:
    assert kanji_key(one) != kanji_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ｼﾞｮｳ ﾊﾟｳﾛ", "ジョウ　パウロ"),
        ("やまだ けんいち", "ヤマダケンイチ"),
        ("アベ ショウイチ", "アベ シヨウイチ"),
        ("オーノ", "オ－ノ"),
        ("オーノ", "オ―ノ"),
        ("マリア・ルイサ", "マリアルイサ"),
    ],
)
def test_kana_spellings_of_one_name_are_equal(one: str, other: str) -> None:
    assert kana_key(one) == kana_key(other) != ""


@pytest.mark.parametrize(("one", "other"), [("ヤマダ", "ヤマタ"), ("ハヤシ", "バヤシ"), ("オオノ", "オノ")])
def test_kana_of_different_names_stay_different(one: str, other: str) -> None:
    assert kana_key(one) != kana_key(other)


@pytest.mark.parametrize(
    "name", ["不明", "氏名不明", "山田ベビー", "山田 新生児", "山田　男児1", "〓田健一", "山\ufffd", "山\ue000"]
)
def test_a_name_that_is_none_cannot_be_compared(name: str) -> None:
    assert kanji_key(name) == ""


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("19410503", "19410503"),
        ("194105031200", "19410503"),
        ("19000101", ""),
        ("19410230", ""),
        ("194105", ""),
        ("00000000", ""),
        ("99999999", ""),
        ("１９４１０５０３", ""),
        ("", ""),
    ],
)
def test_only_a_real_day_is_a_birth_date(text: str, day: str) -> None:
    assert birth_day(text) == day


@pytest.mark.parametrize(
    ("insurance", "key"),
    [
        ("33120015:１２－３:4567890:1", "33120015:123:4567890:01"),
        ("  138016::1234567:02", "00138016::1234567:02"),
        ("39131156::12345678:", "39131156::12345678:"),
        ("33120015::4567890:01", ""),
        ("33120015:123:4567890:", ""),
        ("33120015:123::01", ""),
        (":123:4567890:01", ""),
        ("00000000:123:4567890:01", ""),
        ("33120015:123:0000000:01", ""),
        ("abc:123:4567890:01", ""),
        ("331200151:123:4567890:01", ""),
    ],
)
def test_an_insurance_key_needs_every_part_that_the_scheme_has(insurance: str, key: str) -> None:
    assert insurance_key(Insurance(*insurance.split(":"))) == key


def _same(one: Demographics, other: Demographics) -> bool:
    charts = [matching.read_chart(1, one), matching.read_chart(2, other)]
    return len(clusters(charts)) == 1


NAMELESS = {"kanji": "", "kana": ""}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        # name and birth
        (somebody(), somebody(), True),
        (somebody("髙橋 健一"), somebody("高橋 健一"), True),
        (somebody(kana="やまだ けんいち"), somebody(kana="ﾔﾏﾀﾞ ｹﾝｲﾁ"), True),
        (somebody("山田健一"), somebody("山田 健一"), True),
        (somebody(), somebody(birth_date="19410504"), False),
        (somebody(), somebody(birth_date="194105"), False),
        (somebody(birth_date=""), somebody(birth_date=""), False),
        (somebody(), somebody(sex="F"), False),
        (somebody(sex="U"), somebody(sex="U"), False),
        (somebody(sex=""), somebody(sex=""), False),
        (somebody(kana=""), somebody(kana=""), False),
        (somebody(kanji=""), somebody(kanji=""), False),
        (somebody("斉藤 健一"), somebody("斎藤 健一"), False),
        (somebody("〓田 健一"), somebody("〓田 健一"), False),
        (somebody("山田 ベビー"), somebody("山田 ベビー"), False),
        # insurance
        (somebody("山田 花子", insurance=INSURED), somebody("鈴木 花子", "スズキ ハナコ", insurance=INSURED), True),
        (somebody(insurance=INSURED, kanji=""), somebody("別名 健一", insurance=INSURED), True),
        (somebody(insurance=INSURED, **NAMELESS), somebody(insurance=INSURED, sex=""), True),
        (somebody(sex="", insurance=INSURED), somebody(sex="F", insurance=INSURED), True),
        (somebody("山田健一", "", insurance=INSURED), somebody("鈴木 健一", "", insurance=INSURED), True),
        (somebody("佐藤 一郎", insurance=INSURED), somebody("佐藤 二郎", "サトウ ジロウ", insurance=INSURED), False),
        (somebody(insurance=INSURED), somebody("別名 健一", insurance=INSURED, sex="F"), False),
        (somebody("甲 一", insurance=INSURED), somebody("甲 二", "コウ ジ", "19410504", insurance=INSURED), False),
        (
            somebody("", "", insurance="33120015:123:4567890:01"),
            somebody("", "", insurance="33120015:123:4567890:02"),
            False,
        ),
        (somebody(birth_date="", insurance=INSURED), somebody("別名 健一", birth_date="", insurance=INSURED), False),
    ],
)
def test_a_pair(one: Demographics, other: Demographics, same: bool) -> None:
    assert _same(one, other) is same
    assert _same(other, one) is same


def test_twins_with_the_same_branch_by_mistake_stay_apart() -> None:
    twins = [
        matching.read_chart(1, somebody("佐藤 一郎", "サトウ イチロウ", insurance=INSURED)),
        matching.read_chart(2, somebody("佐藤 二郎", "サトウ ジロウ", insurance=INSURED)),
    ]
    nameless = matching.read_chart(3, somebody("", "", insurance=INSURED))
    assert [each.charts for each in clusters([*twins, nameless])] == [(1,), (2,), (3,)]


def test_a_chain_over_two_insurances_ties_no_contradiction_together() -> None:
    one, other = "33120015:1:1:01", "06139463:2:2:01"
    man = matching.read_chart(1, somebody("甲 一", "コウ イチ", sex="M", insurance=one))
    woman = matching.read_chart(2, somebody("乙 花", "オツ ハナ", sex="F", insurance=other))
    between = replace(
        matching.read_chart(3, somebody("", "", sex="", insurance=one)),
        insurances=frozenset((insurance_key(Insurance(*one.split(":"))), insurance_key(Insurance(*other.split(":"))))),
    )
    assert len(clusters([man, woman, between])) == 3
    assert len(clusters([man, between])) == 1


def test_a_statement_outweighs_the_rules() -> None:
    charts = [matching.read_chart(1, somebody(sex="M")), matching.read_chart(2, somebody("別 人", sex="F"))]
    (cluster,) = clusters(charts, [Link(1, 2, "merge")])
    assert cluster.charts == (1, 2)
    assert cluster.link_of(2) == Link(1, 2, "merge")


def test_a_link_says_which_rule_and_which_fields() -> None:
    (cluster,) = clusters([matching.read_chart(1, somebody()), matching.read_chart(2, somebody())])
    link = cluster.link_of(2)
    assert link is not None
    assert link.rule == "name and birth@1"
    assert link.fields == ("kanji name", "kana name", "birth date", "sex")


def _random_charts(seed: int) -> list[Chart]:
    """Charts of a small world, so that rules hold often and contradict each other often."""
    chance = random.Random(seed)
    return [
        Chart(
            id=number,
            kanji=chance.choice(["甲一", "甲二", ""]),
            kanji_given=chance.choice(["一", "二", ""]),
            kana=chance.choice(["コウイチ", "コウジ", ""]),
            kana_given="",
            birth_date=chance.choice(["19500101", "19500102"]),
            sex=chance.choice(["M", "F", ""]),
            insurances=frozenset(chance.sample(["a", "b", "c"], chance.randint(0, 2))),
        )
        for number in range(1, 7)
    ]


@pytest.mark.parametrize("seed", range(60))
def test_the_order_of_arrival_does_not_matter(seed: int) -> None:
    charts = _random_charts(seed)
    expected = clusters(charts)
    for order in itertools.islice(itertools.permutations(charts), 0, 720, 37):
        assert clusters(order) == expected


@pytest.mark.parametrize("seed", range(200))
def test_no_contradiction_ever_stands_in_one_person(seed: int) -> None:
    charts = {chart.id: chart for chart in _random_charts(seed)}
    for cluster in clusters(charts.values()):
        for one, other in itertools.combinations(cluster.charts, 2):
            pair = charts[one], charts[other]
            certain = bool(set(matching.NAME_AND_BIRTH.keys(pair[0])) & set(matching.NAME_AND_BIRTH.keys(pair[1])))
            assert certain or not matching.contradict(*pair)
