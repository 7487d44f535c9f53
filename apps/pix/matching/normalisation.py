"""Japanese names, dates, addresses and numbers as matching compares them: one spelling for what is the same.

Keys are for comparison only; what a facility wrote is kept beside them. Nothing here guesses: what cannot be
compared (an unreadable character, 不明, a baby without a name, 1900-01-01) becomes "".

Kana comes in two keys. ``kana_key`` folds what systems cannot write (small kana, the long vowel mark);
``kana_sound`` also folds what ears and half-width keyboards confuse (voicing marks, ヂ/ジ, ヅ/ズ, ヲ/オ, ヴ/ブ, long
vowels). Two names of one sound are near, not equal.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from functools import cache, lru_cache
from pathlib import Path

from hie.values.people import Address, Insurance

# Names, words of addresses and dates repeat, so what was brought to one spelling once is remembered: the last so many
# texts. Addresses and insurances are read twice for each chart (to compare, to search); of them the last few will do.
_TEXTS, _LATEST = 1 << 16, 1 << 14

# --- names

# A newborn that has no name yet shares its surname and birthday with its twin.
_BABY = "(ベビー?|ベイビー?|新生児|シンセイジ|赤ちゃん|アカチ[ヤャ]ン|男児|女児|BABY|BOY|GIRL)(OF)?[0-9A-Z]?"
# 児 alone or numbered, or behind the mother's name; at the end of a name it is a name (健児).
_CHILD = "児[0-9A-Z]?|第?(?:[0-9A-Z]{1,2}|[一二三四])児"
_MOTHERS_CHILD = f".+[のノ](?:{_CHILD}|ジ)"
# Names that stand for the absence of one.
_NO_NAME = re.compile(
    "((氏名|名前|身元)?不明|未登録|未定|匿名|仮名|無名|テスト|テスト患者|患者テスト"
    "|(シメイ|ナマエ|ミモト)?フメイ|ミトウロク|ミテイ|トクメイ|テストカンシ[ヤャ]|カンシ[ヤャ]テスト"
    f"|.*{_BABY}|{_MOTHERS_CHILD})"
)
_BABY_NAME = re.compile(f"(?P<family>.*?)[のノ]?{_BABY}|{_CHILD}|{_MOTHERS_CHILD}")
_KANA = re.compile("[ぁ-ゖァ-ヺー]+")
# What a decoder or a sender writes where a character could not be: a name with one cannot be compared.
_UNREADABLE = re.compile("[\ufffd〓?？\ue000-\uf8ff\U000f0000-\U0010fffd]")
_SEPARATORS = re.compile(r"[\s・･.,、。''`´=＝]+")
_HYPHENS = re.compile("[‐‑‒–—―−─ー〜~-]")
_HONORIFIC = re.compile("(様|殿|サマ)$")
_SMALL_KANA = str.maketrans("ァィゥェォッャュョヮヵヶ", "アイウエオツヤユヨワカケ")
_HIRAGANA_TO_KATAKANA = {code: code + 0x60 for code in range(0x3041, 0x3097)}
_VARIANTS_FILE = Path(__file__).parent.parent / "data" / "kanji_variants.txt"


@cache
def _variant_groups(kind: str) -> tuple[tuple[str, ...], ...]:
    lines = (line.split() for line in _VARIANTS_FILE.read_text(encoding="utf-8").splitlines())
    return tuple(tuple(words[1:]) for words in lines if words and words[0] == kind)


@cache
def kanji_folding() -> dict[int, str]:
    """Character variants that are folded: code point -> character (``data/kanji_variants.txt``, groups ``fold``)."""
    return {ord(variant): group[0] for group in _variant_groups("fold") for variant in group[1:]}


@cache
def kanji_suggestions() -> dict[int, str]:
    """Characters often written for each other that stay names of their own: code point -> character (``suggest``)."""
    table: dict[int, str] = {}
    for group in _variant_groups("suggest"):
        table.update({ord(variant): table.get(ord(group[0]), group[0]) for variant in group[1:]})
    return table


@lru_cache(_TEXTS)
def kanji_key(name: str) -> str:
    """A name in kanji as rules compare it: NFKC, no spaces, safe variants folded; "" where it cannot be compared."""
    if not name or _UNREADABLE.search(name):
        return ""
    text = _SEPARATORS.sub("", unicodedata.normalize("NFKC", name)).upper().translate(kanji_folding())
    text = _HONORIFIC.sub("", text)
    return "" if _NO_NAME.fullmatch(text) else text


@lru_cache(_TEXTS)
def kana_key(name: str) -> str:
    """A name in kana as rules compare it; "" where it cannot be compared.

    NFKC, hiragana to katakana, small kana to large (キョウ = キヨウ: old systems cannot write small ones), long vowel
    marks and whatever stands for them dropped, no spaces.
    """
    if not name or _UNREADABLE.search(name):
        return ""
    text = unicodedata.normalize("NFKC", name).translate(_HIRAGANA_TO_KATAKANA).upper()
    text = _HYPHENS.sub("", _SEPARATORS.sub("", text)).translate(_SMALL_KANA)
    text = _HONORIFIC.sub("", text)
    return "" if _NO_NAME.fullmatch(text) else text


_O_ROW, _U_ROW, _E_ROW = "オコソトノホモヨロ", "ウクスツヌフムユル", "エケセテネヘメレ"
_LONG_VOWEL = re.compile(f"(?<=[{_O_ROW}])[オウ]|(?<=[{_U_ROW}])ウ|(?<=[{_E_ROW}])[イエ]")
_VOICING = re.compile("[\u3099\u309a]")
_VU_ROW = (("ヴア", "バ"), ("ヴイ", "ビ"), ("ヴエ", "ベ"), ("ヴオ", "ボ"))
_LIKE_SOUNDS = str.maketrans({"ヂ": "ジ", "ヅ": "ズ", "ヲ": "オ", "ヴ": "ブ", "ヰ": "イ", "ヱ": "エ"})


@cache
def _unvoiced() -> dict[int, str]:
    katakana = (chr(code) for code in range(0x30A1, 0x30FB))
    return {ord(kana): _VOICING.sub("", unicodedata.normalize("NFD", kana)) for kana in katakana}


@lru_cache(_TEXTS)
def kana_sound(key: str) -> str:
    """What a name sounds like, roughly, of its ``kana_key``: no voicing, no long vowels. Never evidence alone."""
    for foreign, common in _VU_ROW:
        key = key.replace(foreign, common)
    return _LONG_VOWEL.sub("", key.translate(_LIKE_SOUNDS).translate(_unvoiced()))


_NOT_LETTERS = re.compile(r"[^A-Z0-9]+")


@lru_cache(_TEXTS)
def latin_key(name: str) -> str:
    """A name in Latin letters: capitals without accents, words parted by one space, apostrophes dropped."""
    if not name or _UNREADABLE.search(name):
        return ""
    letters = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name)).upper()
    letters = "".join(sign for sign in letters if not unicodedata.combining(sign) and sign not in "'’`")
    return _NOT_LETTERS.sub(" ", letters).strip()


@lru_cache(_TEXTS)
def is_latin(name: str) -> bool:
    """Whether a name is written in Latin letters, wide ones too, wherever it was sent (foreign residents)."""
    text = unicodedata.normalize("NFKC", name).strip()
    return (
        bool(text)
        and all("LATIN" in unicodedata.name(sign, "") for sign in text if sign.isalpha())
        and any(sign.isalpha() for sign in text)
    )


@lru_cache(_TEXTS)
def baby_family(name: str) -> str | None:
    """The surname before a baby's stand-in (山田ベビー -> 山田); "" without one (第1児, 花子の児); else None."""
    text = _SEPARATORS.sub("", unicodedata.normalize("NFKC", name)).upper()
    found = _BABY_NAME.fullmatch(text)
    return (found["family"] or "") if found else None


@lru_cache(_TEXTS)
def is_kana(name: str) -> bool:
    """Whether a name is written in kana alone, wherever it was sent."""
    return bool(_KANA.fullmatch(_SEPARATORS.sub("", unicodedata.normalize("NFKC", name))))


# --- dates

# Era -> its year 1 minus 1 in the common calendar; the first day is checked, the last is not: papers run over.
_ERAS = {
    **dict.fromkeys(("M", "明治", "明", "1"), 1867),
    **dict.fromkeys(("T", "大正", "大", "2"), 1911),
    **dict.fromkeys(("S", "昭和", "昭", "3"), 1925),
    **dict.fromkeys(("H", "平成", "平", "4"), 1988),
    **dict.fromkeys(("R", "令和", "令", "5"), 2018),
}
ERA_STARTS = (1867, 1911, 1925, 1988, 2018)
_ERA_DATE = re.compile(
    r"(?P<era>明治|大正|昭和|平成|令和|[明大昭平令MTSHR])[.\s]*(?P<year>元|\d{1,2})[年./\-\s]*"
    r"(?:(?P<month>\d{1,2})[月./\-\s]*(?:(?P<day>\d{1,2})日?)?)?"
)
_ERA_PACKED = re.compile(r"(?P<era>[MTSHR1-5])(?P<year>\d\d)(?P<month>\d\d)(?P<day>\d\d)")
_DATE = re.compile(r"(?P<year>\d{4})[年./\-](?P<month>\d{1,2})[月./\-]?(?:(?P<day>\d{1,2})日?)?")
_PLAIN = re.compile(r"(?P<year>\d{4})(?P<month>\d\d)?(?P<day>\d\d)?(?:\d{2,6}(?:\.\d+)?)?(?:[+-]\d{4})?")


@lru_cache(_TEXTS)
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


def birth_date(text: str) -> str:
    """A birth date however it is written, as far as it is known: ``YYYYMMDD``, ``YYYYMM``, ``YYYY`` or "".

    Understood are HL7 dates and times, 1955/5/3, S30.5.3, 昭和30年5月3日, 元年, S300503 and 3300503. An unknown month
    or day is 0 or missing; a month or day that does not exist is unknown too.
    """
    text = unicodedata.normalize("NFKC", text).strip().upper()
    if not text or text[:8] == "19000101":
        return ""
    if len(text) == 8 and text.isascii() and text.isdigit():
        return _known_part(int(text[:4]), text[4:6], text[6:])
    for pattern in (_ERA_PACKED, _ERA_DATE, _DATE, _PLAIN):
        found = pattern.fullmatch(text)
        if found:
            parts = found.groupdict()
            year = 1 if parts["year"] == "元" else int(parts["year"])
            return _known_part(year + _ERAS.get(parts.get("era") or "", 0), parts["month"], parts["day"])
    return ""


def _known_part(year: int, month: str | None, day: str | None) -> str:
    if not 1850 <= year <= 2200:
        return ""
    if not month or not 1 <= int(month) <= 12:
        return f"{year:04}"
    try:
        date(year, int(month), int(day or 0))
        return f"{year:04}{int(month):02}{int(day or 0):02}"
    except ValueError:
        return f"{year:04}{int(month):02}"


@lru_cache(_TEXTS)
def birth_as_written(text: str) -> str:
    """Like ``birth_date``, but eight digits that are no real day stay: a mistyped digit is still seven right ones."""
    known = birth_date(text)
    digits = text[:8]
    if (
        len(known) in (4, 6)
        and len(digits) == 8
        and digits.isascii()
        and digits.isdigit()
        and "00"
        not in (
            digits[4:6],
            digits[6:],
        )
    ):
        return digits
    return known


# --- insurance

# Insurers by the first two digits of their number in eight digits (national health insurance has six, so "00").
_WITHOUT_SYMBOL = ("00", "39")  # national health insurance; late-stage elderly
_WITHOUT_BRANCH = ("39",)  # the late-stage elderly's number is each person's own


@lru_cache(_LATEST)
def insurance_parts(insurance: Insurance) -> tuple[str, str, str, str] | None:
    """(insurer in eight digits, symbol, number, branch), compared as equal texts; None without insurer or number.

    A branch has two digits, "" where it is unknown; where a scheme gives each person a number of their own it is "00".
    """
    insurer = _compact(insurance.insurer_number)
    symbol, number, branch = (_compact(part) for part in (insurance.symbol, insurance.number, insurance.branch))
    if not insurer.isdigit() or len(insurer) > 8 or not insurer.strip("0") or not number.strip("0"):
        return None
    insurer = insurer.zfill(8)
    if insurer[:2] in _WITHOUT_BRANCH:
        return insurer, symbol, number, "00"
    return insurer, symbol, number, branch.zfill(2) if branch else ""


def insurance_key(insurance: Insurance) -> str:
    """One insured person's number as rules compare it, ``insurer8:symbol:number:branch``; "" where a part is missing.

    A part may only be missing where the scheme has none.
    """
    parts = insurance_parts(insurance)
    if parts is None:
        return ""
    insurer, symbol, number, branch = parts
    if (not symbol and insurer[:2] not in _WITHOUT_SYMBOL) or not branch:
        return ""
    return f"{insurer}:{symbol}:{number}:{'' if insurer[:2] in _WITHOUT_BRANCH else branch}"


@lru_cache(_TEXTS)
def _compact(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).translate(_HIRAGANA_TO_KATAKANA)
    return _HYPHENS.sub("", _SEPARATORS.sub("", folded)).upper()


# --- telephone

_NOT_DIGITS = re.compile(r"\D+")


@lru_cache(_LATEST)
def telephone_key(text: str) -> str:
    """A telephone number as digits with its leading zero (+81 3 … = 03 …); "" where it is too short or one digit."""
    text = unicodedata.normalize("NFKC", text).strip()
    digits = _NOT_DIGITS.sub("", text)
    if digits.startswith("81") and (text.startswith("+") or len(digits) in (11, 12)):
        digits = "0" + digits[2:].removeprefix("0")
    return digits if 6 <= len(digits) <= 15 and len(set(digits[-8:])) > 1 else ""


# --- address

_PREFECTURE = re.compile("(北海道|東京都|京都府|大阪府|.{2,3}?県)")
_CITY = re.compile(
    "((?:余市|高市|[^市区町村0-9]{1,6})郡[^町村0-9]{1,6}[町村]|(?:四日市|廿日市|野々市|[^市区町村0-9]{1,7})市(?:[^市区町村0-9]{1,4}区)?"
    "|[^市区町村0-9]{1,5}[区町村])"
)
_BLOCK_WORDS = re.compile("(丁目|番地の|番地|番|号室|号|の(?=[0-9])|ノ(?=[0-9]))")
_KANJI_DIGITS = {"〇": 0, "一": 1, "二": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9}
_KANJI_NUMBER = re.compile("([〇一二三四五六七八九十百]+)(?=丁目|番|号|の[0-9一二三四五六七八九十])")
_NUMBERS = re.compile(r"\d+")
_AREA_WORDS = re.compile("(大字|小字|(?<=[市区町村])字)")


@lru_cache(_LATEST)
def address_parts(address: Address) -> tuple[str, str, str, str, tuple[str, ...]]:
    """(postal code, prefecture, city, what follows without numbers, numbers) of an address, parted or in one text.

    丁目, 番地, 号 and kanji numerals before them become numbers; 大字 and 字 go; a missing prefecture stays "".
    """
    postal = _NOT_DIGITS.sub("", unicodedata.normalize("NFKC", address.postal_code))
    prefecture, city, rest = (_address_text(part) for part in (address.prefecture, address.city, address.street))
    if not (city or rest):
        prefecture, city, rest = _split_address(prefecture, _address_text(address.text))
    rest = _KANJI_NUMBER.sub(lambda found: str(_kanji_number(found.group(1))), rest)
    rest = _BLOCK_WORDS.sub("-", _AREA_WORDS.sub("", rest))
    numbers = tuple(number.lstrip("0") or "0" for number in _NUMBERS.findall(rest))
    return postal, prefecture, city, " ".join(re.sub(r"[\d\-]+", " ", rest).split()), numbers


@lru_cache(_TEXTS)
def _address_text(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).upper().translate(kanji_folding())
    text = _HYPHENS.sub("-", text) if _NUMBERS.search(text) else text
    # Spaces part words of Latin text alone.
    return " ".join(text.split()) if text.isascii() else "".join(text.split())


def _split_address(prefecture: str, text: str) -> tuple[str, str, str]:
    if not prefecture:
        found = _PREFECTURE.match(text)
        prefecture = found.group(1) if found else ""
    text = text.removeprefix(prefecture)
    city = _CITY.match(text)
    return prefecture, city.group(1) if city else "", text[city.end() :] if city else text


def _kanji_number(text: str) -> int:
    total, digit = 0, 0
    for sign in text:
        if sign in ("十", "百"):
            total += (digit or 1) * (10 if sign == "十" else 100)
            digit = 0
        else:
            digit = digit * 10 + _KANJI_DIGITS[sign]
    return total + digit
