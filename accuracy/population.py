"""Japanese populations with truth: households, what becomes of people, and how facilities write them down.

Reproducible by seed. First the humans (``_humans``): families with one address and one insurance, twins, people of the
same name and birth date, newborns, foreign residents. Then their charts (``_charts``): between two charts people marry,
move and change insurers; every facility has its own habits, and everybody who types makes errors (``Rates``).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta

from accuracy.names import FAMILIES, FEMALE, FOREIGN_FAMILY_NAMES, FOREIGN_GIVEN_NAMES, MALE, Written
from apps.pix.matching import Chart, read_chart
from hie.values.people import Address, Demographics, Insurance, NameParts, PersonName

TODAY = date(2026, 4, 1)
FACILITIES = 8


@dataclass(frozen=True, slots=True)
class Rates:
    """How often things happen, as shares: of humans first, then of charts."""

    twins: float = 0.008
    namesakes: float = 0.001  # another human of the same name (kanji and kana), sex and birth date
    foreign: float = 0.02
    newborn: float = 0.24  # of children under 17 months: first chart under a stand-in for a name
    marriage: float = 0.025  # of women between 20 and 45, between two charts
    move: float = 0.08
    insurer_change: float = 0.10
    new_telephone: float = 0.06
    print_variant: float = 0.3  # 高 written 髙, where the character has one
    other_character: float = 0.006  # 島 written 嶋; another spelling of the same reading
    kana_slip: float = 0.012
    old_kana: float = 0.05  # systems without small kana
    no_kana: float = 0.02
    no_kanji: float = 0.015
    unreadable: float = 0.003
    one_piece: float = 0.03
    swapped: float = 0.0005
    birth_slip: float = 0.004
    no_birth: float = 0.001
    sex_slip: float = 0.0008
    no_address: float = 0.03
    postal_slip: float = 0.005
    no_telephone: float = 0.10
    telephone_slip: float = 0.006
    no_insurance: float = 0.12
    no_branch: float = 0.12
    insurance_slip: float = 0.004
    towns: int = 120  # of each city; each has a postal code


ORDINARY = Rates()
# The hardest neighbours: almost everybody is a twin or has a namesake.
HARD = replace(ORDINARY, twins=0.5, namesakes=0.4)


@dataclass(frozen=True, slots=True)
class Population:
    """charts: in the order in which they arrive. truth: chart id -> human. kinds: human -> "twin", "namesake", …"""

    charts: tuple[Chart, ...]
    truth: Mapping[int, int]
    kinds: Mapping[int, str]


@dataclass(slots=True)
class _Home:
    prefecture: str
    city: str
    town: str
    postal: str
    numbers: tuple[int, ...]
    landline: str


@dataclass(slots=True)
class _Human:
    number: int
    family: Written
    given: Written
    sex: str
    born: date
    home: _Home
    mobile: str
    insurance: Insurance
    kind: str = ""
    foreign: bool = False


def generate(humans: int, seed: int, rates: Rates = ORDINARY) -> Population:
    """A population of about so many humans, each with one to four charts at different facilities."""
    chance = random.Random(seed)  # noqa: S311 (reproducible, not secret)
    told: list[tuple[int, str, Demographics]] = []
    kinds = {}
    for human in _humans(humans, chance, rates):
        kinds[human.number] = human.kind
        told += _charts(human, chance, rates)
    chance.shuffle(told)
    charts = tuple(read_chart(number, what, facility=where) for number, (_, where, what) in enumerate(told, 1))
    return Population(charts, {number: human for number, (human, _, _) in enumerate(told, 1)}, kinds)


def describe(humans: int, seed: int, rates: Rates = ORDINARY) -> Iterator[tuple[int, int, Demographics]]:
    """(human, facility from 0, what it says) of every chart of a population, human after human."""
    chance = random.Random(seed)  # noqa: S311 (reproducible, not secret)
    for human in _humans(humans, chance, rates):
        for number, facility, told in _charts(human, chance, rates):
            yield number, int(facility.split()[1]), told


# --- humans


def _humans(count: int, chance: random.Random, rates: Rates) -> Iterator[_Human]:
    made = 0
    while made < count:
        for human in _household(made, chance, rates):
            made += 1
            yield human
            if chance.random() < rates.namesakes and not human.foreign:
                made += 1
                yield _namesake(human, made, chance, rates)


def _household(number: int, chance: random.Random, rates: Rates) -> list[_Human]:
    foreign = chance.random() < rates.foreign
    family = _drawn(FOREIGN_FAMILY_NAMES if foreign else FAMILIES, chance)
    home = _home(chance, rates.towns)
    birth = _birthday(chance, 25, 95)
    policy = _policy(chance, TODAY - timedelta(days=365 * 50))
    sexes = ("M", "F") if chance.random() < 0.6 else (chance.choice("MF"),)
    members = [(sex, birth + timedelta(days=chance.randint(-1500, 1500))) for sex in sexes]
    parents = len(members)
    child = birth + timedelta(days=365 * chance.randint(22, 38))
    for _ in range(chance.choice((0, 0, 1, 2, 2, 3))):
        child = child + timedelta(days=chance.randint(350, 2200))
        if child < TODAY:
            members.append((chance.choice("MF"), child))
            if chance.random() < rates.twins * 2:
                members.append((members[-1][0] if chance.random() < 0.65 else chance.choice("MF"), child))
    humans: list[_Human] = []
    for place, (sex, born) in enumerate(members):
        given = _given_name(sex, foreign, chance, [each.given for each in humans])
        twin = place >= parents and sum(each[1] == born for each in members) > 1
        if twin and chance.random() < 0.4 and humans and humans[-1].born == born and not foreign:
            given = _twin_name(humans[-1].given, sex, chance) or given
        insurance = replace(policy, branch=f"{place + 1:02}")
        if (TODAY - born).days > 75 * 365:
            insurance = Insurance("39131156", "", f"{chance.randrange(10**8):08}")
        kind = "twin" if twin else "foreign" if foreign else ""
        if (TODAY - born).days < 500 and chance.random() < rates.newborn:
            kind = kind or "newborn"
        mobile = f"090{chance.randrange(10**8):08}" if (TODAY - born).days > 14 * 365 else ""
        humans.append(_Human(number + place + 1, family, given, sex, born, home, mobile, insurance, kind, foreign))
    return humans


def _namesake(human: _Human, number: int, chance: random.Random, rates: Rates) -> _Human:
    """Another human of the same name, sex and birth date, who lives elsewhere. Their numbers follow one another."""
    human.kind = human.kind or "namesake"
    return replace(
        human,
        number=-number,
        home=_home(chance, rates.towns),
        mobile=f"080{chance.randrange(10**8):08}",
        insurance=replace(_policy(chance, human.born), branch="01"),
        kind="namesake",
    )


def _drawn(names: tuple[Written, ...], chance: random.Random) -> Written:
    """By rank: half of the people share the first tenth of the names."""
    return names[int(len(names) * chance.random() ** 3.0)]


def _given_name(sex: str, foreign: bool, chance: random.Random, taken: list[Written]) -> Written:
    """A name that no one of the household has, nor one that sounds the same."""
    while True:
        given = _drawn(FOREIGN_GIVEN_NAMES if foreign else MALE if sex == "M" else FEMALE, chance)
        if all(given[0] != each[0] and given[1] != each[1] for each in taken):
            return given


def _twin_name(given: Written, sex: str, chance: random.Random) -> Written | None:
    """A name that begins with the same character, as parents like to give to twins."""
    alike = [
        each
        for each in (MALE if sex == "M" else FEMALE)
        if each[0][0] == given[0][0] and each[0] != given[0] and each[1] != given[1]
    ]
    return chance.choice(alike) if alike else None


def _birthday(chance: random.Random, youngest: int, oldest: int) -> date:
    return TODAY - timedelta(days=int(365.25 * chance.uniform(youngest, oldest)))


_CITIES = tuple(
    (prefecture, city, int(postal))
    for prefecture, city, postal in (
        ("熊本県", "熊本市中央区", "8600"),
        ("熊本県", "八代市", "8660"),
        ("熊本県", "上益城郡益城町", "8612"),
        ("福岡県", "久留米市", "8300"),
        ("福岡県", "福岡市東区", "8120"),
        ("大分県", "日田市", "8770"),
        ("佐賀県", "鳥栖市", "8410"),
        ("宮崎県", "延岡市", "8820"),
    )
)
_TOWN_TAILS = ("町", "原", "川", "山田", "島", "宮", "林", "津", "江", "園")
_TOWNS = tuple(a + b for a in "上下東西南北本新古大中" for b in _TOWN_TAILS)

_QUARTERS = ("", "台", "本町", "新町", "元町", "中央", "緑町", "栄町", "旭町")


def _home(chance: random.Random, towns: int) -> _Home:
    prefecture, city, base = chance.choices(_CITIES, weights=(30, 8, 5, 15, 25, 5, 6, 6))[0]
    town = int(towns * chance.random() ** 1.5)
    numbers: tuple[int, ...] = (chance.randint(1, 9), chance.randint(1, 30), chance.randint(1, 40))
    if chance.random() < 0.3:
        numbers += (chance.choice((101, 102, 103, 201, 202, 203, 301, 305, 401, 502)),)
    landline = f"096{chance.randrange(10**7):07}" if chance.random() < 0.7 else ""
    name = _TOWNS[town % len(_TOWNS)] + _QUARTERS[town // len(_TOWNS)]
    return _Home(prefecture, city, name, f"{base}{town:03}", numbers, landline)


def _policy(chance: random.Random, born: date) -> Insurance:
    if (TODAY - born).days > 75 * 365:
        return Insurance("39131156", "", f"{chance.randrange(10**8):08}")
    if chance.random() < 0.35:
        return Insurance(f"{chance.choice((138016, 430017, 400010)):06}", "", f"{chance.randrange(10**7):07}")
    insurer = chance.choice(("01400018", "01430015", "06400123", "06430021", "31430012", "34400011"))
    return Insurance(insurer, str(chance.randint(1, 9999)), str(chance.randint(1, 99999)))


# --- charts


def _charts(human: _Human, chance: random.Random, rates: Rates) -> Iterator[tuple[int, str, Demographics]]:
    """One to four charts; between two of them life goes on."""
    facilities = chance.sample(range(FACILITIES), chance.choices((1, 2, 3, 4), weights=(40, 35, 18, 7))[0])
    for place, facility in enumerate(facilities):
        newborn = human.kind == "newborn" and place == 0
        yield human.number, f"facility {facility}", _written(human, chance, rates, facility, newborn=newborn)
        human = _later(human, chance, rates)


def _later(human: _Human, chance: random.Random, rates: Rates) -> _Human:
    age = (TODAY - human.born).days / 365
    if human.sex == "F" and 20 < age < 45 and not human.foreign and chance.random() < rates.marriage:
        # Surname, and most often address and insurance, change; birth date, given name and mobile number stay.
        human = replace(human, family=_drawn(FAMILIES, chance))
        if chance.random() < 0.8:
            human = replace(human, home=_home(chance, rates.towns))
        if chance.random() < 0.6:
            human = replace(human, insurance=replace(_policy(chance, human.born), branch="02"))
        return human
    if chance.random() < rates.move:
        home = _home(chance, rates.towns)
        if chance.random() < 0.5:
            home.landline = human.home.landline
        human = replace(human, home=home)
    if age < 75 and chance.random() < rates.insurer_change:
        human = replace(human, insurance=replace(_policy(chance, human.born), branch=human.insurance.branch))
    if human.mobile and chance.random() < rates.new_telephone:
        human = replace(human, mobile=f"070{chance.randrange(10**8):08}")
    return human


def _written(human: _Human, chance: random.Random, rates: Rates, facility: int, *, newborn: bool) -> Demographics:
    return Demographics(
        name=_foreign_name(human, chance, rates, facility)
        if human.foreign
        else _name(human, chance, rates, facility, newborn=newborn),
        birth_date=_birth(human.born, chance, rates),
        sex={"M": "F", "F": "M"}[human.sex] if chance.random() < rates.sex_slip else human.sex,
        addresses=_address(human.home, chance, rates, facility),
        telephones=_telephones(human, chance, rates),
        insurances=_insurance(human.insurance, chance, rates),
    )


_PRINT_VARIANTS = dict(
    zip("高崎徳浜瀬辺斉斎桜沢広真恵国寿竜関滝黒", "髙﨑德濵瀨邊齊齋櫻澤廣眞惠國壽龍關瀧黑", strict=True)
)
_OTHER_CHARACTERS = dict(zip("島富斉斎峰野子", "嶋冨斎斉峯埜子", strict=True))


def _name(human: _Human, chance: random.Random, rates: Rates, facility: int, *, newborn: bool) -> PersonName:
    family, given = human.family, human.given
    if newborn:
        given = chance.choice((("ベビー", "ベビー"), ("新生児", "シンセイジ"), ("女児", "ベビー")))
    kanji = NameParts(_kanji(family[0], chance, rates), _kanji(given[0], chance, rates))
    if chance.random() < rates.other_character and not newborn:
        spellings = [each[0] for each in (MALE if human.sex == "M" else FEMALE) if each[1] == given[1]]
        kanji = NameParts(kanji.family, chance.choice(spellings))
    kana = NameParts(_kana(family[1], chance, rates, facility), _kana(given[1], chance, rates, facility))
    if chance.random() < rates.swapped:
        kanji, kana = NameParts(kanji.given, kanji.family), NameParts(kana.given, kana.family)
    if chance.random() < rates.one_piece:
        kanji, kana = NameParts(kanji.family + kanji.given), NameParts(kana.family + kana.given)
    if chance.random() < rates.no_kana:
        return PersonName(ideographic=kanji)
    return PersonName(phonetic=kana) if chance.random() < rates.no_kanji else PersonName(kanji, kana)


def _kanji(text: str, chance: random.Random, rates: Rates) -> str:
    if chance.random() < rates.print_variant:
        text = "".join(_PRINT_VARIANTS.get(sign, sign) for sign in text)
    if chance.random() < rates.other_character:
        text = "".join(_OTHER_CHARACTERS.get(sign, sign) for sign in text)
    return "〓" + text[1:] if chance.random() < rates.unreadable else text


_SMALL = str.maketrans("ァィゥェォッャュョ", "アイウエオツヤユヨ")
_VOICELESS = str.maketrans("ガギグゲゴザジズゼゾダデドバビブベボ", "カキクケコサシスセソタテトハヒフヘホ")
_KANA = "アイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワン"


def _kana(text: str, chance: random.Random, rates: Rates, facility: int) -> str:
    if facility == 0 or chance.random() < rates.old_kana:
        text = text.translate(_SMALL)
    if chance.random() < rates.kana_slip:
        place = chance.randrange(len(text))
        kinds = (
            text.translate(_VOICELESS),
            text[:place] + text[place + 1 :] if len(text) > 2 else text,
            text[:place] + chance.choice(_KANA) + text[place + 1 :],
            text.replace("ウ", "ー"),
        )
        text = chance.choice(kinds)
    return text


def _foreign_name(human: _Human, chance: random.Random, rates: Rates, facility: int) -> PersonName:
    family, given = human.family, human.given
    words = given[0].split()
    if len(words) > 1 and chance.random() < 0.15:
        given = (words[0], given[1].split()[0])
    latin = NameParts(family[0], given[0])
    if chance.random() < 0.15:
        latin = NameParts(f"{given[0]} {family[0]}")
    kana = NameParts(_kana(family[1], chance, rates, facility), _kana(given[1], chance, rates, facility))
    if facility % 2:
        return PersonName(ideographic=latin, phonetic=kana)
    return PersonName(alphabetic=latin, phonetic=kana if chance.random() < 0.8 else NameParts())


def _birth(born: date, chance: random.Random, rates: Rates) -> str:
    text = f"{born:%Y%m%d}"
    if chance.random() < rates.no_birth:
        return ""
    if chance.random() >= rates.birth_slip:
        return text
    place = chance.choice((2, 3, 5, 7))
    kinds = [
        text[:place] + chance.choice("0123456789") + text[place + 1 :],
        f"{born.year - 63}{text[4:]}" if born.year > 1988 else f"{born.year + 1}{text[4:]}",
        text[:4] + text[6:] + text[4:6] if born.day <= 12 else text[:6] + text[7] + text[6],
    ]
    return chance.choice(kinds)


def _address(home: _Home, chance: random.Random, rates: Rates, facility: int) -> tuple[Address, ...]:
    if chance.random() < rates.no_address:
        return ()
    postal = _digit_slip(home.postal, chance) if chance.random() < rates.postal_slip else home.postal
    numbers = home.numbers if chance.random() < 0.7 else home.numbers[:3]
    if facility % 3 == 0:
        kanji = "一二三四五六七八九"
        room = "".join(f" {each}号室" for each in numbers[3:])
        block = f"{kanji[numbers[0] - 1]}丁目{numbers[1]}番{numbers[2]}号{room}"
    else:
        block = "-".join(map(str, numbers))
    if facility % 3 == 1:
        prefecture = home.prefecture if chance.random() < 0.6 else ""
        return (Address(postal, text=prefecture + home.city + home.town + block),)
    if facility % 3 == 2:
        block = block.translate({ord(str(digit)): chr(0xFF10 + digit) for digit in range(10)} | {ord("-"): "－"})
    return (Address(postal, home.prefecture, home.city, home.town + block),)


def _telephones(human: _Human, chance: random.Random, rates: Rates) -> tuple[str, ...]:
    if chance.random() < rates.no_telephone:
        return ()
    known = [each for each in (human.mobile, human.home.landline) if each]
    if len(known) == 2 and chance.random() < 0.5:
        known = [chance.choice(known)]
    if chance.random() < rates.telephone_slip:
        known = [_digit_slip(each, chance) for each in known]
    return tuple(f"{each[:3]}-{each[3:-4]}-{each[-4:]}" for each in known)


def _insurance(insurance: Insurance, chance: random.Random, rates: Rates) -> tuple[Insurance, ...]:
    if chance.random() < rates.no_insurance:
        return ()
    if chance.random() < rates.no_branch:
        insurance = replace(insurance, branch="")
    if chance.random() < rates.insurance_slip:
        insurance = replace(insurance, number=_digit_slip(insurance.number, chance))
    return (insurance,)


def _digit_slip(text: str, chance: random.Random) -> str:
    place = chance.randrange(len(text))
    return text[:place] + chance.choice("0123456789") + text[place + 1 :]
