"""Which node speaks (ITI TF-2: 3.19), and which human behind it (ITI TF-2: 3.40).

Over mutual TLS the certificate decides, whatever MSH-3 and MSH-4 say; a message that claims to come from another
node is refused. MLLP without TLS, open on loopback of a demonstration only, believes MSH-3 and MSH-4. What is
remembered of a node is at most ``queries.SECONDS`` old, so a node that is switched off is refused after three seconds.
"""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache

from cryptography import x509
from django.conf import settings

from apps.network import queries
from hie.exchange.connection import Connection
from hie.values.access import Caller, Person, PurposeOfUse
from hie.values.codes import Code
from hie.values.errors import ExchangeError, Reason
from hie.wire.saml.assertion import read_assertion


def authenticate(connection: Connection) -> Caller:
    """The caller at the other end. At most one query where nothing is remembered of the node, none otherwise.

    Raises UNKNOWN_CALLER where no node that is switched on stands behind the connection, SECURITY where the
    assertion that came along does not hold.
    """
    known = _by_certificate(connection) if connection.certificate else _by_claim(connection)
    caller = Caller(node=known.node)
    return _with_person(caller, connection) if connection.assertion else caller


def _with_person(caller: Caller, connection: Connection) -> Caller:
    """The caller with the human, the purpose and the reason that its assertion names.

    The node vouches for its own people: the assertion has to be signed with the key of the node's certificate.
    """
    if not connection.certificate:
        raise ExchangeError(Reason.SECURITY, "An assertion is believed only over mutual TLS.", "wsse:Security")
    assertion = read_assertion(
        connection.assertion,
        x509.load_der_x509_certificate(connection.certificate),
        audience=frozenset({queries.home_community_id(), connection.address}),
        now=datetime.now(UTC),
    )
    person = Person(
        user_id=assertion.name_id,
        name=assertion.subject_name,
        issuer=assertion.issuer,
        alias=assertion.sp_provided_id,
        organization=assertion.organization,
        roles=assertion.roles,
    )
    purpose = _purpose(assertion.purpose_of_use)
    return replace(caller, person=person, purpose=purpose, reason=assertion.emergency_reason)


def _purpose(code: Code | None) -> PurposeOfUse:
    """The purpose that the assertion gives; treatment where it gives none."""
    if code is None:
        return PurposeOfUse.TREATMENT
    try:
        return PurposeOfUse(code.code)
    except ValueError:
        known = ", ".join(purpose.value for purpose in PurposeOfUse)
        raise ExchangeError(
            Reason.SECURITY, f"The PurposeOfUse of the assertion has to be one of {known}.", "saml2:AttributeStatement"
        ) from None


def fingerprint_of(certificate: bytes) -> str:
    """SHA-256 of a certificate in DER, 64 small hex digits."""
    return hashlib.sha256(certificate).hexdigest()


def _by_certificate(connection: Connection) -> queries.KnownNode:
    fingerprint = fingerprint_of(connection.certificate)
    claimed = _claimed(connection)
    known = queries.known_nodes(fingerprint, claimed)
    own = next((each for each in known if each.fingerprint), None)
    if own is None:
        raise _unknown(
            "This certificate is not registered with the network. Ask the network administrator to register it; "
            f"its SHA-256 fingerprint is {fingerprint}."
        )
    _check_usable(own)
    if any(each is not own for each in known) and own.sender != claimed:
        raise _unknown("MSH-3 and MSH-4 are not those that are registered for this certificate.", "MSH^1^3")
    return own


def _check_usable(known: queries.KnownNode) -> None:
    now = datetime.now(UTC)
    if known.withdrawn:
        raise _unknown("This certificate was withdrawn. Use the certificate that replaced it.")
    if known.valid_until is not None and now > known.valid_until:
        raise _unknown("This certificate has expired. Ask the network administrator for a new one.")
    if known.valid_from is not None and now < known.valid_from:
        raise _unknown("This certificate is not valid yet. Compare the clocks of both systems.")
    if not known.enabled:
        raise _unknown("This node is switched off in the network. Ask the network administrator.")


def _by_claim(connection: Connection) -> queries.KnownNode:
    if connection.door != "mllp" or not settings.MLLP_PLAIN or not _is_loopback(connection.remote):
        raise _unknown("This door asks for a client certificate (mutual TLS). Present the one of your node.")
    known = queries.known_nodes("", _claimed(connection))
    if not known or not known[0].enabled:
        raise _unknown(
            "No node of the network sends under this MSH-3 and MSH-4. Compare them with the sheet.", "MSH^1^3"
        )
    return known[0]


def _claimed(connection: Connection) -> str:
    """``facility|application`` by the first components of MSH-4 and MSH-3."""
    sending_facility, _, sending_application = connection.claimed_name.partition("|")
    return f"{sending_facility.split('^')[0]}|{sending_application.split('^')[0]}"


@lru_cache(maxsize=1024)
def _is_loopback(remote: str) -> bool:
    try:
        return ipaddress.ip_address(remote).is_loopback
    except ValueError:
        return False


def _unknown(detail: str, location: str = "") -> ExchangeError:
    return ExchangeError(Reason.UNKNOWN_CALLER, detail, location)
