"""A patient summary, assembled for its reader when it is asked for (settings.ON_DEMAND; ITI TF-2: 3.43.4.2.3, 3.61).

It is made of the files of every facility's standard storage, as far as the permit discloses them: those that are
documents as the registry describes them, those that are none (movements, demographics) by the codes that the network
gives their data type. What is withheld leaves no trace. Of each subject the newest files are read, one at a time, up to
a limit that the document states; a file that cannot be read is named and left out.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property

from django.conf import settings

from apps.network.queries import Facility, affinity_domain, facility, facility_of_authority
from apps.pix.queries import identifiers_of
from apps.ssmix.models import State, StorageKind, StorageRoot, StoredFile
from apps.ssmix.repository import open_file
from apps.terminology import queries as terminology
from apps.xds.repository import open_content
from apps.xds.rules import Origin
from apps.xds.services import Assembled
from apps.xds.stored_queries.readable import Readable, readable
from hie.values.access import Permit
from hie.values.codes import Code
from hie.values.documents import DocumentEntry
from hie.values.errors import ExchangeError, Reason
from hie.values.identifiers import Identifier
from hie.values.summaries import Custodian, Encounter, Section, Source, Statement, Subject, Summary
from hie.wire.cda.summary import write_summary
from hie.wire.hl7v2.demographics import read_demographics
from hie.wire.hl7v2.message import Message
from hie.wire.ssmix.checks import MAX_FILE_BYTES, read_message
from hie.wire.ssmix.data_types import UNDATED
from hie.wire.ssmix.names import read_file_name, shown
from hie.wire.ssmix.statements import SECTIONS, read_short_allergies, read_statements

log = logging.getLogger("apps.ssmix")

# Files that are read for a section at most, and statements that it holds at most.
LIMITS = {"allergies": 20, "problems": 20, "prescriptions": 20, "injections": 10, "results": 10, "encounters": 20}
MOST_STATEMENTS = 300
DEMOGRAPHICS = "ADT-00"
# Data types that are no documents unless the network wants them so, and are read nevertheless. Those that would be
# documents and that the network has switched off are not read.
BESIDE = frozenset((DEMOGRAPHICS, "ADT-12", "ADT-22", "ADT-52", "OMP-11"))
TITLE = "患者サマリ"
FORMAT = "SUMMARY"  # the key under which the network's terminology has the formatCode

_UNWRITTEN = datetime(2000, 1, 1, tzinfo=UTC)


def assemble(entry: DocumentEntry, regional_id: str, permit: Permit) -> Assembled | None:
    """The summary of a person as the permit discloses it; None where it discloses nothing that is in one.

    Also None where the network offers no summaries, or where the entry is of something else. One statement of SQL for
    what is registered of each section, one for what is not; one file is read at a time.
    """
    if not settings.SUMMARY or entry.format_code != terminology.code("format", FORMAT):
        return None
    reading = _Reading(permit, regional_id)
    demographics = reading.demographics()
    sections = [reading.section(name) for name in SECTIONS]
    subject = reading.subject(demographics)
    sections[0] = reading.with_short_allergies(sections[0], demographics)
    if not reading.origins:
        return None
    summary = Summary(
        unique_id="",
        made_at=_UNWRITTEN,
        code=entry.type_code or Code(""),
        title=entry.title or TITLE,
        subject=subject,
        custodian=Custodian(settings.HOME_COMMUNITY_OID, settings.NETWORK_NAME),
        sections=tuple(sections),
        left_out=tuple(reading.left_out),
    )

    def write(unique_id: str, moment: datetime) -> bytes:
        return write_summary(replace(summary, unique_id=unique_id, made_at=moment))

    digest = hashlib.sha256(write("", _UNWRITTEN)).hexdigest()
    return Assembled(digest, tuple(reading.origins), write)


@dataclass(frozen=True, slots=True)
class _File:
    """One file that may be read: what the permit was asked about it, where it comes from, and its bytes."""

    origin: Origin
    data_type: str
    source: Source
    read: Callable[[], bytes]

    @property
    def age(self) -> tuple[str, str]:
        return (self.origin.care_date, self.source.written_at)


@dataclass
class _Reading:
    """One summary under way. origins: of every file that was read or left out."""

    permit: Permit
    regional_id: str
    origins: dict[Origin, None] = field(default_factory=dict)
    left_out: list[Source] = field(default_factory=list)
    newest: tuple[tuple[str, str], Message] | None = None  # of all messages that were read

    @cached_property
    def charts(self) -> dict[str, frozenset[str]]:
        """Facility -> the ways in which it may write the person's chart numbers."""
        return _charts_of(self.regional_id)

    def section(self, name: str) -> Section:
        """One section, read from the newest files of its data types."""
        limit = LIMITS[name]
        files = self.files(SECTIONS[name], limit + 1)
        found: list[Statement] = []
        for each in files[:limit]:
            message = self.message(each)
            found += self.statements(each, message) if message is not None else ()
        if name == "encounters":
            found = _once(found)
        return Section(name, tuple(found[:MOST_STATEMENTS]), limit, len(files) > limit or len(found) > MOST_STATEMENTS)

    def files(self, data_types: tuple[str, ...], most: int | None = None) -> list[_File]:
        """Files of these data types that may be read, the newest first; so many at most."""
        kinds = {each: kind for each in data_types if (kind := terminology.data_type(each)) is not None}
        registered = readable(self.permit, self.regional_id, [kind.event_code for kind in kinds.values()], "ssmix")
        found = [*itertools.islice(filter(None, map(_registered, registered)), most), *self._others(kinds)]
        return sorted(found, key=lambda each: each.age, reverse=True)[:most]

    def message(self, each: _File) -> Message | None:
        """Read one file; None where it cannot be read, and it is named as left out."""
        self.origins[each.origin] = None
        try:
            message, _ = read_message(each.read())
        except (ExchangeError, OSError):
            message = None
        if message is None:
            self.left_out.append(each.source)
        elif self.newest is None or self.newest[0] < each.age:
            self.newest = (each.age, message)
        return message

    def statements(self, each: _File, message: Message) -> list[Statement]:
        """What a message says; nothing where that cannot be understood, and it is named as left out."""
        try:
            return [_named(statement) for statement in read_statements(each.data_type, message, each.source)]
        except Exception as failure:  # one message must not take the summary from its reader
            log.error("a file of type %s could not be read for a summary: %s", each.data_type, type(failure).__name__)
            self.left_out.append(each.source)
            return []

    def demographics(self) -> list[tuple[_File, Message]]:
        """The newest ADT-00 of each facility, read; the newest of all first."""
        first: dict[str, _File] = {}
        for each in self.files((DEMOGRAPHICS,)):
            first.setdefault(each.source.facility_code, each)
        return [(each, message) for each in first.values() if (message := self.message(each)) is not None]

    def subject(self, demographics: list[tuple[_File, Message]]) -> Subject:
        """The person as the newest demographics describe them, else the newest message that was read."""
        identifier = Identifier(self.regional_id, affinity_domain())
        message = demographics[0][1] if demographics else self.newest and self.newest[1]
        if not message:
            return Subject(identifier)
        said = read_demographics(message)
        return Subject(identifier, said.name, said.birth_date, said.sex)

    def with_short_allergies(self, section: Section, demographics: list[tuple[_File, Message]]) -> Section:
        """Allergies that ADT-00 lists, of facilities that keep no list of their own (ADT-61)."""
        listed = {each.source.facility_code for each in section.statements}
        found = list(section.statements)
        for each, message in demographics:
            if each.source.facility_code not in listed:
                found += read_short_allergies(message, each.source)
        return replace(
            section, statements=tuple(found[:MOST_STATEMENTS]), cut=section.cut or len(found) > MOST_STATEMENTS
        )

    def _others(self, kinds: dict[str, terminology.DataType]) -> Iterator[_File]:
        """Current files that are no documents, of the person's charts at every facility. Two statements at most."""
        wanted = [each for each in kinds if each in BESIDE]
        charts = self.charts if wanted else {}
        if not charts:
            return
        rows = StoredFile.objects.filter(
            root__in=StorageRoot.objects.filter(kind=StorageKind.STANDARD, facility__code__in=list(charts)),
            patient_id__in=sorted({spelled for each in charts.values() for spelled in each}),
            data_type__in=wanted,
            state__in=(State.EXCLUDED, State.CURRENT),
        ).select_related("root__facility", "directory")
        for row in rows.iterator(200):
            its_facility = facility(row.root.facility.code)
            if its_facility is None or row.patient_id not in charts[its_facility.code]:
                continue
            if row.state == State.CURRENT and row.data_type != DEMOGRAPHICS:
                continue  # a document, which the registry describes
            found = _beside(row, its_facility, kinds[row.data_type])
            if self.permit.allows(self.regional_id, found.origin.disclosure):
                yield found


def _charts_of(regional_id: str) -> dict[str, frozenset[str]]:
    """Facility -> the ways in which it may write the person's chart numbers."""
    found: dict[str, set[str]] = {}
    for identifier in identifiers_of(regional_id):
        its_facility = facility_of_authority(identifier.oid)
        if its_facility is not None:
            found.setdefault(its_facility.code, set()).update(its_facility.patient_ids.spellings(identifier.value))
    return {code: frozenset(spelled) for code, spelled in found.items()}


def _registered(document: Readable) -> _File | None:
    """A document of the registry that lies in a standard storage."""
    name = read_file_name(shown(document.locator.rsplit("/", 1)[-1]))
    kind = terminology.data_type(name.data_type) if name is not None else None
    if name is None or kind is None:
        return None

    def read() -> bytes:
        if document.size > MAX_FILE_BYTES:
            raise ExchangeError(Reason.TOO_LARGE, "The file is larger than is read.")
        with open_content(document.locator, document.size, document.sha256).open("rb") as file:
            return file.read()

    source = _source(document.origin, kind.display, name.written_at, document.unique_id)
    return _File(document.origin, name.data_type, source, read)


def _beside(row: StoredFile, its_facility: Facility, kind: terminology.DataType) -> _File:
    """A file that is no document, described as one of its data type would be."""
    confidentiality = terminology.code("confidentiality", "N")
    origin = Origin(
        entry_uuid="",
        facility_code=its_facility.code,
        class_code=_key(kind.class_code),
        type_code=_key(kind.type_code),
        event_codes=_key(kind.event_code),
        confidentiality_codes=_key(confidentiality) if confidentiality else "",
        care_date=row.care_date if row.care_date != UNDATED else row.written_at[:8],
    )
    path = f"{row.directory.path}/{row.name}" if row.directory.path else row.name

    def read() -> bytes:
        with open_file(f"ssmix:{row.root_id}/{path}").open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
        if hashlib.sha256(raw).hexdigest() != row.sha256:
            raise ExchangeError(Reason.REPOSITORY_ERROR, "The file has changed since it was scanned.")
        return raw

    return _File(origin, row.data_type, _source(origin, kind.display, row.written_at, ""), read)


def _source(origin: Origin, kind: str, written_at: str, unique_id: str) -> Source:
    its_facility = facility(origin.facility_code)
    name = its_facility.name if its_facility else origin.facility_code
    return Source(origin.facility_code, name, kind, origin.care_date, written_at[:14], unique_id)


def _key(code: Code) -> str:
    return f"{code.code}^^{code.scheme}"


def _named(statement: Statement) -> Statement:
    """A statement with the name of its department, where it has the code of one."""
    if not isinstance(statement, Encounter):
        return statement
    department = terminology.department(statement.department)
    return replace(statement, department=department.display if department else "")


def _once(statements: Iterable[Statement]) -> list[Statement]:
    """Stays once each: an admission whose discharge is there too says no more than that."""
    found = [each for each in statements if isinstance(each, Encounter)]
    ended = {(each.source.facility_code, each.start) for each in found if each.inpatient and each.stop}
    return [
        each
        for each in found
        if each.stop or not each.inpatient or (each.source.facility_code, each.start) not in ended
    ]
