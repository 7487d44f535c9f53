"""A hospital joins: facility, node, certificate and connection sheet in one step."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from django.db import transaction

from apps.network.models import Facility, Node
from apps.network.services.certificates import (
    IssuedCertificate,
    bind_certificate,
    issue_certificate,
    keep_certificate,
)
from apps.network.services.members import USUAL_ACCESSES, add_facility, add_node
from apps.network.services.sheet import LANGUAGES, connection_facts, connection_sheet
from hie.values.access import Access


@dataclass(frozen=True, slots=True)
class Joined:
    """A member that has joined. issued: its fresh certificate with key, or None where it brought its own."""

    facility: Facility
    node: Node
    issued: IssuedCertificate | None


@transaction.atomic
def add_hospital(
    *,
    code: str,
    name: str,
    node_name: str,
    kana: str = "",
    kind: str = "",
    contact: str = "",
    sending_facility: str = "",
    sending_application: str = "",
    accesses: Iterable[Access] = USUAL_ACCESSES,
    certificate: bytes = b"",
) -> Joined:
    """Add a facility and its node, and bind its certificate, or issue one where it brings none. All or nothing.

    Raises ValidationError where a value cannot be, ValueError of an unreadable certificate, NoBuiltInAuthorityError
    where none came and the network has its own authority.
    """
    facility = add_facility(code=code, name=name, kana=kana, kind=kind, contact=contact)
    node = add_node(
        facility_code=code,
        name=node_name,
        sending_facility=sending_facility,
        sending_application=sending_application,
        accesses=accesses,
    )
    issued = None
    if certificate:
        bind_certificate(node_name=node_name, certificate=certificate)
    else:
        issued = issue_certificate(node_name=node_name)
    return Joined(facility, node, issued)


def connection_package(issued: IssuedCertificate) -> bytes:
    """A ZIP for the people of the facility: certificate, key, authority, and the connection sheet in both languages."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{issued.node}.pem", issued.certificate)
        archive.writestr(f"{issued.node}.key", issued.key)
        archive.writestr("ca.pem", issued.authority)
        for language in LANGUAGES:
            sheet = connection_sheet(node_name=issued.node, language=language)
            archive.writestr(f"connection-sheet-{language}.md", sheet)
    return out.getvalue()


def keep_connection(issued: IssuedCertificate) -> Path:
    """Keep a certificate on this machine with the connection facts beside it, as ``manage.py ask`` reads them.

    The path of the certificate is returned; ``.key`` and ``.json`` lie beside it.
    """
    path = keep_certificate(issued)
    facts = json.dumps(connection_facts(node_name=issued.node), ensure_ascii=False, indent=2)
    path.with_suffix(".json").write_text(facts, encoding="utf-8")
    return path
