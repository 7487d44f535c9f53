"""The hardened parser: what it takes, what it refuses, and that it never repeats what it read."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from hie.values.errors import ExchangeError, Reason
from hie.wire.xml import MAX_ELEMENTS, escape, parse

BOMB = (
    b'<!DOCTYPE a [<!ENTITY x0 "secret">'
    + b"".join(b'<!ENTITY x%d "%s">' % (level + 1, b"&x%d;" % level * 10) for level in range(12))
    + b"]><a>&x12;</a>"
)

READABLE = {
    "plain": "<a>山</a>".encode(),
    "declared": '<?xml version="1.0" encoding="UTF-8"?><a>山</a>'.encode(),
    "mark": b"\xef\xbb\xbf" + '<?xml version="1.0" encoding="utf-8"?><a>山</a>'.encode(),
    "utf-16": '<?xml version="1.0" encoding="UTF-16"?><a>山</a>'.encode("utf-16"),
    "utf-16 without mark": "<a>山</a>".encode("utf-16-be"),
    "shift_jis": '<?xml version="1.0" encoding="Shift_JIS"?><a>山</a>'.encode("cp932"),
    "iso-2022-jp": '<?xml version="1.0" encoding="ISO-2022-JP"?><a>山</a>'.encode("iso2022_jp"),
    "euc-jp": "<?xml version='1.0' encoding='EUC-JP'?><a>山</a>".encode("euc_jp"),
    "comment": "<a><!-- x -->山<!-- y --></a>".encode(),
    "instruction": "<a><?x y?>山</a>".encode(),
    "doctype in text": "<a>山<![CDATA[]]></a>".encode(),
}


@pytest.mark.parametrize("case", READABLE)
def test_readable(case):
    assert parse(READABLE[case]).text == "山"


def test_comment_does_not_split_a_text():
    assert parse(b"<a>adm<!-- -->in</a>").text == "admin"


UNREADABLE = {
    "empty": (b"", "no document"),
    "blank": (b"  \n ", "no document"),
    "not closed": (b"<a><b>", "ends inside"),
    "mismatch": (b"<a>\n<secret></a>", "line 2"),
    "two roots": (b"<a/><b/>", "after the end"),
    "document type": (b"<!DOCTYPE a><a/>", "document type"),
    "internal entity": (b'<!DOCTYPE a [<!ENTITY x "secret">]><a>&x;</a>', "document type"),
    "external entity": (b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', "document type"),
    "parameter entity": (b'<!DOCTYPE a SYSTEM "http://127.0.0.1/secret"><a/>', "document type"),
    "bomb": (BOMB, "document type"),
    "entity unknown": (b"<a>&secret;</a>", "entities"),
    "prefix": (b"<secret:a/>", "prefix"),
    "control character": (b"<a>\x01</a>", "character"),
    "not utf-8": (b"<a>\xff</a>", "encoding"),
    "not shift_jis": (b'<?xml version="1.0" encoding="Shift_JIS"?><a>\x81</a>', "encoding"),
    "utf-7": (b'<?xml version="1.0" encoding="UTF-7"?><a>+ADw-</a>', "encoding"),
    "long and cut": (b"<a>" + b"<b/>" * 20_000, "ends inside"),
    "deep": (b"<a>" * 300 + b"</a>" * 300, "depth"),
    "attribute twice": (b'<a b="1" b="2"/>', "twice"),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_unreadable_names_line_and_rule_and_no_content(case):
    raw, words = UNREADABLE[case]
    started = time.perf_counter()
    with pytest.raises(ExchangeError) as caught:
        parse(raw)
    assert caught.value.reason is Reason.UNREADABLE
    assert words in caught.value.detail
    assert "secret" not in caught.value.detail
    assert time.perf_counter() - started < 1


TOO_LARGE = {
    "bytes": (b"<a>" + b"x" * 1000 + b"</a>", 1000),
    "elements": (b"<a>" + b"<b/>" * (2 * MAX_ELEMENTS) + b"</a>", 1 << 30),
    "attributes": (b"<a " + b" ".join(b'a%d=""' % at for at in range(500_001)) + b"/>", 1 << 30),
}


@pytest.mark.parametrize("case", TOO_LARGE)
def test_too_large(case):
    raw, limit = TOO_LARGE[case]
    with pytest.raises(ExchangeError) as caught:
        parse(raw, limit)
    assert caught.value.reason is Reason.TOO_LARGE


def resident_megabytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 // (1 << 20)


def test_invented_names_are_forgotten():
    """A thread's dictionary of names only ever grows: documents full of new names must not reach it."""
    before = resident_megabytes()
    for document in range(20):
        names = b"".join(b"<n%d.%d.%s/>" % (document, number, b"x" * 60) for number in range(20_000))
        assert len(parse(b"<a>" + names + b"</a>")) == 20_000
    assert resident_megabytes() - before < 20


@pytest.mark.parametrize("text", ["<&>\"'", "山\u0000本", "a\rb\tc\nd", "\ud800", "𠮷"])
def test_escaped_text_can_be_read_back(text):
    expected = text.replace("\u0000", "\ufffd").replace("\ud800", "\ufffd")
    assert parse(f"<a>{escape(text)}</a>".encode()).text == expected
    assert parse(f'<a b="{escape("<&>")}"/>'.encode()).get("b") == "<&>"
