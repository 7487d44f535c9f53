"""Who is at the other end: by certificate, by MSH-3 and MSH-4 on a demonstration's loopback, by assertion."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from django.test.utils import CaptureQueriesContext

from apps.network import services
from apps.network.authentication import authenticate
from apps.network.models import NodeCertificate
from apps.network.queries import home_community_id
from hie.exchange.connection import Connection
from hie.exchange.remembered import forget_all
from hie.values.access import Access, PurposeOfUse
from hie.values.codes import Code
from hie.values.errors import ExchangeError, Reason
from hie.wire.saml.assertion import Assertion, write_assertion

pytestmark = pytest.mark.django_db


@pytest.fixture
def issued(settings: Any, tmp_path: Any) -> services.IssuedCertificate:
    """Two hospitals; the certificate of the first one's node ``central``."""
    settings.DATA_DIR, settings.TLS_CERTIFICATE, settings.TLS_CLIENT_CA = tmp_path, "", ""
    settings.MLLP_PLAIN = True
    services.add_facility(code="1311234567", name="中央病院")
    services.add_facility(code="0110113719", name="北診療所")
    services.add_node(facility_code="1311234567", name="central", sending_facility="HOSP1", sending_application="HIS")
    services.add_node(
        facility_code="0110113719",
        name="north",
        sending_facility="CLINIC",
        sending_application="EHR",
        accesses={Access.FIND},
    )
    return services.issue_certificate(node_name="central")


def der(issued: services.IssuedCertificate) -> bytes:
    return x509.load_pem_x509_certificate(issued.certificate).public_bytes(serialization.Encoding.DER)


def refusal(connection: Connection) -> ExchangeError:
    with pytest.raises(ExchangeError) as raised:
        authenticate(connection)
    return raised.value


def test_a_certificate_names_its_node(issued: services.IssuedCertificate) -> None:
    node = authenticate(Connection("soap", certificate=der(issued))).node
    assert (node.name, node.facility_code, node.facility_name) == ("central", "1311234567", "中央病院")
    assert node.accesses == {Access.FEED, Access.IDENTIFY, Access.FIND, Access.RETRIEVE, Access.SUBMIT}


def test_one_query_cold_and_none_warm(issued: services.IssuedCertificate, django_assert_num_queries: Any) -> None:
    connection = Connection("mllps", certificate=der(issued), claimed_name="HOSP1|HIS")
    forget_all()
    with django_assert_num_queries(1):
        authenticate(connection)
    with django_assert_num_queries(0):
        authenticate(connection)


@pytest.mark.parametrize("claimed", ["", "HOSP1|HIS", "HOSP1^1.2.3^ISO|HIS^1.2.4^ISO", "NOBODY|KNOWN"])
def test_over_tls_the_certificate_decides(issued: services.IssuedCertificate, claimed: str) -> None:
    caller = authenticate(Connection("mllps", certificate=der(issued), claimed_name=claimed))
    assert caller.node.name == "central"


def test_over_tls_the_name_of_another_node_is_refused(issued: services.IssuedCertificate) -> None:
    error = refusal(Connection("mllps", certificate=der(issued), claimed_name="CLINIC|EHR"))
    assert error.reason is Reason.UNKNOWN_CALLER
    assert "north" not in error.detail


def test_an_unregistered_certificate_learns_its_own_fingerprint_only(issued: services.IssuedCertificate) -> None:
    NodeCertificate.objects.all().delete()
    forget_all()
    error = refusal(Connection("soap", certificate=der(issued)))
    assert error.reason is Reason.UNKNOWN_CALLER
    assert issued.fingerprint in error.detail
    assert "central" not in error.detail


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda fingerprint: services.set_node_enabled(name="central", enabled=False), "switched off"),
        (lambda fingerprint: services.set_facility_enabled(code="1311234567", enabled=False), "switched off"),
        (lambda fingerprint: services.withdraw_certificate(fingerprint=fingerprint), "withdrawn"),
        (lambda fingerprint: _set_period(-20, -10), "expired"),
        (lambda fingerprint: _set_period(10, 20), "not valid yet"),
    ],
)
def test_what_is_no_longer_believed(issued: services.IssuedCertificate, change: Any, words: str) -> None:
    connection = Connection("mllps", certificate=der(issued))
    authenticate(connection)
    change(issued.fingerprint)
    error = refusal(connection)
    assert error.reason is Reason.UNKNOWN_CALLER
    assert words in error.detail


def _set_period(first: int, last: int) -> None:
    now = datetime.now(UTC)
    NodeCertificate.objects.update(valid_from=now + timedelta(days=first), valid_until=now + timedelta(days=last))
    forget_all()


def test_two_certificates_are_believed_while_one_is_renewed(issued: services.IssuedCertificate) -> None:
    renewed = services.issue_certificate(node_name="central")
    for each in (issued, renewed):
        assert authenticate(Connection("soap", certificate=der(each))).node.name == "central"


@pytest.mark.parametrize("remote", ["127.0.0.1", "::1"])
def test_on_loopback_the_claim_is_believed(issued: services.IssuedCertificate, remote: str) -> None:
    caller = authenticate(Connection("mllp", remote=remote, claimed_name="CLINIC|EHR"))
    assert (caller.node.name, caller.node.accesses) == ("north", {Access.FIND})


@pytest.mark.parametrize(
    "connection",
    [
        Connection("mllp", remote="192.0.2.7", claimed_name="CLINIC|EHR"),
        Connection("mllp", remote="", claimed_name="CLINIC|EHR"),
        Connection("mllps", remote="127.0.0.1", claimed_name="CLINIC|EHR"),
        Connection("soap", remote="127.0.0.1", claimed_name="CLINIC|EHR"),
        Connection("mllp", remote="127.0.0.1", claimed_name="clinic|EHR"),
        Connection("mllp", remote="127.0.0.1", claimed_name="|"),
        Connection("mllp", remote="127.0.0.1", claimed_name="CLINIC|"),
        Connection("mllp", remote="127.0.0.1"),
    ],
)
def test_a_claim_is_refused_elsewhere(issued: services.IssuedCertificate, connection: Connection) -> None:
    assert refusal(connection).reason is Reason.UNKNOWN_CALLER


def test_a_claim_is_refused_where_plain_mllp_is_off(issued: services.IssuedCertificate, settings: Any) -> None:
    settings.MLLP_PLAIN = False
    assert refusal(Connection("mllp", remote="127.0.0.1", claimed_name="CLINIC|EHR")).reason is Reason.UNKNOWN_CALLER


def test_an_unknown_sender_and_a_disabled_one_read_the_same(issued: services.IssuedCertificate) -> None:
    unknown = refusal(Connection("mllp", remote="127.0.0.1", claimed_name="NO|BODY"))
    services.set_node_enabled(name="north", enabled=False)
    assert refusal(Connection("mllp", remote="127.0.0.1", claimed_name="CLINIC|EHR")).detail == unknown.detail


def signed(issued: services.IssuedCertificate, **fields: Any) -> bytes:
    key: Any = serialization.load_pem_private_key(issued.key, None)
    assertion = Assertion(issuer="urn:oid:1.2.3", name_id="yamada", audiences=((home_community_id(),),), **fields)
    return write_assertion(assertion, key, x509.load_pem_x509_certificate(issued.certificate))


def test_an_assertion_names_the_person(issued: services.IssuedCertificate) -> None:
    assertion = signed(
        issued,
        subject_name="山田 花子",
        purpose_of_use=Code("ETREAT", "2.16.840.1.113883.5.8"),
        emergency_reason="意識なし",
    )
    caller = authenticate(Connection("soap", certificate=der(issued), assertion=assertion))
    assert (caller.person.user_id, caller.person.name) == ("yamada", "山田 花子")
    assert (caller.purpose, caller.reason) == (PurposeOfUse.EMERGENCY, "意識なし")


def test_an_assertion_of_another_nodes_key_is_refused(issued: services.IssuedCertificate) -> None:
    other = services.issue_certificate(node_name="north")
    error = refusal(Connection("soap", certificate=der(issued), assertion=signed(other)))
    assert error.reason is Reason.SECURITY


def test_an_unknown_purpose_is_refused(issued: services.IssuedCertificate) -> None:
    assertion = signed(issued, purpose_of_use=Code("GOSSIP", "2.16.840.1.113883.5.8"))
    error = refusal(Connection("soap", certificate=der(issued), assertion=assertion))
    assert error.reason is Reason.SECURITY
    assert "TREAT" in error.detail


def test_an_assertion_without_tls_is_refused(issued: services.IssuedCertificate) -> None:
    connection = Connection("mllp", remote="127.0.0.1", claimed_name="HOSP1|HIS", assertion=signed(issued))
    assert refusal(connection).reason is Reason.SECURITY


def test_queries_do_not_grow_with_claims(issued: services.IssuedCertificate) -> None:
    from django.db import connection as database

    with CaptureQueriesContext(database) as captured:
        for number in range(3):
            authenticate(Connection("mllps", certificate=der(issued), claimed_name=f"X{number}|Y"))
    assert len(captured) == 3
