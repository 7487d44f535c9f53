"""A list of patients as a hospital exports it."""

from __future__ import annotations

import pytest

from hie.values.errors import ExchangeError, Reason
from hie.values.patients import FeedEvent
from hie.values.people import Address, Insurance, NameParts
from hie.wire.patient_list import COLUMNS, read_heading, read_line


def _read(heading: str, line: str):  # type: ignore[no-untyped-def]
    return read_line(line.split(","), read_heading(heading.split(",")), lambda text: f"read {text}")


def test_a_line_becomes_a_feed() -> None:
    feed = _read(
        "患者番号,姓,名,姓カナ,名カナ,生年月日,性別,郵便番号,都道府県,市区町村,番地,電話番号,携帯電話,保険者番号,記号,番号,枝番",
        "00123,山田,太郎,ヤマダ,タロウ,19500203,男,〒860-0001,熊本県,熊本市中央区,上町1-2-3,096-1,090-2,33120015,12,34,01",
    )
    assert (feed.event, feed.message_id) == (FeedEvent.REGISTER, "")
    assert [(each.value, each.oid) for each in feed.identifiers] == [("00123", "")]
    told = feed.demographics
    assert (told.name.ideographic, told.name.phonetic) == (NameParts("山田", "太郎"), NameParts("ヤマダ", "タロウ"))
    assert (told.birth_date, told.sex, told.telephones) == ("19500203", "M", ("096-1", "090-2"))
    assert told.addresses == (Address("8600001", "熊本県", "熊本市中央区", "上町1-2-3"),)
    assert told.insurances == (Insurance("33120015", "12", "34", "01"),)


def test_an_empty_field_says_nothing() -> None:
    told = _read(",".join(COLUMNS), "1" + "," * (len(COLUMNS) - 1)).demographics
    assert (told.addresses, told.telephones, told.insurances, bool(told.name), told.sex) == ((), (), (), False, "")


@pytest.mark.parametrize(
    ("written", "kept"), [("19500203", "19500203"), ("S25.2.3", "read S25.2.3"), ("19501399", "19501399"), ("", "")]
)
def test_dates_in_eight_digits_stay(written: str, kept: str) -> None:
    assert _read("chart_number,birth_date", f"1,{written}").demographics.birth_date == kept


@pytest.mark.parametrize(
    ("heading", "reason"),
    [
        ("family_name,birth_date", Reason.REQUIRED_MISSING),
        ("chart_number,famly_name", Reason.WRONG_DATA_TYPE),
        ("chart_number,姓,family_name", Reason.WRONG_DATA_TYPE),
    ],
)
def test_a_heading_that_may_lose_something_is_refused(heading: str, reason: Reason) -> None:
    with pytest.raises(ExchangeError) as raised:
        read_heading(heading.split(","))
    assert raised.value.reason is reason


def test_a_list_without_a_heading_is_told_without_its_first_patient() -> None:
    with pytest.raises(ExchangeError) as error:
        read_heading(["000111", "山田", "健一", "19410503", "M"])
    assert "heading" in str(error.value)
    assert not any(said in str(error.value) for said in ("000111", "山田", "19410503"))


@pytest.mark.parametrize("line", ["1,山田", "1,山田,M,x", "1,山田,3", f"1,{'長' * 501},M"])
def test_a_line_that_cannot_be_read(line: str) -> None:
    with pytest.raises(ExchangeError) as raised:
        _read("chart_number,family_name,sex", line)
    assert raised.value.reason is Reason.WRONG_DATA_TYPE
    assert "山田" not in str(raised.value)
