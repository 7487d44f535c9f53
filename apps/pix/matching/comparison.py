"""Two charts side by side: for every field the level at which they agree.

A level is a small number with a name (``FIELDS``); what it is worth is data (``weights``). ``MISSING`` stands where one
side says nothing: that is evidence for nothing. Representations of a name (kanji, kana, Latin) are judged together, for
they are not independent; a pair of levels is worth less than the sum of both.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from rapidfuzz.distance import OSA, JaroWinkler
from rapidfuzz.fuzz import ratio, token_sort_ratio

from apps.pix.matching.charts import Chart, Coverage, Name, Named, Place
from apps.pix.matching.normalisation import ERA_STARTS, kana_sound, kanji_suggestions

MISSING = -1

# The levels of each field, best first; a level's number is its place.
NAME_LEVELS = (
    "same",  # kanji and kana are equal
    "same, one script",  # the only script that both have is equal
    "same, a slip in the other script",
    "same reading, other characters",
    "same characters, other reading",
    "sounds alike",  # or differs in a character variant that is a name of its own
    "one slip",
    "two slips",
    "in part",  # an initial, a beginning, one word of several
    "swapped",  # given and family name changed places
    "swapped with a slip",
    "differs",
)
(SAME, SAME_ONE, SAME_SLIP, SAME_READING, SAME_CHARACTERS, ALIKE, ONE_SLIP, TWO_SLIPS, IN_PART, SWAPPED) = range(10)
SWAPPED_SLIP, DIFFERENT_NAME = 10, 11
BIRTH_LEVELS = (
    "equal",
    "one digit",  # or two neighbours exchanged
    "day and month swapped",
    "other era",  # same day of a year that another era counts alike
    "two parts equal",
    "as far as known",
    "two digits",
    "year equal",
    "differs",
)
BIRTH_EQUAL, BIRTH_DIGIT, BIRTH_SWAPPED, BIRTH_ERA, BIRTH_TWO, BIRTH_PARTIAL, BIRTH_DIGITS, BIRTH_YEAR = range(8)
BIRTH_DIFFERS = 8
SEX_LEVELS = ("same", "differs")
PLACE_LEVELS = ("postal code", "postal code, other town", "town", "town, other postal code", "prefecture", "differs")
STREET_LEVELS = (
    "same",
    "similar, same numbers",
    "same, other numbers",
    "similar, other numbers",
    "same numbers",
    "differs",
)
TELEPHONE_LEVELS = ("same", "one digit", "last four digits", "differs")
TELEPHONE_DIGIT = 1
INSURANCE_LEVELS = (
    "same person's number",
    "same household, branch unknown",
    "same household, other branch",
    "one digit",
    "two digits",
    "same insurer",
    "differs",
)
(INSURED_PERSON, INSURED_UNKNOWN, INSURED_OTHER, INSURED_DIGIT, INSURED_DIGITS, INSURER, INSURANCE_DIFFERS) = range(7)
SOURCE_LEVELS = ("same facility", "other facility")

FIELDS: dict[str, tuple[str, ...]] = {
    "given name": NAME_LEVELS,
    "family name": NAME_LEVELS,
    "birth date": BIRTH_LEVELS,
    "sex": SEX_LEVELS,
    "place": PLACE_LEVELS,
    "street": STREET_LEVELS,
    "telephone": TELEPHONE_LEVELS,
    "insurance": INSURANCE_LEVELS,
    "source": SOURCE_LEVELS,
}
GIVEN, FAMILY, BIRTH, SEX, PLACE, STREET, TELEPHONE, INSURANCE, SOURCE = range(9)

Vector = tuple[int, ...]
_Near = Callable[[str, str], int]


def compare(one: Chart, other: Chart) -> Vector:
    """The level of every field, in the order of ``FIELDS``. Symmetric: the order of the charts does not matter."""
    given, family = _names(one, other)
    place, street = _places(one.places, other.places)
    return (
        given,
        family,
        births(one, other),
        (0 if one.sex == other.sex else 1) if one.sex and other.sex else MISSING,
        place,
        street,
        _telephones(one.telephones, other.telephones),
        _insurances(one.coverages, other.coverages),
        (0 if one.facility == other.facility else 1) if one.facility and other.facility else MISSING,
    )


# --- names

# How near two texts of one script are.
_EQUAL, _ALIKE, _ONE, _TWO, _PART, _DIFFER = range(6)


def given_names(one: Named, other: Named) -> int:
    """The level of the given names alone, as ``compare`` finds it."""
    return _names(one, other)[0]


def births(one: Named, other: Named) -> int:
    """The level of the birth dates alone, as ``compare`` finds it."""
    return _birth(one.born, other.born) if one.born and other.born else MISSING


def _names(one: Named, other: Named) -> tuple[int, int]:
    """(level of the given name, of the family name). A swap is one piece of evidence, told of the given name."""
    kanji = _parts(one.names_kanji, other.names_kanji, _near_kanji)
    kana = _parts(one.names_kana, other.names_kana, _near_kana)
    latin = _parts(one.names_latin, other.names_latin, _near_latin)
    given = _level(kanji[0], kana[0], latin[0])
    family = _level(kanji[1], kana[1], latin[1])
    if given >= ONE_SLIP or family >= ONE_SLIP or given == MISSING or family == MISSING:
        swapped = _swapped(one, other)
        if swapped != MISSING and (given in (MISSING, DIFFERENT_NAME) or family in (MISSING, DIFFERENT_NAME)):
            return swapped, MISSING
    return given, family


def _parts(one: Name, other: Name, near: _Near) -> tuple[int | None, int | None]:
    """(nearness of the given names, of the family names) in one script; None where one side has none."""
    if not (one.family or one.given) or not (other.family or other.given):
        return None, None
    if one == other:
        return (_EQUAL if one.given or " " in one.family else None), _EQUAL
    if bool(one.given) != bool(other.given) and one.family and other.family:
        one, other = _aligned(one, other)
    given = near(one.given, other.given) if one.given and other.given else None
    family = near(one.family, other.family) if one.family and other.family else None
    return given, family


def _aligned(one: Name, other: Name) -> tuple[Name, Name]:
    """Split a name that came in one piece as the other one is split."""
    if one.given:
        return one, _split_like(other.family, one)
    return _split_like(one.family, other), other


def _split_like(whole: str, like: Name) -> Name:
    if whole.startswith(like.family) and len(whole) > len(like.family):
        return Name(like.family, whole[len(like.family) :].lstrip())
    if whole.endswith(like.given) and len(whole) > len(like.given):
        return Name(whole[: -len(like.given)].rstrip(), like.given)
    # Nothing of it is the other's: it may be the family name alone.
    return Name(whole)


def _level(kanji: int | None, kana: int | None, latin: int | None) -> int:
    """One level of the three scripts' nearness."""
    if kanji is not None and kana is not None:
        level = _BOTH_SCRIPTS[kanji][kana]
        return SAME_SLIP if latin == _EQUAL and level > SAME_SLIP else level
    nearness = kanji if kanji is not None else kana if kana is not None else latin
    if nearness is None:
        return MISSING
    level = _ONE_SCRIPT[nearness]
    return SAME_ONE if latin == _EQUAL else level


_ONE_SCRIPT = (SAME_ONE, ALIKE, ONE_SLIP, TWO_SLIPS, IN_PART, DIFFERENT_NAME)
# [nearness in kanji][nearness in kana]. Other characters with a near reading are another name: twins have such names.
_BOTH_SCRIPTS = (
    (SAME, SAME, SAME_SLIP, SAME_SLIP, SAME_SLIP, SAME_CHARACTERS),  # kanji equal
    (SAME, ALIKE, ALIKE, TWO_SLIPS, IN_PART, DIFFERENT_NAME),  # a variant
    (SAME_SLIP, ALIKE, TWO_SLIPS, DIFFERENT_NAME, DIFFERENT_NAME, DIFFERENT_NAME),
    (SAME_SLIP, ALIKE, TWO_SLIPS, DIFFERENT_NAME, DIFFERENT_NAME, DIFFERENT_NAME),
    (SAME_SLIP, IN_PART, IN_PART, IN_PART, IN_PART, DIFFERENT_NAME),
    (SAME_READING, DIFFERENT_NAME, DIFFERENT_NAME, DIFFERENT_NAME, DIFFERENT_NAME, DIFFERENT_NAME),  # kanji differ
)


def _swapped(one: Named, other: Named) -> int:
    for a, b, near in (
        (one.names_kanji, other.names_kanji, _near_kanji),
        (one.names_kana, other.names_kana, _near_kana),
        (one.names_latin, other.names_latin, _near_latin),
    ):
        if a.family[:1] != b.given[:1] and a.given[:1] != b.family[:1]:
            continue
        first = near(a.family, b.given) if a.family and b.given else None
        second = near(a.given, b.family) if a.given and b.family else None
        if first is None and second is None:
            continue
        worst = max(first if first is not None else _EQUAL, second if second is not None else _EQUAL)
        if worst == _EQUAL and first is not None and second is not None:
            return SWAPPED
        if worst <= _TWO:
            return SWAPPED_SLIP
    return _same_words(one.names_latin, other.names_latin)


def _same_words(one: Name, other: Name) -> int:
    """Latin names of the same words in another order or parted elsewhere (foreign residents)."""
    length, other_length = len(one.family) + len(one.given), len(other.family) + len(other.given)
    if not length or one == other or abs(length - other_length) > 1:  # a space may have become a boundary
        return MISSING
    words, others = sorted(f"{one.family} {one.given}".split()), sorted(f"{other.family} {other.given}".split())
    return SWAPPED if len(words) > 1 and words == others else MISSING


# Names repeat, so what was judged once is remembered. Sides are ordered: a pair is the same pair either way.
_REMEMBERED = 1 << 17


def _near_kanji(one: str, other: str) -> int:
    if one == other:
        return _EQUAL
    if _plainly_two(one, other):
        return _DIFFER
    return _kanji(one, other) if one < other else _kanji(other, one)


def _near_kana(one: str, other: str) -> int:
    if one == other:
        return _EQUAL
    if _plainly_two(one, other):
        return _DIFFER
    return _kana(one, other) if one < other else _kana(other, one)


def _near_latin(one: str, other: str) -> int:
    return _EQUAL if one == other else _latin(one, other) if one < other else _latin(other, one)


def _plainly_two(one: str, other: str) -> bool:
    """Neither beginning nor end agree, and there is more than one character: most pairs, told at once."""
    return one[0] != other[0] and one[-1] != other[-1] and len(one) > 1


@lru_cache(_REMEMBERED)
def _kanji(one: str, other: str) -> int:
    variants = kanji_suggestions()
    if one.translate(variants) == other.translate(variants):
        return _ALIKE
    if len(one) != len(other):
        return _PART if min(len(one), len(other)) > 1 and (one.startswith(other) or other.startswith(one)) else _DIFFER
    return _ONE if len(one) > 2 and OSA.distance(one, other) == 1 else _DIFFER


@lru_cache(_REMEMBERED)
def _kana(one: str, other: str) -> int:
    if kana_sound(one) == kana_sound(other):
        return _ALIKE
    distance = OSA.distance(one, other, score_cutoff=2)
    shorter = min(len(one), len(other))
    if distance == 1 and shorter > 2:
        return _ONE
    if distance == 2 and shorter > 4:
        return _TWO
    return _PART if shorter > 1 and (one.startswith(other) or other.startswith(one)) else _DIFFER


@lru_cache(_REMEMBERED)
def _latin(one: str, other: str) -> int:
    one, other = one.replace(" ", ""), other.replace(" ", "")
    if one == other:
        return _ALIKE
    distance = OSA.distance(one, other, score_cutoff=3)
    shorter = min(len(one), len(other))
    if distance == 1 and shorter > 1:
        return _ONE
    if (distance == 2 and shorter > 3) or (distance == 3 and shorter > 6):
        return _TWO
    if one.startswith(other) or other.startswith(one):
        return _PART
    return _TWO if shorter > 3 and JaroWinkler.similarity(one, other) >= 0.88 else _DIFFER


# --- birth date

# How far years lie apart that two eras count alike: 大正5 is 1916, 昭和5 1930, 平成5 1993, 令和5 2023; 明治5 1872.
_ERA_GAPS = frozenset(later - earlier for earlier in ERA_STARTS for later in ERA_STARTS if later > earlier)


@lru_cache(_REMEMBERED)
def _birth(one: str, other: str) -> int:
    if len(one) < 8 or len(other) < 8:
        known = min(len(one), len(other))
        if one[:known] == other[:known]:
            return BIRTH_EQUAL if len(one) == len(other) == 8 else BIRTH_PARTIAL
        return BIRTH_YEAR if one[:4] == other[:4] else BIRTH_DIFFERS
    if one == other:
        return BIRTH_EQUAL
    year, month, day = one[:4] == other[:4], one[4:6] == other[4:6], one[6:] == other[6:]
    if year and one[4:6] == other[6:] and one[6:] == other[4:6]:
        return BIRTH_SWAPPED
    distance = OSA.distance(one, other)
    if distance == 1:
        return BIRTH_DIGIT
    if month and day and one[:4].isdigit() and abs(int(one[:4]) - int(other[:4])) in _ERA_GAPS:
        return BIRTH_ERA
    if year + month + day == 2:
        return BIRTH_TWO
    if distance == 2:
        return BIRTH_DIGITS
    return BIRTH_YEAR if year else BIRTH_DIFFERS


# --- address


def _places(ones: tuple[Place, ...], others: tuple[Place, ...]) -> tuple[int, int]:
    """(level of the place, level of the street) of the two addresses that agree best."""
    best = (MISSING, MISSING)
    for one in ones:
        for other in others:
            levels = _place(one, other), _street(one, other)
            if best[0] == MISSING or (levels[0] != MISSING and sum(levels) < sum(best)):
                best = levels
    return best


def _place(one: Place, other: Place) -> int:
    city = _near_city(one.city, other.city) if one.city and other.city else None
    if one.postal and other.postal:
        distance = OSA.distance(one.postal, other.postal, score_cutoff=1)
        if distance == 0:
            return 0 if city is not False else 1
        if distance == 1 and city:
            return 2
        if city:
            return 3
    elif city:
        return 2
    elif city is None and not (one.prefecture and other.prefecture):
        return MISSING
    return 4 if one.prefecture and one.prefecture == other.prefecture else 5


def _near_city(one: str, other: str) -> bool:
    return one == other or (ratio(one, other) >= 80 and min(len(one), len(other)) > 3)


def _street(one: Place, other: Place) -> int:
    text = _alike(one.street, other.street) if one.street and other.street else None
    numbers = _same_numbers(one.numbers, other.numbers) if one.numbers and other.numbers else None
    if text is None:
        return MISSING if numbers is None else 4 if numbers else 5
    if text == 1:
        return 2 if numbers is False else 0
    if text >= 0.8:
        return 3 if numbers is False else 1
    if text >= 0.6 and numbers:
        return 1
    return 4 if numbers and len(one.numbers) > 1 else 5


@lru_cache(_REMEMBERED)
def _alike(one: str, other: str) -> float:
    """0 to 1; the words of a Latin address in whatever order they come."""
    return max(ratio(one, other), token_sort_ratio(one, other) if " " in one else 0) / 100


def _same_numbers(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Equal, or one goes on where the other ends (a room that only one side names)."""
    shared = min(len(one), len(other))
    return one == other or (shared > 1 and one[:shared] == other[:shared])


# --- numbers


def _telephones(ones: frozenset[str], others: frozenset[str]) -> int:
    if not ones or not others:
        return MISSING
    if not ones.isdisjoint(others):
        return 0
    return min(_telephone(one, other) for one in ones for other in others)


def _telephone(one: str, other: str) -> int:
    if len(one) == len(other) and OSA.distance(one, other, score_cutoff=1) == 1:
        return 1
    return 2 if one[-4:] == other[-4:] else 3


def _insurances(ones: tuple[Coverage, ...], others: tuple[Coverage, ...]) -> int:
    if not ones or not others:
        return MISSING
    return min(_insurance(one, other) for one in ones for other in others)


def _insurance(one: Coverage, other: Coverage) -> int:
    if one.insurer != other.insurer:
        return INSURANCE_DIFFERS
    if one.number == other.number and (one.symbol == other.symbol or not one.symbol or not other.symbol):
        if not one.branch or not other.branch:
            return INSURED_UNKNOWN
        return INSURED_PERSON if one.branch == other.branch else INSURED_OTHER
    if one.branch and other.branch and one.branch != other.branch:
        return INSURER
    distance = OSA.distance(one.symbol + one.number, other.symbol + other.number, score_cutoff=2)
    return (INSURER, INSURED_DIGIT, INSURED_DIGITS, INSURER)[min(distance, 3)]
