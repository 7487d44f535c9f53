"""One spelling for what is the same."""

from __future__ import annotations

import pytest

from apps.pix.matching import birth_date, kana_key, kana_sound, kanji_suggestions, latin_key, telephone_key
from apps.pix.matching.normalisation import address_parts, baby_family, birth_as_written, is_latin
from hie.values.people import Address


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("19550503", "19550503"),
        ("195505031230+0900", "19550503"),
        ("1955/5/3", "19550503"),
        ("S30.5.3", "19550503"),
        ("昭和30年5月3日", "19550503"),
        ("昭30", "1955"),
        ("S300503", "19550503"),
        ("3300503", "19550503"),
        ("令和元年5月1日", "20190501"),
        ("平成31年4月30日", "20190430"),
        ("S64.1.7", "19890107"),
        ("H1.1.8", "19890108"),
        ("大正15年12月24日", "19261224"),
        ("昭和1年12月25日", "19261225"),
        ("明治45年7月29日", "19120729"),
        ("昭和30年5月0日", "195505"),
        ("19550500", "195505"),
        ("195505", "195505"),
        ("1955", "1955"),
        ("19551345", "1955"),
        ("19000101", ""),
        ("unknown", ""),
        ("", ""),
    ],
)
def test_a_birth_date_is_read_as_far_as_it_is_known(written: str, read: str) -> None:
    assert birth_date(written) == read


def test_a_mistyped_day_keeps_its_digits_for_comparison() -> None:
    assert birth_as_written("19551345") == "19551345"
    assert birth_as_written("19550500") == "195505"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ヤマダ", "ヤマタ"),
        ("オオノ", "オノ"),
        ("ユウコ", "ユコ"),
        ("ミヅキ", "ミズキ"),
        ("ヴィトウ", "ビトウ"),
        ("ケイコ", "ケコ"),
    ],
)
def test_names_of_one_sound_share_the_loose_key(one: str, other: str) -> None:
    assert kana_sound(kana_key(one)) == kana_sound(kana_key(other))
    assert kana_key(one) != kana_key(other)


def test_kana_of_other_names_sound_different() -> None:
    assert kana_sound("ケンジ") != kana_sound("ケンイチ")


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("Nguyễn Văn An", "NGUYEN VAN AN"),
        ("ＳＭＩＴＨ", "SMITH"),
        ("O'Connor", "OCONNOR"),
        ("Jean-Paul", "JEAN PAUL"),
        ("", ""),
    ],
)
def test_latin_names_lose_accents_and_case(written: str, key: str) -> None:
    assert latin_key(written) == key


def test_latin_letters_are_known_wherever_they_stand() -> None:
    assert is_latin("ＮＧＵＹＥＮ")
    assert not is_latin("グエン")
    assert not is_latin("・")


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("090-1234-5678", "09012345678"),
        ("＋81 90 1234 5678", "09012345678"),
        ("+81 (0)90-1234-5678", "09012345678"),
        ("096（324）5501", "0963245501"),
        ("000-0000-0000", ""),
        ("1234", ""),
    ],
)
def test_a_telephone_number_is_its_digits(written: str, key: str) -> None:
    assert telephone_key(written) == key


@pytest.mark.parametrize(
    "address",
    [
        Address("860-0001", "熊本県", "熊本市中央区", "上町一丁目2番3号 101号室"),
        Address("8600001", text="熊本県熊本市中央区上町１－２－３－１０１"),
        Address("8600001", text="熊本県 熊本市中央区 大字上町1丁目2番地3の101"),
        Address("8600001", "熊本県", "熊本市中央区", "上町1-2-3-101"),
    ],
)
def test_ways_of_writing_one_address_read_alike(address: Address) -> None:
    assert address_parts(address) == ("8600001", "熊本県", "熊本市中央区", "上町", ("1", "2", "3", "101"))


def test_an_address_without_prefecture_still_has_its_city() -> None:
    assert address_parts(Address(text="上益城郡益城町宮園702"))[1:] == ("", "上益城郡益城町", "宮園", ("702",))


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("山田ベビー", "山田"),
        ("ベビー", ""),
        ("新生児", ""),
        ("ヤマダ　ベビー2", "ヤマダ"),
        ("花子の児", ""),
        ("山田花子ノ第２児", ""),
        ("ハナコノジ", ""),
        ("第1児", ""),
        ("Ⅱ児", ""),
        ("児", ""),
        ("山田花子", None),
        ("健児", None),
        ("山田健児", None),
        ("ノジ", None),
    ],
)
def test_a_stand_in_for_a_babys_name_leaves_the_surname(name: str, family: str | None) -> None:
    assert baby_family(name) == family


def test_suggested_variants_lead_to_one_character() -> None:
    table = kanji_suggestions()
    assert "嶋田".translate(table) == "島田".translate(table)
    assert "斎藤".translate(table) == "斉藤".translate(table)
