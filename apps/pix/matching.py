"""Who is who, decided by rules on values alone: no database, no clock, no order.

Charts are the points of a graph. A rule joins two charts when what their facilities say agrees so far that they can
only be one human; a statement of a facility (a merge) joins them too. The clusters of the graph are the persons.
``clusters`` is a function of the *set* of charts, so the order in which they arrived cannot change the result.

Rules (decision 0030; Japanese normalisation after the study of what breaks matching in Japan):

    name and birth     kanji name (variants folded), kana name, birth date and sex are all present and equal
    insurance          insurer number, symbol, number and branch are all present and equal, the birth date too, and
                       neither given name nor sex contradicts (twins share everything but these)

Everything less stays apart. A chart that the insurance rule would join to two charts that contradict each other
proves nothing and is joined to neither.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from itertools import combinations
from pathlib import Path

from hie.values.people import Demographics, Insurance

# --- what matching sees of one chart


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart as rules compare it: normalised, "" where the facility says nothing usable.

    kanji, kana: whole name; kanji_given, kana_given: given name alone. birth_date: a real day, ``YYYYMMDD``.
    insurances: one text of each insured person's number. current: the chart was not merged into another.
    """

    id: int
    kanji: str = ""
    kanji_given: str = ""
    kana: str = ""
    kana_given: str = ""
    birth_date: str = ""
    sex: str = ""
    insurances: frozenset[str] = frozenset()
    current: bool = True


def read_chart(chart_id: int, demographics: Demographics, *, current: bool = True) -> Chart:
    """What rules compare of a facility's statement about one patient."""
    ideographic, phonetic = demographics.name.ideographic, demographics.name.phonetic
    return Chart(
        id=chart_id,
        kanji=kanji_key(ideographic.family + ideographic.given),
        kanji_given=kanji_key(ideographic.given),
        kana=kana_key(phonetic.family + phonetic.given),
        kana_given=kana_key(phonetic.given),
        birth_date=birth_day(demographics.birth_date),
        sex=demographics.sex if demographics.sex in ("M", "F", "O") else "",
        insurances=frozenset(key for key in map(insurance_key, demographics.insurances) if key),
        current=current,
    )


# --- normalisation

# Names that stand for the absence of one; a newborn that has none yet shares its surname and birthday with its twin.
_NO_NAME = re.compile(
    "((氏名|名前|身元)?不明|未登録|未定|匿名|仮名|無名|テスト|テスト患者|患者テスト"
    "|(シメイ|ナマエ|ミモト)?フメイ|ミトウロク|ミテイ|トクメイ|テストカンシ[ヤャ]|カンシ[ヤャ]テスト"
    "|.*(ベビー?|ベイビー?|新生児|シンセイジ|赤ちゃん|アカチ[ヤャ]ン|男児|女児|BABY|BOY|GIRL)[0-9A-Z]?)"
)
# What a decoder or a sender writes where a character could not be: a name with one cannot be compared.
_UNREADABLE = re.compile("[\ufffd〓?？\ue000-\uf8ff\U000f0000-\U0010fffd]")
_SEPARATORS = re.compile(r"[\s・･.,、。''`´=＝]+")
_HYPHENS = re.compile("[‐‑‒–—―−─ー〜~-]")
_HONORIFIC = re.compile("(様|殿|サマ)$")
_SMALL_KANA = str.maketrans("ァィゥェォッャュョヮヵヶ", "アイウエオツヤユヨワカケ")
_HIRAGANA_TO_KATAKANA = {code: code + 0x60 for code in range(0x3041, 0x3097)}
_VARIANTS_FILE = Path(__file__).parent / "data" / "kanji_variants.txt"


@cache
def kanji_folding() -> dict[int, str]:
    """Character variants that are folded: code point -> character (``data/kanji_variants.txt``, groups ``fold``)."""
    table = {}
    for line in _VARIANTS_FILE.read_text(encoding="utf-8").splitlines():
        words = line.split()
        if words and words[0] == "fold":
            table.update({ord(variant): words[1] for variant in words[2:]})
    return table


def kanji_key(name: str) -> str:
    """A name in kanji as rules compare it: NFKC, no spaces, safe variants folded; "" where it cannot be compared."""
    if _UNREADABLE.search(name):
        return ""
    text = _SEPARATORS.sub("", unicodedata.normalize("NFKC", name)).upper().translate(kanji_folding())
    text = _HONORIFIC.sub("", text)
    return "" if _NO_NAME.fullmatch(text) else text


def kana_key(name: str) -> str:
    """A name in kana as rules compare it; "" where it cannot be compared.

    NFKC, hiragana to katakana, small kana to large (キョウ = キヨウ: old systems cannot write small ones), long vowel
    marks and whatever stands for them dropped, no spaces.
    """
    if _UNREADABLE.search(name):
        return ""
    text = unicodedata.normalize("NFKC", name).translate(_HIRAGANA_TO_KATAKANA).upper()
    text = _HYPHENS.sub("", _SEPARATORS.sub("", text)).translate(_SMALL_KANA)
    text = _HONORIFIC.sub("", text)
    return "" if _NO_NAME.fullmatch(text) else text


def birth_day(text: str) -> str:
    """The day of a birth date or time, ``YYYYMMDD``; "" where it is no real day or a usual stand-in for none."""
    digits = text[:8]
    if len(digits) != 8 or not (digits.isascii() and digits.isdigit()) or digits == "19000101":
        return ""
    try:
        born = date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
    except ValueError:
        return ""
    return digits if born.year >= 1850 else ""


# Insurers by the first two digits of their number in eight digits (national health insurance has six, so "00").
_WITHOUT_SYMBOL = ("00", "39")  # national health insurance; late-stage elderly
_WITHOUT_BRANCH = ("39",)  # the late-stage elderly's number is each person's own


def insurance_key(insurance: Insurance) -> str:
    """One insured person's number as rules compare it, ``insurer8:symbol:number:branch``; "" where a part is missing.

    A part may only be missing where the scheme has none.
    """
    insurer = _compact(insurance.insurer_number)
    symbol, number, branch = (_compact(part) for part in (insurance.symbol, insurance.number, insurance.branch))
    if not insurer.isdigit() or len(insurer) > 8 or not insurer.strip("0") or not number.strip("0"):
        return ""
    insurer = insurer.zfill(8)
    scheme = insurer[:2]
    if (not symbol and scheme not in _WITHOUT_SYMBOL) or (not branch and scheme not in _WITHOUT_BRANCH):
        return ""
    return f"{insurer}:{symbol}:{number}:{'' if scheme in _WITHOUT_BRANCH else branch.zfill(2)}"


def _compact(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).translate(_HIRAGANA_TO_KATAKANA)
    return _HYPHENS.sub("", _SEPARATORS.sub("", folded)).upper()


# --- rules


def contradict(one: Chart, other: Chart) -> bool:
    """Whether two charts that share an insurance cannot be one human: their sex or their given names differ.

    Given names differ where no representation that both have agrees. A name that came in one piece agrees with a
    given name that it ends with; a surname changes, so it never contradicts.
    """
    if one.sex and other.sex and one.sex != other.sex:
        return True
    agreements = [
        _given_names_agree(*pair)
        for pair in (
            (one.kanji, one.kanji_given, other.kanji, other.kanji_given),
            (one.kana, one.kana_given, other.kana, other.kana_given),
        )
        if pair[0] and pair[2]
    ]
    return bool(agreements) and not any(agreements)


def _given_names_agree(name: str, given: str, other_name: str, other_given: str) -> bool:
    if given and other_given:
        return given == other_given
    if given or other_given:
        return (other_name if given else name).endswith(given or other_given)
    return name == other_name


def _never(_one: Chart, _other: Chart) -> bool:
    return False


def _name_and_birth(chart: Chart) -> tuple[str, ...]:
    parts = (chart.kanji, chart.kana, chart.birth_date, chart.sex)
    return ("|".join(parts),) if all(parts) else ()


def _insurance(chart: Chart) -> tuple[str, ...]:
    return tuple(f"{key}|{chart.birth_date}" for key in sorted(chart.insurances)) if chart.birth_date else ()


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: charts with an equal key are one person, unless ``forbids`` says that they contradict each other.

    fields: what agreed when it holds, for the evidence of a link.
    """

    name: str
    version: int
    fields: tuple[str, ...]
    keys: Callable[[Chart], tuple[str, ...]]
    forbids: Callable[[Chart, Chart], bool]

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


NAME_AND_BIRTH = Rule("name and birth", 1, ("kanji name", "kana name", "birth date", "sex"), _name_and_birth, _never)
INSURANCE = Rule("insurance", 1, ("insurer number", "symbol", "number", "branch", "birth date"), _insurance, contradict)
RULES = (NAME_AND_BIRTH, INSURANCE)


def match_keys(chart: Chart) -> frozenset[tuple[str, str]]:
    """(name of the rule, key) of every rule that can speak about this chart.

    The key is a digest (BLAKE2b, 128 bits, hex) of what is compared, so its length is fixed and it shows nothing.
    """
    return frozenset((rule.name, _digest(rule, key)) for rule in RULES for key in rule.keys(chart))


def _digest(rule: Rule, key: str) -> str:
    return hashlib.blake2b(f"{rule}|{key}".encode(), digest_size=16).hexdigest()


# --- clusters


@dataclass(frozen=True, slots=True)
class Link:
    """Why two charts are one person: a rule (``insurance@1``) or a statement (``merge``); the fields that agreed."""

    first: int
    second: int
    rule: str
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cluster:
    """The charts of one person, ids ascending, and the links that hold them together."""

    charts: tuple[int, ...]
    links: tuple[Link, ...] = ()

    def link_of(self, chart_id: int) -> Link | None:
        """The first link that ties this chart to another; None where it stands alone."""
        return next((link for link in self.links if chart_id in (link.first, link.second)), None)


@dataclass(slots=True)
class _Forest:
    """Union-find: each chart's root is the smallest id it is joined with."""

    root: dict[int, int] = field(default_factory=dict)

    def find(self, chart: int) -> int:
        while self.root.setdefault(chart, chart) != chart:
            self.root[chart] = self.root[self.root[chart]]
            chart = self.root[chart]
        return chart

    def join(self, links: Iterable[Link]) -> _Forest:
        for link in links:
            one, other = self.find(link.first), self.find(link.second)
            self.root[max(one, other)] = min(one, other)
        return self


def clusters(charts: Iterable[Chart], stated: Iterable[Link] = ()) -> tuple[Cluster, ...]:
    """The persons behind these charts, ordered by their smallest chart id.

    stated: links that a facility stated; they hold whatever the rules say. The same set of charts and statements
    gives the same clusters in whatever order they come.
    """
    by_id = {chart.id: chart for chart in sorted(charts, key=lambda chart: chart.id)}
    stated = sorted((link for link in stated if link.first in by_id and link.second in by_id), key=_link_order)
    certain = stated + _rule_links(NAME_AND_BIRTH, by_id)
    base = _Forest().join(certain)
    trusted = _trustworthy(_rule_links(INSURANCE, by_id), by_id, base)
    links = certain + trusted
    forest = _Forest().join(links)
    members: dict[int, list[int]] = defaultdict(list)
    for chart_id in by_id:
        members[forest.find(chart_id)].append(chart_id)
    links_of: dict[int, list[Link]] = defaultdict(list)
    for link in links:
        links_of[forest.find(link.first)].append(link)
    return tuple(Cluster(tuple(ids), tuple(links_of[root])) for root, ids in sorted(members.items()))


def _link_order(link: Link) -> tuple[int, int, str]:
    return (link.first, link.second, link.rule)


def _rule_links(rule: Rule, by_id: dict[int, Chart]) -> list[Link]:
    """Every pair that the rule joins; of a rule that forbids nothing, each chart with the first of its key."""
    groups: dict[str, list[Chart]] = defaultdict(list)
    for chart in by_id.values():
        for key in rule.keys(chart):
            groups[key].append(chart)
    links = []
    for _, group in sorted(groups.items()):
        pairs = ((group[0], each) for each in group[1:]) if rule.forbids is _never else combinations(group, 2)
        links += [Link(a.id, b.id, str(rule), rule.fields) for a, b in pairs if not rule.forbids(a, b)]
    return links


def _trustworthy(links: list[Link], by_id: dict[int, Chart], base: _Forest) -> list[Link]:
    """The links of the insurance rule that tie no two charts together that contradict each other.

    base: what is joined for certain; charts inside one certain person do not contradict each other. First the links
    of a chart that stands between contradicting neighbours fall; should a longer chain still tie
    contradicting charts together, all links of the rule in that chain fall.
    """
    neighbours: dict[int, set[int]] = defaultdict(set)
    for link in links:
        neighbours[link.first].add(link.second)
        neighbours[link.second].add(link.first)
    doubtful = {chart for chart, others in neighbours.items() if _torn(others, by_id, base)}
    links = [link for link in links if link.first not in doubtful and link.second not in doubtful]
    forest = _Forest(dict(base.root)).join(links)
    members: dict[int, set[int]] = defaultdict(set)
    for chart_id in by_id:
        members[forest.find(chart_id)].add(chart_id)
    torn = {root for root, charts in members.items() if len(charts) > 2 and _torn(charts, by_id, base)}
    return [link for link in links if forest.find(link.first) not in torn]


def _torn(chart_ids: Iterable[int], by_id: dict[int, Chart], base: _Forest) -> bool:
    """Whether two of these charts contradict each other and are not one person for certain."""
    current = [by_id[chart_id] for chart_id in sorted(chart_ids) if by_id[chart_id].current]
    return any(
        base.find(one.id) != base.find(other.id) and contradict(one, other) for one, other in combinations(current, 2)
    )
