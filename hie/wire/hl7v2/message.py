"""A lazy reader of HL7 v2 messages (HL7 2.5 chapter 2; ITI TF-2: Appendix C.1).

Segments are split into fields at once, everything below on access; escapes are undone after the last split.
The reader is lenient in form (CR, LF or CRLF, MLLP bytes, unknown segments) and keeps the bytes as received.

Positions are counted as HL7 counts them: fields and components from 1, and MSH-1 is the separator itself.
A repetition is counted from 0, as Python counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, cached_property

from hie.values.errors import ExchangeError, Reason
from hie.wire.hl7v2.charset import decode

MAX_BYTES = 8 * 1024 * 1024
MAX_SEGMENTS = 100_000

NULL = '""'  # an explicit null: the sender deletes the value
_NUL = "\x00"  # no text has this character and no database takes it

TERMINATOR_RULES = {
    "TERM-01": "Segments do not end with CR alone.",
    "TERM-02": "Bytes of MLLP framing surround the message.",
    "TERM-03": "The last segment has no terminator.",
    "TERM-04": "A line that is no segment was read as part of the field before it.",
}


@dataclass(frozen=True, slots=True)
class Delimiters:
    """MSH-1 and MSH-2. escape and subcomponent are "" where the sender left them out."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"


DEFAULT_DELIMITERS = Delimiters()


class Segment:
    """One segment: its name and its fields, split no deeper than asked."""

    __slots__ = ("_delimiters", "fields", "name")

    def __init__(self, fields: list[str], delimiters: Delimiters = DEFAULT_DELIMITERS) -> None:
        """fields: index n is field n; for MSH index 1 is the separator."""
        self.name = fields[0]
        self.fields = fields
        self._delimiters = delimiters

    def field(self, number: int) -> str:
        """The raw text of a field, escapes and repetitions included; "" where it is absent."""
        return self.fields[number] if number < len(self.fields) else ""

    def repetitions(self, number: int) -> list[str]:
        """The raw text of each repetition of a field; none where the field is empty."""
        text = self.field(number)
        if not text:
            return []
        return [text] if self._is_header_syntax(number) else text.split(self._delimiters.repetition)

    def component(self, number: int, component: int, rep: int = 0, sub: int | None = None) -> str:
        """The unescaped text of a component, or of one of its sub-components; "" where it is absent.

        number, component and sub count from 1, rep from 0. Without sub the text of all sub-components comes as it is.
        """
        return self.component_of(self._repetition(number, rep), component, sub)

    def component_of(self, repetition: str, component: int, sub: int | None = None) -> str:
        """As ``component``, of a repetition that ``repetitions`` gave."""
        if not repetition:
            return ""
        parts = repetition.split(self._delimiters.component)
        if component > len(parts):
            return ""
        text = parts[component - 1]
        if sub is not None:
            subcomponents = text.split(self._delimiters.subcomponent) if self._delimiters.subcomponent else [text]
            if sub > len(subcomponents):
                return ""
            text = subcomponents[sub - 1]
        return unescape(text, self._delimiters) if self._delimiters.escape in text else text

    def text_of(self, raw: str) -> str:
        """Any raw text of this segment with its escapes undone."""
        return unescape(raw, self._delimiters)

    def is_null(self, number: int) -> bool:
        """Whether the field came as ``""``: the sender deletes the value (HL7 2.5: 2.5.3)."""
        return self.field(number) == NULL

    def _repetition(self, number: int, rep: int) -> str:
        text = self.field(number)
        if not text or self._is_header_syntax(number):
            return text
        if self._delimiters.repetition not in text:
            return text if rep == 0 else ""
        repetitions = text.split(self._delimiters.repetition)
        return repetitions[rep] if rep < len(repetitions) else ""

    def _is_header_syntax(self, number: int) -> bool:
        return self.name == "MSH" and number <= 2

    def __repr__(self) -> str:
        return f"<Segment {self.name} of {len(self.fields) - 1} fields>"  # no values: they are a patient's


class Message:
    """A message that was read. raw: the bytes as received; text: decoded; charset: the set they were written in.

    warnings: rules of ``charset.RULES`` and ``TERMINATOR_RULES`` that were broken and tolerated.
    """

    def __init__(
        self,
        raw: bytes,
        text: str,
        charset: str,
        warnings: tuple[str, ...],
        segments: tuple[Segment, ...],
        delimiters: Delimiters,
    ) -> None:
        self.raw = raw
        self.text = text
        self.charset = charset
        self.warnings = warnings
        self.segments = segments
        self.delimiters = delimiters

    @classmethod
    def read(cls, raw: bytes, max_bytes: int = MAX_BYTES) -> Message:
        """Read the bytes of one message, with or without its MLLP frame.

        Raises ExchangeError: UNREADABLE without a usable MSH, TOO_LARGE above max_bytes or 100 000 segments.
        """
        if len(raw) > max_bytes:
            raise ExchangeError(Reason.TOO_LARGE, f"The message has more than {max_bytes} bytes.")
        body = raw.lstrip(_BEFORE).rstrip(_BEHIND)
        start = body.find(b"MSH", 0, 4)
        if start not in (0, 3) or (start == 3 and not body.startswith(b"\xef\xbb\xbf")):
            raise ExchangeError(Reason.UNREADABLE, "The message does not begin with an MSH segment.", "MSH^1")
        decoded = decode(body, _declared_charset(body[start:]))
        text = decoded.text.replace(_NUL, "")
        delimiters = read_delimiters(text)
        lines, term_warnings = _lines(raw, text, delimiters.field)
        if len(lines) > MAX_SEGMENTS:
            raise ExchangeError(Reason.TOO_LARGE, f"The message has more than {MAX_SEGMENTS} segments.")
        header, *others = lines
        segments = [Segment(["MSH", delimiters.field, *header.split(delimiters.field)[1:]], delimiters)]
        segments += [Segment(line.split(delimiters.field), delimiters) for line in others]
        return cls(raw, text, decoded.charset, decoded.warnings + term_warnings, tuple(segments), delimiters)

    def first(self, name: str) -> Segment | None:
        """The first segment of this name, or None."""
        named = self._named.get(name)
        return named[0] if named else None

    def all(self, name: str) -> tuple[Segment, ...]:
        """All segments of this name, in order."""
        return tuple(self._named.get(name, ()))

    @cached_property
    def _named(self) -> dict[str, list[Segment]]:
        named: dict[str, list[Segment]] = {}
        for segment in self.segments:
            named.setdefault(segment.name, []).append(segment)
        return named

    @property
    def header(self) -> Segment:
        """MSH, which every message that could be read has."""
        return self.segments[0]

    @cached_property
    def trigger(self) -> str:
        """``ADT^A01``: MSH-9.1 and MSH-9.2."""
        return f"{self.header.component(9, 1)}^{self.header.component(9, 2)}"

    @cached_property
    def structure(self) -> str:
        """``ADT_A01``: MSH-9.3, or ""."""
        return self.header.component(9, 3)

    @cached_property
    def version(self) -> str:
        """``2.5``: MSH-12.1."""
        return self.header.component(12, 1)

    @property
    def control_id(self) -> str:
        """MSH-10."""
        return self.header.text_of(self.header.field(10))

    @property
    def sender(self) -> str:
        """``facility|application``: the namespaces (or else universal ids) of MSH-4 and MSH-3."""
        return self._party(4, 3)

    @property
    def receiver(self) -> str:
        """The same of MSH-6 and MSH-5."""
        return self._party(6, 5)

    def _party(self, facility: int, application: int) -> str:
        names = (
            self.header.component(number, 1) or self.header.component(number, 2) for number in (facility, application)
        )
        return "|".join(names)

    def __repr__(self) -> str:
        return f"<Message {self.trigger} {self.version} of {len(self.segments)} segments>"


# Escapes ------------------------------------------------------------------------------------------------------------


def unescape(text: str, delimiters: Delimiters = DEFAULT_DELIMITERS) -> str:
    """Undo the escape sequences of a value (HL7 2.5: 2.7). An unknown or unfinished sequence stays as it is."""
    escape = delimiters.escape
    if not escape or escape not in text:
        return text
    signs = {
        "F": delimiters.field,
        "S": delimiters.component,
        "R": delimiters.repetition,
        "E": escape,
        "T": delimiters.subcomponent,
        ".br": "\n",
        "H": "",
        "N": "",
    }

    def plain(match: re.Match[str]) -> str:
        code = match.group(1)
        if code in signs:
            return signs[code]
        return _from_hex(code[1:], match.group()) if code.startswith("X") else match.group()

    return _escapes(escape).sub(plain, text)


@cache
def _escapes(escape: str) -> re.Pattern[str]:
    sign = re.escape(escape)
    return re.compile(rf"{sign}([FSRETHN]|\.br|X[0-9A-Fa-f]+){sign}")


def _from_hex(digits: str, unchanged: str) -> str:
    return unchanged if len(digits) % 2 else decode(bytes.fromhex(digits)).text.replace(_NUL, "")


# The header ---------------------------------------------------------------------------------------------------------

_BEFORE, _BEHIND = b"\x0b\x1c\x00\r\n \t", b"\x1c\x00\x1a\r\n"
_TWO_BYTE_RUN = re.compile(rb"\x1b\$.*?(?:\x1b\([BJ]|$)")


def read_delimiters(text: str) -> Delimiters:
    """MSH-1 and MSH-2 of a text that begins with ``MSH``. Raises ExchangeError UNREADABLE where they are unusable."""
    field = text[3:4]
    if not field or field.isalnum() or field.isspace() or not field.isprintable():
        raise ExchangeError(Reason.UNREADABLE, "MSH-1 has to be the field separator, usually |.", "MSH^1^1")
    if text.startswith("^~\\&", 4) and text[8:9] in (field, "\r", "\n", "") and field not in "^~\\&":
        return DEFAULT_DELIMITERS if field == "|" else Delimiters(field)
    signs = re.split(r"[\r\n]", text[4:12])[0].split(field)[0]
    if not 2 <= len(signs) <= 5 or len({field, *signs}) != len(signs) + 1 or any(map(_is_no_delimiter, signs)):
        raise ExchangeError(
            Reason.UNREADABLE, "MSH-2 has to hold two to five different encoding characters, usually ^~\\&.", "MSH^1^2"
        )
    return Delimiters(field, signs[0], signs[1], signs[2:3], signs[3:4])


def _is_no_delimiter(sign: str) -> bool:
    return sign.isalnum() or sign.isspace() or not sign.isprintable()


def _declared_charset(body: bytes) -> str:
    """MSH-18 from the bytes, with two-byte text (which may hold delimiters) taken out first."""
    header = body[:4096].split(b"\r", 1)[0].split(b"\n", 1)[0]
    if b"\x1b" in header:
        header = _TWO_BYTE_RUN.sub(b"", header)
    fields = header.split(header[3:4]) if header[3:4] else []
    return fields[17].decode("ascii", "replace") if len(fields) > 17 else ""


# Lines --------------------------------------------------------------------------------------------------------------


def _lines(raw: bytes, text: str, separator: str) -> tuple[list[str], tuple[str, ...]]:
    """The segments as text, and the rules their terminators break."""
    warnings = []
    if b"\n" in raw:
        warnings.append("TERM-01")
        text = text.replace("\r\n", "\r").replace("\n", "\r")
    if raw[:1] == b"\x0b" or b"\x1c" in raw[-2:]:
        warnings.append("TERM-02")
    if raw.rstrip(b"\x1c\x00\x1a")[-1:] not in (b"\r", b"\n"):
        warnings.append("TERM-03")
    if separator == "|" and text.startswith("MSH|") and _UNUSUAL_LINE.search(text) is None:
        return text.split("\r"), tuple(warnings)
    lines: list[list[str]] = []
    for line in text.split("\r"):
        if _is_segment(line, separator):
            lines.append([line])
        elif line.strip(_CONTROL):
            lines[-1].append(line)  # a line end inside a value
    if any(len(parts) > 1 for parts in lines):
        warnings.append("TERM-04")
    return ["\n".join(parts) for parts in lines], tuple(warnings)


_CONTROL = "".join(map(chr, range(33)))
_UNUSUAL_LINE = re.compile(r"\r(?![A-Z][A-Z0-9]{2}\|)")


def _is_segment(line: str, separator: str) -> bool:
    name = line[:3]
    return line[3:4] in (separator, "") and len(name) == 3 and name.isupper() and name.isalnum() and name.isascii()
