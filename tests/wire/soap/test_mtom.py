"""The multipart scanner: any content, cut anywhere; every defect named; no file left behind."""

from __future__ import annotations

import base64
import hashlib
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from lxml import etree

from hie.values.errors import ExchangeError, Reason
from hie.wire.soap.envelope import Attachment, SoapMessage
from hie.wire.soap.mtom import (
    Limits,
    Multipart,
    content_of,
    include,
    media_type,
    read_multipart,
    write_inlined,
    write_multipart,
)
from hie.wire.soap.spool import Spool

LIMITS = Limits(root=10_000, document=100_000, documents=150_000, parts=6, headers=500)
TYPE = 'multipart/related; type="application/xop+xml"; boundary="b"; start="<root>"'


def take_apart(raw: bytes, tmp_path, content_type: str = TYPE, cuts: tuple[int, ...] = ()) -> tuple[Multipart, Spool]:
    spool = Spool(tmp_path)
    edges = [0, *sorted(cut % (len(raw) + 1) for cut in cuts), len(raw)]
    pieces = [raw[begin:end] for begin, end in pairwise(edges)]
    return read_multipart(content_type, pieces, spool, LIMITS), spool


def message(*parts: tuple[str, bytes], end: bytes = b"\r\n--b--\r\n") -> bytes:
    return b"".join(b"\r\n--b\r\n" + head.encode() + b"\r\n\r\n" + body for head, body in parts)[2:] + end


ROOT = ("Content-ID: <root>\r\nContent-Type: application/xop+xml", b"<x/>")

# Bytes that look like delimiters, in every proportion.
tricky = some.lists(
    some.sampled_from(
        [b"\r", b"\n", b"-", b"--", b"\r\n", b"\r\n--", b"\r\n--b", b"--b", b"b", b" ", b"x", b"\x00\xff"]
    ),
    max_size=30,
).map(b"".join)


def is_no_delimiter(content: bytes) -> bool:
    """Whether the content, with what is put around it, holds no delimiter, which a sender has to make sure of."""
    padded = b"\r\n" + content + b"\r\n"
    at = padded.find(b"\r\n--b")
    while at >= 0:
        rest = padded[at + 5 :]
        if rest.startswith(b"--") or rest.lstrip(b" \t").startswith(b"\r\n"):
            return False
        at = padded.find(b"\r\n--b", at + 1)
    return True


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    contents=some.lists(tricky.filter(is_no_delimiter), max_size=3),
    cuts=some.lists(some.integers(0, 10_000), max_size=12).map(tuple),
    preamble=some.sampled_from([b"", b"\r\n", b"preamble\r\n"]),
    epilogue=some.sampled_from([b"", b"\r\n", b"--b\r\nx: y\r\n\r\nafter the end"]),
)
def test_any_content_cut_anywhere(tmp_path, contents, cuts, preamble, epilogue):
    parts = [(f"Content-ID: <d{at}>", content) for at, content in enumerate(contents)]
    raw = preamble + message(ROOT, *parts, end=b"\r\n--b--") + epilogue
    multipart, spool = take_apart(raw, tmp_path, cuts=cuts)
    assert multipart.root == b"<x/>"
    assert [each.path.read_bytes() for each in multipart.attachments.values()] == contents
    assert [each.sha256 for each in multipart.attachments.values()] == [
        hashlib.sha256(content).hexdigest() for content in contents
    ]
    spool.discard()
    assert not list(tmp_path.iterdir())


def test_every_cut_of_a_whole_message(tmp_path):
    content = b"\r\n--\r\n-\r\n--bb\r"
    raw = message(ROOT, ("Content-ID: <d>\r\nContent-Type: a/b", content))
    for cut in range(len(raw) + 1):
        multipart, spool = take_apart(raw, tmp_path, cuts=(cut,))
        found = multipart.attachments["d"]
        assert (found.path.read_bytes(), found.size, found.mime_type) == (content, len(content), "a/b")
        assert found.sha1 == hashlib.sha1(content).hexdigest()
        spool.discard()


def test_root_is_the_part_that_start_names(tmp_path):
    multipart, _ = take_apart(message(("Content-ID: <d>", b"1"), ROOT), tmp_path)
    assert (multipart.root, list(multipart.attachments)) == (b"<x/>", ["d"])


def test_root_is_the_first_part_without_start(tmp_path):
    raw = message(("Content-Type: application/xop+xml", b"<x/>"), ("Content-ID: <d>", b"1"))
    assert take_apart(raw, tmp_path, "multipart/related; boundary=b")[0].root == b"<x/>"


def test_part_without_headers_and_part_without_bytes(tmp_path):
    raw = b"--b\r\n\r\n<x/>\r\n--b\r\nContent-ID: <d>\r\n\r\n--b  \t\r\nContent-ID: <e>\r\n\r\n\r\n--b--"
    multipart, _ = take_apart(raw, tmp_path, "multipart/related; boundary=b")
    assert multipart.root == b"<x/>"
    assert [each.size for each in multipart.attachments.values()] == [0, 0]


def test_header_names_in_any_case_and_folded(tmp_path):
    raw = message(ROOT, ("CONTENT-id:\r\n <d>\r\ncontent-TYPE: text/xml;\r\n\tcharset=utf-8", b"1"))
    assert take_apart(raw, tmp_path)[0].attachments["d"].mime_type == "text/xml; charset=utf-8"


@pytest.mark.parametrize("line", [1, 4, 76, 1000])
def test_base64_part_is_decoded_as_it_comes(tmp_path, line):
    content = bytes(range(256)) * 20
    text = base64.b64encode(content)
    folded = b"\r\n".join(text[at : at + line] for at in range(0, len(text), line))
    raw = message(ROOT, ("Content-ID: <d>\r\nContent-Transfer-Encoding: BASE64", folded))
    multipart, _ = take_apart(raw, tmp_path, cuts=tuple(range(0, 9000, 37)))
    assert multipart.attachments["d"].path.read_bytes() == content


DEFECTS = {
    "no boundary": (message(ROOT), "multipart/related", "needs a boundary"),
    "other boundary": (message(ROOT) + b"x" * 600, TYPE.replace('"b"', '"c"'), "does not begin"),
    "nothing": (b"", TYPE, "ends before"),
    "only the end": (b"--b--", TYPE, "start names"),
    "no end": (message(ROOT, end=b""), TYPE, "ends before"),
    "half an end": (message(ROOT, end=b"\r\n--b-"), TYPE, "ends before"),
    "cut in headers": (b"--b\r\nContent-ID: <root>\r\n", TYPE, "ends before"),
    "no root": (message(("Content-ID: <d>", b"")), TYPE, "start names"),
    "two roots": (message(ROOT, ROOT), TYPE, "Two parts"),
    "no content id": (message(ROOT, ("Content-Type: a/b", b"1")), TYPE, "no Content-ID"),
    "content id twice": (message(ROOT, ("Content-ID: <d>", b"1"), ("Content-ID: <d>", b"2")), TYPE, "given twice"),
    "no header": (message(ROOT, ("secret", b"1")), TYPE, "header line"),
    "header twice": (message(ROOT, ("Content-ID: <d>\r\nContent-ID: <e>", b"1")), TYPE, "header twice"),
    "long headers": (message(ROOT, ("Content-ID: <d>" + "x" * 600, b"1")), TYPE, "too long"),
    "encoding": (message(ROOT, ("Content-ID: <d>\r\nContent-Transfer-Encoding: x-uue", b"1")), TYPE, "Encoding"),
    "not base64": (message(ROOT, ("Content-ID: <d>\r\nContent-Transfer-Encoding: base64", b"@@@@")), TYPE, "base64"),
    "half base64": (message(ROOT, ("Content-ID: <d>\r\nContent-Transfer-Encoding: base64", b"QUJ")), TYPE, "base64"),
    "base64 after its end": (
        message(ROOT, ("Content-ID: <d>\r\nContent-Transfer-Encoding: base64", b"QQ==QQ==")),
        TYPE,
        "base64",
    ),
}


@pytest.mark.parametrize("case", DEFECTS)
@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_defect(tmp_path, case, step):
    raw, content_type, words = DEFECTS[case]
    spool = Spool(tmp_path)
    pieces = [raw[at : at + step] for at in range(0, len(raw), step)]
    with pytest.raises(ExchangeError) as caught:
        read_multipart(content_type, pieces, spool, LIMITS)
    assert caught.value.reason is Reason.UNREADABLE
    assert words in caught.value.detail
    assert "secret" not in caught.value.detail
    spool.discard()
    assert not list(tmp_path.iterdir())


TOO_LARGE = {
    "root": message(("Content-ID: <root>", b"x" * 10_001)),
    "document": message(ROOT, ("Content-ID: <d>", b"x" * 100_001)),
    "documents together": message(ROOT, ("Content-ID: <d>", b"x" * 80_000), ("Content-ID: <e>", b"x" * 80_000)),
    "parts": message(ROOT, *[(f"Content-ID: <{at}>", b"") for at in range(6)]),
}


@pytest.mark.parametrize("case", TOO_LARGE)
def test_limit(tmp_path, case):
    with pytest.raises(ExchangeError) as caught:
        take_apart(TOO_LARGE[case], tmp_path, cuts=tuple(range(0, 200_000, 999)))
    assert caught.value.reason is Reason.TOO_LARGE


def test_media_type():
    kind, parameters = media_type('Multipart/Related; Boundary="a;\\"b"; start=<x@y>;type=application/xop+xml ; bad')
    assert kind == "multipart/related"
    assert parameters == {"boundary": 'a;"b', "start": "<x@y>", "type": "application/xop+xml"}


REFERENCES = [
    ("d@x", "cid:d@x"),
    ("d@x", "CID:d%40x"),
    ("d%40x", "cid:d%40x"),
    ("http://tempuri.org/1/634", "cid:http%3A%2F%2Ftempuri.org%2F1%2F634"),
]


@pytest.mark.parametrize(("content_id", "reference"), REFERENCES)
def test_reference_to_a_part(tmp_path, content_id, reference):
    multipart, spool = take_apart(message(ROOT, (f"Content-ID: <{content_id}>", b"1")), tmp_path)
    element = etree.fromstring(
        f'<a><i:Include xmlns:i="http://www.w3.org/2004/08/xop/include" href="{reference}"/></a>'
    )
    received = SoapMessage("a", "m", element, attachments=multipart.attachments, spool=spool)
    assert content_of(element, received, 100).path.read_bytes() == b"1"


BAD_CONTENT = [
    '<a><i:Include xmlns:i="http://www.w3.org/2004/08/xop/include" href="cid:none"/></a>',
    '<a><i:Include xmlns:i="http://www.w3.org/2004/08/xop/include" href="http://x/"/></a>',
    '<a><i:Include xmlns:i="http://www.w3.org/2004/08/xop/include"/></a>',
    "<a><b/></a>",
    "<a>QUJ</a>",
    "<a>山</a>",
    "<a>QUJDRA==QUJD</a>",
]


@pytest.mark.parametrize("text", BAD_CONTENT)
def test_content_that_is_none(tmp_path, text):
    element = etree.fromstring(text)
    with pytest.raises(ExchangeError) as caught:
        content_of(element, SoapMessage("a", "m", element, spool=Spool(tmp_path)), 100)
    assert caught.value.reason is Reason.UNREADABLE


def test_inline_content_above_its_limit(tmp_path):
    element = etree.fromstring("<a>QUJDRA==</a>")
    with pytest.raises(ExchangeError) as caught:
        content_of(element, SoapMessage("a", "m", element, spool=Spool(tmp_path)), 3)
    assert caught.value.reason is Reason.TOO_LARGE


@pytest.mark.parametrize("sizes", [(), (0,), (1, 2, 3), (300_000, 5)])
def test_what_is_written_can_be_read_and_has_its_length(tmp_path, sizes):
    attachments = []
    for at, size in enumerate(sizes):
        path = tmp_path / f"file{at}"
        path.write_bytes(bytes([at]) * size)
        attachments.append(Attachment(f"{at}@x", path, size, "text/plain"))
    outgoing = write_multipart(b"<x/>", tuple(attachments))
    raw = b"".join(outgoing.pieces)
    limits = Limits(root=100, document=1 << 20, documents=1 << 20)
    multipart = read_multipart(outgoing.content_type, [raw], Spool(tmp_path / "in"), limits)
    assert outgoing.length == len(raw)
    assert multipart.root == b"<x/>"
    assert [each.size for each in multipart.attachments.values()] == list(sizes)


def test_the_same_message_as_one_document(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x" * 500_000)
    attachment = Attachment("1@x", path, 500_000)
    outgoing = write_inlined(b"<a><d>" + include("1@x") + b"</d></a>", (attachment,))
    raw = b"".join(outgoing.pieces)
    assert outgoing.length == len(raw)
    assert base64.b64decode(etree.fromstring(raw).findtext("d") or "") == path.read_bytes()


def test_file_that_shrank_breaks_the_answer_off(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x" * 10)
    with pytest.raises(OSError, match="changed its size"):
        list(write_multipart(b"<x/>", (Attachment("1@x", path, 11),)).pieces)
