"""How a search compares what is asked with what facilities wrote: one spelling, and one sound.

``spelled`` folds what is the same to a person who types: widths, hiragana and katakana, small kana, long vowel marks,
gaps, capitals, accents, safe variants of kanji. It works sign by sign, so the beginning of a name is the beginning of
its spelling. Unlike the keys of matching it drops no name: a search may look for 不明. ``sound`` goes further, for near
matches: no voicing, no long vowels, kanji that are written for each other, and one sound for kana and Latin letters.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from apps.pix import matching
from apps.pix.matching.normalisation import address_parts
from hie.values.people import Address

_GAPS = re.compile(r"[\s・･.,、。''`´=＝‐‑‒–—―−─ー〜~_|-]+")
_KATAKANA = {code: code + 0x60 for code in range(0x3041, 0x3097)} | str.maketrans(
    "ァィゥェォッャュョヮヵヶ", "アイウエオツヤユヨワカケ"
)
_SMALL_HIRAGANA = str.maketrans("ぁぃぅぇぉっゃゅょゎゕゖ", "アイウエオツヤユヨワカケ")
_ONE_KANA = _KATAKANA | _SMALL_HIRAGANA


# Names repeat, so their last spellings are remembered.
_REMEMBERED = 1 << 16


@lru_cache(_REMEMBERED)
def spelled(text: str) -> str:
    """The one spelling of a text; "" where nothing of it can be compared."""
    text = unicodedata.normalize("NFKC", text).upper().translate(_ONE_KANA)
    text = _GAPS.sub("", text).translate(matching.kanji_folding())
    if any("\u00c0" <= sign <= "\u024f" for sign in text):
        letters = unicodedata.normalize("NFD", text)
        text = unicodedata.normalize("NFC", "".join(each for each in letters if not "\u0300" <= each <= "\u036f"))
    return text


@lru_cache(_REMEMBERED)
def sound(spelling: str) -> str:
    """What a spelling sounds like, roughly: kana and Latin letters as one, kanji by the ones written for each other."""
    if re.fullmatch("[ァ-ヺ]+", spelling):
        return "".join(_ROMAJI.get(kana, kana) for kana in matching.kana_sound(spelling))
    if spelling.isascii():
        for pattern, plain in _LATIN_SOUNDS:
            spelling = pattern.sub(plain, spelling)
        return spelling
    return spelling.translate(matching.kanji_suggestions())


_ROWS = {"": "アイウエオ", "K": "カキクケコ", "S": "サシスセソ", "T": "タチツテト", "N": "ナニヌネノ"}
_ROWS |= {"H": "ハヒフヘホ", "M": "マミムメモ", "R": "ラリルレロ"}
_ROMAJI = {kana: row + vowel for row, line in _ROWS.items() for kana, vowel in zip(line, "AIUEO", strict=True)}
_ROMAJI |= {"ヤ": "YA", "ユ": "YU", "ヨ": "YO", "ワ": "WA", "ン": "N"}

# Romanisations of Japanese brought to one, in this order: Hepburn to the rows of the syllabary, long vowels, voicing,
# the assimilated consonant (ッ), and palatal sounds as large kana write them (KYO = キヨ = KIYO).
_LATIN_SOUNDS = tuple(
    (re.compile(pattern), plain)
    for pattern, plain in (
        (r"[^A-Z0-9]", ""),
        (r"OH(?![AEIOUY])|OU|OO", "O"),
        (r"UU", "U"),
        (r"EI|EE", "E"),
        (r"M(?=[BPM])", "N"),
        (r"TCH", "TTY"),
        (r"SH|J", "SY"),
        (r"CH", "TY"),
        (r"TS|TZ", "T"),
        (r"L", "R"),
        (r"G|C|Q", "K"),
        (r"Z", "S"),
        (r"D", "T"),
        (r"[BPFV]", "H"),
        (r"([KSTH])\1", r"TU\1"),
        (r"(?<=[KSTNHMR])Y(?=[AUO])", "IY"),
        (r"(?<=[KSTNHMR])Y(?=[IE])", ""),
    )
)


def postal_digits(text: str) -> str:
    """A postal code as digits; what else it may be, in capitals without gaps."""
    return re.sub(r"[〒\s‐‑−ー-]", "", unicodedata.normalize("NFKC", text)).upper()


def address_key(address: Address) -> tuple[str, str, str, str]:
    """(postal code, prefecture, city, all that follows the prefecture) of an address, in parts or in one text."""
    _, prefecture, city, street, numbers = address_parts(address)
    return postal_digits(address.postal_code), prefecture, city, city + street + "-".join(numbers)


def telephone_digits(text: str) -> str:
    """The digits of a telephone number as they are kept; of a part of one, its digits."""
    return matching.telephone_key(text) or re.sub(r"\D", "", unicodedata.normalize("NFKC", text))
