"""Persons who do not exist: frequent names, towns that are on no map, telephone numbers never given out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from random import Random


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    return tuple((kanji, kana) for kanji, kana in (word.split("=") for word in text.split()))


# (kanji, kana). Every character is in JIS X 0208, as the storage demands.
FAMILIES = _pairs(
    """
    佐藤=サトウ 鈴木=スズキ 高橋=タカハシ 田中=タナカ 伊藤=イトウ 渡辺=ワタナベ 山本=ヤマモト 中村=ナカムラ
    小林=コバヤシ 加藤=カトウ 吉田=ヨシダ 山田=ヤマダ 佐々木=ササキ 山口=ヤマグチ 松本=マツモト
    井上=イノウエ 木村=キムラ 林=ハヤシ 斎藤=サイトウ 清水=シミズ 山崎=ヤマザキ 森=モリ 池田=イケダ
    橋本=ハシモト 阿部=アベ 石川=イシカワ 山下=ヤマシタ 中島=ナカジマ 石井=イシイ 小川=オガワ 前田=マエダ
    岡田=オカダ 長谷川=ハセガワ 藤田=フジタ 後藤=ゴトウ 近藤=コンドウ 村上=ムラカミ 遠藤=エンドウ
    青木=アオキ 坂本=サカモト 福田=フクダ 太田=オオタ 西村=ニシムラ 藤井=フジイ 金子=カネコ 岡本=オカモト
    藤原=フジワラ 中野=ナカノ 三浦=ミウラ 原田=ハラダ 松田=マツダ 竹内=タケウチ 小野=オノ 田村=タムラ
    """
)
MEN = _pairs(
    """
    太郎=タロウ 一郎=イチロウ 健=ケン 誠=マコト 隆=タカシ 茂=シゲル 博=ヒロシ 勇=イサム 清=キヨシ 進=ススム
    豊=ユタカ 大輔=ダイスケ 翔太=ショウタ 拓也=タクヤ 健太=ケンタ 直樹=ナオキ 達也=タツヤ 蓮=レン
    悠真=ユウマ 陽翔=ハルト 正男=マサオ 昭=アキラ 和夫=カズオ 信夫=ノブオ 幸雄=ユキオ 康弘=ヤスヒロ
    """
)
WOMEN = _pairs(
    """
    花子=ハナコ 和子=カズコ 幸子=サチコ 節子=セツコ 洋子=ヨウコ 恵子=ケイコ 久美子=クミコ 由美子=ユミコ
    真由美=マユミ 明美=アケミ 陽子=ヨウコ 美穂=ミホ 愛=アイ 彩=アヤ 舞=マイ 葵=アオイ 結衣=ユイ 陽菜=ヒナ
    さくら=サクラ 千代=チヨ 文子=フミコ 美咲=ミサキ 菜々子=ナナコ 静江=シズエ ヨネ=ヨネ 京子=キョウコ
    """
)
TOWNS = ("桜台", "緑町", "本町", "泉ヶ丘", "若葉町", "中央", "栄町", "朝日町", "港町", "東雲台")


@dataclass(frozen=True, slots=True)
class FictionalPerson:
    """One person: names, sex ``M`` or ``F``, birth date, where they live, how they are insured."""

    number: int
    family: str
    family_kana: str
    given: str
    given_kana: str
    sex: str
    born: date
    postal_code: str
    address: str
    telephone: str
    insurer: str
    insurer_name: str
    symbol: str
    insured_number: str
    branch: str

    @property
    def xpn(self) -> str:
        """PID-5: the ideographic and the phonetic representation."""
        return f"{self.family}^{self.given}^^^^^L^I~{self.family_kana}^{self.given_kana}^^^^^L^P"


def with_check_digit(digits: str) -> str:
    """Append the check digit of insurer and facility numbers: weights 2, 1 from the right, digit sums, modulo 10."""
    total = 0
    for position, digit in enumerate(reversed(digits)):
        product = int(digit) * (2 if position % 2 == 0 else 1)
        total += product // 10 + product % 10
    return f"{digits}{-total % 10}"


def make_people(count: int, seed: int, today: date) -> tuple[FictionalPerson, ...]:
    """So many different persons; the same seed and day give the same persons."""
    random = Random(seed)  # noqa: S311 - reproducible on purpose, nothing secret
    return tuple(_person(number, random, today) for number in range(1, count + 1))


def _person(number: int, random: Random, today: date) -> FictionalPerson:
    family, family_kana = random.choice(FAMILIES)
    sex = random.choice("MF")
    given, given_kana = random.choice(MEN if sex == "M" else WOMEN)
    town = random.choice(TOWNS)
    born = today - timedelta(days=random.randint(200, 95 * 365))
    old = (today - born).days > 75 * 366
    insurer = with_check_digit("3999" + f"{random.randint(100, 999)}") if old else with_check_digit("0699" + "123")
    return FictionalPerson(
        number=number,
        family=family,
        family_kana=family_kana,
        given=given,
        given_kana=given_kana,
        sex=sex,
        born=born,
        postal_code=f"999-{random.randint(0, 9999):04d}",
        address=f"架空県模擬市{town}{random.randint(1, 9)}丁目{random.randint(1, 30)}番{random.randint(1, 20)}号",
        telephone=f"0{random.randint(10, 99)}0-0000-{number % 10000:04d}",
        insurer=insurer,
        insurer_name="架空県後期高齢者医療広域連合" if old else "架空健康保険組合",
        symbol="" if old else f"{random.randint(1000, 9999)}",
        insured_number=f"{number:08d}" if old else f"{number:07d}",
        branch="" if old else "00",
    )
