"""National numbers are found without refusing what only looks like one."""

from __future__ import annotations

import random

import pytest

from apps.ids.rules import check_digit_fits, detect_national_number

MY_NUMBERS = ("983205673214", "379474484458", "454972364860", "123456789018", "621498320257")
RESIDENT_CODES = ("24727059608", "24846016224")


@pytest.mark.parametrize("digits", MY_NUMBERS + RESIDENT_CODES)
def test_published_samples_pass_the_check_digit(digits: str) -> None:
    assert check_digit_fits(digits)
    assert not check_digit_fits(digits[:-1] + str((int(digits[-1]) + 1) % 10))


def test_one_random_number_in_ten_passes() -> None:
    chance = random.Random(7)
    passed = sum(check_digit_fits(f"{chance.randrange(10**12):012}") for _ in range(20_000))
    assert 0.09 < passed / 20_000 < 0.11


@pytest.mark.parametrize(
    ("text", "field", "score"),
    [
        ("983205673214", "identifier", 1),
        ("983205673215", "identifier", None),
        ("マイナンバー 9832-0567-3214", "identifier", 3),
        ("９８３２－０５６７－３２１４ 個人番号", "address", 3),
        ("983205673214", "identifier NNJPN ", 3),
        ("山田 983205673214", "name", 3),
        ("983205673214", "telephone", None),
        ("+81 9832 0567 3214 1", "telephone", None),
        ("1983205673214", "identifier", None),
        ("98320567321", "identifier", None),
        ("24727059608", "identifier", None),
        ("住民票コード 24727059608", "identifier", 3),
        ("住民票コード 24727059609", "identifier", None),
        ("000111", "identifier", None),
        ("東京都千代田区1-2-3", "address", None),
    ],
)
def test_detection(text: str, field: str, score: int | None) -> None:
    found = detect_national_number(text, field)
    assert (found.score if found else None) == score
    assert found is None or found.refused is (score == 3)


@pytest.mark.parametrize("digits", MY_NUMBERS)
def test_a_finding_never_carries_the_digits(digits: str) -> None:
    found = detect_national_number(f"個人番号{digits}", "address")
    assert found is not None
    assert digits not in repr(found)
