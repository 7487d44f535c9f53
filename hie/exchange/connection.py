"""How a message reached us: what the sockets know, and the pipeline asks for when it authenticates the caller."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Connection:
    """One message's way in.

    door: ``mllp``, ``mllps``, ``soap`` or ``rest``. address: ours as the sender called it (URL or host:port).
    remote: IP address of the peer. certificate: the peer's verified certificate in DER, or b"" without mutual TLS.
    claimed_name: ``facility|application`` (MSH-4|MSH-3) of an HL7 v2 message, else "".
    called_name: the same of the receiver (MSH-6|MSH-5), under which the audit record names us (ITI TF-2: 3.9.5).
    assertion: the SAML assertion of a SOAP header as received, or b"".
    """

    door: str
    address: str = ""
    remote: str = ""
    certificate: bytes = b""
    claimed_name: str = ""
    assertion: bytes = b""
    called_name: str = ""
