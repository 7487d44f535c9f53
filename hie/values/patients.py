"""What is asked of and told to the patient index, whatever the dialect: ITI-8, 9, 30, 44, 45, 83, 104."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from hie.values.identifiers import AssigningAuthority, Identifier
from hie.values.people import Demographics


class FeedEvent(Enum):
    """What happened to the record at the facility, with the trigger events that say so."""

    REGISTER = "register"  # A01 A04 A05 A28; PRPA_IN201301UV02
    UPDATE = "update"  # A08 A31; PRPA_IN201302UV02
    MERGE = "merge"  # A40; PRPA_IN201304UV02
    CHANGE_IDENTIFIER = "change identifier"  # A47
    LINK = "link"  # A24
    UNLINK = "unlink"  # A37


@dataclass(frozen=True, slots=True)
class PatientFeed:
    """One event of a patient identity feed.

    identifiers: PID-3, at least one. prior_identifiers: MRG-1 of a merge or an identifier change, else empty.
    other_identifiers: PID-3 of the second PID of a link or unlink, else empty.
    pam: the message obeys PAM (ITI-30) whose rules of merging differ from ITI-8 (iti-transactions 4.6).
    message_id: MSH-10 or the v3 message id. occurred_at: HL7 TS as sent, or "".
    """

    event: FeedEvent
    trigger: str
    message_id: str
    identifiers: tuple[Identifier, ...]
    demographics: Demographics = Demographics()
    prior_identifiers: tuple[Identifier, ...] = ()
    pam: bool = False
    occurred_at: str = ""
    warnings: tuple[str, ...] = ()
    other_identifiers: tuple[Identifier, ...] = ()


@dataclass(frozen=True, slots=True)
class KnownIdentifier:
    """An identifier under which the index knows a person. facility_code: whose chart number it is; "" otherwise."""

    identifier: Identifier
    facility_code: str = ""


@dataclass(frozen=True, slots=True)
class CrossReferenceQuery:
    """ITI-9, 45, 83: which other identifiers does this person have? No domains named means all of them.

    raw: what the audit record keeps of the query as received: the whole HL7 v2 message, or the v3 queryByParameter.
    known: what the index has of this person, the regional id first, once it was looked up; None before.
    """

    message_id: str
    identifier: Identifier
    domains: tuple[AssigningAuthority, ...] = ()
    query_tag: str = ""
    raw: bytes = field(default=b"", compare=False)
    known: tuple[KnownIdentifier, ...] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class CrossReferences:
    """The answer: identifiers in the requested domains, never the queried one. Empty: known, but nothing there."""

    identifiers: tuple[Identifier, ...] = ()


@dataclass(frozen=True, slots=True)
class FeedOutcome:
    """What a feed came to. regional_id: the person the identifiers stand under now, "" where nothing was done.

    identifiers, prior_identifiers, other_identifiers: those of the feed, with the authority filled in where the sender
    left it out.
    subsumed: regional ids that this feed joined into it. repeated: the same message had been carried out before,
    and nothing was done. warnings: sentences for the sender, without patient data.
    """

    identifiers: tuple[Identifier, ...] = ()
    prior_identifiers: tuple[Identifier, ...] = ()
    regional_id: str = ""
    subsumed: tuple[str, ...] = ()
    repeated: bool = False
    warnings: tuple[str, ...] = ()
    other_identifiers: tuple[Identifier, ...] = ()
