"""File and folder names: what is read, which rule each oddity breaks, and that no byte of a path is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hie.wire.ssmix.names import (
    check_location,
    is_foreign,
    path_bytes,
    path_text,
    read_content_folder,
    read_file_name,
    shown,
)
from hie.wire.ssmix.rules import Severity

CLEAN = "0123456789_20240501_OMP-01_000000000000101_20240501101500100_01_1"


def rules_of(name: str) -> set[str]:
    read = read_file_name(name)
    assert read is not None
    return {each.rule for each in read.deviations}


def test_the_strict_form() -> None:
    read = read_file_name(CLEAN)
    assert read is not None
    assert (read.patient_id, read.care_date, read.data_type) == ("0123456789", "20240501", "OMP-01")
    assert (read.order_number, read.written_at) == ("000000000000101", "20240501101500100")
    assert (read.department, read.flag, read.stem) == ("01", "1", CLEAN[:-1])
    assert read.deviations == ()
    assert read.key == ("0123456789", "20240501", "OMP-01", "000000000000101")
    assert read.month == "202405"


@pytest.mark.parametrize(
    ("name", "rules"),
    [
        (CLEAN, set()),
        ("0123456789_-_ADT-00_999999999999999_20240501090000123_-_1", set()),
        ("1234567-000000_20240501_OMD_000000000000101_20240501101500100_012_2", set()),
        ("0123456789_20240501_OMP-01_000000000000101_20240501101500100_1", {"PATH-01"}),
        ("0123456789_-_ADT-00_999999999999999_ 20140111135649314_-_1", {"PATH-01"}),
        ("0123456789_20240501_OML-12_000000000000101_20240501101500100_01_1", {"PATH-04"}),
        ("0123456789_-_OML-11_000000000000101_20240501101500100_01_1", {"PATH-05"}),
        ("0123456789_20240501_PPR-01_999999999999999_20240501101500100_01_1", {"PATH-05"}),
        ("0123456789_20240231_OMP-01_000000000000101_20240501101500100_01_1", {"PATH-05"}),
        ("0123456789_20240501_OMG-11_2011122000300_20240501101500100_01_1", {"PATH-06"}),
        ("0123456789_20240501_OMP-01_000000000000101_202405011015_01_1", {"PATH-07"}),
        ("0123456789_20240501_OMP-01_000000000000101_20240501251500100_01_1", {"PATH-07"}),
        ("0123456789_20240501_OMP-01_000000000000101_20240501101500100_ZZ_1", {"PATH-08"}),
        ("0123456789_20240501_OMP-01_000000000000101_20240501101500100_01_3", {"PATH-09"}),
        ("0123456789_20240501_OMP-01_000000000000101_20240501101500100_01_1.txt", {"PATH-11"}),
        ("0123456789_20240501_OMP-01_999999999999999_20240501101500100_01_1", {"LIFE-04"}),
        ("0123456789_20240501_OMG-13_999999999999999_20240501101500100_01_1", set()),
    ],
)
def test_each_oddity_breaks_its_rule(name: str, rules: set[str]) -> None:
    assert rules_of(name) == rules


def test_an_impossible_date_keeps_a_file_out_and_an_unusual_one_does_not() -> None:
    impossible = read_file_name("0123456789_20240231_OMP-01_000000000000101_20240501101500100_01_1")
    unusual = read_file_name("0123456789_-_OMP-01_000000000000101_20240501101500100_01_1")
    assert impossible is not None
    assert unusual is not None
    assert [each.severity for each in impossible.deviations] == [Severity.ERROR]
    assert [each.severity for each in unusual.deviations] == [Severity.WARNING]


@pytest.mark.parametrize("name", ["Thumbs.db", ".DS_Store", "note.txt", "a_b_c", "", "_1", "______"])
def test_what_is_no_name_at_all(name: str) -> None:
    assert read_file_name(name) is None


@pytest.mark.parametrize(("name", "foreign"), [("Thumbs.db", True), ("~$x", True), ("x.tmp", True), (CLEAN, False)])
def test_foreign_names(name: str, foreign: bool) -> None:
    assert is_foreign(name) is foreign


def test_short_times_are_padded_and_order_numbers_compare_padded() -> None:
    read = read_file_name("0123456789_20240501_OMG-11_2011122000300_202405011015_24_1")
    assert read is not None
    assert read.written_at == "20240501101500000"
    assert read.key[3] == "002011122000300"


@pytest.mark.parametrize("flag", ["0", "1", "2"])
@pytest.mark.parametrize("suffix", ["", ".txt", ".HL7"])
def test_a_rename_of_the_flag_leaves_the_stem(flag: str, suffix: str) -> None:
    read = read_file_name(CLEAN[:-1] + flag + suffix)
    one = read_file_name(CLEAN + suffix)
    assert read is not None
    assert one is not None
    assert read.flag == flag
    assert read.stem == one.stem


@pytest.mark.parametrize(
    ("folders", "rules"),
    [
        (("012", "345", "0123456789", "20240501", "OMP-01"), set()),
        (("0123456789", "20240501", "OMP-01"), {"PATH-03"}),
        (("012", "345", "0123456780", "20240501", "OMP-01"), {"PATH-02"}),
        (("012", "345", "0123456789", "20240502", "OMP-01"), {"PATH-02"}),
        (("012", "345", "0123456789", "20240501", "OMP-02"), {"PATH-02"}),
        ((), {"PATH-02"}),
    ],
)
def test_names_against_their_folders(folders: tuple[str, ...], rules: set[str]) -> None:
    read = read_file_name(CLEAN)
    assert read is not None
    assert {each.rule for each in check_location(read, folders)} == rules


KIND = "L-OBSERVATIONS^OBSERVATIONS^99ZL01"


@pytest.mark.parametrize(
    ("name", "key", "written_at", "department", "flag"),
    [
        (
            f"0123456789_20160101_{KIND}_000000020160101_201601011500321_1",
            "000000020160101",
            "20160101150032100",
            "-",
            "1",
        ),
        ("0123456789_20160101_L-OBSERVATIONS_a.b_20160101150032123_01_2", "a.b", "20160101150032123", "01", "2"),
        ("0123456789_-_L-OBSERVATIONS_...1002_20160101150032_-_0", "...1002", "20160101150032000", "-", "0"),
    ],
)
def test_content_folders(name: str, key: str, written_at: str, department: str, flag: str) -> None:
    read = read_content_folder(name, KIND)
    assert read is not None
    assert (read.order_number, read.written_at, read.department, read.flag) == (key, written_at, department, flag)
    assert read.data_type == KIND
    assert read.stem == name[:-1]


@pytest.mark.parametrize(
    "name", ["images", "0123456789_20160101_X_1", "a_b_c_d_e_f_1", "p_20160101_X_k_20160101150032_01_9"]
)
def test_what_is_no_content_folder(name: str) -> None:
    assert read_content_folder(name, KIND) is None


@given(st.binary(min_size=1, max_size=60).filter(lambda raw: b"\0" not in raw and b"/" not in raw))
def test_no_byte_of_a_path_is_lost(raw: bytes) -> None:
    text = path_text(raw)
    assert path_bytes(text) == raw
    text.encode("utf-8")  # a database takes it


def test_a_name_from_a_cp932_archive_is_shown_as_it_was_meant() -> None:
    assert shown(path_text("経過記録".encode("cp932"))) == "経過記録"
    assert shown(path_text("経過記録".encode())) == "経過記録"


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused_and_never_raises(name: str) -> None:
    read = read_file_name(name)
    read_content_folder(name, KIND)
    if read is not None:
        check_location(read, ("012", "345", "0123456789", "20240501", "OMP-01"))
        assert read.key[0] == read.patient_id


@pytest.mark.parametrize(
    ("name", "foreign"),
    [
        (".DS_Store", True),
        ("~$メモ.docx", True),
        ("#1#", True),
        ("Thumbs.DB", True),
        ("desktop.ini", True),
        ("desktop.ini.1", False),
        (f"{'x' * 200}.filepart", True),
        (f"{'x' * 200}.TMP", True),
        ("a.tmp\n", True),
        ("a.filepart\n", True),
        ("~", True),
        ("a~", True),
        ("a.tmp.1", False),
        ("0000010001_20240501_OMP-01_000000000000101_20240501101500100_01_1", False),
        ("", False),
    ],
)
def test_what_does_not_belong_to_a_storage_is_told_by_both_ends_of_its_name(name: str, foreign: bool) -> None:
    assert is_foreign(name) is foreign
