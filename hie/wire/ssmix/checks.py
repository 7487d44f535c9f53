"""The checks of a message against its name: a function a rule, named by it (``rules.RULES``).

A check gets the name and the message, or the data type and one segment, and yields what it finds; it never raises and
never carries a value away. ``check`` runs them all. What concerns names and folders is in ``names``, what concerns
several files of one key is decided where all of them are known.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime, timedelta
from functools import cache, lru_cache
from operator import itemgetter

from hie.values.errors import ExchangeError
from hie.wire.hl7v2.message import NULL, Message, Segment
from hie.wire.ssmix.data_types import (
    DATA_TYPES,
    LONGEST,
    NO_ORDER,
    NUMERIC,
    REQUIRED,
    REQUIRED_OF_TYPE,
    TIMES,
    UNDATED,
    of_trigger,
)
from hie.wire.ssmix.names import CURRENT, StorageName
from hie.wire.ssmix.rules import Deviation
from hie.wire.ssmix.structures import judge

MAX_FILE_BYTES = 32 * 1024 * 1024
_REMEMBERED = 16_384  # answers about single values, which a storage repeats in thousands of files

Comparable = Callable[[str], str]  # a chart number in the form in which a facility's spellings of it are equal


def read_message(raw: bytes) -> tuple[Message | None, tuple[Deviation, ...]]:
    """Read the bytes of a file: the message, or None and the rule that says why not. Glued segments are parted."""
    if not raw.strip(b"\x0b\x1c\x00\r\n \t\x1a"):
        return None, (Deviation("MSH-01", "file"),)
    try:
        message = Message.read(raw, MAX_FILE_BYTES)
    except ExchangeError as error:
        return None, (Deviation("MSH-01" if error.findings[0].location == "MSH^1" else "OWN-03", "MSH"),)
    return _part_glued(message)


def check(name: StorageName, message: Message, raw: bytes, comparable: Comparable = str.strip) -> tuple[Deviation, ...]:
    """All deviations of a message from what its name and its data type promise, in the order of the checks."""
    found = [deviation for each in CHECKS for deviation in each(name, message)]
    found += _in_segments(name.data_type, message.segments)
    found += id_01_02(name, message, comparable)
    found += [Deviation(rule) for rule in message.warnings if rule.startswith(("ENC-", "TERM-"))]
    if "TERM-03" not in message.warnings and _terminated_twice(raw):
        found.append(Deviation("TERM-03", "file"))
    return distinct(found)


def _in_segments(data_type: str, segments: Iterable[Segment]) -> list[Deviation]:
    """What single segments break, in the order of the checks and then of the segments."""
    broken = [
        (number, deviation)
        for segment in segments
        for number, each in _checks_of(segment.name)
        for deviation in each(data_type, segment)
    ]
    return [deviation for _, deviation in sorted(broken, key=_CHECK_NUMBER)] if broken else []


_CHECK_NUMBER = itemgetter(0)


@cache
def _checks_of(segment_name: str) -> tuple[tuple[int, SegmentCheck], ...]:
    """The checks that have something to ask of segments of this name."""
    return tuple((number, each) for number, (each, names) in enumerate(SEGMENT_CHECKS) if segment_name in names)


# Bytes --------------------------------------------------------------------------------------------------------------

_GLUED_NAMES = frozenset(
    "NTE OBX OBR ORC SPM SAC RXE RXC RXR RXA TQ1 IAM PRB ZPR PV1 PV2 PID NK1 DB1 IN1 AL1 ODS ZE1 ZE2 IPC".split()  # noqa: SIM905 - a table of words
)
_GLUED = re.compile(rf"(?<=[^\r\n|^~&\\])(?=(?:{'|'.join(sorted(_GLUED_NAMES))})\|(?:\d{{1,4}}\||NW\||SC\||CA\||AD\|))")


def _part_glued(message: Message) -> tuple[Message, tuple[Deviation, ...]]:
    """TERM-04: a segment name that follows text directly begins a segment; between delimiters it is left alone."""
    if (
        not any(map(_ends_in_name, message.segments))
        or message.delimiters.field != "|"
        or not _GLUED.search(message.text)
    ):
        return message, ()
    parted = Message.read(_GLUED.sub("\r", message.text).encode("utf-8", "replace"), 4 * MAX_FILE_BYTES)
    whole = Message(message.raw, message.text, message.charset, message.warnings, parted.segments, message.delimiters)
    return whole, (Deviation("TERM-04", "file"),)


def _ends_in_name(segment: Segment) -> bool:
    return not _GLUED_NAMES.isdisjoint([text[-3:] for text in segment.fields[1:]])


def _terminated_twice(raw: bytes) -> bool:
    tail = raw[-12:].rstrip(b"\x1c\x00\x1a").replace(b"\r\n", b"\r").replace(b"\n", b"\r").replace(b"\x1c\r", b"")
    return tail.endswith(b"\r\r")


# Header -------------------------------------------------------------------------------------------------------------


def msh_02(name: StorageName, message: Message) -> Iterator[Deviation]:
    """The trigger belongs to the data type."""
    if not of_trigger(name.data_type, message.trigger)[0]:
        yield Deviation("MSH-02", "MSH-9")


def msh_03(name: StorageName, message: Message) -> Iterator[Deviation]:
    """The version is 2.5."""
    if message.version != "2.5":
        yield Deviation("MSH-03", "MSH-12")


def cancels(name: StorageName, message: Message) -> bool:
    """Whether the message takes an event back: its trigger does, or all its orders are cancelled (ORC-1)."""
    if of_trigger(name.data_type, message.trigger)[1]:
        return True
    row = DATA_TYPES.get(name.data_type)
    if row is None or not row.numbered:
        return False
    controls = {segment.field(1) for segment in message.all("ORC")}
    return bool(controls) and controls <= _CANCELLED


_CANCELLED = frozenset(("CA", "DC"))


def life_03(name: StorageName, message: Message) -> Iterator[Deviation]:
    """A cancellation has flag 0."""
    if name.flag == CURRENT and cancels(name, message):
        yield Deviation("LIFE-03", "MSH-9")


# Identity -----------------------------------------------------------------------------------------------------------


def id_01_02(name: StorageName, message: Message, comparable: Comparable = str.strip) -> Iterator[Deviation]:
    """PID-3 is the patient of the folder. An empty PID-3 contradicts nothing: FLD-01 reports it."""
    pid = message.first("PID")
    if pid is None:
        return
    values = [pid.component_of(repetition, 1) for repetition in pid.repetitions(3)]
    values = [value for value in values if value and value != NULL]
    if not values or name.patient_id in values:
        return
    wanted = comparable(name.patient_id)
    same = any(comparable(value) == wanted for value in values)
    yield Deviation("ID-02" if same else "ID-01", "PID-3")


def id_03(name: StorageName, message: Message) -> Iterator[Deviation]:
    """Some ORC-2 (OBR-2 where there is no ORC) is the order number of the name."""
    row = DATA_TYPES.get(name.data_type)
    if row is None or not row.dated or not (row.numbered or row.code == "OMG-13") or name.order_number == NO_ORDER:
        return
    orders = message.all("ORC") or message.all("OBR")
    numbers = {segment.component(2, 1).rjust(15, "0") for segment in orders if segment.field(2)}
    if numbers and name.order_number.rjust(15, "0") not in numbers:
        yield Deviation("ID-03", "ORC-2")


def id_04(name: StorageName, message: Message) -> Iterator[Deviation]:
    """There is one PID."""
    if len(message.all("PID")) > 1:
        yield Deviation("ID-04", "PID")


# Date ---------------------------------------------------------------------------------------------------------------

_DATE = re.compile(r"(\d{4})(\d{2})(\d{2})(\d{2})?(\d{2})?(\d{2})?(?:\d{2})?(?:\.\d{1,9})?(?:[+-]\d{4})?")
_SHORT_DATE = re.compile(r"\d{4}(?:0[1-9]|1[0-2])?")
_UNKNOWN_DATES = frozenset(("00000000", "99999999", "99991231", "000000", "0000"))


@lru_cache(maxsize=_REMEMBERED)
def calendar_date(text: str) -> str:
    """``YYYYMMDD`` of a time as hospitals write it (8 to 16 digits, hours 24 to 47 are the next day); "" if none."""
    match = _DATE.fullmatch(text.strip())
    if match is None:
        return ""
    year, month, day, hour = match.group(1, 2, 3, 4)
    try:
        date = datetime(int(year), int(month), int(day))  # noqa: DTZ001 - a calendar date, no moment
    except ValueError:
        return ""
    hours = int(hour or 0)
    if hours > 47:
        return ""
    return f"{date + timedelta(days=1):%Y%m%d}" if hours > 23 else year + month + day


def care_dates(name: StorageName, message: Message) -> list[str]:
    """The care dates that the message itself gives (section 3.3), ``YYYYMMDD``; none for undated types."""
    row = DATA_TYPES.get(name.data_type)
    place = row.care_dates.get(message.trigger, "") if row is not None else ""
    if not place:
        return []
    segment_name, number = place[:3], int(place[4:])
    values = [segment.component(number, 1) for segment in message.all(segment_name) if segment.field(number)]
    return [date for date in map(calendar_date, values) if date]


def date_01(name: StorageName, message: Message) -> Iterator[Deviation]:
    """The care date of the name is one of those in the message."""
    if name.care_date == UNDATED:
        return
    dates = care_dates(name, message)
    if dates and name.care_date not in dates:
        yield Deviation("DATE-01", DATA_TYPES[name.data_type].care_dates[message.trigger])


# Segments -----------------------------------------------------------------------------------------------------------


def seg_01_02_03(name: StorageName, message: Message) -> Iterator[Deviation]:
    """The segments that have to be there are, in their order, and no other."""
    names = tuple([segment.name for segment in message.segments])
    missing, ordered, unknown = judge(name.data_type, message.trigger, names)
    for segment in missing:
        yield Deviation("SEG-01", segment)
    if not ordered:
        yield Deviation("SEG-02")
    for segment in unknown:
        yield Deviation("SEG-03", segment)


# Fields -------------------------------------------------------------------------------------------------------------


def fld_01(data_type: str, segment: Segment) -> Iterator[Deviation]:
    """Required fields are filled. In a group that summarises or cancels, only what identifies the order is asked."""
    fields = segment.fields
    length = len(fields)
    for number in _required(data_type).get(segment.name, ()):
        if number >= length or not fields[number]:
            yield Deviation("FLD-01", f"{segment.name}-{number}")


@cache
def _required(data_type: str) -> dict[str, tuple[int, ...]]:
    of_type = REQUIRED_OF_TYPE.get(data_type, {})
    return {each: REQUIRED.get(each, ()) + of_type.get(each, ()) for each in {*REQUIRED, *of_type}}


def fld_02(data_type: str, segment: Segment) -> Iterator[Deviation]:
    """Numeric fields hold numbers; ``""`` says that there is none."""
    for number, text in _filled(segment, NUMERIC):
        if text != NULL and not is_number(text):
            yield Deviation("FLD-02", f"{segment.name}-{number}")


def fld_03(data_type: str, segment: Segment) -> Iterator[Deviation]:
    """Date fields hold dates, of any precision."""
    for number, text in _filled(segment, TIMES):
        value = text.split("^", 1)[0].split("~", 1)[0].strip() if "^" in text or "~" in text else text
        if value and value != NULL and not is_date(value):
            yield Deviation("FLD-03", f"{segment.name}-{number}")


def fld_04(data_type: str, segment: Segment) -> Iterator[Deviation]:
    """Fields are not longer than their type."""
    for number, longest in LONGEST[segment.name]:
        text = segment.field(number)
        if len(text) > longest and len(segment.component(number, 1)) > longest:
            yield Deviation("FLD-04", f"{segment.name}-{number}")


def _filled(segment: Segment, table: dict[str, tuple[int, ...]]) -> Iterator[tuple[int, str]]:
    """The fields that a table names of a segment, where they are filled."""
    fields = segment.fields
    for number in table[segment.name]:
        if number < len(fields) and fields[number]:
            yield number, fields[number]


_NUMBER = re.compile(r"[+-]?(?:\d{1,3}(?:,\d{3})+|\d+)?\.?\d*(?:[eE][+-]?\d+)?")
_COMPARATOR = re.compile(r"^(?:[<>]=?|[≦≧＜＞≤≥]|[<>]|以上|以下|未満)|(?:以上|以下|未満)$")


@lru_cache(maxsize=_REMEMBERED)
def is_number(text: str) -> bool:
    """Whether the text is a number: ``135.``, ``+0.1``, commas, exponents and full-width digits are."""
    plain = text if text.isascii() else unicodedata.normalize("NFKC", text)
    return _NUMBER.fullmatch(plain) is not None and any(map(str.isdigit, plain))


@lru_cache(maxsize=_REMEMBERED)
def is_date(text: str) -> bool:
    """Whether the text is a date or time of any precision, or a sign for an unknown date."""
    return text in _UNKNOWN_DATES or _SHORT_DATE.fullmatch(text) is not None or calendar_date(text) != ""


# Values and codes ---------------------------------------------------------------------------------------------------


def val_01_02(data_type: str, segment: Segment) -> Iterator[Deviation]:
    """OBX-5 fits OBX-2. A comparator or blanks around a number are common and only noted."""
    kind, value = segment.field(2), segment.field(5)
    if not value or value == NULL:
        return
    if not kind:
        yield Deviation("VAL-01", "OBX-2")
    elif kind == "NM" and not is_number(value):
        bare = _COMPARATOR.sub("", value.strip()).strip()
        yield Deviation("VAL-02" if is_number(bare) else "VAL-01", "OBX-5")
    elif kind in ("DT", "TS") and not is_date(value):
        yield Deviation("VAL-01", "OBX-5")


_CODED: dict[str, tuple[int, ...]] = {"OBX": (3,), "RXE": (2,), "RXA": (5,), "RXC": (2,), "PRB": (3,), "IAM": (3,)}
_FORMS = {
    "JC10": re.compile(r"[0-9A-Z]{17}"),
    "HOT7": re.compile(r"1\d{6}"),
    "HOT9": re.compile(r"1\d{8}"),
    "HOT13": re.compile(r"1\d{12}"),
    "HOT": re.compile(r"1\d{6}(?:\d{2}(?:\d{4})?)?"),
    "MDCDX2": re.compile(r"\d{8}"),
}


def code_01_02(data_type: str, segment: Segment) -> Iterator[Deviation]:
    """Items, drugs and diagnoses carry a standard code of the right form, in the first or the second triplet."""
    if segment.name == "RXE" and data_type == "OMP-02":
        return
    for number, text in _filled(segment, _CODED):
        if text != NULL:
            for rule in _broken_by_code(text):
                yield Deviation(rule, f"{segment.name}-{number}")


@lru_cache(maxsize=_REMEMBERED)
def _broken_by_code(text: str) -> tuple[str, ...]:
    parts = [part.strip() for part in text.split("~", 1)[0].split("^")]
    systems = [(parts[at], parts[at + 2]) for at in (0, 3) if len(parts) > at + 2]
    broken = [] if any(system and not system.startswith("99") for _, system in systems) else ["CODE-01"]
    for code, system in systems:
        form = _FORMS.get(system)
        if form is not None and code and form.fullmatch(code) is None:
            broken.append("CODE-02")
    return tuple(broken)


# Units that UCUM has, folded: case matters little in what hospitals write and nothing here depends on it.
_UNITS = (
    "% g kg mg ug µg ng pg g/dl mg/dl ug/dl µg/dl ng/dl g/l mg/l ug/l ng/ml pg/ml ug/ml µg/ml u/l iu/l u/ml iu/ml"
    " miu/ml uiu/ml mu/l mmol/l umol/l meq/l mosm/kg mm cm m ml l dl fl mmhg torr bpm /min sec s msec ms min hr h d"
    " mv deg 10*3/ul 10*4/ul 10*6/ul 10^3/ul 10^4/ul 10^6/ul /ul /hpf /lpf ml/min ml/min/1.73m2 mm/hr mm/h cel"
    " kg/m2 mg/day g/day mg/gcr ratio index"
)
UNITS = frozenset(_UNITS.split())


def code_03(data_type: str, segment: Segment) -> Iterator[Deviation]:
    """The unit of a result is one that can be brought to UCUM."""
    if (unit := segment.component(6, 1)) and unit != NULL and not is_unit(unit):
        yield Deviation("CODE-03", "OBX-6")


@lru_cache(maxsize=_REMEMBERED)
def is_unit(text: str) -> bool:
    """Whether a unit as written is known."""
    return unicodedata.normalize("NFKC", text).strip().lower().replace("μ", "µ") in UNITS


Check = Callable[[StorageName, Message], Iterable[Deviation]]
SegmentCheck = Callable[[str, Segment], Iterable[Deviation]]  # data type, segment

CHECKS: tuple[Check, ...] = (msh_02, msh_03, id_03, id_04, date_01, life_03, seg_01_02_03)

# What is asked of single segments, and of which.
SEGMENT_CHECKS: tuple[tuple[SegmentCheck, Collection[str]], ...] = (
    (fld_01, frozenset(REQUIRED).union(*REQUIRED_OF_TYPE.values())),
    (fld_02, NUMERIC),
    (fld_03, TIMES),
    (fld_04, LONGEST),
    (val_01_02, ("OBX",)),
    (code_01_02, _CODED),
    (code_03, ("OBX",)),
)


def distinct(deviations: Iterable[Deviation]) -> tuple[Deviation, ...]:
    """Each rule and place once, in order: an OBX that repeats its mistake 200 times is one finding."""
    return tuple(dict.fromkeys(deviations))
