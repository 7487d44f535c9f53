"""What a facility tells of its patients: register, update, merge, change of number, link (ITI TF-2: 3.8, 3.30).

The rules of merging differ: ITI-8 refuses what it cannot carry out and changes nothing, PAM (ITI-30) accepts a merge
of unknown numbers. Locations in errors are free of dialect: ``identifier``, ``identifier.authority``,
``prior identifier``, ``prior identifier.authority``, the same of the ``other identifier``, or the name of a field of
``Demographics``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.utils import timezone

from apps.ids.rules import NationalNumber, detect_national_number
from apps.network import queries as network
from apps.pix.models import Assertion, Encounter, FeedMessage, LinkEvent, LocalIdentifier
from apps.pix.queries import regional_id_of
from apps.pix.services import linking, links
from apps.pix.services.charts import (
    chart_of,
    check_lengths,
    search_fields,
    write_demographics,
    write_search_keys,
)
from apps.pix.services.linking import Cause
from hie.values.errors import ExchangeError, Reason
from hie.values.identifiers import Identifier
from hie.values.patients import FeedEvent, FeedOutcome, PatientFeed
from hie.values.people import Demographics

# How long a carried-out message is known again. A sender repeats after minutes, at most after a weekend's outage.
REMEMBERED = timedelta(days=30)
LONGEST_IDENTIFIER = 64

ACTIVE, MERGED = LocalIdentifier.Status.ACTIVE, LocalIdentifier.Status.MERGED


def feed(feed: PatientFeed, facility_code: str, *, sender: str = "") -> FeedOutcome:
    """Carry out one event that a facility tells of its patients, once.

    facility_code: the caller's facility; it may tell of its own domains only, and a missing authority is its own.
    sender: the name under which message ids are unique; the facility where empty. A message that the same sender
    already had carried out, with the same id and content, does nothing again.

    Raises ExchangeError: REQUIRED_MISSING, WRONG_DATA_TYPE, UNKNOWN_DOMAIN, NATIONAL_NUMBER, UNKNOWN_KEY,
    MERGE_REFUSED, DUPLICATE_KEY; nothing is changed then.
    """
    facility = network.facility(facility_code)
    if facility is None:
        raise ExchangeError(Reason.CALLER_NOT_ENTITLED, "The sender's facility does not belong to this network.")
    domains = _Domains(facility)
    identifiers, warnings = domains.own(feed.identifiers, "identifier")
    prior, prior_warnings = domains.own(feed.prior_identifiers, "prior identifier")
    other, other_warnings = domains.own(feed.other_identifiers, "other identifier")
    check_lengths(feed.demographics)
    warnings += prior_warnings + other_warnings + _refuse_national_numbers(feed)
    completed = replace(feed, identifiers=identifiers, prior_identifiers=prior, other_identifiers=other)
    cause = Cause(facility_code, feed.message_id, timezone.now())
    with transaction.atomic():
        outcome = FeedOutcome(
            identifiers=identifiers,
            prior_identifiers=prior,
            other_identifiers=other,
            warnings=tuple(warnings) + feed.warnings,
        )
        if not _remember(completed, sender or facility_code, cause.at):
            return replace(outcome, repeated=True, regional_id=regional_id_of(identifiers[0]) or "")
        linking.lock(f"{each.oid}|{each.value}" for each in identifiers + prior + other)
        done = _VERBS[feed.event](completed, cause)
    return replace(outcome, regional_id=done.regional_id, subsumed=done.subsumed)


def forget_old_messages(now: datetime | None = None) -> int:
    """Forget messages that were carried out longer ago than ``REMEMBERED``; returns how many."""
    before = (now or timezone.now()) - REMEMBERED
    return FeedMessage.objects.filter(received_at__lt=before).delete()[0]


# --- whose identifiers


@dataclass(frozen=True, slots=True)
class _Domains:
    """The domains of one facility: which identifiers of its message are its own to tell of."""

    facility: network.Facility

    def own(self, identifiers: tuple[Identifier, ...], location: str) -> tuple[tuple[Identifier, ...], list[str]]:
        """The facility's own identifiers, complete, and a warning for each that was left out.

        An identifier of another facility is refused. One of the affinity domain, or of a domain that this network
        does not know (an insurer's number), is left out where an own one stands beside it, else refused.
        """
        found: list[Identifier] = []
        left_out: list[ExchangeError] = []
        for identifier in identifiers:
            try:
                found.append(self._complete(identifier, location))
            except ExchangeError as error:
                if not _is_stranger(identifier):
                    raise
                left_out.append(error)
        if left_out and not found:
            raise left_out[0]
        return tuple(dict.fromkeys(found)), [
            f"A repetition of the {location} was left out: {error.detail}" for error in left_out
        ]

    def _complete(self, identifier: Identifier, location: str) -> Identifier:
        value = self.facility.patient_ids.comparable(identifier.value)
        if not value:
            raise ExchangeError(Reason.REQUIRED_MISSING, f"The {location} has no value.", location)
        if len(value) > LONGEST_IDENTIFIER:
            raise ExchangeError(
                Reason.WRONG_DATA_TYPE, f"The {location} has at most {LONGEST_IDENTIFIER} characters.", location
            )
        if not identifier.assigning_authority:
            return replace(identifier, value=value, assigning_authority=self.facility.authority)
        authority = network.authority(identifier.oid or identifier.assigning_authority.namespace)
        owner = network.facility_of_authority(authority.oid) if authority else None
        if authority is None or owner is None or owner.code != self.facility.code:
            raise ExchangeError(
                Reason.UNKNOWN_DOMAIN,
                f"The assigning authority of the {location} is not one that this sender may tell of.",
                f"{location}.authority",
            )
        return replace(identifier, value=value, assigning_authority=authority)


def _is_stranger(identifier: Identifier) -> bool:
    """Whether the identifier is of no facility of this network: of the affinity domain or of a foreign domain."""
    if not identifier.assigning_authority or not identifier.value.strip():
        return False
    authority = network.authority(identifier.oid or identifier.assigning_authority.namespace)
    return authority is None or network.facility_of_authority(authority.oid) is None


def _refuse_national_numbers(feed: PatientFeed) -> list[str]:
    """Refuse a message that carries My Number or a resident record code; warn where one is only possible."""
    return refuse_national_numbers(_texts(feed))


def refuse_national_numbers(texts: Iterable[tuple[str, str]]) -> list[str]:
    """The same for any (field, text) of a message: warnings, or ExchangeError NATIONAL_NUMBER."""
    found = [each for each in map(_suspect, texts) if each is not None]
    for each in found:
        if each.refused:
            raise ExchangeError(
                Reason.NATIONAL_NUMBER,
                f"The {each.field.split(' ')[0]} carries a number that looks like a {each.kind}, which medicine must"
                " not keep; send the message without it.",
                each.field.split(" ")[0],
            )
    return [f"The {each.field.split(' ')[0]} has the form of a {each.kind}; please check it." for each in found]


def _suspect(field_and_text: tuple[str, str]) -> NationalNumber | None:
    field, text = field_and_text
    return detect_national_number(text, field)


def _texts(feed: PatientFeed) -> Iterable[tuple[str, str]]:
    """(field, text) of everything that a number could hide in; only text long enough to hold one."""
    for identifier in feed.identifiers + feed.prior_identifiers + feed.other_identifiers:
        yield f"identifier {identifier.type_code} {identifier.assigning_authority.namespace}", identifier.value
    told = feed.demographics
    for name in (told.name.ideographic, told.name.phonetic, told.name.alphabetic):
        yield "name", name.text
    for address in told.addresses:
        yield "address", " ".join((address.prefecture, address.city, address.street, address.text))
    for telephone in told.telephones:
        yield "telephone", telephone
    for insurance in told.insurances:
        for number in (insurance.insurer_number, insurance.symbol, insurance.number):
            yield "insurance", number


def _remember(feed: PatientFeed, sender: str, now: datetime) -> bool:
    """Whether this message is new; it is known from now on."""
    cleared = sorted(feed.demographics.cleared)
    content = repr((replace(feed, warnings=(), demographics=_uncleared(feed.demographics)), cleared))
    return remember(feed.message_id, content, sender, now)


def _uncleared(told: Demographics) -> Demographics:
    return replace(told, cleared=frozenset())  # a set has no order of its own


def remember(message_id: str, content: str, sender: str, now: datetime) -> bool:
    """Whether a sender's message with this id and content is new; it is known from now on. Without an id it is new."""
    if not message_id:
        return True
    key = hashlib.sha256(f"{sender}|{message_id}|{content}".encode()).hexdigest()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO pix_feedmessage (key, received_at) VALUES (%s, %s) ON CONFLICT (key) DO NOTHING",
            [key, connection.ops.adapt_datetimefield_value(now)],
        )
        return cursor.rowcount == 1


# --- the verbs


@dataclass(frozen=True, slots=True)
class _Done:
    regional_id: str = ""
    subsumed: tuple[str, ...] = ()


def _register(feed: PatientFeed, cause: Cause) -> _Done:
    """A01 A04 A05 A08 A28 A31: every number of the message gets what is told; numbers sent together are one human."""
    rows = [_register_one(identifier, feed.demographics, cause) for identifier in feed.identifiers]
    for other in rows[1:]:
        linking.state(rows[0], other, Assertion.Basis.ONE_MESSAGE, cause)
    return _Done(_regional(rows[0]))


def _register_one(identifier: Identifier, told: Demographics, cause: Cause) -> LocalIdentifier:
    row = _row(identifier)
    if row is None:
        row = LocalIdentifier(
            authority_oid=identifier.oid,
            value=identifier.value,
            type_code=identifier.type_code[:5],
            facility_code=cause.facility_code,
            last_seen=cause.at,
        )
        write_demographics(row, told)
        linking.enter(row, cause)
        write_search_keys(row, anew=False)
        links.arrived(row, cause)
        return row
    if row.status == MERGED:
        raise ExchangeError(
            Reason.UNKNOWN_KEY,
            "The identifier was merged into another; send the surviving identifier.",
            "identifier",
        )
    before, searched_before = chart_of(row), search_fields(row)
    write_demographics(row, told)
    row.last_seen = cause.at
    row.save(update_fields=_TOLD)
    if search_fields(row) != searched_before:
        write_search_keys(row, anew=True)
    if chart_of(row) != before:
        linking.reconsider(row, cause)
    return row


# The columns that a feed writes; the person is not among them, for others may move the chart at the same moment.
_TOLD = [
    field.name
    for field in LocalIdentifier._meta.concrete_fields
    if field.name
    not in (
        "id",
        "authority_oid",
        "value",
        "type_code",
        "facility_code",
        "person",
        "status",
        "merged_into",
        "first_seen",
    )
]


def _merge(feed: PatientFeed, cause: Cause) -> _Done:
    """A40: each prior number is merged into the identifier of its domain."""
    if not feed.prior_identifiers:
        raise ExchangeError(
            Reason.REQUIRED_MISSING, "A merge names the subsumed identifier in MRG-1.", "prior identifier"
        )
    done = _Done()
    for prior in feed.prior_identifiers:
        target = _partner(feed.identifiers, prior)
        one = (_merge_pam if feed.pam else _merge_strict)(prior, target, cause)
        done = _Done(one.regional_id or done.regional_id, done.subsumed + one.subsumed)
    return done


def _partner(identifiers: tuple[Identifier, ...], prior: Identifier) -> Identifier:
    """The identifier that survives: of the prior one's domain, and not the prior one itself."""
    same_domain = [each for each in identifiers if each.oid == prior.oid]
    if not same_domain:
        raise ExchangeError(
            Reason.MERGE_REFUSED,
            "The prior identifier has to be of the same assigning authority as the identifier.",
            "prior identifier.authority",
        )
    if same_domain[0].value == prior.value:
        raise ExchangeError(
            Reason.MERGE_REFUSED, "The prior identifier is the surviving identifier itself.", "prior identifier"
        )
    return same_domain[0]


def _merge_strict(prior: Identifier, target: Identifier, cause: Cause) -> _Done:
    """ITI-8: both have to be known and active, else nothing changes and the sender is told (ITI TF-2: 3.8.4.2)."""
    subsumed, survivor = _row(prior), _row(target)
    for row, location in ((subsumed, "prior identifier"), (survivor, "identifier")):
        if row is None:
            raise ExchangeError(Reason.UNKNOWN_KEY, f"The {location} of the merge is not known.", location)
        if row.status == MERGED:
            raise ExchangeError(
                Reason.MERGE_REFUSED, f"The {location} was already merged into another and is not active.", location
            )
    assert subsumed is not None
    assert survivor is not None
    return _merge_rows(subsumed, survivor, cause)


def _merge_pam(prior: Identifier, target: Identifier, cause: Cause) -> _Done:
    """ITI-30: an unknown prior number is nothing to do, an unknown target is a change of number (ITI TF-2: 3.30)."""
    subsumed, survivor = _row(prior), _row(target)
    if subsumed is None or subsumed.status == MERGED:
        return _Done(_regional(survivor) if survivor is not None and survivor.status == ACTIVE else "")
    if survivor is None:
        return _rename(subsumed, target, cause)
    if survivor.status == MERGED:
        raise ExchangeError(
            Reason.MERGE_REFUSED, "The identifier was already merged into another and is not active.", "identifier"
        )
    return _merge_rows(subsumed, survivor, cause)


def _merge_rows(subsumed: LocalIdentifier, survivor: LocalIdentifier, cause: Cause) -> _Done:
    """End one chart in favour of another of the same human; their persons join, other facilities' charts follow them.

    The subsumed chart stays as evidence: what other facilities' charts agree with it holds for the survivor too.
    """
    previous, previous_regional = subsumed.person_id, _regional(subsumed)
    subsumed.status, subsumed.merged_into = MERGED, survivor
    subsumed.save(update_fields=["status", "merged_into"])
    Encounter.objects.filter(record=subsumed).update(record=survivor)
    linking.write_event(
        subsumed,
        LinkEvent.Kind.MERGED,
        cause,
        person_id=None,
        previous_id=previous,
        rule="merge",
        evidence={"chart": survivor.pk},
    )
    linking.state(survivor, subsumed, Assertion.Basis.MERGE, cause)
    regional = _regional(survivor)
    return _Done(regional, () if previous_regional == regional else (previous_regional,))


def _change_identifier(feed: PatientFeed, cause: Cause) -> _Done:
    """A47: a chart gets another number. An unknown prior number is nothing to do; an occupied target is refused."""
    if len(feed.prior_identifiers) != 1 or len(feed.identifiers) != 1:
        raise ExchangeError(
            Reason.REQUIRED_MISSING,
            "A change of identifier names exactly one new and one prior identifier.",
            "prior identifier",
        )
    prior, target = feed.prior_identifiers[0], _partner(feed.identifiers, feed.prior_identifiers[0])
    row, occupant = _row(prior), _row(target)
    if row is None or row.status == MERGED:
        return _Done()
    if occupant is None:
        return _rename(row, target, cause)
    if occupant.status == MERGED or occupant.person_id != row.person_id:
        raise ExchangeError(
            Reason.DUPLICATE_KEY, "The new identifier already belongs to another patient.", "identifier"
        )
    return _merge_rows(row, occupant, cause)


def _rename(row: LocalIdentifier, target: Identifier, cause: Cause) -> _Done:
    """Give a chart another number; the old one is unknown from now on, the history keeps both."""
    write = linking.write_event
    write(row, LinkEvent.Kind.CHANGED, cause, person_id=None, previous_id=row.person_id, rule="change of number")
    previous, row.value = row.value, target.value
    row.last_seen = cause.at
    row.save(update_fields=["value", "last_seen"])
    write(row, LinkEvent.Kind.CHANGED, cause, person_id=row.person_id, rule="change of number")
    links.renamed(row, previous)
    links.arrived(row, cause)
    return _Done(_regional(row))


def _link(feed: PatientFeed, cause: Cause) -> _Done:
    """A24: the patients of two lists of identifiers are one human. An identifier may become known later."""
    return _of_both_lists(feed, cause, links.link)


def _unlink(feed: PatientFeed, cause: Cause) -> _Done:
    """A37: the patients of two lists of identifiers are two humans. Where they are not linked nothing is done."""
    return _of_both_lists(feed, cause, links.unlink)


def _of_both_lists(feed: PatientFeed, cause: Cause, verb: Callable[[Identifier, Identifier, Cause], None]) -> _Done:
    if not feed.other_identifiers:
        raise ExchangeError(Reason.REQUIRED_MISSING, "A link names two patients.", "other identifier")
    for one in feed.identifiers:
        for other in feed.other_identifiers:
            verb(one, other, cause)
    row = _row(feed.identifiers[0])
    return _Done(_regional(row) if row is not None else "")


_ROW = "SELECT * FROM pix_localidentifier WHERE authority_oid = %s AND value = %s"
_REGIONAL = "SELECT regional_id FROM pix_person WHERE id = %s"


def _row(identifier: Identifier) -> LocalIdentifier | None:
    """The chart with this number, merged ones too. Plain SQL, for it runs with every feed."""
    return next(iter(LocalIdentifier.objects.raw(_ROW, [identifier.oid, identifier.value])), None)


def _regional(row: LocalIdentifier) -> str:
    """The regional id under which a chart stands now."""
    with connection.cursor() as cursor:
        cursor.execute(_REGIONAL, [row.person_id])
        return str(cursor.fetchone()[0])


_VERBS = {
    FeedEvent.REGISTER: _register,
    FeedEvent.UPDATE: _register,
    FeedEvent.MERGE: _merge,
    FeedEvent.CHANGE_IDENTIFIER: _change_identifier,
    FeedEvent.LINK: _link,
    FeedEvent.UNLINK: _unlink,
}
