"""My Number and resident codes have no place in medicine: find them so that a message can be refused.

A number is suspected by its shape and check digit and by the words around it; shape and check digit alone are not
enough, for one random number of twelve digits in ten passes. What was found is never repeated: a finding names the
field and the kind of number.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from hie.values.errors import ExchangeError, Reason
from hie.values.identifiers import Identifier

# At this score a message is refused; from 1 up to it the sender is warned.
REFUSED_FROM = 3

_MY_NUMBER = re.compile(r"(?<!\d)\d{4}[ -]?\d{4}[ -]?\d{4}(?!\d)", re.ASCII)
_RESIDENT_CODE = re.compile(r"(?<!\d)\d{11}(?!\d)", re.ASCII)
_HYPHENS = re.compile(r"(?<=\d)[‐‑‒–—―−─ー](?=\d)")
_WORDS_REACH = 20  # characters before and after the number in which a word counts
_MY_NUMBER_WORDS = re.compile(
    r"マイナンバー|個人番号|my[ _]?number|individual[ _]?number|\bin_number\b|\bNNJPN\b", re.IGNORECASE
)
_RESIDENT_CODE_WORDS = re.compile(r"住民票コード|resident[ _]?(record[ _]?)?code|juki[ _]?code", re.IGNORECASE)
_WORDS_WEIGH = 2
# What the kind of field says about a long number in it.
FIELD_WEIGHS = {"name": 2, "telephone": -2, "order number": -2}


@dataclass(frozen=True, slots=True)
class NationalNumber:
    """A suspected national number: which kind, in which field, and how strong the suspicion is. Never its digits."""

    kind: str
    field: str
    score: int

    @property
    def refused(self) -> bool:
        return self.score >= REFUSED_FROM


def detect_national_number(text: str, field: str) -> NationalNumber | None:
    """The strongest suspicion of a national number in one field; None where there is none.

    field: ``identifier``, ``name``, ``address``, ``telephone``, ``order number`` or free words; words in it that
    name such a number (``identifier NNJPN``) count like words around the digits.
    """
    if len(text) < 11:
        return None
    plain = _HYPHENS.sub("-", unicodedata.normalize("NFKC", text))
    weight = FIELD_WEIGHS.get(field.split(" ")[0], FIELD_WEIGHS.get(field, 0))
    found = [
        NationalNumber("My Number", field, score + weight)
        for score in _scores(plain, field, _MY_NUMBER, _MY_NUMBER_WORDS, needs_words=False)
    ] + [
        NationalNumber("resident record code", field, score + weight)
        for score in _scores(plain, field, _RESIDENT_CODE, _RESIDENT_CODE_WORDS, needs_words=True)
    ]
    strongest = max(found, key=lambda each: each.score, default=None)
    return strongest if strongest is not None and strongest.score >= 1 else None


def refuse_national_numbers(texts: Iterable[tuple[str, str]]) -> list[str]:
    """Of each (field, text) of a message: a warning where such a number is only possible.

    Raises ExchangeError(NATIONAL_NUMBER) at the field, without the digits, where a message has to be refused.
    """
    found = [each for each in (detect_national_number(text, field) for field, text in texts) if each is not None]
    for each in found:
        if each.refused:
            raise ExchangeError(
                Reason.NATIONAL_NUMBER,
                f"The {each.field.split(' ')[0]} carries a number that looks like a {each.kind}, which medicine must"
                " not keep; send the message without it.",
                each.field.split(" ")[0],
            )
    return [f"The {each.field.split(' ')[0]} has the form of a {each.kind}; please check it." for each in found]


def field_and_value(identifier: Identifier, field: str = "identifier") -> tuple[str, str]:
    """An identifier as ``refuse_national_numbers`` takes it: its type and namespace say what its number is."""
    return f"{field} {identifier.type_code} {identifier.assigning_authority.namespace}", identifier.value


def names_national_number(text: str) -> NationalNumber | None:
    """The same for the text of a whole file: a number that words beside it name, None where there is none.

    Costs a few microseconds where no such word is in the text, which is nearly always.
    """
    folded = text.lower()
    return detect_national_number(text, "text") if any(word in folded for word in _ANY_WORD) else None


# A piece of each word above in every width that compatibility normalisation folds.
_ANY_WORD = (
    *("マイナンバー", "ﾏｲﾅﾝﾊﾞ", "個人番号", "住民票", "number", "nnjpn", "resident", "juki"),
    *("ｎｕｍｂｅｒ", "ｎｎｊｐｎ", "ｒｅｓｉｄｅｎｔ", "ｊｕｋｉ"),
)


def _scores(text: str, field: str, shape: re.Pattern[str], words: re.Pattern[str], *, needs_words: bool) -> list[int]:
    """Of each number with the shape and a fitting check digit: 1, and 2 more where words say what it is."""
    scores = []
    for match in shape.finditer(text):
        if not check_digit_fits(re.sub(r"\D", "", match.group())):
            continue
        around = text[max(0, match.start() - _WORDS_REACH) : match.end() + _WORDS_REACH]
        named = words.search(around) or words.search(field)
        if named or not needs_words:
            scores.append(1 + (_WORDS_WEIGH if named else 0))
    return scores


def check_digit_fits(digits: str) -> bool:
    """Whether the last digit is the check digit of a My Number (12 digits) or a resident record code (11).

    Weights from the right of the digits before it: 2 3 4 5 6 7 2 3 4 5 6; the sum's remainder r by 11 gives
    11 - r, and 0 where r is 0 or 1.
    """
    body, check = digits[:-1], int(digits[-1])
    total = sum(
        int(digit) * (place + 1 if place <= 6 else place - 5) for place, digit in enumerate(reversed(body), start=1)
    )
    remainder = total % 11
    return check == (0 if remainder <= 1 else 11 - remainder)
