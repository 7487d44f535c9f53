"""Certificates of nodes, and the built-in authority that makes them for demonstrations and tests.

A production network brings its own authority (``HIE_TLS_CLIENT_CA``); then this one refuses to work, and
certificates are bound as they come. Keys lie in the data directory, readable by the owner alone, never in the database.
"""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from apps.network.models import Node, NodeCertificate

# BCP 195 and ITI TF-2: 3.19 recommend at most two years.
NODE_DAYS = 730
SERVER_DAYS = 730
AUTHORITY_DAYS = 3650


class NoBuiltInAuthorityError(Exception):
    """The built-in authority must not be used here; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """A fresh certificate with its key, both PEM, and the authority's certificate. The key is nowhere else."""

    node: str
    fingerprint: str
    certificate: bytes
    key: bytes
    authority: bytes

    def pkcs12(self, password: str) -> bytes:
        """Certificate, key and authority in one file that most systems import, encrypted by the password."""
        return pkcs12.serialize_key_and_certificates(
            self.node.encode(),
            serialization.load_pem_private_key(self.key, None),  # type: ignore[arg-type]
            x509.load_pem_x509_certificate(self.certificate),
            [x509.load_pem_x509_certificate(self.authority)],
            serialization.BestAvailableEncryption(password.encode()),
        )


def issue_certificate(*, node_name: str, days: int = NODE_DAYS) -> IssuedCertificate:
    """Make a key and a certificate for a node and bind it. Earlier ones stay valid until withdrawn or expired.

    Raises Node.DoesNotExist, NoBuiltInAuthorityError.
    """
    node = Node.objects.select_related("facility").get(name=node_name)
    authority_key, authority = _authority()
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "JP"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, node.facility.name[:64]),
            x509.NameAttribute(NameOID.COMMON_NAME, node.name),
        ]
    )
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _signed(
        subject, key, authority, authority_key, days, (ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH)
    )
    bound = bind_certificate(node_name=node_name, certificate=_pem(certificate))
    return IssuedCertificate(node.name, bound.fingerprint, _pem(certificate), _key_pem(key), _pem(authority))


@transaction.atomic
def bind_certificate(*, node_name: str, certificate: bytes) -> NodeCertificate:
    """Say that this certificate (PEM or DER) stands for the node. Bound already to it: returned as it is.

    Raises ValueError where it cannot be read or stands for another node.
    """
    read = x509.load_pem_x509_certificate if b"-----BEGIN" in certificate else x509.load_der_x509_certificate
    try:
        found = read(certificate)
    except ValueError:
        raise ValueError("The certificate cannot be read: give one X.509 certificate in PEM or DER.") from None
    node = Node.objects.get(name=node_name)
    fingerprint = found.fingerprint(hashes.SHA256()).hex()
    row, _ = NodeCertificate.objects.get_or_create(
        fingerprint=fingerprint,
        defaults={
            "node": node,
            "subject": found.subject.rfc4514_string()[:500],
            "issuer": found.issuer.rfc4514_string()[:500],
            "valid_from": found.not_valid_before_utc,
            "valid_until": found.not_valid_after_utc,
            "pem": _pem(found).decode("ascii"),
        },
    )
    if row.node_id != node.pk:
        raise ValueError("This certificate already stands for another node; every node has its own.")
    return row


def withdraw_certificate(*, fingerprint: str) -> None:
    """Believe this certificate no longer. Other processes follow within ``queries.SECONDS``."""
    row = NodeCertificate.objects.get(fingerprint=fingerprint)
    if row.revoked_at is None:
        row.revoked_at = timezone.now()
        row.save(update_fields=["revoked_at"])


def issue_server_certificate(*, again: bool = False) -> Path:
    """Keep ``tls/server.pem``, ``server.key`` and ``ca.pem`` in the data directory; the path of the first is returned.

    It is renewed where host names changed or less than 30 days are left, and where ``again`` asks for it.
    """
    authority_key, authority = _authority()
    path = _directory() / "server.pem"
    if path.is_file() and not again and _serves(x509.load_pem_x509_certificate(path.read_bytes()), authority):
        return path
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, settings.HOST_NAMES[0][:64])])
    certificate = _signed(
        subject,
        key,
        authority,
        authority_key,
        SERVER_DAYS,
        (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH),
        names=_alternative_names(),
    )
    _write(_directory() / "server.key", _key_pem(key))
    _write(path, _pem(certificate))
    return path


def keep_certificate(issued: IssuedCertificate) -> Path:
    """Write an issued certificate and its key to ``tls/nodes/<node>.pem`` and ``.key`` of the data directory.

    For nodes on this machine, as a demonstration has them; the path of the certificate is returned.
    """
    directory = _directory() / "nodes"
    directory.mkdir(mode=0o700, exist_ok=True)
    _write(directory / f"{issued.node}.key", issued.key)
    _write(directory / f"{issued.node}.pem", issued.certificate)
    return directory / f"{issued.node}.pem"


def authority_certificate() -> bytes:
    """The built-in authority's own certificate, PEM; it is made where there is none yet."""
    return _pem(_authority()[1])


def _authority() -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    if settings.TLS_CLIENT_CA or settings.TLS_CERTIFICATE:
        raise NoBuiltInAuthorityError(
            "HIE_TLS_CERTIFICATE or HIE_TLS_CLIENT_CA is set: this network has its own authority. "
            "Have the certificate made there and bind it to the node."
        )
    key_path, certificate_path = _directory() / "ca.key", _directory() / "ca.pem"
    if not (key_path.is_file() and certificate_path.is_file()):
        _make_authority(key_path, certificate_path)
    key = serialization.load_pem_private_key(key_path.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key, x509.load_pem_x509_certificate(certificate_path.read_bytes())


def _make_authority(key_path: Path, certificate_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, settings.NETWORK_NAME[:64]),
            x509.NameAttribute(NameOID.COMMON_NAME, "Demonstration authority, not for production"),
        ]
    )
    now = datetime.now(UTC)
    public = key.public_key()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write(key_path, _key_pem(key))
    _write(certificate_path, _pem(certificate))


def _signed(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    days: int,
    usages: tuple[x509.ObjectIdentifier, ...],
    names: x509.SubjectAlternativeName | None = None,
) -> x509.Certificate:
    now = datetime.now(UTC)
    until = min(now + timedelta(days=days), authority.not_valid_after_utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
    )
    if names is not None:
        builder = builder.add_extension(names, critical=False)
    return builder.sign(authority_key, hashes.SHA256())


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative_names() -> x509.SubjectAlternativeName:
    """The names under which this server is reached, and loopback."""
    names: list[x509.GeneralName] = []
    for name in dict.fromkeys([*settings.HOST_NAMES, "localhost", "127.0.0.1"]):
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            names.append(x509.DNSName(name))
    return x509.SubjectAlternativeName(names)


def _serves(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return (
        names == _alternative_names()
        and certificate.issuer == authority.subject
        and certificate.not_valid_after_utc > datetime.now(UTC) + timedelta(days=30)
    )


def _directory() -> Path:
    path = Path(settings.DATA_DIR) / "tls"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def _write(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    fresh.replace(path)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
