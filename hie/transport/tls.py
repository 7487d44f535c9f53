"""TLS contexts of the doors and of our own calls (ITI TF-2: 3.19, STX: TLS 1.2 Floor using BCP195).

Both sides present a certificate. Which node a certificate stands for is not decided here but by the pipeline's
authentication; here it only has to come from an authority that is believed.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

# What BCP 195 asks for below TLS 1.3: forward secrecy and authenticated encryption.
CIPHERS = "ECDHE+AESGCM:DHE+AESGCM:ECDHE+CHACHA20"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Files in PEM: a certificate chain, its key, and the authorities whose certificates are believed."""

    certificate: Path
    key: Path
    authorities: Path


class MissingCredentialsError(Exception):
    """A TLS door cannot open: a file is absent. The text says which and how to make it."""


def server_credentials() -> Credentials:
    """The files of this server: as the environment names them, else what the built-in authority keeps."""
    kept = settings.DATA_DIR / "tls"
    credentials = Credentials(
        certificate=Path(settings.TLS_CERTIFICATE or kept / "server.pem"),
        key=Path(settings.TLS_KEY or kept / "server.key"),
        authorities=Path(settings.TLS_CLIENT_CA or kept / "ca.pem"),
    )
    for path in (credentials.certificate, credentials.key, credentials.authorities):
        if not path.is_file():
            raise MissingCredentialsError(
                f"{path} does not exist. Set HIE_TLS_CERTIFICATE, HIE_TLS_KEY and HIE_TLS_CLIENT_CA, "
                "or let the built-in authority make one: manage.py issue_certificate --server"
            )
    return credentials


def server_context(credentials: Credentials) -> ssl.SSLContext:
    """A context that demands a client certificate from a believed authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _harden(context, credentials)
    return context


def client_context(credentials: Credentials) -> ssl.SSLContext:
    """A context that shows our certificate and checks the server's name and authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _harden(context, credentials)
    return context


def _harden(context: ssl.SSLContext, credentials: Credentials) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.load_cert_chain(credentials.certificate, credentials.key)
    context.load_verify_locations(credentials.authorities)
    context.verify_mode = ssl.CERT_REQUIRED
