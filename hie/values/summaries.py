"""A summary of one person's care, as its reader gets it: statements of several facilities, each with its source.

What a statement says is text as the source wrote it, beside the codes that the source gave. Times are those of the
source, ``YYYYMMDD[hhmm[ss]]`` in Japan Standard Time, "" where it gave none.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from hie.values.codes import Code
from hie.values.identifiers import Identifier
from hie.values.people import PersonName


@dataclass(frozen=True, slots=True)
class Source:
    """Where a statement comes from. kind: what the document is, in Japanese.

    day: ``YYYYMMDD`` of the care, or of the writing where the kind has no day. written_at: when it was written, 14
    digits. document_unique_id: of the document that says it, "" where the registry has none.
    """

    facility_code: str
    facility_name: str
    kind: str
    day: str = ""
    written_at: str = ""
    document_unique_id: str = ""


@dataclass(frozen=True, slots=True)
class Coded:
    """What was meant: the words of the source and the standard codes it gave, the best one first."""

    text: str = ""
    codes: tuple[Code, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.text or self.codes)


@dataclass(frozen=True, slots=True)
class Allergy:
    """An allergy or intolerance. kind: 薬剤, 食物 … as the source says it."""

    agent: Coded
    source: Source
    kind: str = ""
    severity: str = ""
    reaction: str = ""
    since: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """A diagnosis. suspected: 疑い. outcome: 治癒, 中止 … as the source says it."""

    name: Coded
    source: Source
    since: str = ""
    until: str = ""
    suspected: bool = False
    main: bool = False
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class Medication:
    """A drug that was ordered (given False) or given.

    dose: amount and unit of one time; amount is "" where it is no number. usage: how it is taken. duration: ``28日分``.
    """

    drug: Coded
    source: Source
    given: bool = False
    amount: str = ""
    unit: str = ""
    usage: Coded = Coded()
    route: str = ""
    duration: str = ""
    start: str = ""
    stop: str = ""
    status: str = ""

    @property
    def dose(self) -> str:
        return f"{self.amount}{self.unit}"


@dataclass(frozen=True, slots=True)
class Result:
    """One result of an examination. number: the value where it is a number in ASCII, else "". flag: H, L, A or ""."""

    item: Coded
    value: str
    source: Source
    number: str = ""
    unit: str = ""
    flag: str = ""
    range: str = ""
    preliminary: bool = False
    at: str = ""


@dataclass(frozen=True, slots=True)
class Encounter:
    """A stay or a visit. inpatient: a stay; stop "" while it lasts or where the source does not say."""

    inpatient: bool
    what: str
    source: Source
    start: str = ""
    stop: str = ""
    department: str = ""


Statement = Allergy | Problem | Medication | Result | Encounter


@dataclass(frozen=True, slots=True)
class Section:
    """Statements of one subject, the newest first. limit: how many documents were read at most; cut: there are more.

    name: ``allergies``, ``problems``, ``prescriptions``, ``injections``, ``results`` or ``encounters``.
    """

    name: str
    statements: tuple[Statement, ...]
    limit: int
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom the summary is about, as the newest of its sources describes them."""

    identifier: Identifier
    name: PersonName = PersonName()
    birth_date: str = ""
    sex: str = ""


@dataclass(frozen=True, slots=True)
class Custodian:
    """Who made the summary and answers for it: the network. oid: of the community."""

    oid: str
    name: str


@dataclass(frozen=True, slots=True)
class Summary:
    """The whole. unique_id: OID of this very content. code: what kind of document; made_at: aware.

    left_out: documents that could not be read.
    """

    unique_id: str
    made_at: datetime
    code: Code
    title: str
    subject: Subject
    custodian: Custodian
    sections: tuple[Section, ...]
    left_out: tuple[Source, ...] = ()
    confidentiality: Code = Code("N", "2.16.840.1.113883.5.25", "通常")
