"""What three fictional facilities tell of fictional persons."""

from __future__ import annotations

import itertools
from dataclasses import replace

from apps.network.services import add_facility
from apps.pix import services
from hie.values.access import Access, Caller, Decision, Node, Permit
from hie.values.identifiers import AssigningAuthority, Identifier
from hie.values.patients import FeedEvent, FeedOutcome, PatientFeed
from hie.values.people import Demographics, Insurance, NameParts, PersonName

HOSPITAL, CLINIC, PHARMACY = "1311234567", "1311234568", "1341234569"
OIDS = {code: f"1.2.392.100495.20.3.51.1{code}" for code in (HOSPITAL, CLINIC, PHARMACY)}

_numbers = itertools.count(1)


def open_facilities() -> None:
    for code, name in ((HOSPITAL, "市民病院"), (CLINIC, "駅前医院"), (PHARMACY, "みどり薬局")):
        add_facility(code=code, name=name)


def somebody(
    kanji: str = "山田 健一",
    kana: str = "ヤマダ ケンイチ",
    birth_date: str = "19410503",
    sex: str = "M",
    insurance: str = "",
    **more: object,
) -> Demographics:
    """Demographics from short texts: names "family given", insurance "insurer:symbol:number:branch"."""

    def parts(text: str) -> NameParts:
        family, _, given = text.partition(" ")
        return NameParts(family, given)

    return Demographics(
        name=PersonName(ideographic=parts(kanji), phonetic=parts(kana)),
        birth_date=birth_date,
        sex=sex,
        insurances=(Insurance(*insurance.split(":")),) if insurance else (),
        **more,  # type: ignore[arg-type]
    )


def chart(facility: str, value: str) -> Identifier:
    return Identifier(value, AssigningAuthority(oid=OIDS[facility]))


def message(facility: str, *values: str, told: Demographics | None = None, **more: object) -> PatientFeed:
    feed = PatientFeed(
        event=FeedEvent.REGISTER,
        trigger="ADT^A04",
        message_id=f"T{next(_numbers)}",
        identifiers=tuple(chart(facility, value) for value in values),
        demographics=somebody() if told is None else told,
    )
    return replace(feed, **more)  # type: ignore[arg-type]


def tell(facility: str, *values: str, told: Demographics | None = None, **more: object) -> FeedOutcome:
    """Register or update charts of a facility."""
    return services.feed(message(facility, *values, told=told, **more), facility)


def merge(facility: str, *, subsumed: str, surviving: str, pam: bool = False) -> FeedOutcome:
    feed = message(
        facility,
        surviving,
        told=Demographics(),
        event=FeedEvent.MERGE,
        trigger="ADT^A40",
        prior_identifiers=(chart(facility, subsumed),),
        pam=pam,
    )
    return services.feed(feed, facility)


def rename(facility: str, *, old: str, new: str) -> FeedOutcome:
    feed = message(
        facility,
        new,
        told=Demographics(),
        event=FeedEvent.CHANGE_IDENTIFIER,
        trigger="ADT^A47",
        prior_identifiers=(chart(facility, old),),
        pam=True,
    )
    return services.feed(feed, facility)


def link(facility: str, one: str, other: str, *, undo: bool = False) -> FeedOutcome:
    feed = message(
        facility,
        one,
        told=Demographics(),
        event=FeedEvent.UNLINK if undo else FeedEvent.LINK,
        trigger="ADT^A37" if undo else "ADT^A24",
        other_identifiers=(chart(facility, other),),
        pam=True,
    )
    return services.feed(feed, facility)


def permit(facility: str, regional_id: str | None, *, reveals: bool = True) -> Permit:
    """What a facility's system may see of one person: everything, or only its own."""
    decisions = {regional_id: Decision(default=reveals, own_facility=facility)} if regional_id else {}
    return Permit(Caller(Node("system", facility)), Access.IDENTIFY, decisions=decisions)
