"""Who asks, for what purpose, and what was granted.

The gate answers a question of consent with a ``Permit``, which is also an argument of every verb: the verb
narrows itself by it, and an answer never shows that something was withheld.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from hie.values.codes import Code
from hie.values.identifiers import Identifier


class Access(Enum):
    """The consent question that a transaction asks."""

    FEED = "tell the network of one's own patients"
    IDENTIFY = "learn under which identifiers a person is known"
    FIND = "learn which documents exist"
    RETRIEVE = "read documents"
    SUBMIT = "add documents"
    ADMINISTER = "look after the network"


class PurposeOfUse(Enum):
    """Why it is asked: codes of ISO 14265 as XSPA and FHIR write them (HL7 v3 PurposeOfUse, 2.16.840.1.113883.5.8)."""

    TREATMENT = "TREAT"
    EMERGENCY = "ETREAT"
    BREAK_GLASS = "BTG"
    OPERATIONS = "HOPERAT"
    PATIENT = "PATRQT"
    PUBLIC_HEALTH = "PUBHLTH"

    @property
    def emergency(self) -> bool:
        return self in (PurposeOfUse.EMERGENCY, PurposeOfUse.BREAK_GLASS)


@dataclass(frozen=True, slots=True)
class Node:
    """The system that asks: a row of ``apps.network``. facility_code is the 10-digit code of the facility it serves."""

    name: str
    facility_code: str
    facility_name: str = ""
    accesses: frozenset[Access] = frozenset()


@dataclass(frozen=True, slots=True)
class Person:
    """The human behind the system, as a verified assertion names them (XUA); empty where none came."""

    user_id: str = ""
    name: str = ""
    issuer: str = ""
    alias: str = ""
    organization: str = ""
    roles: tuple[Code, ...] = ()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks and why. reason: the words given for an emergency access."""

    node: Node
    person: Person = Person()
    purpose: PurposeOfUse = PurposeOfUse.TREATMENT
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Disclosure:
    """One thing that could be disclosed, as a rule of consent sees it.

    facility_code: whose record it is. kinds: codes of its class, type and event list.
    date: ``YYYYMMDD`` of the care or, where unknown, of the creation; "" where there is none.
    """

    facility_code: str
    kinds: frozenset[str] = frozenset()
    confidentiality: frozenset[str] = frozenset()
    date: str = ""
    entry_uuid: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """One sentence of a directive, compiled: permit or deny what matches. An empty set matches everything.

    first_date and last_date bound the date of care, ``YYYYMMDD`` inclusive, "" open. in_emergency: still denies then.
    """

    permits: bool
    facilities: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()
    confidentiality: frozenset[str] = frozenset()
    entries: frozenset[str] = frozenset()
    first_date: str = ""
    last_date: str = ""
    in_emergency: bool = False

    def matches(self, disclosure: Disclosure) -> bool:
        return (
            (not self.facilities or disclosure.facility_code in self.facilities)
            and (not self.kinds or not self.kinds.isdisjoint(disclosure.kinds))
            and (not self.confidentiality or not self.confidentiality.isdisjoint(disclosure.confidentiality))
            and (not self.entries or disclosure.entry_uuid in self.entries)
            and (not self.first_date or (disclosure.date != "" and disclosure.date >= self.first_date))
            and (not self.last_date or (disclosure.date != "" and disclosure.date <= self.last_date))
        )

    def concerns(self, facility_code: str) -> bool:
        """Whether it can match anything of this facility."""
        return not self.facilities or facility_code in self.facilities

    def covers(self, other: Rule) -> bool:
        """Whether it matches every record of one facility that the other rule matches, facilities aside.

        Kinds and confidentiality match where one code is shared, so it covers a narrower set of them.
        """
        return (
            _covers(self.kinds, other.kinds)
            and _covers(self.confidentiality, other.confidentiality)
            and _covers(self.entries, other.entries)
            and (not self.first_date or self.first_date <= other.first_date)
            and (not self.last_date or (other.last_date != "" and other.last_date <= self.last_date))
        )


def _covers(wide: frozenset[str], narrow: frozenset[str]) -> bool:
    """Whether a condition is at least as wide as another. An empty set is the widest of all."""
    return not wide or (bool(narrow) and narrow <= wide)


@dataclass(frozen=True, slots=True)
class Decision:
    """What one caller may see of one patient: a default, and rules of which a denial outweighs a permission.

    own_facility: a facility's own record is never withheld from it.
    """

    default: bool
    rules: tuple[Rule, ...] = ()
    own_facility: str = ""
    emergency: bool = False

    def allows(self, disclosure: Disclosure) -> bool:
        if self.own_facility and disclosure.facility_code == self.own_facility:
            return True
        allowed = self.default or self.emergency
        for rule in self.rules:
            if not rule.matches(disclosure):
                continue
            if rule.permits:
                allowed = True
            elif rule.in_emergency or not self.emergency:
                return False
        return allowed

    def reveals(self, facility_code: str) -> bool:
        """Whether the caller may learn that this facility knows the patient, as an answer of PIX would tell.

        It may where the decision leaves open that some record of the facility can be disclosed: it is the
        caller's own, or there is an opening (the default, an emergency, a permission) that concerns the facility
        and that no denial in force covers wholly. What records the facility really has plays no part, so the
        answer says nothing about them.
        """
        if self.own_facility and facility_code == self.own_facility:
            return True
        if not self.rules:
            return self.default or self.emergency
        rules = [rule for rule in self.rules if rule.concerns(facility_code)]
        openings = [rule for rule in rules if rule.permits]
        if self.default or self.emergency:
            openings.append(Rule(permits=True))
        denials = [rule for rule in rules if not rule.permits and (rule.in_emergency or not self.emergency)]
        return any(not any(denial.covers(opening) for denial in denials) for opening in openings)


NOTHING = Decision(default=False)


@dataclass(frozen=True, slots=True)
class Permit:
    """The gate's answer: for each patient the message is about, what the caller may see.

    decisions: regional id value -> decision. subjects: the patients, in the order of the message.
    A patient without a decision is closed.
    """

    caller: Caller
    access: Access
    subjects: tuple[str, ...] = ()
    decisions: Mapping[str, Decision] = field(default_factory=dict)

    def of(self, regional_id: str) -> Decision:
        """The decision for one patient; a patient nobody asked the gate about is closed."""
        return self.decisions.get(regional_id, NOTHING)

    def allows(self, regional_id: str, disclosure: Disclosure) -> bool:
        return self.of(regional_id).allows(disclosure)

    def reveals(self, regional_id: str, facility_code: str) -> bool:
        """Whether an answer may show that this facility knows this patient (``Decision.reveals``)."""
        return self.of(regional_id).reveals(facility_code)


@dataclass(frozen=True, slots=True)
class Subject:
    """A patient that a message is about: the identifier as sent, and the regional id where it is known."""

    identifier: Identifier
    regional_id: str = ""
