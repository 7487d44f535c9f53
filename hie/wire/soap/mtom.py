"""MTOM/XOP: a SOAP message as multipart/related (RFC 2046, RFC 2387, W3C XOP and MTOM, ITI TF-2 Appendix V.3).

The reader is a machine without I/O of its own on the network side: it is fed with pieces as they come and keeps the
root part in memory, up to a limit; every other part goes to a spool file while it is hashed. The theory in one
paragraph: with CR LF put in front of the message every delimiter is ``CR LF -- boundary``, optional blanks, and
CR LF (a part follows) or ``--`` (the end). Between delimiters stand header lines, an empty line, and bytes. A delimiter
may be cut anywhere by the network, so the reader holds back as many bytes as an unfinished one can have.
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

from lxml import etree

from hie.values.documents import Content, Readable
from hie.values.errors import ExchangeError, Reason
from hie.wire.soap.envelope import Attachment, SoapMessage
from hie.wire.soap.spool import Spool, SpoolFile

XOP = "http://www.w3.org/2004/08/xop/include"
CHUNK = 256 * 1024

_INCLUDE = f"{{{XOP}}}Include"
_PARAMETER = re.compile(r""";\s*([A-Za-z0-9*_-]{1,40})\s*=\s*("(?:[^"\\]|\\.)*"|[^\s;"]+)""")
_HEADER = re.compile(r"([!-9;-~]{1,80}):[ \t]*(.*)")
_MAX_PADDING = 128
_BLANKS = bytes.maketrans(b"\t\n\r\x0b\x0c", b"     ")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a message may hold, in bytes: the root part, one document, all documents; and how many parts it may have."""

    root: int
    document: int
    documents: int
    parts: int = 1000
    headers: int = 16 * 1024


@dataclass(frozen=True, slots=True)
class Multipart:
    """A message taken apart: the root part, and the other parts by Content-ID without angle brackets."""

    root: bytes
    attachments: dict[str, Content]


def media_type(content_type: str) -> tuple[str, dict[str, str]]:
    """A Content-Type as the type in lower case and its parameters, names in lower case, quotes taken off."""
    parameters = {
        name.lower(): re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
        for name, value in _PARAMETER.findall(content_type[:2000])
    }
    return content_type.partition(";")[0].strip().lower(), parameters


def read_multipart(content_type: str, pieces: Iterable[bytes], spool: Spool, limits: Limits) -> Multipart:
    """Take a whole message apart. Raises ExchangeError; the files are the spool's, which removes them."""
    reader = MultipartReader(content_type, spool, limits)
    try:
        for piece in pieces:
            reader.feed(piece)
        return reader.finish()
    finally:
        reader.close()


class MultipartReader:
    """The scanner. ``feed`` it with pieces of any size, then ``finish``; ``close`` in any case."""

    def __init__(self, content_type: str, spool: Spool, limits: Limits) -> None:
        parameters = media_type(content_type)[1]
        boundary = parameters.get("boundary", "")
        if not 0 < len(boundary) <= 200 or not boundary.isascii():
            raise _unreadable("The Content-Type multipart/related needs a boundary.")
        self._delimiter = b"\r\n--" + boundary.encode("ascii")
        self._start = _content_id(parameters.get("start", ""))
        self._spool = spool
        self._limits = limits
        self._buffer = bytearray(b"\r\n")
        self._step = self._skip_to_delimiter
        self._parts = 0
        self._not_content = 0
        self._documents_left = limits.documents
        self._root: bytes | None = None
        self._attachments: dict[str, Content] = {}
        self._part: _RootPart | _DocumentPart | None = None

    def feed(self, piece: bytes) -> None:
        """Take the next bytes of the message."""
        self._buffer += piece
        while self._step():
            pass

    def finish(self) -> Multipart:
        """The message. Raises ExchangeError where it ended early or has no root part."""
        if self._step != self._skip_epilogue:
            raise _unreadable("The multipart message ends before its closing delimiter.")
        if self._root is None:
            raise _unreadable("No part of the multipart message has the Content-ID that the parameter start names.")
        return Multipart(self._root, self._attachments)

    def close(self) -> None:
        """Close a file that is still open after an error."""
        if isinstance(self._part, _DocumentPart):
            self._part.file.close()

    # The steps. Each returns whether another one can follow with the bytes at hand.

    def _skip_to_delimiter(self) -> bool:
        """The preamble, which has no meaning; it is given the same room as the headers of a part."""
        end = self._delimiter_end()
        if end is not None:
            return self._after_delimiter(*end)
        if len(self._buffer) > self._limits.headers:
            raise _unreadable("The multipart message does not begin with the delimiter that its boundary names.")
        return False

    def _read_headers(self) -> bool:
        if self._buffer.startswith(b"\r\n"):
            raw, length = b"", 2
        else:
            end = self._buffer.find(b"\r\n\r\n", 0, self._limits.headers)
            if end < 0:
                if len(self._buffer) >= self._limits.headers:
                    raise _unreadable(f"The headers of part {self._parts} are too long or have no end.")
                return False
            raw, length = bytes(self._buffer[:end]), end + 4
        # The line end of the empty line stays: it is the delimiter's where the part has no bytes, else nobody's.
        del self._buffer[: length - 2]
        self._not_content = 2
        self._part = self._new_part(_headers(raw, self._parts))
        self._step = self._read_body
        return True

    def _read_body(self) -> bool:
        assert self._part is not None
        end = self._delimiter_end()
        if end is not None:
            self._pass_on(end[0])
            self._close_part()
            return self._after_delimiter(0, end[1] - end[0], end[2])
        held = len(self._delimiter) + _MAX_PADDING + 2
        if len(self._buffer) > held:
            self._pass_on(len(self._buffer) - held)
        return False

    def _skip_epilogue(self) -> bool:
        del self._buffer[:]
        return False

    def _delimiter_end(self) -> tuple[int, int, bool] | None:
        """Where the next delimiter begins and ends, and whether it is the last; None until it has come completely."""
        begin = self._buffer.find(self._delimiter)
        while begin >= 0:
            at = begin + len(self._delimiter)
            rest = bytes(self._buffer[at : at + _MAX_PADDING + 2])
            if rest[:2] == b"--":
                return begin, at + 2, True
            padding = len(rest) - len(rest.lstrip(b" \t"))
            if rest[padding : padding + 2] == b"\r\n":
                return begin, at + padding + 2, False
            if len(rest) < _MAX_PADDING + 2 and rest[padding:] in (b"", b"\r", b"-"):
                return None
            begin = self._buffer.find(self._delimiter, at)
        return None

    def _after_delimiter(self, _begin: int, end: int, last: bool) -> bool:
        del self._buffer[:end]
        if last:
            self._step = self._skip_epilogue
            return True
        self._parts += 1
        if self._parts > self._limits.parts:
            raise ExchangeError(Reason.TOO_LARGE, f"The message has more than the {self._limits.parts} parts allowed.")
        self._step = self._read_headers
        return True

    def _pass_on(self, length: int) -> None:
        assert self._part is not None
        skipped = min(self._not_content, length)
        self._not_content -= skipped
        if length > skipped:
            with memoryview(self._buffer) as view, view[skipped:length] as piece:
                self._part.write(piece)
        del self._buffer[:length]

    def _new_part(self, headers: dict[str, str]) -> _RootPart | _DocumentPart:
        content_id = _content_id(headers.get("content-id", ""))
        is_root = content_id == self._start if self._start else self._parts == 1
        encoding = headers.get("content-transfer-encoding", "binary").strip().lower()
        if encoding not in ("binary", "8bit", "7bit", "base64"):
            raise _unreadable(
                f"Part {self._parts} has a Content-Transfer-Encoding other than binary, 8bit, 7bit or base64."
            )
        decoder = Base64Decoder(f"part {self._parts}") if encoding == "base64" else None
        if is_root:
            if self._root is not None:
                raise _unreadable("Two parts have the Content-ID that the parameter start names.")
            return _RootPart(self._limits.root, decoder)
        if not content_id:
            raise _unreadable(f"Part {self._parts} has no Content-ID, so that nothing can refer to it.")
        if content_id in self._attachments:
            raise _unreadable(f"The Content-ID of part {self._parts} is given twice.")
        file = self._spool.new_file(min(self._limits.document, self._documents_left))
        return _DocumentPart(content_id, headers.get("content-type", ""), file, decoder)

    def _close_part(self) -> None:
        part, self._part = self._part, None
        if isinstance(part, _RootPart):
            self._root = part.finish()
        elif part is not None:
            content = part.finish()
            self._documents_left -= content.size
            self._attachments[part.content_id] = content


class Base64Decoder:
    """Base64 that comes in pieces, blanks and line ends between the characters allowed (xs:base64Binary, RFC 2045)."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._held = b""
        self._ended = False

    def decode(self, piece: bytes | memoryview) -> bytes:
        """What the characters so far amount to, as far as they make whole groups of four."""
        text = self._held + bytes(piece).translate(_BLANKS).replace(b" ", b"")
        whole = len(text) & ~3
        self._held = text[whole:]
        if self._ended and text:
            raise self._wrong()
        self._ended = text.endswith(b"=", 0, whole)
        try:
            return binascii.a2b_base64(text[:whole], strict_mode=True)
        except binascii.Error:
            raise self._wrong() from None

    def finish(self) -> None:
        """Raises ExchangeError where characters are missing."""
        if self._held:
            raise self._wrong()

    def _wrong(self) -> ExchangeError:
        return _unreadable(f"The content of {self._place} is not base64.")


@dataclass(slots=True)
class _RootPart:
    max_bytes: int
    decoder: Base64Decoder | None
    data: bytearray = field(default_factory=bytearray)

    def write(self, piece: memoryview) -> None:
        self.data += self.decoder.decode(piece) if self.decoder else piece
        if len(self.data) > self.max_bytes:
            detail = f"The SOAP part is larger than the {self.max_bytes} bytes allowed; send documents as attachments."
            raise ExchangeError(Reason.TOO_LARGE, detail)

    def finish(self) -> bytes:
        if self.decoder:
            self.decoder.finish()
        return bytes(self.data)


@dataclass(slots=True)
class _DocumentPart:
    content_id: str
    mime_type: str
    file: SpoolFile
    decoder: Base64Decoder | None

    def write(self, piece: memoryview) -> None:
        self.file.write(self.decoder.decode(piece) if self.decoder else piece)

    def finish(self) -> Content:
        if self.decoder:
            self.decoder.finish()
        return self.file.finish(self.mime_type)


def content_of(element: etree._Element, message: SoapMessage, max_bytes: int) -> Content:
    """The bytes that an element of type base64Binary stands for: the part its xop:Include names, or its own text.

    Raises ExchangeError where the part is missing, is larger than max_bytes, or the text is not base64.
    """
    include = element.find(_INCLUDE)
    if include is None:
        assert message.spool is not None
        return inline_content(element, message.spool, max_bytes)
    reference = include.get("href", "")
    name = reference[4:] if reference[:4].lower() == "cid:" else ""
    content = message.attachments.get(unquote(name)) or message.attachments.get(name)
    if content is None:
        raise _unreadable("An xop:Include has to name, as cid:, the Content-ID of a part of the same message.")
    return content


def inline_content(element: etree._Element, spool: Spool, max_bytes: int) -> Content:
    """The bytes that stand as base64 in the element itself, spooled like an attachment."""
    if len(element):
        raise _unreadable(f"The content of {etree.QName(element).localname} is neither base64 nor an xop:Include.")
    file = spool.new_file(max_bytes)
    decoder = Base64Decoder(etree.QName(element).localname)
    text = element.text or ""
    try:
        for at in range(0, len(text), CHUNK):
            file.write(decoder.decode(text[at : at + CHUNK].encode("utf-8")))
        decoder.finish()
        return file.finish()
    finally:
        file.close()


def include(content_id: str) -> bytes:
    """The xop:Include by which a body refers to an attachment; it takes the place of the base64 text."""
    return f'<xop:Include xmlns:xop="{XOP}" href="cid:{quote(content_id, safe="@.-_:")}"/>'.encode()


def new_content_id() -> str:
    """A fresh Content-ID."""
    return f"{secrets.token_hex(12)}@hie"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Bytes on their way out: the Content-Type, how many they are, and an iterable that reads files while it goes."""

    content_type: str
    length: int
    pieces: Iterable[bytes]


def write_multipart(envelope: bytes, attachments: tuple[Attachment, ...]) -> Outgoing:
    """A message as MTOM: multipart even where there is no attachment at all."""
    boundary = f"hie-{secrets.token_hex(16)}"
    root_id = new_content_id()
    content_type = (
        f'multipart/related; boundary="{boundary}"; type="application/xop+xml"; start="<{root_id}>"; '
        'start-info="application/soap+xml"'
    )
    root = _part_head(boundary, 'application/xop+xml; charset=UTF-8; type="application/soap+xml"', root_id)
    heads = [_part_head(boundary, each.mime_type, each.content_id) for each in attachments]
    tail = f"\r\n--{boundary}--\r\n".encode()
    length = len(root) + len(envelope) + len(tail) + sum(map(len, heads)) + sum(each.size for each in attachments)
    if not attachments:
        return Outgoing(content_type, length, (root + envelope + tail,))
    return Outgoing(content_type, length, _multipart_pieces(root + envelope, attachments, heads, tail))


def write_inlined(envelope: bytes, attachments: tuple[Attachment, ...]) -> Outgoing:
    """The same message as one XML document: every xop:Include is replaced by the base64 of its file, while it is sent.

    For a partner that asked without MTOM, which is then answered without MTOM.
    """
    content_type = "application/soap+xml; charset=UTF-8"
    if not attachments:
        return Outgoing(content_type, len(envelope), (envelope,))
    texts: list[bytes] = []
    for each in attachments:
        before, found, envelope = envelope.partition(include(each.content_id))
        if not found:
            raise ValueError("an attachment that the body does not include, or includes out of order")
        texts.append(before)
    length = sum(map(len, texts)) + len(envelope) + sum((each.size + 2) // 3 * 4 for each in attachments)
    return Outgoing(content_type, length, _inlined_pieces(texts, attachments, envelope))


def _multipart_pieces(
    root: bytes, attachments: tuple[Attachment, ...], heads: list[bytes], tail: bytes
) -> Iterator[bytes]:
    yield root
    for attachment, head in zip(attachments, heads, strict=True):
        yield head
        yield from _read(attachment.path, attachment.size, CHUNK)
    yield tail


def _inlined_pieces(texts: list[bytes], attachments: tuple[Attachment, ...], last: bytes) -> Iterator[bytes]:
    for text, attachment in zip(texts, attachments, strict=True):
        yield text
        for piece in _read(attachment.path, attachment.size, CHUNK // 4 * 3):
            yield base64.b64encode(piece)
    yield last


def _read(path: Readable, size: int, chunk: int) -> Iterator[bytes]:
    """The file in full chunks. It has to have the size that was announced: a partner would take less for the whole."""
    left = size
    with path.open("rb") as file:
        while piece := file.read(chunk):
            left -= len(piece)
            if left < 0:
                break
            yield piece
    if left:
        raise OSError("a file changed its size while it was sent")


def _part_head(boundary: str, mime_type: str, content_id: str) -> bytes:
    mime_type = mime_type if _is_header_text(mime_type) else "application/octet-stream"
    return (
        f"\r\n--{boundary}\r\nContent-Type: {mime_type}\r\nContent-Transfer-Encoding: binary\r\n"
        f"Content-ID: <{content_id}>\r\n\r\n"
    ).encode("ascii")


def _is_header_text(text: str) -> bool:
    return 0 < len(text) <= 200 and text.isascii() and text.isprintable()


def _headers(raw: bytes, part: int) -> dict[str, str]:
    """Header lines by name in lower case; a line that begins with a blank continues the one before (RFC 2046)."""
    headers: dict[str, str] = {}
    for line in re.sub(r"\r\n[ \t]+", " ", raw.decode("latin-1")).split("\r\n") if raw else ():
        match = _HEADER.fullmatch(line)
        if match is None:
            raise _unreadable(f"Part {part} has a header line that is none.")
        if headers.setdefault(match[1].lower(), match[2].strip()) != match[2].strip():
            raise _unreadable(f"Part {part} has a header twice with different values.")
    return headers


def _content_id(text: str) -> str:
    return text.strip().removeprefix("<").removesuffix(">").strip()


def _unreadable(detail: str) -> ExchangeError:
    return ExchangeError(Reason.UNREADABLE, detail)
