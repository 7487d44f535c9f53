"""Finding people by what is known of them, and telling others what changed: ITI-10, 21, 22, 31, 46, 47, 64.

Criteria that come in *groups* are a conjunction of alternatives: ``groups[n]`` is one demand, met where one of its
members is met; all demands have to be met. HL7 v2 repeats demands, HL7 v3 has both (values of one parameter are
alternatives, repeated parameters are demands). Nothing here is normalised: matching folds kana, widths and variants.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from hie.values.identifiers import AssigningAuthority, Identifier
from hie.values.people import Demographics

MOST_CHARACTERS = 256


class TextMatch(Enum):
    """How the text of a criterion has to be found in the text of a record."""

    EXACT = "the whole text, after normalisation"
    PREFIX = "the record's text begins with it"
    WILDCARD = "a pattern: * stands for any number of characters, ? for one"
    FUZZY = "it may be spelled otherwise: near matches and phonetic ones count"


@dataclass(frozen=True, slots=True)
class TextCriterion:
    """A text to be found. Of a PREFIX the text has no trailing ``*``; only a WILDCARD holds ``*`` or ``?`` as signs."""

    text: str = ""
    match: TextMatch = TextMatch.EXACT

    def __bool__(self) -> bool:
        return bool(self.text)

    @classmethod
    def with_wildcards(cls, text: str, otherwise: TextMatch = TextMatch.EXACT) -> TextCriterion:
        """Make out the wildcards: ``YAMA*`` is a prefix, ``Y?MADA`` a pattern, ``*`` alone asks nothing.

        otherwise: what a text without wildcards asks for. A text longer than 256 characters is cut there.
        """
        text = text.strip().replace("＊", "*").replace("？", "?")[:MOST_CHARACTERS]
        stem = text.rstrip("*")
        if not stem:
            return cls()
        if "*" in stem or "?" in stem:
            return cls(re.sub(r"\*+", "*", text), TextMatch.WILDCARD)
        return cls(stem, otherwise if stem == text else TextMatch.PREFIX)

    @property
    def pattern(self) -> str:
        """The text with its wildcards, as ``with_wildcards`` reads it."""
        return self.text + ("*" if self.match is TextMatch.PREFIX else "")


NOTHING_ASKED = TextCriterion()


class Representation(Enum):
    """The representations of a name; the values are the fields of ``PersonName``."""

    IDEOGRAPHIC = "ideographic"
    PHONETIC = "phonetic"
    ALPHABETIC = "alphabetic"


@dataclass(frozen=True, slots=True)
class NameCriterion:
    """One name that is asked for: family and given name of one representation, or of any where none is said.

    An empty part is not asked for. Parts of one criterion are found in one and the same representation. A name that
    came in one piece stands in ``family`` and may match family, or family and given together.
    """

    family: TextCriterion = NOTHING_ASKED
    given: TextCriterion = NOTHING_ASKED
    representation: Representation | None = None

    def __bool__(self) -> bool:
        return bool(self.family or self.given)


@dataclass(frozen=True, slots=True)
class BirthCriterion:
    """A birth date between two dates, both inclusive: ``YYYY``, ``YYYYMM`` or ``YYYYMMDD``, "" open.

    A single date is asked for with first == last; a shorter date stands for the whole month or year.
    """

    first: str = ""
    last: str = ""


@dataclass(frozen=True, slots=True)
class AddressCriterion:
    """Parts of an address that are asked for. ``text``: anywhere in the whole address (XAD-8, AD without parts)."""

    postal_code: TextCriterion = NOTHING_ASKED
    prefecture: TextCriterion = NOTHING_ASKED
    city: TextCriterion = NOTHING_ASKED
    street: TextCriterion = NOTHING_ASKED
    country: TextCriterion = NOTHING_ASKED
    text: TextCriterion = NOTHING_ASKED

    def __bool__(self) -> bool:
        return any((self.postal_code, self.prefecture, self.city, self.street, self.country, self.text))


@dataclass(frozen=True, slots=True)
class Practitioner:
    """A doctor of a visit (XCN): id, name, and who issued the id."""

    id: str = ""
    family: str = ""
    given: str = ""
    assigning_authority: AssigningAuthority = AssigningAuthority()

    def __bool__(self) -> bool:
        return bool(self.id or self.family or self.given)


@dataclass(frozen=True, slots=True)
class Location:
    """Where a patient is (PL): ward (point of care), room, bed, facility, as codes."""

    ward: str = ""
    room: str = ""
    bed: str = ""
    facility: str = ""

    def __bool__(self) -> bool:
        return bool(self.ward or self.room or self.bed or self.facility)


@dataclass(frozen=True, slots=True)
class Visit:
    """A visit as PV1 tells of it. Times are HL7 TS as sent, or "". patient_class: HL7 table 0004 (I O E P R N…).

    cleared: names of fields that the sender deletes (``""``); what is only empty stays as it is known.
    """

    patient_class: str = ""
    location: Location = Location()
    admission_type: str = ""
    preadmit_number: Identifier | None = None
    prior_location: Location = Location()
    attending: tuple[Practitioner, ...] = ()
    referring: tuple[Practitioner, ...] = ()
    consulting: tuple[Practitioner, ...] = ()
    hospital_service: str = ""
    temporary_location: Location = Location()
    admitting: tuple[Practitioner, ...] = ()
    visit_number: Identifier | None = None
    discharge_disposition: str = ""
    pending_location: Location = Location()
    admitted_at: str = ""
    discharged_at: str = ""
    cleared: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PractitionerCriterion:
    """A doctor that is asked for."""

    id: TextCriterion = NOTHING_ASKED
    family: TextCriterion = NOTHING_ASKED
    given: TextCriterion = NOTHING_ASKED

    def __bool__(self) -> bool:
        return bool(self.id or self.family or self.given)


@dataclass(frozen=True, slots=True)
class VisitCriteria:
    """What ITI-22 asks of the visit (ITI TF-2 table 3.22.4.1.2.2-1); every part that is given has to be met."""

    patient_class: str = ""
    ward: TextCriterion = NOTHING_ASKED
    room: TextCriterion = NOTHING_ASKED
    bed: TextCriterion = NOTHING_ASKED
    facility: TextCriterion = NOTHING_ASKED
    attending: PractitionerCriterion = PractitionerCriterion()
    referring: PractitionerCriterion = PractitionerCriterion()
    consulting: PractitionerCriterion = PractitionerCriterion()
    admitting: PractitionerCriterion = PractitionerCriterion()
    hospital_service: TextCriterion = NOTHING_ASKED
    visit_number: Identifier | None = None

    def __bool__(self) -> bool:
        return self != VisitCriteria()


@dataclass(frozen=True, slots=True)
class DemographicsQuery:
    """ITI-21, 22, 47, 78: who are the people of whom this is true? Groups: see the module.

    births and sexes: alternatives (HL7 table 0001: ``M F O U``). identifiers, accounts: an identifier whose authority
    is empty is asked for in any domain. domains: those whose identifiers are wanted, none for all, in the order and
    number of the message (an unknown one is raised at ``domain[n]``).
    identified_only: a person who has no identifier in the domains is left out (HL7 v2), else it stays with
    ``DemographicsMatch.missing`` (HL7 v3). page_size: the most matches to be told at once, 0 for all that may be told.
    pointer: where a former answer said to go on (DSC-1), "" for the first page. minimum_score: 0 to 100, or None.
    source: the demographics source that is asked (MSH-5), "" where there is no choice.
    ignored: names of parameters that were given and narrow nothing here, such as ``mother's maiden name``.
    visit: None, or what ITI-22 asks of the visit: only people with such a visit, told with those visits.
    raw: what the audit record keeps (the HL7 v2 message, the v3 queryByParameter).
    found: what the index keeps to itself of its search, once it has searched; None before.
    """

    message_id: str
    query_tag: str = ""
    names: tuple[tuple[NameCriterion, ...], ...] = ()
    births: tuple[BirthCriterion, ...] = ()
    sexes: tuple[str, ...] = ()
    addresses: tuple[tuple[AddressCriterion, ...], ...] = ()
    telephones: tuple[tuple[TextCriterion, ...], ...] = ()
    identifiers: tuple[tuple[Identifier, ...], ...] = ()
    accounts: tuple[tuple[Identifier, ...], ...] = ()
    visit: VisitCriteria | None = None
    domains: tuple[AssigningAuthority, ...] = ()
    identified_only: bool = False
    page_size: int = 0
    pointer: str = ""
    minimum_score: int | None = None
    source: str = ""
    ignored: tuple[str, ...] = ()
    raw: bytes = field(default=b"", compare=False)
    found: Any = field(default=None, compare=False, repr=False)

    @property
    def asks(self) -> bool:
        """Whether anything is asked that narrows the answer."""
        return bool(
            self.names
            or self.births
            or self.sexes
            or self.addresses
            or self.telephones
            or self.identifiers
            or self.accounts
            or self.visit
        )


@dataclass(frozen=True, slots=True)
class ContinuationRequest:
    """ITI-47: the next page of a query that was asked before (QUQI_IN000003UV01).

    query_id: the queryId of the query, ``root^extension`` as in ``DemographicsQuery.query_tag``. first: number of the
    first match wanted, from 1, 0 for the one after the last page. page_size: 0 for the size of the first page.
    """

    message_id: str
    query_id: str
    first: int = 0
    page_size: int = 0
    raw: bytes = field(default=b"", compare=False)


@dataclass(frozen=True, slots=True)
class CancelRequest:
    """ITI-21 (QCN^J01) and ITI-47 (QUQI_IN000003UV01_Cancel): no further page of this query will be asked for."""

    message_id: str
    query_id: str
    raw: bytes = field(default=b"", compare=False)


@dataclass(frozen=True, slots=True)
class DemographicsMatch:
    """One person who was found.

    identifiers: those in the domains asked for, or all that may be told. missing: domains asked for in which the
    person has none. score: 0 to 100, how well the person fits. facility_code, facility_name: whose record this is,
    "" for the network's. visits: those that ITI-22 asked for. account: PID-18. regional_id: whom the audit record
    names; it is told only where it stands among the identifiers.
    """

    identifiers: tuple[Identifier, ...]
    demographics: Demographics = Demographics()
    score: int = 100
    facility_code: str = ""
    facility_name: str = ""
    missing: tuple[AssigningAuthority, ...] = ()
    account: Identifier | None = None
    visits: tuple[Visit, ...] = ()
    regional_id: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class DemographicsResult:
    """A page of an answer. No matches: nobody was found.

    pointer: to be asked with for the next page, "" on the last one. total: all matches, remaining: those after this
    page. cap: not 0 where more were found than this network tells, who were left out: the answer announces it.
    query_raw: of the answer to a ContinuationRequest, ``raw`` of the query that it continues.
    warnings: sentences for the sender, without patient data.
    """

    matches: tuple[DemographicsMatch, ...] = ()
    pointer: str = ""
    total: int = 0
    remaining: int = 0
    cap: int = 0
    query_raw: bytes = field(default=b"", compare=False)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UpdateNotification:
    """ITI-10, 46: the identifiers under which one person is known now, in the domains that the consumer wants.

    When a link is broken, each of the groups that result is told of by a notification of its own.
    """

    identifiers: tuple[Identifier, ...]
    message_id: str = ""
    occurred_at: str = ""


@dataclass(frozen=True, slots=True)
class LinkChange:
    """ITI-64: the documents of a local identifier stand under another regional id now (XAD-PID link change).

    local_identifier: whose documents move. subsumed_local_identifier: one that was merged into it, if any.
    manager_oid: the OID of the PIX manager that tells (MSH-3), the sourceId of the new submission.
    """

    regional_id: Identifier
    previous_regional_id: Identifier
    local_identifier: Identifier
    subsumed_local_identifier: Identifier | None = None
    manager_oid: str = ""
    message_id: str = ""
    occurred_at: str = ""


class EncounterKind(Enum):
    """What an encounter event of ITI-31 is about, with the trigger that tells it first."""

    ADMIT = "A01"
    TRANSFER = "A02"
    DISCHARGE = "A03"
    REGISTER = "A04"
    PREADMIT = "A05"
    TO_INPATIENT = "A06"
    TO_OUTPATIENT = "A07"
    UPDATE_PATIENT = "A08"
    DEPART = "A09"
    ARRIVE = "A10"
    PENDING_ADMIT = "A14"
    PENDING_TRANSFER = "A15"
    PENDING_DISCHARGE = "A16"
    LEAVE = "A21"
    RETURN = "A22"
    MERGE_PATIENTS = "A40"
    MOVE_ACCOUNT = "A44"
    CHANGE_DOCTOR = "A54"


class MovementAction(Enum):
    """What is done to the movement: ZBE-4, or what the trigger means without ZBE."""

    INSERT = "INSERT"
    UPDATE = "UPDATE"
    CANCEL = "CANCEL"


@dataclass(frozen=True, slots=True)
class Movement:
    """ZBE of the Historic Movement option. Times are HL7 TS as sent, or "". original_trigger: ``A01`` or ""."""

    identifiers: tuple[Identifier, ...]
    starts_at: str = ""
    ends_at: str = ""
    action: MovementAction = MovementAction.INSERT
    historic: bool = False
    original_trigger: str = ""
    responsible_ward: str = ""
    nursing_ward: str = ""
    scope: str = ""


@dataclass(frozen=True, slots=True)
class EncounterEvent:
    """ITI-31: something that happened to a patient's stay.

    trigger: ``ADT^A11``. kind and action: what that means; a cancellation has the kind of what it cancels.
    prior_identifiers: MRG-1 of A40; of A44 the patient whom the account leaves. account: PID-18; prior_account: MRG-3.
    occurred_at: EVN-6, the time of the event, or of the event that is cancelled; "" where the sender is silent.
    movement: ZBE, None where it did not come.
    """

    kind: EncounterKind
    action: MovementAction
    trigger: str
    message_id: str
    identifiers: tuple[Identifier, ...]
    demographics: Demographics = Demographics()
    visit: Visit = Visit()
    account: Identifier | None = None
    movement: Movement | None = None
    prior_identifiers: tuple[Identifier, ...] = ()
    prior_account: Identifier | None = None
    occurred_at: str = ""
    planned_at: str = ""
    warnings: tuple[str, ...] = ()
