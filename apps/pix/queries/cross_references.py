"""Who is who: from an identifier to the person and back. Every question is one or two indexed statements."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from django.conf import settings
from django.db.models import Count

from apps.ids.models import is_provisional
from apps.ids.rules import field_and_value, refuse_national_numbers
from apps.network import queries as network
from apps.pix.models import LinkEvent, LocalIdentifier, Person
from apps.pix.queries.reviewing import review_figures
from hie.exchange import rows
from hie.values.access import Permit, Subject
from hie.values.errors import ExchangeError, Finding, Reason
from hie.values.identifiers import AssigningAuthority, Identifier
from hie.values.patients import CrossReferenceQuery, CrossReferences, KnownIdentifier


def regional_id_of(identifier: Identifier) -> str | None:
    """The regional id of the person whom an active chart number or regional id names; None where it is not known.

    The authority is known by its OID or its namespace. An identifier that was merged away or a regional id that was
    subsumed or re-issued is not known any more (ITI TF-2: 3.8.4.2). The regional id itself is an identifier of the
    affinity domain (``settings.AFFINITY_DOMAIN_OID``).
    """
    oid, value = canonical(identifier)
    if oid == settings.AFFINITY_DOMAIN_OID:
        if is_provisional(value):
            return None
        sql = "SELECT regional_id FROM pix_person WHERE regional_id = %s AND status = 'active'"
        parameters = [value]
    else:
        sql = (
            "SELECT p.regional_id FROM pix_localidentifier l JOIN pix_person p ON p.id = l.person_id"
            " WHERE l.authority_oid = %s AND l.value = %s AND l.status = 'active'"
        )
        parameters = [oid, value]
    found = rows.fetch(sql, parameters)
    return found[0][0] if found else None


def regional_ids_of(identifiers: Iterable[Identifier]) -> dict[Identifier, str]:
    """The regional ids of those chart numbers that are known and active, as ``regional_id_of``, in few statements.

    The identifiers name their authority by its OID, as facilities' own do.
    """
    by_oid: dict[str, dict[str, Identifier]] = {}
    for each in identifiers:
        oid, value = canonical(each)
        by_oid.setdefault(oid, {})[value] = each
    found = {}
    for oid, by_value in by_oid.items():
        values = list(by_value)
        for start in range(0, len(values), _AT_ONCE):
            part = values[start : start + _AT_ONCE]
            sql = (
                "SELECT l.value, p.regional_id FROM pix_localidentifier l JOIN pix_person p ON p.id = l.person_id"  # noqa: S608
                f" WHERE l.authority_oid = %s AND l.value IN ({', '.join(['%s'] * len(part))}) AND l.status = 'active'"
            )
            found.update({by_value[value]: regional_id for value, regional_id in rows.fetch(sql, [oid, *part])})
    return found


_AT_ONCE = 400  # parameters of one IN list


def subject_of(identifier: Identifier) -> Subject:
    """The patient whom an identifier names, for gate and recorder: with the regional id where it is known.

    Raises ExchangeError(NATIONAL_NUMBER) where it is said to be a My Number or a resident record code.
    """
    refuse_national_numbers((field_and_value(identifier),))
    return Subject(identifier, regional_id_of(identifier) or "")


def subjects_of(identifiers: Iterable[Identifier]) -> tuple[Subject, ...]:
    """One subject of each identifier, in their order."""
    return tuple(subject_of(identifier) for identifier in identifiers)


def identifiers_of(regional_id: str) -> tuple[Identifier, ...]:
    """All active chart numbers of a person in the order they became known; nothing for an unknown regional id.

    Authorities have OID and namespace; the regional id itself is not among them.
    """
    found = rows.fetch(
        "SELECT l.value, l.authority_oid, l.type_code FROM pix_localidentifier l"
        " JOIN pix_person p ON p.id = l.person_id"
        " WHERE p.regional_id = %s AND l.status = 'active' AND l.authority_oid <> %s ORDER BY l.id",
        [regional_id, settings.AFFINITY_DOMAIN_OID],
    )
    return tuple(Identifier(value, _authority(oid), type_code) for value, oid, type_code in found)


def surviving_of(regional_id: str) -> str | None:
    """The active regional id that a subsumed or re-issued one became, through the whole chain; itself while active.

    For audit and for records that were written before a join. None where the id is unknown.
    """
    row = Person.objects.filter(regional__value=regional_id).values_list("status", "surviving__regional__value").first()
    while row is not None and row[0] != Person.Status.ACTIVE:
        regional_id = row[1]
        row = (
            Person.objects.filter(regional__value=regional_id)
            .values_list("status", "surviving__regional__value")
            .first()
        )
    return regional_id if row is not None else None


# --- cross references: ITI-9, 45, 83

_CHARTS_OF = """
    SELECT p.regional_id, o.authority_oid, o.value, o.type_code, o.facility_code
    FROM {known} LEFT JOIN pix_localidentifier o ON o.person_id = p.id AND o.status = 'active'
    WHERE {condition} ORDER BY o.authority_oid, o.id
"""
_BY_CHART = _CHARTS_OF.format(
    known="pix_localidentifier l JOIN pix_person p ON p.id = l.person_id",
    condition="l.authority_oid = %s AND l.value = %s AND l.status = 'active'",
)
_BY_REGIONAL_ID = _CHARTS_OF.format(known="pix_person p", condition="p.regional_id = %s AND p.status = 'active'")


def with_person(query: CrossReferenceQuery) -> CrossReferenceQuery:
    """The query with every identifier of the person behind the one it asks with: one statement for gate and verb.

    Raises ExchangeError as ``subject_of``.
    """
    refuse_national_numbers((field_and_value(query.identifier),))
    return replace(query, known=_known_by(*canonical(query.identifier)))


def subject_of_query(query: CrossReferenceQuery) -> tuple[Subject, ...]:
    """The patient behind the identifier that is asked with. No statement where ``with_person`` has looked it up."""
    if query.known is None:
        return (subject_of(query.identifier),)
    return (Subject(query.identifier, query.known[0].identifier.value if query.known else ""),)


def cross_references(query: CrossReferenceQuery, permit: Permit) -> CrossReferences:
    """The other identifiers of the person behind one, in the domains asked for or in all (ITI TF-2: 3.9.4.2).

    Never the identifier that was asked with. The affinity domain is a domain like the others: the regional id is
    given where it is asked for or no domain is named. Facilities that the permit does not reveal are left out, and
    an identifier of such a facility is as unknown as one that does not exist. One SQL statement, none where
    ``with_person`` has looked the person up.

    Raises ExchangeError: UNKNOWN_DOMAIN at ``identifier.authority`` and at ``domain[n]`` of each domain that the
    network does not know (n from 1), all together; UNKNOWN_KEY at ``identifier``.
    """
    domains = _known_domains(query)
    asked_with = canonical(query.identifier)
    known = _known_by(*asked_with) if query.known is None else query.known
    visible = [each for each in known if _may_see(each, known[0], permit)]
    if not any(_key(each) == asked_with for each in visible):
        raise ExchangeError(Reason.UNKNOWN_KEY, "The identifier is not known here.", "identifier")
    return CrossReferences(
        tuple(
            each.identifier
            for each in visible
            if _key(each) != asked_with and (not domains or each.identifier.oid in domains)
        )
    )


def _known_domains(query: CrossReferenceQuery) -> frozenset[str]:
    """The OIDs of the domains asked for; empty for all. Raises one error for every domain that is not known."""
    findings = []
    if find_authority(query.identifier.assigning_authority) is None:
        detail = "The assigning authority of the identifier is not known here."
        findings.append(Finding(Reason.UNKNOWN_DOMAIN, detail, "identifier.authority"))
    oids = set()
    for number, domain in enumerate(query.domains, start=1):
        authority = find_authority(domain)
        if authority is None:
            detail = f"The requested domain {number} is not known here."
            findings.append(Finding(Reason.UNKNOWN_DOMAIN, detail, f"domain[{number}]"))
        else:
            oids.add(authority.oid)
    if findings:
        raise ExchangeError.of(findings)
    return frozenset(oids)


def _known_by(oid: str, value: str) -> tuple[KnownIdentifier, ...]:
    """The regional id and every active chart number of the person whom an identifier names, the regional id first."""
    by_regional_id = oid == settings.AFFINITY_DOMAIN_OID
    if by_regional_id and is_provisional(value):
        return ()
    found = rows.fetch(_BY_REGIONAL_ID, [value]) if by_regional_id else rows.fetch(_BY_CHART, [oid, value])
    if not found:
        return ()
    regional = KnownIdentifier(Identifier(found[0][0], network.affinity_domain()))
    charts = [
        KnownIdentifier(Identifier(value, _authority(oid), type_code), facility_code)
        for _, oid, value, type_code, facility_code in found
        if oid and oid != settings.AFFINITY_DOMAIN_OID
    ]
    return (regional, *charts)


def _may_see(known: KnownIdentifier, regional: KnownIdentifier, permit: Permit) -> bool:
    """Whether the answer may show this identifier: the regional id, the caller's own, and what the permit reveals."""
    if known is regional:
        return not is_provisional(regional.identifier.value)
    own = permit.caller.node.facility_code
    return known.facility_code == own or permit.reveals(regional.identifier.value, known.facility_code)


def _key(known: KnownIdentifier) -> tuple[str, str]:
    return known.identifier.oid, known.identifier.value


def canonical(identifier: Identifier) -> tuple[str, str]:
    """OID and value as the tables hold them: the authority by either name, the value as its facility writes it."""
    authority = find_authority(identifier.assigning_authority)
    oid = authority.oid if authority else identifier.oid
    owner = network.facility_of_authority(oid) if oid else None
    return oid, owner.patient_ids.comparable(identifier.value) if owner else identifier.value


def find_authority(authority: AssigningAuthority) -> AssigningAuthority | None:
    """The authority that a message names by OID or namespace, complete; None where the network knows none.

    Where it names two by the two, that is none either: both have to mean the same (ITI TF-2: Appendix E.1.1).
    """
    if authority.oid == settings.AFFINITY_DOMAIN_OID:
        known: AssigningAuthority | None = network.affinity_domain()
    else:
        known = network.authority(authority.oid or authority.namespace) if authority else None
    if known is None or not authority.oid or authority.namespace in ("", known.namespace):
        return known
    return known if network.authority(authority.namespace) is None else None


def _authority(oid: str) -> AssigningAuthority:
    return network.authority(oid) or AssigningAuthority(oid=oid)


# --- the past, and figures for the administrator


def person_on(identifier: Identifier, moment: datetime) -> str | None:
    """The regional id that stood behind an identifier at a past moment, as it was then; None where none did.

    Events follow each other as they were written, under the lock of the chart: a change that waited for another one
    carries the earlier time, the moment its message came.
    """
    oid, value = canonical(identifier)
    event = (
        LinkEvent.objects.filter(authority_oid=oid, value=value, at__lte=moment)
        .order_by("-id")
        .values_list("person__regional__value", flat=True)
        .first()
    )
    return event or None


def linked_with(identifier: Identifier, moment: datetime) -> tuple[Identifier, ...]:
    """The other identifiers that stood under the same person at a past moment, by authority and value."""
    regional_id = person_on(identifier, moment)
    if regional_id is None:
        return ()
    asked = canonical(identifier)
    return tuple(each for each in identifiers_on(regional_id, moment) if (each.oid, each.value) != asked)


def identifiers_on(regional_id: str, moment: datetime) -> tuple[Identifier, ...]:
    """The identifiers that stood under a regional id at a past moment, as they were then, by authority and value."""
    candidates = LinkEvent.objects.filter(person__regional__value=regional_id, at__lte=moment)
    pairs = sorted(set(candidates.values_list("authority_oid", "value")))
    found = (Identifier(value, _authority(oid)) for oid, value in pairs)
    return tuple(each for each in found if person_on(each, moment) == regional_id)


def numbers_under(regional_id: str) -> frozenset[tuple[str, str]]:
    """Every number, by authority, that the charts which stand under a regional id now have or had."""
    events = LinkEvent.objects.filter(record__person__regional__value=regional_id).order_by()
    return frozenset(events.values_list("authority_oid", "value"))


def overview() -> dict[str, object]:
    """Figures of the index: active persons, active identifiers, and active identifiers by facility code.

    review: how the queue of doubtful pairs is doing (``ReviewFigures``).
    """
    by_facility = (
        LocalIdentifier.objects.filter(status=LocalIdentifier.Status.ACTIVE)
        .values_list("facility_code")
        .annotate(count=Count("id"))
        .order_by("facility_code")
    )
    counts = dict(by_facility)
    return {
        "persons": Person.objects.filter(status=Person.Status.ACTIVE).count(),
        "identifiers": sum(counts.values()),
        "by_facility": counts,
        "review": review_figures(),
    }
