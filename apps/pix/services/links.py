"""Links that a facility states of two of its patients and takes back (ITI TF-2: 3.30.6.6, 3.30.6.7).

Both charts stay as they are; only the person behind them becomes one, or two. A link may be told before the patients
are: it is kept by their identifiers and holds as soon as both are known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from apps.pix.models import Assertion, AwaitedLink, LocalIdentifier
from apps.pix.services import linking
from apps.pix.services.charts import find_row
from apps.pix.services.linking import Cause
from hie.exchange.rows import fetch
from hie.values.errors import ExchangeError, Reason
from hie.values.identifiers import Identifier

ACTIVE = LocalIdentifier.Status.ACTIVE
_ROW = "SELECT * FROM pix_localidentifier WHERE authority_oid = %s AND value = %s"
_AWAITED = (
    "SELECT value, other_authority_oid, other_value FROM pix_awaitedlink"
    " WHERE authority_oid = %s AND value IN ({}) ORDER BY id"
)
_AT_ONCE = 500


def link(one: Identifier, other: Identifier, cause: Cause) -> None:
    """State that two identifiers are of one human; where one is not known yet, from the moment that it is.

    Nothing is created. It ends what was said of the two before. Raises ExchangeError: MERGE_REFUSED for an identifier
    with itself, UNKNOWN_KEY for one that was merged away.
    """
    if (one.oid, one.value) == (other.oid, other.value):
        raise ExchangeError(Reason.MERGE_REFUSED, "The two identifiers are the same.", "other identifier")
    first, second = _row(one), _row(other)
    for row, location in ((first, "identifier"), (second, "other identifier")):
        if row is not None and row.status != ACTIVE:
            detail = f"The {location} was merged into another; send the surviving identifier."
            raise ExchangeError(Reason.UNKNOWN_KEY, detail, location)
    if first is not None and second is not None:
        linking.state(first, second, Assertion.Basis.LINK, cause)
        return
    for unknown, beside in ((first is None and one, other), (second is None and other, one)):
        if unknown:
            _await(unknown, beside, cause)


def unlink(one: Identifier, other: Identifier, cause: Cause) -> None:
    """State that two identifiers are of two humans, where they are linked; else there is nothing to do.

    It holds against the rules of the machine too, until somebody states the contrary. Raises ExchangeError
    MERGE_REFUSED where other statements (a merge, a clerk's link with a third chart) say that they are one human.
    """
    for each, beside in ((one, other), (other, one)):
        AwaitedLink.objects.filter(
            authority_oid=each.oid, value=each.value, other_authority_oid=beside.oid, other_value=beside.value
        ).delete()
    first, second = _row(one), _row(other)
    if first is None or second is None or first.person_id != second.person_id:
        return
    if first.status != ACTIVE or second.status != ACTIVE:
        return  # what was merged is no list of its own any more
    if linking.tied_by_others(first.pk, second.pk, but=_OWN):
        detail = "Other statements say that the two identifiers are of one patient."
        raise ExchangeError(Reason.MERGE_REFUSED, detail, "other identifier")
    linking.write_statement(first, second, Assertion.Basis.UNLINK, cause, one_human=False)
    older, younger = (first, second) if first.pk < second.pk else (second, first)
    linking.settle(older, younger, replace(cause, rule="unlink"))


# What the two identifiers' own facility, or a clerk, said of this very pair ends with the unlinking.
_OWN = frozenset((Assertion.Basis.LINK, Assertion.Basis.ONE_MESSAGE, Assertion.Basis.CLERK))


def arrived(charts: Mapping[tuple[str, str], Cause]) -> bool:
    """Carry out the links that waited for charts which have become known, by authority and number; whether any did."""
    by_authority: dict[str, list[str]] = {}
    for oid, value in charts:
        by_authority.setdefault(oid, []).append(value)
    waited = [
        ((oid, value), (other_oid, other_value))
        for oid, values in by_authority.items()
        for start in range(0, len(values), _AT_ONCE)
        for value, other_oid, other_value in _awaited(oid, values[start : start + _AT_ONCE])
    ]
    for name, beside in waited:
        AwaitedLink.objects.filter(
            authority_oid=name[0], value=name[1], other_authority_oid=beside[0], other_value=beside[1]
        ).delete()
        found, other = find_row(*name), find_row(*beside)
        if found is not None and other is not None:  # else the link waits for the other one, too
            linking.state(found[0], other[0], Assertion.Basis.LINK, charts[name])
    return bool(waited)


def _awaited(authority_oid: str, values: list[str]) -> list[tuple[str, str, str]]:
    return fetch(_AWAITED.format(", ".join(["%s"] * len(values))), [authority_oid, *values])


def renamed(row: LocalIdentifier, previous: str) -> None:
    """Let links that wait for somebody else know a chart by its new number."""
    AwaitedLink.objects.filter(other_authority_oid=row.authority_oid, other_value=previous).update(
        other_value=row.value
    )


def _row(identifier: Identifier) -> LocalIdentifier | None:
    return next(iter(LocalIdentifier.objects.raw(_ROW, [identifier.oid, identifier.value])), None)


def _await(unknown: Identifier, beside: Identifier, cause: Cause) -> None:
    AwaitedLink.objects.get_or_create(
        authority_oid=unknown.oid,
        value=unknown.value,
        other_authority_oid=beside.oid,
        other_value=beside.value,
        defaults={"facility_code": cause.facility_code, "at": cause.at},
    )
