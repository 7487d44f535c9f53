"""What a facility tells of its patients: register, update, merge, change of number, link (ITI TF-2: 3.8, 3.30).

The rules of merging differ: ITI-8 refuses what it cannot carry out and changes nothing, PAM (ITI-30) accepts a merge
of unknown numbers. Locations in errors are free of dialect: ``identifier``, ``identifier.authority``,
``prior identifier``, ``prior identifier.authority``, the same of the ``other identifier``, or the name of a field of
``Demographics``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection
from copy import copy
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from apps.pix.models import Assertion, Encounter, FeedMessage, LinkEvent, LocalIdentifier
from apps.pix.queries import regional_id_of
from apps.pix.services import intake, linking, links, new_charts, versions
from apps.pix.services.charts import (
    adapted,
    chart_of,
    content_now,
    demographics_of,
    find_row,
    is_fed,
    search_keys_of,
    write_content,
    write_demographics,
    write_search_keys,
    write_seen,
)
from apps.pix.services.checking import check
from apps.pix.services.linking import Cause
from hie.exchange.rows import fetch
from hie.values.errors import ExchangeError, Reason
from hie.values.identifiers import Identifier
from hie.values.patients import FeedEvent, FeedOutcome, PatientFeed
from hie.values.people import Demographics

# How long a carried-out message is known again. A sender repeats after minutes, at most after a weekend's outage.
REMEMBERED = timedelta(days=30)

ACTIVE, MERGED = LocalIdentifier.Status.ACTIVE, LocalIdentifier.Status.MERGED


def feed(feed: PatientFeed, facility_code: str, *, sender: str = "", besides: str = "") -> FeedOutcome:
    """Carry out one event that a facility tells of its patients, once.

    facility_code: the caller's facility; it may tell of its own domains only, and a missing authority is its own.
    sender: the name under which message ids are unique; the facility where empty. The identity source of the affinity
    domain (``settings.IDENTITY_SOURCE``) tells of regional ids too. A message that the same sender
    already had carried out, with the same id and content, does nothing again. besides: what the message tells beside
    the feed, which makes it another one too.

    Raises ExchangeError: REQUIRED_MISSING, WRONG_DATA_TYPE, UNKNOWN_DOMAIN, NATIONAL_NUMBER, UNKNOWN_KEY,
    MERGE_REFUSED, DUPLICATE_KEY; nothing is changed then.
    """
    source = bool(sender) and sender == settings.IDENTITY_SOURCE
    checked, now = check(feed, facility_code, source=source), timezone.now()
    with transaction.atomic():
        if not remember(feed.message_id, content_of_message(checked) + besides, sender or facility_code, now):
            regional_id = regional_id_of(checked.identifiers[0]) or ""
            return replace(outcome_of(checked), regional_id=regional_id, repeated=True)
        return carry_out(checked, Cause(facility_code, feed.message_id, now))


def carry_out(feed: PatientFeed, cause: Cause) -> FeedOutcome:
    """Do what a checked feed says, which is new, in the caller's database transaction."""
    named = feed.identifiers + feed.prior_identifiers + feed.other_identifiers
    linking.lock(f"{each.oid}|{each.value}" for each in named)
    done = _VERBS[feed.event](feed, cause)
    return replace(outcome_of(feed), regional_id=done.regional_id, subsumed=done.subsumed)


def outcome_of(feed: PatientFeed) -> FeedOutcome:
    """What a checked feed comes to as long as nothing is done."""
    return FeedOutcome(
        identifiers=feed.identifiers,
        prior_identifiers=feed.prior_identifiers,
        other_identifiers=feed.other_identifiers,
        warnings=feed.warnings,
    )


def forget_old_messages(now: datetime | None = None) -> int:
    """Forget messages that were carried out longer ago than ``REMEMBERED``; returns how many."""
    before = (now or timezone.now()) - REMEMBERED
    return FeedMessage.objects.filter(received_at__lt=before).delete()[0]


def content_of_message(feed: PatientFeed) -> str:
    """What makes a message another one under the same id."""
    if not feed.message_id:
        return ""
    told = replace(feed.demographics, cleared=frozenset())  # a set has no order of its own
    return repr((replace(feed, warnings=(), demographics=told), sorted(feed.demographics.cleared)))


def remember(message_id: str, content: str, sender: str, now: datetime) -> bool:
    """Whether a sender's message with this id and content is new; it is known from now on. Without an id it is new."""
    return not message_id or bool(remember_all([message_key(message_id, content, sender)], now))


def message_key(message_id: str, content: str, sender: str) -> str:
    """SHA-256 by which a carried-out message is known again, hex."""
    return hashlib.sha256(f"{sender}|{message_id}|{content}".encode()).hexdigest()


def key_of(feed: PatientFeed, sender: str) -> str:
    """The same of a feed; "" of one without a message id, which is always new."""
    return message_key(feed.message_id, content_of_message(feed), sender) if feed.message_id else ""


def remember_all(keys: Collection[str], now: datetime) -> set[str]:
    """Those of the messages that are new; all of them are known from now on."""
    if connection.vendor == "postgresql":
        found = fetch(_REMEMBER.format("unnest(%s::text[]) AS given (value)"), [adapted(now), sorted(keys)])
    else:
        found = fetch(_REMEMBER.format("json_each(%s)"), [adapted(now), json.dumps(sorted(keys))])
    return {key for (key,) in found}


_REMEMBER = (
    "INSERT INTO pix_feedmessage (received_at, key) SELECT %s, value FROM {} WHERE 1 = 1"
    " ON CONFLICT (key) DO NOTHING RETURNING key"
)


# --- the verbs


@dataclass(frozen=True, slots=True)
class _Done:
    regional_id: str = ""
    subsumed: tuple[str, ...] = ()


def _register(feed: PatientFeed, cause: Cause) -> _Done:
    """A01 A04 A05 A08 A28 A31: every number of the message gets what is told; numbers sent together are one human."""
    if _tells_nothing_new(feed):
        return _Done()
    regional_ids = [_register_one(identifier, feed.demographics, cause) for identifier in feed.identifiers]
    if len(regional_ids) == 1:
        return _Done(regional_ids[0])
    first, *others = (row for row in map(_row, feed.identifiers) if row is not None)
    for other in others:
        linking.state(first, other, Assertion.Basis.ONE_MESSAGE, cause)
    return _Done(_regional(first))


def _tells_nothing_new(feed: PatientFeed) -> bool:
    """Whether this is an update (A08, PRPA_IN201302UV02) of a regional id that its source never registered.

    A registry ignores it (ITI TF-2: 3.8.4.1.4): the id is not known by it. PAM's A31 inserts.
    """
    if feed.event is not FeedEvent.UPDATE or feed.pam:
        return False
    return any(each.oid == settings.AFFINITY_DOMAIN_OID and _row(each) is None for each in feed.identifiers)


def _register_one(identifier: Identifier, told: Demographics, cause: Cause) -> str:
    """The regional id under which the number stands when this is done."""
    found = find_row(identifier.oid, identifier.value)
    if found is not None:
        row, regional_id = found
        person = row.person_id
        update(row, told, cause)
        return regional_id if row.person_id == person else _regional(row)
    scorer = versions.in_force()
    new = new_charts.prepare(identifier, told, cause, scorer.version.kinds)
    linking.lock_keys(new.keys)
    regional_id = intake.take([new], scorer, alone=False)[new.id]
    if links.arrived({(identifier.oid, identifier.value): cause}):
        found = find_row(identifier.oid, identifier.value)
        assert found is not None
        return found[1]
    return regional_id


def update(row: LocalIdentifier, told: Demographics, cause: Cause) -> bool:
    """Save what is told of a chart that is known; whether anything of it is new. Raises UNKNOWN_KEY of a merged one."""
    if not changes(row, told):
        write_seen([row.pk], cause.at)
        return False
    before, searched_before = chart_of(row), search_keys_of(demographics_of(row))
    write_demographics(row, told)
    row.last_seen = cause.at
    write_content(row)
    write_search_keys(row, searched_before)
    if chart_of(row) != before:
        linking.reconsider(row, cause)
    return True


def changes(row: LocalIdentifier, told: Demographics) -> bool:
    """Whether what is told of a chart differs from what is known of it. Raises UNKNOWN_KEY of one merged away."""
    if row.status == MERGED:
        raise ExchangeError(
            Reason.UNKNOWN_KEY,
            "The identifier was merged into another; send the surviving identifier.",
            "identifier",
        )
    now = copy(row)
    write_demographics(now, told)
    return content_now(now) != content_now(row)


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
    """The identifier that survives: of the prior one's domain and, of several, type (CX-5); never the prior itself."""
    same_domain = [each for each in identifiers if each.oid == prior.oid]
    same_domain.sort(key=lambda each: each.type_code != prior.type_code)
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
    stays = list(Encounter.objects.filter(record=subsumed).values_list("pk", flat=True))
    Encounter.objects.filter(pk__in=stays).update(record=survivor)
    linking.write_event(
        subsumed,
        LinkEvent.Kind.MERGED,
        cause,
        person_id=None,
        previous_id=previous,
        rule="merge",
        evidence={"chart": survivor.pk} | ({"stays": stays} if stays else {}),
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
    """Give a chart another number; the old one is unknown from now on, the history keeps both.

    Of a regional id: the new one is registered and the old one merged into it, so that all follows the person.
    """
    if is_fed(row):
        _register_one(target, demographics_of(row), cause)
        survivor = _row(target)
        assert survivor is not None
        return _merge_rows(row, survivor, cause)
    write = linking.write_event
    write(row, LinkEvent.Kind.CHANGED, cause, person_id=None, previous_id=row.person_id, rule="change of number")
    previous, row.value = row.value, target.value
    row.last_seen = cause.at
    row.save(update_fields=["value", "last_seen"])
    write(row, LinkEvent.Kind.CHANGED, cause, person_id=row.person_id, rule="change of number")
    links.renamed(row, previous)
    links.arrived({(row.authority_oid, row.value): cause})
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
    """The chart with this number, merged ones too."""
    found = find_row(identifier.oid, identifier.value)
    return found[0] if found else None


def _regional(row: LocalIdentifier) -> str:
    """The regional id under which a chart stands now."""
    return str(fetch(_REGIONAL, [row.person_id])[0][0])


_VERBS = {
    FeedEvent.REGISTER: _register,
    FeedEvent.UPDATE: _register,
    FeedEvent.MERGE: _merge,
    FeedEvent.CHANGE_IDENTIFIER: _change_identifier,
    FeedEvent.LINK: _link,
    FeedEvent.UNLINK: _unlink,
}
