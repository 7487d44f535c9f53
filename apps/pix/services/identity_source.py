"""The identity source of the affinity domain says whose documents a chart's are (ITI-64, ITI TF-2: 3.64).

Everything else it tells comes as the feeds of facilities do (``feeding``): a regional id that was fed is a chart of the
affinity domain, under a person who bears it; decision 0046.
"""

from __future__ import annotations

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from apps.pix.models import Assertion, LocalIdentifier, Person, chart_renamed, records_moved
from apps.pix.queries.cross_references import canonical
from apps.pix.services import linking
from apps.pix.services.feeding import remember
from apps.pix.services.linking import LINK_CHANGE, Cause
from hie.values.demographics_queries import LinkChange
from hie.values.errors import ExchangeError, Reason
from hie.values.identifiers import AssigningAuthority, Identifier
from hie.values.patients import FeedOutcome


def change_link(change: LinkChange, facility_code: str, *, sender: str) -> FeedOutcome:
    """Put the documents of a chart under another regional id, and the chart itself, once.

    What was submitted with the chart as sourcePatientId goes from the previous regional id to the new one; a subsumed
    chart's documents go along and bear the surviving number from then on. Where the two regional ids are the same, only
    that happens (3.64.4.1.2.4). sender: the node; it has to be the identity source.

    Raises ExchangeError: CALLER_NOT_ENTITLED; UNKNOWN_DOMAIN at ``identifier.authority`` or ``prior
    identifier.authority`` for an id that is not of the affinity domain; UNKNOWN_KEY at ``identifier`` or ``prior
    identifier`` for one that is not active here; MERGE_REFUSED where statements forbid it.
    """
    if not sender or sender != settings.IDENTITY_SOURCE:
        detail = "Only the identity source of the affinity domain may move documents between its patients."
        raise ExchangeError(Reason.CALLER_NOT_ENTITLED, detail)
    cause = Cause(facility_code, change.message_id, timezone.now(), rule=LINK_CHANGE)
    charts = [each for each in (change.local_identifier, change.subsumed_local_identifier) if each is not None]
    with transaction.atomic():
        linking.lock("|".join(canonical(each)) for each in (change.regional_id, change.previous_regional_id, *charts))
        current = _fed_row(change.regional_id, "identifier")
        previous = _fed_row(change.previous_regional_id, "prior identifier")
        outcome = FeedOutcome((change.regional_id,), (change.previous_regional_id,), current.value)
        content = repr((change.regional_id, change.previous_regional_id, charts))
        if not remember(change.message_id, content, sender, cause.at):
            return outcome
        for chart in charts if current != previous else ():
            _move(chart, previous, current, cause)
        if change.subsumed_local_identifier is not None:
            subsumed, surviving = map(_complete, (change.subsumed_local_identifier, change.local_identifier))
            chart_renamed.send(sender=Person, subsumed=subsumed, surviving=surviving, patient=current.value)
    return outcome


def _complete(identifier: Identifier) -> Identifier:
    oid, value = canonical(identifier)
    return Identifier(value, AssigningAuthority(oid))


def _fed_row(identifier: Identifier, location: str) -> LocalIdentifier:
    oid, value = canonical(identifier)
    if oid != settings.AFFINITY_DOMAIN_OID:
        detail = f"The {location} has to be one of the affinity domain."
        raise ExchangeError(Reason.UNKNOWN_DOMAIN, detail, f"{location}.authority")
    row = _active(oid, value)
    if row is None:
        raise ExchangeError(Reason.UNKNOWN_KEY, f"The {location} is not known here.", location)
    return row


def _active(oid: str, value: str) -> LocalIdentifier | None:
    active = LocalIdentifier.Status.ACTIVE
    return LocalIdentifier.objects.filter(authority_oid=oid, value=value, status=active).first()


def _move(chart: Identifier, previous: LocalIdentifier, current: LocalIdentifier, cause: Cause) -> None:
    """The chart, where the index knows it, and its documents."""
    row = _active(*canonical(chart))
    if row is not None:
        linking.write_statement(row, previous, Assertion.Basis.MERGE, cause, one_human=False)
        linking.write_statement(row, current, Assertion.Basis.MERGE, cause, one_human=True)
        stood = row.person_id
        linking.settle(current, row, cause)
        if stood == previous.person_id:
            return  # its documents followed it
    oid, value = canonical(chart)
    records_moved.send(
        sender=Person,
        identifiers=(Identifier(value, AssigningAuthority(oid)),),
        previous=previous.value,
        current=current.value,
        submitted=True,
    )
