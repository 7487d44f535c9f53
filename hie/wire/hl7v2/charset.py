"""Character sets of HL7 v2 messages in Japan (HL7 table 0211; JIS X 0208 by ISO 2022; SS-MIX2).

The bytes ``| ^ ~ \\ &`` occur inside two-byte characters (日 is ``F|``, 山本 holds ``\\``), so a whole message is
decoded before anything is split, and an answer is encoded after everything is joined.

Labels lie: MSH-18 is a hint, the bytes decide. The strict codec of the standard library is tried first; what it
refuses is read tolerantly, one character at a time:

- ``ESC ( J`` (JIS Roman) is read as ASCII, or the delimiters ``\\`` and ``~`` would turn into other signs;
- half-width kana, the NEC row 13 and the IBM rows are read through cp932; a character of the user-defined rows is 〓;
- every segment begins in ASCII, whatever the one before forgot; a run that never returns to ASCII is read up to
  the first delimiter that stands where a character would begin;
- of the six characters whose mapping is disputed (wave dash, minus, …) the JIS reading is taken, which can be
  written again.

Nothing raises. What could not be taken as it stands is flagged by a rule of ``RULES``.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache

ASCII, JIS, UTF_8 = "ASCII", "ISO IR87", "UNICODE UTF-8"
SHIFT_JIS, EUC_JP = "SHIFT_JIS", "EUC-JP"  # outside table 0211, but in use

GETA = "〓"
REPLACEMENT = "\ufffd"

RULES = {
    "ENC-01": "MSH-18 does not name the character set that the bytes are written in.",
    "ENC-02": "A character set was used that MSH-18 does not name; it was recognised by its bytes.",
    "ENC-03": "Bytes that are no character were replaced, or a lost escape back to ASCII was supplied.",
    "ENC-04": "Half-width kana, vendor or user-defined characters outside JIS X 0208.",
}

_CODECS = {ASCII: "ascii", JIS: "iso2022_jp", UTF_8: "utf-8", SHIFT_JIS: "cp932", EUC_JP: "euc_jp"} | {
    f"8859/{part}": f"iso8859-{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 15)
}
_SPELLINGS = {
    "ASCII": ASCII,
    "USASCII": ASCII,
    "ISOIR6": ASCII,
    "ISOIR14": JIS,
    "ISOIR87": JIS,
    "ISOIR159": JIS,
    "ISO2022JP": JIS,
    "UNICODE": UTF_8,
    "UNICODEUTF8": UTF_8,
    "UTF8": UTF_8,
    "SHIFTJIS": SHIFT_JIS,
    "SJIS": SHIFT_JIS,
    "MS932": SHIFT_JIS,
    "CP932": SHIFT_JIS,
    "WINDOWS31J": SHIFT_JIS,
    "EUCJP": EUC_JP,
} | {f"{prefix}8859{part}": f"8859/{part}" for prefix in ("", "ISO") for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 15)}


@dataclass(frozen=True, slots=True)
class Decoded:
    """A message as text. charset: the set of its bytes (``ASCII``, ``ISO IR87``, …). warnings: keys of ``RULES``."""

    text: str
    charset: str
    warnings: tuple[str, ...] = ()


@lru_cache(maxsize=256)
def name_of(declared: str) -> str:
    """The character set that MSH-18 names (``~ISO IR87``, ``UNICODE UTF-8``), in table 0211's spelling; "" if unknown.

    Of several repetitions the first that is not ASCII counts: ``~ISO IR87`` means ASCII with JIS X 0208.
    """
    found = ""
    for repetition in declared.split("~"):
        name = _SPELLINGS.get(re.sub(r"[^A-Z0-9]", "", repetition.upper()), "")
        if name not in ("", ASCII):
            return name
        found = found or name
    return found


def decode(raw: bytes, declared: str = "") -> Decoded:
    """Read a whole message. declared: MSH-18 as text. Never raises; see the module for what is tolerated."""
    if raw.startswith(codecs.BOM_UTF8):
        raw, name = raw[3:], UTF_8
        text, warnings = raw.decode("utf-8", "replace"), set()
        if REPLACEMENT in text:
            warnings.add("ENC-03")
    elif raw.isascii():
        if b"\x1b" not in raw:
            return Decoded(raw.decode("ascii"), ASCII)
        name = JIS
        text, warnings = _read_jis(raw)
    else:
        text, name, warnings = _read_eight_bits(raw, name_of(declared))
    expected = name_of(declared) or ASCII
    if name != expected:
        warnings.add("ENC-01")
        if name != JIS:
            warnings.add("ENC-02")
    return Decoded(text, name, tuple(sorted(warnings)))


def encode(text: str, charset: str) -> bytes:
    """Write a whole message in a character set named as in ``Decoded`` or MSH-18; an unknown name is UTF-8.

    ``ISO IR87`` returns to ASCII before every delimiter and line end, never uses ``ESC ( J`` and widens half-width
    kana. A character that the set lacks becomes 〓 (``?`` where the set has no 〓); ``lost`` tells which.
    """
    name = charset if charset in _CODECS else name_of(charset) or UTF_8
    if text.isascii():
        return text.encode("ascii")
    return _writable(text, name).encode(_CODECS[name], "hl7v2-geta")


def lost(text: str, charset: str) -> str:
    """The characters that ``encode`` could not write, each once, in order; "" where the answer is complete."""
    name = charset if charset in _CODECS else name_of(charset) or UTF_8
    return "".join(sign for sign in dict.fromkeys(_writable(text, name)) if not _can_write(sign, name))


# Reading ------------------------------------------------------------------------------------------------------------

_TWO_BYTES_NOT_CLOSED = re.compile(rb"\x1b\$[@B][^\x1b\r\n]*+(?!\x1b\()")
_SWITCH = re.compile(rb"\x1b(?:&@\x1b)?(\$\(?[@BD]|\([BJI])|\r\n?|\n")
_TO_JIS_READING = str.maketrans("～－∥￠￡￢", "\u301c\u2212\u2016\u00a2\u00a3\u00ac")


def _read_jis(raw: bytes) -> tuple[str, set[str]]:
    if b"\x1b(J" not in raw and _TWO_BYTES_NOT_CLOSED.search(raw) is None:
        try:
            return raw.decode("iso2022_jp"), set()
        except UnicodeDecodeError:
            pass  # a vendor's characters: read them one by one
    return _read_jis_tolerantly(raw)


def _read_jis_tolerantly(raw: bytes) -> tuple[str, set[str]]:
    warnings: set[str] = set()
    pieces: list[str] = []
    designated, position = b"(B", 0
    for switch in _SWITCH.finditer(raw):
        target = switch.group(1) or b""
        pieces.append(_read_run(raw[position : switch.start()], designated, target.startswith(b"("), warnings))
        if target:
            designated = target
        else:
            pieces.append(switch.group().decode("ascii"))
            designated = b"(B"
        position = switch.end()
    pieces.append(_read_run(raw[position:], designated, False, warnings))
    return "".join(pieces), warnings


def _read_run(run: bytes, designated: bytes, closed: bool, warnings: set[str]) -> str:
    """The characters between two switches. closed: the next switch leads back to a one-byte set."""
    if not run:
        return ""
    if designated[:1] == b"$":
        supplementary = designated.endswith(b"D")
        if supplementary:
            warnings.add("ENC-04")
        end = len(run) if closed or supplementary else _end_of_pairs(run)
        if end < len(run):
            warnings.add("ENC-03")
        return _read_pairs(run[:end], supplementary, warnings) + _read_single(run[end:], warnings)
    if designated == b"(I":
        warnings.add("ENC-04")
        return bytes(byte | 0x80 if 0x21 <= byte <= 0x5F else byte for byte in run).decode("cp932", "replace")
    if designated == b"(J":
        warnings.add("ENC-04")
    return _read_single(run, warnings)


def _end_of_pairs(run: bytes) -> int:
    """Where the two-byte text of a run that nobody closed ends: at the first pair that cannot be a character."""
    end = 0
    while (
        end + 1 < len(run)
        and 0x21 <= run[end] <= 0x74
        and 0x21 <= run[end + 1] <= 0x7E
        and run[end] not in b"|^~"  # a delimiter at the place of a first byte
    ):
        end += 2
    return end


def _read_pairs(run: bytes, supplementary: bool, warnings: set[str]) -> str:
    signs = []
    for position in range(0, len(run) - 1, 2):
        sign, rules = _character(run[position], run[position + 1], supplementary)
        signs.append(sign)
        warnings.update(rules)
    if len(run) % 2:
        warnings.add("ENC-03")
        signs.append(REPLACEMENT)
    return "".join(signs)


@cache
def _character(first: int, second: int, supplementary: bool) -> tuple[str, tuple[str, ...]]:
    """One two-byte character and the rules it breaks. At most 65 536 pairs exist, twice."""
    if not (0x21 <= first <= 0x7E and 0x21 <= second <= 0x7E):
        return REPLACEMENT, ("ENC-03",)
    if supplementary:
        try:
            return (b"\x1b$(D" + bytes((first, second)) + b"\x1b(B").decode("iso2022_jp_1"), ()
        except UnicodeDecodeError:
            return GETA, ("ENC-03",)
    row, cell = first - 0x20, second - 0x20
    lead = (row - 1) // 2 + (0x81 if row <= 62 else 0xC1)
    trail = (cell + (0x3F if cell <= 63 else 0x40)) if row % 2 else cell + 0x9E
    try:
        sign = bytes((lead, trail)).decode("cp932")
    except UnicodeDecodeError:
        return GETA, ("ENC-03", "ENC-04")
    if "\ue000" <= sign <= "\uf8ff":  # the user-defined rows: every hospital means another character
        return GETA, ("ENC-03", "ENC-04")
    vendor = row == 13 or row >= 85
    return sign.translate(_TO_JIS_READING), ("ENC-04",) if vendor else ()


def _read_single(run: bytes, warnings: set[str]) -> str:
    if run.isascii():
        return run.decode("ascii")
    warnings.add("ENC-04" if all(byte < 0x80 or 0xA1 <= byte <= 0xDF for byte in run) else "ENC-03")
    return "".join(
        chr(byte) if byte < 0x80 else chr(0xFF61 + byte - 0xA1) if 0xA1 <= byte <= 0xDF else REPLACEMENT for byte in run
    )


def _read_eight_bits(raw: bytes, declared: str) -> tuple[str, str, set[str]]:
    """Bytes above 0x7F: UTF-8 if they are, then JIS with stray bytes, the declared Latin set, Shift_JIS or EUC-JP."""
    try:
        return raw.decode("utf-8"), UTF_8, set()
    except UnicodeDecodeError:
        pass  # not UTF-8: the next reading is tried
    if b"\x1b$" in raw:
        text, warnings = _read_jis_tolerantly(raw)
        return text, JIS, warnings
    if declared.startswith("8859/"):
        text = raw.decode(_CODECS[declared], "replace")
        return text, declared, {"ENC-03"} if REPLACEMENT in text else set()
    if declared in (UTF_8, "") and _is_damaged_utf_8(raw):
        return raw.decode("utf-8", "replace"), UTF_8, {"ENC-03"}
    name = _shift_jis_or_euc(raw) or (declared if declared in (UTF_8, EUC_JP) else SHIFT_JIS)
    text = raw.decode(_CODECS[name], "replace").translate(_TO_JIS_READING)
    return text, name, {"ENC-03"} if REPLACEMENT in text else set()


def _is_damaged_utf_8(raw: bytes) -> bool:
    """Whether more three-byte characters can be read as UTF-8 than cannot: in another set next to none ever can."""
    text = raw.decode("utf-8", "replace")
    unreadable = text.count(REPLACEMENT)
    return sum(sign > "\u07ff" for sign in text) - unreadable > unreadable


def _shift_jis_or_euc(raw: bytes) -> str:
    """Most runs are valid in both; the wrong reading shows by its half-width kana. "" where neither can be."""
    readings = {}
    for name in (SHIFT_JIS, EUC_JP):
        try:
            text = raw.decode(_CODECS[name])
        except UnicodeDecodeError:
            continue
        readings[name] = sum("\uff61" <= sign <= "\uff9f" for sign in text)
    return min(readings, key=lambda name: readings[name]) if readings else ""


# Writing ------------------------------------------------------------------------------------------------------------

_HALF_WIDTH = re.compile("[\uff61-\uff9f]+")
_TO_JIS_WRITING = _TO_JIS_READING | str.maketrans("\u00a5\u203e", "￥￣")  # or the codec would switch to JIS Roman
_TO_VENDOR_WRITING = {sign: original for original, sign in _TO_JIS_READING.items()}


def _writable(text: str, name: str) -> str:
    if name == JIS:
        wide = _HALF_WIDTH.sub(lambda match: unicodedata.normalize("NFKC", match.group()), text)
        return wide.translate(_TO_JIS_WRITING)
    if name == SHIFT_JIS:
        return text.translate(_TO_VENDOR_WRITING)
    return text


def _can_write(sign: str, name: str) -> bool:
    try:
        sign.encode(_CODECS[name])
    except UnicodeEncodeError:
        return False
    return True


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    sign = GETA if error.encoding in ("iso2022_jp", "cp932", "euc_jp") else "?"
    return sign * (error.end - error.start), error.end


codecs.register_error("hl7v2-geta", _replace)
