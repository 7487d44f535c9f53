"""Character sets: what Japanese systems really send, read without losing or splitting a character."""

import importlib.util

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hie.wire.hl7v2.charset import JIS, RULES, decode, encode, lost, name_of
from tests.conformance import CONFORMANCE, needs_conformance

TO_JIS, TO_ASCII = b"\x1b$B", b"\x1b(B"


@pytest.mark.parametrize(
    ("raw", "text", "charset", "warnings"),
    [
        (b"plain", "plain", "ASCII", ()),
        (TO_JIS + b";3K\\" + TO_ASCII, "山本", JIS, ()),
        (TO_JIS + b";3K\\\x1b(J^~\\&", "山本^~\\&", JIS, ("ENC-04",)),
        (TO_JIS + b"|b" + TO_ASCII, "髙", JIS, ("ENC-04",)),
        (TO_JIS + b"-!" + TO_ASCII, "①", JIS, ("ENC-04",)),
        (TO_JIS + b"\x7f\x21" + TO_ASCII, "\ufffd", JIS, ("ENC-03",)),
        (TO_JIS + b"u!" + TO_ASCII, "〓", JIS, ("ENC-03", "ENC-04")),
        (b"\x1b(I3^" + TO_ASCII + b"^", "ｳﾞ^", JIS, ("ENC-04",)),
        (TO_JIS + b";3K\\\rPV1|1", "山本\rPV1|1", JIS, ()),
        (TO_JIS + b";3K\\^" + TO_JIS + b"$^" + TO_ASCII, "山本^ま", JIS, ("ENC-03",)),
        (TO_JIS + b"!A" + TO_ASCII, "\u301c", JIS, ()),
        (b"\x1b$(D0!" + TO_ASCII, "丂", JIS, ("ENC-04",)),
        (TO_JIS + b";3" + TO_ASCII + b"\xb3\xff", "山ｳ\ufffd", JIS, ("ENC-03",)),
        ("山本".encode(), "山本", "UNICODE UTF-8", ()),
        (b"\xef\xbb\xbf" + "山本".encode(), "山本", "UNICODE UTF-8", ()),
        ("山本髙".encode("cp932"), "山本髙", "SHIFT_JIS", ()),
        ("山本まり".encode("euc_jp"), "山本まり", "EUC-JP", ()),
    ],
)
def test_bytes_decide_how_a_message_is_read(raw, text, charset, warnings):
    decoded = decode(raw, charset)
    assert (decoded.text, decoded.charset, decoded.warnings) == (text, charset, warnings)


@pytest.mark.parametrize(
    ("raw", "declared", "warnings"),
    [
        ("山".encode(), "~ISO IR87", ("ENC-01", "ENC-02")),
        ("山".encode("iso2022_jp"), "UNICODE UTF-8", ("ENC-01",)),
        ("山".encode("iso2022_jp"), "", ("ENC-01",)),
        (b"ascii is part of every set", "~ISO IR87", ()),
    ],
)
def test_a_label_that_lies_is_flagged(raw, declared, warnings):
    assert decode(raw, declared).warnings == warnings
    assert set(warnings) <= set(RULES)


@pytest.mark.parametrize("declared", ["UNICODE UTF-8", ""])
def test_one_unreadable_character_of_utf_8_costs_no_other(declared):
    raw = "山本|まり".encode().replace("本".encode(), "本".encode()[:2])
    decoded = decode(raw, declared)
    assert (decoded.text, decoded.charset) == ("山\ufffd|まり", "UNICODE UTF-8")
    assert "ENC-03" in decoded.warnings


@pytest.mark.parametrize("codec", ["cp932", "euc_jp"])
def test_another_set_is_not_taken_for_damaged_utf_8(codec):
    text = "山本まり|健一 検査部 診療情報提供書"
    assert decode(text.encode(codec), "UNICODE UTF-8").text == text


def test_a_latin_set_is_believed_when_it_is_declared():
    assert decode("Müller".encode("latin-1"), "8859/1").text == "Müller"


@pytest.mark.parametrize(
    ("declared", "name"),
    [
        ("~ISO IR87", "ISO IR87"),
        ("~ISOIR87 ", "ISO IR87"),
        ("UNICODE UTF-8", "UNICODE UTF-8"),
        ("ASCII", "ASCII"),
        ("", ""),
        ("8859/1", "8859/1"),
        ("KLINGON", ""),
    ],
)
def test_the_spellings_of_msh_18(declared, name):
    assert name_of(declared) == name


@pytest.mark.parametrize(
    ("text", "charset", "written", "missing"),
    [
        ("山|本", JIS, TO_JIS + b";3" + TO_ASCII + b"|" + TO_JIS + b"K\\" + TO_ASCII, ""),
        ("ｶﾞ", JIS, "ガ".encode("iso2022_jp"), ""),
        ("～−", JIS, "〜−".encode("iso2022_jp"), ""),
        ("¥", JIS, "￥".encode("iso2022_jp"), ""),
        ("髙𠮷", JIS, "〓〓".encode("iso2022_jp"), "髙𠮷"),
        ("髙", "UNICODE UTF-8", "髙".encode(), ""),
        ("〜", "SHIFT_JIS", b"\x81\x60", ""),
        ("山", "ASCII", b"?", "山"),
    ],
)
def test_an_answer_is_written_in_the_set_that_was_asked_for(text, charset, written, missing):
    assert encode(text, charset) == written
    assert lost(text, charset) == missing


def test_every_jis_character_survives_being_written_and_read():
    for row in [*range(1, 9), *range(16, 85)]:
        text = b"".join(bytes((row + 0x20, cell + 0x20)) for cell in range(1, 95)).decode("latin-1")
        assigned = decode(TO_JIS + text.encode("latin-1") + TO_ASCII).text.replace("〓", "")
        assert decode(encode(assigned, JIS), JIS).text == assigned


@given(st.binary(max_size=200))
def test_nothing_raises(raw):
    decoded = decode(raw)
    encode(decoded.text, decoded.charset)


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_nothing_raises_inside_two_byte_text(before, inside):
    decode(before.replace(b"\x80", b"") + TO_JIS + inside)


@needs_conformance
def test_the_reference_decoder_reads_every_storage_file_the_same():
    place = CONFORMANCE / "ssmix2" / "ref_decode.py"
    spec = importlib.util.spec_from_file_location("ref_decode", place)
    reference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reference)
    files = [path for path in place.parent.rglob("*") if path.is_file() and path.suffix not in (".py", ".tsv", ".csv")]
    assert len(files) > 1000
    for path in files:
        raw = path.read_bytes()
        text, _, rules = reference.decode(raw)
        decoded = decode(raw.lstrip(b"\x0b").rstrip(b"\x1c\x00\r\n"))
        assert decoded.text == text, path
        assert set(decoded.warnings) - {"ENC-01", "ENC-02"} == rules - {"ENC-01", "ENC-02"}, path
