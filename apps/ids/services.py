"""Issue and end regional identifiers. Every verb runs in the caller's database transaction."""

from __future__ import annotations

import base64
import secrets

from django.db import transaction
from django.utils import timezone

from apps.ids.models import PROVISIONAL, RegionalIdentifier, RegionalIdentifierEvent
from hie.exchange import many

RANDOM_BYTES = 16


def issue_regional_id() -> str:
    """A fresh regional id: 26 characters of base32 that carry 128 random bits.

    The row stays for ever and the value is unique in the database, so a value is never issued a second time.
    """
    value = new_regional_id()
    RegionalIdentifier.objects.create(value=value)
    return value


def new_regional_id() -> str:
    """A value for a regional id, not issued yet: that takes its row (``ISSUED``), in the same database transaction."""
    return base64.b32encode(secrets.token_bytes(RANDOM_BYTES)).decode("ascii").rstrip("=")


def new_provisional_id() -> str:
    """As ``new_regional_id``, for a person of whom the identity source has not told yet. No answer carries it."""
    return PROVISIONAL + new_regional_id()


# For whoever issues many at once: value, status (active), moment.
ISSUED = many.Table("ids_regionalidentifier", (("value", "text"), ("status", "text"), ("issued_at", "timestamptz")))


def issue_provisional_id() -> str:
    """An id for a person of whom the identity source has not told yet. It stays inside: no answer carries it."""
    return take_regional_id(new_provisional_id())


def take_regional_id(value: str) -> str:
    """A regional id as another system issued it. Raises IntegrityError where it was taken before."""
    RegionalIdentifier.objects.create(value=value)
    return value


def retire(value: str, *, reason: str) -> None:
    """End a regional id without a successor; its value is never issued again.

    Raises RegionalIdentifier.DoesNotExist where the value was never issued or is not active.
    """
    _end(value, RegionalIdentifier.Status.RETIRED, None, reason)


def subsume(value: str, *, surviving: str, reason: str) -> None:
    """End a regional id in favour of another active one, because both were issued to one person.

    Raises RegionalIdentifier.DoesNotExist where either is not active.
    """
    survivor = RegionalIdentifier.objects.get(value=surviving, status=RegionalIdentifier.Status.ACTIVE)
    _end(value, RegionalIdentifier.Status.SUBSUMED, survivor, reason)


@transaction.atomic
def _end(value: str, status: str, survivor: RegionalIdentifier | None, reason: str) -> None:
    identifier = RegionalIdentifier.objects.get(value=value, status=RegionalIdentifier.Status.ACTIVE)
    identifier.status = status
    identifier.surviving = survivor
    identifier.ended_at = timezone.now()
    identifier.save(update_fields=["status", "surviving", "ended_at"])
    RegionalIdentifierEvent.objects.create(identifier=identifier, status=status, surviving=survivor, reason=reason)
