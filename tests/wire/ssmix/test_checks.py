"""Every rule with a message that breaks it, and the message that breaks none."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hie.wire.ssmix import checks
from hie.wire.ssmix.names import read_file_name
from hie.wire.ssmix.rules import RULES, Severity, is_fatal

NAME = "0000000001_20240501_OMP-01_000000000000101_20240501101500100_01_1"
LAB = "0000000001_20240501_OML-11_000000000000210_20240501120000000_01_1"
ADMISSION = "0000000001_20240510_ADT-22_999999999999999_20240510100000000_01_1"
ALLERGY = "0000000001_-_ADT-61_999999999999999_20240501090000200_-_1"

MSH = "MSH|^~\\&|HIS|1319999999|GW|1319999999|20240501101500||{}|M1|P|2.5||||||~ISO IR87||ISO 2022-1994"
PID = "PID|0001||0000000001^^^^PI||架空^花子^^^^^L^I~カクウ^ハナコ^^^^^L^P||19800401|F"
PRESCRIPTION = [
    MSH.format("RDE^O11^RDE_O11"),
    PID,
    "PV1|0001|O",
    "ORC|NW|000000000000101|F1|000000000000101_01_001|||||20240501101500|||D001^医師^一郎",
    "RXE||103835401^薬^HOT9|2||TAB^錠^MR9P|||||42|TAB^錠^MR9P",
    "RXR|PO^口^HL70162",
]
RESULTS = [
    MSH.format("OUL^R22^OUL_R22"),
    PID,
    "SPM|1|S1||023^血清^JC10|||||||||||||20240501083000",
    "OBR|1|000000000000210|F1|100^生化学^99ZL1",
    "ORC|SC|000000000000210",
    "OBX|1|NM|3B035000002327201^AST^JC10||25|U/L^U/L^ISO+|||||F",
]
ADMITTED = [
    MSH.format("ADT^A01^ADT_A01"),
    "EVN||20240510100000",
    PID,
    "PV1|0001|I|32^302^1" + "|" * 41 + "20240510100000",
]
ALLERGIES = [
    MSH.format("ADT^A60^ADT_A60"),
    "EVN||20240501090000",
    PID,
    "IAM|1|DA|106824501^薬^HOT9|MO|発疹|A^追加^HL70323",
]


def encode(lines: list[str]) -> bytes:
    return ("\r".join(lines) + "\r").encode("iso2022_jp")


def found(name: str, raw: bytes) -> set[str]:
    parsed = read_file_name(name)
    assert parsed is not None
    message, deviations = checks.read_message(raw)
    if message is not None:
        deviations += checks.check(parsed, message, raw, lambda value: value.lstrip("0"))
    return {each.rule for each in deviations}


def changed(lines: list[str], number: int, old: str, new: str) -> bytes:
    assert old in lines[number]
    return encode([line.replace(old, new) if at == number else line for at, line in enumerate(lines)])


@pytest.mark.parametrize(
    ("name", "lines"), [(NAME, PRESCRIPTION), (LAB, RESULTS), (ADMISSION, ADMITTED), (ALLERGY, ALLERGIES)]
)
def test_a_correct_message_breaks_no_rule(name: str, lines: list[str]) -> None:
    assert found(name, encode(lines)) == set()


BROKEN = [
    ("ENC-02", NAME, ("\r".join(PRESCRIPTION) + "\r").encode("utf-8")),
    ("ENC-01", NAME, ("\r".join(PRESCRIPTION) + "\r").encode("utf-8")),
    ("ENC-03", NAME, encode(PRESCRIPTION).replace(b"\x1b(B^\x1b$B", b"^\x1b$B", 1)),
    ("ENC-04", NAME, encode(PRESCRIPTION).replace("薬".encode("iso2022_jp"), b"\x1b$B-!\x1b(B")),
    ("TERM-01", NAME, encode(PRESCRIPTION).replace(b"\r", b"\n")),
    ("TERM-01", NAME, encode(PRESCRIPTION).replace(b"\r", b"\r\n")),
    ("TERM-02", NAME, b"\x0b" + encode(PRESCRIPTION) + b"\x1c\r"),
    ("TERM-02", NAME, encode(PRESCRIPTION) + b"\x1c"),
    ("TERM-03", NAME, encode(PRESCRIPTION)[:-1]),
    ("TERM-03", NAME, encode(PRESCRIPTION) + b"\r\r"),
    ("TERM-04", LAB, encode([*RESULTS[:4], RESULTS[4] + RESULTS[5]])),
    ("MSH-01", NAME, b""),
    ("MSH-01", NAME, b"\r\n"),
    ("MSH-01", NAME, b"PID|1\r"),
    ("OWN-03", NAME, b"MSH\r"),
    ("MSH-02", NAME, changed(PRESCRIPTION, 0, "RDE^O11", "OMG^O19")),
    ("MSH-03", NAME, changed(PRESCRIPTION, 0, "|2.5|", "|2.3|")),
    ("ID-01", NAME, changed(PRESCRIPTION, 1, "0000000001", "0000000002")),
    ("ID-02", NAME, changed(PRESCRIPTION, 1, "0000000001", "1")),
    ("ID-03", NAME, changed(PRESCRIPTION, 3, "NW|000000000000101", "NW|000000000000102")),
    ("ID-04", NAME, encode([*PRESCRIPTION[:2], PID, *PRESCRIPTION[2:]])),
    ("DATE-01", NAME, changed(PRESCRIPTION, 3, "20240501101500", "20240502101500")),
    ("DATE-01", LAB, changed(RESULTS, 2, "20240501083000", "20240430083000")),
    ("LIFE-03", NAME, changed(PRESCRIPTION, 3, "NW", "CA")),
    ("LIFE-03", ADMISSION, changed(ADMITTED, 0, "ADT^A01^ADT_A01", "ADT^A11^ADT_A09")),
    ("SEG-01", NAME, encode(PRESCRIPTION[:4])),
    ("SEG-02", LAB, encode([*RESULTS[:2], RESULTS[5], *RESULTS[2:5]])),
    ("SEG-02", NAME, encode([*PRESCRIPTION[:3], PRESCRIPTION[4], PRESCRIPTION[3], PRESCRIPTION[5]])),
    ("SEG-03", NAME, encode([*PRESCRIPTION, "ZGW|1"])),
    ("FLD-01", NAME, changed(PRESCRIPTION, 1, "19800401", "")),
    ("FLD-02", NAME, changed(PRESCRIPTION, 4, "|42|", "|ABC|")),
    ("FLD-03", ALLERGY, encode([*ALLERGIES[:3], ALLERGIES[3] + "|||||小学校低学年の頃"])),
    ("FLD-03", NAME, changed(PRESCRIPTION, 1, "19800401", "19801301")),
    ("FLD-04", NAME, changed(PRESCRIPTION, 0, "|M1|", "|M12345678901234567890123|")),
    ("VAL-01", LAB, changed(RESULTS, 5, "|25|", "|陽性|")),
    ("VAL-01", LAB, changed(RESULTS, 5, "|NM|", "||")),
    ("VAL-02", LAB, changed(RESULTS, 5, "|25|", "|<0.10|")),
    ("VAL-02", LAB, changed(RESULTS, 5, "|25|", "| 25 |")),
    ("CODE-01", LAB, changed(RESULTS, 5, "3B035000002327201^AST^JC10", "1001^AST^99ZL1")),
    ("CODE-02", LAB, changed(RESULTS, 5, "3B035000002327201", "3B0350000023272")),
    ("CODE-02", NAME, changed(PRESCRIPTION, 4, "103835401", "620007329")),
    ("CODE-03", LAB, changed(RESULTS, 5, "U/L^U/L", "個/視野^個/視野")),
]


@pytest.mark.parametrize(
    ("rule", "name", "raw"), BROKEN, ids=[f"{rule}-{at}" for at, (rule, _, _) in enumerate(BROKEN)]
)
def test_a_broken_message_breaks_its_rule(rule: str, name: str, raw: bytes) -> None:
    assert rule in found(name, raw)


CONTENT_RULES = {rule for rule in RULES if rule.split("-")[0] not in ("PATH", "LIFE", "EXT", "TR", "OWN")}


def test_every_rule_of_content_has_its_case() -> None:
    assert {rule for rule, _, _ in BROKEN} >= CONTENT_RULES


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("3B035000002327201^AST^JC10", "1001^AST^99ZL1^3B035000002327201^AST^JC10"),
        ("|25|", "|135.|"),
        ("|25|", "|+0.1|"),
        ("|25|", "|1,234|"),
        ("|25|", "|１２|"),
        ("|25|", '|""|'),
        ("|25|", "||"),
    ],
)
def test_common_spellings_break_no_rule(old: str, new: str) -> None:
    assert found(LAB, changed(RESULTS, 5, old, new)) == set()


def test_ward_hours_belong_to_the_next_day() -> None:
    assert checks.calendar_date("202404302530") == "20240501"
    assert checks.calendar_date("202404304830") == ""
    assert found(NAME, changed(PRESCRIPTION, 3, "20240501101500", "202404302530")) == set()


def test_a_segment_name_between_delimiters_is_a_value() -> None:
    raw = changed(PRESCRIPTION, 4, "薬", "OBX")
    assert "TERM-04" not in found(NAME, raw)


def test_glued_segments_are_parted() -> None:
    message, deviations = checks.read_message(encode([*RESULTS[:4], RESULTS[4] + RESULTS[5]]))
    assert message is not None
    assert [segment.name for segment in message.segments][-2:] == ["ORC", "OBX"]
    assert [each.rule for each in deviations] == ["TERM-04"]


def test_a_deviation_carries_no_value() -> None:
    parsed = read_file_name(NAME)
    assert parsed is not None
    for _, name, raw in BROKEN:
        parsed = read_file_name(name)
        message, _ = checks.read_message(raw)
        if message is not None and parsed is not None:
            places = {each.place for each in checks.check(parsed, message, raw)}
            assert not any("花子" in place or "0000000001" in place for place in places)


def test_only_errors_keep_a_file_out() -> None:
    assert {rule.id for rule in RULES.values() if rule.severity is Severity.ERROR} == {
        *("PATH-02", "PATH-09", "MSH-01", "ID-01", "ID-04"),
        *("OWN-01", "OWN-02", "OWN-03", "OWN-04", "OWN-05", "OWN-08"),
    }
    assert all(rule.en.endswith(".") and rule.ja.endswith("。") for rule in RULES.values())
    assert not is_fatal([])


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 400))
def test_no_bytes_raise(noise: bytes, at: int) -> None:
    raw = encode(RESULTS)
    found(LAB, raw[:at] + noise + raw[at:])
