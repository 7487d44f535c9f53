"""What the messages of a standard storage say of a person's care, one statement a row: allergies, diagnoses, drugs,
results, stays (JAMI standard storage specification 1.2 and the JAHIS conventions for the message bodies).

A reader takes what is there: a field that is empty or not understood is left empty, never guessed. What a message takes
back (a cancelled order, a deleted diagnosis, a result that was not done) is no statement.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator

from hie.values.codes import Code
from hie.values.summaries import Allergy, Coded, Encounter, Medication, Problem, Result, Source, Statement
from hie.wire.hl7v2.message import NULL, Message, Segment
from hie.wire.ssmix.checks import calendar_date

# Names of coding systems in messages -> their OIDs. HOT alone is told by the length of the code.
SCHEMES = {
    "JC10": "1.2.392.200119.4.504",
    "HOT7": "1.2.392.200119.4.403.2",
    "HOT9": "1.2.392.200119.4.403.1",
    "HOT13": "1.2.392.200119.4.402.1",
    "YJ": "1.2.392.100495.20.2.73",
    "MDCDX2": "1.2.392.200119.4.101.2",
    "I10": "2.16.840.1.113883.6.3",
    "JAMISDP01": "1.2.392.200250.2.2.20",
    "LN": "2.16.840.1.113883.6.1",
}

# The sections of a summary, and the data types that each is read from.
SECTIONS: dict[str, tuple[str, ...]] = {
    "allergies": ("ADT-61",),
    "problems": ("PPR-01",),
    "prescriptions": ("OMP-01", "OMP-11"),
    "injections": ("OMP-02", "OMP-12"),
    "results": ("OML-11", "OMG-13"),
    "encounters": ("ADT-12", "ADT-22", "ADT-52"),
}


def read_statements(data_type: str, message: Message, source: Source) -> list[Statement]:
    """The statements of one message, in its order; none for a data type that no section is read from."""
    reader = _READERS.get(data_type)
    return list(reader(message, source)) if reader is not None else []


def read_short_allergies(message: Message, source: Source) -> list[Statement]:
    """The allergies that ADT-00 lists beside the demographics (AL1): for facilities without ADT-61."""
    return [
        Allergy(
            agent=agent,
            source=source,
            kind=_text(segment, 2),
            severity=_text(segment, 4),
            reaction=_joined(segment, 5),
            since=_time(segment, 6),
        )
        for segment in message.all("AL1")
        if (agent := coded(segment, 3))
    ]


def coded(segment: Segment, number: int, rep: int = 0) -> Coded:
    """A CE or CWE: the text of the first triplet that has one, the standard codes of both. Private codes stay out."""
    return _coded([segment.component(number, part, rep) for part in range(1, 7)])


# The data types -----------------------------------------------------------------------------------------------------


def _allergies(message: Message, source: Source) -> Iterator[Statement]:
    for segment in message.all("IAM"):
        agent = coded(segment, 3)
        if not agent or segment.component(6, 1) == "D":
            continue
        yield Allergy(
            agent=agent,
            source=source,
            kind=_text(segment, 2),
            severity=_text(segment, 4),
            reaction=_joined(segment, 5),
            since=_time(segment, 11) or _plain(segment.component(12, 1)),
        )


def _problems(message: Message, source: Source) -> Iterator[Statement]:
    for segment in message.all("PRB"):
        named = coded(segment, 3)
        written = _plain(segment.component(17, 1))
        if segment.component(1, 1) == "DE" or not (named or written):
            continue
        icd = [each for each in coded(segment, 10).codes if each.scheme == SCHEMES["I10"]]
        outcome = _text(segment, 14)
        yield Problem(
            name=Coded(written or named.text, (*icd, *named.codes)),
            source=source,
            since=_time(segment, 16) or _time(segment, 7),
            until=_time(segment, 15) or (_time(segment, 9) if outcome else ""),
            suspected=segment.component(13, 1) == "1",
            main=segment.component(18, 1) == "1",
            outcome=outcome,
        )


def _prescriptions(message: Message, source: Source) -> Iterator[Statement]:
    for group in _orders(message):
        for rxe in _named(group, "RXE"):
            drug = coded(rxe, 2)
            second = coded(rxe, 31)
            drug = Coded(drug.text or second.text, (*drug.codes, *second.codes))
            if drug:
                yield _ordered(drug, rxe, (3, 5), group, source)


def _injections(message: Message, source: Source) -> Iterator[Statement]:
    for group in _orders(message):
        mixture = [each for each in _named(group, "RXC") if coded(each, 2)]
        for rxc in mixture:
            yield _ordered(coded(rxc, 2), rxc, (3, 4), group, source)
        for rxe in () if mixture else _named(group, "RXE"):
            if drug := coded(rxe, 2):
                yield _ordered(drug, rxe, (3, 5), group, source)


def _ordered(drug: Coded, segment: Segment, dose: tuple[int, int], group: list[Segment], source: Source) -> Medication:
    """A drug of an order. dose: the fields of amount and unit."""
    timing = next(_named(group, "TQ1"), None)
    route = next(_named(group, "RXR"), None)
    return Medication(
        drug=drug,
        source=source,
        amount=_amount(segment, dose[0]),
        unit=_text(segment, dose[1]),
        usage=_usage(timing, group),
        route=_text(route, 1) if route else "",
        duration=_duration(timing) if timing else "",
        start=_time(timing, 7) if timing else "",
        stop=_time(timing, 8) if timing else "",
    )


def _given(message: Message, source: Source) -> Iterator[Statement]:
    for group in _orders(message):
        route = next(_named(group, "RXR"), None)
        for segment in _named(group, "RXA"):
            if drug := coded(segment, 5):
                yield Medication(
                    drug=drug,
                    source=source,
                    given=True,
                    amount=_amount(segment, 6),
                    unit=_text(segment, 7),
                    route=_text(route, 1) if route else "",
                    start=_time(segment, 3),
                    stop=_time(segment, 4),
                    status=_COMPLETION.get(segment.component(20, 1), ""),
                )


_COMPLETION = {"RE": "拒否", "NA": "実施せず", "PA": "一部実施"}


def _results(message: Message, source: Source) -> Iterator[Statement]:
    """Results follow their specimen (OUL: SPM, OBR) or their examination (ORU: OBR), whose time they share."""
    specimen = examined = ""
    for segment in message.segments:
        if segment.name == "SPM":
            specimen, examined = _time(segment, 17), ""
        elif segment.name == "OBR":
            examined = _time(segment, 7)
        elif segment.name == "OBX" and segment.component(11, 1) not in _NOT_DONE:
            item, value = _item(segment), _value(segment)
            if item and value:
                yield Result(
                    item=item,
                    value=value,
                    source=source,
                    number=_number(value) if segment.field(2) == "NM" else "",
                    unit=_text(segment, 6),
                    flag=_plain(segment.component(8, 1)),
                    range=_plain(segment.text_of(segment.field(7))),
                    preliminary=segment.component(11, 1) == "P",
                    at=_time(segment, 14) or specimen or examined,
                )


_NOT_DONE = frozenset(("X", "D", "O", "I", "N"))


def _encounters(message: Message, source: Source) -> Iterator[Statement]:
    visit = message.first("PV1")
    if visit is None:
        return
    what, inpatient = _MOVEMENTS[_event(message)]
    yield Encounter(
        inpatient=inpatient,
        what=what,
        source=source,
        start=_time(visit, 44),
        stop=_time(visit, 45),
        department=_text(visit, 10),
    )


_MOVEMENTS = {"A04": ("外来受診", False), "A01": ("入院", True), "A03": ("入院", True)}


def _event(message: Message) -> str:
    """The event of a movement: A01, A03 or A04; any other is read as a visit."""
    event = message.header.component(9, 2)
    return event if event in _MOVEMENTS else "A04"


_Reader = Callable[[Message, Source], Iterator[Statement]]
_READERS: dict[str, _Reader] = {
    "ADT-61": _allergies,
    "PPR-01": _problems,
    "OMP-01": _prescriptions,
    "OMP-02": _injections,
    "OMP-11": _given,
    "OMP-12": _given,
    "OML-11": _results,
    "OMG-13": _results,
    "ADT-12": _encounters,
    "ADT-22": _encounters,
    "ADT-52": _encounters,
}


# Parts of a message -------------------------------------------------------------------------------------------------


def _orders(message: Message) -> Iterator[list[Segment]]:
    """The segments of each order that holds, from its ORC to the next."""
    group: list[Segment] = []
    for segment in message.segments:
        if segment.name == "ORC":
            if _holds(group):
                yield group
            group = []
        group.append(segment)
    if _holds(group):
        yield group


def _holds(group: list[Segment]) -> bool:
    return bool(group) and group[0].name == "ORC" and group[0].component(1, 1) not in ("CA", "DC")


def _named(group: Iterable[Segment], name: str) -> Iterator[Segment]:
    return (segment for segment in group if segment.name == name)


# Parts of a field ---------------------------------------------------------------------------------------------------

_SPACES = re.compile(r"\s+")


def _plain(text: str) -> str:
    """A text for people: without line ends and doubled blanks; ``""`` says nothing."""
    return "" if text == NULL else _SPACES.sub(" ", text.replace("&", " ")).strip()


def _text(segment: Segment, number: int) -> str:
    """What a coded field says in words: its second component, else its fifth, else the code itself."""
    return next(filter(None, (_plain(segment.component(number, part)) for part in (2, 5, 1, 4))), "")


def _joined(segment: Segment, number: int) -> str:
    texts = (_plain(segment.component_of(each, 1)) for each in segment.repetitions(number))
    return "、".join(filter(None, texts))


def _coded(parts: list[str]) -> Coded:
    codes, texts, raw = [], [], []
    for at in (0, 3):
        code, text, system = (_plain(part) for part in parts[at : at + 3])
        texts.append(text)
        raw.append(code)
        if code and system and not system.startswith("99"):
            codes.append(Code(code, _scheme(system, code), text))
    return Coded(next(filter(None, (*texts, *raw)), ""), tuple(dict.fromkeys(codes)))


def _scheme(system: str, code: str) -> str:
    if system == "HOT":
        system = {7: "HOT7", 9: "HOT9", 13: "HOT13"}.get(len(code), system)
    return SCHEMES.get(system, system)


def _time(segment: Segment, number: int) -> str:
    """``YYYYMMDD[hhmm[ss]]`` as written where it names a real day; "" where it does not."""
    digits = segment.component(number, 1).split(".")[0].split("+")[0].strip()
    if not calendar_date(digits):
        return digits if len(digits) in (4, 6) and digits.isascii() and digits.isdigit() else ""
    hour = digits[8:10]
    if hour > "23":
        return digits[:8]
    return digits[:14] if len(digits) >= 14 else digits[:12] if len(digits) >= 12 else digits[:8]


_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?")


def _number(text: str) -> str:
    """The text as a number that every system reads (``1,200`` and ``７.２`` too), "" where it is none."""
    plain = unicodedata.normalize("NFKC", text).replace(",", "").rstrip(".").removeprefix("+").strip()
    return plain if _NUMBER.fullmatch(plain) else ""


def _amount(segment: Segment, number: int) -> str:
    text = _plain(segment.component(number, 1))
    return _number(text) or text


def _usage(timing: Segment | None, group: list[Segment]) -> Coded:
    """TQ1-3, whose code, text and system are sub-components; else the instructions of RXE-7."""
    if timing is not None:
        found = _coded([timing.component(3, 1, sub=part) for part in range(1, 7)])
        if found:
            return found
    rxe = next(_named(group, "RXE"), None)
    return Coded(_text(rxe, 7)) if rxe is not None else Coded()


_DAYS = {"d": "日分", "D": "日分"}


def _duration(timing: Segment) -> str:
    """TQ1-6: ``5^d`` as 5日分."""
    amount, unit = _plain(timing.component(6, 1)), timing.component(6, 2).strip()
    unit = unit.split("&")[0] if "&" in unit else unit
    return f"{amount}{_DAYS[unit]}" if amount and unit in _DAYS else f"{amount}{unit}"


def _item(segment: Segment) -> Coded:
    """OBX-3; a physiology item carries a suffix after ``&``, which its text keeps and its code does not."""
    parts = [segment.component(3, part) for part in range(1, 7)]
    for at in (0, 3):
        parts[at] = parts[at].split("&")[0]
    return _coded(parts)


def _value(segment: Segment) -> str:
    """OBX-5 as text: of a coded value the words, else the text as it is; repetitions one after another."""
    if segment.field(2) in ("CE", "CWE"):
        return "、".join(
            filter(
                None,
                (
                    _coded([segment.component_of(each, part) for part in range(1, 7)]).text
                    for each in segment.repetitions(5)
                ),
            )
        )
    return "、".join(filter(None, (_plain(segment.text_of(each)) for each in segment.repetitions(5))))
